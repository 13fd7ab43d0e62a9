"""Random strings side by side with the reference libraries: no difference.

Seven families of hard text; a hundred strings and more of each for every vocabulary, or, with
`--long`, enough for a million strings in all. A difference is shown cut down to the characters that
it needs. Characters are those assigned since Unicode 3.2 with an
unchanged category, since libraries differ in the tables of newer ones.
"""

from __future__ import annotations

import json
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
MOST_SHOWN = 5

pytestmark = pytest.mark.skipif(
    SHARED is None, reason="no reference data: ../shared is absent and BYTEWRIGHT_SHARED names none"
)

Family = Callable[[random.Random, bw.Tokenizer], str]


@cache
def assigned() -> list[str]:
    old = unicodedata.ucd_3_2_0
    every = map(chr, range(sys.maxunicode + 1))
    unchanged = [c for c in every if old.category(c) == unicodedata.category(c)]
    return [c for c in unchanged if old.category(c) not in ("Cn", "Cs")]


@cache
def by_category() -> list[list[str]]:
    """The characters of each category: most of all characters are Han and Hangul."""
    found: dict[str, list[str]] = {}
    for c in assigned():
        found.setdefault(unicodedata.category(c), []).append(c)
    return list(found.values())


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
    if rng.random() < 0.5:
        return pick(rng, assigned(), assigned(), LETTERS, SPACES)
    runs = [pick(rng, rng.choice(by_category()), most=4) for _ in range(12)]
    return pick(rng, runs, runs, LETTERS, SPACES, most=12)


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
    added = [token["content"] for token in json.loads(tok.definition.header)["added"]]
    short = [text for text in added if len(text) < 40]
    pieces = [text[: len(text) // 2] for text in short[:10]]
    return [*short, *pieces] or ["<|endoftext|>"]


def stitched(rng: random.Random, tok: bw.Tokenizer) -> str:
    """Longer texts of all kinds, where one block's end is another's beginning."""
    return "".join(rng.choice(FAMILIES[:-1])(rng, tok) for _ in range(rng.randint(2, 12)))


FAMILIES: list[Family] = [
    unicode_sweep,
    combining_marks,
    white_space,
    numbers,
    apostrophes,
    around_added_tokens,
    stitched,
]


def reference(folder: Path, name: str) -> Callable[[str], list[int]]:
    """The encode function of the library whose vocabulary it is."""
    entry = INDEX[name]
    path = str(folder / entry["vocab_file"])
    if entry["kind"] == "tiktoken":
        tiktoken = pytest.importorskip("tiktoken")
        encoding = tiktoken.Encoding(
            name,
            pat_str=entry["pat_str"],
            mergeable_ranks=pytest.importorskip("tiktoken.load").load_tiktoken_bpe(path),
            special_tokens=entry["special_tokens"],
        )
        return lambda text: encoding.encode(text, allowed_special="all")
    if entry["kind"] == "hf":
        fast = pytest.importorskip("tokenizers").Tokenizer.from_file(path)
        fast.no_truncation()
        fast.no_padding()
        return lambda text: fast.encode(text, add_special_tokens=False).ids
    if entry["kind"] == "sentencepiece":
        processor = pytest.importorskip("sentencepiece").SentencePieceProcessor(model_file=path)
        return lambda text: processor.encode(text)
    mistral = pytest.importorskip("mistral_common.tokens.tokenizers.tekken")
    tekken = mistral.Tekkenizer.from_file(path)
    return lambda text: tekken.encode(text, bos=False, eos=False)


def smallest(text: str, differs: Callable[[str], bool]) -> str:
    """The text without every stretch that the difference does not need."""
    size = len(text) // 2
    while size:
        at = 0
        while at < len(text):
            shorter = text[:at] + text[at + size :]
            if differs(shorter):
                text = shorter
            else:
                at += size
        size //= 2
    return text


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_no_difference(
    vocabs: Path, name: str, family: Family, request: pytest.FixtureRequest
) -> None:
    tok = tokenizer(vocabs, name)
    theirs = cached_reference(vocabs, name)
    # sentencepiece and mistral-common match no special token in text; the other two do.
    allowed: Any = "all" if INDEX[name]["kind"] in ("hf", "tiktoken") else ()

    def differs(text: str) -> bool:
        return tok.encode(text, allowed_special=allowed) != theirs(text)

    rng = random.Random(f"{name} {family.__name__}")
    found = set()
    for _ in range(LONG if request.config.getoption("--long") else QUICK):
        text = family(rng, tok)
        if differs(text):
            found.add(smallest(text, differs))
            if len(found) == MOST_SHOWN:
                break
    assert not found, [
        (text, tok.encode(text, allowed_special=allowed), theirs(text)) for text in found
    ]


@cache
def cached_reference(folder: Path, name: str) -> Callable[[str], list[int]]:
    return reference(folder, name)
