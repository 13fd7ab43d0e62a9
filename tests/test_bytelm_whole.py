"""Byte probabilities of tokenizers with tokens that merging never makes, which are whole pieces."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from reference_bytes import Cover
from tiny_vocabularies import tokenizer_json

import bytewright as bw
from bytewright.bytelm.model import Semantics

MERGES = [("a", "a"), ("a", "b"), ("Ġ", "a"), ("aa", "b")]
WHOLE = [
    ["ba"],
    ["aba", "abab"],
    ["Ġb", "bb", "Ġbb"],
    ["aaa", "aabb", "ĠĠ"],
    ["bab", "baba", "Ġab"],
]
GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PAIRS = {
    "type": "Sequence",
    "pretokenizers": [
        {
            "type": "Split",
            "pattern": {"Regex": "a?b|(?<=b) +|a+"},
            "behavior": "Isolated",
            "invert": False,
        },
        GPT2 | {"use_regex": False},
    ],
}
CUTS: dict[str, Any] = {"gpt2": GPT2, "none": GPT2 | {"use_regex": False}, "other": PAIRS}


@pytest.mark.parametrize("whole", WHOLE, ids=str)
@pytest.mark.parametrize("cut", CUTS)
def test_semantics_are_their_definitions(tmp_path: Path, whole: list[str], cut: str) -> None:
    root = tokenizer_json(pre_tokenizer=CUTS[cut])
    texts = ["a", "b", "Ġ", *(a + b for a, b in MERGES), *whole]
    root["model"] |= {
        "vocab": {text: at for at, text in enumerate(texts)},
        "merges": [f"{a} {b}" for a, b in MERGES],
        "ignore_merges": True,
    }
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(root))
    tok = bw.Tokenizer.load(path)
    size = tok.vocab_size
    if cut == "none":
        # Each is made of a piece, and never beside anything else.
        assert all(len(tok.encode(tok.token_bytes(size - 1 - at))) == 1 for at in range(len(whole)))

    @lru_cache(None)
    def row(context: tuple[int, ...]) -> Any:
        logits = np.random.default_rng([5, *context]).normal(0, 1, size + 1)
        return logits - np.log(np.exp(logits).sum())

    def rows(contexts: Any) -> Any:
        return np.array([row(tuple(map(int, context))) for context in contexts])

    rng = np.random.default_rng(1)
    drawn = {"".join(rng.choice(list("ab "), n)) for n in (0, 1, 2, 3, 3, 4, 4, 5)}
    for semantics in get_args(Semantics):
        model = bw.ByteModel(bw.CallableModel(tok, rows, eos_id=size), semantics=semantics)
        oracle = Cover(tok, row, semantics, tails=4)
        for text in map(str.encode, sorted(drawn)):
            state, expected = model.start(text), oracle.prob(text)
            assert math.exp(state.logprob) == pytest.approx(expected, rel=1e-9), (semantics, text)
            found = state.next()
            kept = 1 - found.lost_mass
            for byte in b"ab ":
                share = oracle.prob(text + bytes([byte])) / expected
                assert found.probs[byte] * kept == pytest.approx(share, abs=1e-9)
            assert found.probs[256] * kept == pytest.approx(oracle.end(text) / expected, abs=1e-9)
