"""Any function as a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright.errors import ArgumentTypeError
from bytewright.models.contexts import as_contexts
from bytewright.models.floats import checked
from bytewright.models.protocol import check_end, check_tokenizer
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer

__all__ = ["CallableModel"]


class CallableModel:
    """A model whose log-probabilities a function gives.

    What the function returns, an array or a tensor of torch, is checked for its shape and its type,
    and handed on as it is. A function that looks at the last ids only says so with `reach`, and
    sees no others: long texts cost less so, and with the semantics `"all"` they can be asked for.

    >>> tok = Tokenizer.from_merges([], alphabet=b"ab", special_tokens=["<eos>"])
    >>> def coin(contexts):
    ...     return np.log(np.tile([0.45, 0.45, 0.1], (len(contexts), 1)))
    >>> model = CallableModel(tok, coin, eos_id=2)
    >>> np.exp(model.logprobs([[], [0, 1]])).round(2).tolist()
    [[0.45, 0.45, 0.1], [0.45, 0.45, 0.1]]
    >>> def again(contexts):  # Expects the last id once more.
    ...     last = [ids[-1] if len(ids) else 2 for ids in contexts]
    ...     return np.log(0.1 + 0.7 * np.eye(3)[last])
    >>> near = CallableModel(tok, again, eos_id=2, reach=1)
    >>> np.exp(near.logprobs([[1, 1, 0]])).round(1).tolist()  # `again` is given [0].
    [[0.8, 0.1, 0.1]]
    """

    __slots__ = ("_eos_id", "_fn", "_reach", "_tokenizer")

    def __init__(
        self,
        tokenizer: Tokenizer,
        fn: Callable[[Sequence[NDArray[np.int32]]], Any],
        *,
        eos_id: int | None = None,
        reach: int | None = None,
    ) -> None:
        """Take a tokenizer and a function.

        Args:
            tokenizer: whose ids the contexts are made of.
            fn: takes a sequence of int32 arrays and returns, for each, a row of natural logarithms:
                an array or a tensor of torch, `[len(contexts), width]`, of float16, bfloat16,
                float32 or float64. A model of bytes reads it where it lies.
            eos_id: the id that ends a text, which may lie behind the vocabulary.
            reach: how many of the last ids decide; `fn` is given no more of each context, whoever
                asks. None where all may.

        Raises:
            ArgumentError: an end of text that is no id, or a negative `reach`.
            ArgumentTypeError: no tokenizer, nothing that can be called, or an end or a `reach` that
                is no int.
        """
        check_tokenizer(tokenizer)
        if not callable(fn):
            raise ArgumentTypeError(f"fn must be callable, not {type(fn).__name__}")
        check_end(eos_id)
        self._tokenizer, self._fn = tokenizer, fn
        self._eos_id = None if eos_id is None else int(eos_id)
        self._reach = None if reach is None else whole(reach, "reach")

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids the model knows."""
        return self._tokenizer

    @property
    def eos_id(self) -> int | None:
        """The id of the end of text."""
        return self._eos_id

    @property
    def reach(self) -> int | None:
        """How many of the last ids of a context decide; None where all may."""
        return self._reach

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> Any:
        """What the function says of each context, as `[len(contexts), width]`.

        Raises:
            ArgumentError: contexts that are no ids; a result of another shape or type.
        """
        rows = as_contexts(contexts)
        least = max(self._tokenizer.vocab_size, -1 if self._eos_id is None else self._eos_id + 1)
        if not rows:
            return np.zeros((0, least), np.float64)
        if self._reach is not None:
            rows = [ids[max(0, len(ids) - self._reach) :] for ids in rows]
        return checked(self._fn(rows), "fn", len(rows), least)

    def __repr__(self) -> str:
        return f"<CallableModel of {self._fn!r}, {self._tokenizer!r}>"
