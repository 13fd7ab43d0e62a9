"""The files of a job: each whole or absent (`files` says how), hashed on the way, one writer.

Making a file durable costs two fsyncs, some milliseconds, which is why a part holds megabytes and
not documents. A job that was killed leaves at most files that the next run writes over or removes.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from bytewright import files
from bytewright.errors import LockedError

__all__ = [
    "FolderLock",
    "HashingFile",
    "move",
    "sha256_range",
    "write_atomic",
    "writing",
]

_COPY = 1 << 20


GO_ON = "what was finished is kept, run again to go on"


def writing(path: Path) -> AbstractContextManager[None]:
    """Turn what the operating system says about a file of a begun job into a `DataError`."""
    return files.writing(path, then=GO_ON)


def move(source: Path, target: Path) -> None:
    """Rename durably within one file system; an older file of that name is replaced."""
    with writing(target):
        files.replace(source, target)


def write_atomic(path: Path, content: bytes, *, then: str = GO_ON) -> None:
    """Write a small file so that a crash leaves the old content, or the new, or no file.

    Args:
        path: the file.
        content: its bytes.
        then: what the user is told besides the error.
    """
    temporary = path.with_name(path.name + ".tmp")
    with files.writing(path, then=then):
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        files.replace(temporary, path)


def sha256_range(path: Path, start: int = 0, size: int | None = None) -> str:
    """SHA-256 of `size` bytes from `start`, or of the rest of the file, in constant memory."""
    digest = hashlib.sha256()
    left = size
    with path.open("rb") as file:
        file.seek(start)
        while left is None or left > 0:
            block = file.read(_COPY if left is None else min(_COPY, left))
            if not block:
                break
            digest.update(block)
            left = None if left is None else left - len(block)
    return digest.hexdigest()


class HashingFile:
    """A file for writing that hashes what passes through; pyarrow writes into it too.

    Hashing on the way saves reading the part again; the digest is of the bytes that were handed
    to the operating system, so `verify` also finds what the disk changed afterwards.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._digest = hashlib.sha256()
        self._written = 0
        self._abandoned = False

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        if self._abandoned:
            return memoryview(data).nbytes
        with writing(self._path):
            self._file.write(data)
        self._digest.update(data)
        size = memoryview(data).nbytes
        self._written += size
        return size

    def tell(self) -> int:
        """Bytes written through this object."""
        return self._written

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        if self._abandoned:
            return
        with writing(self._path):
            self._file.flush()

    def sync(self) -> str:
        """Make everything durable and return the SHA-256 of what was written."""
        self.flush()
        with writing(self._path):
            os.fsync(self._file.fileno())
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file; what was not synced may be lost."""
        with writing(self._path):
            self._file.close()

    def abandon(self) -> None:
        """Close the file after a failure, whatever the system says about it.

        Writes are dropped from now on: pyarrow's writers end their file when they are destroyed.
        """
        self._abandoned = True
        with suppress(OSError):
            self._file.close()

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed and not self._abandoned

    def readable(self) -> bool:
        """Never: this is for writing."""
        return False

    def writable(self) -> bool:
        """Always: this is for writing."""
        return True

    def seekable(self) -> bool:
        """Never: what was hashed cannot be taken back."""
        return False


class FolderLock:
    """One writer to a folder: an advisory lock on a small file that stays there.

    The kernel releases it when the process ends, however it ends, so no stale lock exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> FolderLock:
        with files.writing(self._path):
            self._file = self._path.open("ab")
        try:
            _lock(self._file)
        except (BlockingIOError, PermissionError) as error:
            self._file.close()
            raise LockedError(
                f"{self._path.parent.parent} is being written by another process"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()


def _lock(file: BinaryIO) -> None:
    if os.name == "nt":  # pragma: no cover - exercised on Windows only
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
