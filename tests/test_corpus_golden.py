"""The whole pipeline against the ids that tiktoken gave for the same corpus."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from conftest import read_zst

import bytewright as bw


@pytest.mark.parametrize("corpus", ["english", "code"])
def test_a_corpus_file_holds_the_ids_of_tiktoken(tmp_path: Path, shared: Path, corpus: str) -> None:
    lines = (shared / "data/golden/bulk_golden.jsonl").read_text().splitlines()
    golden = next(
        row
        for row in map(json.loads, lines)
        if row["vocab"] == "tiktoken-cl100k_base" and row["corpus"].startswith(corpus)
    )
    ranks = tmp_path / "cl100k_base.tiktoken"
    ranks.write_bytes(read_zst(shared / "data/vocabs/cl100k_base.tiktoken.zst"))
    manifest = bw.encode_corpus(
        shared / "data/corpora" / golden["corpus"],
        bw.Tokenizer.load(ranks),
        tmp_path / "out",
        format="bin",
        part_bytes=3 << 20,
    )
    found = (manifest.documents, manifest.text_bytes, manifest.tokens)
    assert found == (golden["docs"], golden["bytes"], golden["tokens"])
    assert manifest.config["dtype"] == "uint32"
    content = (tmp_path / "out" / "train.bin").read_bytes()
    assert hashlib.sha256(content).hexdigest() == golden["sha256_u32le"]
