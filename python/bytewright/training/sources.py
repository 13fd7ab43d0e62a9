"""What a source of text is, and its documents in batches.

| source | documents |
|---|---|
| a `str` or a path: a file, a folder or a glob | those of the file, as `encode_corpus` reads them |
| several paths | of one file after the other |
| an iterable of `str` or `bytes` | each item; None is none |
| an Arrow array of text, or several | each row; null is none |
| an Arrow table or record batch | each row of the column `text_field` |
| a binary file object | the whole of it, or its lines with `documents="line"` |

A list of `str` holds paths if its first item names a file, a folder or a glob that matches, and
texts otherwise. A list that mixes the two is refused, and so is one whose first item ends like a
corpus file that is not there: the name of a file is no text. `pathlib.Path` is always a path and
`bytes` always a text.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa

from bytewright.arrays import decoded
from bytewright.corpus.readers import Documents
from bytewright.errors import ArgumentError, ArgumentTypeError, DataError
from bytewright.files import absent

__all__ = ["Files", "Part", "Texts", "open_sources"]

# Text that is gathered before it is counted.
GATHERED = 8 << 20
_BLOCK = 4 << 20
_ENDINGS = (
    ".txt", ".jsonl", ".ndjson", ".parquet", ".pq", ".arrow", ".feather", ".ipc", ".gz", ".zst",
    ".zstd",
)  # fmt: skip
_LONGEST_NAME = 4096
# Made once: the union of two types is a new object wherever it is written.
_TEXT = (str, bytes)


@dataclass(frozen=True)
class Files:
    """Paths, as given."""

    paths: tuple[str | os.PathLike[str], ...]


@dataclass(frozen=True)
class Texts:
    """Batches of texts: lists of objects, or Arrow arrays; and parts of long texts."""

    batches: Iterator[Any]


@dataclass(frozen=True)
class Part:
    """A part of one long text; `last` ends the text."""

    data: bytes
    last: bool


def open_sources(sources: Any, *, text_field: str, documents: Documents) -> Files | Texts:
    """Say what the sources are; nothing but the first item of an iterable is read.

    Raises:
        ArgumentTypeError: something that is no source of text.
        ArgumentError: a list that mixes paths and texts.
        DataError: the name of a file that is not there.
    """
    if isinstance(sources, str | os.PathLike):
        return Files((sources,))
    if isinstance(sources, bytes | bytearray | memoryview):
        raise ArgumentTypeError("one text is no source: put it into a list")
    if (array := _arrow(sources, text_field)) is not None:
        return Texts(_rows(array))
    if hasattr(sources, "read"):
        return Texts(_stream(sources, documents))
    if not isinstance(sources, Iterable):
        raise ArgumentTypeError(f"{type(sources).__name__} is no source of text")
    items = iter(sources)
    first = next(items, None)
    if isinstance(first, os.PathLike) or (isinstance(first, str) and _is_path(first)):
        return Files(tuple(map(_path, chain([first], items))))
    if isinstance(first, str) and first.endswith(_ENDINGS) and not any(map(str.isspace, first)):
        told = f"{first}: no such file or folder (to count it as text, pass bytes)"
        raise DataError(told) from absent(first)
    return Texts(_batches(chain([first], items) if first is not None else items, text_field))


def _is_path(item: str) -> bool:
    if not item or len(item) > _LONGEST_NAME or "\0" in item or "\n" in item:
        return False
    return os.path.exists(item) or (glob.has_magic(item) and any(glob.iglob(item, recursive=True)))


def _path(item: Any) -> str | os.PathLike[str]:
    if isinstance(item, os.PathLike):
        return item
    if isinstance(item, str) and _is_path(item):
        return item
    raise ArgumentError(
        f"{item if isinstance(item, str) else type(item).__name__!s:.100} is not the name of a "
        "file, but the items before it are: give paths, or bytes for texts"
    )


def _arrow(item: Any, text_field: str) -> pa.Array | pa.ChunkedArray | None:
    """The texts of something that is Arrow's, or None."""
    if isinstance(item, pa.Table | pa.RecordBatch):
        if item.schema.names.count(text_field) != 1:
            raise DataError(f"one column {text_field!r} is needed: there are {item.schema.names}")
        return item.column(text_field)
    if isinstance(item, pa.Array | pa.ChunkedArray):
        return item
    if hasattr(item, "__arrow_c_array__"):
        return pa.array(item)
    return pa.chunked_array(item) if hasattr(item, "__arrow_c_stream__") else None


def _rows(array: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Slices of about equal bytes, so that progress is told and Ctrl-C answered."""
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    for chunk in chunks:
        rows = max(1, len(chunk) * GATHERED // max(1, chunk.nbytes))
        for start in range(0, len(chunk), rows):
            yield decoded(chunk.slice(start, rows))


def _batches(items: Iterator[Any], text_field: str) -> Iterator[Any]:
    """Lists of texts of about equal bytes; arrays as they come."""
    gathered: list[Any] = []
    weight = 0
    for item in items:
        if isinstance(item, _TEXT):
            gathered.append(item)
            weight += len(item) + 64
            if weight >= GATHERED:
                yield gathered
                gathered, weight = [], 0
        elif item is not None:
            array = _arrow(item, text_field)
            if array is None:
                raise ArgumentTypeError(
                    f"{type(item).__name__} is no text: str, bytes, None and Arrow arrays are"
                )
            yield from _rows(array)
    if gathered:
        yield gathered


def _stream(file: Any, documents: Documents) -> Iterator[Any]:
    """A binary file: its whole as one text, or its lines."""
    if documents == "line":
        lines = (line.removesuffix(b"\n").removesuffix(b"\r") for line in file)
        yield from _batches(lines, "")
        return
    while block := file.read(_BLOCK):
        if isinstance(block, str):
            raise ArgumentTypeError("a file opened as text: open it in binary mode")
        yield Part(block, last=False)
    yield Part(b"", last=True)
