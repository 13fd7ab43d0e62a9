"""Pieces of text and how often each occurs: what many machines may count and one trains on.

The pieces are in the order of their bytes, each once, so equal counts are equal arrays and equal
files, however they came about. A file is Parquet with the columns `piece: binary, count: int64`;
any engine can write one (a plain `GROUP BY`), since rows may come in any order and a piece in
several of them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bytewright import _core, arguments
from bytewright.arrays import binary_array
from bytewright.definition import Step
from bytewright.errors import ArgumentError, ArgumentTypeError, DataError
from bytewright.files import saved
from bytewright.formats.patterns import describe, pattern_steps
from bytewright.sizes import whole
from bytewright.training import counts_file
from bytewright.training.stored import Flat, release
from bytewright.training.tables import MOST, rows_of

__all__ = ["PretokenCounts", "pattern_of", "steps_of"]

_SCHEMA: Final = pa.schema(
    [pa.field("piece", pa.binary(), nullable=False), pa.field("count", pa.int64(), nullable=False)]
)
# What is looked at and written at a time: little beside the smallest budget of memory.
_GROUP_ROWS: Final = 1 << 17
_GROUP_BYTES: Final = 1 << 23
_LONGEST: Final = (1 << 31) - 1


def steps_of(pattern: str | None) -> list[Step]:
    """The pre-tokenizer steps of a named pattern or of a regex; none for None."""
    return [] if pattern is None else pattern_steps(pattern)


def pattern_of(pattern: str | None) -> str | None:
    """A pattern by its name, if it has one, so that name and regex are the same pattern."""
    return describe(steps_of(pattern)) if pattern is not None else None


class PretokenCounts:
    """Different pieces of text in the order of their bytes, and how often each occurs.

    Immutable. `count_pretokens`, `load` and the `from_` methods make one. Pieces are bytes and need
    not be UTF-8; a count is at least 1 and at most 2**63 - 1.

    >>> import bytewright as bw
    >>> counts = bw.count_pretokens(["to be or not to be"], pattern="gpt2")
    >>> counts
    PretokenCounts(5 pieces, 6 in all, pattern='gpt2')
    >>> counts.most_common(2)
    [(b' be', 2), (b' not', 1)]
    >>> counts[b" be"], counts[b"absent"]
    (2, 0)
    """

    __slots__ = ("_flat", "_pattern")

    def __init__(self, flat: Flat, pattern: str | None) -> None:
        """Take what the core made; users have `from_arrow` and `from_dict`."""
        for array in flat:
            array.flags.writeable = False
        self._flat = flat
        self._pattern = pattern

    @classmethod
    def from_dict(
        cls, counts: Mapping[str, int] | Mapping[bytes, int], *, pattern: str | None
    ) -> PretokenCounts:
        """Counts of pieces by the piece.

        >>> PretokenCounts.from_dict({"be": 2, "to": 1}, pattern=None).total
        3
        """
        if not isinstance(counts, Mapping):
            raise ArgumentTypeError(f"counts: a mapping is needed, not {type(counts).__name__}")
        pieces = pa.array(map(_piece, counts), pa.large_binary())
        numbers = [whole(count, "a count") for count in counts.values()]
        if (largest := max(numbers, default=0)) > MOST:
            raise DataError(f"a count of {largest}; 0 to {MOST} is allowed")
        table = pa.table({"piece": pieces, "count": pa.array(numbers, pa.int64())})
        return cls.from_arrow(table, pattern=pattern)

    @classmethod
    def from_arrow(cls, table: Any, *, pattern: str | None) -> PretokenCounts:
        """Counts that any engine made.

        Args:
            table: an Arrow table or record batch with the columns `piece` (any string or binary
                type) and `count` (any integer type, or a decimal without fraction). Rows may stand
                in any order and a piece in several: they are summed. Empty pieces and counts of 0
                hold no text and are left out.
            pattern: the pattern that made the pieces, as in `count_pretokens`.

        Raises:
            DataError: a column is missing or of another type, a null, a negative count, or a sum
                above 2**63 - 1.

        >>> table = pa.table({"piece": ["b", "a", "b"], "count": [1, 2, 3]})
        >>> PretokenCounts.from_arrow(table, pattern=None).to_arrow().to_pydict()
        {'piece': [b'a', b'b'], 'count': [2, 4]}
        """
        pattern = pattern_of(pattern)
        return cls(_core.sum_counts(*rows_of(table)), pattern)

    @classmethod
    def merge(cls, parts: Iterable[PretokenCounts]) -> PretokenCounts:
        """The sum of any number of counts, in one pass over all.

        Raises:
            ArgumentError: no counts, or counts of different patterns.
            DataError: a sum above 2**63 - 1.

        >>> one = PretokenCounts.from_dict({"be": 1}, pattern=None)
        >>> PretokenCounts.merge([one, one, one])[b"be"]
        3
        """
        given: list[PretokenCounts] = arguments.items(parts, "parts")
        if not given:
            raise ArgumentError("no counts to merge")
        for part in given:
            arguments.instance(part, PretokenCounts, "parts")
            if part.pattern != given[0].pattern:
                raise ArgumentError(
                    f"counts of different patterns: {given[0].pattern!r} and {part.pattern!r}; "
                    "pieces cut by one are not those of the other"
                )
        if len(given) == 1:
            return given[0]
        return cls(_core.merge_counts([part._flat for part in given]), given[0].pattern)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, pattern: str | None = None) -> PretokenCounts:
        """Read a Parquet file, written by `save` or by any engine.

        Args:
            path: the file.
            pattern: the pattern, where the file does not say it; else it must be the same.

        Raises:
            DataError: the file is not a readable table of pieces and counts, or is damaged.
            ArgumentError: the file names another pattern.
        """
        path = arguments.place(path)
        table, told = counts_file.read(path)
        stored = _stored_pattern(path, told)
        if stored is not None and pattern is not None and stored != (pattern_of(pattern),):
            raise ArgumentError(
                f"{path} was counted with the pattern {stored[0]!r}, not {pattern!r}"
            )
        try:
            return cls.from_arrow(table, pattern=pattern if stored is None else stored[0])
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file; equal counts give equal files.

        The file is whole or absent.

        Raises:
            DataError: the file cannot be written.
        """
        with saved(arguments.place(path)) as file:
            self._write(file)

    def _write(self, file: Any) -> None:
        known = {
            "bytewright.version": _core.__version__,
            "bytewright.pattern": json.dumps(self._pattern),
            "bytewright.steps": json.dumps(steps_of(self._pattern)),
        }
        schema = _SCHEMA.with_metadata(known)
        with counts_file.opened(file, schema) as writer:
            for start, stop in self._slices():
                writer.write_table(self._table(start, stop).cast(schema))
                release(self._flat)

    def _slices(self) -> Iterator[tuple[int, int]]:
        """Row groups of so many rows or bytes, whichever is less; a row at least."""
        longest = max((int(part.max(initial=0)) for part, _ in self._parts()), default=0)
        if longest > _LONGEST:
            raise DataError(f"a piece of {longest} bytes: Parquet holds at most {_LONGEST}")
        offsets, start = self._flat[1], 0
        while start < len(self):
            full = int(np.searchsorted(offsets, offsets[start] + _GROUP_BYTES, side="right")) - 1
            stop = min(max(full, start + 1), start + _GROUP_ROWS, len(self))
            yield start, stop
            start = stop

    def to_arrow(self) -> pa.Table:
        """A table with the columns `piece` (binary) and `count` (int64), sorted by piece.

        >>> PretokenCounts.from_dict({"be": 2}, pattern=None).to_arrow().schema.names
        ['piece', 'count']
        """
        return self._table(0, len(self))

    def _table(self, start: int, stop: int) -> pa.Table:
        arena, offsets, counts = self._flat
        ends = offsets[start : stop + 1]
        pieces = binary_array(arena[ends[0] : ends[-1]], ends - ends[0], None)
        columns = [pieces, pa.array(counts[start:stop].view(np.int64))]
        return pa.Table.from_arrays(columns, names=_SCHEMA.names)

    @property
    def pieces(self) -> Flat:
        """Read-only views: bytes uint8[m], offsets int64[n+1], counts uint64[n].

        Piece `i` is `bytes[offsets[i]:offsets[i + 1]]`.
        """
        return self._flat

    @property
    def pattern(self) -> str | None:
        """The name or regex of the pattern that cut the text; None if none did."""
        return self._pattern

    @property
    def total(self) -> int:
        """Pieces in the text, equal ones included."""
        return sum(_sum(counts) for _, counts in self._parts())

    @property
    def total_bytes(self) -> int:
        """Bytes in the text."""
        return sum(_dot(lengths, counts) for lengths, counts in self._parts())

    def _parts(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
        """Lengths and counts of the pieces, some at a time: there may be more than memory holds."""
        _, offsets, counts = self._flat
        for start in range(0, len(self), _GROUP_ROWS):
            stop = start + _GROUP_ROWS
            yield np.diff(offsets[start : stop + 1]), counts[start:stop]
            release(self._flat)

    def most_common(self, n: int | None = None) -> list[tuple[bytes, int]]:
        """The `n` most common pieces, or all, most common first; ties in the order of the bytes."""
        counts = self._flat[2].view(np.int64)
        most = len(self) if n is None else max(0, whole(n, "n", least=-sys.maxsize))
        order = np.argsort(-counts, kind="stable")[:most]
        return [self._at(int(at)) for at in order]

    def filtered(self, *, min_count: int) -> PretokenCounts:
        """Only the pieces that occur at least `min_count` times.

        >>> counts = PretokenCounts.from_dict({"be": 2, "to": 1}, pattern=None)
        >>> list(counts.filtered(min_count=2))
        [(b'be', 2)]
        """
        arena, offsets, counts = self._flat
        keep = counts >= max(0, whole(min_count, "min_count", least=-sys.maxsize))
        lengths = np.diff(offsets)
        kept = np.zeros(int(keep.sum()) + 1, np.int64)
        np.cumsum(lengths[keep], out=kept[1:])
        return PretokenCounts((arena[np.repeat(keep, lengths)], kept, counts[keep]), self._pattern)

    def scaled(self, factor: int) -> PretokenCounts:
        """Every count times a positive integer: the weight of this text in a mixture.

        Raises:
            ArgumentError: the factor is not positive.
            DataError: a count above 2**63 - 1.

        >>> PretokenCounts.from_dict({"be": 2}, pattern=None).scaled(10)[b"be"]
        20
        """
        factor = whole(factor, "factor", least=1)
        arena, offsets, counts = self._flat
        largest = int(counts.max(initial=0))
        if largest * factor > MOST:
            raise DataError(f"a count of {largest} times {factor} is more than {MOST}")
        return PretokenCounts((arena, offsets, counts * np.uint64(factor)), self._pattern)

    def __add__(self, other: object) -> PretokenCounts:
        if not isinstance(other, PretokenCounts):
            return NotImplemented
        return PretokenCounts.merge([self, other])

    def __radd__(self, other: object) -> PretokenCounts:
        # `sum` starts with 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __len__(self) -> int:
        return len(self._flat[2])

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        return map(self._at, range(len(self)))

    def __getitem__(self, piece: str | bytes) -> int:
        """How often a piece occurs; 0 for one that does not."""
        wanted = _piece(piece)
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._at(middle)[0] < wanted:
                low = middle + 1
            else:
                high = middle
        found = self._at(low) if low < len(self) else (b"", 0)
        return found[1] if found[0] == wanted else 0

    def __contains__(self, piece: object) -> bool:
        return isinstance(piece, str | bytes) and self[piece] > 0

    def _at(self, at: int) -> tuple[bytes, int]:
        arena, offsets, counts = self._flat
        return arena[offsets[at] : offsets[at + 1]].tobytes(), int(counts[at])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PretokenCounts):
            return NotImplemented
        if self._pattern != other._pattern or len(self) != len(other):
            return False
        arrays: list[tuple[NDArray[Any], NDArray[Any]]]
        arrays = list(zip(self._flat, other._flat, strict=True))
        return all(np.array_equal(mine, its) for mine, its in arrays)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PretokenCounts({len(self)} pieces, {self.total} in all, pattern={self._pattern!r})"

    def __reduce__(self) -> tuple[Callable[..., PretokenCounts], tuple[Any, ...]]:
        return PretokenCounts, (tuple(np.array(array) for array in self._flat), self._pattern)


def _piece(piece: str | bytes) -> bytes:
    """The bytes of a piece."""
    if isinstance(piece, bytes):
        return piece
    arguments.text(piece, "piece")
    return piece.encode()


def _sum(counts: NDArray[np.uint64]) -> int:
    """A sum that no number of counts can make too large: high and low halves apart."""
    low = np.uint64((1 << 32) - 1)
    return (int((counts >> np.uint64(32)).sum()) << 32) + int((counts & low).sum())


def _dot(lengths: NDArray[np.int64], counts: NDArray[np.uint64]) -> int:
    """The sum of all products, which may pass 64 bits: counts are added up length by length."""
    order = np.argsort(lengths, kind="stable")
    found, starts = np.unique(lengths[order], return_index=True)
    sums = (_sum(part) for part in np.split(counts[order], starts[1:]))
    return sum(length * total for length, total in zip(found.tolist(), sums, strict=True))


def _stored_pattern(path: Path, metadata: Mapping[bytes, bytes]) -> tuple[str | None] | None:
    """The pattern that a file names, in a tuple; None when it names none."""
    if b"bytewright.pattern" not in metadata:
        return None
    try:
        pattern = json.loads(metadata[b"bytewright.pattern"])
        steps = json.loads(metadata[b"bytewright.steps"])
        same = steps == steps_of(pattern)
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: damaged metadata: {error}") from error
    if not same:
        raise DataError(f"{path}: its pattern {pattern!r} means something else in this version")
    return (pattern_of(pattern),)
