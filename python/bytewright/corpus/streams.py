"""Bytes of an input file, decompressed on the way, and blocks of whole lines cut from them.

Gzip files may have several members (RFC 1952) and zeros behind each, which tools that fill up
blocks leave there; Zstandard, which pyarrow reads, several frames, skippable ones too (RFC 8878). A
cut or damaged stream is an error. Memory: one block, or one line where a line is longer than that.
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import IO, Any

import pyarrow as pa

from bytewright.corpus.documents import LONG
from bytewright.corpus.inputs import Source
from bytewright.errors import DataError

__all__ = [
    "BLOCK",
    "ByteStream",
    "Lines",
    "Shape",
    "line_blocks",
    "open_stream",
    "reading",
    "seekable",
]

BLOCK = 4 << 20

# Bytes of a gzip file that are unpacked at a time, and how zlib is told that it is one.
_PACKED = 64 << 10
_GZIP = 16 + zlib.MAX_WBITS


@contextmanager
def reading(source: Source, where: str = "") -> Iterator[None]:
    """Name the file, and the place in it, in what pyarrow or the system says about reading it."""
    try:
        yield
    except (OSError, zlib.error, pa.ArrowException) as error:
        place = f"{source.path}{', ' if where else ''}{where}"
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{place}: {reason}") from error


class _Gunzip:
    """The text of a gzip file, member after member.

    Not pyarrow's: it takes zeros behind a member for another one.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._packed = b""
        self._member = zlib.decompressobj(_GZIP)

    def read(self, size: int) -> bytes:
        """Some bytes of text, up to `size`; none at the end."""
        while not self._member.eof or self._next():
            # The last bytes of text may come without any of the file.
            packed = self._packed or self._file.read(_PACKED)
            text = self._member.decompress(packed, size)
            ended = self._member.eof
            self._packed = self._member.unused_data if ended else self._member.unconsumed_tail
            if text:
                return text
            if not packed and not ended:
                raise OSError("Truncated compressed stream")
        return b""

    def _next(self) -> bool:
        """Go on to the next member, behind any zeros, if there is one."""
        packed = self._packed.lstrip(b"\0")
        while not packed and (block := self._file.read(_PACKED)):
            packed = block.lstrip(b"\0")
        if packed:
            self._packed, self._member = packed, zlib.decompressobj(_GZIP)
        return bool(packed)


def _unpacked(file: Any, codec: str | None) -> Any:
    if codec is None:
        return file
    return _Gunzip(file) if codec == "gzip" else pa.CompressedInputStream(file, codec)


class ByteStream:
    """The decompressed bytes of one file, with the offset in them and the bytes of file read."""

    def __init__(self, source: Source, file: Any, stream: Any) -> None:
        self._source = source
        self._file = file
        self._stream = stream
        self.offset = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end of the file."""
        parts: list[bytes] = []
        left = size
        with reading(self._source, f"after byte {self.offset} of its text"):
            while left and (data := self._stream.read(left)):
                parts.append(data)
                left -= len(data)
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        self.offset += len(whole)
        return whole

    def skip(self, offset: int) -> None:
        """Go forward to an offset; a compressed stream is read up to there."""
        if self._source.codec is None:
            self._stream.seek(offset)
            self.offset = offset
        while self.offset < offset:
            if not self.read(min(BLOCK, offset - self.offset)):
                raise DataError(f"{self._source.path}: ends before byte {offset} of its text")

    def consumed(self) -> int:
        """Bytes of the file itself that were read."""
        return min(int(self._file.tell()), self._source.size)


@contextmanager
def open_stream(source: Source) -> Iterator[ByteStream]:
    """Open a text or JSON Lines file, compressed or not."""
    source.check_unchanged()
    with reading(source):
        file = pa.OSFile(source.encoded, "rb")
    with file:
        # An empty file has no gzip or zstd header; it is taken as empty text.
        codec = source.codec if source.size else None
        with reading(source):
            stream = _unpacked(file, codec)
        yield ByteStream(source, file, stream)


@contextmanager
def seekable(source: Source) -> Iterator[Any]:
    """Open a columnar file, which is read in any order; a compressed one is unpacked first."""
    source.check_unchanged()
    if source.codec is None:
        with reading(source):
            # Only Arrow gains from a mapping: its batches are then used where they are.
            mapped = source.kind == "arrow" and source.size > 0
            file = pa.memory_map(source.encoded) if mapped else pa.OSFile(source.encoded)
        with file:
            yield file
        return
    with tempfile.TemporaryFile(prefix="bytewright-") as aside:
        _unpack(source, aside)
        yield pa.PythonFile(aside, mode="r")


def _unpack(source: Source, aside: IO[bytes]) -> None:
    with reading(source), pa.OSFile(source.encoded, "rb") as file:
        shutil.copyfileobj(_unpacked(file, source.codec), aside, BLOCK)
    aside.seek(0)


class Shape(Enum):
    """What a block of `line_blocks` holds."""

    WHOLE = "whole lines"
    OPEN = "the start of a long line"
    MORE = "the middle of a long line"
    CLOSE = "the end of a long line"


@dataclass(frozen=True)
class Lines:
    """Bytes from `at` to `end`, with the number of lines before them and in them."""

    data: bytes
    shape: Shape
    at: int
    end: int
    line: int
    count: int


def line_blocks(stream: ByteStream, at: int, line: int) -> Iterator[Lines]:
    """Blocks of whole lines; a line longer than `LONG` comes in pieces.

    The last byte of a piece that does not end its line is held back to the next piece, so that the
    two bytes of a CR LF always come together.

    A read ends at a multiple of `BLOCK` in the text, wherever the first one begins, so the blocks
    from a place on are those of a reader that came by it.
    """
    stream.skip(at)
    held = b""
    inside = False
    while data := stream.read(BLOCK - stream.offset % BLOCK):
        data = held + data if held else data
        held = b""
        if inside:
            cut = data.find(b"\n") + 1
            if not cut:
                yield Lines(data[:-1], Shape.MORE, at, at + len(data) - 1, line, 0)
                at, held = at + len(data) - 1, data[-1:]
                continue
            yield Lines(data[:cut], Shape.CLOSE, at, at + cut, line, 1)
            at, line, inside, data = at + cut, line + 1, False, data[cut:]
        cut = data.rfind(b"\n") + 1
        if cut:
            count = data.count(b"\n")
            yield Lines(data[:cut], Shape.WHOLE, at, at + cut, line, count)
            at, line, data = at + cut, line + count, data[cut:]
        if len(data) > LONG:
            yield Lines(data[:-1], Shape.OPEN, at, at + len(data) - 1, line, 0)
            at, held, inside = at + len(data) - 1, data[-1:], True
        else:
            held = data
    if held or inside:
        shape = Shape.CLOSE if inside else Shape.WHOLE
        yield Lines(held, shape, at, at + len(held), line, 1)
