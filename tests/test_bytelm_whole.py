"""Byte probabilities of tokenizers with tokens that merging never makes, which are whole pieces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_bytes import Cover, assert_defined
from tiny_vocabularies import tokenizer_json
from toy_models import SEMANTICS, hashed, row_model

import bytewright as bw

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

    row = hashed(size + 1, 5, 2.0)
    rng = np.random.default_rng(1)
    drawn = {"".join(rng.choice(list("ab "), n)) for n in (0, 1, 2, 3, 3, 4, 4, 5)}
    for semantics in SEMANTICS:
        model = bw.ByteModel(row_model(tok, row, size), semantics=semantics)
        oracle = Cover(tok, row, semantics, tails=4)
        for text in sorted(drawn):
            assert_defined(model, oracle, text.encode())
