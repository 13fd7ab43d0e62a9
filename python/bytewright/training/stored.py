"""Counts that are larger than memory should be: three files, mapped, their pages given back.

What is mapped is read from disk when it is looked at and can be dropped again at any time, so
counts of any size can be held, added up and saved within a budget.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright.files import writing

__all__ = ["Flat", "aside", "map_flat", "release"]

Flat = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint64]]

_FILES: Final = (("arena", np.uint8), ("offsets", np.int64), ("counts", np.uint64))


@contextmanager
def aside(parent: Path | None = None) -> Iterator[Path]:
    """A folder for what does not fit in memory; gone afterwards, though what is mapped stays.

    Raises:
        DataError: the folder cannot be made.
    """
    with writing(parent or Path(tempfile.gettempdir())):
        folder = Path(tempfile.mkdtemp(prefix="bytewright-", dir=parent))
    try:
        yield folder
    finally:
        # Where a file that is mapped cannot be removed, it is left to the system.
        shutil.rmtree(folder, ignore_errors=True)


def map_flat(folder: Path) -> Flat:
    """The three arrays that the core wrote."""
    arena, offsets, counts = (_mapped(folder / name, kind) for name, kind in _FILES)
    return arena, offsets, counts


def _mapped(path: Path, kind: Any) -> NDArray[Any]:
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return np.zeros(0, kind)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), kind)


def release(flat: Flat) -> None:
    """Drop the pages of mapped arrays from memory; they are read again when they are needed."""
    for array in flat:
        # NumPy holds a mapping through a view of it.
        base = getattr(array.base, "obj", array.base)
        if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            base.madvise(mmap.MADV_DONTNEED)
