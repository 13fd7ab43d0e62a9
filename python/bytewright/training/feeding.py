"""Documents of any sources on their way to what counts them, and how far that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from bytewright import arguments
from bytewright.arrays import as_batch
from bytewright.corpus.documents import Cursor, Item, Piece
from bytewright.corpus.prefetch import prefetched
from bytewright.corpus.readers import Documents, Reading, all_documents
from bytewright.training.sources import Files, Part, Texts, open_sources

__all__ = ["CountProgress", "Eater", "Feeder", "feed", "reading"]


@dataclass(frozen=True)
class CountProgress:
    """How far counting is.

    Attributes:
        bytes_done: bytes of the input files read; without files, the length of the texts.
        bytes_total: bytes of all input files; None where there are no files.
        documents: documents counted.
        pieces: pieces counted, equal ones included.
    """

    bytes_done: int
    bytes_total: int | None
    documents: int
    pieces: int


class Eater(Protocol):
    """What takes texts in batches and long texts in parts, and says how many pieces it has."""

    def push(self, chunks: Sequence[Any]) -> int: ...  # noqa: D102
    def push_part(self, part: bytes, last: bool) -> int: ...  # noqa: D102


def reading(text_field: str, documents: Documents) -> Reading:
    """How documents are taken from files.

    Raises:
        ArgumentError: `documents` is none of its three values.
        ArgumentTypeError: `text_field` is no text.
    """
    arguments.word(documents, "documents", ("auto", "file", "line"))
    arguments.text(text_field, "text_field")
    return Reading(text_field, None, "file" if documents == "auto" else documents)


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
    how = reading(text_field, documents)
    opened = open_sources(sources, text_field=text_field, documents=documents)
    Feeder(progress).everything(counter, opened, how)


class Feeder:
    """Gives documents to counters, and tells the progress.

    Attributes:
        total: bytes of all input files; None where there are no files.
        done: bytes of them that are read; the length of the texts, where there are no files.
        documents: documents counted.
        before: pieces of earlier counters.
        pieces: pieces of this counter.
    """

    def __init__(self, progress: Callable[[CountProgress], object] | None) -> None:
        self._progress = progress
        self.total: int | None = None
        self.done = self.documents = self.before = self.pieces = 0

    def everything(self, counter: Eater, opened: Files | Texts, how: Reading) -> None:
        """All documents of the sources."""
        if isinstance(opened, Texts):
            self.texts(counter, opened.batches)
            return
        self.total, documents = all_documents(opened.paths, how)
        with prefetched(documents) as items:
            self.items(counter, items)

    def texts(self, counter: Eater, batches: Iterable[Any]) -> None:
        """Batches of texts, and parts of long ones."""
        for batch in batches:
            if isinstance(batch, Part):
                self.pieces = counter.push_part(batch.data, batch.last)
                self._tell(int(batch.last), self.done + len(batch.data))
            else:
                self.pieces = counter.push(as_batch(batch).chunks)
                size = batch.nbytes if isinstance(batch, pa.Array) else sum(map(len, batch))
                self._tell(len(batch), self.done + size)

    def items(self, counter: Eater, items: Iterable[Item]) -> Cursor | None:
        """Documents of files; where they end, or None when there are none."""
        end = None
        for item in items:
            end = item.end
            if isinstance(item, Piece):
                self.pieces = counter.push_part(bytes(item.data), item.last)
                self._tell(int(item.last), item.done)
            else:
                self.pieces = counter.push(as_batch(item.texts).chunks)
                self._tell(len(item.texts), item.done)
        return end

    def _tell(self, documents: int, done: int) -> None:
        """Note that so many documents are counted, up to a place in the input."""
        self.documents += documents
        self.done = done
        if self._progress is not None:
            pieces = self.before + self.pieces
            self._progress(CountProgress(done, self.total, self.documents, pieces))
