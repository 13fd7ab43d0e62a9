"""Where encoded documents go: what every output format does, and the choice among them.

Two kinds of store. A *row store* (`parquet`, `arrow`) writes one file a part. A *flat store*
(`bin`, `npy`, `megatron`) has one file for the whole corpus, because that is what its readers want
(`train.bin`); a part is a stretch of that file. It grows under `.bytewright/` and gets its name
when it is complete, so there is no merging and no second copy on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bytewright.corpus.manifest import Part
from bytewright.corpus.policy import Encoded

__all__ = ["PartWriter", "Store", "Written"]


@dataclass(frozen=True)
class Written:
    """What a part became: its place, its checksum and its rows."""

    file: str
    offset: int
    size: int
    sha256: str
    rows: int


class PartWriter(Protocol):
    """Takes the documents of one part."""

    def write(self, documents: Encoded) -> None:
        """Append whole documents."""
        ...

    def begin(self, name: str | None) -> None:
        """Begin a document that comes in pieces."""
        ...

    def extend(self, values: NDArray[np.int32]) -> None:
        """Append ids to the document begun."""
        ...

    def end(self) -> None:
        """End the document begun."""
        ...

    def commit(self) -> Written:
        """Make the part durable."""
        ...

    def abandon(self) -> None:
        """Close what is open; the part stays unfinished."""
        ...


class Store(Protocol):
    """One output folder of one format."""

    def resume(self, parts: Sequence[Part]) -> None:
        """Take away what belongs to no finished part, check that the finished ones are there."""
        ...

    def open_part(self, number: int, metadata: Mapping[str, Any]) -> PartWriter:
        """Begin a part."""
        ...

    def finish(self, parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
        """Give the data set its final names; say what files there are besides the parts."""
        ...
