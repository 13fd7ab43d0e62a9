"""Documents of every kind of input, one after the other, from any cursor on.

What a document is:

| input | document | null document |
|---|---|---|
| text, `documents="file"` (also `"auto"`) | the whole file, byte for byte | none |
| text, `documents="line"` | a line without its LF or CR LF, an empty one too | none |
| JSON Lines | the string at `text_field` of each object; blank lines are none | JSON `null` |
| Parquet, Arrow | a row of the string or binary column `text_field` | a null row |

Bytes of text and columnar files need not be UTF-8; the strings of JSON Lines that are read must be.
No document is dropped. Ids (`id_field`) come from the field or column of that name, as text: from
JSON a string, or a number or a boolean as it is written, while an object or an array is refused, as
a struct of Parquet is. A text file's are its name, or `name:line`.

Cost: one pass; memory is some blocks of 4 MiB, whatever the size of a text file. One line of JSON
and one cell of a columnar file are held whole, since their formats give no part of them (limits:
1 GiB a JSON line, 2 GiB a cell).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bytewright import _core
from bytewright.corpus.columnar import arrow_items, parquet_items
from bytewright.corpus.documents import Batch, Cursor, Item, Piece, split_long
from bytewright.corpus.inputs import Source, find_sources
from bytewright.corpus.streams import BLOCK, ByteStream, Lines, Shape, line_blocks, open_stream
from bytewright.errors import DataError

__all__ = ["Documents", "Reading", "all_documents", "read_documents"]

Documents = Literal["auto", "file", "line"]

_LINE_LIMIT = 1 << 30


@dataclass(frozen=True)
class Reading:
    """How documents are taken from files."""

    text_field: str
    id_field: str | None
    documents: Documents


def all_documents(
    inputs: Iterable[str | os.PathLike[str]], how: Reading
) -> tuple[int, Iterator[Item]]:
    """How many bytes files, folders and globs have, and all documents of them, read once."""
    found = find_sources(inputs, identified=False)
    return sum(source.size for source in found), read_documents(found, how, Cursor())


def read_documents(sources: Sequence[Source], how: Reading, start: Cursor) -> Iterator[Item]:
    """All documents from `start` on."""
    done = sum(source.size for source in sources[: start.file])
    file = start.file
    while file < len(sources):
        source = sources[file]
        at = start if file == start.file else Cursor(file)
        if source.kind == "text" and how.documents != "line":
            stop = _end_of_texts(sources, file)
            yield from _file_items(sources, how, file, stop, done)
            done += sum(one.size for one in sources[file:stop])
            file = stop
            continue
        yield from _skip(_items(source, how, at, done), at.row)
        file += 1
        done += source.size


def _items(source: Source, how: Reading, at: Cursor, done: int) -> Iterator[Item]:
    if source.kind == "parquet":
        return parquet_items(source, how.text_field, how.id_field, at, done)
    if source.kind == "arrow":
        return arrow_items(source, how.text_field, how.id_field, at, done)
    if source.kind == "jsonl":
        return _json_items(source, how, at, done)
    return _line_items(source, how, at, done)


def _skip(items: Iterator[Item], rows: int) -> Iterator[Item]:
    """Leave out the first documents; a cursor inside a block counts them from the block's start."""
    left = rows
    for item in items:
        if not left:
            yield item
        elif isinstance(item, Piece):
            left -= item.last
        elif left >= len(item.texts):
            left -= len(item.texts)
        else:
            rest = item.split(left)[1]
            left = 0
            if rest is not None:
                yield rest


def _end_of_texts(sources: Sequence[Source], file: int) -> int:
    while file < len(sources) and sources[file].kind == "text":
        file += 1
    return file


def _file_items(
    sources: Sequence[Source], how: Reading, start: int, stop: int, done: int
) -> Iterator[Item]:
    """One document a file; small files travel together."""
    texts: list[bytes] = []
    weight = 0
    for file in range(start, stop):
        source = sources[file]
        with open_stream(source) as stream:
            data = stream.read(BLOCK)
            if len(data) < BLOCK:
                texts.append(data)
                weight += len(data)
            else:
                if texts:
                    yield _files_batch(sources, how, file, texts, done)
                    texts, weight = [], 0
                yield from _file_pieces(source, how, stream, data, Cursor(file + 1), done)
        done += source.size
        # Many tiny files are bounded by number too: each costs an object besides its bytes.
        if weight >= BLOCK or len(texts) >= 4096:
            yield _files_batch(sources, how, file + 1, texts, done)
            texts, weight = [], 0
    if texts:
        yield _files_batch(sources, how, stop, texts, done)


def _files_batch(
    sources: Sequence[Source], how: Reading, stop: int, texts: list[bytes], done: int
) -> Batch:
    start = stop - len(texts)
    names = [source.name for source in sources[start:stop]]
    ids = None if how.id_field is None else pa.array(names, pa.string())
    array = pa.array(texts, pa.large_binary())
    return Batch(array, ids, Cursor(start), Cursor(stop), done, files=True)


def _file_pieces(
    source: Source, how: Reading, stream: ByteStream, data: bytes, end: Cursor, done: int
) -> Iterator[Piece]:
    name = None if how.id_field is None else source.name
    first = True
    while True:
        following = stream.read(BLOCK)
        yield Piece(data, first, not following, name, end, done + stream.consumed())
        if not following:
            return
        data, first = following, False


def _line_items(source: Source, how: Reading, at: Cursor, done: int) -> Iterator[Item]:
    named = how.id_field is not None
    with open_stream(source) as stream:
        for block in line_blocks(stream, at.at, at.line):
            start = Cursor(at.file, block.at, 0, block.line)
            end = Cursor(at.file, block.end, 0, block.line + block.count)
            read = done + stream.consumed()
            if block.shape is Shape.WHOLE:
                texts = _lines(block.data)
                names = [f"{source.name}:{block.line + row + 1}" for row in range(len(texts))]
                ids = pa.array(names, pa.string()) if named else None
                yield from split_long(Batch(texts, ids, start, end, read))
            else:
                last = block.shape is Shape.CLOSE
                data = _without_line_end(block.data) if last else block.data
                name = f"{source.name}:{block.line + 1}" if named else None
                yield Piece(data, block.shape is Shape.OPEN, last, name, end, read)


def _without_line_end(data: bytes) -> bytes:
    if data.endswith(b"\n"):
        return data[:-2] if data.endswith(b"\r\n") else data[:-1]
    return data


def _lines(data: bytes) -> pa.LargeBinaryArray:
    values = np.frombuffer(data, np.uint8)
    feeds = np.flatnonzero(values == 10)
    returns = feeds[feeds > 0] - 1
    returns = returns[values[returns] == 13]
    keep = np.ones(len(values), np.bool_)
    keep[feeds] = False
    keep[returns] = False
    kept = np.zeros(len(values) + 1, np.int64)
    np.cumsum(keep, out=kept[1:])
    ends = feeds + 1 if data.endswith(b"\n") else np.append(feeds + 1, len(values))
    offsets = np.concatenate([np.zeros(1, np.int64), kept[ends]])
    return _large_binary(values[keep], offsets, None)


def _large_binary(
    values: NDArray[np.uint8], offsets: NDArray[np.int64], valid: NDArray[np.bool_] | None
) -> pa.LargeBinaryArray:
    bits = None
    if valid is not None and not valid.all():
        bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bits, pa.py_buffer(offsets.astype(np.int64, copy=False)), pa.py_buffer(values)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _json_items(source: Source, how: Reading, at: Cursor, done: int) -> Iterator[Item]:
    with open_stream(source) as stream:
        for block in _whole_lines(source, line_blocks(stream, at.at, at.line)):
            start = Cursor(at.file, block.at, 0, block.line)
            end = Cursor(at.file, block.end, 0, block.line + block.count)
            texts = _json_field(source, block, how.text_field, names=False)
            ids = None
            if how.id_field is not None:
                ids = _json_field(source, block, how.id_field, names=True).cast(pa.string())
            if len(texts):
                yield from split_long(Batch(texts, ids, start, end, done + stream.consumed()))


def _whole_lines(source: Source, blocks: Iterator[Lines]) -> Iterator[Lines]:
    """Put the pieces of a long line together, up to the limit."""
    pieces: list[bytes] = []
    size = start = 0
    for block in blocks:
        if block.shape is Shape.WHOLE:
            yield block
            continue
        if block.shape is Shape.OPEN:
            pieces, size, start = [], 0, block.at
        pieces.append(block.data)
        size += len(block.data)
        if size > _LINE_LIMIT:
            raise DataError(
                f"{source.path}, line {block.line + 1} (byte {start}): "
                f"longer than {_LINE_LIMIT} bytes, the limit of one JSON line"
            )
        if block.shape is Shape.CLOSE:
            yield Lines(b"".join(pieces), Shape.WHOLE, start, block.end, block.line, 1)
            pieces = []


def _json_field(source: Source, block: Lines, field: str, *, names: bool) -> pa.LargeBinaryArray:
    try:
        values, offsets, valid = _core.jsonl_texts(block.data, field, block.line + 1, names)
    except DataError as error:
        raise DataError(f"{source.path}, {error} (in the block from byte {block.at})") from error
    return _large_binary(values, offsets, valid)
