"""Which bytes keep a text UTF-8, one byte at a time (RFC 3629, section 4)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.distribution import END, OUTCOMES
from bytewright.utf8 import CONTINUATION, LEADS, missing, second_bytes, unfinished

__all__ = ["Utf8Constraint", "may_follow"]


@functools.lru_cache(64)
def _mask(lead: int | None, *, first: bool) -> NDArray[np.bool_]:
    mask = np.zeros(OUTCOMES, np.bool_)
    if lead is None:
        mask[:0x80] = mask[END] = True
        mask[LEADS.start : LEADS.stop] = True
    else:
        allowed = second_bytes(lead) if first else CONTINUATION
        mask[allowed.start : allowed.stop] = True
    mask.flags.writeable = False
    return mask


def may_follow(tail: bytes) -> NDArray[np.bool_]:
    r"""The outcomes that keep a text UTF-8 that ends in this unfinished character.

    Args:
        tail: what `unfinished` gives.

    Returns:
        bool `[257]`; the text may end only where no character is unfinished.

    >>> np.flatnonzero(may_follow(b"\xf4"))[[0, -1]].tolist(), bool(may_follow(b"")[256])
    ([128, 143], True)
    """
    return _mask(tail[0], first=len(tail) == 1) if tail else _mask(None, first=False)


# Bytes of the character that an outcome begins.
_SIZES = np.array([1 + missing(bytes([byte])) if byte in LEADS else 1 for byte in range(END)] + [0])


class Utf8Constraint:
    """The text goes on as UTF-8 behind the prompt, and ends where no character is unfinished."""

    __slots__ = ()

    def start(self, prompt: bytes) -> Utf8Place:
        """The place before the text."""
        return Utf8Place(unfinished(prompt))


class Utf8Place:
    """A place in a text that is UTF-8, behind the unfinished character `tail`.

    No character is begun for which there is no room.
    """

    __slots__ = ("_tail",)
    exact = True

    def __init__(self, tail: bytes) -> None:
        self._tail = tail

    def mask(self, room: int) -> NDArray[np.bool_]:
        """The outcomes that may follow, bool `[257]`."""
        if self._tail:
            return may_follow(self._tail) & (missing(self._tail) <= room)
        return may_follow(b"") & (room >= _SIZES)

    def allows(self, outcome: int) -> bool:
        """Whether an outcome may follow."""
        return bool(may_follow(self._tail)[outcome])

    def after(self, byte: int) -> Utf8Place:
        """The place after a byte."""
        return Utf8Place(unfinished(self._tail + bytes([byte])))
