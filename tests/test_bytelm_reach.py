"""All sequences of a model that looks back so far: those that it cannot tell apart are one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_bytes import Cover, assert_defined, forward
from toy_models import TEXT, Row, RowOf, hashed, random_tokenizer, row_model, small_model

import bytewright as bw
from bytewright import _core, demo

REACHES = [0, 1, 2, 3]
Ids = tuple[int, ...]


def end_of(ids: Ids, reach: int) -> Ids:
    return ids[max(0, len(ids) - reach) :]


class Near:
    """A model whose rows depend on the last ids, on their number too where they are fewer."""

    def __init__(self, tok: bw.Tokenizer, row: RowOf, reach: int) -> None:
        self.tokenizer, self.eos_id, self.reach = tok, tok.vocab_size, reach
        self.far = row_model(tok, lambda ids: row(end_of(ids, reach)), tok.vocab_size)
        self.row = row

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> Any:
        assert all(len(ids) <= self.reach for ids in contexts)
        return self.far.logprobs(contexts)

    def cover(self) -> Cover:
        return Cover(self.tokenizer, lambda ids: self.row(end_of(ids, self.reach)), "all", tails=0)


def near_model(reach: int, scale: float = 3.0) -> Near:
    tok = small_model().tokenizer
    return Near(tok, hashed(tok.vocab_size + 1, reach, scale), reach)


def fitted(order: int) -> tuple[Near, bw.NgramModel]:
    """An n-gram model of the small vocabulary, in double precision."""
    tok = small_model().tokenizer
    model = bw.NgramModel.fit(tok, [TEXT, b"abab b\n", b"bb a" * 3], order=order)

    @cache
    def row(ids: Ids) -> Row:
        found: Row = model.logprobs([np.array(ids, np.int32)], dtype=np.float64)[0]
        return found

    return Near(tok, row, order - 1), model


def ends(tok: bw.Tokenizer, text: bytes, reach: int) -> int:
    """How many ways there are to end before the text does, as far as the model can tell."""
    tokens = [(at, tok.token_bytes(at)) for at in range(tok.vocab_size)]
    found: list[set[Ids]] = [{()}, *(set() for _ in text)]
    for at in range(len(text)):
        for one, token in tokens:
            if text.startswith(token, at):
                found[at + len(token)] |= {end_of((*ids, one), reach) for ids in found[at]}
    return sum(map(len, found[:-1]))


@pytest.mark.parametrize("reach", REACHES)
def test_what_is_one_adds_up_to_the_definition(reach: int) -> None:
    rng = np.random.default_rng(reach)
    merged = 0
    for seed in range(3):
        tok = random_tokenizer(rng, None)
        near = Near(tok, hashed(tok.vocab_size + 1, seed, 3.0), reach)
        model, far = (bw.ByteModel(one, semantics="all") for one in (near, near.far))
        slow = near.cover()
        for x in (b"", b"a", b" a1", b"xxaa x", b"aaaaaaaa", b"  1 a x1", b"xx  aa xa"):
            assert_defined(model, slow, x)
            far.start(x).next()
        merged += far.contexts - model.contexts
    assert merged > 20


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ngram_models_add_up_to_the_definition(order: int) -> None:
    near, model = fitted(order)
    found, slow = bw.ByteModel(near, semantics="all"), near.cover()
    for at in range(0, 11, 2):
        assert_defined(found, slow, TEXT[:at])
    single = bw.ByteModel(model, semantics="all").logprob(TEXT[:10])
    assert single == pytest.approx(math.log(slow.prob(TEXT[:10])), abs=1e-5)


@pytest.mark.parametrize("reach", REACHES)
def test_one_by_one_they_say_the_same(reach: int) -> None:
    near, text = near_model(reach), TEXT[:16]
    model, far = (bw.ByteModel(one, semantics="all") for one in (near, near.far))
    assert model.score(text) == pytest.approx(far.score(text), abs=1e-9)
    state, other = model.start(), far.start()
    for at in range(len(text)):
        found, expected = state.next(), other.next()
        assert 0.5 * np.abs(found.probs - expected.probs).sum() <= 1e-9
        assert state.logprob == pytest.approx(other.logprob, abs=1e-9)
        state.advance(text[at : at + 1])
        other.advance(text[at : at + 1])


@pytest.mark.parametrize("reach", REACHES)
def test_a_place_is_the_same_however_it_was_reached(reach: int) -> None:
    model = bw.ByteModel(near_model(reach), semantics="all")
    walked = model.start()
    scores = model.score(TEXT).cumsum()
    for at in range(len(TEXT)):
        scratch = model.start(TEXT[:at])
        fork = walked.fork().advance(b"ab")
        assert fork.logprob == model.logprob(TEXT[:at] + b"ab")
        assert walked.next().logprobs.tolist() == scratch.next().logprobs.tolist()
        assert walked.paths(50) == scratch.paths(50)
        walked.advance(TEXT[at : at + 1])
        assert walked.logprob == pytest.approx(scores[at], abs=1e-9)


@pytest.mark.parametrize("reach", REACHES)
def test_a_context_is_asked_for_once_a_place(reach: int) -> None:
    near = near_model(reach)
    text = TEXT * 10
    scored = bw.ByteModel(near, semantics="all", memory=0)
    logprob = scored.score(text).sum()
    assert scored.contexts == ends(near.tokenizer, text, reach)
    row = near.row
    assert logprob == pytest.approx(forward(near.tokenizer, row, reach, text), abs=1e-9)
    # Read at once, the rows of one place are asked for before those of the next.
    vocab = _core.ByteVocab(near.tokenizer._core, [near.eos_id], "all")
    tree = vocab.tree(0.0, reach)
    tree.advance(text[:40])
    fed = 0
    while len(nodes := tree.pending("end")):
        for node in nodes:
            ids, _ = tree.contexts(np.array([node]), reach)
            tree.feed(np.array([node]), near.logprobs([ids]))
            fed += 1
    assert fed == ends(near.tokenizer, text[:40], reach)
    assert tree.logprob() == pytest.approx(scored.logprob(text[:40]), abs=1e-9)


def test_the_forward_sum_is_the_definition() -> None:
    for reach in REACHES:
        near = near_model(reach)
        slow = near.cover()
        for at in (1, 4, 9):
            found = forward(near.tokenizer, near.row, reach, TEXT[:at])
            assert found == pytest.approx(math.log(slow.prob(TEXT[:at])), abs=1e-12)


@pytest.mark.parametrize("reach", REACHES)
def test_ids_are_names(reach: int) -> None:
    """The same tokens under other ids, and a model that goes by their bytes."""
    merges = [(b"a", b"b"), (b"b", b"b"), (b" ", b"a"), (b"a", b" ")]
    scores = []
    for order in (merges, merges[::-1]):
        tok = bw.Tokenizer.from_merges(order, alphabet=b"ab ")
        names = [tok.token_bytes(at) for at in range(tok.vocab_size)]
        by_bytes = hashed(tok.vocab_size + 1, 1, 3.0)
        places = [*np.argsort(np.argsort(np.array(names, object))), tok.vocab_size]

        def row(ids: Ids, places: Any = places, by_bytes: RowOf = by_bytes) -> Row:
            found: Row = by_bytes(tuple(int(places[at]) for at in ids))[places]
            return found

        model = bw.ByteModel(Near(tok, row, reach), semantics="all")
        scores.append(model.score(b"ab abb  bab aabb a b" * 3))
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 0.05, 0.3])
def test_what_pruning_changes_is_within_its_bound(reach: int, epsilon: float) -> None:
    text = TEXT * 2
    for scale in (1.0, 6.0):
        near = near_model(reach, scale)
        exact = bw.ByteModel(near, semantics="all")
        pruned = bw.ByteModel(near, semantics="all", epsilon=epsilon)
        state, truth = pruned.start(), exact.start()
        for at in range(len(text)):
            found, expected = state.next(), truth.next()
            apart = 0.5 * np.abs(expected.probs - found.probs).sum()
            assert apart <= found.error_bound + 1e-12
            assert found.error_bound <= epsilon + 1e-12
            assert state.logprob <= truth.logprob + 1e-9
            assert truth.logprob + math.log1p(-epsilon) <= state.logprob + 1e-9
            assert sum(path.share for path in state.paths(10**6)) <= 1 + 1e-12
            state.advance(text[at : at + 1])
            truth.advance(text[at : at + 1])


@pytest.mark.parametrize("reach", REACHES)
def test_of_paths_that_are_one_the_likeliest_is_named(reach: int) -> None:
    near = near_model(reach)
    model, slow = bw.ByteModel(near, semantics="all"), near.cover()
    joined = 0
    for at in range(1, 11):
        groups: dict[Any, dict[Ids, float]] = {}
        for ids, p in slow.paths(TEXT[:at]).items():
            length = sum(len(near.tokenizer.token_bytes(one)) for one in ids)
            groups.setdefault((end_of(ids[:-1], reach), ids[-1], length), {})[ids] = p
        total = sum(sum(group.values()) for group in groups.values())
        found = {path.ids: path.share for path in model.start(TEXT[:at]).paths(10**6)}
        best = {max(group, key=group.__getitem__): group for group in groups.values()}
        assert set(found) == set(best)
        for ids, group in best.items():
            assert found[ids] == pytest.approx(sum(group.values()) / total, rel=1e-9)
            joined += len(group) > 1
    assert joined > 5


def test_what_comes_late_is_added_up_too() -> None:
    """Pruning finds out too late that a sequence matters: its like has handed its weight on."""
    near, text = near_model(0), TEXT * 2
    pruned = bw.ByteModel(near, semantics="all", epsilon=0.3, memory=0)
    found, exact = pruned.score(text).sum(), bw.ByteModel(near, semantics="all").score(text).sum()
    assert pruned.contexts > ends(near.tokenizer, text, 0)
    assert exact + math.log1p(-0.3) <= found <= exact + 1e-9


@pytest.mark.parametrize(("reach", "message"), [(-1, "reach=-1"), (1.5, "reach must be an int")])
def test_a_reach_is_a_number_of_ids(reach: Any, message: str) -> None:
    near = near_model(0)
    near.reach = reach
    with pytest.raises(bw.BytewrightError, match=message):
        bw.ByteModel(near)


def test_other_semantics_have_nothing_to_add_up() -> None:
    near = near_model(1)
    for semantics in ("valid", "fast", "local"):
        model, far = (bw.ByteModel(one, semantics=semantics) for one in (near, near.far))
        assert model.score(TEXT).tolist() == far.score(TEXT).tolist()


@pytest.mark.parametrize("length", [60, pytest.param(2000, marks=pytest.mark.long)])
def test_a_text_of_many_sequences(length: int) -> None:
    """Which are far more than can be followed one by one."""
    tok = demo.tokenizer()
    texts = [text for _, text in islice(demo.documents(), 50)]
    model = bw.NgramModel.fit(tok, texts[10:], order=5)
    text = "".join(texts[:10]).encode()[:length]
    assert len(text) == length
    tokens, ways = {tok.token_bytes(at) for at in range(tok.vocab_size)}, [1]
    for end in range(1, length + 1):
        ways.append(sum(ways[at] for at in range(end) if text[at:end] in tokens))
    assert ways[60] > 1 << 30

    @cache
    def row(ids: Ids) -> Row:
        found: Row = model.logprobs([np.array(ids, np.int32)], dtype=np.float64)[0]
        return found

    found = bw.ByteModel(model, semantics="all")
    assert found.logprob(text) == pytest.approx(forward(tok, row, 4, text), abs=1e-3)
    assert found.contexts < 100 * length
