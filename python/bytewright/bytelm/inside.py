"""A place inside a token that is drawn among those that begin with given bytes."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.distribution import OUTCOMES
from bytewright.definition import SPECIAL
from bytewright.errors import DataError
from bytewright.models import TokenModel
from bytewright.models.floats import as_doubles, as_rows
from bytewright.underflow import underflow_is_zero

__all__ = ["Inside", "Names", "probabilities"]

Floats = NDArray[np.float64]


class Names:
    """The tokens that are text, by their bytes, those that begin alike side by side."""

    def __init__(self, model: TokenModel) -> None:
        tok = model.tokenizer
        text = [at for at, kind in enumerate(tok.definition.kinds) if kind and not kind & SPECIAL]
        named: list[tuple[bytes, int]] = sorted(
            (tok.token_bytes(at), at) for at in text if at != model.eos_id
        )
        self.names: list[bytes] = [name for name, _ in named]
        self.ids: NDArray[np.intp] = np.array([at for _, at in named], np.intp)

    def begin(self, start: bytes, lo: int = 0, hi: int | None = None) -> tuple[int, int]:
        """From where to where the tokens begin so."""
        hi = len(self.names) if hi is None else hi
        first = bisect_left(self.names, start, lo, hi)
        # What begins so is below the next string that is no longer, where there is one.
        stem = start.rstrip(b"\xff")
        if not stem:
            return first, hi
        above = stem[:-1] + bytes([stem[-1] + 1])
        return first, bisect_left(self.names, above, first, hi)

    def same(self, name: bytes, lo: int = 0, hi: int | None = None) -> tuple[int, int]:
        """From where to where the tokens have these bytes and no more."""
        first, last = self.begin(name, lo, hi)
        return first, bisect_left(self.names, name + b"\0", first, last)


def probabilities(model: TokenModel, context: tuple[int, ...]) -> Floats:
    """How likely each next id is, over the vocabulary and the end of text.

    Raises:
        DataError: the model gives what is no logarithm of a probability.
    """
    size, end = model.tokenizer.vocab_size, model.eos_id
    given = model.logprobs([np.array(context, np.int32)])
    row = as_doubles(as_rows(given, "the model", 1, size if end is None else max(size, end + 1)))[0]
    ends = [] if end is None else [end]
    behind = row[ends]
    row[size:], row[ends] = -np.inf, behind
    _check(row)
    return _shares(row)


@underflow_is_zero
def _shares(row: Floats) -> Floats:
    highest = row.max()
    probs: Floats = np.exp(row - highest) if highest > -np.inf else np.zeros(len(row))
    probs /= max(float(probs.sum()), 1.0)
    return probs


def _check(row: Floats) -> None:
    """Raise if numbers are none that `ByteModel` takes."""
    for name, wrong in (("NaN", np.isnan(row)), ("infinity", row == np.inf)):
        if wrong.any():
            raise DataError(f"the model's row has {name} at token id {int(wrong.argmax())}")


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """Inside a token.

    Attributes:
        names: the tokens.
        context: the tokens before it.
        read: what is read of it.
        first: where those that it may be begin.
        probs: how likely each of these is; they need not add up to 1.
    """

    names: Names
    context: tuple[int, ...]
    read: bytes
    first: int
    probs: Floats

    @property
    def mass(self) -> float:
        """What the tokens add up to."""
        return float(self.probs.sum())

    def ended(self) -> list[tuple[int, float]]:
        """The tokens that end here, and how likely each is."""
        first, last = self.names.same(self.read, self.first, self.first + len(self.probs))
        ids = self.names.ids[first:last].tolist()
        return [(at, p) for at, p in zip(ids, self.probs.tolist(), strict=False) if p]

    def going_on(self) -> Inside:
        """The same without those."""
        first, last = self.names.same(self.read, self.first, self.first + len(self.probs))
        probs = self.probs[last - first :]
        return Inside(self.names, self.context, self.read, last, probs)

    @underflow_is_zero
    def next(self) -> Floats:
        """How likely each next byte is, float64 `[257]`, where no token ends here."""
        at, last = len(self.read), self.first + len(self.probs)
        follows = [name[at] for name in self.names.names[self.first : last]]
        return np.asarray(np.bincount(follows, self.probs, OUTCOMES) / self.mass)

    def advance(self, byte: bytes) -> Inside:
        """One more byte of the token."""
        read, last = self.read + byte, self.first + len(self.probs)
        lo, hi = self.names.begin(read, self.first, last)
        return Inside(
            self.names, self.context, read, lo, self.probs[lo - self.first : hi - self.first]
        )
