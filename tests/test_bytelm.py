"""Byte probabilities beside enumerations that others made, and beside our own by definition."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from conftest import read_zst
from numpy.typing import NDArray

import bytewright as bw

SEMANTICS: list[Literal["all", "valid", "fast", "local"]] = ["all", "valid", "fast", "local"]
Row = NDArray[np.float64]


def row_model(tok: bw.Tokenizer, row: Any, eos: int, dtype: Any = np.float64) -> bw.CallableModel:
    """A model whose row after a context a function gives."""

    def rows(contexts: Sequence[NDArray[np.int32]]) -> Any:
        return np.stack([row(tuple(map(int, ids))) for ids in contexts]).astype(dtype)

    return bw.CallableModel(tok, rows, eos_id=eos)


def hashed(size: int, seed: int, scale: float) -> Any:
    """Log-probabilities that depend on the whole context, over `size` outcomes."""

    @lru_cache(None)
    def row(context: tuple[int, ...]) -> Row:
        text = ",".join(map(str, context))
        digests = [hashlib.sha256(f"{seed}|{text}|{at}".encode()).digest() for at in range(size)]
        unit = np.array([int.from_bytes(digest[:8], "big") / 2**64 for digest in digests])
        logits = scale * (2 * unit - 1)
        result: Row = logits - np.log(np.exp(logits).sum())
        return result

    return row


def distance(found: bw.ByteDistribution, expected: dict[int, float]) -> float:
    """Total variation."""
    probs = np.zeros(257)
    for outcome, p in expected.items():
        probs[outcome] = p
    return float(0.5 * np.abs(found.probs - probs).sum())


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_enumerated_toy_models(shared: Path, dtype: Any, tolerance: float) -> None:
    cases = json.loads((shared / "fixtures/byteprob/cases.json").read_text())
    models: dict[Any, bw.ByteModel] = {}
    compared = 0
    for case in cases:
        x = bytes.fromhex(case["x"])
        for semantics in SEMANTICS:
            key = (case["case"], case["seed"], semantics)
            if key not in models:
                merges = [(bytes.fromhex(a), bytes.fromhex(b)) for a, b in case["merges"]]
                tok = bw.Tokenizer.from_merges(
                    merges, alphabet=bytes.fromhex(case["alphabet"]), pattern=case["pattern"]
                )
                row = hashed(tok.vocab_size + 1, case["seed"], case["scale"])
                model = row_model(tok, row, tok.vocab_size, dtype)
                models[key] = bw.ByteModel(model, semantics=semantics)
            state, expected = models[key].start(x), case[semantics]
            if expected is None:
                assert state.logprob == -math.inf
                with pytest.raises(bw.DataError, match="probability is 0"):
                    state.next()
                continue
            found = state.next()
            assert math.exp(state.logprob) == pytest.approx(expected["P"], rel=tolerance)
            assert found.lost_mass == pytest.approx(expected["lost"], abs=tolerance)
            outcomes = {int(outcome): p for outcome, p in expected["next"].items()}
            assert distance(found, outcomes) <= tolerance, (key, x)
            assert found.error_bound == 0.0
            compared += 1
    assert compared > 300


def toy(spec: dict[str, Any]) -> tuple[bw.Tokenizer, Any]:
    vocab = [base64.b64decode(token) for token in spec["vocab_b64"]]
    merges = [(base64.b64decode(a), base64.b64decode(b)) for a, b in spec["merges_b64"]]
    alphabet = bytes(token[0] for token in vocab if len(token) == 1)
    tok = bw.Tokenizer.from_merges(merges, alphabet=alphabet)
    assert [tok.token_bytes(at) for at in range(tok.vocab_size)] == vocab
    if spec["kind"] == "bigram":
        with np.errstate(divide="ignore"):
            table = np.log(np.array(spec["table"]))
        return tok, lambda context: table[context[-1] + 1 if context else 0]

    def by_hash(context: tuple[int, ...]) -> Row:
        h = 0
        for token in context:
            h = (h * 31 + token + 7) % 1_000_003
        js = range(1, len(vocab) + 2)
        return np.array([((h + 1) * j * 2654435761 % 2**32) / 2**32 * 4 - 2 for j in js])

    return tok, by_hash


@pytest.mark.parametrize("number", range(8))
def test_shared_toy_models(shared: Path, number: int) -> None:
    spec = json.loads(read_zst(shared / f"data/byteprob/shared-{number}.json.zst"))
    tok, row = toy(spec)
    # With all mass on sequences that the tokenizer makes, every semantics is the same.
    for semantics in SEMANTICS if spec["canonical_only"] else SEMANTICS[:1]:
        model = bw.ByteModel(row_model(tok, row, tok.vocab_size), semantics=semantics)
        for case in spec["cases"]:
            x = base64.b64decode(case["prefix_b64"])
            if not spec["canonical_only"] and len(x) > 24:
                continue  # Too many sequences for a default run; the long one has them.
            state = model.start(x)
            if case["prefix_prob"] == 0:
                assert state.logprob == -math.inf
                continue
            assert math.exp(state.logprob) == pytest.approx(case["prefix_prob"], rel=1e-9)
            expected = {ord_of(key): p for key, p in case["next_byte"].items()}
            found = state.next()
            assert distance(found, {**expected, 256: case["next_eos"]}) <= 1e-9
            assert found.lost_mass <= 1e-9
            whole = model.logprob(x, end=True)
            if semantics == "all" and case["string_prob"] > 0:
                assert math.exp(whole) == pytest.approx(case["string_prob"], rel=1e-9)


def ord_of(key: str) -> int:
    return int(key) if key.isdigit() and len(key) > 1 else ord(key)


def test_pairs_that_may_be_neighbours(shared: Path) -> None:
    for spec in json.loads((shared / "fixtures/byteprob/valid_pairs.json").read_text()):
        merges = [(a.encode(), b.encode()) for a, b in spec["merges"]]
        tok = bw.Tokenizer.from_merges(merges, alphabet=spec["alphabet"].encode())
        # The listed ids are places in the listed vocabulary.
        ids = [tok.token_id(token.encode()) for token in spec["vocab"]]
        size, valid = tok.vocab_size, {(ids[a], ids[b]) for a, b in spec["valid_pairs"]}
        sure: list[int] = []

        def row(context: tuple[int, ...], sure: list[int] = sure, size: int = size) -> Row:
            logits = np.full(size + 1, -np.inf)
            logits[(*sure, size)[min(len(context), len(sure))]] = 0.0
            return logits

        model = bw.ByteModel(row_model(tok, row, size), memory=0)
        for left in range(size):
            for right in range(size):
                sure[:] = [left, right]
                text = tok.token_bytes(left) + tok.token_bytes(right)
                expected = 0.0 if (left, right) in valid else -math.inf
                assert model.logprob(text, end=True) == expected, (spec, left, right)
