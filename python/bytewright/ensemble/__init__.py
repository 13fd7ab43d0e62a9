"""Several models of bytes as one, whatever their tokenizers.

`model` is the public class, `state` a place in a text, `rules` says how predictions become one.
"""

from bytewright.ensemble.model import Ensemble
from bytewright.ensemble.state import EnsembleState

__all__ = ["Ensemble", "EnsembleState"]
