"""Markov chains of characters come back from the law of their tokens; naive prompting loses them.

A chain over a few bytes, cut into tokens, is a language model of tokens whose law is known exactly:
a sequence of tokens begins the encoding of a text when its neighbours go together, so the
probability that what follows in a state begins with a token solves a linear system. From that model
alone the byte model has to give back the chain (Phan et al. 2024, "Understanding and Mitigating
Tokenization Bias in Language Models").
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bytewright as bw

ALPHABET = b"abc"
MERGES = {
    "pairs": [(b"a", b"a"), (b"b", b"a"), (b"b", b"b")],
    "deep": [
        (b"a", b"b"),
        (b"ab", b"a"),
        (b"b", b"b"),
        (b"aba", b"ab"),
        (b"c", b"c"),
        (b"ab", b"bb"),
    ],
    "runs": [(b"a", b"a"), (b"aa", b"aa"), (b"c", b"a"), (b"aa", b"b"), (b"b", b"aa")],
}
State = bytes


class Chain:
    """A chain of an order, and the law of its texts' tokens."""

    def __init__(self, tok: bw.Tokenizer, order: int, *, end: float) -> None:
        rng = np.random.default_rng(order)
        self.tok, self.order = tok, order
        self.tokens = [tok.token_bytes(at) for at in range(tok.vocab_size)]
        lengths = range(order + 1)
        self.states = [bytes(s) for n in lengths for s in itertools.product(ALPHABET, repeat=n)]
        # A byte is likely after itself: what a longest token hides from naive prompting.
        self.table: dict[State, NDArray[np.float64]] = {}
        for state in self.states:
            row = rng.dirichlet(np.full(len(ALPHABET), 0.5))
            if state:
                row = 0.1 * row
                row[ALPHABET.index(state[-1])] += 0.9
            self.table[state] = np.append((1 - end) * row, end)
        self._solve()

    def after(self, state: State, data: bytes) -> State:
        return (state + data)[-self.order :]

    def prob(self, state: State, data: bytes) -> float:
        """The probability that a text goes on with these bytes."""
        p = 1.0
        for byte in data:
            p *= float(self.table[state][ALPHABET.index(byte)])
            state = self.after(state, bytes([byte]))
        return p

    def _solve(self) -> None:
        """How likely what follows a state begins with each token, `[state, token]`.

        A token begins what follows when its bytes do and what comes behind them begins with nothing
        or with a token that goes with it.
        """
        count, size = len(self.states), len(self.tokens)
        place = {state: at for at, state in enumerate(self.states)}
        pairs = itertools.product(range(size), repeat=2)
        self.follows = np.zeros((size, size))
        for left, right in pairs:
            together = self.tok.encode(self.tokens[left] + self.tokens[right])
            self.follows[left, right] = together == [left, right]
        matrix, known = np.eye(count * size), np.zeros(count * size)
        for (at, state), (token, data) in itertools.product(
            enumerate(self.states), enumerate(self.tokens)
        ):
            if self.tok.encode(data) != [token]:
                continue
            row, p = at * size + token, self.prob(state, data)
            behind = place[self.after(state, data)]
            known[row] = p * self.table[self.states[behind]][-1]
            matrix[row, behind * size : (behind + 1) * size] -= p * self.follows[token]
        self.begins = np.linalg.solve(matrix, known).reshape(count, size)
        self.place = place

    def row(self, context: Sequence[int]) -> NDArray[np.float64]:
        """Log-probabilities of the next token, the end last."""
        state = self.after(b"", b"".join(self.tokens[at] for at in context))
        ahead = self.begins[self.place[state]]
        if context:
            ahead = ahead * self.follows[context[-1]]
        probs = np.append(ahead, self.table[state][-1])
        with np.errstate(divide="ignore"):
            logprobs: NDArray[np.float64] = np.log(probs / probs.sum())
        return logprobs

    def model(self) -> bw.CallableModel:
        def rows(contexts: Sequence[NDArray[np.int32]]) -> Any:
            return np.stack([self.row(ids.tolist()) for ids in contexts])

        return bw.CallableModel(self.tok, rows, eos_id=self.tok.vocab_size)

    def naive(self, x: bytes) -> NDArray[np.float64]:
        """The next byte when the prompt's own tokens are gone on from, the end last."""
        probs = np.exp(self.row(self.tok.encode(x)))
        first = [probs[[t[0] == byte for t in self.tokens] + [False]].sum() for byte in ALPHABET]
        return np.array([*first, probs[-1]])


def chain(name: str, order: int, *, end: float = 0.05) -> Chain:
    return Chain(bw.Tokenizer.from_merges(MERGES[name], alphabet=ALPHABET), order, end=end)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", MERGES)
def test_the_law_of_the_tokens_is_that_of_the_chain(name: str, order: int) -> None:
    """Texts of up to seven bytes one by one: the linear system means what it says."""
    made = chain(name, order, end=0.5)
    # Whatever the state, what follows begins with some token or is the end.
    ends = np.array([made.table[state][-1] for state in made.states])
    assert np.allclose(made.begins.sum(axis=1) + ends, 1, atol=1e-12)
    counted: dict[int, float] = {}
    whole = 0.0
    for length in range(1, 8):
        for text in map(bytes, itertools.product(ALPHABET, repeat=length)):
            p = made.prob(b"", text) * float(made.table[made.after(b"", text)][-1])
            first = made.tok.encode(text)[0]
            counted[first] = counted.get(first, 0.0) + p
            whole += p
    missing = 1 - whole - float(made.table[b""][-1])
    assert missing < 0.01
    for token, p in enumerate(made.begins[0]):
        assert counted.get(token, 0.0) - 1e-12 <= p <= counted.get(token, 0.0) + missing + 1e-12


@pytest.mark.parametrize("semantics", ["all", "valid", "fast", "local"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", MERGES)
def test_chains_are_recovered_where_naive_prompting_fails(
    name: str, order: int, semantics: Any
) -> None:
    made = chain(name, order)
    model = bw.ByteModel(made.model(), semantics=semantics)
    rng = np.random.default_rng(7)
    short = [bytes(x) for n in range(5) for x in itertools.product(ALPHABET, repeat=n)]
    longer = [bytes(rng.choice(list(ALPHABET), 12).tolist()) for _ in range(20)]
    outcomes = [*ALPHABET, 256]
    worst = naive = 0.0
    for x in short + longer:
        truth = made.table[made.after(b"", x)]
        state = model.start(x)
        assert state.logprob == pytest.approx(math.log(made.prob(b"", x)), abs=1e-10)
        found = state.next()
        probs = found.probs
        rest = 1 - probs[outcomes].sum()
        worst = max(worst, 0.5 * (np.abs(probs[outcomes] - truth).sum() + abs(rest)))
        naive = max(naive, 0.5 * np.abs(made.naive(x) - truth).sum())
        assert found.lost_mass <= 1e-10
    assert worst <= 1e-10
    assert naive >= 0.85
