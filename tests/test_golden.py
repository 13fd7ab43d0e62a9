"""Encodings by the reference libraries, stored beside the checkout: every id is equal."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import read_jsonl_zst, read_zst, shared_path

import bytewright as bw

SHARED = shared_path()
INDEX: dict[str, Any] = (
    {} if SHARED is None else json.loads((SHARED / "data/golden/index.json").read_text())
)
NAMES = sorted(INDEX)
QUICK_BLOCKS = 2
BLOCK = 500

pytestmark = pytest.mark.skipif(
    SHARED is None, reason="no reference data: ../shared is absent and BYTEWRIGHT_SHARED names none"
)


@pytest.fixture(scope="session")
def vocabs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference vocabularies, unpacked."""
    assert SHARED is not None
    folder = tmp_path_factory.mktemp("vocabs")
    for packed in (SHARED / "data/vocabs").iterdir():
        (folder / packed.stem).write_bytes(read_zst(packed))
    return folder


@cache
def load(path: Path, name: str) -> bw.Tokenizer:
    return bw.Tokenizer.load(path, **rules(name))


def rules(name: str) -> dict[str, Any]:
    entry = INDEX[name]
    if entry["kind"] != "tiktoken":
        return {}
    return {"pattern": entry["pat_str"], "special_tokens": entry["special_tokens"]}


def tokenizer(vocabs: Path, name: str) -> bw.Tokenizer:
    return load(vocabs / INDEX[name]["vocab_file"], name)


@cache
def texts() -> dict[int, tuple[bytes, bool]]:
    assert SHARED is not None
    rows = read_jsonl_zst(SHARED / "data/golden/texts.jsonl.zst")
    return {row["i"]: (base64.b64decode(row["b64"]), row["utf8"]) for row in rows}


def expected(name: str) -> Iterator[tuple[dict[str, Any], bytes, bool]]:
    assert SHARED is not None
    for row in read_jsonl_zst(SHARED / f"data/golden/{name}.jsonl.zst"):
        yield row, *texts()[row["i"]]


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_the_reference_librarys(vocabs: Path, name: str) -> None:
    tok = tokenizer(vocabs, name)
    # tokenizers always recognises special tokens in the text; the others leave them as text.
    allowed: Any = "all" if INDEX[name]["kind"] == "hf" else ()
    differing = []
    checked = 0
    for row, text, is_utf8 in expected(name):
        if not is_utf8:
            continue
        checked += 1
        got = tok.encode(text, allowed_special=allowed)
        if got != row["ids"] or tok.encode(text.decode(), allowed_special=allowed) != got:
            differing.append((row["i"], text[:60], got[:12], row["ids"][:12]))
    assert not differing[:5], f"{len(differing)} of {checked} differ"
    assert checked > 700


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("tiktoken")])
def test_allowed_special_tokens_are_matched(vocabs: Path, name: str) -> None:
    tok = tokenizer(vocabs, name)
    for row, text, is_utf8 in expected(name):
        if is_utf8:
            ids = row.get("ids_allowed_special_all", row["ids"])
            assert tok.encode(text, allowed_special="all") == ids, text


@pytest.mark.parametrize("name", NAMES)
def test_every_text_comes_back(vocabs: Path, name: str) -> None:
    tok = tokenizer(vocabs, name)
    rules = json.loads(tok.definition.header)
    if rules["normalizer"] or any(
        step.get("behavior") == "removed" or step["type"].startswith("whitespace")
        for step in rules["pretokenizer"]
    ):
        pytest.skip("its normalizer or pre-tokenizer changes the text")
    if rules["unit"] == "byte" and -1 in rules["byte_units"]:
        pytest.skip("it has no token for some bytes")
    for text, _ in texts().values():
        for allowed in ((), "all"):
            ids = tok.encode_array(text, allowed_special=allowed)
            assert tok.decode_bytes(ids) == text


@pytest.mark.parametrize("name", NAMES)
def test_offsets_tile_the_text(vocabs: Path, name: str) -> None:
    tok = tokenizer(vocabs, name)
    for text, _ in texts().values():
        ids, offsets = tok.encode_offsets(text)
        assert ids.tolist() == tok.encode(text)
        assert len(offsets) == len(ids) + 1
        assert (offsets[1:] >= offsets[:-1]).all()
        assert offsets[-1] == len(text)
        if not json.loads(tok.definition.header)["normalizer"]:
            spelled = [text[a:b] for a, b in pairwise(offsets.tolist())]
            own = [tok.token_bytes(i) for i in ids.tolist()]
            if b"".join(own) == text:
                assert spelled == own


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("hf")])
def test_decoding_is_the_reference_librarys(vocabs: Path, name: str) -> None:
    tok = tokenizer(vocabs, name)
    for row, text, is_utf8 in expected(name):
        if is_utf8 and ("dec" in row or row.get("rt")):
            assert tok.decode(row["ids"]) == row.get("dec", text.decode()), text


def corpus(pattern: str) -> Iterator[str]:
    assert SHARED is not None
    for path in sorted((SHARED / "data/corpora").glob(pattern)):
        for row in read_jsonl_zst(path):
            yield row["text"]


def bulk() -> list[dict[str, Any]]:
    if SHARED is None:
        return []
    lines = (SHARED / "data/golden/bulk_golden.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def digest(tok: bw.Tokenizer, block: list[str], allowed: Any) -> tuple[bytes, int]:
    ids = tok.encode_batch(block, allowed_special=allowed).values.to_numpy()
    return ids.astype("<u4").tobytes(), len(ids)


@pytest.mark.parametrize("row", bulk(), ids=lambda row: f"{row['vocab']}-{row['corpus'][:4]}")
def test_whole_corpora(vocabs: Path, row: dict[str, Any], request: pytest.FixtureRequest) -> None:
    tok = tokenizer(vocabs, row["vocab"])
    allowed: Any = "all" if INDEX[row["vocab"]]["kind"] == "hf" else ()
    whole, blocks, tokens = hashlib.sha256(), [], 0
    block: list[str] = []
    quick = not request.config.getoption("--long")
    for text in corpus(row["corpus"].split(" ")[0]):
        block.append(text)
        if len(block) == BLOCK:
            ids, count = digest(tok, block, allowed)
            whole.update(ids)
            blocks.append(hashlib.sha256(ids).hexdigest()[:12])
            tokens += count
            block = []
            if quick and len(blocks) == QUICK_BLOCKS:
                break
    if quick:
        assert blocks == row["block_sha256_12"][:QUICK_BLOCKS]
        return
    if block:
        ids, count = digest(tok, block, allowed)
        whole.update(ids)
        blocks.append(hashlib.sha256(ids).hexdigest()[:12])
        tokens += count
    assert blocks == row["block_sha256_12"]
    assert tokens == row["tokens"]
    assert whole.hexdigest() == row["sha256_u32le"]


THIRD_PARTY = {
    "gpt-2": "hf-gpt2",
    "falcon": "hf-falcon",
    "qwen2": "hf-qwen2.5",
    "gpt-4o": "tiktoken-o200k_base",
    "phi-3": "hf-phi-3-mini",
    "roberta-bpe": "hf-roberta-base",
}


@pytest.mark.parametrize("their_name", THIRD_PARTY)
def test_vectors_of_llama_cpp(vocabs: Path, shared: Path, their_name: str) -> None:
    tok = tokenizer(vocabs, THIRD_PARTY[their_name])
    rows = list(read_jsonl_zst(shared / "data/third_party_vectors/llamacpp_vocab_tests.jsonl.zst"))
    assert len(rows) == 47
    for row in rows:
        assert tok.encode(row["text"], allowed_special="all") == row["ids"][their_name], row["text"]


TRANSFORMERS_JS = {
    "gpt2": "hf-gpt2",
    "gpt-4": "tiktoken-cl100k_base",
    "gpt-4o": "tiktoken-o200k_base",
    "claude": "hf-anthropic-claude",
    "falcon": "hf-falcon",
    "clip": "hf-clip",
    "qwen": "hf-qwen2.5",
    "roberta": "hf-roberta-base",
    "whisper": "hf-whisper-large-v3",
    "distil-large": "hf-whisper-large-v3",
}


def test_vectors_of_transformers_js(vocabs: Path, shared: Path) -> None:
    checked = 0
    for row in read_jsonl_zst(shared / "data/third_party_vectors/transformersjs_cases.jsonl.zst"):
        names = [ours for part, ours in TRANSFORMERS_JS.items() if part in row["tokenizer"].lower()]
        tok = tokenizer(vocabs, names[-1])
        prefix, suffix = tok.template
        ids = tok.encode(row["text"], allowed_special="all")
        assert row["ids"] in (ids, [*prefix, *ids, *suffix]), row
        checked += 1
    assert checked == 148


def test_vectors_of_gpt_tokenizer(vocabs: Path, shared: Path) -> None:
    checked = 0
    for row in read_jsonl_zst(
        shared / "data/third_party_vectors/gpt_tokenizer_testplans.jsonl.zst"
    ):
        name = row["encoding"].replace("p50k_edit", "p50k_base")
        assert tokenizer(vocabs, f"tiktoken-{name}").encode(row["text"]) == row["ids"], row
        checked += 1
    assert checked == 313
