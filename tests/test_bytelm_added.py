"""Byte probabilities of tokenizers whose added tokens are text: runs of spaces, say."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_zst
from reference_bytes import Cover
from tiny_vocabularies import added, tokenizer_json

import bytewright as bw

MERGES = [("a", "a"), ("a", "b"), ("Ġ", "a"), ("aa", "b")]
CONTENTS = [
    ["aa"],
    ["  ", "   "],
    ["ab", "abb", "ba"],
    ["aba", "b"],
    ["a ", "aa b", " b"],
    ["bab", "abab b", "  b"],
]
GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def load(folder: Path, contents: list[str], pre_tokenizer: Any, later: str) -> bw.Tokenizer:
    root = tokenizer_json(pre_tokenizer=pre_tokenizer)
    texts = ["a", "b", "Ġ", *(a + b for a, b in MERGES)]
    root["model"]["vocab"] = vocab = {text: at for at, text in enumerate(texts)}
    root["model"]["merges"] = [f"{a} {b}" for a, b in MERGES]
    # A content that the model has too keeps that id.
    new = iter(range(len(texts), len(texts) + len(contents)))
    entries = [(vocab[text] if text in vocab else next(new), text) for text in contents]
    root["added_tokens"] = [
        # Some are found in what lies between the others.
        added(at, text, special=False, normalized=str(contents.index(text)) in later)
        for at, text in sorted(entries)
    ]
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(root))
    return bw.Tokenizer.load(path)


@pytest.mark.parametrize("contents", CONTENTS, ids=str)
@pytest.mark.parametrize(("regex", "later"), [(True, ""), (False, ""), (True, "01"), (False, "1")])
def test_semantics_are_their_definitions(
    tmp_path: Path, contents: list[str], regex: bool, later: str
) -> None:
    tok = load(tmp_path, contents, GPT2 | {"use_regex": regex}, later)
    size = tok.vocab_size

    @lru_cache(None)
    def row(context: tuple[int, ...]) -> Any:
        logits = np.random.default_rng([3, *context]).normal(0, 1, size + 1)
        return logits - np.log(np.exp(logits).sum())

    def rows(contexts: Any) -> Any:
        return np.array([row(tuple(map(int, context))) for context in contexts])

    rng = np.random.default_rng(5)
    texts = {"".join(rng.choice(list("ab "), n)) for n in (0, 1, 2, 3, 3, 4, 4, 5)}
    for semantics in ("all", "valid", "fast", "local"):
        model = bw.ByteModel(
            bw.CallableModel(tok, rows, eos_id=size),
            semantics=semantics,
        )
        oracle = Cover(tok, row, semantics, tails=5 if regex else 4)
        for text in map(str.encode, sorted(texts)):
            state, whole = model.start(text), oracle.prob(text)
            assert math.exp(state.logprob) == pytest.approx(whole, rel=1e-9), (semantics, text)
            found = state.next()
            kept = 1 - found.lost_mass
            for byte in b"ab ":
                expected = oracle.prob(text + bytes([byte])) / whole
                assert found.probs[byte] * kept == pytest.approx(expected, abs=1e-9)
            assert found.probs[256] * kept == pytest.approx(oracle.end(text) / whole, abs=1e-9)


@pytest.mark.parametrize(
    "name", ["phi-2.tokenizer.json", "olmo-neox-dolma-v1_5.tokenizer.json", "ggml-vocab-mpt.gguf"]
)
def test_the_path_of_the_tokenizer_is_never_lost(shared: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(read_zst(shared / f"data/vocabs/{name}.zst"))
    tok = bw.Tokenizer.load(tmp_path / name)
    text = (
        b"def f(x):\n    if x:\n" + b" " * 61 + b"y\n\n\t\t\t\t\treturn  1   \n |||IP_ADDRESS||| ."
    )
    ids = tok.encode(text)
    assert any(tok.token_bytes(at).strip() == b"" and len(tok.token_bytes(at)) > 3 for at in ids)

    def sure(contexts: Any) -> Any:
        found = np.full((len(contexts), tok.vocab_size + 1), -math.inf, np.float32)
        for at, context in enumerate(contexts):
            follows = list(context) == ids[: len(context)]
            next_id = ids[len(context)] if follows and len(context) < len(ids) else tok.vocab_size
            found[at, next_id] = 0.0
        return found

    model = bw.ByteModel(bw.CallableModel(tok, sure, eos_id=tok.vocab_size))
    assert np.abs(model.score(text)).max() < 1e-6
    state = model.start()
    for at in range(len(text)):
        assert state.next().lost_mass < 1e-6, (at, text[:at])
        state.advance(text[at : at + 1])
    assert math.exp(model.logprob(text, end=True)) == pytest.approx(1.0, abs=1e-6)
