"""What the corpus tests share: a small vocabulary, input files of every kind, plain readers."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

import bytewright as bw

EOT = "<|endoftext|>"
MERGES = [
    (b"t", b"h"),
    (b"th", b"e"),
    (b"a", b"n"),
    (b" ", b"th"),
    (b"i", b"n"),
    (b"\xc3", b"\xa9"),
]
FORMATS = ("parquet", "arrow", "megatron", "bin", "npy")
KINDS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet", "parquet.gz", "arrow", "arrow.zst", "stream")

Texts = Sequence[str | None]
# A list for each document, or all ids in a row.
Stored = Any


def small_tokenizer(merges: Sequence[tuple[bytes, bytes]] = MERGES) -> bw.Tokenizer:
    """All bytes, some merges, one special token; enough for ids that depend on their neighbours."""
    return bw.Tokenizer.from_merges(merges, pattern="gpt2", special_tokens=[EOT])


def pack(data: bytes, ending: str) -> bytes:
    """Compress as the ending says."""
    if ending.endswith(".gz"):
        return gzip.compress(data, mtime=0)
    return zstandard.compress(data) if ending.endswith(".zst") else data


def write_input(folder: Path, kind: str, texts: Texts) -> Path:
    """Write texts as one file of a kind, with an `id` beside each."""
    table = pa.table(
        {"id": [f"d{i}" for i in range(len(texts))], "text": pa.array(texts, pa.string())}
    )
    inner = kind.split(".")[0]
    path = folder / f"input.{'arrow' if inner == 'stream' else kind}"
    sink = pa.BufferOutputStream()
    if inner == "jsonl":
        rows = [json.dumps(row, ensure_ascii=False) for row in table.to_pylist()]
        data = "".join(f"{row}\n" for row in rows).encode()
    elif inner == "parquet":
        pq.write_table(table, sink, row_group_size=7)
        data = sink.getvalue().to_pybytes()
    else:
        make = pa.ipc.new_stream if inner == "stream" else pa.ipc.new_file
        with make(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
        data = sink.getvalue().to_pybytes()
    path.write_bytes(pack(data, kind))
    return path


def read_rows(folder: Path, format: str) -> pa.Table:
    """All rows of a Parquet or Arrow folder, the parts in order."""
    files = sorted(folder.glob(f"train-*.{format}"))
    if format == "parquet":
        return pa.concat_tables([pq.read_table(file) for file in files])
    return pa.concat_tables([pa.ipc.open_file(file).read_all() for file in files])


def read_megatron(prefix: Path) -> tuple[list[list[int]], list[int], list[int]]:
    """Sequences, pointers and document indices, straight from the published layout."""
    index = prefix.with_suffix(".idx").read_bytes()
    magic, version, code, sequences, boundaries = struct.unpack_from("<9sQBQQ", index)
    assert (magic, version) == (b"MMIDIDX\x00\x00", 1)
    dtype = {8: "<u2", 4: "<i4"}[code]
    lengths = np.frombuffer(index, "<i4", sequences, 34)
    pointers = np.frombuffer(index, "<i8", sequences, 34 + 4 * sequences)
    documents = np.frombuffer(index, "<i8", boundaries, 34 + 12 * sequences)
    assert len(index) == 34 + 12 * sequences + 8 * boundaries
    data = prefix.with_suffix(".bin").read_bytes()
    found = [
        np.frombuffer(data, dtype, length, pointer).tolist()
        for length, pointer in zip(lengths.tolist(), pointers.tolist(), strict=True)
    ]
    assert sum(lengths.tolist()) * np.dtype(dtype).itemsize == len(data)
    return found, pointers.tolist(), documents.tolist()


def stored_ids(folder: Path, format: str) -> Stored:
    """What a folder holds: a list for each document, or all ids in a row for flat files."""
    if format in ("parquet", "arrow"):
        rows: list[list[int] | None] = read_rows(folder, format)["ids"].to_pylist()
        return rows
    if format == "megatron":
        return [list(ids) for ids in read_megatron(folder / "train")[0]]
    if format == "npy":
        flat: list[int] = np.load(folder / "train.npy").tolist()
        return flat
    return list(np.fromfile(folder / "train.bin", "<u2").tolist())


def expected_ids(
    tokenizer: bw.Tokenizer,
    texts: Sequence[str | bytes | None],
    format: str,
    eos: Sequence[int] = (),
) -> Stored:
    """The same from `tokenizer.encode`, one document at a time."""
    lists = [None if text is None else tokenizer.encode(text) for text in texts]
    if format in ("parquet", "arrow"):
        return lists
    if format == "megatron":
        return [ids or [] for ids in lists]
    return [token for ids in lists for token in ids or []]


def snapshot(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by relative name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
