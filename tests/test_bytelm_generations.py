"""Models whose rows change while models of bytes remember them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bytewright as bw
from bytewright.bytelm import compress, decompress

LETTERS = bw.Tokenizer.from_merges([], alphabet=b"abcd", special_tokens=["<eos>"])
TEXT = b"abcdabca"


class Learning:
    """A model of tokens whose rows are others in each generation."""

    tokenizer, eos_id = LETTERS, 4

    def __init__(self, generation: int = 0) -> None:
        self.generation = generation
        self.while_asked: Callable[[], None] = lambda: None

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        seeds = ([self.generation, *map(int, ids)] for ids in contexts)
        rows = np.stack([np.random.default_rng(seed).normal(size=5) for seed in seeds])
        self.while_asked()
        found: NDArray[np.float64] = rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)
        return found


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "plain": bw.ByteModel,
    "behind": lambda model: bw.ByteModel(model).behind([1, 4, 2]),
    "prompted": lambda model: bw.ByteModel(bw.PromptedModel(model, [1, 4, 2])),
    "translated": lambda model: bw.ByteModel(bw.TranslatedModel(bw.ByteModel(model), LETTERS)),
    "ensemble": lambda model: bw.ByteModel(
        bw.TranslatedModel(bw.Ensemble([bw.ByteModel(model), bw.ByteModel(Learning(9))]), LETTERS)
    ),
}


def answers(model: Any) -> list[float]:
    states = [model.start(TEXT[:at]) for at in range(4)]
    model.prepare(states)
    nexts = [float(state.next().logprobs[at]) for at, state in enumerate(states)]
    return [*nexts, model.logprob(TEXT, end=True), *model.score(TEXT).tolist()]


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_rows_of_another_generation_are_forgotten(wrap: Callable[[Any], Any]) -> None:
    learning = Learning()
    model = wrap(learning)
    for generation in (0, 1, 5, 0):
        learning.generation = generation
        expected = answers(wrap(Learning(generation)))
        assert answers(model) == answers(model) == expected
    assert answers(model) != answers(wrap(Learning(1)))


def test_rows_that_come_while_the_generation_changes_are_not_kept() -> None:
    learning = Learning()
    model = bw.ByteModel(learning)

    def learn() -> None:
        learning.generation, learning.while_asked = 1, lambda: None

    learning.while_asked = learn
    model.logprob(TEXT[:1])
    learning.generation = 0
    learning.while_asked = learn
    answers(model)
    assert answers(model) == answers(bw.ByteModel(Learning(1)))


def test_rows_of_one_generation_are_asked_for_once() -> None:
    model = bw.ByteModel(Learning())
    model.logprob(TEXT)
    before = model.contexts
    model.logprob(TEXT)
    assert model.contexts == before


class Rounding(Learning):
    """One whose rows depend on what it was asked before."""

    def __init__(self, generation: int = 0) -> None:
        super().__init__(generation)
        self.asked = 0

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        self.asked += len(contexts)
        rows = np.stack([np.sin(np.arange(5) + self.asked * (1 + len(ids))) for ids in contexts])
        found: NDArray[np.float64] = rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)
        return found

    def clear(self) -> None:
        self.asked = 0
        self.generation += 1


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_what_was_asked_before_changes_no_bits(wrap: Callable[[Any], Any]) -> None:
    used, again = wrap(Rounding()), wrap(Rounding())
    small = compress(wrap(Rounding()), TEXT)
    for model in (used, again):
        model.logprob(TEXT[:5])
        assert compress(model, TEXT) == small
    assert decompress(used, small) == TEXT
    assert decompress(wrap(Rounding()), small) == TEXT
    plain = bw.BaselineModel(used.model, method="naive")
    plain.start(TEXT).next()
    assert decompress(plain, compress(plain, TEXT)) == TEXT


def test_a_clear_of_another_meaning_is_not_called() -> None:
    class Clearing:
        tokenizer, eos_id = LETTERS, 4
        logprobs = Learning().logprobs

        def clear(self) -> None:
            raise AssertionError("not asked for")

    model = bw.ByteModel(Clearing())
    assert decompress(model, compress(model, TEXT)) == TEXT
