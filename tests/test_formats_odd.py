"""Corners of tokenizer.json: the same as in `tokenizers`, or refused by name."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from test_formats_parts import LEVEL, SPACES, pretokenizers, sequence, split
from tiny_vocabularies import added, dumped, metaspace_json, model, tokenizer_json

import bytewright as bw
from bytewright.formats.byte_level import STAND_INS

ODD = ["a", "B", "Σ", "ς", "ǅ", " ", "1", "²", "½", "\u200c", "\u200d", "\u0301", "_", "日", "\n"]


def odd_texts(count: int, pool: list[str]) -> list[str]:
    rng = random.Random(7)
    return ["".join(rng.choices(pool, k=rng.randrange(9))) for _ in range(count)]


def loaded(root: dict[str, Any], folder: Path) -> tuple[bw.Tokenizer, tokenizers.Tokenizer]:
    file = folder / "tokenizer.json"
    file.write_bytes(dumped(root))
    return bw.Tokenizer.load(file), tokenizers.Tokenizer.from_file(str(file))


def saved(tok: bw.Tokenizer, folder: Path) -> tokenizers.Tokenizer:
    tok.save(folder / "saved.json")
    return tokenizers.Tokenizer.from_file(str(folder / "saved.json"))


@pytest.mark.parametrize(
    "pattern",
    [
        r"\w+", r"\W", r"\b", r"\Ba", r"[\w_]+", r"[^\W\d]+", r"(?i)\p{Lu}+", r"(?i:\P{Lu})a",
        r"(?i)[\p{Lu}]+", r"(?i:(?-i:\p{Lu})a)", r"(?i:σ)\p{Lu}|(?i:a\p{Ll})",
    ],
)  # fmt: skip
def test_words_and_case_are_those_of_oniguruma(pattern: str, tmp_path: Path) -> None:
    bytewise = model(vocab={c: i for i, c in enumerate(STAND_INS)}, merges=[])
    steps = pretokenizers(split({"Regex": pattern}, "Removed"), LEVEL | {"use_regex": False})
    tok, reference = loaded(tokenizer_json(model=bytewise, **steps), tmp_path)
    written = saved(tok, tmp_path)
    for text in [*ODD, *odd_texts(400, ODD)]:
        expected = reference.encode(text).ids
        assert tok.encode(text) == expected, text
        assert written.encode(text).ids == expected, text


@pytest.mark.parametrize("pattern", [r"(?i)[\P{Lu}]", r"(?i)[[^a]]", r"(?i)[\p{Lu}&&[a-z]]"])
def test_sets_that_ignore_case_otherwise_are_refused(pattern: str, tmp_path: Path) -> None:
    root = tokenizer_json(**pretokenizers(split({"Regex": pattern}, "Removed"), LEVEL))
    with pytest.raises(bw.UnsupportedError, match="in a set that ignores case"):
        loaded(root, tmp_path)


def test_a_special_character_of_the_vocabulary_is_text_unless_allowed(tmp_path: Path) -> None:
    vocabulary = {"a": 0, "'": 1, "b": 2}
    root = tokenizer_json(
        added_tokens=[added(1, "'")],
        pre_tokenizer=None,
        decoder=None,
        model=model(vocab=vocabulary, merges=[]),
    )
    tok, reference = loaded(root, tmp_path)
    assert tok.encode("a'b", allowed_special="all") == reference.encode("a'b").ids == [0, 1, 2]
    reference.encode_special_tokens = True
    assert tok.encode("a'b") == reference.encode("a'b").ids == [0, 1, 2]


def test_written_added_tokens_are_no_tokens_of_the_model(tmp_path: Path) -> None:
    """Ids of added tokens go on behind one that the vocabulary has, and none is put into it."""
    vocabulary = {"a": 0, " ": 1, "▁": 2}
    entries = [added(3, "é"), added(4, "12", single_word=True), added(1, " ", special=False)]
    root = tokenizer_json(
        added_tokens=entries,
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
        decoder=None,
        model=model(vocab=vocabulary, merges=[]),
    )
    tok, reference = loaded(root, tmp_path)
    written = saved(tok, tmp_path)
    for text in odd_texts(100, ["a", "é", "12", " ", "x"]):
        for special in (True, False):
            reference.encode_special_tokens = written.encode_special_tokens = not special
            expected = reference.encode(text).ids
            assert tok.encode(text, allowed_special="all" if special else ()) == expected, text
            assert written.encode(text).ids == expected, text


NORMALIZED = {"normalized": True, "special": False}
LOWERED = {"normalizer": SPACES, "pre_tokenizer": None}
FIRST = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "white space beside U+2581": (
        metaspace_json(added_tokens=[added(270, "<x>", lstrip=True, **NORMALIZED)], **LOWERED),
        "takes white space along",
    ),
    "a space that is no U+2581 yet": (
        metaspace_json(added_tokens=[added(270, " x", **NORMALIZED)]),
        "has spaces",
    ),
    "a space before what is matched": (
        metaspace_json(
            added_tokens=[added(270, "x", **NORMALIZED)],
            normalizer={"type": "Prepend", "prepend": "▁"},
        ),
        "has spaces",
    ),
    "white space beside stand-ins": (
        tokenizer_json(
            added_tokens=[added(261, "<x>", rstrip=True, **NORMALIZED)],
            normalizer={"type": "ByteLevel"},
            pre_tokenizer=None,
        ),
        "after ByteLevel",
    ),
    "a word of stand-ins": (
        tokenizer_json(
            added_tokens=[added(261, "<x>", single_word=True, **NORMALIZED)],
            normalizer={"type": "ByteLevel"},
            pre_tokenizer=None,
        ),
        "after ByteLevel",
    ),
    "an added token of which nothing is left": (
        tokenizer_json(
            added_tokens=[added(261, " ", normalized=True)],
            normalizer={"type": "Strip", "strip_left": True, "strip_right": True},
        ),
        "nothing is left of the added token",
    ),
    "an empty Prepend": (
        tokenizer_json(normalizer={"type": "Prepend", "prepend": ""}),
        "an empty string",
    ),
    "first, and the first character may go": (
        metaspace_json(normalizer={"type": "StripAccents"}, pre_tokenizer=FIRST),
        "first, where a normalizer may change",
    ),
    "no token for a space": (
        metaspace_json(
            model=model(vocab={f"<0x{b:02X}>": b for b in range(256)}, merges=[])
            | {"byte_fallback": True}
        ),
        "is missing, and its bytes would stand for a space",
    ),
    "spaces become U+2581 after a sequence": (
        metaspace_json(
            added_tokens=[added(270, "<x>", rstrip=True, **NORMALIZED)],
            normalizer=sequence("normalizers", {"type": "NFC"}, SPACES),
            pre_tokenizer=None,
        ),
        "takes white space along",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_tokenizers_does_otherwise_is_refused(name: str, tmp_path: Path) -> None:
    root, message = REFUSED[name]
    with pytest.raises(bw.LoadError, match=message):
        loaded(root, tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("gpt2.json", b'{"model": 19849, "a": 0}', "give its folder"),
        ("vocab.json", b'{"a": 0, "b": []}', "give its folder"),
        ("gpt2.txt", b"#version: 0.2\nh e\n", "these are merges; give their folder"),
    ],
)
def test_half_of_a_vocabulary_is_told(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(bw.LoadError, match=message):
        bw.Tokenizer.load(tmp_path / name)
