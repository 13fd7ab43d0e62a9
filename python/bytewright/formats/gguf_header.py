"""The header of GGUF files (versions 2 and 3, little endian): keys and values, no tensors.

GGUF: magic `GGUF`, u32 version, u64 tensor count, u64 number of keys; then for each key a string,
a u32 type and the value. A string is a u64 length and that many bytes; an array is a u32 type, a
u64 count and the elements. The file is mapped, not read: what lies behind the header, which may be
tens of gigabytes, is never touched. Every length is checked against the file before it is used.
"""

import mmap
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bytewright.errors import LoadError, UnsupportedError
from bytewright.formats.fields import MAX_FILE_BYTES

__all__ = ["MAGIC", "read_header"]

MAGIC: Final = b"GGUF"
_STRING: Final = 8
_ARRAY: Final = 9
_SCALARS: Final = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
"""Struct codes of the value types."""

Value = bool | int | float | str | list[int] | list[float] | list[str] | list[bool]


def read_header(path: Path, *, wanted: Callable[[str], bool]) -> Mapping[str, Value]:
    """The values of the keys that are wanted; the others are only passed over.

    Raises:
        LoadError: the header is cut short, or a length or a type in it is impossible.
        UnsupportedError: the version is not 2 or 3, or the file is big endian.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data, str(path)).header(wanted)
    except LoadError:
        raise
    except (OSError, ValueError) as error:
        raise LoadError(f"{path}: {error}") from error


class _Reader:
    """A position in the mapped file."""

    def __init__(self, data: mmap.mmap, where: str) -> None:
        self._data = data
        self._size = min(len(data), MAX_FILE_BYTES)
        self._where = where
        self._at = 0

    def header(self, wanted: Callable[[str], bool]) -> Mapping[str, Value]:
        if self._take(4) != MAGIC:
            raise LoadError(f"{self._where}: byte 0: not the magic GGUF")
        version = self._number("I")
        if version not in (2, 3):
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            kind = "big endian" if swapped in (2, 3) else f"version {version}"
            raise UnsupportedError(f"{self._where}: GGUF {kind}: versions 2 and 3 little endian")
        self._number("Q")
        values: dict[str, Value] = {}
        for _ in range(self._number("Q")):
            start = self._at
            key = self._string()
            value = self._value(keep=wanted(key))
            if key in values:
                raise LoadError(f"{self._where}: byte {start}: the key {key!r} again")
            if value is not None:
                values[key] = value
        return values

    def _value(self, *, keep: bool) -> Value | None:
        kind = self._number("I")
        if kind == _ARRAY:
            return self._array(keep=keep)
        if keep:
            return self._string() if kind == _STRING else self._scalars(kind, 1)[0]
        self._pass(self._number("Q") if kind == _STRING else self._width(kind))
        return None

    def _array(self, *, keep: bool) -> Value | None:
        kind, count = self._number("I"), self._number("Q")
        if kind == _STRING:
            self._need(8 * count)
            if keep:
                return [self._string() for _ in range(count)]
            for _ in range(count):
                self._pass(self._number("Q"))
            return None
        if kind == _ARRAY:
            raise LoadError(f"{self._where}: byte {self._at}: an array of arrays")
        if keep:
            return self._scalars(kind, count)
        self._pass(count * self._width(kind))
        return None

    def _scalars(self, kind: int, count: int) -> list[int] | list[float]:
        size = count * self._width(kind)
        return list(struct.unpack(f"<{count}{_SCALARS[kind]}", self._take(size)))

    def _width(self, kind: int) -> int:
        if kind not in _SCALARS:
            raise LoadError(f"{self._where}: byte {self._at}: value type {kind} is not known")
        return struct.calcsize("<" + _SCALARS[kind])

    def _string(self) -> str:
        start = self._at
        try:
            return self._take(self._number("Q")).decode()
        except UnicodeDecodeError as error:
            raise LoadError(f"{self._where}: byte {start}: a string that is not UTF-8") from error

    def _number(self, code: str) -> int:
        value: int = struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0]
        return value

    def _take(self, size: int) -> bytes:
        self._need(size)
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def _pass(self, size: int) -> None:
        self._need(size)
        self._at += size

    def _need(self, size: int) -> None:
        if size > self._size - self._at:
            raise LoadError(
                f"{self._where}: byte {self._at}: {size} bytes are announced, "
                f"and {self._size - self._at} are left"
            )
