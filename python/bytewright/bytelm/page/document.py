"""The HTML of a page: text as elements that need no script, numbers as lines of JSON for one.

Everything that comes from outside is escaped or a number: names and text by `html.escape`, what the
script reads as JSON in which no `<` stands. The script makes elements and never parses HTML.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from bytewright.bytelm.page.cells import Cell, cells
from bytewright.bytelm.page.survey import Reading
from bytewright.files import saved
from bytewright.tokenizer import Tokenizer

__all__ = ["EDGES", "Numbers", "View", "write_document"]

# Where a level of colour ends, in bits: finer where models are sure.
EDGES = (0.05, 0.2, 0.5, 1.0, 2.0, 3.0, 4.5, 6.5, 9.0)

# Bytes whose numbers the script reads at a time.
_LINE = 64


class Numbers:
    """What a model says, as the file has it: a few hundred bytes for what takes a reading 7 kB.

    Attributes:
        bits: what each byte took, and the end of the text.
        records: the JSON of each reading.
        tokens: those that the records speak of, each with its number there.
    """

    __slots__ = ("bits", "records", "tokens")

    def __init__(self) -> None:
        self.bits = array("d")
        self.records: list[str] = []
        self.tokens: dict[int, int] = {}

    def add(self, reading: Reading) -> None:
        """Take in a reading, and keep nothing of it."""
        self.bits.append(reading.bits)
        self.records.append(_json(_record(reading, self.tokens)))


@dataclass(frozen=True, slots=True)
class View:
    """What one model says of the text.

    Attributes:
        name: how the page calls it.
        numbers: what it says of each byte, and of the end of the text.
        tokenizer: whose tokens the paths have, if there are any.
        cuts: where the tokens of the text's encoding begin, and its end.
        bits_per_byte: the mean over the bytes.
    """

    name: str
    numbers: Numbers
    tokenizer: Tokenizer | None
    cuts: Sequence[int] | None
    bits_per_byte: float


def write_document(path: Path, data: bytes, views: Sequence[View], title: str) -> None:
    """Write the page; the file is whole or not there."""
    shown = list(cells(data))
    with saved(path) as file:
        file.writelines(part.encode() for part in _document(data, shown, views, title))


def _document(
    data: bytes, shown: Sequence[Cell], views: Sequence[View], title: str
) -> Iterator[str]:
    style, script = (_own(name) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(title)}</h1>\n{_summary(data, views)}{_legend()}</header>\n"
        f'<main class="{"one" if len(views) == 1 else "many"}">\n<div class="views">\n'
    )
    for number, view in enumerate(views):
        yield from _text(number, view, shown)
    yield (
        '</div>\n<aside id="panel" aria-live="polite">\n<noscript>The colours need no script; what '
        "may follow each byte does.</noscript>\n</aside>\n</main>\n"
    )
    for view in views:
        yield from _numbers(view)
    about = {"text": base64.b64encode(data).decode(), "line": _LINE}
    yield f'<script type="application/json" id="about">{_json(about)}</script>\n'
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _own(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _summary(data: bytes, views: Sequence[View]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(view.name)}</th><td>{_number(view.bits_per_byte)}</td>'
        f"<td>{_number(view.bits_per_byte * len(data))}</td>"
        f"<td>{'' if view.cuts is None else f'{len(view.cuts) - 1:,}'}</td></tr>\n"
        for view in views
    )
    return (
        '<table class="summary">\n<thead><tr><th scope="col">model</th>'
        '<th scope="col">bits per byte</th><th scope="col">bits</th>'
        f'<th scope="col">tokens</th></tr></thead>\n<tbody>\n{rows}</tbody>\n'
        f"<caption>{len(data):,} bytes</caption>\n</table>\n"
    )


def _number(value: float) -> str:
    return f"{value:,.3f}" if math.isfinite(value) else "∞"


def _legend() -> str:
    swatches = "".join(
        f'<li class="h{level}">{edge:g}</li>' for level, edge in enumerate((0.0, *EDGES))
    )
    return (
        f'<div class="legend"><span id="bits">bits of a byte, from</span>'
        f'<ol aria-labelledby="bits">{swatches}</ol>'
        '<label><input type="checkbox" id="cuts" checked> token boundaries</label></div>\n'
    )


def _level(bits: float) -> int:
    return bisect_right(EDGES, bits)


def _text(number: int, view: View, shown: Sequence[Cell]) -> Iterator[str]:
    name = escape(view.name)
    yield (
        f'<section><h2>{name}</h2>\n<div class="text cuts" tabindex="0" role="group" '
        f'aria-label="Text under {name}: arrow keys go from byte to byte" data-view="{number}">'
        '<div class="line">'
    )
    levels = [_level(bits) for bits in view.numbers.bits]
    inside = set() if view.cuts is None else set(view.cuts[:-1])
    for cell in shown:
        yield _element(cell, levels[cell.start : cell.start + cell.size], inside)
        if cell.kind == "space":
            yield "<wbr>"
        elif cell.kind == "line":
            yield '</div><div class="line">'
    yield f'<b class="h{levels[-1]} end">end</b></div></div></section>\n'


def _element(cell: Cell, levels: Sequence[int], cuts: set[int]) -> str:
    classes = [f"h{max(levels)}"]
    if cell.kind != "plain":
        classes.append(cell.kind)
    if cell.rightward:
        classes.append("rtl")
    if cell.start in cuts:
        classes.append("cut")
    attributes = ""
    if cell.size > 1:
        attributes += f' data-h="{"".join(map(str, levels))}"'
        within = [at for at in range(1, cell.size) if cell.start + at in cuts]
        if within:
            attributes += f' data-cut="{",".join(map(str, within))}"'
    return f'<b class="{" ".join(classes)}"{attributes}>{escape(cell.shown)}</b>'


def _numbers(view: View) -> Iterator[str]:
    """One line about the model, then one for each stretch of bytes."""
    known, numbers = view.tokenizer, view.numbers
    table = [] if known is None else [[at, known.token_bytes(at).hex()] for at in numbers.tokens]
    yield '<script type="application/json" class="view">'
    yield _json({"name": view.name, "tokens": table})
    for start in range(0, len(numbers.records), _LINE):
        yield "\n[" + ",".join(numbers.records[start : start + _LINE]) + "]"
    yield "</script>\n"


def _record(reading: Reading, tokens: dict[int, int]) -> list[Any]:
    """Probabilities as thousandths of bits; tokens by their place in the model's table."""
    found = reading.found
    if found is None:
        return []
    outcomes: list[int | None] = []
    for outcome, p in reading.outcomes:
        outcomes += [outcome, _thousandths(p)]
    paths = [
        [_thousandths(path.share), len(path.pending)]
        + [tokens.setdefault(at, len(tokens)) for at in path.ids]
        for path in reading.paths
    ]
    millionths = [round(1e6 * share) for share in (found.lost_mass, found.error_bound)]
    bits = round(1000 * reading.bits) if math.isfinite(reading.bits) else None
    return [bits, reading.rank, round(1000 * found.entropy), *millionths, outcomes, paths]


def _thousandths(p: float) -> int | None:
    return round(-1000 * math.log2(p)) if p > 0 else None
