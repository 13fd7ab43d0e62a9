"""The tokenizer as Python sees it: what every call promises, and what it refuses and how."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import read_zst
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_vocabularies import added, dumped, metaspace_json, tokenizer_json

import bytewright as bw
from bytewright.definition import Definition

few = settings(max_examples=60, deadline=None)

MERGES = [(b"l", b"o"), (b"lo", b"w"), (b" ", b"t"), (b"\xc3", b"\xa9")]
LOW, SPACE_T, ACUTE = 257, 258, 259
END, PAD = 260, 261
TOK = bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pad>"])
EMPTY: tuple[Any, ...] = ("", b"", bytearray().join([]))


class Text(str):
    """A `str` that lies about its slices and its encoding."""

    def __getitem__(self, at: Any) -> str:
        return "x"

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        return b"x"


class Data(bytes):
    pass


def brute_force(merges: Sequence[tuple[bytes, bytes]], piece: bytes) -> list[bytes]:
    """Joins the pair of lowest rank, leftmost first, until none is left."""
    parts = [bytes([byte]) for byte in piece]
    ranks: dict[tuple[bytes, bytes], int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault(pair, rank)
    while True:
        known = [(ranks[p], at) for at, p in enumerate(zip(parts, parts[1:], strict=False))
                 if p in ranks]  # fmt: skip
        if not known:
            return parts
        at = min(known)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


@st.composite
def merge_lists(draw: st.DrawFn) -> list[tuple[bytes, bytes]]:
    """Merges over a few bytes, in any order, some making a string that is there already."""
    known = [b"a", b"b", b"\xc3", b"\xa9"]
    merges: list[tuple[bytes, bytes]] = []
    for _ in range(draw(st.integers(0, 12))):
        left, right = draw(st.sampled_from(known)), draw(st.sampled_from(known))
        if len(left + right) <= 12 and (left, right) not in merges:
            merges.append((left, right))
            known.append(left + right)
    return merges


letters = st.lists(st.sampled_from([b"a", b"b", b"\xc3", b"\xa9"]), max_size=60).map(b"".join)


# Ids


def test_ids_are_alphabet_then_merges_then_special_tokens() -> None:
    tok = bw.Tokenizer.from_merges(
        [(b"b", b"a"), (b"ba", b"b")], alphabet=[b"b", b"a"], special_tokens=["<x>", "<y>"]
    )
    assert [tok.token_bytes(i) for i in range(6)] == [b"b", b"a", b"ba", b"bab", b"<x>", b"<y>"]
    assert tok.vocab_size == 6
    assert dict(tok.special_tokens) == {"<x>": 4, "<y>": 5}


def test_the_default_alphabet_is_all_bytes_in_order() -> None:
    tok = bw.Tokenizer.from_merges([])
    assert [tok.token_bytes(i) for i in range(256)] == [bytes([i]) for i in range(256)]
    assert tok.vocab_size == 256
    assert tok.encode(bytes(range(256))) == list(range(256))


def test_a_pair_that_makes_a_known_string_adds_no_id() -> None:
    merges = [(b"a", b"b"), (b"b", b"c"), (b"ab", b"c"), (b"a", b"bc")]
    tok = bw.Tokenizer.from_merges(merges, alphabet=b"abc", special_tokens=["<s>"])
    assert [tok.token_bytes(i) for i in range(3, 7)] == [b"ab", b"bc", b"abc", b"<s>"]
    assert tok.vocab_size == 7
    assert tok.merges == merges


def test_a_second_road_to_a_token_is_taken() -> None:
    tok = bw.Tokenizer.from_merges(
        [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c"), (b"a", b"bc")], alphabet=b"abc"
    )
    assert tok.encode("abc") == [tok.token_id(b"abc")]


@few
@given(merge_lists(), letters)
def test_encode_is_greedy_merging(merges: list[tuple[bytes, bytes]], text: bytes) -> None:
    tok = bw.Tokenizer.from_merges(merges, alphabet=[b"a", b"b", b"\xc3", b"\xa9"])
    expected = brute_force(merges, text)
    assert [tok.token_bytes(i) for i in tok.encode(text)] == expected
    assert len({left + right for left, right in merges}) == tok.vocab_size - 4


@few
@given(merge_lists(), letters)
def test_every_way_to_encode_gives_the_same(merges: list[tuple[bytes, bytes]], text: bytes) -> None:
    tok = bw.Tokenizer.from_merges(merges)
    ids = tok.encode(text)
    array = tok.encode_array(text)
    assert array.dtype == np.int32
    assert array.tolist() == ids
    with_offsets, offsets = tok.encode_offsets(text)
    assert (with_offsets.dtype, offsets.dtype) == (np.int32, np.int64)
    assert with_offsets.tolist() == ids
    assert [text[a:b] for a, b in zip(offsets, offsets[1:], strict=False)] == [
        tok.token_bytes(i) for i in ids
    ]
    assert offsets[0] == 0
    assert offsets[-1] == len(text)
    assert tok.count(text) == len(ids)
    assert tok.encode_batch([text, text], threads=2).to_pylist() == [ids, ids]
    assert tok.count_batch([text, b"", text]).tolist() == [len(ids), 0, len(ids)]
    assert tok.decode_bytes(ids) == text
    assert tok.decode_bytes(array) == text
    assert tok.decode(ids) == text.decode(errors="replace")
    assert tok.is_canonical(ids)


@few
@given(merge_lists(), letters, st.lists(st.integers(0, 60), max_size=4))
def test_stream_encoder_gives_the_ids_of_the_whole(
    merges: list[tuple[bytes, bytes]], text: bytes, cuts: list[int]
) -> None:
    tok = bw.Tokenizer.from_merges(merges)
    encoder = tok.stream_encoder()
    bounds = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    for _ in range(2):  # ready for another text afterwards
        ids = [i for a, b in zip(bounds, bounds[1:], strict=False) for i in encoder.push(text[a:b])]
        assert [*ids, *encoder.finish()] == tok.encode(text)


def test_stream_encoder_of_much_text_gives_the_ids_of_the_whole() -> None:
    tok = bw.Tokenizer.from_merges(MERGES, pattern="gpt2")
    text = b"low tide and high tide, 12 times a day \xc3\xa9\n" * 60_000
    encoder = tok.stream_encoder()
    parts = [encoder.push(text[at : at + 99_991]) for at in range(0, len(text), 99_991)]
    assert any(len(part) for part in parts)
    assert np.array_equal(np.concatenate([*parts, encoder.finish()]), tok.encode_array(text))


@few
@given(letters, st.integers(0, 70))
def test_truncate_is_a_prefix_that_fits(text: bytes, limit: int) -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b"), (b"\xc3", b"\xa9"), (b"ab", b"ab")])
    part = tok.truncate(text, limit)
    assert isinstance(part, bytes)
    assert text.startswith(part)
    assert tok.count(part) <= limit
    assert part == text or tok.count(text) > limit
    string = text.decode(errors="replace")
    prefix = tok.truncate(string, limit)
    assert isinstance(prefix, str)
    assert string.startswith(prefix)
    assert tok.count(prefix) <= limit


def test_truncate_keeps_whole_characters_of_a_str() -> None:
    tok = bw.Tokenizer.from_merges([])
    assert tok.truncate("aé", 2) == "a"
    assert tok.truncate("aé".encode(), 2) == b"a\xc3"


@few
@given(letters, st.integers(0, 70))
def test_a_limited_count_is_exact_within_the_limit(text: bytes, limit: int) -> None:
    exact, limited = TOK.count(text), TOK.count(text, limit=limit)
    assert limited == exact if exact <= limit else limited > limit


def test_a_limited_count_stops_early() -> None:
    tok = bw.Tokenizer.from_merges([], pattern="gpt2")
    text = b"a tide " * 100_000
    assert 10 < tok.count(text, limit=10) < 10_000


def test_limits_of_any_size_are_allowed() -> None:
    assert TOK.count("low", limit=1 << 70) == 1
    assert TOK.truncate("low", 1 << 70) == "low"
    assert TOK.encode_batch(["low"], threads=1 << 70).to_pylist() == [[LOW]]
    assert TOK.count_batch(["low"] * 9, threads=1 << 70).tolist() == [1] * 9


# Text


@pytest.mark.parametrize("text", ["", b"", Text(), Data()])
def test_empty_text_has_no_ids(text: str | bytes) -> None:
    assert TOK.encode(text) == []
    assert TOK.encode(text, allowed_special="all") == []
    assert TOK.encode_array(text).shape == (0,)
    assert TOK.encode_array(text).dtype == np.int32
    ids, offsets = TOK.encode_offsets(text)
    assert (ids.tolist(), offsets.tolist()) == ([], [0])
    assert TOK.count(text) == TOK.count(text, limit=0) == 0
    assert TOK.truncate(text, 0) == text


def test_nothing_decodes_to_nothing() -> None:
    none = np.zeros(0, dtype=np.int32)
    for ids in ([], (), none, np.zeros(0), pa.array([], pa.int32())):
        assert TOK.decode(ids) == ""
        assert TOK.decode_bytes(ids) == b""
        assert TOK.is_canonical(ids)
    assert TOK.decode_batch([]).to_pylist() == []
    assert TOK.decode_batch([[]]).to_pylist() == [b""]
    assert TOK.stream_decoder().push([]) == ""
    assert TOK.stream_decoder().finish() == ""
    assert TOK.stream_encoder().push(b"").tolist() == []
    assert TOK.stream_encoder().finish().tolist() == []


def test_str_and_its_utf8_are_one_text() -> None:
    text = "low é 💧 ꙮ\0"
    assert TOK.encode(text) == TOK.encode(text.encode())
    assert TOK.count(text) == TOK.count(text.encode())
    assert TOK.encode_batch([text]).equals(TOK.encode_batch([text.encode()]))


@pytest.mark.parametrize("filler", ["é", "💧", "a"])
def test_long_str_and_its_utf8_are_one_text(filler: str) -> None:
    text = filler * (1 << 20) + "low é"
    expected = TOK.encode_array(text.encode())
    assert np.array_equal(TOK.encode_array(text), expected)
    assert np.array_equal(TOK.encode_array(Text(text)), expected)
    assert np.array_equal(TOK.encode_batch([text]).values.to_numpy(), expected)


def test_subclasses_of_str_and_bytes_are_text() -> None:
    assert TOK.encode(Text("low")) == TOK.encode(Data(b"low")) == [LOW]
    assert TOK.encode_batch([Text("low"), Data(b"low")]).to_pylist() == [[LOW], [LOW]]
    assert TOK.encode(np.str_("low")) == TOK.encode(np.bytes_(b"low")) == [LOW]


@pytest.mark.parametrize("at", [0, 3, (1 << 20) + 5, (1 << 21) + 1])
def test_a_lone_surrogate_is_an_error_that_says_where(at: int) -> None:
    text = "é" * at + "\ud83d" + "é" * 9
    calls: list[Callable[[str], object]] = [
        TOK.encode, TOK.encode_array, TOK.encode_offsets, TOK.count,
        lambda text: TOK.truncate(text, 3),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(bw.ArgumentError, match=rf"character {at} of the text .*surrogate"):
            call(text)
    for batch in (TOK.encode_batch, TOK.count_batch):
        with pytest.raises(bw.ArgumentError, match=rf"character {at} of row 2 .*surrogate"):
            batch(["é", None, text])


@pytest.mark.parametrize(
    "value", [bytearray(b"low"), memoryview(b"low"), None, 3, ["low"], object(), np.zeros(3)]
)
def test_what_is_not_text_is_a_type_error_that_names_it(value: Any) -> None:
    named = f"not {type(value).__name__}"
    for call in (TOK.encode, TOK.encode_array, TOK.encode_offsets, TOK.count):
        with pytest.raises(TypeError, match=f"text must be str or bytes, {named}"):
            call(value)
    if value is not None:
        with pytest.raises(TypeError, match=f"row 1: text must be .*{named}"):
            TOK.encode_batch(["low", value])


def test_the_chunks_of_a_stream_are_bytes() -> None:
    with pytest.raises(TypeError, match="str"):
        TOK.stream_encoder().push("low")  # type: ignore[arg-type]


# Special tokens


def test_special_tokens_are_text_unless_allowed() -> None:
    text = "low<end><pad>"
    plain = [LOW, *b"<end><pad>"]
    assert TOK.encode(text) == TOK.encode(text, allowed_special=()) == plain
    assert TOK.encode(text, allowed_special="all") == [LOW, END, PAD]
    for chosen in (["<end>"], {"<end>"}, ("<end>", "<end>"), {"<end>": 1}, iter(["<end>"])):
        assert TOK.encode(text, allowed_special=chosen) == [LOW, END, *b"<pad>"]
    for empty in ((), [], set(), {}, frozenset()):
        assert TOK.encode(text, allowed_special=empty) == plain
    assert TOK.encode(text, allowed_special=TOK.special_tokens) == [LOW, END, PAD]


def test_special_tokens_are_allowed_in_every_call() -> None:
    text, both = b"low<end>", {"<end>"}
    assert TOK.encode_array(text, allowed_special=both).tolist() == [LOW, END]
    ids, offsets = TOK.encode_offsets(text, allowed_special=both)
    assert (ids.tolist(), offsets.tolist()) == ([LOW, END], [0, 3, 8])
    assert TOK.encode_batch([text], allowed_special=both).to_pylist() == [[LOW, END]]
    assert TOK.count(text, allowed_special=both) == 2
    assert TOK.count_batch([text], allowed_special=both).tolist() == [2]
    assert TOK.truncate(text, 1, allowed_special=both) == b"low"
    encoder = TOK.stream_encoder(allowed_special=both)
    assert [*encoder.push(b"low<en"), *encoder.push(b"d>"), *encoder.finish()] == [LOW, END]


@pytest.mark.parametrize("wrong", [["<nope>"], ["<end>", "low"], ["\ud800"], ["\ufffd"], "<end>"])
def test_an_unknown_special_token_is_an_error(wrong: Any) -> None:
    for text in ("", "low"):
        for call in (TOK.encode, TOK.encode_array, TOK.encode_offsets, TOK.count):
            with pytest.raises(bw.ArgumentError, match="special token"):
                call(text, allowed_special=wrong)
        with pytest.raises(bw.ArgumentError, match="special token"):
            TOK.encode_batch([text], allowed_special=wrong)
    with pytest.raises(bw.ArgumentError, match="special token"):
        TOK.stream_encoder(allowed_special=wrong)


@pytest.mark.parametrize("wrong", [None, 3, b"all", [3], [None], [b"<end>"]])
def test_special_tokens_of_another_type_are_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="allowed_special"):
        TOK.encode("low", allowed_special=wrong)


def test_special_tokens_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TOK.special_tokens["<new>"] = 1  # type: ignore[index]


# Ids back to text

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


# What it is


def test_tokens_are_known_by_id_and_by_bytes() -> None:
    assert TOK.vocab_size == 262
    for i in range(TOK.vocab_size):
        assert TOK.token_id(TOK.token_bytes(i)) == i
    assert TOK.token_id(b"nothing") is None
    assert TOK.token_id(b"") is None
    with pytest.raises(TypeError):
        TOK.token_id("low")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        TOK.token_bytes("low")  # type: ignore[arg-type]


def test_merges_and_pattern_are_those_given() -> None:
    assert TOK.merges == MERGES
    TOK.merges.clear()
    assert TOK.merges == MERGES
    assert TOK.pattern is None
    assert bw.Tokenizer.from_merges([], pattern="gpt2").pattern == "gpt2"
    assert bw.Tokenizer.from_merges([], pattern=r"\s+|\S").pattern == r"\s+|\S"


@few
@given(st.lists(st.integers(0, 261), max_size=12))
def test_canonical_ids_are_those_that_encode_gives(ids: list[int]) -> None:
    assert TOK.is_canonical(ids) is (TOK.encode(TOK.decode_bytes(ids)) == ids)


def test_canonical_takes_the_pattern_into_account() -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b" ")], pattern=r"\s+|\S+")
    assert not tok.is_canonical([256])
    assert tok.is_canonical([97, 32])


def test_a_tokenizer_cannot_be_changed() -> None:
    for name in ("pattern", "vocab_size", "fingerprint", "merges", "_core", "_definition", "new"):
        with pytest.raises(AttributeError, match="cannot be set|immutable"):
            setattr(TOK, name, None)
        with pytest.raises(AttributeError):
            delattr(TOK, name)
    assert TOK.encode("low") == [LOW]
    with pytest.raises(AttributeError):
        TOK._core.new = 1  # type: ignore[attr-defined]


# Making one


@pytest.mark.parametrize(
    ("merges", "message"),
    [
        ([(b"a", b"b"), (b"ab", b"x"), (b"y", b"z")], r"merge 1 .*b'x' is neither"),
        ([(b"ab", b"a"), (b"a", b"b")], r"merge 0 .*b'ab' is neither"),
        ([(b"a", b"")], r"merge 0 .*b'' is neither"),
        ([("a", "b")], r"merge 0 .*'a' is not bytes"),
        ([(b"a", bytearray(b"b"))], r"merge 0 .*is not bytes"),
        ([(b"a",)], r"merge 0 .*pair"),
        ([(b"a", b"b", b"a")], r"merge 0 .*pair"),
        ([b"ab"], r"merge 0 .*pair"),
        (["ab"], r"merge 0 .*pair"),
        ([None], r"merge 0 .*pair"),
    ],
)
def test_wrong_merges_are_named(merges: Any, message: str) -> None:
    with pytest.raises(bw.ArgumentError, match=message):
        bw.Tokenizer.from_merges(merges, alphabet=b"ab")


@pytest.mark.parametrize("alphabet", [b"aa", [b"a", b"a"], [b"ab"], [b""], ["a"], "ab", [97]])
def test_a_wrong_alphabet_is_an_error(alphabet: Any) -> None:
    with pytest.raises(bw.ArgumentError, match="alphabet entry"):
        bw.Tokenizer.from_merges([], alphabet=alphabet)


@pytest.mark.parametrize(
    "special", [["<a>", "<a>"], [""], "<a>", b"<a>", [b"<a>"], [3], ["\ud800"]]
)
def test_wrong_special_tokens_are_an_error(special: Any) -> None:
    with pytest.raises(bw.ArgumentError, match="special"):
        bw.Tokenizer.from_merges([], special_tokens=special)


def test_merges_and_special_tokens_may_be_iterators() -> None:
    tok = bw.Tokenizer.from_merges(iter(MERGES), special_tokens=iter(["<end>", "<pad>"]))  # type: ignore[arg-type]
    assert tok == TOK


def test_a_wrong_pattern_is_an_error() -> None:
    for wrong in ("(", r"(a)\1", "[z-a]"):
        with pytest.raises(bw.PatternError):
            bw.Tokenizer.from_merges([], pattern=wrong)


def test_text_outside_a_partial_alphabet_is_an_error_that_says_where() -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab", special_tokens=["<c>"])
    assert tok.encode("abba") == [2, 1, 0]
    calls: list[Callable[[str], object]] = [
        tok.encode, tok.encode_array, tok.encode_offsets, tok.count,
        lambda text: tok.encode_batch([text]), lambda text: tok.count_batch(["", text]),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(bw.ArgumentError, match="byte 0x63 at offset 2 is not in the alphabet"):
            call("abc")


def test_no_alphabet_is_a_vocabulary_of_nothing() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"")
    assert (tok.vocab_size, tok.encode(""), tok.merges) == (0, [], [])
    with pytest.raises(bw.ArgumentError):
        tok.encode("a")
    with pytest.raises(bw.UnknownTokenError):
        tok.decode([0])


@pytest.mark.parametrize("call", ["count", "truncate", "threads"])
def test_numbers_out_of_range_are_an_error(call: str) -> None:
    with pytest.raises(bw.ArgumentError, match=r"-1|=0"):
        if call == "count":
            TOK.count("low", limit=-1)
        elif call == "truncate":
            TOK.truncate("low", -1)
        else:
            TOK.encode_batch(["low"], threads=0)


def broken_in_the_core() -> list[tuple[dict[str, Any], type[bw.LoadError]]]:
    split = {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}
    charsmap = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    return [
        (tokenizer_json(pre_tokenizer=split), bw.PatternError),
        (metaspace_json(normalizer=charsmap), bw.LoadError),
    ]


@pytest.mark.parametrize(("root", "error"), broken_in_the_core())
def test_errors_of_loading_name_the_file(
    tmp_path: Path, root: dict[str, Any], error: type[bw.LoadError]
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(dumped(root))
    with pytest.raises(error) as caught:
        bw.Tokenizer.load(path)
    assert str(caught.value).count(str(path)) == 1


# Copies and comparisons


def used(tok: bw.Tokenizer) -> bw.Tokenizer:
    """The same object after everything that it caches has been asked for."""
    tok.encode("low tide<end>" * 3000, allowed_special="all")
    assert tok.merges
    assert tok.special_tokens
    assert hash(tok)
    assert tok.fingerprint
    assert tok.template == ((), ())
    return tok


def test_pickles_are_the_same_before_and_after_use() -> None:
    tok = bw.Tokenizer.from_merges(MERGES, pattern="gpt2", special_tokens=["<end>"])
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        before = pickle.dumps(tok, protocol)
        assert pickle.dumps(used(tok), protocol) == before
        again = pickle.loads(before)
        assert again == tok
        assert again.fingerprint == tok.fingerprint
        assert again.encode("low tide") == tok.encode("low tide")
        assert pickle.dumps(again, protocol) == before


def test_a_pickle_holds_little_more_than_the_tables() -> None:
    merges = [(bytes([a]), bytes([b])) for a in range(256) for b in range(64)]
    tok = used(bw.Tokenizer.from_merges(merges, special_tokens=["<end>"]))
    d = tok.definition
    tables = len(d.header) + len(d.arena) + len(d.offsets) + len(d.kinds) + len(d.merges)
    assert len(pickle.dumps(tok)) < tables + 500


class Special(bw.Tokenizer):
    """A tokenizer with a method more."""

    def size(self) -> int:
        return self.vocab_size


def test_subclasses_pickle_as_themselves() -> None:
    tok = Special.from_merges(MERGES)
    again = pickle.loads(pickle.dumps(tok))
    assert type(again) is Special
    assert again.size() == 260


def test_a_pickle_by_value_needs_no_file() -> None:
    # What cloudpickle does: the parts of `__reduce__`, packed on their own.
    make, parts = TOK.__reduce__()
    assert make(*pickle.loads(pickle.dumps(parts))) == TOK


def test_copies_are_the_object_itself() -> None:
    assert copy.copy(TOK) is TOK
    assert copy.deepcopy([TOK])[0] is TOK


def test_equal_tokenizers_have_equal_hashes() -> None:
    twin = bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pad>"])
    assert twin == TOK
    assert hash(twin) == hash(TOK)
    assert {TOK: 1}[twin] == 1
    assert TOK != bw.Tokenizer.from_merges(MERGES)
    assert TOK != "tokenizer"


def header(tok: bw.Tokenizer, **changes: Any) -> bw.Tokenizer:
    rules = json.loads(tok.definition.header) | changes
    return bw.Tokenizer(replace(tok.definition, header=json.dumps(rules)))


def variants() -> dict[str, bw.Tokenizer]:
    """The tokenizer with one thing changed that decides what it does."""
    base = bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pad>"])
    rules = json.loads(base.definition.header)
    special = rules["added"]
    d: Definition = base.definition
    changed = {
        "alphabet": bw.Tokenizer.from_merges(
            MERGES, alphabet=bytes(range(255, -1, -1)), special_tokens=["<end>", "<pad>"]
        ),
        "order of merges": bw.Tokenizer.from_merges(
            [*MERGES[2:], *MERGES[:2]], special_tokens=["<end>", "<pad>"]
        ),
        "more merges": bw.Tokenizer.from_merges([*MERGES, (b"t", b"i")]),
        "special tokens": bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pat>"]),
        "order of special tokens": bw.Tokenizer.from_merges(
            MERGES, special_tokens=["<pad>", "<end>"]
        ),
        "split": bw.Tokenizer.from_merges(
            MERGES, pattern="gpt2", special_tokens=["<end>", "<pad>"]
        ),
        "other split": bw.Tokenizer.from_merges(
            MERGES, pattern="cl100k", special_tokens=["<end>", "<pad>"]
        ),
        "kinds": bw.Tokenizer(replace(d, kinds=d.kinds[:-1] + b"\x16")),
        "unit": header(base, unit="char"),
        "byte_units": header(base, byte_units=[1, 0, *range(2, 256)]),
        "final_byte_units": header(base, final_byte_units=list(range(256))),
        "unk": header(base, unk=1),
        "fuse_unk": header(base, fuse_unk=True),
        "ignore_merges": header(base, ignore_merges=True),
        "strict": header(base, strict=False),
        "normalizer": header(base, normalizer=[{"type": "nfc"}]),
        "decoder": header(base, decoder={"strip_leading_space": True}),
        "template": header(base, template={"prefix": [1], "suffix": []}),
    }
    for flag in ("single_word", "lstrip", "rstrip", "normalized"):
        changed[flag] = header(base, added=[special[0] | {flag: True}, special[1]])
    changed["special"] = header(base, added=[special[0] | {"special": False}, special[1]])
    return changed


def test_the_fingerprint_changes_with_whatever_decides_behaviour() -> None:
    changed = variants()
    prints = {TOK.fingerprint: "unchanged"}
    for name, tok in changed.items():
        assert prints.setdefault(tok.fingerprint, name) == name
    assert len(prints) == len(changed) + 1
    assert all(len(p) == 64 and int(p, 16) >= 0 for p in prints)


def test_the_fingerprint_does_not_change_with_what_only_informs() -> None:
    steps = header(TOK, pattern="as the file calls it")
    assert steps.pattern == "as the file calls it"
    assert steps.fingerprint == TOK.fingerprint


def test_the_fingerprint_is_the_same_on_every_machine() -> None:
    # Stored outputs are compared by it: a new value here is a change of format.
    tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab")
    parts = tok.definition
    rules = json.loads(parts.header)
    del rules["pattern"]
    text = json.dumps(rules, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(b"bytewright definition 1\n")
    for part in (text, parts.arena, parts.offsets, parts.kinds, parts.merges):
        digest.update(len(part).to_bytes(8, "little") + part)
    assert tok.fingerprint == digest.hexdigest()


def test_repr_says_what_it_is() -> None:
    assert repr(TOK) == "<Tokenizer of 262 tokens, pattern None>"


def test_saving_and_loading_keeps_behaviour(tmp_path: Path) -> None:
    tok = bw.Tokenizer.from_merges(MERGES, pattern="gpt2", special_tokens=["<end>"])
    tok.save(tmp_path / "tokenizer.json")
    again = bw.Tokenizer.load(tmp_path / "tokenizer.json")
    text = "low tide, é<end> \0\x7f 💧"
    assert again.encode(text, allowed_special="all") == tok.encode(text, allowed_special="all")
    assert again.vocab_size == tok.vocab_size
    with pytest.raises(bw.ArgumentError, match=r"\.json and \.tiktoken"):
        tok.save(tmp_path / "tokenizer.txt")


def test_large_vocabularies_pickle_whole(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "o200k_base.tiktoken"
    path.write_bytes(read_zst(shared / "data/vocabs/o200k_base.tiktoken.zst"))
    tok = bw.Tokenizer.load(path)
    again = pickle.loads(pickle.dumps(tok))
    assert again == tok
    assert again.vocab_size == tok.vocab_size > 200_000
    text = "Ein Fuß, zwei Füße, déjà-vu, 東京 12345\n" * 50
    assert np.array_equal(again.encode_array(text), tok.encode_array(text))


def test_an_added_token_that_is_not_special_is_always_matched(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(dumped(tokenizer_json(added_tokens=[added(261, "<hi>", special=False)])))
    tok = bw.Tokenizer.load(path)
    assert 261 in tok.encode("he<hi>")
    assert "<hi>" not in tok.special_tokens
