"""What models of other libraries have in common: a tokenizer, ends of text, and a prefix.

**Prefix.** Behind a document's beginning nothing has been read, and an engine says nothing about
nothing. So every context stands behind a prefix: the token for the beginning of text that the model
names; where it names none, its end of text, behind which the next document began when it was
trained, as GPT-2's did.

**Ends.** Models tuned for conversation name several ends of text. They are one outcome: the first
has the probability of all of them, the others have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import is_integer
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.models.contexts import inside
from bytewright.models.outcomes import Outcomes
from bytewright.models.protocol import TokenModel
from bytewright.tokenizer import Tokenizer

__all__ = ["EngineModel", "check_ids", "check_size", "first_line", "named"]


class EngineModel(TokenModel):
    """A model that an engine runs; one calls `_take` when it is made."""

    _tokenizer: Tokenizer
    _ids: int  # That the engine knows; mostly a round number.
    _prefix: NDArray[np.int32]
    _outcomes: Outcomes

    def _take(
        self,
        tokenizer: Tokenizer,
        ids: int,
        *,
        ends: int | Sequence[int],
        begins: Sequence[int],
        prefix: Sequence[int] | None,
        double: bool = False,
    ) -> None:
        """Take what is known of the ids.

        Args:
            tokenizer: whose ids the engine knows.
            ids: how many it knows.
            ends: those that end a text.
            begins: those that begin one, where no prefix is given.
            prefix: ids in front of every context.
            double: rows are float64 and not float32.

        Raises:
            ArgumentError: an id that the engine does not know; no prefix, and none named.
        """
        last = inside("eos_id", ends, ids)
        first = (list(begins) or last)[:1] if prefix is None else prefix
        if prefix is None and not first:
            raise ArgumentError(
                "prefix= is missing: the model names no token that begins or ends a text, and "
                "says nothing behind nothing (prefix=[] where no context is empty)"
            )
        self._tokenizer, self._ids = tokenizer, ids
        self._prefix = np.array(inside("prefix", first, ids), np.int32)
        self._outcomes = Outcomes(tokenizer.vocab_size, last, double=double)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids the model knows."""
        return self._tokenizer

    @property
    def eos_id(self) -> int | None:
        """The id of the end of text, which stands for all where there are several."""
        return self._outcomes.end

    @property
    def prefix(self) -> NDArray[np.int32]:
        """The ids in front of every context."""
        return self._prefix.copy()

    def __copy__(self) -> Self:
        # What an engine runs is there once.
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise ArgumentTypeError(f"{type(self).__name__} is not pickled: make it where it is needed")


def check_ids(eos_id: int | Sequence[int] | None, prefix: Sequence[int] | None) -> None:
    """Raise if these are no ids of any model, before one is loaded for minutes."""
    for name, ids in {"eos_id": eos_id, "prefix": prefix}.items():
        if ids is not None:
            inside(name, ids, None)


def check_size(tokenizer: Tokenizer, ids: int) -> None:
    """Raise if a tokenizer has ids that an engine lacks."""
    if tokenizer.vocab_size > ids:
        raise ArgumentError(f"tokenizer: {tokenizer.vocab_size} ids, and the model has {ids}")


def named(*candidates: Any) -> list[int]:
    """The first of these that is an id or several, as a list; -1 is how some write none.

    >>> named(None, 3), named(None, [4, 5], 6), named(None), named(-1, 3)
    ([3], [4, 5], [], [])
    """
    for ids in candidates:
        if ids is not None:
            some = [int(ids)] if is_integer(ids) else list(ids)
            return [one for one in some if one != -1]
    return []


def first_line(error: Exception) -> str:
    r"""What an exception of another library says first.

    >>> first_line(ValueError("no such layer\n  at 3")), first_line(KeyError())
    ('no such layer', 'KeyError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]
