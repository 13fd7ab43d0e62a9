"""What the rows of a model cost: contexts that are asked for twice, and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bytewright as bw

LETTERS = bw.Tokenizer.from_merges([], alphabet=b"abcd")
# A row of them is so long that its context hardly counts.
WIDTH = 1000
FOUR_ROWS = 4 * (8 * WIDTH + 400)


def rows(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
    seeds = ([5, *map(int, ids)] for ids in contexts)
    return np.stack([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds])


def model(memory: int) -> bw.ByteModel:
    # The end is the last column, so rows are kept whole.
    return bw.ByteModel(bw.CallableModel(LETTERS, rows, eos_id=WIDTH - 1), memory=memory)


def weighted(source: Any) -> object:
    word = bw.RegexConstraint("[a-d]{6,20}")
    return bw.sample_weighted(source, "a", constraint=word, particles=60, max_bytes=20, seed=1)


USES: dict[str, Callable[[bw.ByteModel], object]] = {
    "score": lambda source: bw.Ensemble([source]).score(b"abcdabca" * 8).tolist(),
    "weighted": weighted,
    "infill": lambda source: source.infill(
        "ab", "ca", max_bytes=12, budget=60, trajectories=8, seed=1
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_is_asked_for_together_is_not_asked_for_again(
    use: Callable[[bw.ByteModel], object],
) -> None:
    kept, few, none = model(1 << 30), model(FOUR_ROWS), model(0)
    assert use(kept) == use(few) == use(none)
    assert kept.contexts <= few.contexts <= none.contexts


def test_twins_share_what_is_known_at_their_place() -> None:
    def rows(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        # First "a" or "b", one of which "c" hardly follows.
        shares: dict[tuple[int, ...], list[float]] = {
            (): [0.7, 0.3, 0.0, 0.0, 0.0],
            (0,): [1.0, 0.0, 1e-3, 0.0, 0.0],
            (1,): [0.0, 0.0, 1.0, 0.0, 0.0],
        }
        found = [shares.get(tuple(map(int, ids)), [1.0] * 5) for ids in contexts]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.array(found)))

    source = bw.ByteModel(bw.CallableModel(LETTERS, rows, eos_id=4), memory=0)
    word = bw.RegexConstraint("[ab]c[a-d]")
    drawn = bw.sample_weighted(source, constraint=word, particles=40, max_bytes=3, seed=1)
    # All are twins at first, then each is alone, then few are left and have twins.
    assert drawn.resamplings == 1
    assert 1 + 40 < source.contexts < 1 + 40 + 20
