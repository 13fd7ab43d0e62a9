"""Files that are either whole or absent: another name, fsync, rename, fsync of the folder.

A reader, a killed process or a power cut never sees half a file under its own name: the content
reaches the disk under another one first, then `rename` (atomic on one file system) gives it its
name, then the folder itself is flushed so that the name survives too. Cost: two fsyncs a file, some
milliseconds.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bytewright.errors import DataError

__all__ = [
    "absent",
    "check_output",
    "reading",
    "replace",
    "saved",
    "sync_folder",
    "whole_file",
    "writing",
]

# So that threads that write the same file write different ones aside.
_NUMBERS = itertools.count()


def absent(path: str) -> FileNotFoundError:
    """What the operating system says of a file that is not there."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the operating system says about an input file into a `DataError` that names it."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def writing(path: Path, *, then: str = "") -> Iterator[None]:
    """Turn what the operating system says about an output file into a `DataError` that names it.

    Args:
        path: the file.
        then: what the user can do, told too.
    """
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}" + (then and f"; {then}")
        raise DataError(f"cannot write {path}: {reason}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; where folders cannot be opened (Windows), do nothing."""
    if os.name == "nt":  # pragma: no cover - Windows flushes names with the file
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(source: Path, target: Path) -> None:
    """Rename durably within one file system; an older file of that name is replaced.

    Raises:
        OSError: the system says no.
    """
    os.replace(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which has its name once it is whole; after an error nothing has changed.

    A link stays one: what it names is written. A file that is replaced hands on who may read and
    write it. What is no file (a pipe, `/dev/null`) is written straight away.

    Raises:
        OSError: the system says no.

    >>> with whole_file(Path("new.txt")) as file:
    ...     _ = file.write(b"all of it")
    ...     Path("new.txt").exists()
    False
    >>> Path("new.txt").read_bytes()
    b'all of it'
    """
    # A link to a pipe (`/dev/stdout`) leads to what has no name: it is looked at before its end is.
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    aside = _aside(path)
    try:
        with aside.open("wb") as file:
            # Before there is anything to read in it, and where files have such bits.
            with suppress(OSError):
                aside.chmod(path.stat().st_mode & 0o777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        replace(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink()


def _aside(path: Path) -> Path:
    # Without the name, which may be as long as names can be.
    return path.with_name(f".{os.getpid()}-{next(_NUMBERS)}.tmp")


def check_output(path: Path) -> None:
    """Find out before the work whether a file can be written; nothing of it stays.

    Raises:
        DataError: it is a folder, its folder is not there, or the system says no.

    >>> check_output(Path("absent/new.txt"))
    Traceback (most recent call last):
    bytewright.errors.DataError: cannot write absent/new.txt: No such file or directory
    """
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            # A pipe is not opened: who reads it would see it end.
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        path = Path(os.path.realpath(path))
        with suppress(FileNotFoundError):
            path.lstat()
        aside = _aside(path)
        try:
            aside.open("wb").close()
        finally:
            with suppress(OSError):
                aside.unlink()


@contextmanager
def saved(path: Path) -> Iterator[BinaryIO]:
    """The same, for files that the user names.

    Raises:
        DataError: the file cannot be written.
    """
    with writing(path), whole_file(path) as file:
        yield file
