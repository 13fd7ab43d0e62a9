"""Behind a given text comes what comes behind any text, at the cost of its end alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_vocabularies import metaspace_json
from toy_models import PATTERNS, SEMANTICS, hashed, row_model

import bytewright as bw
from bytewright import demo
from bytewright.bytelm.infilling import InfillingPredictor
from bytewright.bytelm.protocol import BytePlace

TEXT = (
    "The lighthouse keeper's 3 daughters didn't answer; 1984 letters, naïve or not, lay on the "
    "table.\n\n    if wind > 27:\n        return 日本 and fog  \n"
).encode()
Rule = Literal["arithmetic", "geometric", "bayes", "fixed_share", "online", "core"]
RULES: list[Rule] = ["arithmetic", "geometric", "bayes", "fixed_share", "online", "core"]


@cache
def words() -> bw.NgramModel:
    return bw.NgramModel.fit(demo.tokenizer(), [TEXT.decode()] * 3, order=3)


class Plain(InfillingPredictor):
    """The same model of bytes, without its `given`."""

    def __init__(self, model: bw.ByteModel) -> None:
        self.model = model

    def start(self, prefix: str | bytes = b"") -> BytePlace:
        return self.model.start(prefix)


def same(one: bw.ByteDistribution, other: bw.ByteDistribution, most: float = 1e-11) -> None:
    assert np.abs(one.probs - other.probs).max() <= most
    assert abs(one.lost_mass - other.lost_mass) <= most


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_follows_is_what_follows_behind_any_text(
    pattern: str | None, semantics: Literal["all", "valid", "fast", "local"]
) -> None:
    merges = [(b"a", b"b"), (b"b", b"b"), (b" ", b"a"), (b" a", b"b"), (b"ab", b"b"), (b"1", b"1")]
    tok = bw.Tokenizer.from_merges(
        [merge for merge in merges if pattern != "gpt2" or merge[0] != b"1"], pattern=pattern
    )
    model = row_model(tok, hashed(tok.vocab_size + 1, 7, 4.0), tok.vocab_size)
    text = b"ab abb 11b  ab a\n" if semantics == "all" else b"ab abb 11b  ab a\n" * 2
    for cut in range(0, len(text), 5):
        plain = bw.ByteModel(model, semantics=semantics)
        asked = bw.ByteModel(model, semantics=semantics)
        state, given = plain.start(text[:cut]), asked.given(text[:cut])
        before = state.logprob
        assert (given.logprob, len(given)) == (0.0, cut)
        same(given.next(), state.next())
        twin, more = given.fork(), text[cut : cut + 5]
        state.advance(more)
        given.advance(more)
        assert given.logprob == pytest.approx(state.logprob - before, abs=1e-11)
        same(given.next(), state.next())
        assert asked.contexts <= plain.contexts
        # A fork stands where the other stood.
        assert twin.logprob == 0.0
        assert [(path.ids, path.pending) for path in given.paths(3)] == [
            (path.ids, path.pending) for path in state.paths(3)
        ]


@pytest.mark.parametrize("semantics", ["valid", "fast", "local"])
def test_a_long_text_costs_its_end(semantics: Literal["valid", "fast", "local"]) -> None:
    text = TEXT * 60
    model = bw.ByteModel(words(), semantics=semantics)
    for cut in range(len(text) - len(TEXT), len(text), 7):
        before = model.contexts
        given = model.given(text[:cut])
        given.next()
        assert model.contexts - before <= 12
    state = bw.ByteModel(words(), semantics=semantics, memory=0).start(text[:cut])
    same(given.next(), state.next())
    assert given.logprob == 0.0


@pytest.mark.parametrize("epsilon", [1e-1, 1e-2, 1e-4])
def test_with_pruning_the_bound_holds(epsilon: float) -> None:
    exact, pruned = bw.ByteModel(words()), bw.ByteModel(words(), epsilon=epsilon)
    bounded = 0
    for cut in range(0, len(TEXT), 3):
        one, other = exact.given(TEXT[:cut]).next(), pruned.given(TEXT[:cut]).next()
        assert 0.5 * np.abs(one.probs - other.probs).sum() <= other.error_bound + 1e-12
        assert other.error_bound <= epsilon
        bounded += other.error_bound > 0.0
    assert bounded


def test_texts_that_cannot_be() -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab ", pattern=r"\w+|\s")

    def no_space(contexts: Sequence[NDArray[np.int32]]) -> Any:
        rows = np.zeros((len(contexts), tok.vocab_size))
        rows[:, 2] = -np.inf
        return rows

    model = bw.ByteModel(bw.CallableModel(tok, no_space))
    given = model.given("ab ")
    assert given.logprob == -np.inf
    assert given.advance(b"a").logprob == -np.inf
    with pytest.raises(bw.DataError, match="probability is 0"):
        given.next()
    with pytest.raises(bw.DataError, match="probability 0"):
        model.sample("ab ", max_bytes=3)
    # That no space can be is not asked where the last pieces do not tell.
    assert model.given("a ab").logprob == 0.0
    assert model.start("a ab").logprob == -np.inf
    with pytest.raises(bw.ArgumentTypeError):
        model.given(3)  # type: ignore[arg-type]


def test_draws_are_those_of_a_model_that_counts_its_prompt() -> None:
    model, word = bw.ByteModel(words()), bw.RegexConstraint(r"[a-z ]+")
    for seed in range(6):
        prompt = TEXT[: 20 + 17 * seed]
        for options in (
            {},
            {"utf8": "strict", "top_p": 0.9},
            {"constraint": word, "ends": "match"},
        ):
            drawn = [
                one.sample(prompt, max_bytes=30, seed=seed, **options)  # type: ignore[arg-type]
                for one in (model, Plain(model))
            ]
            assert drawn[0] == drawn[1]
    crowds = [
        bw.sample_weighted(one, TEXT[:50], constraint=word, particles=9, max_bytes=9, seed=3)
        for one in (model, Plain(model))
    ]
    assert crowds[0].shares() == pytest.approx(crowds[1].shares())
    assert crowds[0].logprob == pytest.approx(crowds[1].logprob)


def test_middles_are_those_of_a_model_that_counts_its_prefix() -> None:
    model = bw.ByteModel(words())
    found, other = (
        one.infill_candidates(TEXT[:60], TEXT[63:75], max_bytes=4, budget=40, seed=1)
        for one in (model, Plain(model))
    )
    assert found.middles == other.middles
    assert found.middles[0] == TEXT[60:63]
    assert found.logprobs == pytest.approx(other.logprobs, abs=1e-6)
    assert found.shares == pytest.approx(other.shares, abs=1e-6)
    # Probabilities are those of middle and suffix behind the prefix.
    whole = model.start(TEXT[:75]).logprob - model.start(TEXT[:60]).logprob
    assert found.logprobs[0] == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_ensembles_are_given_texts(rule: Rule) -> None:
    letters = bw.NgramModel.fit(bw.Tokenizer.from_merges([]), [TEXT], order=3)
    models = [bw.ByteModel(words()), bw.ByteModel(letters)]
    both = bw.Ensemble(models, rule=rule)
    for cut in (0, 1, 40, 77):
        state, given = both.start(TEXT[:cut]), both.given(TEXT[:cut])
        before = state.logprob
        assert (given.logprob, len(given)) == (0.0, cut)
        assert not given.logprobs.any()
        same(given.next(), state.next(), 1e-6)
        assert given.weights == pytest.approx(state.weights, abs=1e-6)
        state.advance(TEXT[cut : cut + 5])
        given.advance(TEXT[cut : cut + 5])
        assert given.logprob == pytest.approx(state.logprob - before, abs=1e-6)
        same(given.next(), state.next(), 1e-6)


@pytest.mark.parametrize("rule", ["arithmetic", "geometric", "bayes"])
def test_ensembles_whose_models_exclude_a_text(rule: Rule) -> None:
    def only(outcome: int) -> bw.ByteModel:
        row = np.full(257, -np.inf)
        row[[outcome, ord("c")]] = 0.0
        tok = bw.Tokenizer.from_merges([])
        return bw.ByteModel(bw.CallableModel(tok, lambda asked: np.tile(row, (len(asked), 1))))

    both = bw.Ensemble([only(ord("a")), only(ord("b"))], rule=rule)
    if rule == "geometric":
        assert both.given("ca").logprob == both.start("ca").logprob == -np.inf
    else:
        same(both.given("ca").next(), both.start("ca").next())
    assert both.given("cd").logprob == -np.inf
    weighted = bw.Ensemble([only(ord("a")), only(ord("b"))], rule=rule, weights=[1.0, 0.0])
    assert weighted.given("ca").logprob == 0.0
    assert weighted.given("cb").logprob == -np.inf


def test_the_space_before_every_text_is_no_part_of_it(tmp_path: Path) -> None:
    root = metaspace_json(normalizer=None)
    texts = [*list(root["model"]["vocab"])[:257], "▁", "a", "b", "▁a", "▁▁", "ba"]
    root["model"]["vocab"] = {text: at for at, text in enumerate(texts)}
    root["model"]["merges"] = [["▁", "a"], ["▁", "▁"], ["b", "a"]]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(root))
    tok = bw.Tokenizer.load(path)
    row = hashed(tok.vocab_size + 1, 4, 2.0, lacking=257)
    model = bw.ByteModel(row_model(tok, row, tok.vocab_size))
    for text in (b"", b"a", b" ", b"ba", b"ba a", b"a  ba"):
        state, given = model.start(text), model.given(text)
        before = state.logprob
        assert given.logprob == 0.0
        same(given.next(), state.next(), 1e-6)
        state.advance(b"a b")
        given.advance(b"a b")
        assert given.logprob == pytest.approx(state.logprob - before, abs=1e-11)


def test_a_translated_model_asks_for_the_end_of_its_context() -> None:
    model = bw.ByteModel(words())
    student = bw.TranslatedModel(model, bw.Tokenizer.from_merges([]))
    found = student.next(TEXT * 20)
    assert model.contexts <= 12
    expected = bw.ByteModel(words()).start(TEXT * 20).next().logprobs
    assert np.abs(np.exp(found.logprobs) - np.exp(expected)).max() <= 1e-6
