"""`bytewright show`: the tokens of a text, one vocabulary or several side by side."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bytewright.cli import common
from bytewright.cli.visible import Cell, paint, visible, wrapped


@dataclass(frozen=True)
class View:
    """A text as one vocabulary cuts it: token `i` is `text[bounds[i]:bounds[i + 1]]`."""

    name: str
    ids: list[int]
    tokens: list[bytes]
    bounds: list[int]


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
        typer.Option("--model", "-m", metavar="PATH", help="Vocabulary; repeat it to compare."),
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
        common.write_json(_record(data, views))
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
    numbers = ids.tolist()
    tokens = [tokenizer.token_bytes(number) for number in numbers]
    return View(common.shown_name(path), numbers, tokens, offsets.tolist())


def _print_one(data: bytes, view: View, *, ids: bool) -> None:
    cells = (
        Cell(
            rows=(visible(token), str(number)) if ids else (visible(token),),
            tokens=(place, None),
            cuts=(True, True),
            ends_line=token.endswith(b"\n"),
        )
        for place, (token, number) in enumerate(zip(view.tokens, view.ids, strict=True))
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
    cuts = [set(view.bounds) for view in views]
    every = sorted(set().union(*cuts))
    places = [_Walk(view) for view in views]
    for start, end in itertools.pairwise(every):
        rows: list[str] = []
        tokens: list[int | None] = []
        bounds: list[bool] = []
        for walk, own in zip(places, cuts, strict=True):
            token = walk.at(start)
            first = start in own
            rows.append(visible(data[start:end]))
            tokens.append(token)
            bounds.append(first)
            if ids:
                rows.append(str(walk.view.ids[token]) if first else "")
                tokens.append(None)
                bounds.append(first)
        yield Cell(rows, tokens, bounds, data[start:end].endswith(b"\n"))


class _Walk:
    """Finds the token over each of a rising row of positions."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.place = 0

    def at(self, position: int) -> int:
        bounds = self.view.bounds
        while self.place + 2 < len(bounds) and bounds[self.place + 1] <= position:
            self.place += 1
        return self.place


def regions(views: Sequence[View]) -> Iterator[tuple[int, int]]:
    """Stretches between boundaries common to all, inside which the vocabularies cut differently."""
    cuts = [set(view.bounds) for view in views]
    common_cuts = sorted(set.intersection(*cuts))
    every = sorted(set().union(*cuts) - set(common_cuts))
    place = 0
    for start, end in itertools.pairwise(common_cuts):
        inside = 0
        while place < len(every) and every[place] < end:
            place += 1
            inside += 1
        if inside:
            yield start, end


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
    inside = [start, *(cut for cut in dict.fromkeys(view.bounds) if start < cut < end), end]
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


def _record(data: bytes, views: Sequence[View]) -> dict[str, object]:
    return {
        "bytes": len(data),
        "vocabularies": [
            {
                "name": view.name,
                "tokens": [
                    {"id": number, "start": start, "end": end, "text": visible(token)}
                    for number, token, start, end in zip(
                        view.ids, view.tokens, view.bounds, view.bounds[1:], strict=False
                    )
                ],
            }
            for view in views
        ],
        "differences": [{"start": start, "end": end} for start, end in regions(views)],
    }
