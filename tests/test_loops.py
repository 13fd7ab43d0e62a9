"""Loops over what may match nothing, against Oniguruma as `tokenizers` runs it.

A loop whose body has matched nothing ends there; here the body is first tried in its other ways.
Patterns where that could be seen are refused, and all others cut as there.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import tokenizers

import bytewright as bw
from bytewright.formats.oniguruma import DialectError, from_oniguruma, to_oniguruma

ATOMS = ["a", "b", "c", "[ab]", "[^a]", r"\w", ".", "d"]
QUANTIFIERS = [
    *("*", "+", "?", "*?", "+?", "??", "*+", "++", "?+"),
    *("{0,2}", "{2}", "{1,2}", "{2,}", "{0,2}?", "{1,}?", "{3}"),
]


def drawn(rng: random.Random, depth: int) -> str:
    """A pattern of groups with alternatives, some of them empty or without width, and loops."""
    kind = rng.random()
    if not depth or kind < 0.2:
        return rng.choice(ATOMS) + rng.choice(["", rng.choice(QUANTIFIERS)])
    if kind < 0.5:
        return "".join(drawn(rng, depth - 1) for _ in range(rng.randrange(1, 4)))
    kinds = ["", r"\b", "$", *(drawn(rng, depth - 1) for _ in range(4))]
    inside = "|".join(rng.choice(kinds) for _ in range(rng.randrange(1, 4)))
    return rng.choice(["(?:", "("]) + inside + ")" + rng.choice(QUANTIFIERS)


def load(folder: Path, pattern: str) -> bw.Tokenizer:
    split = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    model = {"type": "BPE", "vocab": {"a": 0}, "merges": []}
    (folder / "t.json").write_text(json.dumps({"pre_tokenizer": split, "model": model}))
    return bw.Tokenizer.load(folder / "t.json")


def cut(tok: bw.Tokenizer, text: str) -> list[tuple[int, int]]:
    ends = tok._core.pieces(text.encode()).tolist()
    return [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if a < b]


def test_patterns_that_are_read_cut_as_there(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    long = request.config.getoption("--long")
    rng = random.Random(None if long else 1)
    read = refused = 0
    for _ in range(100_000 if long else 2500):
        pattern = drawn(rng, 2) + rng.choice(["", "b", "$", "c"])
        texts = ["".join(rng.choices("abcd a", k=rng.randrange(9))) for _ in range(8)]
        try:
            tok = load(tmp_path, pattern)
            reference = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
        except bw.LoadError as error:
            refused += "a loop over what may match nothing" in str(error)
            continue
        except Exception:  # There it is no pattern.
            continue
        read += 1
        for text in texts:
            expected = [span for _, span in reference.pre_tokenize_str(text) if span[0] < span[1]]
            assert cut(tok, text) == expected, (pattern, text)
    assert read > 500
    assert refused > 100


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?:a{0,2}|b\D+)*+", "aba"),
        ("(?:a?|b)*c?", "ab"),
        ("(?:a??b?)*c?", "ba"),
        (r"(d|\b){2}", "da"),
        ("(?:c|b?+){2}b", "acb"),
    ],
)
def test_what_is_cut_otherwise_is_refused_by_name(tmp_path: Path, pattern: str, text: str) -> None:
    reference = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    # The engine has its own reading of it, for patterns that are not of tokenizers.
    ours = cut(bw.Tokenizer.from_merges([], pattern=pattern), text)
    assert ours != [span for _, span in reference.pre_tokenize_str(text) if span[0] < span[1]]
    with pytest.raises(bw.UnsupportedError, match="a loop over what may match nothing"):
        load(tmp_path, pattern)
    with pytest.raises(DialectError, match="a loop over what may match nothing"):
        to_oniguruma(pattern)


def test_loops_that_try_nothing_last_are_read() -> None:
    for pattern in ("(?:a|b?)*", r"(?:a*b?)+\s", r"(?:a+|\s|)*", "(?:a?){2,}", "(?:|a)?"):
        assert from_oniguruma(pattern) == pattern
