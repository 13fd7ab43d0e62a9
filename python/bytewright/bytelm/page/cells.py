"""A text cut into what is shown as one: characters with their marks, signs, bytes.

A cell is a character with the marks that sit on it, a sequence of emoji that joiners make one, a
sign for what cannot be seen, or a byte that is part of no character. Letters are not cut from the
letters that they join with: a browser shapes across the elements that cells become.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Cell", "Kind", "cells"]

Kind = Literal["plain", "space", "line", "control", "raw"]

_SIGNS: dict[str, tuple[str, Kind]] = {
    " ": ("·", "space"),
    "\t": ("→", "space"),
    "\n": ("↵", "line"),
    "\r": ("␍", "space"),
}
_JOINER, _NON_JOINER = "\u200d", "\u200c"
_FLAGS = range(0x1F1E6, 0x1F200)
_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
# A pile of marks is cut here, so that no cell grows with the text.
_MOST_CHARS = 16


@dataclass(frozen=True, slots=True)
class Cell:
    """A stretch of the text.

    Attributes:
        start: its first byte.
        size: how many bytes it has.
        shown: what stands for it.
        kind: `"plain"` characters, the sign of white space (`"line"` ends a line), the code of a
            character without a picture (`"control"`), or of a byte that is no UTF-8 (`"raw"`).
        rightward: whether it is written from the right to the left.
    """

    start: int
    size: int
    shown: str
    kind: Kind
    rightward: bool = False


def cells(data: bytes) -> Iterator[Cell]:
    r"""The cells of a text, which need not be UTF-8; together they are the text.

    >>> [(cell.size, cell.shown) for cell in cells("a é\n".encode() + b"\xff")]
    [(1, 'a'), (1, '·'), (2, 'é'), (1, '↵'), (1, 'FF')]
    """
    start, gathered = 0, ""
    for char in data.decode("utf-8", "surrogateescape"):
        if gathered and not _goes_with(gathered, char):
            cell = _cell(start, gathered)
            yield cell
            start, gathered = start + cell.size, ""
        gathered += char
    if gathered:
        yield _cell(start, gathered)


def _goes_with(before: str, char: str) -> bool:
    """Whether a character is shown as one with those before it."""
    last, code = before[-1], ord(char)
    if len(before) >= _MOST_CHARS or not (before[0].isprintable() and before[0] != " "):
        return False
    if unicodedata.category(char).startswith("M") or char in (_JOINER, _NON_JOINER):
        return True
    if code in _TONES or code in _TAGS:
        return True
    if last == _JOINER:
        return unicodedata.category(char) in ("So", "Lo")
    if code in _FLAGS:
        return len(before) == 1 and ord(last) in _FLAGS
    # A letter behind the sign that takes a vowel away melts into the one before it.
    return unicodedata.combining(last) == 9 and unicodedata.category(char) == "Lo"


def _cell(start: int, chars: str) -> Cell:
    size = len(chars.encode("utf-8", "surrogateescape"))
    first = chars[0]
    if first in _SIGNS:
        return Cell(start, size, *_SIGNS[first])
    code = ord(first)
    if 0xDC80 <= code <= 0xDCFF:
        return Cell(start, size, f"{code - 0xDC00:02X}", "raw")
    if not first.isprintable():
        return Cell(start, size, f"{code:02X}" if code < 0x80 else f"U+{code:04X}", "control")
    if unicodedata.category(first).startswith("M"):
        chars = "◌" + chars
    return Cell(start, size, chars, "plain", unicodedata.bidirectional(first) in ("R", "AL"))
