"""`bytewright show`: the tokens of a text, one vocabulary or several side by side.

Ids and boundaries stay in arrays, and what is written is made of a stretch of them at a time: so
memory is what these take, and Ctrl-C is answered between two stretches.
"""

from __future__ import annotations

import functools
import itertools
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bytewright.cli import common
from bytewright.cli.visible import Cell, paint, visible, wrapped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Tokens, and bytes of text, that are looked at together.
_TOKENS = 1 << 14
_BYTES = 1 << 16

# What JSON puts between two values, and what a list of them ends in.
_NEXT = ", "


@dataclass(frozen=True)
class View:
    """A text as one vocabulary cuts it: token `i` is `text[bounds[i]:bounds[i + 1]]`."""

    name: str
    ids: NDArray[np.int32]
    bounds: NDArray[np.int64]
    tokenizer: Any

    def tokens(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Ids, where their tokens begin and end, and their bytes."""
        known = functools.lru_cache(_TOKENS)(self.tokenizer.token_bytes)
        for start in range(0, len(self.ids), _TOKENS):
            numbers = self.ids[start : start + _TOKENS].tolist()
            bounds = self.bounds[start : start + _TOKENS + 1].tolist()
            for number, begin, end in zip(numbers, bounds[:-1], bounds[1:], strict=True):
                yield number, begin, end, known(number)


def show(
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Text; several are joined by a space."),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", "-f", help="Read the text from a file, or '-'.")
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="PATH",
            help="Vocabulary; repeat it to compare.",
            readable=False,
        ),
    ] = None,
    pattern: common.Pattern = None,
    special: common.Special = None,
    ids: Annotated[bool, typer.Option("--ids", help="Write the ids below the tokens.")] = False,
    differences: Annotated[
        bool, typer.Option("--differences", help="Only the places where vocabularies differ.")
    ] = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Show the tokens of a text, in colour where the terminal has it.

    Spaces and control characters are made visible (· → ↵), bytes of a divided character are
    written <E6>. With several -m the vocabularies stand below each other, aligned on bytes.
    """
    data = _text(text, file)
    paths: list[Path | None] = [*model] if model else [None]
    views = [_view(common.load(path, pattern, quiet=quiet), path, data, special) for path in paths]
    if as_json:
        for part in _json(data, views):
            sys.stdout.write(part)
    elif differences:
        _print_differences(data, views)
    elif len(views) == 1:
        _print_one(data, views[0], ids=ids)
    else:
        _print_aligned(data, views, ids=ids)


def _text(words: list[str] | None, file: str | None) -> bytes:
    if words and file:
        raise typer.BadParameter("give a text or --file, not both")
    if words and words != ["-"]:
        return b" ".join(map(common.argument_bytes, words))
    if file is None and not words and sys.stdin.isatty():
        raise typer.BadParameter("give a text, or --file FILE, or pipe a text in")
    return common.read(file or "-")


def _view(tokenizer: Any, path: Path | None, data: bytes, special: list[str] | None) -> View:
    ids, offsets = tokenizer.encode_offsets(data, allowed_special=common.allowed(special))
    return View(common.shown_name(path), ids, offsets, tokenizer)


def _print_one(data: bytes, view: View, *, ids: bool) -> None:
    cells = (
        Cell(
            rows=(visible(token), str(number)) if ids else (visible(token),),
            tokens=(place, None),
            cuts=(True, True),
            ends_line=token.endswith(b"\n"),
        )
        for place, (number, _, _, token) in enumerate(view.tokens())
    )
    _print_cells(cells, blank=ids)
    print(_summary(data, view))


def _print_aligned(data: bytes, views: Sequence[View], *, ids: bool) -> None:
    for letter, view in zip(_letters(views), views, strict=True):
        print(f"{letter}  {view.name}: {_summary(data, view)}")
    print()
    labels = [row for letter in _letters(views) for row in ([letter, " "] if ids else [letter])]
    _print_cells(_aligned(data, views, ids=ids), labels=labels, blank=True)


def _aligned(data: bytes, views: Sequence[View], *, ids: bool) -> Iterator[Cell]:
    """One cell for each stretch between neighbouring boundaries of any of the vocabularies."""
    for (start, tokens, first), (end, _, _) in itertools.pairwise(_cuts(views)):
        rows: list[str] = []
        owners: list[int | None] = []
        bounds: list[bool] = []
        for view, token, own in zip(views, tokens, first, strict=True):
            rows.append(visible(data[start:end]))
            owners.append(token)
            bounds.append(own)
            if ids:
                rows.append(str(view.ids[token]) if own else "")
                owners.append(None)
                bounds.append(own)
        yield Cell(rows, owners, bounds, data[start:end].endswith(b"\n"))


def _cuts(views: Sequence[View]) -> Iterator[tuple[int, list[int], list[bool]]]:
    """Where any vocabulary cuts: the token there of each, and whether it is a boundary of its."""
    import numpy as np

    for start in range(0, int(views[0].bounds[-1]) + 1, _BYTES):
        parts = [np.searchsorted(view.bounds, [start, start + _BYTES]) for view in views]
        own = [view.bounds[a:b] for view, (a, b) in zip(views, parts, strict=True)]
        every = np.unique(np.concatenate(own))
        first = np.stack([np.isin(every, cuts) for cuts in own], axis=1)
        tokens = np.stack([_over(view, every) for view in views], axis=1)
        yield from zip(every.tolist(), tokens.tolist(), first.tolist(), strict=True)


def _over(view: View, places: NDArray[np.int64]) -> NDArray[np.intp]:
    """The token over each place, the last one over the end of the text."""
    found = view.bounds.searchsorted(places, side="right") - 1
    return found.clip(0, max(0, len(view.ids) - 1))


def regions(views: Sequence[View]) -> Iterator[tuple[int, int]]:
    """Stretches between boundaries common to all, inside which the vocabularies cut differently."""
    begin, differs = 0, False
    for cut, _, first in _cuts(views):
        if not all(first):
            differs = True
            continue
        if differs:
            yield begin, cut
        begin, differs = cut, False


def _print_differences(data: bytes, views: Sequence[View]) -> None:
    found = 0
    for start, end in regions(views):
        found += 1
        print(f"byte {start}")
        for letter, view in zip(_letters(views), views, strict=True):
            parts = _cut(data, view, start, end)
            print(f"  {letter}  {'|'.join(map(visible, parts))}")
    names = ", ".join(f"{x} {v.name}" for x, v in zip(_letters(views), views, strict=True))
    print(f"{common.plural(found, 'difference')} ({names})")


def _cut(data: bytes, view: View, start: int, end: int) -> list[bytes]:
    first, last = view.bounds.searchsorted([start, end]).tolist()
    inside = [*dict.fromkeys([start, *view.bounds[first:last].tolist(), end])]
    return [data[a:b] for a, b in itertools.pairwise(inside)]


def _print_cells(cells: Iterator[Cell], *, labels: Sequence[str] = (), blank: bool = False) -> None:
    colour = common.colour_wanted()
    margin = 3 if labels else 0
    columns = shutil.get_terminal_size((100, 24)).columns - margin
    for number, line in enumerate(wrapped(cells, columns)):
        if blank and number:
            print()
        for row, text in enumerate(paint(line, colour=colour)):
            print(f"{labels[row]}  {text}" if labels else text)


def _summary(data: bytes, view: View) -> str:
    tokens, size = len(view.ids), len(data)
    ratio = f", {size / tokens:.2f} bytes a token" if tokens else ""
    return f"{common.plural(tokens, 'token')}, {common.plural(size, 'byte')}{ratio}"


def _letters(views: Sequence[View]) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(views)]


def _json(data: bytes, views: Sequence[View]) -> Iterator[str]:
    """One JSON value on one line, in parts."""
    yield f'{{"bytes": {len(data)}, "vocabularies": ['
    for at, view in enumerate(views):
        name = json.dumps(view.name, ensure_ascii=False)
        yield f'{_NEXT if at else ""}{{"name": {name}, "tokens": ['
        yield from _listed(
            {"id": number, "start": start, "end": end, "text": visible(token)}
            for number, start, end, token in view.tokens()
        )
        yield "]}"
    yield '], "differences": ['
    yield from _listed({"start": start, "end": end} for start, end in regions(views))
    yield "]}\n"


def _listed(values: Iterator[object]) -> Iterator[str]:
    for at, value in enumerate(values):
        yield (_NEXT if at else "") + json.dumps(value, ensure_ascii=False)
