"""What goes wrong on the way leaves a text as it was: all of a call happens, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from toy_models import SEMANTICS, hashed, random_tokenizer

import bytewright as bw
from bytewright import _core

TEXT = b"a x1aa1 x"
Rows = Callable[[_core.ByteTree, NDArray[np.uint64]], NDArray[np.float64]]


def rows_of(size: int) -> Rows:
    row = hashed(size, 3, 2.0)

    def rows(tree: _core.ByteTree, nodes: NDArray[np.uint64]) -> NDArray[np.float64]:
        ids, offsets = tree.contexts(nodes)
        contexts = [ids[a:b] for a, b in pairwise(offsets)]
        return np.stack([row(tuple(map(int, context))) for context in contexts])

    return rows


def read(tree: _core.ByteTree, rows: Rows, spoil: float | None) -> int:
    """Feeds all that is asked for, first with a row that is wrong; how often that was refused."""
    refused = 0
    while len(nodes := tree.pending("next")):
        right = rows(tree, nodes)
        if spoil is not None:
            wrong = right.copy()
            wrong[-1, 1] = spoil
            with pytest.raises(bw.DataError, match="token id 1"):
                tree.feed(nodes, wrong)
            refused += len(nodes) > 1
            assert list(tree.pending("next")) == list(nodes)
        tree.feed(nodes, right)
    return refused


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_rows_are_taken_all_or_none(semantics: Any, wrong: float) -> None:
    refused = 0
    for seed in range(12):
        tok = random_tokenizer(np.random.default_rng(seed), None)
        vocab = _core.ByteVocab(tok._core, [tok.vocab_size], semantics)
        rows = rows_of(tok.vocab_size + 1)
        steady, spoiled = vocab.tree(0.0), vocab.tree(0.0)
        for start in range(0, 9, 3):
            for tree, spoil in ((steady, None), (spoiled, wrong)):
                for at in range(start, start + 3):
                    tree.advance(TEXT[at : at + 1])
                    # Several nodes wait at once: where there are several ends, or several places.
                    if semantics == "all" or at == start + 2:
                        refused += read(tree, rows, spoil)
            assert spoiled.logprob() == steady.logprob()
            np.testing.assert_array_equal(spoiled.next()[0], steady.next()[0])
    assert refused > 0


def test_a_node_is_fed_once() -> None:
    tok = random_tokenizer(np.random.default_rng(0), None)
    tree = _core.ByteVocab(tok._core, [tok.vocab_size], "valid").tree(0.0)
    tree.advance(TEXT[:5])
    nodes = tree.pending("next")
    rows = rows_of(tok.vocab_size + 1)(tree, nodes)
    with pytest.raises(bw.ArgumentError, match=f"node {nodes[0]} waits for no row"):
        tree.feed(nodes[[0, 0]], rows[[0, 0]])
    with pytest.raises(bw.ArgumentError, match="node 1000 waits for no row"):
        tree.feed(np.array([1000], dtype=np.uint64), rows[:1])
    tree.feed(nodes, rows)


@pytest.mark.long
def test_what_is_too_much_stays_too_much() -> None:
    """Every byte doubles the sequences; right answers are not followed by wrong ones."""
    tok = bw.Tokenizer.from_merges([(b"a" * k, b"a") for k in range(1, 8)], alphabet=b"ab")
    size = tok.vocab_size
    model = bw.CallableModel(tok, lambda c: np.zeros((len(c), size + 1), np.float32), eos_id=size)
    state = bw.ByteModel(model, semantics="all", memory=0).start()
    logprob = 0.0

    def on() -> None:
        nonlocal logprob
        state.advance(b"a")
        logprob = state.logprob

    while len(state) < 22:
        on()
    read = len(state)
    for _ in range(2):
        with pytest.raises(bw.ArgumentError, match="sequences of tokens cover the text"):
            on()
        assert (len(state), state.logprob) == (read, logprob)
