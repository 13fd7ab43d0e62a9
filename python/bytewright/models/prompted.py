"""A model behind a fixed prompt of ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import flag
from bytewright.definition import SPECIAL
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.models.contexts import as_context, as_contexts, flat
from bytewright.models.protocol import TokenModel, check_end, check_model, clear, generation_of
from bytewright.tokenizer import Tokenizer
from bytewright.utf8 import unfinished

__all__ = ["PromptedModel"]

# Bytes of a character that is not whole.
_LONGEST = 3


class PromptedModel:
    """A model of what stands behind a prompt: every context begins with the same ids.

    The prompt may hold any ids, special tokens too: what a text cannot say (a template of a chat,
    the parts of a text to fill in) is said there. The model of bytes of such a model is exact from
    the first byte behind the prompt on. That the text is cut into tokens anew behind the prompt is
    what special tokens do; behind ordinary ones it is an assumption.

    The bytes behind the prompt are those of the tokens there. Where a tokenizer puts a space before
    texts, as SentencePiece does, none is put here: a model that writes one, as after the end of a
    word, is said to write it. Where the prompt ends inside a character, the text goes on in it.
    Text that was encoded by itself in training `begins` here, as behind a token that opens
    documents: it has that space and is given it, as without a prompt.

    >>> tok = Tokenizer.from_merges([], alphabet=b"ab", special_tokens=["<eos>", "<more>"])
    >>> from bytewright.models import CallableModel
    >>> def echo(contexts):  # Expects the last id again.
    ...     last = [ids[-1] if len(ids) else 2 for ids in contexts]
    ...     return np.log(0.1 + 0.6 * np.eye(4)[last])
    >>> model = PromptedModel(CallableModel(tok, echo, eos_id=2), [3, 0])
    >>> np.exp(model.logprobs([[], [1]])).round(1).tolist()
    [[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]]
    """

    __slots__ = ("_begun", "_eos_id", "_goes_on", "_ids", "_model")

    def __init__(
        self,
        model: TokenModel,
        ids: Sequence[int] | NDArray[np.int32],
        *,
        eos_id: int | None = None,
        begins: bool = False,
        begun: bytes | None = None,
    ) -> None:
        """Take a model and the ids of the prompt.

        Args:
            model: the model.
            ids: the prompt. Where the model itself puts a token before all others, that is no part
                of it.
            eos_id: the id that ends a text behind the prompt; that of the model unless given.
            begins: whether the text behind the prompt begins there, with what the tokenizer puts
                before texts. Behind no ids it does anyway.
            begun: the bytes of a character that the text goes on inside of, where something stands
                between, as a special token may; those that the prompt ends with unless given.

        Raises:
            ArgumentError: an end of text that is negative, bytes that begin no character, or such
                bytes of a text that begins.
            ArgumentTypeError: no model of tokens, or an argument of another type.
            UnknownTokenError: an id that the tokenizer has not got.
        """
        check_model(model)
        check_end(eos_id)
        flag(begins, "begins")
        _check_begun(begun, begins=begins)
        ends = -1 if model.eos_id is None else model.eos_id
        prompt, _ = flat([as_context("the prompt", ids)], max(model.tokenizer.vocab_size, ends + 1))
        prompt = prompt.copy()
        prompt.flags.writeable = False
        self._model, self._ids = model, prompt
        self._eos_id = model.eos_id if eos_id is None else int(eos_id)
        self._goes_on = not begins and bool(
            begun or len(prompt) or getattr(model, "goes_on", False)
        )
        own = _begun(model, prompt) if begun is None else begun
        self._begun = own if self._goes_on else b""

    @property
    def model(self) -> TokenModel:
        """The model without the prompt."""
        return self._model

    @property
    def ids(self) -> NDArray[np.int32]:
        """The prompt."""
        return self._ids

    @property
    def goes_on(self) -> bool:
        """Whether the text goes on with what is before it, so that no space is put between."""
        return self._goes_on

    @property
    def begun(self) -> bytes:
        """The bytes of a character that the text goes on inside of."""
        return self._begun

    @property
    def reach(self) -> int | None:
        """How many of the last ids of a context decide; None where all may."""
        return getattr(self._model, "reach", None)

    @property
    def contexts_at_once(self) -> int | None:
        """How many contexts are better asked for together, if the model says so."""
        return getattr(self._model, "contexts_at_once", None)

    @property
    def generation(self) -> object:
        """Which rows the model gives, as `TokenModel` has it."""
        return generation_of(self._model)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids the model knows."""
        return self._model.tokenizer

    @property
    def eos_id(self) -> int | None:
        """The id that ends a text behind the prompt."""
        return self._eos_id

    def clear(self) -> None:
        """Have the model forget what earlier calls have left, if it can."""
        clear(self._model)

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> Any:
        """Log-probabilities of every next id behind the prompt and each context.

        Raises:
            ArgumentError: contexts that are no ids.
        """
        return self._model.logprobs(
            [np.concatenate([self._ids, context]) for context in as_contexts(contexts)]
        )

    def __repr__(self) -> str:
        return f"<PromptedModel behind {len(self._ids)} ids of {self._model!r}>"


def _check_begun(begun: bytes | None, *, begins: bool) -> None:
    if begun is None:
        return
    if not isinstance(begun, bytes):
        raise ArgumentTypeError(f"begun must be bytes, not {type(begun).__name__}")
    if unfinished(begun) != begun:
        raise ArgumentError(f"begun={begun!r}: the bytes of one character, but not all of them")
    if begun and begins:
        raise ArgumentError(f"begun={begun!r}: a text that begins goes on inside no character")


def _begun(model: TokenModel, prompt: NDArray[np.int32]) -> bytes:
    """The bytes of a character that a prompt ends inside of; special tokens are no text."""
    tok, tail = model.tokenizer, b""
    kinds = tok.definition.kinds
    for at in reversed(prompt.tolist()):
        if len(tail) >= _LONGEST or at >= len(kinds) or kinds[at] & SPECIAL:
            break
        tail = tok.token_bytes(at) + tail
    else:
        tail = getattr(model, "begun", b"") + tail
    return unfinished(tail)
