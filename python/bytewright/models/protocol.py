"""What a language model of token ids is."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import integer
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.tokenizer import Tokenizer

__all__ = [
    "TokenModel",
    "begun_of",
    "check_end",
    "check_model",
    "check_tokenizer",
    "clear",
    "generation_of",
]

# Ids are int32.
_MOST = 2**31 - 1


@runtime_checkable
class TokenModel(Protocol):
    """A model that says, for any ids, how likely each next id is.

    A class with these three names is one; it need not inherit. Some more may tell a model of bytes
    how to ask:

    - `reach`: how many of the last ids decide; a context may then come without those before. Long
      texts cost less so, and with the semantics `"all"` they can be asked for at all.
    - `contexts_at_once`: how many contexts are better asked for together than one after the other,
      where that many are needed.
    - `goes_on`: whether the ids stand behind others that the model knows of, so that a tokenizer
      that puts a space before texts puts none before theirs; `begun`: the bytes of a character that
      those others end inside of.
    - `generation`: a number that changes when rows do, as when weights have changed: rows of
      another that a model of bytes remembers are forgotten. A model that says it may also `clear`:
      forget what earlier calls have left, so that rows are, to the last bit, those of a model that
      was just made; `compress` and `decompress` ask that of it.

    >>> import bytewright as bw
    >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")])
    >>> isinstance(bw.NgramModel.fit(tok, ["lo and lo"]), TokenModel)
    True
    """

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids the model knows."""
        ...

    @property
    def eos_id(self) -> int | None:
        """The id of the end of text; None where the model has none."""
        ...

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> Any:
        """Log-probabilities, in nats, of every next id after each context.

        Args:
            contexts: ids from the beginning of a document on; none are its beginning.

        Returns:
            An array, or a tensor of torch, `[len(contexts), width]`, whose width is the same in
            every call and at least the size of the vocabulary. Minus infinity is an id that cannot
            follow. Numbers are float16, bfloat16 (of `ml_dtypes` or torch), float32 or float64; a
            model of bytes reads them where they lie, and no sum is made in less than float32.
        """
        ...


def begun_of(model: object) -> bytes | None:
    """The bytes of a character that the text before a model's ends inside of.

    The model may be one of tokens or of bytes; None where its texts begin rather than go on.
    """
    return getattr(model, "begun", b"") if getattr(model, "goes_on", False) else None


def generation_of(model: object) -> object:
    """Which rows a model of tokens or of bytes gives; another means that they have changed."""
    return getattr(model, "generation", 0)


def clear(model: object) -> None:
    """Have a model of tokens or of bytes forget what earlier calls have left, if it can."""
    # Only those that say their generation: of others the name may mean anything.
    forget = getattr(model, "clear", None)
    if callable(forget) and inspect.getattr_static(model, "generation", None) is not None:
        forget()


def check_model(model: object) -> None:
    """Raise if something is no model of tokens."""
    if not isinstance(model, TokenModel):
        raise ArgumentTypeError(
            f"model: needs tokenizer, eos_id and logprobs, which {type(model).__name__} lacks"
        )
    check_tokenizer(model.tokenizer)
    check_end(model.eos_id)


def check_tokenizer(tokenizer: object) -> None:
    """Raise if something is no tokenizer."""
    if not isinstance(tokenizer, Tokenizer):
        raise ArgumentTypeError(f"tokenizer: a Tokenizer, not {type(tokenizer).__name__}")


def check_end(eos_id: int | None) -> None:
    """Raise if this is no id that may end a text."""
    if eos_id is None:
        return
    if not 0 <= integer(eos_id, "eos_id") <= _MOST:
        raise ArgumentError(f"eos_id={eos_id}: at least 0 is allowed, and at most {_MOST}")
