"""Arrow in and out: every layout of text is read, no row is lost, no id is copied."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bytewright as bw
from bytewright import arrays

few = settings(max_examples=60)

TOK = bw.Tokenizer.from_merges(
    [(b"l", b"o"), (b"lo", b"w"), (b"a", b"a")], special_tokens=["<end>"]
)
LONG = "low tide and high tide"  # more than the 12 bytes that a view holds itself
TEXTS = ["low", None, "", LONG, "é", None, "aaa", LONG[1:]]

PLAIN = [
    pa.string(), pa.large_string(), pa.string_view(),
    pa.binary(), pa.large_binary(), pa.binary_view(),
]  # fmt: skip
INDICES = [pa.int8(), pa.uint8(), pa.int16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]


def expected(texts: list[Any]) -> list[list[int] | None]:
    return [None if text is None else TOK.encode(text) for text in texts]


def agrees(array: Any, texts: list[Any]) -> None:
    """The batch calls give for `array` what the calls for one text give for each of `texts`."""
    ids = expected(texts)
    for threads in (1, 2):
        made = TOK.encode_batch(array, threads=threads)
        made.validate(full=True)
        assert made.type == pa.list_(pa.int32())
        assert made.to_pylist() == ids
        counts = TOK.count_batch(array, threads=threads)
        assert counts.dtype == np.int64
        assert counts.tolist() == [len(row or ()) for row in ids]


def typed(texts: list[Any], kind: pa.DataType) -> pa.Array:
    """An Arrow array of texts; made by way of `large_binary`, which casts to every kind."""
    data = [text.encode() if isinstance(text, str) else text for text in texts]
    array = pa.array(data, pa.large_binary())
    return array.cast(pa.large_string()).cast(kind) if "string" in str(kind) else array.cast(kind)


# Layouts


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_every_layout_is_read(kind: pa.DataType) -> None:
    agrees(typed(TEXTS, kind), TEXTS)


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_slices_are_read(kind: pa.DataType) -> None:
    array = typed(TEXTS, kind)
    for start in range(len(TEXTS) + 1):
        for end in range(start, len(TEXTS) + 1):
            agrees(array[start:end], TEXTS[start:end])
    agrees(array[1:7][1:4], TEXTS[2:5])


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_nothing_and_nulls_are_read(kind: pa.DataType) -> None:
    agrees(pa.array([], kind), [])
    agrees(pa.nulls(3, kind), [None] * 3)
    agrees(pa.array([""], kind), [""])
    agrees(pa.array(["", None, ""], kind), ["", None, ""])


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_chunks_are_read(kind: pa.DataType) -> None:
    array = typed(TEXTS, kind)
    agrees(pa.chunked_array([], kind), [])
    agrees(pa.chunked_array([array]), TEXTS)
    agrees(pa.chunked_array([array[3:], array[:0], array[:2], array[2:5]]), TEXTS[3:] + TEXTS[:5])
    agrees(pa.chunked_array([array, array])[5:11], (TEXTS + TEXTS)[5:11])


def test_the_null_type_is_a_column_of_nulls() -> None:
    agrees(pa.nulls(3), [None] * 3)
    agrees(pa.nulls(0), [])
    agrees(pa.nulls(5)[1:3], [None] * 2)
    agrees(pa.chunked_array([pa.nulls(2), pa.nulls(1)]), [None] * 3)


def test_bytes_of_fixed_size_are_read() -> None:
    agrees(pa.array([b"low", None, b"\xff\x00a"], pa.binary(3)), [b"low", None, b"\xff\x00a"])


def test_bytes_need_not_be_utf8() -> None:
    texts = [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\0", bytes(range(256))]
    for kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
        agrees(pa.array(texts, kind), texts)


def test_extension_arrays_are_read_as_what_they_store() -> None:
    agrees(pa.ExtensionArray.from_storage(pa.json_(), pa.array(TEXTS)), TEXTS)


@pytest.mark.parametrize("wide", [np.int32, np.int64])
def test_what_stands_behind_a_null_is_not_read(wide: Any) -> None:
    kind = pa.binary() if wide is np.int32 else pa.large_binary()
    data, offsets = b"lowgarbageaaa", np.array([0, 3, 10, 13], dtype=wide)
    valid = pa.py_buffer(bytes([0b101]))
    array = pa.Array.from_buffers(
        kind, 3, [valid, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    )
    assert array.to_pylist() == [b"low", None, b"aaa"]
    agrees(array, [b"low", None, b"aaa"])


def test_what_stands_behind_a_null_view_is_not_read() -> None:
    views = bytearray(typed(["low", LONG, "aaa"], pa.string_view()).buffers()[1].to_pybytes())
    views[16:32] = b"\xff" * 16  # a length and a buffer that are not there
    valid = pa.py_buffer(bytes([0b101]))
    array = pa.Array.from_buffers(pa.string_view(), 3, [valid, pa.py_buffer(bytes(views))])
    agrees(array, ["low", None, "aaa"])


@pytest.mark.parametrize("broken", [-1, 1 << 20])
def test_offsets_outside_the_buffer_are_an_error(broken: int) -> None:
    offsets = pa.py_buffer(np.array([0, broken, 3], dtype=np.int32).tobytes())
    array = pa.Array.from_buffers(pa.binary(), 2, [None, offsets, pa.py_buffer(b"low")])
    with pytest.raises(bw.ArgumentError, match="row 0 points outside"):
        TOK.encode_batch(array)


def test_views_outside_their_buffers_are_an_error() -> None:
    views = bytearray(typed([LONG], pa.string_view()).buffers()[1].to_pybytes())
    for at in (8, 12):  # the buffer and the offset in it
        broken = bytes(views[:at]) + b"\xff\xff\xff\x7f" + bytes(views[at + 4 :])
        buffers = [None, pa.py_buffer(broken), pa.py_buffer(LONG.encode())]
        array = pa.Array.from_buffers(pa.string_view(), 1, buffers)
        with pytest.raises(bw.ArgumentError, match="row 0 points outside"):
            TOK.encode_batch(array)


# Dictionaries


@pytest.mark.parametrize("kind", PLAIN, ids=str)
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_dictionaries_are_read(kind: pa.DataType, index: pa.DataType) -> None:
    values = typed(["low", LONG, None, ""], kind)
    rows = [0, None, 1, 2, 3, 0, 1]
    texts = [None if row is None else ["low", LONG, None, ""][row] for row in rows]
    array = pa.DictionaryArray.from_arrays(pa.array(rows, index), values)
    agrees(array, texts)
    for start in range(len(rows)):
        agrees(array[start : start + 3], texts[start : start + 3])
        agrees(array[start:], texts[start:])


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_chunks_with_dictionaries_of_their_own_are_read(kind: pa.DataType) -> None:
    own: list[tuple[list[int | None], list[str | None]]] = [
        ([1, None, 0, 1], ["low", None]),
        ([0, 0, 0], ["aaa"]),
        ([0], ["other", LONG, "not used"]),
        ([], ["not used"]),
    ]
    chunks = [
        pa.DictionaryArray.from_arrays(pa.array(rows, pa.int8()), typed(texts, kind))
        for rows, texts in own
    ]
    array = pa.chunked_array(chunks)
    texts = [None, None, "low", None, "aaa", "aaa", "aaa", "other"]
    agrees(array, texts)
    agrees(array[2:5], texts[2:5])
    agrees(pa.chunked_array([], chunks[0].type), [])


def test_dictionaries_without_values_or_rows_are_read() -> None:
    none = pa.array([], pa.string())
    agrees(pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), none), [])
    agrees(pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), none), [None, None])
    agrees(pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), pa.array(["low"])), [])
    nulls = pa.nulls(1, pa.string())
    agrees(pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), nulls), [None, None])


def test_an_index_behind_a_null_is_not_read() -> None:
    indices = pa.Array.from_buffers(
        pa.int8(), 3, [pa.py_buffer(bytes([0b101])), pa.py_buffer(bytes([0, 99, 1]))]
    )
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["low", "aaa"]), safe=False)
    agrees(array, ["low", None, "aaa"])


def test_values_of_a_dictionary_that_no_row_has_are_not_read() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"ab")
    array = pa.array(["ab", "b", "not in the alphabet"]).dictionary_encode()[:2]
    assert tok.encode_batch(array).to_pylist() == [[0, 1], [1]]


@few
@given(
    st.lists(st.sampled_from(TEXTS), max_size=30),
    st.sampled_from([*PLAIN, *(pa.dictionary(pa.int16(), kind) for kind in PLAIN[:2])]),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_any_slices_and_chunks_are_read(
    texts: list[str | None], kind: pa.DataType, cuts: list[int]
) -> None:
    array = typed(texts, kind) if kind in PLAIN else pa.array(texts, pa.string()).cast(kind)
    bounds = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    chunks = [array[start:end] for start, end in pairwise(bounds)]
    agrees(pa.chunked_array(chunks, kind), texts)
    agrees(array[bounds[1] :], texts[bounds[1] :])


# Objects


class Exports:
    """Another library's array: it only exports the C interface."""

    def __init__(self, array: Any) -> None:
        self.array = array


class ExportsArray(Exports):
    def __arrow_c_array__(self, schema: object = None) -> object:
        return self.array.__arrow_c_array__(schema)


class ExportsStream(Exports):
    def __arrow_c_stream__(self, schema: object = None) -> object:
        return self.array.__arrow_c_stream__(schema)


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_what_exports_an_array_is_read(kind: pa.DataType) -> None:
    array = typed(TEXTS, kind)
    agrees(ExportsArray(array), TEXTS)
    agrees(ExportsArray(array[2:5]), TEXTS[2:5])
    agrees(ExportsStream(pa.chunked_array([array, array[:3]])), TEXTS + TEXTS[:3])
    agrees(ExportsStream(pa.chunked_array([], kind)), [])


def test_polars_series_are_read() -> None:
    polars = pytest.importorskip("polars")
    agrees(polars.Series(TEXTS), TEXTS)
    agrees(polars.Series(TEXTS, dtype=polars.Categorical), TEXTS)


def test_pandas_series_are_read() -> None:
    pandas = pytest.importorskip("pandas")
    agrees(pandas.Series(TEXTS, dtype=pandas.ArrowDtype(pa.string())), TEXTS)
    agrees(pandas.Series(TEXTS, dtype=object), TEXTS)


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda texts: np.array(texts, dtype=object)])
def test_sequences_of_objects_are_read(kind: Callable[[list[Any]], Any]) -> None:
    ids = expected(TEXTS)
    assert TOK.encode_batch(kind(TEXTS)).to_pylist() == ids
    assert TOK.encode_batch(kind([])).to_pylist() == []
    assert TOK.encode_batch(kind([None, None])).to_pylist() == [None, None]
    assert TOK.count_batch(kind([*TEXTS, b"\xff"])).tolist() == [*(len(i or ()) for i in ids), 1]


@pytest.mark.parametrize(
    "wrong",
    [
        pa.array([1, 2]), pa.array([["low"]]), pa.array([{"a": "low"}]), pa.array([1.0]),
        pa.table({"text": ["low"]}), pa.array([1, 2]).dictionary_encode(),
        pa.chunked_array([[1]]), "low", b"low", bytearray(b"low"), memoryview(b"low"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_arrays_of_something_else_are_an_error(wrong: Any) -> None:
    for call in (TOK.encode_batch, TOK.count_batch):
        with pytest.raises(bw.ArgumentError, match=r"string and binary arrays|one text"):
            call(wrong)


@pytest.mark.parametrize("wrong", [None, 3, object(), [3], [["low"]], [bytearray(b"low")]])
def test_what_is_no_sequence_of_text_is_a_type_error(wrong: Any) -> None:
    for call in (TOK.encode_batch, TOK.count_batch):
        with pytest.raises(TypeError, match=r"texts? must be"):
            call(wrong)


# Out


def test_ids_go_out_without_a_copy() -> None:
    batch = arrays.as_batch(["low", None, "aaa"])
    values, offsets = TOK._core.encode_batch(batch.chunks, "none", 1)
    made = arrays.list_array(values, offsets, batch)
    assert made.values.buffers()[1].address == values.ctypes.data
    assert made.to_pylist() == [[257], None, [258, 97]]


def test_text_goes_out_without_a_copy() -> None:
    data, ends = TOK._core.decode_batch(
        np.array([257, 97], dtype=np.int32), np.array([0, 1, 2], dtype=np.int64)
    )
    made = arrays.binary_array(data, ends, None)
    assert made.buffers()[2].address == data.ctypes.data


def test_text_comes_in_without_a_copy() -> None:
    for kind in PLAIN:
        array = typed([LONG, "low", LONG], kind)[1:]
        (chunk,) = arrays.as_batch(array).chunks
        held = [part for item in chunk if item is not None
                for part in (item if isinstance(item, list) else [item])
                if isinstance(part, np.ndarray) and part.size]  # fmt: skip
        inside = [
            any(b.address <= part.ctypes.data < b.address + b.size for b in array.buffers() if b)
            for part in held
        ]
        assert len(held) >= 2
        assert all(inside)


def test_decoded_ids_come_in_without_a_copy() -> None:
    lists = pa.array([[97], [98, 99], [100]], pa.list_(pa.int32()))
    values, _, _ = arrays.as_lists(lists[1:])
    buffer = lists.values.buffers()[1]
    assert values.ctypes.data == buffer.address + 4
    ids = pa.array([97, 98], pa.int32())
    assert arrays.as_ids(ids).ctypes.data == ids.buffers()[1].address


def test_results_outlive_what_they_came_from() -> None:
    made = TOK.encode_batch(pa.array([LONG] * 3))
    rows = [made[i].values.to_numpy() for i in range(3)]
    del made
    assert all(TOK.decode(row) == LONG for row in rows)


@pytest.mark.parametrize("limit", [3, 4])
def test_more_ids_than_offsets_count_are_an_error(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(arrays, "_MAX_INT32", limit)
    batches = [["ab", "cd"], pa.array(["ab", "cd"]), pa.array(["ab", "ab"]).dictionary_encode()]
    for batch in batches:
        if limit == 4:
            assert len(TOK.encode_batch(batch)) == 2
            continue
        with pytest.raises(bw.ArgumentError, match=r"4 ids in one batch: at most 3 .*batches"):
            TOK.encode_batch(batch)


def test_more_text_than_offsets_count_is_large_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [[97], None, [257], []]
    small = TOK.decode_batch(lists)
    assert small.type == pa.binary()
    monkeypatch.setattr(arrays, "_MAX_INT32", 3)
    large = TOK.decode_batch(pa.array(lists, pa.list_(pa.int32())))
    assert large.type == pa.large_binary()
    assert large.to_pylist() == small.to_pylist() == [b"a", None, b"low", b""]
    large.validate(full=True)


# Lists of ids

LISTS = [[257, 97], None, [], [97], None, [258]]
DECODED = [b"lowa", None, b"", b"a", None, b"aa"]
VALUES = [pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]
LAYOUTS: list[Callable[[pa.DataType], pa.DataType]] = [
    pa.list_, pa.large_list, pa.list_view, pa.large_list_view,
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_lists_of_every_layout_are_decoded(
    layout: Callable[[pa.DataType], pa.DataType], value: pa.DataType
) -> None:
    array = pa.array(LISTS, layout(value))
    for start in range(len(LISTS) + 1):
        for end in range(start, len(LISTS) + 1):
            made = TOK.decode_batch(array[start:end])
            made.validate(full=True)
            assert made.to_pylist() == DECODED[start:end]
    assert TOK.decode_batch(pa.chunked_array([array[3:], array[:3]])).to_pylist() == (
        DECODED[3:] + DECODED[:3]
    )
    assert TOK.decode_batch(pa.chunked_array([], array.type)).to_pylist() == []
    assert TOK.decode_batch(ExportsArray(array)).to_pylist() == DECODED


def test_lists_of_fixed_size_are_decoded() -> None:
    array = pa.array([[257, 97], None, [97, 97]], pa.list_(pa.int32(), 2))
    assert TOK.decode_batch(array).to_pylist() == [b"lowa", None, b"aa"]
    assert TOK.decode_batch(array[1:]).to_pylist() == [None, b"aa"]


def test_nested_python_lists_are_decoded() -> None:
    rows = [None if row is None else np.array(row, dtype=np.int32) for row in LISTS]
    for lists in (LISTS, tuple(LISTS), iter(LISTS), rows, [tuple(row or ()) for row in LISTS]):
        made = TOK.decode_batch(lists).to_pylist()
        assert [row or b"" for row in made] == [row or b"" for row in DECODED]
    assert TOK.decode_batch(LISTS).to_pylist() == DECODED
    mixed = [np.array([]), [257], pa.array([97]), None, np.array([97], dtype=np.uint16)]
    assert TOK.decode_batch(mixed).to_pylist() == [b"", b"low", b"a", None, b"a"]
    assert TOK.decode_batch(np.array([[257, 97], [97, 258]])).to_pylist() == [b"lowa", b"aaa"]


def test_nulls_and_nothing_are_decoded() -> None:
    assert TOK.decode_batch(pa.nulls(2)).to_pylist() == [None, None]
    assert TOK.decode_batch([None, None]).to_pylist() == [None, None]
    assert TOK.decode_batch(pa.array([[], []])).to_pylist() == [b"", b""]
    assert TOK.decode_batch(pa.array([])).to_pylist() == []


@pytest.mark.parametrize("garbage", [97, 1 << 20, -7])
def test_what_stands_behind_a_null_list_is_not_decoded(garbage: int) -> None:
    values = pa.array([97, garbage, garbage, 258], pa.int32())
    offsets = pa.array([0, 1, 3, 4], pa.int32())
    mask = pa.array([False, True, False])
    array = pa.ListArray.from_arrays(offsets, values, mask=mask)
    assert TOK.decode_batch(array).to_pylist() == [b"a", None, b"aa"]


def test_what_stands_outside_a_slice_is_not_decoded() -> None:
    array = pa.array([[1 << 40], [97], [None]], pa.list_(pa.int64()))
    assert TOK.decode_batch(array[1:2]).to_pylist() == [b"a"]
    with pytest.raises(bw.ArgumentError, match="null token id"):
        TOK.decode_batch(array[1:])
    with pytest.raises(bw.UnknownTokenError, match=str(1 << 40)):
        TOK.decode_batch(array[:2])


@few
@given(st.lists(st.one_of(st.none(), st.binary(max_size=20)), max_size=20), st.integers(0, 20))
def test_decode_batch_inverts_encode_batch(texts: list[bytes | None], start: int) -> None:
    ids = TOK.encode_batch(texts)
    assert TOK.decode_batch(ids).to_pylist() == texts
    assert TOK.decode_batch(ids[start:]).to_pylist() == texts[start:]
    assert TOK.decode_batch(ids.to_pylist()).to_pylist() == texts


@pytest.mark.parametrize("unknown", [300, -1, 1 << 31, 1 << 40, 1 << 70])
def test_unknown_ids_of_a_batch_are_an_error(unknown: int) -> None:
    with pytest.raises(bw.UnknownTokenError):
        TOK.decode_batch([[97], [unknown]])


@pytest.mark.parametrize(
    "wrong",
    [
        [97], [[97], [1.5]], [[1.5]], [[True]], [np.array([1.0])], [[97], [[97], 97]], [["a"]],
        [[[97]]], [[None]], ["ab"], pa.array([97]), pa.array(["a"]), pa.array([[1.0]]),
        pa.array([[None, 97]]), pa.array([["a"]]),
    ],
)  # fmt: skip
def test_what_is_no_list_of_ids_is_an_error(wrong: Any) -> None:
    with pytest.raises(bw.ArgumentError, match=r"lists of|null token id"):
        TOK.decode_batch(wrong)


@pytest.mark.parametrize("wrong", [None, 3, "low", b"low"])
def test_what_is_no_sequence_of_lists_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="lists of token ids"):
        TOK.decode_batch(wrong)
