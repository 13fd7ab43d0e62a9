"""Documents of Parquet and Arrow files: rows of one string or binary column.

A Parquet row group is read page by page, an Arrow file is mapped into memory; neither is ever
loaded whole. Columns of any string or binary type, dictionaries and views included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bytewright.corpus.documents import Batch, Cursor, Item, split_long
from bytewright.corpus.inputs import Source
from bytewright.corpus.streams import BLOCK, reading, seekable
from bytewright.errors import DataError

__all__ = ["arrow_items", "parquet_items"]


def parquet_items(
    source: Source, text_field: str, id_field: str | None, at: Cursor, done: int
) -> Iterator[Item]:
    """Documents of a Parquet file from row group `at.at` on."""
    with seekable(source) as file:
        with reading(source):
            table = pq.ParquetFile(
                file, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
            )
            schema = table.schema_arrow
        columns = _columns(source, schema, text_field, id_field)
        groups = table.num_row_groups
        for group in range(at.at, groups):
            rows = _rows_a_batch(table, group)
            batches = table.iter_batches(rows, row_groups=[group], columns=columns)
            read = done + source.size * (group + 1) // groups
            start = Cursor(at.file, group)
            yield from _items(source, batches, text_field, id_field, start, read)


def arrow_items(
    source: Source, text_field: str, id_field: str | None, at: Cursor, done: int
) -> Iterator[Item]:
    """Documents of an Arrow file or stream from record batch `at.at` on."""
    with seekable(source) as file:
        with reading(source):
            schema, batches = _open_arrow(file)
        _columns(source, schema, text_field, id_field)
        for number in range(10**18):
            with reading(source, f"record batch {number}"):
                batch = next(batches, None)
            if batch is None:
                return
            if number < at.at:
                continue
            start = Cursor(at.file, number)
            read = done + min(int(file.tell()), source.size)
            yield from _items(source, iter([batch]), text_field, id_field, start, read)


def _open_arrow(file: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    magic = file.read(6)
    file.seek(0)
    if magic == b"ARROW1":
        whole = pa.ipc.open_file(file)
        return whole.schema, (whole.get_batch(i) for i in range(whole.num_record_batches))
    stream = pa.ipc.open_stream(file)
    return stream.schema, iter(stream)


def _items(
    source: Source,
    batches: Iterator[pa.RecordBatch],
    text_field: str,
    id_field: str | None,
    start: Cursor,
    done: int,
) -> Iterator[Item]:
    """The documents of one row group; `start` moves on with each batch."""
    group = "row group" if source.kind == "parquet" else "record batch"
    row = 0
    while True:
        with reading(source, f"row {row} of {group} {start.at}"):
            record = next(batches, None)
            if record is None:
                return
            texts = _binary(record.column(text_field))
            ids = None if id_field is None else _names(record.column(id_field))
        for begin, stop in _slices(texts):
            here = Cursor(start.file, start.at, row + begin)
            upto = Cursor(start.file, start.at, row + stop)
            part = texts.slice(begin, stop - begin)
            names = None if ids is None else ids.slice(begin, stop - begin)
            yield from split_long(Batch(part, names, here, upto, done))
        row += len(texts)


def _rows_a_batch(table: pq.ParquetFile, group: int) -> int:
    metadata = table.metadata.row_group(group)
    rows = int(metadata.num_rows) * BLOCK // max(1, int(metadata.total_byte_size))
    return max(1, min(65536, rows))


def _slices(texts: pa.LargeBinaryArray) -> Iterator[tuple[int, int]]:
    lengths = np.asarray(pc.fill_null(pc.binary_length(texts), 0)).astype(np.int64)
    ends = np.cumsum(lengths + 1)
    start = 0
    while start < len(texts):
        base = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, base + BLOCK, side="right")))
        yield start, stop
        start = stop


def _columns(source: Source, schema: pa.Schema, text_field: str, id_field: str | None) -> list[str]:
    wanted = [text_field] if id_field is None else list(dict.fromkeys([text_field, id_field]))
    for name in wanted:
        if schema.names.count(name) != 1:
            how = "no column" if name not in schema.names else "several columns"
            raise DataError(f"{source.path}: {how} {name!r}; it has {', '.join(schema.names)}")
    kind = schema.field(text_field).type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (_is_text(inner) or pa.types.is_null(inner)):
        raise DataError(f"{source.path}: column {text_field!r} is {kind}, not text or binary")
    return wanted


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
    )


def _binary(column: pa.Array) -> pa.LargeBinaryArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.large_binary())


def _names(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())
