"""The loop of a run: fill a part with documents, make it durable, remember it, take the next.

Documents are gathered to batches that keep every thread of the tokenizer busy; a document in pieces
goes through the tokenizer's stream encoder, so neither its text nor its ids are ever whole in
memory. How documents are gathered changes nothing in the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bytewright.corpus.documents import Batch, Cursor, Feed, Item, Piece
from bytewright.corpus.inputs import Source
from bytewright.corpus.manifest import Part, write_record
from bytewright.corpus.policy import CorpusTokenizer, Policy, StreamEncoder
from bytewright.corpus.prefetch import prefetched
from bytewright.corpus.stores import PartWriter, Store

__all__ = ["Job", "Progress"]


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        bytes_done: bytes of the input files read, those of earlier runs included.
        bytes_total: bytes of all input files.
        documents: documents encoded by this run.
        tokens: ids written by this run.
        part: number of the part being written.
    """

    bytes_done: int
    bytes_total: int
    documents: int
    tokens: int
    part: int


@dataclass(frozen=True)
class Job:
    """What stays the same over all parts of a run."""

    tokenizer: CorpusTokenizer
    policy: Policy
    store: Store
    work: Path
    config: dict[str, Any]
    sources: tuple[Source, ...]
    threads: int | None
    progress: Callable[[Progress], object] | None

    def run(self, parts: list[Part], items: Iterator[Item], part_bytes: int, memory: int) -> None:
        """Write the parts that are missing, appending each to `parts`."""
        batch_bytes = max(1 << 20, memory // 32)
        first = len(parts)
        with prefetched(items) as ahead:
            feed = Feed(ahead)
            # Inputs without a document still make one part, so that the output can be opened.
            while feed.peek() is not None or not parts:
                number, start = len(parts), parts[-1].end if parts else Cursor()
                part = _PartRun(self, feed, number, start, parts[first:])
                parts.append(part.make(part_bytes, batch_bytes))
                write_record(self.work, number, parts[-1])

    def metadata(self, number: int, start: Cursor) -> dict[str, Any]:
        """What a file of rows says about itself."""
        names = [source.name for source in self.sources[start.file : start.file + 1]]
        kept = {
            key: self.config[key] for key in ("bytewright", "tokenizer", "policy", "text_field")
        }
        return {**kept, "part": number, "first_source": names[0] if names else None}


class _PartRun:
    """The making of one part."""

    def __init__(
        self, job: Job, feed: Feed, number: int, start: Cursor, before: list[Part]
    ) -> None:
        self._job = job
        self._feed = feed
        self._number = number
        self._start = start
        self._at = start
        self._done = 0
        self._documents = self._nulls = self._tokens = self._text_bytes = 0
        self._earlier = (sum(p.documents for p in before), sum(p.tokens for p in before))
        self._total = sum(source.size for source in job.sources)
        self._stream: StreamEncoder | None = None

    def make(self, part_bytes: int, batch_bytes: int) -> Part:
        """Encode documents until the part is full, then make it durable."""
        writer = self._job.store.open_part(
            self._number, self._job.metadata(self._number, self._start)
        )
        try:
            self._fill(writer, part_bytes, batch_bytes)
            written = writer.commit()
        except BaseException:
            writer.abandon()
            raise
        return Part(
            file=written.file,
            offset=written.offset,
            size=written.size,
            sha256=written.sha256,
            documents=self._documents,
            nulls=self._nulls,
            rows=written.rows,
            tokens=self._tokens,
            text_bytes=self._text_bytes,
            start=self._start,
            end=self._at,
        )

    def _fill(self, writer: PartWriter, part_bytes: int, batch_bytes: int) -> None:
        gathered: list[Batch] = []
        weight = 0
        for item in self._feed.part(part_bytes):
            if isinstance(item, Piece):
                self._batches(writer, gathered)
                gathered, weight = [], 0
                self._piece(writer, item)
                continue
            gathered.append(item)
            weight += item.weight()
            if weight >= batch_bytes:
                self._batches(writer, gathered)
                gathered, weight = [], 0
        self._batches(writer, gathered)

    def _batches(self, writer: PartWriter, batches: list[Batch]) -> None:
        if not batches:
            return
        texts = pa.chunked_array([batch.texts for batch in batches])
        lists = self._job.tokenizer.encode_batch(texts, threads=self._job.threads)
        ids = None
        if batches[0].ids is not None:
            ids = pa.concat_arrays([batch.ids for batch in batches])
        encoded = self._job.policy.apply(lists, ids)
        writer.write(encoded)
        self._documents += len(encoded)
        self._nulls += int(np.count_nonzero(~encoded.valid))
        self._tokens += len(encoded.values)
        self._text_bytes += sum(int(batch.lengths().sum()) for batch in batches)
        self._reached(batches[-1].end, batches[-1].done)

    def _piece(self, writer: PartWriter, piece: Piece) -> None:
        if piece.first:
            self._stream = self._job.tokenizer.stream_encoder()
            writer.begin(piece.id)
            self._extend(writer, np.array(self._job.policy.bos, np.int32))
        assert self._stream is not None
        self._extend(writer, self._stream.push(bytes(piece.data)))
        self._text_bytes += len(piece.data)
        if piece.last:
            self._extend(writer, self._stream.finish())
            self._extend(writer, np.array(self._job.policy.eos, np.int32))
            writer.end()
            self._documents += 1
            self._stream = None
        self._reached(piece.end if piece.last else self._at, piece.done)

    def _extend(self, writer: PartWriter, values: NDArray[np.int32]) -> None:
        writer.extend(values)
        self._tokens += len(values)

    def _reached(self, at: Cursor, done: int) -> None:
        self._at, self._done = at, done
        if self._job.progress is not None:
            documents, tokens = self._earlier
            self._job.progress(
                Progress(
                    bytes_done=done,
                    bytes_total=self._total,
                    documents=documents + self._documents,
                    tokens=tokens + self._tokens,
                    part=self._number,
                )
            )
