"""`bytewright encode` and `bytewright decode`: bytes to ids and the same bytes back."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Ids that are written at a time.
_AT_ONCE = 1 << 14

Lines = Annotated[bool, typer.Option("--lines", help="Every line is a document of its own.")]


def encode(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Files; '-' is standard input.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", "-t", help="Encode this text instead of files.")
    ] = None,
    lines: Lines = False,
    model: common.Model = None,
    pattern: common.Pattern = None,
    special: common.Special = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Write the ids of each document on a line: a file, or with --lines each of its lines.

    No id is added and special tokens are ordinary text, unless --special names them.
    """
    if text is not None and files:
        raise typer.BadParameter("give files or --text, not both")
    tokenizer = common.load(model, pattern, quiet=quiet)
    for document in _documents(files or ["-"], text, lines=lines):
        ids = tokenizer.encode_array(document, allowed_special=common.allowed(special))
        if as_json:
            _write_ids(ids, before='{"ids": [', between=", ")
            print(f'], "tokens": {len(ids)}, "bytes": {len(document)}}}')
        else:
            _write_ids(ids, before="", between=" ")
            print()


def _write_ids(ids: NDArray[np.int32], *, before: str, between: str) -> None:
    """Numbers, some at a time: Ctrl-C is looked for between, and memory stays what ids take."""
    for start in range(0, len(ids), _AT_ONCE):
        text = between.join(map(str, ids[start : start + _AT_ONCE].tolist()))
        sys.stdout.write((between if start else before) + text)
    if not len(ids):
        sys.stdout.write(before)


def _documents(files: list[str], text: str | None, *, lines: bool) -> Iterator[bytes]:
    if text is not None:
        data = common.argument_bytes(text)
        yield from _lines(data.split(b"\n")) if lines else [data]
        return
    for name in files:
        with common.opened(name) as file:
            yield from _lines(file) if lines else [file.read()]


def _lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line.removesuffix(b"\n")


def decode(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids; none: read standard input.")
    ] = None,
    file: Annotated[
        str, typer.Option("--file", "-f", help="Read ids from a file; '-' is standard input.")
    ] = "-",
    lines: Lines = False,
    model: common.Model = None,
    pattern: common.Pattern = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Write the bytes that the ids stand for, exactly, with nothing added.

    Ids are separated by white space or commas, each line is a document. With --lines a line feed
    is written after each document, so that `encode --lines | decode --lines` gives the input back.
    """
    tokenizer = common.load(model, pattern, quiet=quiet)
    for number, line in enumerate(_id_lines(ids, file), 1):
        data = tokenizer.decode_bytes(_parse(line, number))
        if as_json:
            common.write_json({"base64": base64.b64encode(data).decode(), "bytes": len(data)})
        else:
            sys.stdout.buffer.write(data + b"\n" if lines else data)


def _id_lines(ids: list[str] | None, file: str) -> Iterator[bytes]:
    if ids:
        yield " ".join(ids).encode("utf-8", "surrogateescape")
        return
    with common.opened(file) as source:
        yield from source


def _parse(line: bytes, number: int) -> list[int]:
    """The ids of a line: numbers, a JSON list, or a record that `encode --json` wrote."""
    from bytewright.errors import DataError

    if line.lstrip().startswith(b"{"):
        try:
            return [int(token_id) for token_id in json.loads(line)["ids"]]
        except (ValueError, KeyError, TypeError):
            raise DataError(f'line {number}: not a JSON object with a list "ids"') from None
    words = re.split(rb"[\s,]+", line.strip(b" \t\r\n[],"))
    for word in words:
        if word and not (word.isdigit() and len(word) < 11):
            shown = word[:40].decode("utf-8", "backslashreplace")
            raise DataError(f"line {number}: {shown!r} is not a token id")
    return [int(word) for word in words if word]
