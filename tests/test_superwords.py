"""Tokens of several words, against their definition as slow code, and as others read them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import reference
import reference_variants
from conftest import read_jsonl_zst
from hypothesis import given
from hypothesis import strategies as st
from test_variants import english, few, quietly, texts_of_words

import bytewright as bw


def superwords(merges: int, transition: int, texts: list[bytes]) -> bw.Tokenizer:
    return bw.train(
        texts, 256 + merges, pattern="gpt2", superword=bw.Superword(transition=transition)
    )


@few
@given(texts_of_words, st.integers(0, 12), st.integers(0, 12))
def test_superword_training_is_the_definition(texts: list[str], transition: int, more: int) -> None:
    data = [text.encode() for text in texts]
    tok = quietly(superwords, transition + more, transition, data)
    pieces = Counter(piece for text in data for piece in reference.gpt2_pieces(text))
    # Of the probes' characters the coarse pattern cuts at digits, punctuation and trailing spaces.
    coarse = Counter(piece for text in data for piece in reference_variants.superword_pieces(text))
    expected = reference_variants.superwords(pieces, coarse, transition + more, transition, 4)
    assert tok.merges == expected


def test_superwords_are_encoded_by_rank(shared: Path) -> None:
    # Pieces are sentences; their words are looked up, and what joins them is merged.
    texts = [text.encode("ascii", "ignore") for text in english(shared, 6)]
    tok = superwords(700, 400, texts[:4])
    chance = random.Random(7)
    words = [word for text in texts for word in text.split()]
    strange = [b"x" * 70, b"e", b"", b".", b"of\xff", "é 東京".encode(), b"--", b"\t"]
    probes = [text[:1500] for text in texts]
    for _ in range(40):
        picked = chance.choices(words, k=60) + chance.choices(strange, k=6)
        chance.shuffle(picked)
        probes.append(b" ".join(picked))
    for probe in [*probes, *probes]:
        spans = tok._core.pieces(probe).tolist()
        expected = [
            token
            for a, b in zip(spans[::2], spans[1::2], strict=True)
            for token in reference.merged(tok.merges, probe[a:b])
        ]
        ids, offsets = tok.encode_offsets(probe)
        assert [tok.token_bytes(i) for i in tok.encode(probe)] == expected
        assert ids.tolist() == tok.encode(probe)
        assert np.diff(offsets).tolist() == [len(token) for token in expected]


def test_superwords_are_the_definition_on_english(shared: Path) -> None:
    texts = [t.encode("ascii", "ignore").replace(b"'", b"") for t in english(shared, 3)]
    texts = [text[:4000] for text in texts]
    tok = superwords(350, 120, texts)
    pieces = Counter(piece for text in texts for piece in reference.gpt2_pieces(text))
    coarse = Counter(piece for text in texts for piece in reference_variants.superword_pieces(text))
    assert tok.merges == reference_variants.superwords(pieces, coarse, 350, 120, 4)


def test_other_libraries_encode_superwords_alike(shared: Path, tmp_path: Path) -> None:
    import tokenizers

    texts = [text.encode() for text in english(shared, 30)]
    tok = bw.train(texts, 2_000, superword=bw.Superword(transition=700), special_tokens=["<end>"])
    words = bw.train(texts, 956)
    assert tok.merges[:700] == words.merges[:700]
    tokens = [tok.token_bytes(256 + rank) for rank in range(700, len(tok.merges))]
    made = [left + right for left, right in tok.merges[700:]]
    assert any(b" " in token.strip() for token in tokens)
    assert all(len(t.split(b" ")) - t.split(b" ").count(b"") <= 4 and b": " not in t for t in made)
    tok.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*map(bytes.decode, texts), "Wait: 1234 it was   \n\n in the ... end\u00e9 "]:
        assert tok.encode(text) == theirs.encode(text, add_special_tokens=False).ids
    data = bytes(range(256))
    assert tok.decode_bytes(tok.encode(data)) == data


@pytest.mark.long
def test_superwords_save_a_quarter_of_the_tokens_of_english(shared: Path) -> None:
    path = shared / "data/corpora/english/books_en.jsonl.zst"
    texts = [row["text"] for row in read_jsonl_zst(path)]
    train, held_out = [t for i, t in enumerate(texts) if i % 10], texts[::10]
    words = bw.train(train, 32_000)
    tok = bw.train(train, 32_000, superword=bw.Superword(transition=4_000))
    assert tok.merges[:4_000] == words.merges[:4_000]
    assert tok.vocab_size == words.vocab_size == 32_000
    assert tok.count_batch(held_out).sum() <= 0.75 * words.count_batch(held_out).sum()
