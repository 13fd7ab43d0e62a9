"""Tables of pieces and counts as any engine writes them, checked row by row."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bytewright.arrays import as_batch, decoded
from bytewright.errors import ArgumentTypeError, DataError

__all__ = ["MOST", "rows_of"]

MOST: Final = (1 << 63) - 1


def rows_of(table: Any) -> tuple[list[Any], NDArray[np.uint64]]:
    """The columns `piece` and `count` as the core takes them.

    Raises:
        DataError: a column is missing or of another type, a null, or a count out of range.
    """
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if not isinstance(table, pa.Table):
        raise ArgumentTypeError(f"an Arrow table is needed, not {type(table).__name__}")
    counts = _integers(_column(table, "count"))
    pieces = _column(table, "piece")
    if pieces.null_count:
        raise DataError(f"row {_first(pieces.is_null())}: the piece is null")
    rows = [as_batch(decoded(chunk)).chunks for chunk in pieces.chunks]
    return [one for chunk in rows for one in chunk], counts


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if table.schema.names.count(name) != 1:
        how = "no column" if name not in table.schema.names else "several columns"
        raise DataError(f"{how} {name!r}; there are {', '.join(table.schema.names) or 'none'}")
    return table.column(name)


def _integers(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Counts as numbers; the row of a null or of one out of range is told."""
    kind = column.type
    if pa.types.is_null(kind) and not len(column):
        return np.zeros(0, np.uint64)
    if not (pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0)):
        raise DataError(f"the column 'count' is {kind}, not of an integer type")
    if column.null_count:
        raise DataError(f"row {_first(column.is_null())}: the count is null")
    if pa.types.is_uint64(kind):
        refused = pc.greater(column, pa.scalar(MOST, kind))
    elif pa.types.is_decimal(kind):
        refused = pc.or_(pc.less(column, 0), pc.greater(column, MOST))
    else:
        refused = pc.less(column, pa.scalar(0, kind))
    if pc.any(refused).as_py():
        row = _first(refused)
        raise DataError(f"row {row}: a count of {column[row].as_py()}; 0 to {MOST} is allowed")
    counts: NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return np.ascontiguousarray(counts).view(np.uint64)


def _first(mask: pa.ChunkedArray) -> int:
    return int(pc.index(mask, True).as_py())
