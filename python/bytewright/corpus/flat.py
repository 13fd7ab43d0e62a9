"""One growing file of ids without a frame: nanoGPT's `.bin`, a real `.npy`, Megatron's `.bin`.

`bin`: nothing but ids, little-endian. `npy`: the same behind a NumPy header of 128 bytes, which is
kept free and written last, when the number of ids is known; `np.load(..., mmap_mode="r")` reads it.
`megatron`: the same as `bin`, with the index of `megatron.py` beside it.

A null document leaves nothing in `bin` and `npy`, not even EOS; in `megatron` it is an empty
sequence, so documents keep their numbers.

The file grows under `.bytewright/`. A part is finished when its ids are durable and its record is
written; what lies behind the last finished part is cut off when a run resumes. Memory: one batch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bytewright.corpus.durable import HashingFile, move, write_atomic, writing
from bytewright.corpus.manifest import WORK, Part
from bytewright.corpus.megatron import build_index, sequences_of
from bytewright.corpus.policy import Encoded
from bytewright.corpus.stores import PartWriter, Written
from bytewright.errors import ResumeError
from bytewright.files import sync_folder

__all__ = ["FlatStore", "npy_header"]

_HEADER = 128
_LENGTH = 8  # bytes of one document length in the list kept aside for Megatron's index


class FlatStore:
    """A folder with one file of ids (and Megatron's index)."""

    def __init__(
        self, folder: Path, name: str, format: Literal["bin", "npy", "megatron"], dtype: str
    ) -> None:
        ending = "npy" if format == "npy" else "bin"
        self._final = folder / f"{name}.{ending}"
        self._index = folder / f"{name}.idx"
        self._aside = folder / WORK / self._final.name
        self._lengths = folder / WORK / f"{name}.lengths"
        self._format = format
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._start = _HEADER if format == "npy" else 0

    def resume(self, parts: Sequence[Part]) -> None:
        """Cut off what belongs to no finished part."""
        end = parts[-1].offset + parts[-1].size if parts else self._start
        if self._final.exists() and not self._aside.exists():
            # A run that ended between giving the final name and writing the manifest.
            if self._final.stat().st_size != end:
                raise ResumeError(f"{self._final}: not the {end} bytes of the finished parts")
        else:
            _cut(self._aside, end, fresh=not parts)
        if self._format == "megatron":
            size = _LENGTH * sum(part.documents for part in parts)
            _cut(self._lengths, size, fresh=not parts)

    def open_part(self, number: int, metadata: Mapping[str, Any]) -> PartWriter:
        """Begin a part at the end of the file."""
        lengths = self._lengths if self._format == "megatron" else None
        return _FlatWriter(self._aside, self._dtype, lengths)

    def finish(self, parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
        """Write header or index, then give the file its final name."""
        files: dict[str, dict[str, Any]] = {}
        if self._format == "npy" and self._aside.exists():
            header = npy_header(self._dtype.str, sum(part.tokens for part in parts))
            with writing(self._aside), self._aside.open("r+b") as file:
                file.write(header)
                file.flush()
                os.fsync(file.fileno())
        if self._format == "megatron":
            size = sum(part.size for part in parts)
            files[self._index.name] = build_index(self._lengths, self._index, self._dtype, size)
        if self._aside.exists():
            move(self._aside, self._final)
        return files


def npy_header(descr: str, count: int) -> bytes:
    """The header of a one-dimensional `.npy` file, padded to 128 bytes.

    >>> npy_header("<u2", 3)[10:60]
    b"{'descr': '<u2', 'fortran_order': False, 'shape': "
    """
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count},), }}"
    body = text.ljust(_HEADER - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body.encode("ascii")


def _cut(path: Path, size: int, *, fresh: bool) -> None:
    """Make a file `size` bytes long; only a fresh one may grow, by the place of its header."""
    with writing(path):
        if not path.exists():
            write_atomic(path, b"")
        found = path.stat().st_size
        if found < size and not fresh:
            raise ResumeError(f"{path}: {found} bytes, but the finished parts have {size}")
        with path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())
        sync_folder(path.parent)


class _FlatWriter:
    """Appends to the file of ids and, for Megatron, to the list of document lengths."""

    def __init__(self, path: Path, dtype: np.dtype[Any], lengths: Path | None) -> None:
        self._path = path
        self._dtype = dtype
        with writing(path):
            self._offset = path.stat().st_size
            self._file = HashingFile(path.open("ab"), path)
            self._lengths = None if lengths is None else HashingFile(lengths.open("ab"), lengths)
        self._sequences = 0
        self._open_tokens = 0

    def write(self, documents: Encoded) -> None:
        """Append whole documents."""
        self._ids(documents.values)
        self._note(np.diff(documents.offsets))

    def begin(self, name: str | None) -> None:
        """Begin a document that comes in pieces."""
        self._open_tokens = 0

    def extend(self, values: NDArray[np.int32]) -> None:
        """Append ids to it."""
        self._ids(values)
        self._open_tokens += len(values)

    def end(self) -> None:
        """End it."""
        self._note(np.array([self._open_tokens], np.int64))

    def _ids(self, values: NDArray[np.int32]) -> None:
        # No check of the range: `choose_dtype` compared the width with the vocabulary.
        self._file.write(values.astype(self._dtype).view(np.uint8).data)

    def _note(self, lengths: NDArray[np.int64]) -> None:
        self._sequences += int(sequences_of(lengths).sum())
        if self._lengths is not None:
            self._lengths.write(lengths.astype("<i8").tobytes())

    def commit(self) -> Written:
        """Make the ids durable; the record that follows makes them count."""
        if self._lengths is not None:
            self._lengths.sync()
            self._lengths.close()
        sha256 = self._file.sync()
        self._file.close()
        return Written(self._path.name, self._offset, self._file.tell(), sha256, self._sequences)

    def abandon(self) -> None:
        """Close the files; the next run cuts them off."""
        self._file.abandon()
        if self._lengths is not None:
            self._lengths.abandon()
