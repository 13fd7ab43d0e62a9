"""Protocol Buffers' wire format, as much of it as SentencePiece models use.

A message is a sequence of fields: a varint key (number and wire type), then a varint, 8 bytes, a
length and that many bytes, or 4 bytes. Reading is one pass; lengths are checked before slicing.
"""

from collections.abc import Iterator
from typing import Final

from bytewright.errors import LoadError

__all__ = ["BYTES", "FIXED32", "VARINT", "fields"]

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
_FIXED_SIZES: Final = {FIXED64: 8, FIXED32: 4}


def fields(data: bytes, *, where: str, start: int = 0) -> Iterator[tuple[int, int, int | bytes]]:
    r"""Field number, wire type and value of every field; fixed sizes come as bytes.

    Args:
        data: the message.
        where: the file and the message, for errors.
        start: offset of the message in the file, for errors.

    Raises:
        LoadError: the message ends early or has a wire type that nothing writes.

    >>> list(fields(b"\x08\x05\x12\x01a", where="example"))
    [(1, 0, 5), (2, 2, b'a')]
    """
    at = 0
    end = len(data)
    while at < end:
        begin = at
        key, at = _varint(data, at, where, start)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise LoadError(f"{where}: byte {start + begin}: field number 0 is not allowed")
        if kind == VARINT:
            value, at = _varint(data, at, where, start)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, at = _varint(data, at, where, start)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise LoadError(
                f"{where}: byte {start + begin}: wire type {kind} is not one of 0 1 2 5"
            )
        if size > end - at:
            raise LoadError(
                f"{where}: byte {start + at}: field {number} has {size} bytes, "
                f"and {end - at} are left"
            )
        yield number, kind, data[at : at + size]
        at += size


def _varint(data: bytes, at: int, where: str, start: int) -> tuple[int, int]:
    value = shift = 0
    for offset in range(at, min(at + 10, len(data))):
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, offset + 1
        shift += 7
    raise LoadError(f"{where}: byte {start + at}: an integer that does not end")
