"""Text to ids as Python sees it: what every call promises, and what it refuses and how."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import merged

import bytewright as bw

few = settings(max_examples=60)

MERGES = [(b"l", b"o"), (b"lo", b"w"), (b" ", b"t"), (b"\xc3", b"\xa9")]
LOW, SPACE_T, ACUTE = 257, 258, 259
END, PAD = 260, 261
TOK = bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pad>"])


class Text(str):
    """A `str` that lies about its slices and its encoding."""

    def __getitem__(self, at: Any) -> str:
        return "x"

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        return b"x"


class Data(bytes):
    pass


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
    expected = merged(merges, text)
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
    assert with_offsets.dtype == np.int32
    assert offsets.dtype == np.int64
    assert with_offsets.tolist() == ids
    assert [text[a:b] for a, b in pairwise(offsets)] == [tok.token_bytes(i) for i in ids]
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
        ids = [i for a, b in pairwise(bounds) for i in encoder.push(text[a:b])]
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
    nothings: list[Any] = [[], (), none, np.zeros(0), pa.array([], pa.int32())]
    for ids in nothings:
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
    nothings: list[Any] = [(), [], set(), {}, frozenset()]
    for empty in nothings:
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


def test_a_long_list_has_one_object_for_each_id() -> None:
    """Objects of their own would take longer to free, after Ctrl-C, than anybody waits."""
    tok = bw.Tokenizer.from_merges([(bytes([a]), b"z") for a in range(97, 117)])
    text = bytes(range(97, 117)).replace(b"", b"z")[1:] * 5000
    ids = tok.encode(text)
    assert ids == tok.encode_array(text).tolist()
    assert len(ids) > 1 << 16
    assert len(set(map(id, ids))) == len(set(ids)) == 20


@pytest.mark.parametrize("wrong", [["<nope>"], ["<end>", "low"], ["\ud800"], "none"])
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
