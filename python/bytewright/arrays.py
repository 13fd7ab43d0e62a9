"""Arrow arrays to the core's flat buffers and back, without a copy.

Text comes as any Arrow string or binary layout: offsets of 32 or 64 bits, views, dictionaries,
sliced, chunked. Lists of Python objects go to the core as they are. What the core returns, values
and offsets, is Arrow's own list layout.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bytewright.errors import ArgumentError, ArgumentTypeError, UnknownTokenError

__all__ = [
    "Batch",
    "as_batch",
    "as_ids",
    "as_lists",
    "binary_array",
    "decoded",
    "list_array",
    "take_counts",
]

_MAX_INT32 = (1 << 31) - 1
_SLICE_ROWS = 1 << 16
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
    pa.types.is_fixed_size_list,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of text for the core.

    Attributes:
        chunks: lists of objects, or tuples `(layout, buffer, offsets or buffers, mask)`.
        valid: one bool a row, or None when no row is null.
        dictionary: for dictionary arrays, the index of each row into what the chunks hold.
    """

    chunks: list[Any]
    valid: NDArray[np.bool_] | None
    dictionary: pa.Array | None = None


def as_batch(texts: Any) -> Batch:
    """Lay out texts for the core.

    Raises:
        ArgumentError: not a sequence of text, nor an Arrow array of it.
    """
    if isinstance(texts, (str, bytes, bytearray, memoryview)):
        raise ArgumentError("texts is one text: pass a sequence of them, or use encode")
    array = _arrow(texts)
    if array is None:
        if not isinstance(texts, Iterable):
            raise ArgumentTypeError(
                f"texts must be a sequence or an array, not {type(texts).__name__}"
            )
        items = texts if isinstance(texts, list) else list(texts)
        nulls = any(item is None for item in items)
        valid = np.array([item is not None for item in items], dtype=bool) if nulls else None
        return Batch([items], valid)
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    if pa.types.is_dictionary(array.type):
        return _dictionary_batch([_storage(chunk) for chunk in chunks])
    return _plain_batch([_storage(chunk) for chunk in chunks])


def _plain_batch(chunks: list[pa.Array]) -> Batch:
    masks = [_mask(chunk) for chunk in chunks]
    laid_out = [_layout(chunk, mask) for chunk, mask in zip(chunks, masks, strict=True)]
    if all(mask is None for mask in masks):
        return Batch(laid_out, None)
    full = [
        np.ones(len(chunk), dtype=bool) if mask is None else mask
        for chunk, mask in zip(chunks, masks, strict=True)
    ]
    return Batch(laid_out, np.concatenate(full))


def decoded(array: pa.Array) -> pa.Array:
    """The rows of a dictionary array, written out; any other array as it is."""
    if not pa.types.is_dictionary(array.type):
        return array
    return _takeable(_storage(array.dictionary)).take(array.indices)


def _dictionary_batch(chunks: list[pa.Array]) -> Batch:
    """Each value of a dictionary once, unless there are more values than rows."""
    if sum(len(chunk.dictionary) for chunk in chunks) > sum(map(len, chunks)):
        return _plain_batch([decoded(chunk) for chunk in chunks])
    # Not `unify_dictionaries`: it refuses a null among the values.
    indices, base = [], 0
    for chunk in chunks:
        indices.append(pc.add(chunk.indices.cast(pa.int64()), base))
        base += len(chunk.dictionary)
    values = _plain_batch([_storage(chunk.dictionary) for chunk in chunks])
    rows = pa.concat_arrays(indices) if indices else pa.array([], pa.int64())
    return Batch(values.chunks, values.valid, rows)


def list_array(values: NDArray[np.int32], offsets: NDArray[np.int64], batch: Batch) -> pa.ListArray:
    """Ids as `list<int32>`; the buffers are used as they are.

    Raises:
        ArgumentError: more ids than int32 offsets can count.
    """
    total = len(values)
    if batch.dictionary is not None:
        total = max(total, int(take_counts(np.diff(offsets), batch).sum()))
    if total > _MAX_INT32:
        raise ArgumentError(
            f"{total} ids in one batch: at most {_MAX_INT32} fit a list array; "
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
    if len(counts) == 0:
        return np.zeros(len(batch.dictionary), dtype=np.int64)
    picked: NDArray[np.int64] = counts[batch.dictionary.fill_null(0).to_numpy()]
    valid = _mask(batch.dictionary)
    return picked if valid is None else np.where(valid, picked, 0)


def as_ids(ids: Any) -> Any:
    """Ids of one text as the core takes them: an int32 array, or Python objects as they are.

    Raises:
        ArgumentError: an array of another shape, or with a null.
        TypeError: an array of something else than integers.
        UnknownTokenError: an id that no vocabulary has.
    """
    if isinstance(ids, (list, tuple)):
        return ids
    if isinstance(ids, (str, bytes)):
        raise ArgumentTypeError(f"ids must be integers, not {type(ids).__name__}")
    if isinstance(ids, (pa.ListScalar, pa.LargeListScalar)) and ids.is_valid:
        ids = ids.values
    if isinstance(ids, (pa.Array, pa.ChunkedArray)):
        if ids.null_count:
            raise ArgumentError("a null token id: ids are integers")
        ids = ids.to_numpy() if isinstance(ids, pa.ChunkedArray) else _numpy(ids)
    if not hasattr(ids, "__array__"):
        return ids
    array = np.asarray(ids)
    if array.ndim != 1:
        raise ArgumentError(f"ids of shape {array.shape}: one dimension is allowed")
    if array.size and array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"ids must be integers, not {array.dtype}")
    return _as_int32(array)


def as_lists(
    lists: Any,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_] | None]:
    """Values, offsets and the null mask of id lists.

    Raises:
        ArgumentError: not lists of integers.
        UnknownTokenError: an id that no vocabulary has.
    """
    array = _arrow(lists)
    if array is None:
        array = _list_array(lists)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    kind = array.type
    if pa.types.is_null(kind):
        array, kind = array.cast(pa.list_(pa.int32())), pa.list_(pa.int32())
    if not any(is_kind(kind) for is_kind in _LISTS):
        raise ArgumentError(f"an array of type {kind}: lists of integers are allowed")
    # Flattened, so that neither a slice nor what stands behind a null row gets any further.
    values = array.flatten()
    if len(values) and not pa.types.is_integer(kind.value_type):
        raise ArgumentError(f"an array of type {kind}: lists of integers are allowed")
    if values.null_count:
        raise ArgumentError("a null token id: ids are integers")
    offsets = np.zeros(len(array) + 1, dtype=np.int64)
    np.cumsum(pc.list_value_length(array).fill_null(0).to_numpy(), out=offsets[1:])
    return _as_int32(_numpy(values)), offsets, _mask(array)


def _list_array(lists: Any) -> pa.Array:
    if isinstance(lists, (str, bytes)) or not isinstance(lists, Iterable):
        raise ArgumentTypeError(f"lists of token ids are needed, not {type(lists).__name__}")
    rows = list(lists)
    try:
        # The type is inferred: given, it would take floating-point numbers for integers.
        made = pa.array(rows)
    except OverflowError as error:
        raise UnknownTokenError(f"a token id is outside every vocabulary: {error}") from None
    except (pa.ArrowException, TypeError, ValueError):
        made = None
    if made is not None and pa.types.is_list(made.type) and _is_integer(made.type.value_type):
        return made
    return pa.array([_row(at, row) for at, row in enumerate(rows)], pa.large_list(pa.int32()))


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind))


def _row(at: int, row: Any) -> NDArray[np.int32] | None:
    """A row that pyarrow makes no list of integers of: an array, or an error."""
    try:
        ids: NDArray[np.int32] | None = None if row is None else as_ids(np.asarray(row))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"row {at}: lists of token ids are needed: {error}") from None
    return ids


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


def _storage(array: pa.Array) -> pa.Array:
    """The array in a layout that the core reads."""
    if isinstance(array, pa.ExtensionArray):
        return _storage(array.storage)
    if pa.types.is_fixed_size_binary(array.type):
        return array.cast(pa.large_binary())
    return array


def _takeable(array: pa.Array) -> pa.Array:
    """The array in a layout that pyarrow picks rows from: not a view."""
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    if pa.types.is_binary_view(array.type):
        return array.cast(pa.large_binary())
    return array


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


def _numpy(array: pa.Array) -> NDArray[Any]:
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _as_int32(wide: NDArray[Any]) -> NDArray[np.int32]:
    if wide.dtype == np.int32:
        return np.ascontiguousarray(wide)
    narrow = np.empty(len(wide), dtype=np.int32)
    # By slices: they stay in the cache, and Ctrl-C is answered between them.
    for start in range(0, len(wide), _SLICE_ROWS):
        part = wide[start : start + _SLICE_ROWS]
        for worst in (part.min(), part.max()):
            if not -_MAX_INT32 <= worst <= _MAX_INT32:
                raise UnknownTokenError(f"token id {worst} is outside every vocabulary")
        narrow[start : start + _SLICE_ROWS] = part
    return narrow
