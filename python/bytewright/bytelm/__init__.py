"""Probabilities of bytes from models of tokens, exactly.

`model` is the public class, `state` a place in a text, `distribution` what may follow there, `rows`
brings the model's rows to the core and keeps some.
"""

from bytewright.bytelm.distribution import ByteDistribution
from bytewright.bytelm.model import ByteModel
from bytewright.bytelm.state import ByteState

__all__ = ["ByteDistribution", "ByteModel", "ByteState"]
