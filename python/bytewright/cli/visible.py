"""Tokens on a terminal: what cannot be seen is made visible, and boundaries never hang on colour.

A space is `·`, a tab `→`, a line feed `↵`, a carriage return `␍`, any other character that has no
picture `<U+200D>`, and a byte that is not part of a whole character `<E6>`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Cell", "paint", "visible", "width", "wrapped"]

_SIGNS = {" ": "·", "\t": "→", "\n": "↵", "\r": "␍"}

# Six pale grounds under black letters: neighbours differ for colour-blind readers too, and the
# letters can be read on a white terminal as on a black one.
_GROUNDS = ("#a6d5f2", "#ffd9a0", "#b3e3ce", "#f2c4dc", "#fff3a6", "#cfc6f0")


def visible(data: bytes) -> str:
    r"""The bytes as characters that can be seen.

    >>> visible(b" a\n"), visible("中".encode()[:2]), visible(b"\x00")
    ('·a↵', '<E4><B8>', '<00>')
    """
    text = data.decode("utf-8", "surrogateescape")
    out = "".join(_picture(char) for char in text)
    # A mark on its own would sit on the boundary before it.
    return "◌" + out if text and unicodedata.combining(text[0]) else out


def _picture(char: str) -> str:
    code = ord(char)
    if char in _SIGNS:
        return _SIGNS[char]
    if 0xDC80 <= code <= 0xDCFF:
        return f"<{code - 0xDC00:02X}>"
    if char.isprintable():
        return char
    return f"<{code:02X}>" if code < 0x80 else f"<U+{code:04X}>"


def width(text: str) -> int:
    """Columns that the text takes.

    >>> width("a中"), width("e\u0301")
    (3, 1)
    """
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) == "Me":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


@dataclass(frozen=True)
class Cell:
    """One stretch of text on one or more rows, with the token that it belongs to on each row.

    Attributes:
        rows: what stands on each row; all rows are padded to the same width.
        tokens: number of the token on each row, which chooses its colour; None is uncoloured.
        cuts: whether a boundary stands before the cell on each row.
        ends_line: whether a new line begins after the cell.
    """

    rows: Sequence[str]
    tokens: Sequence[int | None]
    cuts: Sequence[bool]
    ends_line: bool = False

    @property
    def columns(self) -> int:
        """Columns of the widest row, its separator included."""
        return max(map(width, self.rows)) + 1


def wrapped(cells: Iterable[Cell], columns: int) -> Iterator[list[Cell]]:
    """Lines of cells that fit the terminal; a cell wider than that has a line of its own."""
    line: list[Cell] = []
    used = 0
    for cell in cells:
        if line and used + cell.columns > columns:
            yield line
            line, used = [], 0
        line.append(cell)
        used += cell.columns
        if cell.ends_line:
            yield line
            line, used = [], 0
    if line:
        yield line


def paint(line: Sequence[Cell], *, colour: bool) -> list[str]:
    """The rows of a line, each with `|` at its boundaries.

    >>> line = [Cell(("a", "1"), (0, 0), (True, True)), Cell(("bc", "22"), (1, 1), (True, True))]
    >>> paint(line, colour=False)
    ['a|bc', '1|22']
    """
    rows = ["" for _ in line[0].rows]
    last = len(line) - 1
    for place, cell in enumerate(line):
        wide = cell.columns - 1
        for row, text in enumerate(cell.rows):
            padded = text if place == last else text + " " * (wide - width(text))
            token = cell.tokens[row]
            before = "" if place == 0 else "|" if cell.cuts[row] else " "
            if colour and token is not None:
                before = before if cell.cuts[row] else _ground(before, token)
                padded = _ground(padded, token)
            rows[row] += before + padded
    return rows if colour else [row.rstrip(" ") for row in rows]


def _ground(text: str, token: int) -> str:
    from rich.color import Color, ColorSystem
    from rich.style import Style

    ground = _GROUNDS[token % len(_GROUNDS)]
    style = Style(color=Color.parse("black"), bgcolor=Color.parse(ground))
    return style.render(text, color_system=ColorSystem.EIGHT_BIT) if text else ""
