"""Arrow arrays to the core's flat buffers and back, without a copy.

Text comes as any Arrow string or binary layout: offsets of 32 or 64 bits, views, dictionaries,
sliced, chunked. Lists of Python objects go to the core as they are. What the core returns, values
and offsets, is Arrow's own list layout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bytewright.errors import ArgumentError

__all__ = ["Batch", "as_batch", "as_lists", "binary_array", "list_array", "take_counts"]

_MAX_INT32 = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of text for the core.

    Attributes:
        chunks: lists of objects, or tuples `(layout, buffer, offsets or buffers, mask)`.
        valid: one bool a row, or None when no row is null.
        dictionary: for dictionary arrays, the index of each row into the encoded values.
    """

    chunks: list[Any]
    valid: NDArray[np.bool_] | None
    dictionary: pa.Array | None = None


def as_batch(texts: Any) -> Batch:
    """Lay out texts for the core.

    Raises:
        ArgumentError: not a sequence of text, nor an Arrow array of it.
    """
    if isinstance(texts, (str, bytes)):
        raise ArgumentError("texts is one text: pass a sequence of them, or use encode")
    array = _arrow(texts)
    if array is None:
        items = texts if isinstance(texts, list) else list(texts)
        nulls = any(item is None for item in items)
        valid = np.array([item is not None for item in items], dtype=bool) if nulls else None
        return Batch([items], valid)
    if isinstance(array, pa.ChunkedArray) and pa.types.is_dictionary(array.type):
        array = array.unify_dictionaries().combine_chunks()
        array = array if isinstance(array, pa.Array) else pa.array([], array.type)
    if isinstance(array, pa.Array) and pa.types.is_dictionary(array.type):
        values = as_batch(array.dictionary)
        return Batch(values.chunks, values.valid, array.indices)
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    masks = [_mask(chunk) for chunk in chunks]
    laid_out = [_layout(chunk, mask) for chunk, mask in zip(chunks, masks, strict=True)]
    if all(mask is None for mask in masks):
        return Batch(laid_out, None)
    full = [
        np.ones(len(chunk), dtype=bool) if mask is None else mask
        for chunk, mask in zip(chunks, masks, strict=True)
    ]
    return Batch(laid_out, np.concatenate(full))


def list_array(values: NDArray[np.int32], offsets: NDArray[np.int64], batch: Batch) -> pa.ListArray:
    """Ids as `list<int32>`; the buffers are used as they are.

    Raises:
        ArgumentError: more ids than int32 offsets can count.
    """
    if len(values) > _MAX_INT32:
        raise ArgumentError(
            f"{len(values)} ids in one batch: at most {_MAX_INT32} fit a list array; "
            "encode the texts in several batches"
        )
    rows = len(offsets) - 1
    made = pa.ListArray.from_buffers(
        pa.list_(pa.int32()),
        rows,
        [_bitmap(batch.valid), pa.py_buffer(offsets.astype(np.int32))],
        children=[pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])],
    )
    return made if batch.dictionary is None else made.take(batch.dictionary)


def take_counts(counts: NDArray[np.int64], batch: Batch) -> NDArray[np.int64]:
    """Counts of dictionary values as counts of rows; 0 for null."""
    assert batch.dictionary is not None
    rows = batch.dictionary.fill_null(0) if len(counts) else batch.dictionary
    picked = counts[rows.to_numpy(zero_copy_only=False)] if len(counts) else np.zeros(len(rows))
    valid = _mask(batch.dictionary)
    picked = picked if valid is None else np.where(valid, picked, 0)
    return picked.astype(np.int64)


def as_lists(
    lists: Any,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_] | None]:
    """Values, offsets and the null mask of id lists.

    Raises:
        ArgumentError: not lists of integers.
    """
    array = _arrow(lists)
    if array is None:
        try:
            array = pa.array(list(lists), type=pa.large_list(pa.int32()))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise ArgumentError(f"lists of token ids expected: {error}") from None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    kinds = (pa.types.is_list, pa.types.is_large_list)
    if not any(kind(array.type) for kind in kinds) or not pa.types.is_integer(
        array.type.value_type
    ):
        raise ArgumentError(f"an array of type {array.type}: lists of integers are allowed")
    valid = _mask(array)
    if valid is not None:
        # The slots behind a null row hold anything: leave them out.
        array = array.fill_null([])
    offsets = array.offsets.to_numpy().astype(np.int64)
    if array.values.null_count:
        raise ArgumentError("a null token id: ids are integers")
    values = array.values.to_numpy(zero_copy_only=False)
    return _as_int32(values), offsets, valid


def binary_array(
    data: NDArray[np.uint8], ends: NDArray[np.int64], valid: NDArray[np.bool_] | None
) -> pa.BinaryArray:
    """Texts as a binary array, large when int32 offsets cannot count its bytes."""
    short = len(data) <= _MAX_INT32
    kind = pa.binary() if short else pa.large_binary()
    offsets = ends.astype(np.int32) if short else ends
    buffers = [_bitmap(valid), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(ends) - 1, buffers)


def _arrow(values: Any) -> pa.Array | pa.ChunkedArray | None:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if hasattr(values, "__arrow_c_array__"):
        return pa.array(values)
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    return None


def _mask(array: pa.Array) -> NDArray[np.bool_] | None:
    if array.null_count == 0:
        return None
    mask: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return mask


def _layout(array: pa.Array, mask: NDArray[np.bool_] | None) -> Any:
    kind = array.type
    types = pa.types
    start, rows = array.offset, len(array)
    if types.is_null(kind):
        return [None] * rows
    buffers = array.buffers()
    if types.is_string(kind) or types.is_binary(kind):
        return "binary", _bytes(buffers[2]), _offsets(buffers[1], np.int32, start, rows), mask
    if types.is_large_string(kind) or types.is_large_binary(kind):
        return "binary", _bytes(buffers[2]), _offsets(buffers[1], np.int64, start, rows), mask
    if types.is_string_view(kind) or types.is_binary_view(kind):
        views = _bytes(buffers[1])[16 * start : 16 * (start + rows)]
        return "view", views, [_bytes(buffer) for buffer in buffers[2:]], mask
    raise ArgumentError(f"an array of type {kind}: string and binary arrays are allowed")


def _offsets(buffer: pa.Buffer | None, kind: Any, start: int, rows: int) -> NDArray[Any]:
    if buffer is None or buffer.size == 0:
        return np.zeros(1, dtype=kind)
    return np.frombuffer(buffer, dtype=kind)[start : start + rows + 1]


def _bytes(buffer: pa.Buffer | None) -> NDArray[np.uint8]:
    if buffer is None or buffer.size == 0:
        return np.zeros(0, dtype=np.uint8)
    return np.frombuffer(buffer, dtype=np.uint8)


def _bitmap(valid: NDArray[np.bool_] | None) -> pa.Buffer | None:
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _as_int32(values: NDArray[Any] | Sequence[int]) -> NDArray[np.int32]:
    wide = np.asarray(values)
    if wide.dtype == np.int32:
        return np.ascontiguousarray(wide)
    if wide.size and (wide.min() < -(1 << 31) or wide.max() > _MAX_INT32):
        raise ArgumentError(f"token id {wide.max()} does not fit 32 bits")
    return np.ascontiguousarray(wide.astype(np.int32))
