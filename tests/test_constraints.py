"""Constraints hold for every token that is learned, on real text, and cost what they may."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import read_jsonl_zst
from reference import trained

import bytewright as bw

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def mixed(shared: Path) -> bw.PretokenCounts:
    """Some text of many scripts."""
    texts = [
        row["text"]
        for language in ("hi", "ru", "el", "ja", "ar", "th", "ko", "en")
        for row in documents(shared, language)
    ]
    return bw.count_pretokens(texts, pattern="o200k")


def documents(shared: Path, language: str) -> Iterator[dict[str, Any]]:
    folder = shared / "data/corpora"
    path = folder / "multilingual" / f"{language}.jsonl.zst"
    if language == "en":
        path = folder / "english/books_en.jsonl.zst"
    for at, row in enumerate(read_jsonl_zst(path)):
        if at == 60:
            return
        yield row


def learned(tok: bw.Tokenizer) -> list[bytes]:
    return [tok.token_bytes(at) for at in range(256, tok.vocab_size)]


def whole(token: bytes) -> str:
    """The characters that a token holds whole."""
    return token.decode("utf-8", "ignore")


def scripts(token: bytes) -> set[str]:
    """The scripts of its letters, by the first word of their names."""
    names = (unicodedata.name(char, "?") for char in whole(token) if char.isalpha())
    # Names of characters that several scripts use say so in their own way.
    shared = {"MICRO", "FEMININE", "MASCULINE", "MODIFIER", "KATAKANA-HIRAGANA", "FULLWIDTH"}
    return {name.split()[0] for name in names} - shared


def test_scripts_do_not_mix(mixed: bw.PretokenCounts) -> None:
    plain = [token for token in learned(bw.train(mixed, 12000)) if len(scripts(token)) > 1]
    assert plain, "without the constraint there are such tokens, or this test shows nothing"
    tok = bw.train(mixed, 12000, constraints=bw.ScriptBoundaries())
    assert [token for token in learned(tok) if len(scripts(token)) > 1] == []


def test_characters_are_bounded(mixed: bw.PretokenCounts) -> None:
    for most in (1, 3):
        tokens = learned(bw.train(mixed, 1000, constraints=bw.MaxChars(most)))
        assert max(len(whole(token)) for token in tokens) == most


def test_bytes_are_bounded(mixed: bw.PretokenCounts) -> None:
    both = [
        bw.train(mixed, 3000, max_token_bytes=5),
        bw.train(mixed, 3000, constraints=bw.MaxBytes(5)),
    ]
    assert both[0].fingerprint == both[1].fingerprint
    assert max(map(len, learned(both[0]))) == 5


def test_forbidden_texts_are_in_no_token(mixed: bw.PretokenCounts) -> None:
    forbidden: list[str | bytes] = ["th", "ия", b"\xe0\xa4\xb9"]
    assert any(b"th" in token for token in learned(bw.train(mixed, 3000)))
    tok = bw.train(mixed, 3000, constraints=bw.ForbiddenSubstrings(*forbidden))
    parts = [part.encode() if isinstance(part, str) else part for part in forbidden]
    assert not [token for token in learned(tok) if any(part in token for part in parts)]


def test_words_are_bounded() -> None:
    texts = ["the cat sat on the mat and the cat sat on the mat"] * 3
    tok = bw.train(texts, 270, pattern=None, constraints=bw.MaxWords(2))
    assert max(len(token.split()) for token in learned(tok)) == 2


def test_constraints_compose(mixed: bw.PretokenCounts) -> None:
    together: list[Any] = [bw.MaxChars(4), bw.ScriptBoundaries(), bw.ForbiddenSubstrings("e")]
    one = bw.train(mixed, 2000, constraints=together)
    assert bw.train(mixed, 2000, constraints=together[::-1]).fingerprint == one.fingerprint
    for token in learned(one):
        assert len(whole(token)) <= 4
        assert len(scripts(token)) <= 1
        assert b"e" not in token


def test_rules_that_forbid_nothing_change_nothing(mixed: bw.PretokenCounts) -> None:
    idle: list[Any] = [bw.MaxBytes(1 << 16), bw.MaxChars(1 << 16), bw.ForbiddenSubstrings("\0\0")]
    plain = bw.train(mixed, 3000)
    assert bw.train(mixed, 3000, constraints=idle).fingerprint == plain.fingerprint


def test_training_with_a_rule_is_greedy_over_the_rest() -> None:
    counts = bw.count_pretokens(["abcabc bcd abd " * 3, "cdcd abcd"], pattern="gpt2")
    order = [bytes([byte]) for byte in range(256)]
    tok = bw.train(counts, 262, constraints=bw.ForbiddenSubstrings("bc"))
    expected = trained(dict(counts), 6, order=order, allowed=lambda token: b"bc" not in token)
    assert tok.merges == expected


# Signs


@pytest.fixture(scope="module")
def hindi(shared: Path) -> bw.PretokenCounts:
    rows = read_jsonl_zst(shared / "data/corpora/multilingual/hi.jsonl.zst")
    return bw.count_pretokens([row["text"] for row in rows], pattern="o200k")


def is_sign(char: str) -> bool:
    """A dependent vowel sign or a virama, by its name."""
    name = unicodedata.name(char, "")
    if "\u0ec0" <= char <= "\u0ec4":
        return False  # Lao writes these before the consonant, in memory too.
    return " VOWEL SIGN " in name or name.endswith("SIGN VIRAMA")


@pytest.mark.parametrize("vocab_size", [600, 4000, 8000])
def test_no_token_begins_with_a_sign(hindi: bw.PretokenCounts, vocab_size: int) -> None:
    def leading(tok: bw.Tokenizer) -> list[str]:
        return [text for token in learned(tok) if (text := whole(token)) and is_sign(text[0])]

    assert leading(bw.train(hindi, vocab_size))
    assert leading(bw.train(hindi, vocab_size, constraints=bw.NoLeadingDependentSign())) == []


@pytest.mark.parametrize(
    ("vocab_size", "most"), [(1000, 1.015), (2000, 1.01), (4000, 1), (8000, 1), (16000, 1)]
)
def test_hindi_needs_no_more_tokens_without_leading_signs(
    shared: Path, hindi: bw.PretokenCounts, vocab_size: int, most: float
) -> None:
    # A small vocabulary has not got the syllables yet, and must spell the signs.
    rows = read_jsonl_zst(shared / "data/corpora/parallel/flores200_subset.jsonl.zst")
    held_out = next(row["dev"] + row["devtest"] for row in rows if row["lang"].startswith("hin"))
    plain = bw.train(hindi, vocab_size)
    bound = bw.train(hindi, vocab_size, constraints=bw.NoLeadingDependentSign())
    assert bound.count_batch(held_out).sum() <= most * plain.count_batch(held_out).sum()


def test_signs_join_their_consonants_in_other_scripts_too(shared: Path) -> None:
    texts = [row["text"] for row in documents(shared, "ta")]
    tok = bw.train(texts, 1000, constraints=bw.NoLeadingDependentSign())
    found = [whole(token) for token in learned(tok)]
    assert not [text for text in found if text and is_sign(text[0])]
    assert [text for text in found if len(text) > 1 and is_sign(text[1])]
