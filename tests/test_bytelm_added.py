"""Byte probabilities of tokenizers whose added tokens are text: runs of spaces, say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_zst
from reference_bytes import Cover, assert_defined, assert_encoding_is_kept
from tiny_vocabularies import added, tokenizer_json
from toy_models import SEMANTICS, hashed, row_model

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
    row = hashed(tok.vocab_size + 1, 3, 2.0)
    rng = np.random.default_rng(5)
    texts = {"".join(rng.choice(list("ab "), n)) for n in (0, 1, 2, 3, 3, 4, 4, 5)}
    for semantics in SEMANTICS:
        model = bw.ByteModel(row_model(tok, row, tok.vocab_size), semantics=semantics)
        oracle = Cover(tok, row, semantics, tails=5 if regex else 4)
        for text in sorted(texts):
            assert_defined(model, oracle, text.encode())


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
    assert_encoding_is_kept(tok, text)
