"""Trainings beyond plain BPE, against their definitions as slow code."""

from __future__ import annotations

import pickle
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import reference_variants
from conftest import read_jsonl_zst
from hypothesis import given, settings
from hypothesis import strategies as st

import bytewright as bw

few = settings(max_examples=50)
texts_of_words = st.lists(st.text("ab c'1.", max_size=30), max_size=5)


def counted(texts: list[str]) -> Counter[bytes]:
    return Counter(piece for text in texts for piece in reference.gpt2_pieces(text.encode()))


def english(shared: Path, documents: int) -> list[str]:
    found = read_jsonl_zst(shared / "data/corpora/english/books_en.jsonl.zst")
    return [next(found)["text"] for _ in range(documents)]


def flat(counts: Counter[bytes]) -> Any:
    pieces = sorted(counts)
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.uint64)
    amounts = np.array([counts[piece] for piece in pieces], np.uint64)
    return np.frombuffer(b"".join(pieces), np.uint8), ends, amounts


def quietly(call: Any, *arguments: Any, **options: Any) -> Any:
    """Without the warning that the text has no more pairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return call(*arguments, **options)


# Picky BPE


def picky_agrees(texts: list[str], size: int, tau: float, probes: list[str]) -> None:
    tok = quietly(
        bw.train_picky,
        [t.encode() for t in texts],
        size,
        tau=tau,
        pattern=r" ?[a-zA-Z]+| ?[^\sa-zA-Z]+|\s",
    )
    split = tok._core.pieces
    pieces: Counter[bytes] = Counter()
    for text in texts:
        ends = split(text).tolist()
        data = text.encode()
        pieces.update(data[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True))
    tokens, events = reference_variants.picky(dict(pieces), size, tau=tau)
    assert [tok.token_bytes(i) for i in range(tok.vocab_size)] == tokens
    for text in [*texts, *probes]:
        data, ends = text.encode(), split(text).tolist()
        expected = [
            token
            for a, b in zip(ends[::2], ends[1::2], strict=True)
            for token in reference_variants.replayed(events, data[a:b])
        ]
        ids, offsets = tok.encode_offsets(text)
        assert [tok.token_bytes(i) for i in tok.encode(text)] == expected
        assert ids.tolist() == tok.encode(text)
        assert np.diff(offsets).tolist() == [len(token) for token in expected]
        assert tok.count(text) == len(expected)


@few
@given(texts_of_words, st.integers(256, 275), st.sampled_from([0.3, 0.6, 0.9, 1.0]))
def test_picky_training_and_encoding_are_the_definition(
    texts: list[str], size: int, tau: float
) -> None:
    picky_agrees(texts, size, tau, ["aabbab ab'ab", "aaaa bbbb"])


def test_picky_is_the_definition_on_english(shared: Path) -> None:
    texts = english(shared, 3)
    picky_agrees([text[:4000] for text in texts], 400, 0.7, [texts[0][4000:6000]])


def test_picky_takes_tokens_out_and_stays_lossless() -> None:
    texts = ["hum hums humor human"] * 4
    plain = quietly(bw.train_picky, texts, 270, tau=1.0, pattern="gpt2")
    picky = quietly(bw.train_picky, texts, 270, tau=0.8, pattern="gpt2", special_tokens=["<end>"])
    assert plain.token_id(b"hu") is not None
    assert picky.token_id(b"hu") is None
    data = bytes(range(256)) + "human humor, humid \u00e9".encode()
    for tok in (plain, picky, pickle.loads(pickle.dumps(picky))):
        assert tok.decode_bytes(tok.encode(data)) == data
    assert picky.encode("a<end>", allowed_special="all")[-1] == picky.special_tokens["<end>"]
    assert picky.is_canonical(picky.encode("human humor"))


def test_other_formats_refuse_removals_by_name(tmp_path: Path) -> None:
    tok = quietly(bw.train_picky, ["hum hums humor human"] * 4, 270, tau=0.8, pattern="gpt2")
    for name in ("tokenizer.json", "ranks.tiktoken"):
        with pytest.raises(bw.UnsupportedError, match="replaying merges and removals"):
            tok.save(tmp_path / name)


# BoundlessBPE


def boundless_agrees(
    texts: list[str], size: int, probes: list[str], tau: float | None = None
) -> None:
    data = [t.encode() for t in texts]
    tok = quietly(bw.train_boundless, data, size, pattern="gpt2", tau=tau)
    pieces = [reference.gpt2_pieces(text) for text in data]
    tokens, events = reference_variants.boundless(pieces, size, tau)
    assert [tok.token_bytes(i) for i in range(tok.vocab_size)] == tokens
    if all(kind != "split" for kind, _ in events):
        assert tok.merges == [pair for _, pair in events]
        across = tok.definition.rules().get("supermerges", [])
        assert across == [rank for rank, (kind, _) in enumerate(events) if kind == "across"]
    for text in [*texts, *probes]:
        expected = reference_variants.boundless_tokens(events, reference.gpt2_pieces(text.encode()))
        ids, offsets = tok.encode_offsets(text)
        assert [tok.token_bytes(i) for i in tok.encode(text)] == expected
        assert ids.tolist() == tok.encode(text)
        assert np.diff(offsets).tolist() == [len(token) for token in expected]
        assert tok.count(text) == len(expected)


@few
@given(
    st.lists(st.text("ab 1.", max_size=40), max_size=5),
    st.integers(256, 280),
    st.sampled_from([None, 0.3, 0.6, 0.9]),
)
def test_boundless_training_and_encoding_are_the_definition(
    texts: list[str], size: int, tau: float | None
) -> None:
    boundless_agrees(texts, size, ["ab ab ab a b ab", "ba ab. ab ab"], tau)


@pytest.mark.parametrize("tau", [None, 0.5, 0.9])
def test_boundless_is_the_definition_on_english(shared: Path, tau: float | None) -> None:
    # The slow splitter of the reference knows no contractions, and letters of ASCII only.
    texts = [t.encode("ascii", "ignore").decode().replace("'", "") for t in english(shared, 3)]
    boundless_agrees([text[:3000] for text in texts], 450, [texts[0][3000:5000]], tau)


def test_a_word_that_went_stays_in_what_it_joined_before_and_joins_no_more() -> None:
    # " th" joins "in", then " the" takes enough of it, and "x" comes too late.
    texts = ["in th"] * 50 + [" the"] * 45 + ["xyz th"] * 5
    boundless_agrees(texts, 400, ["in th", " th", "a th th", " the th", "xyz th th in th"], 0.4)
    tok = quietly(bw.train_boundless, [t.encode() for t in texts], 400, pattern="gpt2", tau=0.4)
    words = [[tok.token_bytes(i) for i in tok.encode(text)] for text in ("in th", "xyz th")]
    assert words == [[b"in th"], [b"xyz", b" ", b"th"]]
    assert pickle.loads(pickle.dumps(tok)).encode("a th in th") == tok.encode("a th in th")


def test_words_join_across_pieces_only_where_they_touch() -> None:
    tok = quietly(
        bw.train_boundless,
        ["of the sea, of the sun"] * 3,
        265,
        pattern="gpt2",
        special_tokens=["<e>"],
    )
    of_the = tok.token_id(b" of the")
    assert of_the in tok.encode("sun of the sea")
    assert of_the not in tok.encode("sun of<e> the sea", allowed_special="all")
    copy = pickle.loads(pickle.dumps(tok))
    assert copy.encode("sun of the sea") == tok.encode("sun of the sea")
    assert copy.fingerprint == tok.fingerprint
    assert tok.is_canonical(tok.encode("sun of the sea"))
    data = bytes(range(256)) + b" of the"
    assert tok.decode_bytes(tok.encode(data)) == data


def test_streams_and_batches_join_across_their_cuts() -> None:
    tok = bw.train_boundless(["of the sea, of the sun"] * 3, 264, pattern="gpt2")
    text = "sun of the sea and of the sun of the " * 40_000
    whole = tok.encode(text)
    encoder = tok.stream_encoder()
    parts = [encoder.push(text[a : a + 99_991].encode()) for a in range(0, len(text), 99_991)]
    assert np.concatenate([*parts, encoder.finish()]).tolist() == whole
    assert tok.encode_batch([text, text]).to_pylist() == [whole, whole]
    assert tok.count(text, limit=10) > 10


def test_other_formats_refuse_merges_across_pieces_by_name(tmp_path: Path) -> None:
    tok = bw.train_boundless(["of the sea, of the sun"] * 3, 264, pattern="gpt2")
    for name in ("tokenizer.json", "ranks.tiktoken"):
        with pytest.raises(bw.UnsupportedError, match="whole neighbouring pieces"):
            tok.save(tmp_path / name)


@pytest.mark.parametrize(
    "piece",
    [
        "ab",
        " a",
        "a",
        "a'",
        "'a",
        " e\u0301",
        "\u0301a",
        "a b_c",
        "a1b",
        "\u2019s",
        " \u0301a",
        "a\n",
    ],
)
def test_words_are_what_the_expression_says(piece: str) -> None:
    import tokenizers

    pattern = tokenizers.Regex(r"\A(?=.+\p{L})(?:\p{L}\p{M}*|[ _'\x{2019}])+\z")
    split = tokenizers.pre_tokenizers.Split(pattern, "removed")
    expected = split.pre_tokenize_str(piece) == []
    # Two such pieces in a row are a run, and so give a merge across once each is one token.
    size = 256 + 4 * len(piece.encode())
    tok = quietly(
        bw.train_boundless, [f"{piece}|" * 9, f"{piece}{piece}|" * 3], size, pattern=piece + "|[|]"
    )
    joined = (piece + piece).encode()
    assert (tok.token_id(joined) is not None) == expected


@pytest.mark.parametrize("call", [
    lambda: bw.train(bw.count_pretokens([b"a"], pattern="o200k"), 260,
                     superword=bw.Superword(transition=1)),
    lambda: bw.train(iter([b"a"]), 260, superword=bw.Superword(transition=1)),
    lambda: bw.train([b"a"], 260, superword=bw.Superword(transition=5)),
    lambda: bw.train([b"a"], 260, superword=bw.Superword(transition=-1)),
    lambda: bw.train([b"a"], 260, superword=bw.Superword(transition=1, max_words=0)),
    lambda: bw.train([b"a"], 260, superword=bw.Superword(1), parity=bw.Parity({})),
    lambda: bw.train([b"a"], 260, parity=bw.Parity({"x": [b"a"]})),
    lambda: bw.train({"y": [b"a"]}, 260, parity=bw.Parity({"x": [b"a"]})),
    lambda: bw.train({"x": [b"a"]}, 260, parity=bw.Parity({"x": [b"a"]}, share=0)),
    lambda: bw.train_picky([b"a"], 260, tau=0),
    lambda: bw.train_boundless([b"a"], 260, min_frequency=0),
])  # fmt: skip
def test_wrong_arguments_are_refused(call: Any) -> None:
    with pytest.raises(bw.BytewrightError):
        call()


TRAINERS: dict[str, Any] = {
    "picky": bw.train_picky,
    "boundless": bw.train_boundless,
    "compression": lambda texts, size: bw.train_compression_aware(texts, size, b"abc"),
    "superword": lambda texts, size: bw.train(texts, size, superword=bw.Superword(0)),
    "parity": lambda texts, size: bw.train({"x": texts}, size, parity=bw.Parity({"x": [b"a"]})),
    "chunks": lambda texts, size: bw.train(bw.count_chunks(texts), size),
}


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("text", [b"", b"a", b"aaaaaaa", b"\xff\xfe\xff\xfe", b"ab\x00ab\x00"])
def test_little_text_gives_a_small_vocabulary_and_a_warning(name: str, text: bytes) -> None:
    with pytest.warns(UserWarning, match="smaller than asked for"):
        tok = TRAINERS[name]([text], 300)
    assert 256 <= tok.vocab_size < 300
    for data in (text, bytes(range(256)), text * 9):
        assert tok.decode_bytes(tok.encode(data)) == data


@pytest.mark.parametrize("name", TRAINERS)
def test_a_vocabulary_without_room_for_the_bytes_is_refused(name: str) -> None:
    with pytest.raises(bw.ArgumentError, match="from 256"):
        TRAINERS[name]([b"abab"], 255)


def test_counts_beyond_32_bits_are_counted() -> None:
    many = 1 << 40
    counts = bw.PretokenCounts.from_dict({"abcd": many, "bcx": many + 1, "dd": 5}, pattern="gpt2")
    plain = bw.train(counts, 260)
    picky = bw.train_picky(counts, 260, tau=1.0)
    assert [plain.token_bytes(i) for i in range(256, 260)] == [
        picky.token_bytes(i) for i in range(256, 260)
    ]
    assert plain.merges[0] == (b"b", b"c")
