"""Parquet and Arrow IPC: one row a document, one file a part.

Columns: `id` string (when `id_field` is given), `ids` list<int32>, `n_tokens` int32, `chunk` int32.
A null document is a row with null `ids` and null `n_tokens`. A document of more than 2^22 ids is
cut into consecutive rows with `chunk` 0, 1, 2, ...: a Parquet page and an Arrow list hold a row
whole, so an uncut one would need its size in memory from every later reader, and would be one call
of the compressor that nothing interrupts: 0.3 s for 2^24 ids, below 0.1 s for these. All other
documents are one row with `chunk` 0.

Row groups and record batches end at the first document that brings them to 2^22 ids or 2^18 rows,
however the documents arrived, so the bytes of a file depend on the documents alone. Parquet is
Zstandard over plain values: on English and code it was 4 to 10 % smaller than BYTE_STREAM_SPLIT or
a dictionary, and every reader knows it. Arrow is not compressed, so it can be mapped into memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bytewright.corpus.durable import HashingFile, move, writing
from bytewright.corpus.manifest import WORK, Part
from bytewright.corpus.policy import Encoded
from bytewright.corpus.stores import PartWriter, Written
from bytewright.errors import ResumeError

__all__ = ["MAX_ROW", "RowStore"]

MAX_ROW = 1 << 22
_GROUP_TOKENS = 1 << 22
_GROUP_ROWS = 1 << 18


class RowStore:
    """A folder of Parquet or Arrow files."""

    def __init__(
        self, folder: Path, name: str, format: Literal["parquet", "arrow"], *, named: bool
    ) -> None:
        self._folder = folder
        self._name = name
        self._format = format
        self._named = named

    def resume(self, parts: Sequence[Part]) -> None:
        """Delete unfinished files, check the size of finished ones."""
        for stale in (self._folder / WORK).glob("*.tmp"):
            stale.unlink()
        for part in parts:
            path = self._folder / part.file
            if not path.exists() or path.stat().st_size != part.size:
                raise ResumeError(f"{path}: a finished part, but it is missing or has another size")

    def open_part(self, number: int, metadata: Mapping[str, Any]) -> PartWriter:
        """Begin the file of a part."""
        path = self._folder / f"{self._name}-{number:05}.{self._format}"
        return _RowWriter(path, self._format, _schema(self._named, metadata))

    def finish(self, parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
        """Nothing is left to do: every part has its name."""
        return {}


def _schema(named: bool, metadata: Mapping[str, Any]) -> pa.Schema:
    fields = [pa.field("id", pa.string())] if named else []
    fields += [
        pa.field("ids", pa.list_(pa.int32())),
        pa.field("n_tokens", pa.int32()),
        pa.field("chunk", pa.int32(), nullable=False),
    ]
    return pa.schema(fields, {"bytewright": json.dumps(metadata, sort_keys=True)})


class _RowWriter:
    """Gathers rows to groups of a fixed size and writes them to one file."""

    def __init__(self, path: Path, format: Literal["parquet", "arrow"], schema: pa.Schema) -> None:
        self._path = path
        self._aside = path.parent / WORK / (path.name + ".tmp")
        self._schema = schema
        with writing(self._aside):
            self._file = HashingFile(self._aside.open("wb"), self._aside)
        self._writer = _open(format, self._file, schema)
        # Compressing takes as long as encoding, so one thread writes a group while the next one
        # is encoded; there is never more than one group under way.
        self._thread = ThreadPoolExecutor(1, "bytewright-write")
        self._under_way: Future[None] | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._tokens = 0
        self._rows = 0
        self._written = 0
        # The document that comes in pieces: its name, its ids so far, its number of rows so far.
        self._open_name: str | None = None
        self._open: list[NDArray[np.int32]] = []
        self._open_tokens = 0
        self._chunk = 0

    def write(self, documents: Encoded) -> None:
        """Append whole documents."""
        lengths = np.diff(documents.offsets)
        start = 0
        for long in np.flatnonzero(lengths > MAX_ROW).tolist():
            self._append(documents.slice(start, long))
            one = documents.slice(long, long + 1)
            self.begin(None if one.ids is None else one.ids[0].as_py())
            self.extend(one.values)
            self.end()
            start = long + 1
        self._append(documents.slice(start, len(documents)))

    def begin(self, name: str | None) -> None:
        """Begin a document that comes in pieces."""
        self._open_name, self._open, self._open_tokens, self._chunk = name, [], 0, 0

    def extend(self, values: NDArray[np.int32]) -> None:
        """Append ids; each full row is written at once."""
        while self._open_tokens + len(values) > MAX_ROW:
            room = MAX_ROW - self._open_tokens
            self._open.append(values[:room])
            self._emit()
            values = values[room:]
        self._open.append(values)
        self._open_tokens += len(values)

    def end(self) -> None:
        """Write the last row of the document."""
        self._emit()

    def _emit(self) -> None:
        values = np.concatenate([np.empty(0, np.int32), *self._open])
        name = pa.array([self._open_name], pa.string())
        offsets = np.array([0, len(values)], np.int64)
        self._append(Encoded(values, offsets, np.ones(1, np.bool_), name), self._chunk)
        self._open, self._open_tokens, self._chunk = [], 0, self._chunk + 1

    def _append(self, documents: Encoded, chunk: int = 0) -> None:
        start = 0
        while start < len(documents):
            offsets = documents.offsets
            limit = offsets[start] + _GROUP_TOKENS - self._tokens
            stop = int(np.searchsorted(offsets, limit, side="left"))
            stop = min(max(stop, start + 1), start + _GROUP_ROWS - self._rows, len(documents))
            self._waiting.append(_record(documents.slice(start, stop), chunk, self._schema))
            self._tokens += int(offsets[stop] - offsets[start])
            self._rows += stop - start
            if self._tokens >= _GROUP_TOKENS or self._rows >= _GROUP_ROWS:
                self._flush()
            start = stop

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema).combine_chunks()
        # One batch a group, so that a group's bytes do not show how its documents arrived.
        batch = table.to_batches()[0]
        self._wait()
        self._under_way = self._thread.submit(self._writer.write_batch, batch)
        self._written += self._rows
        self._waiting, self._tokens, self._rows = [], 0, 0

    def _wait(self) -> None:
        """Wait for the group under way; its failure, if any, comes out here."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def commit(self) -> Written:
        """Finish the file, make it durable and give it its name."""
        if self._waiting:
            self._flush()
        self._wait()
        self._writer.close()
        sha256 = self._file.sync()
        self._file.close()
        move(self._aside, self._path)
        self._thread.shutdown()
        return Written(self._path.name, 0, self._file.tell(), sha256, self._written)

    def abandon(self) -> None:
        """Close the file; the next run deletes it.

        A group that is being compressed is not waited for, since the caller may be ending on
        Ctrl-C: what it then writes, and the end of the file behind it, is dropped.
        """
        self._file.abandon()
        # Refused where the interpreter, or this writer, is ending anyway.
        with suppress(RuntimeError):
            self._thread.submit(_close, self._writer)
        self._thread.shutdown(wait=False)


def _open(format: Literal["parquet", "arrow"], file: HashingFile, schema: pa.Schema) -> Any:
    if format == "arrow":
        return pa.ipc.new_file(pa.PythonFile(file, mode="w"), schema)
    dictionary = [name for name in ("n_tokens", "chunk") if name in schema.names]
    return pq.ParquetWriter(
        pa.PythonFile(file, mode="w"),
        schema,
        compression="zstd",
        use_dictionary=dictionary,
        write_page_checksum=True,
    )


def _close(writer: Any) -> None:
    with suppress(pa.ArrowException, OSError, ValueError):
        writer.close()


def _record(documents: Encoded, chunk: int, schema: pa.Schema) -> pa.RecordBatch:
    lengths = np.diff(documents.offsets).astype(np.int32)
    missing = ~documents.valid
    offsets = pa.array(documents.offsets.astype(np.int32), pa.int32())
    lists = pa.ListArray.from_arrays(
        offsets,
        pa.array(documents.values, pa.int32()),
        mask=pa.array(missing) if missing.any() else None,
    )
    columns = [
        lists,
        pa.array(lengths, pa.int32(), mask=missing),
        pa.array(np.full(len(documents), chunk, np.int32)),
    ]
    if schema.names[0] == "id":
        columns.insert(0, documents.ids)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
