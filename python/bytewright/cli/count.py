"""`bytewright count`: tokens of files, like `wc`."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common

if TYPE_CHECKING:
    from bytewright.tokenizer import Tokenizer


@dataclass(frozen=True)
class Row:
    """The count of one file; `over` says that it stopped at the limit."""

    name: str
    tokens: int
    bytes: int
    over: bool = False


def count(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Files; '-' is standard input.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Stop at more than N tokens in all.")
    ] = None,
    model: common.Model = None,
    pattern: common.Pattern = None,
    special: common.Special = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Count the tokens of each file and of all: tokens, bytes, name.

    Files are read in blocks, so their size does not matter. With --limit, reading stops as soon as
    there are more tokens than that, and the count is written with a '>'.
    """
    tokenizer = common.load(model, pattern, quiet=quiet)
    rows: list[Row] = []
    for name in files or ["-"]:
        left = None if limit is None else limit - sum(row.tokens for row in rows)
        row = _count(tokenizer, name, common.allowed(special), left)
        rows.append(row)
        if not as_json:
            _print(row)
        if row.over:
            break
    total = Row("total", sum(r.tokens for r in rows), sum(r.bytes for r in rows), rows[-1].over)
    if as_json:
        common.write_json({"files": [asdict(row) for row in rows], "total": asdict(total)})
    elif len(rows) > 1:
        _print(total)


def _count(tokenizer: Tokenizer, name: str, special: list[str] | str, limit: int | None) -> Row:
    encoder = tokenizer.stream_encoder(allowed_special=special)
    tokens = size = 0
    with common.opened(name) as file:
        while block := file.read(common.BLOCK):
            tokens += len(encoder.push(block))
            size += len(block)
            if limit is not None and tokens > limit:
                return Row(name, limit, size, over=True)
    tokens += len(encoder.finish())
    if limit is not None and tokens > limit:
        return Row(name, limit, size, over=True)
    return Row(name, tokens, size)


def _print(row: Row) -> None:
    tokens = f">{row.tokens}" if row.over else str(row.tokens)
    print(f"{tokens:>10} {row.bytes:>12}  {row.name}")
    sys.stdout.flush()
