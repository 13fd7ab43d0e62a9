"""Random strings side by side with the reference libraries: no difference.

Six families of hard text; a few hundred strings of each for every vocabulary, or, with `--long`,
enough for a million strings in all. Characters are those assigned since Unicode 3.2 with an
unchanged category, since libraries differ in the tables of newer ones.
"""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from test_golden import INDEX, NAMES, SHARED, tokenizer, vocabs

import bytewright as bw

__all__ = ["vocabs"]

QUICK = 150
LONG = 8_000

pytestmark = pytest.mark.skipif(
    SHARED is None, reason="no reference data: ../shared is absent and BYTEWRIGHT_SHARED names none"
)

Family = Callable[[random.Random, bw.Tokenizer], str]


@cache
def assigned() -> list[str]:
    old = unicodedata.ucd_3_2_0
    every = map(chr, range(sys.maxunicode + 1))
    return [
        c
        for c in every
        if (k := old.category(c)) not in ("Cn", "Cs") and unicodedata.category(c) == k
    ]


@cache
def marks() -> list[str]:
    return [c for c in assigned() if unicodedata.category(c).startswith("M")]


@cache
def digits() -> list[str]:
    return [c for c in assigned() if unicodedata.category(c).startswith("N")]


SPACES = list(" \t\n\r\v\f\x85\xa0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000\u200b")
LETTERS = list("abcdeXYZ") + list("éßşıİſKÅДяλ的かกहि한")
APOSTROPHES = ["'", "’", "ʼ", "'s", "'S", "'ſ", "'t", "'ll", "'LL", "'Re", "'ve", "'m", "'d", "''"]


def pick(rng: random.Random, *pools: list[str], most: int = 24) -> str:
    return "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(0, most)))


def unicode_sweep(rng: random.Random, tok: bw.Tokenizer) -> str:
    return pick(rng, assigned(), assigned(), LETTERS, SPACES)


def combining_marks(rng: random.Random, tok: bw.Tokenizer) -> str:
    return pick(rng, marks(), LETTERS, [" ", "1", "."])


def white_space(rng: random.Random, tok: bw.Tokenizer) -> str:
    runs = [rng.choice(SPACES) * rng.choice([1, 1, 2, 3, 17]) for _ in range(4)]
    return pick(rng, runs, SPACES, [" ", "\n", "\r\n"], LETTERS, ["!", "1"])


def numbers(rng: random.Random, tok: bw.Tokenizer) -> str:
    return pick(rng, digits(), list("0123456789"), [" ", ",", ".", "-", "a", "½"])


def apostrophes(rng: random.Random, tok: bw.Tokenizer) -> str:
    return pick(rng, APOSTROPHES, LETTERS, [" ", "\n", "don", "I", "we"])


def around_added_tokens(rng: random.Random, tok: bw.Tokenizer) -> str:
    return pick(rng, added_texts(tok), LETTERS, SPACES, ["<", "|", ">", "_", "1"], most=10)


@cache
def added_texts(tok: bw.Tokenizer) -> list[str]:
    import json

    added = [token["content"] for token in json.loads(tok.definition.header)["added"]]
    short = [text for text in added if len(text) < 40]
    pieces = [text[: len(text) // 2] for text in short[:10]]
    return [*short, *pieces] or ["<|endoftext|>"]


FAMILIES: list[Family] = [
    unicode_sweep,
    combining_marks,
    white_space,
    numbers,
    apostrophes,
    around_added_tokens,
]


def reference(folder: Path, name: str) -> tuple[Callable[[str], list[int]], Any]:
    """A library's encode function, and which special tokens it recognises in text."""
    entry = INDEX[name]
    path = folder / entry["vocab_file"]
    if entry["kind"] == "tiktoken":
        tiktoken = pytest.importorskip("tiktoken")
        ranks = bw.Tokenizer.load(path, pattern="gpt2")
        encoding = tiktoken.Encoding(
            name,
            pat_str=entry["pat_str"],
            mergeable_ranks=tiktoken.load.load_tiktoken_bpe(str(path))
            if name != "tiktoken-whisper_multilingual"
            else {ranks.token_bytes(i): i for i in range(50257) if ranks.token_bytes(i)},
            special_tokens=entry["special_tokens"],
        )
        return lambda text: encoding.encode(text, allowed_special="all"), "all"
    if entry["kind"] == "hf":
        tokenizers = pytest.importorskip("tokenizers")
        fast = tokenizers.Tokenizer.from_file(str(path))
        fast.no_truncation()
        fast.no_padding()
        return lambda text: fast.encode(text, add_special_tokens=False).ids, "all"
    if entry["kind"] == "sentencepiece":
        sentencepiece = pytest.importorskip("sentencepiece")
        processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        return lambda text: processor.encode(text), ()
    mistral = pytest.importorskip("mistral_common.tokens.tokenizers.tekken")
    tekken = mistral.Tekkenizer.from_file(str(path))
    return lambda text: tekken.encode(text, bos=False, eos=False), ()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_no_difference(
    vocabs: Path, name: str, family: Family, request: pytest.FixtureRequest
) -> None:
    tok = tokenizer(vocabs, name)
    encode, allowed = cached_reference(vocabs, name)
    rng = random.Random(f"{name} {family.__name__}")
    for _ in range(LONG if request.config.getoption("--long") else QUICK):
        text = family(rng, tok)
        assert tok.encode(text, allowed_special=allowed) == encode(text), repr(text)


@cache
def cached_reference(folder: Path, name: str) -> tuple[Callable[[str], list[int]], Any]:
    return reference(folder, name)
