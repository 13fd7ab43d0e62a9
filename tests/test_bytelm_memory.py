"""What the rows of a model cost: contexts that are asked for twice, and memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from toy_models import SEMANTICS, small_model

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


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_text_that_was_scored_is_not_asked_for_again(semantics: Any) -> None:
    text = b"abcdabcabc"
    source = bw.ByteModel(bw.CallableModel(LETTERS, rows, eos_id=WIDTH - 1), semantics=semantics)
    first = source.score(text).tolist()
    asked = source.contexts
    assert asked == len(text)
    assert source.score(text).tolist() == first
    assert source.score(text[:-3]).tolist() == first[:-3]
    assert source.logprob(text) == pytest.approx(sum(first))
    assert source.bits_per_byte([text, text]) > 0
    assert source.contexts == asked
    source.score(text + b"ad")
    assert source.contexts == asked + 2
    forgets = model(0)
    for times in (1, 2):
        assert forgets.score(text) == pytest.approx(first)
        assert forgets.contexts == times * asked


def test_scores_drive_out_nothing_and_go_first() -> None:
    source = model(FOUR_ROWS)
    # The beginning, and what stands behind "b": half of the memory.
    source.start(b"b").next()
    source.score(b"adcbadcb")
    asked = source.contexts
    source.start(b"b").next()
    assert source.contexts == asked
    # Kept besides are the rows behind "a" and "ad"; as is the beginning.
    source.score(b"adcbadcb")
    assert source.contexts == asked + 8 - 3
    # One more row to keep, and the later of these two is gone.
    source.start(b"c").next()
    asked = source.contexts
    source.start(b"b").next()
    source.start(b"a").next()
    assert source.contexts == asked
    source.start(b"ad").next()
    assert source.contexts == asked + 1


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


@pytest.mark.parametrize("pattern", [None, "gpt2"])
@pytest.mark.parametrize("semantics", [*SEMANTICS, "near"])
def test_places_that_are_released_go_on_as_others(semantics: Any, pattern: str | None) -> None:
    tokens: bw.TokenModel = small_model(pattern=pattern)
    close = 1e-12
    if semantics == "near":
        # One that says its reach: sequences that end alike are one.
        texts = ["ab abbb  ab\n\n a bb ab", "a b ab abb"] * 3
        tokens, semantics = bw.NgramModel.fit(tokens.tokenizer, texts, order=3), "all"
        close = 1e-6  # Its rows are float32.
    source = bw.ByteModel(tokens, semantics=semantics, memory=0)
    for text in (b"", b"ab", b"ab abbb", b"ab abbb  ab\n"):
        for state in (source.start(text), source.given(text)):
            expected = state.next()
            asked = source.contexts
            other = state._released()
            assert (len(other), other.logprob) == (len(text), state.logprob)
            assert source.contexts == asked, "how likely the text is stays known"
            assert other.fork().next().logprobs == pytest.approx(expected.logprobs, abs=close)
            assert source.contexts > asked, "what follows is asked for again"
            for more in (b"a", b"b", b" ", b"ab ", b"bb ab"):
                one, two = state.fork().advance(more), other.fork().advance(more)
                assert two.logprob == pytest.approx(one.logprob, abs=close)
                if one.logprob > -np.inf:
                    assert two.next().logprobs == pytest.approx(one.next().logprobs, abs=close)
                    shares = [path.share for path in one.paths(99)]
                    assert [path.share for path in two.paths(99)] == pytest.approx(
                        shares, abs=close
                    )


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_places_that_are_released_are_certified_as_others(semantics: Any) -> None:
    pruned = bw.ByteModel(small_model(), semantics=semantics, epsilon=0.1, memory=0)
    exact = bw.ByteModel(small_model(), semantics=semantics)
    for text in (b"", b"ab", b"ab abb", b"ab abbb  ab\n"):
        state = pruned.start(text)
        state.next()
        for more in (b"", b"a", b" ", b"b a"):
            right = exact.start(text + more)
            if right.logprob > -np.inf:
                found = state._released().advance(more).next()
                distance = 0.5 * np.abs(found.probs - right.next().probs).sum()
                assert distance <= found.error_bound + 1e-12
                assert found.error_bound <= 0.1


SEARCHES = {
    "infill": 'model.infill("ab", "zebra", max_bytes=9, budget=400, seed=1)',
    "infill to the end": 'model.infill("ab", "a", end=True, max_bytes=9, budget=400, seed=1)',
    "ensemble": 'bw.Ensemble([model]).infill("ab", "zebra", max_bytes=9, budget=400, seed=1)',
    "translated": "bw.TranslatedModel(model, words, epsilon=0, budget=400).next([])",
}
GROWTH = """
import resource
import numpy as np
import bytewright as bw
from bytewright import demo

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

pairs = [(bytes([a]), bytes([b])) for a in range(256) for b in range(256)]
tok = bw.Tokenizer.from_merges(pairs)
words = demo.tokenizer()
row = np.random.default_rng(1).normal(size=(1, tok.vocab_size + 1)).astype(np.float32)
model = bw.ByteModel(
    bw.CallableModel(tok, lambda contexts: row.repeat(len(contexts), 0), eos_id=tok.vocab_size),
    memory="2MB",
)
model.infill("ab", "zebra", max_bytes=3, budget=70, seed=1)
before = most()
{search}
print((most() - before) / row.nbytes * 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss in kilobytes")
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_searches_hold_few_rows(search: str) -> None:
    code = GROWTH.replace("{search}", search)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Some 64 of them, and those of one request on their way.
    assert float(ran.stdout) < 160


# A third of the tokens begin with a space.
SPACED = """
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

pairs = [(bytes([a]), bytes([b])) for a in range(256) for b in range(256)]
tok = bw.Tokenizer.from_merges(pairs + [(b" ", one + two) for one, two in pairs[1 << 15 :]])
row = np.random.default_rng(1).normal(size=(1, tok.vocab_size)).astype(np.float32)
tokens = bw.CallableModel(tok, lambda contexts: row.repeat(len(contexts), 0))
model = bw.ByteModel(tokens, semantics="all", memory=0)

def released(first):
    place = model.start(bytes([first]))
    place.next()
    place.advance(b" ").next()
    return place._released()

held = [released(first) for first in range(9)]
before = resident()
held += [released(first) for first in range(100, 190)]
print((resident() - before) / row.nbytes * 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss in kilobytes")
def test_a_released_place_behind_a_space_holds_no_whole_row() -> None:
    code = GROWTH.partition("pairs =")[0] + SPACED
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # A third of a row for each of 90 places, and what is known of the tokens that may follow.
    assert float(ran.stdout) < 60
