"""Counting the pieces of any amount of text.

Documents go to the core in batches; it cuts them into pieces and counts those in tables, one a
thread, which are sorted and merged at the end. The result depends on the documents alone: not on
threads, nor on how they are divided among files, nor on their order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bytewright import _core, arguments
from bytewright.corpus.documents import Feed, Item
from bytewright.corpus.inputs import find_sources
from bytewright.corpus.prefetch import prefetched
from bytewright.corpus.readers import Documents, Reading, read_documents
from bytewright.errors import ArgumentError
from bytewright.sizes import byte_size, whole
from bytewright.training import checkpoint as checkpoints
from bytewright.training.counts import PretokenCounts, pattern_of, steps_of
from bytewright.training.feeding import CountProgress, Feeder, reading
from bytewright.training.sources import Files, Texts, open_sources
from bytewright.training.stored import aside, map_flat

__all__ = ["count_pretokens", "counted"]

_LEAST_MEMORY: Final = 64 << 20


def count_pretokens(
    sources: Any,
    *,
    pattern: str | None,
    text_field: str = "text",
    documents: Documents = "auto",
    threads: int | None = None,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    part_bytes: int | str = 512 << 20,
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
        memory: about how much memory to use, at least 64 MiB, as a number of bytes or as `"512MB"`;
            by default as much as it takes. What does not fit goes to files in the folder for
            temporary files (`TMPDIR`), and a large result stays in a file that is mapped. A
            document that cannot be cut safely (by a pattern without a name, or by None), and one
            document of a format that gives no part of it, is held whole all the same.
        checkpoint: a folder that remembers finished parts of the input, so that the same call goes
            on where the last one was killed. It needs files as sources.
        part_bytes: bytes of text in a part; a kill loses one part at most.
        progress: called after each batch.

    Returns:
        The counts. Null documents hold no piece, and neither do empty ones.

    Raises:
        ArgumentError: an argument that no call can have.
        DataError: an input cannot be read, or a file cannot be written.
        PatternError: a pattern that the engine cannot run.
        ResumeError: the checkpoint belongs to another run; the message names what differs.
        LockedError: another process is using the checkpoint.

    >>> counts = count_pretokens(["to be", "or not to be"], pattern="gpt2")
    >>> list(counts)
    [(b' be', 2), (b' not', 1), (b' to', 1), (b'or', 1), (b'to', 1)]
    """
    how = reading(text_field, documents)
    arguments.function(progress, "progress")
    folder = None if checkpoint is None else arguments.place(checkpoint, "checkpoint")
    threads = None if threads is None else whole(threads, "threads", least=1)
    budget = None if memory is None else byte_size(memory, "memory")
    if budget is not None and budget < _LEAST_MEMORY:
        raise ArgumentError(f"memory={memory} is less than the {_LEAST_MEMORY} bytes of a run")
    size = byte_size(part_bytes, "part_bytes")
    if size < 1:
        raise ArgumentError(f"part_bytes={part_bytes} is not positive")
    run = _Run(pattern, how, threads, budget, Feeder(progress))
    opened = open_sources(sources, text_field=text_field, documents=documents)
    if folder is not None:
        if isinstance(opened, Texts):
            raise ArgumentError("a checkpoint needs files: other sources cannot be read again")
        return run.count_parts(opened, folder, size)
    return run.count(opened)


def counted(sources: Any, pattern: str, threads: int | None) -> PretokenCounts:
    """Counts as they are; anything else is counted."""
    if isinstance(sources, PretokenCounts):
        return sources
    return count_pretokens(sources, pattern=pattern, threads=threads)


class _Run:
    """What stays the same over one call."""

    def __init__(
        self,
        pattern: str | None,
        how: Reading,
        threads: int | None,
        memory: int | None,
        feeder: Feeder,
    ) -> None:
        self._pattern = pattern_of(pattern)
        self._steps = json.dumps(steps_of(pattern))
        self._how = how
        self._threads = threads
        self._memory = memory
        self._feeder = feeder

    def count(self, opened: Files | Texts) -> PretokenCounts:
        """Count everything at once."""
        if self._memory is None:
            counter = self._counter(None)
            self._feeder.everything(counter, opened, self._how)
            return PretokenCounts(counter.finish(), self._pattern)
        with aside() as folder:
            counter = self._counter(folder)
            self._feeder.everything(counter, opened, self._how)
            if not counter.is_large():
                return PretokenCounts(counter.finish(), self._pattern)
            counter.finish_files(str(folder))
            return PretokenCounts(map_flat(folder), self._pattern)

    def count_parts(self, files: Files, folder: Path, part_bytes: int) -> PretokenCounts:
        """Count part by part, each remembered in the folder."""
        checkpoints.claim(folder)
        found = find_sources(files.paths, exclude=folder)
        config = {
            "kind": "count-pretokens",
            "bytewright": _core.__version__,
            "pattern": self._pattern,
            "steps": json.loads(self._steps),
            "text_field": self._how.text_field,
            "documents": self._how.documents,
            "part_bytes": part_bytes,
            "inputs": [source.identity() for source in found],
        }
        feeder = self._feeder
        feeder.total = sum(source.size for source in found)
        with checkpoints.opened(folder, config, found) as state:
            feeder.documents = sum(part.documents for part in state.parts)
            feeder.before = sum(part.pieces for part in state.parts)
            items = read_documents(found, self._how, state.end)
            with aside(state.work) as spilled, prefetched(items) as ahead:
                waiting = Feed(ahead)
                while waiting.peek() is not None:
                    self._part(state, self._counter(spilled), waiting.part(part_bytes))
            return self._merged(state)

    def _part(
        self, state: checkpoints.Checkpoint, counter: _core.PieceCounter, items: Iterator[Item]
    ) -> None:
        feeder = self._feeder
        documents = feeder.documents
        end = feeder.items(counter, items)
        counter.finish_run(str(state.aside()))
        state.add(
            documents=feeder.documents - documents,
            pieces=feeder.pieces,
            done=feeder.done,
            end=end or state.end,
        )
        feeder.before += feeder.pieces
        feeder.pieces = 0

    def _merged(self, state: checkpoints.Checkpoint) -> PretokenCounts:
        size = sum(part.size for part in state.parts)
        # An entry takes up to 16 bytes more in memory than in a run.
        if self._memory is None or 8 * size < self._memory:
            return PretokenCounts(_core.merge_runs(state.runs), self._pattern)
        with aside(state.work) as folder:
            _core.merge_runs_to_files(state.runs, str(folder))
            return PretokenCounts(map_flat(folder), self._pattern)

    def _counter(self, folder: Path | None) -> _core.PieceCounter:
        # What is not for the tables is for the text that is read ahead, and for merging.
        budget = None if self._memory is None else (self._memory * 5 // 8, str(folder))
        return _core.PieceCounter(self._steps, self._threads, budget)
