"""Language models of token ids: what a model is, and the models that are here.

`protocol` says what every model has; nothing else is asked of one. `callable` makes a model of any
function, `prompted` puts one behind a prompt of ids, `ngram` is the embedded default, fitted to
text in seconds, and `ngram_file` is its file. `transformers` is any causal network of that library,
`llama_cpp` and `vllm` any model of those engines; `engine` is what the three have in common.
`floats` says which rows a model may give.
"""

from bytewright.models.callable import CallableModel
from bytewright.models.llama_cpp import LlamaCppModel
from bytewright.models.ngram import FitProgress, Match, NgramModel
from bytewright.models.prompted import PromptedModel
from bytewright.models.protocol import TokenModel
from bytewright.models.transformers import TransformersModel
from bytewright.models.vllm import VllmModel

__all__ = [
    "CallableModel",
    "FitProgress",
    "LlamaCppModel",
    "Match",
    "NgramModel",
    "PromptedModel",
    "TokenModel",
    "TransformersModel",
    "VllmModel",
]
