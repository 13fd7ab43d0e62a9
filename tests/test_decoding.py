"""Ids to text as Python sees it: what every call promises, and what it refuses and how."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_tokenizer import END, LOW, TOK, few
from tiny_vocabularies import dumped, metaspace_json

import bytewright as bw

UNKNOWN = [262, -1, 1 << 20, (1 << 31) - 1, -(1 << 31), 1 << 31, 1 << 40, -(1 << 40), 1 << 70]


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_ids_outside_the_vocabulary_are_an_error_that_names_them(unknown: int) -> None:
    forms: list[Any] = [[97, unknown], (unknown, 97)]
    if -(1 << 63) <= unknown < 1 << 63:
        forms += [np.array([97, unknown, 97], dtype=np.int64), pa.array([unknown], pa.int64())]
    calls: list[Callable[[Any], object]] = [
        TOK.decode, TOK.decode_bytes, TOK.is_canonical, TOK.stream_decoder().push,
        lambda ids: TOK.decode_batch([ids]),
    ]  # fmt: skip
    for ids in forms:
        for call in calls:
            with pytest.raises(bw.UnknownTokenError, match=r"outside (the|every) vocabulary"):
                call(ids)
    with pytest.raises(KeyError, match=rf"token id {unknown} is outside the vocabulary of 262"):
        TOK.token_bytes(unknown)


def test_a_hole_is_no_token() -> None:
    tok = bw.Tokenizer(
        replace(
            TOK.definition,
            kinds=TOK.definition.kinds + b"\0",
            offsets=TOK.definition.offsets + TOK.definition.offsets[-4:],
        )
    )
    assert tok.vocab_size == 263
    for call in (lambda: tok.decode([262]), lambda: tok.token_bytes(262)):
        with pytest.raises(bw.UnknownTokenError):
            call()


@pytest.mark.parametrize(
    "ids",
    [
        np.array([LOW, END], dtype=dtype)
        for dtype in ("i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u2")
    ]
    + [
        np.array([LOW, 0, END, 0], dtype=np.int32)[::2],
        np.array([END, LOW], dtype=np.int64)[::-1],
        (LOW, END),
        [np.int32(LOW), np.uint64(END)],
        range(LOW, LOW + 1),
        pa.array([LOW, END], pa.uint16()),
        pa.array([0, LOW, END, 0])[1:3],
        pa.chunked_array([[LOW], [END]]),
        TOK.encode_batch(["low<end>"], allowed_special="all")[0],
    ],
)
def test_ids_of_every_kind_are_read(ids: Any) -> None:
    expected = [int(i) for i in (ids.as_py() if isinstance(ids, pa.Scalar) else list(map(int, (
        ids.to_pylist() if hasattr(ids, "to_pylist") else ids))))]  # fmt: skip
    text = b"".join(TOK.token_bytes(i) for i in expected)
    assert TOK.decode_bytes(ids) == text
    assert TOK.decode(ids) == text.decode()
    assert TOK.stream_decoder().push_bytes(ids) == text
    assert TOK.is_canonical(ids) is (expected == TOK.encode(text))


def test_ids_that_are_read_only_or_borrowed_are_read() -> None:
    ids = TOK.encode_array("low tide")
    ids.flags.writeable = False
    assert TOK.decode(ids) == "low tide"
    assert TOK.decode(np.frombuffer(ids.tobytes(), dtype=np.int32)) == "low tide"


@pytest.mark.parametrize(
    ("ids", "error"),
    [
        ("low", TypeError), (b"low", TypeError), (3, TypeError), (None, TypeError),
        ([1.0], TypeError), (["1"], TypeError), ([None], TypeError), ([[1]], TypeError),
        (np.array([1.0]), TypeError), (np.array(["a"]), TypeError), (np.array([True]), TypeError),
        (np.zeros((1, 1), dtype=np.int32), bw.ArgumentError), (np.int32(3), bw.ArgumentError),
        (pa.array([1, None]), bw.ArgumentError), (pa.array(["a"]), TypeError),
    ],
)  # fmt: skip
def test_what_is_not_ids_is_refused(ids: Any, error: type[Exception]) -> None:
    for call in (TOK.decode, TOK.decode_bytes, TOK.is_canonical):
        with pytest.raises(error):
            call(ids)


def test_decode_follows_the_rule_for_errors() -> None:
    ids = [97, 0xC3]
    assert TOK.decode(ids) == "a\ufffd"
    assert TOK.decode(ids, "ignore") == "a"
    assert TOK.decode(ids, "backslashreplace") == "a\\xc3"
    with pytest.raises(UnicodeDecodeError):
        TOK.decode(ids, "strict")


@few
@given(st.binary(max_size=40), st.sampled_from(["replace", "ignore", "backslashreplace"]))
def test_stream_decoder_loses_and_repeats_no_byte(data: bytes, errors: Any) -> None:
    ids = TOK.encode(data)
    decoder = TOK.stream_decoder(errors=errors)
    for _ in range(2):
        text = "".join(decoder.push(i) for i in ids) + decoder.finish()
        assert text == TOK.decode(ids, errors)
    assert b"".join(TOK.stream_decoder().push_bytes(i) for i in ids) == data


def test_stream_decoder_goes_on_after_an_unknown_id() -> None:
    decoder = TOK.stream_decoder()
    assert decoder.push([0xC3]) == ""
    with pytest.raises(bw.UnknownTokenError):
        decoder.push([97, 300])
    assert decoder.push([np.int32(0xA9)]) + decoder.push(np.int64(97)) == "éa"


def test_stream_decoder_starts_anew_after_an_error_in_the_text() -> None:
    decoder = TOK.stream_decoder(errors="strict")
    assert decoder.push(0xC3) == ""
    with pytest.raises(UnicodeDecodeError):
        decoder.finish()
    assert decoder.push([97]) + decoder.finish() == "a"


@pytest.fixture(scope="module")
def metaspace(tmp_path_factory: pytest.TempPathFactory) -> bw.Tokenizer:
    path = tmp_path_factory.mktemp("metaspace") / "tokenizer.json"
    path.write_bytes(dumped(metaspace_json()))
    return bw.Tokenizer.load(path)


@pytest.mark.parametrize("text", ["hello", " hello", "  he", "", "ll he"])
def test_stream_decoder_drops_one_leading_space_of_the_text(
    metaspace: bw.Tokenizer, text: str
) -> None:
    ids = metaspace.encode(text)
    for decoder in [metaspace.stream_decoder()] * 2:
        with pytest.raises(bw.UnknownTokenError):
            decoder.push([99_999])
        pushed = [decoder.push([]), *(decoder.push(i) for i in ids), decoder.finish()]
        assert "".join(pushed) == metaspace.decode(ids)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("errors", ["replace", "ignore"])
def test_a_copied_stream_decoder_goes_on_by_itself(
    again: Callable[[Any], Any], errors: Any
) -> None:
    tok = bw.Tokenizer.from_merges([])
    decoder = tok.stream_decoder(errors=errors)
    assert decoder.push("中".encode()[0]) == ""
    other = again(decoder)
    assert other.push(list("中".encode()[1:] + b"a")) == "中a"
    assert decoder.push(list("中".encode()[1:] + b"b")) == "中b"
    assert other.push(0xFF) + other.finish() == {"replace": "\ufffd", "ignore": ""}[errors]
    assert decoder.finish() == ""
    with pytest.raises(bw.ArgumentTypeError, match="pickle its tokenizer"):
        pickle.dumps(decoder)
    for refused in (again, pickle.dumps):
        with pytest.raises(bw.ArgumentTypeError, match="neither copied nor pickled"):
            refused(tok.stream_encoder())
