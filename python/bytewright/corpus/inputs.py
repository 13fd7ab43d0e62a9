"""Which files a corpus is, in which order, and how a changed file is noticed.

Order: as given; a glob or a folder is expanded in byte order of the paths, so the same files give
the same corpus on every machine. A folder means every file under it except hidden ones (names that
start with `.` or `_`) and the output folder itself. Links to folders are followed, as globs do;
a folder that is reached in several ways is read once, under its own path where it has one there, so
links that lead round in circles end. The ending decides the kind:

    .jsonl .ndjson           JSON Lines
    .parquet .pq             Parquet
    .arrow .feather .ipc     Arrow IPC, file or stream
    anything else            text

each also with `.gz`, `.zst` or `.zstd` behind it. The name of a file need not be UTF-8: in the
manifest, and where it is an id, a byte that is not stands as Python's `backslashreplace` has it.

Identity of a file: its size and a SHA-256. Up to 64 MiB the hash is of every byte; of a larger file
it is of 64 blocks of 1 MiB spread evenly from the first to the last, because reading a terabyte
before the first document would double the work; while a run is unfinished such a file's time of
modification must not change either. The time never reaches the manifest.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bytewright.errors import ArgumentError, ArgumentTypeError, DataError
from bytewright.files import absent, reading

__all__ = ["Kind", "Source", "find_sources"]

Kind = Literal["text", "jsonl", "parquet", "arrow"]

_KINDS: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_CODECS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_WHOLE = 64 << 20
_SAMPLES = 64
_SAMPLE = 1 << 20


@dataclass(frozen=True)
class Source:
    """One input file: where it is, its name in the manifest, its kind and its identity."""

    path: Path
    name: str
    kind: Kind
    codec: str | None
    size: int
    sha256: str
    modified_ns: int

    @property
    def encoded(self) -> bytes:
        """The path in the bytes that the system knows, which pyarrow opens where a str has none."""
        return os.fsencode(self.path)

    @property
    def sampled(self) -> bool:
        """Whether the hash covers blocks of the file and not all of it."""
        return self.size > _WHOLE

    def identity(self) -> dict[str, Any]:
        """What the manifest says about the file."""
        found: dict[str, Any] = {"name": self.name, "size": self.size, "sha256": self.sha256}
        return found | ({"sampled": True} if self.sampled else {})

    def check_unchanged(self) -> None:
        """Refuse a file that was written to after the run looked at it."""
        with reading(self.path):
            now = self.path.stat()
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_ns):
            raise DataError(f"{self.path}: changed while it was being read")


def find_sources(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    exclude: Path | None = None,
    identified: bool = True,
) -> tuple[Source, ...]:
    """Expand paths, globs and folders into files with their identity; reads each file once.

    Where nothing will be resumed, files need not be `identified`: they are not read, and have no
    SHA-256.

    Raises:
        ArgumentError: no input at all, or a file given twice.
        ArgumentTypeError: something that is no path.
        DataError: an input that is not there, or a folder or a glob without a file.
    """
    given = _given(inputs)
    if not given:
        raise ArgumentError("inputs: none is given (did a glob match nothing?)")
    exclude = exclude and Path(os.path.realpath(exclude))
    found = [path for item in given for path in _expand(os.fspath(item), exclude)]
    seen: set[str] = set()
    for path in found:
        key = os.path.realpath(path)
        if key in seen:
            raise ArgumentError(f"{path} is given twice; each document is read once")
        seen.add(key)
    # Names are relative to the deepest folder that holds all inputs, so that a corpus that moves
    # as a whole to another machine stays the same corpus.
    root = os.path.commonpath([os.path.abspath(path.parent) for path in found])
    return tuple(_source(path, root, identified) for path in found)


def _given(inputs: Any) -> list[str | os.PathLike[str]]:
    single = isinstance(inputs, str | bytes | os.PathLike) or not isinstance(inputs, Iterable)
    items = [inputs] if single else list(inputs)
    for item in items:
        if not isinstance(item, str | os.PathLike):
            raise ArgumentTypeError(f"inputs must be paths or globs, not {type(item).__name__}")
    return items


def _expand(item: str, exclude: Path | None) -> list[Path]:
    path = Path(item)
    if path.is_dir():
        walked = sorted(_walk(path, exclude), key=lambda file: os.fsencode(file.as_posix()))
        if not walked:
            told = f"{path}: no file in this folder; names that begin with . or _ are not"
            raise DataError(told) from absent(item)
        return walked
    if path.exists():
        return [path]
    if glob.has_magic(item):
        matches = sorted(glob.glob(item, recursive=True), key=os.fsencode)
        files = [Path(match) for match in matches if os.path.isfile(match)]
        if not files:
            raise DataError(f"no file matches {item!r}") from absent(item)
        return files
    raise DataError(f"{item}: no such file or folder") from absent(item)


def _walk(folder: Path, exclude: Path | None) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise DataError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    walked = set() if exclude is None else {str(exclude)}
    # Links wait until the folders themselves are walked: those give the files their names.
    linked = [folder]
    while linked:
        begin, linked = linked, []
        for start in sorted(begin, key=os.fsencode):
            for where, folders, names in os.walk(start, onerror=fail):
                here = Path(where)
                if (real := os.path.realpath(here)) in walked:
                    folders[:] = []
                    continue
                walked.add(real)
                folders[:] = [name for name in folders if name[0] not in "._"]
                linked += [here / name for name in folders if (here / name).is_symlink()]
                yield from (here / name for name in names if name[0] not in "._")


def _source(path: Path, root: str, identified: bool) -> Source:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    codec = _CODECS.get(suffixes[-1]) if suffixes else None
    inner = suffixes[:-1] if codec else suffixes
    with reading(path):
        status = path.stat()
        if identified and not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: no regular file, which could be read again")
        digest = _digest(path, status.st_size) if identified else ""
    name = os.path.relpath(os.path.abspath(path), root).replace(os.sep, "/")
    kind = _KINDS.get(inner[-1], "text") if inner else "text"
    name = os.fsencode(name).decode("utf-8", "backslashreplace")
    return Source(path, name, kind, codec, status.st_size, digest, status.st_mtime_ns)


def _digest(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if size <= _WHOLE:
            while block := file.read(_SAMPLE):
                digest.update(block)
        else:
            for index in range(_SAMPLES):
                file.seek((size - _SAMPLE) * index // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
