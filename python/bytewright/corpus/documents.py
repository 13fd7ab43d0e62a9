"""What a reader hands on: documents in Arrow batches, long documents in pieces, and positions.

A `Cursor` names a place between two documents of the inputs. A part of the output starts at one
cursor and ends at another, so a part can be made again from the inputs alone, and the place where
a part ends depends on nothing but the inputs: not on threads, memory or timing.

A document longer than `LONG` bytes never sits in a batch: it comes as `Piece`s, so its ids are
never all in memory either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = [
    "LONG",
    "ROW_COST",
    "Batch",
    "Cursor",
    "Feed",
    "Item",
    "Piece",
    "split_long",
    "whole_texts",
]

LONG = 8 << 20
# What a document weighs besides its text, so that a part of empty documents ends too.
ROW_COST = 8


@dataclass(frozen=True)
class Cursor:
    """A place between documents.

    `file` counts input files; `at` is a byte offset (text, JSON Lines; in the decompressed text),
    a row group (Parquet) or a record batch (Arrow); `row` counts documents from there; `line`
    counts the lines before `at`.
    """

    file: int = 0
    at: int = 0
    row: int = 0
    line: int = 0

    def to_json(self) -> dict[str, int]:
        """As the manifest stores it."""
        return {"file": self.file, "at": self.at, "row": self.row, "line": self.line}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Cursor:
        """The inverse of `to_json`."""
        return cls(value["file"], value["at"], value["row"], value["line"])


@dataclass(frozen=True)
class Batch:
    """Whole documents: `texts` large_binary[n], `ids` string[n] or None, from `start` on.

    With `files` every row is a file of its own, so the row number counts files.
    `end` is where the batch ends, `done` the bytes of the input files read by then.
    """

    texts: pa.LargeBinaryArray
    ids: pa.Array | None
    start: Cursor
    end: Cursor
    done: int
    files: bool = False

    def lengths(self) -> NDArray[np.int64]:
        """Bytes of each document, 0 for null."""
        lengths = pc.binary_length(self.texts)
        return np.asarray(pc.fill_null(lengths, 0)).astype(np.int64, copy=False)

    def weight(self) -> int:
        """What the documents weigh in a part."""
        return int(self.lengths().sum()) + ROW_COST * len(self.texts)

    def split(self, rows: int) -> tuple[Batch, Batch | None]:
        """The first `rows` documents and the rest, if there is a rest."""
        if rows >= len(self.texts):
            return self, None
        middle = (
            Cursor(self.start.file + rows)
            if self.files
            else replace(self.start, row=self.start.row + rows)
        )
        head = replace(self, texts=self.texts.slice(0, rows), end=middle)
        tail = replace(self, texts=self.texts.slice(rows), start=middle)
        if self.ids is not None:
            head = replace(head, ids=self.ids.slice(0, rows))
            tail = replace(tail, ids=self.ids.slice(rows))
        return head, tail


@dataclass(frozen=True)
class Piece:
    """A piece of one long document; `end` is where the document ends, known with its last piece."""

    data: bytes | memoryview
    first: bool
    last: bool
    id: str | None
    end: Cursor
    done: int


Item = Batch | Piece


def whole_texts(items: Iterable[Item]) -> Iterator[tuple[list[bytes | None], int]]:
    """The texts of documents, and how many bytes of the input files are read by then.

    A long document is in memory as a whole; while it is read, there are no texts.
    """
    parts: list[bytes] = []
    for item in items:
        if isinstance(item, Batch):
            yield item.texts.to_pylist(), item.done
            continue
        parts.append(bytes(item.data))
        yield [b"".join(parts)] if item.last else [], item.done
        if item.last:
            parts.clear()


class Feed:
    """The items of a run, which are divided into parts."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._next: Item | None = None

    def peek(self) -> Item | None:
        """The next item, which stays; None at the end."""
        if self._next is None:
            self._next = next(self._items, None)
        return self._next

    def part(self, part_bytes: int) -> Iterator[Item]:
        """The items up to the first end of a document where the part has its bytes."""
        room = part_bytes
        inside = False
        while (room > 0 or inside) and (item := self.peek()) is not None:
            if isinstance(item, Piece):
                self._next = None
                inside = not item.last
                room -= len(item.data) + (ROW_COST if item.last else 0)
                yield item
                continue
            ends = np.cumsum(item.lengths() + ROW_COST)
            rows = min(len(ends), int(np.searchsorted(ends, room, side="left")) + 1)
            head, self._next = item.split(rows)
            room -= int(ends[rows - 1])
            yield head


def split_long(batch: Batch) -> Iterator[Item]:
    """Cut a batch into documents of at most `LONG` bytes and pieces of the longer ones."""
    rest: Batch | None = batch
    long = np.flatnonzero(batch.lengths() > LONG)
    passed = 0
    for row in long.tolist():
        assert rest is not None
        if row > passed:
            head, rest = rest.split(row - passed)
            yield head
            assert rest is not None
        one, rest = rest.split(1)
        yield from _pieces(one)
        passed = row + 1
    if rest is not None:
        yield rest


def _pieces(one: Batch) -> Iterator[Piece]:
    data = memoryview(one.texts[0].as_buffer())
    name = None if one.ids is None else one.ids[0].as_py()
    for start in range(0, len(data), LONG):
        last = start + LONG >= len(data)
        yield Piece(data[start : start + LONG], start == 0, last, name, one.end, one.done)
