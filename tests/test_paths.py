"""The sequences of tokens behind a probability are those of its definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from reference_bytes import Cover
from toy_models import (
    PATTERNS,
    SEMANTICS,
    TEXT,
    hashed,
    random_tokenizer,
    row_model,
    small_model,
)

import bytewright as bw


@pytest.mark.parametrize("pattern", PATTERNS)
def test_paths_are_the_cover(pattern: str | None) -> None:
    rng = np.random.default_rng(5)
    for seed in range(4):
        tok = random_tokenizer(rng, pattern)
        row = hashed(tok.vocab_size + 1, seed, 3.0)
        for semantics in SEMANTICS:
            model = bw.ByteModel(row_model(tok, row, tok.vocab_size), semantics=semantics)
            slow = Cover(tok, row, semantics, tails=3)
            for x in (b"", b"a", b" ", b"  ", b"1a", b" a1", b"xx a", b"  1 "):
                expected = slow.paths(x)
                total = sum(expected.values())
                found = model.start(x).paths(10_000)
                assert {path.ids for path in found} == set(expected)
                for path in found:
                    assert path.share == pytest.approx(expected[path.ids] / total, rel=1e-9)
                    assert tok.decode_bytes(list(path.ids)) == x + path.pending
                shares = [path.share for path in found]
                assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_paths_of_a_place_are_the_same_however_it_was_reached(semantics: Any) -> None:
    model = bw.ByteModel(small_model(), semantics=semantics)
    walked = model.start()
    for at in range(len(TEXT)):
        whole = model.start(TEXT[:at]).paths(10**6)
        assert sum(path.share for path in whole) == pytest.approx(1, abs=1e-12)
        walked.next()
        # Less is the beginning of more, and no path changes what is known of the text.
        assert [path.ids for path in walked.paths(3)] == [path.ids for path in whole[:3]]
        ends = walked.fork().paths(3, last=2)
        assert [path.ids for path in ends] == [path.ids[-2:] for path in whole[:3]]
        assert [path.share for path in ends] == pytest.approx([path.share for path in whole[:3]])
        assert walked.logprob == pytest.approx(model.logprob(TEXT[:at]), abs=1e-12)
        walked.advance(TEXT[at : at + 1])


def test_pruned_paths_are_shares_of_what_is_known() -> None:
    pruned = bw.ByteModel(small_model(), epsilon=0.05)
    exact = bw.ByteModel(small_model())
    for at in range(1, len(TEXT)):
        state = pruned.start(TEXT[:at])
        found = state.paths(10**6)
        assert 0 < sum(path.share for path in found) <= 1 + 1e-12
        known = {path.ids for path in exact.start(TEXT[:at]).paths(10**6)}
        assert {path.ids for path in found} <= known


def test_what_cannot_be_has_no_path() -> None:
    state = bw.ByteModel(small_model()).start(b"a\xff")
    assert state.logprob == -math.inf
    assert state.paths() == []
    state = bw.ByteModel(small_model()).start()
    assert state.paths() == [bw.TokenPath((), b"", 1.0)]
    assert state.paths(0) == []
    with pytest.raises(bw.ArgumentError, match="count=-1"):
        state.paths(-1)
    with pytest.raises(bw.ArgumentError, match="last=0"):
        state.paths(last=0)


def test_special_tokens_are_on_no_path() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"<s>", special_tokens=["<s>", "<eos>"])
    model = bw.CallableModel(tok, lambda c: np.zeros((len(c), tok.vocab_size)), eos_id=4)
    assert [path.ids for path in bw.ByteModel(model).start("<s>").paths()] == [(0, 1, 2)]
