"""Which bytes keep a text UTF-8, one byte at a time (RFC 3629, section 4)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.distribution import END, OUTCOMES

__all__ = ["Utf8Constraint", "may_follow", "missing", "unfinished"]

# Second bytes after a first byte that not every continuation byte may follow: longer forms than
# needed, surrogates, and what lies behind the last character.
_NARROW = {
    0xE0: range(0xA0, 0xC0),
    0xED: range(0x80, 0xA0),
    0xF0: range(0x90, 0xC0),
    0xF4: range(0x80, 0x90),
}
_CONTINUATION = range(0x80, 0xC0)
_LEADS = range(0xC2, 0xF5)


def unfinished(data: bytes | bytearray) -> bytes:
    r"""The character that the data ends inside of, as far as it goes; nothing where it ends whole.

    >>> unfinished("a中".encode()[:-1]), unfinished("a中".encode()), unfinished(b"\xe4\xff")
    (b'\xe4\xb8', b'', b'')
    """
    for size in range(1, 1 + min(3, len(data))):
        tail = bytes(data[-size:])
        if tail[0] in _LEADS:
            return tail if _goes_on(tail) else b""
    return b""


def _goes_on(tail: bytes) -> bool:
    """Whether the bytes begin a character and do not end it."""
    rest = all(byte in _CONTINUATION for byte in tail[2:])
    return len(tail) < _length(tail[0]) and rest and (len(tail) < 2 or tail[1] in _second(tail[0]))


def missing(tail: bytes) -> int:
    r"""How many bytes finish this unfinished character.

    >>> missing(b"\xe4\xb8"), missing(b"\xf0"), missing(b"")
    (1, 3, 0)
    """
    return _length(tail[0]) - len(tail) if tail else 0


def _length(lead: int) -> int:
    return 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def _second(lead: int) -> range:
    return _NARROW.get(lead, _CONTINUATION)


@functools.lru_cache(64)
def _mask(lead: int | None, *, first: bool) -> NDArray[np.bool_]:
    mask = np.zeros(OUTCOMES, np.bool_)
    if lead is None:
        mask[:0x80] = mask[END] = True
        mask[_LEADS.start : _LEADS.stop] = True
    else:
        allowed = _second(lead) if first else _CONTINUATION
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


class Utf8Constraint:
    """The text goes on as UTF-8 behind the prompt, and ends where no character is unfinished."""

    __slots__ = ()

    def start(self, prompt: bytes) -> Utf8Place:
        """The place before the text."""
        return Utf8Place(unfinished(prompt))


class Utf8Place:
    """A place in a text that is UTF-8, behind the unfinished character `tail`.

    There is room for any character: one that `max_bytes` cuts off is left out of the text.
    """

    __slots__ = ("_tail",)
    exact = True

    def __init__(self, tail: bytes) -> None:
        self._tail = tail

    def mask(self, room: int) -> NDArray[np.bool_]:
        """The outcomes that may follow, bool `[257]`."""
        return may_follow(self._tail)

    def allows(self, outcome: int) -> bool:
        """Whether an outcome may follow."""
        return bool(may_follow(self._tail)[outcome])

    def after(self, byte: int) -> Utf8Place:
        """The place after a byte."""
        return Utf8Place(unfinished(self._tail + bytes([byte])))
