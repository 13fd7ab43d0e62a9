"""Megatron's files: the published layout, and byte for byte what Megatron-Core itself writes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus_tools import read_megatron, small_tokenizer, write_input

import bytewright as bw
from bytewright.corpus import megatron

TEXTS: list[str | None] = [
    None if row % 9 == 4 else "the antenna in there " * (row % 7) for row in range(200)
]

# In a process of its own: the import takes many seconds and warns about missing accelerators.
PEER = """
import json, sys
import numpy, torch
from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder
theirs, ours, dtype, lists = sys.argv[1:]
builder = IndexedDatasetBuilder(theirs + ".bin", dtype=getattr(numpy, dtype))
for ids in json.load(open(lists)):
    builder.add_document(torch.tensor(ids, dtype=torch.int64), [len(ids)])
builder.finalize(theirs + ".idx")
dataset = IndexedDataset(ours)
json.dump([dataset[i].tolist() for i in range(len(dataset))], open(ours + ".json", "w"))
"""


@pytest.fixture(scope="module")
def tokenizer() -> bw.Tokenizer:
    return small_tokenizer()


@pytest.mark.skipif(
    importlib.util.find_spec("megatron") is None or importlib.util.find_spec("torch") is None,
    reason="needs megatron-core and torch: pip install 'bytewright[megatron]'",
)
@pytest.mark.parametrize("dtype", ["uint16", "int32"])
def test_files_are_those_of_megatron_core(
    tmp_path: Path, tokenizer: bw.Tokenizer, dtype: str
) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    out = tmp_path / "out"
    bw.encode_corpus(
        path, tokenizer, out, format="megatron", dtype=dtype, part_bytes=999, eos="<|endoftext|>"
    )
    end = tokenizer.special_tokens["<|endoftext|>"]
    lists = [[] if text is None else [*tokenizer.encode(text), end] for text in TEXTS]
    (tmp_path / "lists.json").write_text(json.dumps(lists))
    theirs = tmp_path / "theirs"
    arguments = [str(theirs), str(out / "train"), dtype, str(tmp_path / "lists.json")]
    peer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEER, *arguments], capture_output=True, text=True
    )
    assert peer.returncode == 0, peer.stderr
    for ending in (".bin", ".idx"):
        assert (out / f"train{ending}").read_bytes() == theirs.with_suffix(ending).read_bytes()
    assert json.loads((out / "train.json").read_text()) == lists


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
def test_the_layout_is_the_published_one(
    tmp_path: Path, tokenizer: bw.Tokenizer, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(megatron, "_BLOCK", 7)
    path = write_input(tmp_path, "jsonl", TEXTS)
    bw.encode_corpus(
        path, tokenizer, tmp_path / "out", format="megatron", dtype=dtype, part_bytes=999
    )
    sequences, pointers, documents = read_megatron(tmp_path / "out" / "train")
    assert sequences == [[] if text is None else tokenizer.encode(text) for text in TEXTS]
    starts = np.cumsum([0, *map(len, sequences)])[:-1] * np.dtype(dtype).itemsize
    assert pointers == starts.tolist()
    assert documents == list(range(len(TEXTS) + 1))


def test_a_document_beyond_int32_is_several_sequences(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(megatron, "_MAX_SEQUENCE", 10)
    monkeypatch.setattr(megatron, "_BLOCK", 2)
    texts = ["x" * 25, None, "", "y" * 10, "z" * 11]
    path = write_input(tmp_path, "jsonl", texts)
    manifest = bw.encode_corpus(path, tokenizer, tmp_path / "out", format="megatron")
    sequences, _, documents = read_megatron(tmp_path / "out" / "train")
    assert [len(ids) for ids in sequences] == [10, 10, 5, 0, 0, 10, 10, 1]
    assert documents == [0, 3, 4, 5, 6, 8]
    assert sum(part.rows for part in manifest.parts) == len(sequences)
    joined = [list(chain.from_iterable(sequences[a:b])) for a, b in pairwise(documents)]
    assert joined == [tokenizer.encode(text or "") for text in texts]


@pytest.mark.parametrize("change", [-2, -1, 1, 2])
def test_a_bin_of_another_size_is_noticed(
    tmp_path: Path, tokenizer: bw.Tokenizer, change: int
) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    bw.encode_corpus(path, tokenizer, tmp_path / "out", format="megatron")
    index, data = tmp_path / "out" / "train.idx", tmp_path / "out" / "train.bin"
    megatron.check_index(index, data)
    content = data.read_bytes()
    data.write_bytes(content[:change] if change < 0 else content + bytes(change))
    with pytest.raises(bw.VerifyError, match=r"train\.bin: \d+ bytes, but its index counts"):
        megatron.check_index(index, data)


@pytest.mark.parametrize("cut", [0, 8, 33, 34, 40, -1])
def test_a_cut_index_is_noticed(tmp_path: Path, tokenizer: bw.Tokenizer, cut: int) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    bw.encode_corpus(path, tokenizer, tmp_path / "out", format="megatron")
    index: Any = tmp_path / "out" / "train.idx"
    index.write_bytes(index.read_bytes()[:cut])
    with pytest.raises(bw.VerifyError, match=r"train\.idx"):
        megatron.check_index(index, tmp_path / "out" / "train.bin")
