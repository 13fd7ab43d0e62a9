"""How far a long text is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["ByteProgress", "Tell"]


@dataclass(frozen=True, slots=True)
class ByteProgress:
    """How far work along a text is.

    Attributes:
        bytes_done: bytes that have been read.
        bytes_total: bytes there are to read.
    """

    bytes_done: int
    bytes_total: int


Tell: TypeAlias = Callable[[ByteProgress], object]
