"""Counting that survives a kill: finished parts of the input are on disk, with their checksums.

The input is divided into parts by its documents alone. The counts of a part are written aside as a
sorted run, synced and renamed, and then a record says so, with the run's SHA-256 and the place in
the input where the part ends. A rerun reads the records and goes on from there; it redoes one part
at most, and merges the same runs as a run that was never stopped. The folder belongs to one
configuration: pattern, options and inputs; with another one it is refused by naming what differs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bytewright import files
from bytewright.corpus.documents import Cursor
from bytewright.corpus.durable import (
    FolderLock,
    move,
    sha256_range,
    write_atomic,
    writing,
)
from bytewright.corpus.inputs import Source
from bytewright.corpus.manifest import WORK, configure, read_sealed, seal
from bytewright.errors import ArgumentError, ResumeError, VerifyError

__all__ = ["Checkpoint", "CountedPart", "claim", "opened"]

_KEPT = ("lock", "config.json")


@dataclass(frozen=True)
class CountedPart:
    """A part that is counted: its run, and where in the input it ends.

    Attributes:
        file: name of the run.
        size: bytes of the run.
        sha256: of those bytes.
        documents: documents in the part.
        pieces: pieces in the part, equal ones included.
        done: bytes of the input files read by its end.
        end: the place in the input where it ends.
    """

    file: str
    size: int
    sha256: str
    documents: int
    pieces: int
    done: int
    end: Cursor


@dataclass(frozen=True)
class Checkpoint:
    """A folder with the parts that are counted."""

    work: Path
    parts: list[CountedPart]

    @property
    def end(self) -> Cursor:
        """Where to go on."""
        return self.parts[-1].end if self.parts else Cursor()

    @property
    def runs(self) -> list[str]:
        """The runs of all parts."""
        return [str(self.work / part.file) for part in self.parts]

    def aside(self) -> Path:
        """Where the next run is written before it has its name."""
        return self.work / "run.tmp"

    def add(self, *, documents: int, pieces: int, done: int, end: Cursor) -> None:
        """Make the run that was written aside durable, and remember it."""
        number, aside = len(self.parts), self.aside()
        run = self.work / f"part-{number:05}.run"
        with writing(run), aside.open("rb+") as file:
            os.fsync(file.fileno())
        size, digest = aside.stat().st_size, sha256_range(aside)
        move(aside, run)
        part = CountedPart(run.name, size, digest, documents, pieces, done, end)
        write_atomic(self.work / f"part-{number:05}.json", seal({"part": asdict(part)}))
        self.parts.append(part)


def claim(place: Path) -> None:
    """Make the folder ours, before the inputs are looked at.

    Raises:
        ArgumentError: the folder holds something else.
        DataError: it cannot be made or written to.
    """
    work = place / WORK
    with files.writing(place):
        place.mkdir(parents=True, exist_ok=True)
        if not work.is_dir():
            if foreign := sorted(entry.name for entry in place.iterdir()):
                raise ArgumentError(
                    f"{place} is not empty and holds no counting (it has {foreign[0]!r}); "
                    "give a folder of its own"
                )
            work.mkdir()
            files.sync_folder(place)
        (work / "lock").open("ab").close()


@contextmanager
def opened(
    place: Path, config: dict[str, Any], sources: tuple[Source, ...]
) -> Iterator[Checkpoint]:
    """Go on with a folder that is claimed.

    Raises:
        ResumeError: it belongs to another run, or a part is damaged; the message says which.
        LockedError: another process is counting into it.
    """
    work = place / WORK
    with FolderLock(work / "lock"):
        configure(place, config, sources)
        parts = _recorded(work)
        _tidy(work, parts)
        yield Checkpoint(work, parts)


def _recorded(work: Path) -> list[CountedPart]:
    parts: list[CountedPart] = []
    while (record := work / f"part-{len(parts):05}.json").exists():
        try:
            value = read_sealed(record)["part"]
            part = CountedPart(**{**value, "end": Cursor.from_json(value["end"])})
        except (VerifyError, KeyError, TypeError) as error:
            raise ResumeError(f"{record}: damaged; delete the folder to start again") from error
        run = work / part.file
        if not run.exists() or sha256_range(run) != part.sha256:
            raise ResumeError(f"{run}: missing or damaged; delete the folder to start again")
        parts.append(part)
    return parts


def _tidy(work: Path, parts: list[CountedPart]) -> None:
    """Remove what a killed run was writing."""
    known = {*_KEPT, *(part.file for part in parts)}
    known.update(part.file.replace(".run", ".json") for part in parts)
    for entry in work.iterdir():
        if entry.name not in known:
            with writing(entry):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
