"""The file of an n-gram model: one array behind a header, to be mapped.

    16 bytes   b"bytewright ngram"
     4 bytes   version, 1
     4 bytes   length of the header
    header     JSON, filled up with spaces to a multiple of 64 bytes with all before it
    array      u32
    32 bytes   SHA-256 of everything before

Numbers are little-endian. Loading reads everything once, for the checksum, and keeps nothing of it
but the mapping, which processes share.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright.errors import DataError
from bytewright.files import reading, saved

__all__ = ["FIELDS", "read", "write"]

FIELDS: Final = {"documents", "eos_id", "fingerprint", "ids", "sizes", "stream", "width"}
"""What a header says of a model."""

_MAGIC: Final = b"bytewright ngram"
_VERSION: Final = 1
_ALIGNED: Final = 64
_DIGEST: Final = 32
_BLOCK: Final = 1 << 24


def write(path: Path, header: dict[str, Any], words: NDArray[np.uint32]) -> None:
    """Write a file that is whole or absent.

    Raises:
        DataError: it cannot be written.
    """
    data = words.astype("<u4", copy=False).view(np.uint8).data
    digest = hashlib.sha256()
    with saved(path) as file:
        file.write(start := _start(header))
        digest.update(start)
        for at in range(0, len(data), _BLOCK):
            file.write(data[at : at + _BLOCK])
            digest.update(data[at : at + _BLOCK])
        file.write(digest.digest())


def _start(header: dict[str, Any]) -> bytes:
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-(len(_MAGIC) + 8 + len(text)) % _ALIGNED)
    return _MAGIC + _VERSION.to_bytes(4, "little") + len(text).to_bytes(4, "little") + text


def read(path: Path) -> tuple[dict[str, Any], NDArray[np.uint32]]:
    """The header and the array, mapped.

    Raises:
        DataError: no such file, another kind of file, a newer version, or a damaged file.
    """
    with reading(path), path.open("rb") as file:
        known = file.read(len(_MAGIC)) == _MAGIC
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if known else None
    if mapped is None:
        raise DataError(f"{path}: not an n-gram model")
    at = len(_MAGIC) + 8
    version = int.from_bytes(mapped[at - 8 : at - 4], "little")
    if version != _VERSION and len(mapped) >= at:
        raise DataError(f"{path}: version {version} of n-gram models; {_VERSION} is known")
    begin, end = at + int.from_bytes(mapped[at - 4 : at], "little"), len(mapped) - _DIGEST
    if begin > end or begin % _ALIGNED or (end - begin) % 4 or not _intact(mapped):
        raise DataError(f"{path}: damaged: its checksum does not hold")
    header = _header(path, mapped[at:begin])
    words = np.frombuffer(mapped, "<u4", (end - begin) // 4, begin)
    return header, words.astype(np.uint32, copy=False)


def _header(path: Path, text: bytes) -> dict[str, Any]:
    """The header; a checksum that holds does not tell who wrote it."""
    try:
        header = json.loads(text)
        sizes = [header[name] for name in ("documents", "eos_id", "ids", "stream", "width")]
        known = all(type(size) is int and 0 <= size < 1 << 63 for size in sizes + header["sizes"])
    except (ValueError, TypeError, KeyError, RecursionError):
        known = False
    if not known or header.keys() != FIELDS:
        raise DataError(f"{path}: damaged: a header of an n-gram model has {sorted(FIELDS)}")
    return dict(header)


def _intact(mapped: mmap.mmap) -> bool:
    digest, end = hashlib.sha256(), len(mapped) - _DIGEST
    with memoryview(mapped) as view:
        for at in range(0, end, _BLOCK):
            digest.update(view[at : min(at + _BLOCK, end)])
    return digest.digest() == mapped[end:]
