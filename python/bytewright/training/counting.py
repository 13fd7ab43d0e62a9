"""Counting the pieces of any amount of text.

Documents go to the core in batches; it cuts them into pieces and counts those in tables, one a
thread, which are sorted and merged at the end. The result depends on the documents alone: not on
threads, nor on how they are divided among files, nor on their order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from bytewright import _core
from bytewright.arrays import as_batch
from bytewright.corpus.documents import Cursor, Item, Piece
from bytewright.corpus.inputs import find_sources
from bytewright.corpus.prefetch import prefetched
from bytewright.corpus.readers import Documents, Reading, read_documents
from bytewright.errors import ArgumentError
from bytewright.training.counts import PretokenCounts, pattern_of, steps_of
from bytewright.training.sources import Part, Texts, open_sources

__all__ = ["CountProgress", "Eater", "count_pretokens", "feed"]


@dataclass(frozen=True)
class CountProgress:
    """How far counting is.

    Attributes:
        bytes_done: bytes of the input files read; bytes of text, where there are no files.
        bytes_total: bytes of all input files; None where there are no files.
        documents: documents counted.
        pieces: pieces counted, equal ones included.
    """

    bytes_done: int
    bytes_total: int | None
    documents: int
    pieces: int


def count_pretokens(
    sources: Any,
    *,
    pattern: str | None,
    text_field: str = "text",
    documents: Documents = "auto",
    threads: int | None = None,
    progress: Callable[[CountProgress], object] | None = None,
) -> PretokenCounts:
    """Count the pieces that a pattern cuts texts into.

    Args:
        sources: a path, a folder or a glob, or several (text, JSON Lines, Parquet, Arrow, each
            also `.gz`, `.zst`); an iterable of `str` or `bytes`; an Arrow array of text, or
            several; an Arrow table; a binary file object. A list of `str` is a list of paths if
            the first names a file, else of texts.
        pattern: a named pattern, a regular expression, or None: each document is one piece.
        text_field: field or column that holds the text.
        documents: what a document of a text file is: `"file"` (also `"auto"`) or `"line"`, without
            its line end. It matters where a pattern looks at the end of a text.
        threads: threads for counting; by default one for each processor.
        progress: called after each batch.

    Returns:
        The counts. Null documents hold no piece, and neither do empty ones.

    Raises:
        ArgumentError: an argument that no call can have.
        DataError: an input cannot be read.
        PatternError: a pattern that the engine cannot run.

    >>> counts = count_pretokens(["to be", "or not to be"], pattern="gpt2")
    >>> list(counts)
    [(b' be', 2), (b' not', 1), (b' to', 1), (b'or', 1), (b'to', 1)]
    """
    if threads is not None and threads < 1:
        raise ArgumentError(f"threads={threads} is not positive")
    counter = _core.PieceCounter(json.dumps(steps_of(pattern)), threads)
    feed(counter, sources, text_field=text_field, documents=documents, progress=progress)
    return PretokenCounts(counter.finish(), pattern_of(pattern))


class Eater(Protocol):
    """What takes texts in batches and long texts in parts, and says how many pieces it has."""

    def push(self, chunks: Sequence[Any]) -> int: ...  # noqa: D102
    def push_part(self, part: bytes, last: bool) -> int: ...  # noqa: D102


def feed(
    counter: Eater,
    sources: Any,
    *,
    text_field: str = "text",
    documents: Documents = "auto",
    progress: Callable[[CountProgress], object] | None = None,
) -> None:
    """Give every document of the sources to a counter; arguments as for `count_pretokens`.

    Raises:
        ArgumentError: an argument that no call can have.
        DataError: an input cannot be read.
    """
    if documents not in ("auto", "file", "line"):
        raise ArgumentError(f"documents={documents!r} is not one of auto, file, line")
    opened = open_sources(sources, text_field=text_field, documents=documents)
    told = _Told(progress)
    if isinstance(opened, Texts):
        _count_texts(counter, opened, told)
    else:
        found = find_sources(opened.paths, identified=False)
        told.bytes_total = sum(source.size for source in found)
        reading = Reading(text_field, None, documents)
        with prefetched(read_documents(found, reading, Cursor())) as items:
            for item in items:
                _count_item(counter, item, told)


class _Told:
    """Adds up the progress and tells it."""

    def __init__(self, progress: Callable[[CountProgress], object] | None) -> None:
        self._progress = progress
        self.bytes_total: int | None = None
        self._documents = self._bytes = 0

    def add(self, documents: int, pieces: int, *, size: int = 0, done: int | None = None) -> None:
        """Count in a batch of `size` bytes, after which the files are read up to `done`."""
        self._documents += documents
        self._bytes = self._bytes + size if done is None else done
        if self._progress is not None:
            self._progress(CountProgress(self._bytes, self.bytes_total, self._documents, pieces))


def _count_texts(counter: Eater, texts: Texts, told: _Told) -> None:
    for batch in texts.batches:
        if isinstance(batch, Part):
            pieces = counter.push_part(batch.data, batch.last)
            told.add(int(batch.last), pieces, size=len(batch.data))
            continue
        size = batch.nbytes if isinstance(batch, pa.Array) else sum(map(len, batch))
        told.add(len(batch), counter.push(as_batch(batch).chunks), size=size)


def _count_item(counter: Eater, item: Item, told: _Told) -> None:
    if isinstance(item, Piece):
        pieces = counter.push_part(bytes(item.data), item.last)
        told.add(int(item.last), pieces, done=item.done)
    else:
        pieces = counter.push(as_batch(item.texts).chunks)
        told.add(len(item.texts), pieces, done=item.done)
