"""Megatron's `.idx`: where each sequence of the `.bin` is and which sequences a document has.

Layout (all little-endian), as Megatron-Core's `IndexedDataset` reads it:

    9 bytes   b"MMIDIDX" and two zeros
    u64       version, 1
    u8        code of the id type: 8 for uint16, 4 for int32
    u64       S, number of sequences
    u64       D, number of document boundaries: documents + 1
    i32[S]    length of each sequence, in ids
    i64[S]    byte offset of each sequence in the .bin
    i64[D]    number of sequences before each document; the last is S

One document is one sequence, unless it has more ids than an int32 counts; then it is several.
Where no document has an id, the `.bin` is empty: Megatron-Core, which maps it into memory, cannot
open that.
The index is made at the end from a list of document lengths, in one pass a column: memory is one
block, whatever the number of documents.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright.corpus.durable import HashingFile, move, writing
from bytewright.corpus.manifest import WORK
from bytewright.errors import ResumeError, VerifyError

__all__ = ["build_index", "check_index", "sequences_of"]

_MAGIC = b"MMIDIDX\x00\x00"
_HEAD = struct.Struct("<9sQBQQ")
_CODES = {"<u2": 8, "<i4": 4}
_MAX_SEQUENCE = 2**31 - 1
_BLOCK = 1 << 17


def sequences_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of sequences of documents with so many ids: one, or more past 2^31 - 1 ids."""
    return np.maximum(1, -(-lengths // _MAX_SEQUENCE))


def build_index(lengths: Path, index: Path, dtype: np.dtype[Any], size: int) -> dict[str, Any]:
    """Write the index durably from the document lengths; returns its size and SHA-256."""
    documents = sequences = tokens = 0
    for block in _blocks(lengths):
        documents += len(block)
        sequences += int(sequences_of(block).sum())
        tokens += int(block.sum())
    if tokens * dtype.itemsize != size:
        raise ResumeError(f"{lengths}: lengths of {tokens} ids, but {size} bytes of ids")
    aside = index.parent / WORK / (index.name + ".tmp")
    with writing(aside):
        file = HashingFile(aside.open("wb"), aside)
    with closing(file):
        _write_columns(file, lengths, dtype, sequences, documents)
        sha256 = file.sync()
    move(aside, index)
    return {"size": file.tell(), "sha256": sha256}


def _write_columns(
    file: HashingFile, lengths: Path, dtype: np.dtype[Any], sequences: int, documents: int
) -> None:
    """Write the header and the three columns, each in one pass over the lengths."""
    file.write(_HEAD.pack(_MAGIC, 1, _CODES[dtype.str], sequences, documents + 1))
    for block in _blocks(lengths):
        file.write(_cut(block).astype("<i4").tobytes())
    offset = 0
    for block in _blocks(lengths):
        cut = _cut(block) * dtype.itemsize
        file.write((offset + np.cumsum(cut) - cut).astype("<i8").tobytes())
        offset += int(cut.sum())
    file.write(struct.pack("<q", 0))
    before = 0
    for block in _blocks(lengths):
        ends = before + np.cumsum(sequences_of(block))
        file.write(ends.astype("<i8").tobytes())
        before = int(ends[-1])


def check_index(index: Path, data: Path) -> None:
    """Check an index against its `.bin`: Megatron itself opens a cut `.bin` without a word.

    Raises:
        VerifyError: the two do not belong together.
    """
    size = index.stat().st_size
    with index.open("rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise VerifyError(f"{index}: {size} bytes, shorter than an index header")
        magic, version, code, sequences, documents = _HEAD.unpack(head)
        if magic != _MAGIC or version != 1 or code not in _CODES.values():
            raise VerifyError(f"{index}: not a Megatron index of uint16 or int32 ids")
        if size != _HEAD.size + 12 * sequences + 8 * documents:
            raise VerifyError(f"{index}: {size} bytes do not hold {sequences} sequences")
        tokens = 0
        for start in range(0, sequences, _BLOCK):
            block = np.frombuffer(file.read(4 * min(_BLOCK, sequences - start)), "<i4")
            tokens += int(block.sum(dtype=np.int64))
    itemsize = 2 if code == _CODES["<u2"] else 4
    if tokens * itemsize != data.stat().st_size:
        raise VerifyError(
            f"{data}: {data.stat().st_size} bytes, but its index counts {tokens} ids of {itemsize}"
        )


def _blocks(lengths: Path) -> Iterator[NDArray[np.int64]]:
    with lengths.open("rb") as file:
        while data := file.read(8 * _BLOCK):
            yield np.frombuffer(data, "<i8")


def _cut(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lengths of the sequences of documents with so many ids."""
    if (lengths <= _MAX_SEQUENCE).all():
        return lengths
    counts = sequences_of(lengths)
    out = np.full(int(counts.sum()), _MAX_SEQUENCE, np.int64)
    out[np.cumsum(counts) - 1] = lengths - (counts - 1) * _MAX_SEQUENCE
    return out
