"""Ensembles do what their rules' formulas say, beside the formulas written out in plain numbers."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from reference_ensemble import (
    Dist,
    Steps,
    by_bayes,
    by_core,
    by_fixed_share,
    by_gradient,
    mean,
    product,
)

import bytewright as bw
from bytewright import demo
from bytewright.bytelm import compress, decompress
from bytewright.ensemble.model import RuleName

RULES: tuple[RuleName, ...] = get_args(RuleName)
MERGES = [[(b"a", b"b")], [(b"a", b"a"), (b"b", b"aa")], []]


def member(
    number: int,
    *,
    forbidden: Sequence[int] = (),
    end: bool = True,
    semantics: Any = "local",
    epsilon: float = 0.0,
    scale: float = 1.0,
) -> bw.ByteModel:
    """A model over the letters a and b whose rows depend on the whole context."""
    tok = bw.Tokenizer.from_merges(MERGES[number % 3], alphabet=b"ab")
    width = tok.vocab_size + 1

    def rows(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        out = np.empty((len(contexts), width))
        for row, ids in zip(out, contexts, strict=True):
            row[:] = np.random.default_rng([number, 7, *map(int, ids)]).normal(0.0, scale, width)
            row[list(forbidden)] = -np.inf
            row[-1] = row[-1] if end else -np.inf
        return out

    tokens = bw.CallableModel(tok, rows, eos_id=tok.vocab_size)
    return bw.ByteModel(tokens, semantics=semantics, epsilon=epsilon)


def texts(number: int, length: int) -> list[bytes]:
    rng = random.Random(number)
    return [bytes(rng.choices(b"ab", k=length)) for _ in range(number)]


def predictions(model: bw.ByteModel, text: bytes) -> list[Dist]:
    """What a model expects at each place of a text, its end included: nothing if it cannot be."""
    states = [model.start(text[:at]) for at in range(len(text) + 1)]
    nothing = [0.0] * 257
    return [s.next().probs.tolist() if s.logprob > -math.inf else nothing for s in states]


def shares_kept(model: bw.ByteModel, text: bytes) -> list[float]:
    """What a model does not lose at each place."""
    states = [model.start(text[:at]) for at in range(len(text) + 1)]
    return [1.0 - s.next().lost_mass if s.logprob > -math.inf else 0.0 for s in states]


OPTIONS: dict[RuleName, dict[str, Any]] = {
    "arithmetic": {"weights": [1, 5, 2]},
    "geometric": {"weights": [0.5, 0.2, 0.3]},
    "bayes": {"weights": [0.1, 0.6, 0.3]},
    "fixed_share": {"weights": [0.1, 0.6, 0.3], "share": 0.2},
    "online": {"weights": [0.2, 0.6, 0.2], "eta": 0.1},
    "core": {"weights": [2, 1, 2]},
}


def expected_steps(
    rule: RuleName, steps: list[list[Dist]], kept: list[list[float]], text: bytes
) -> Steps:
    """What a rule predicts at each place, and the share that it does not lose."""
    options = OPTIONS[rule]
    given = options["weights"]
    prior = [w / sum(given) for w in given]
    means = [sum(w * k for w, k in zip(prior, row, strict=True)) for row in kept]
    left = [
        [[k * p for p in d] for d, k in zip(dists, row, strict=True)]
        for dists, row in zip(steps, kept, strict=True)
    ]
    match rule:
        case "arithmetic":
            return list(zip([mean(dists, prior) for dists in steps], means, strict=True))
        case "geometric":
            powers = [math.prod(k**w for w, k in zip(prior, row, strict=True)) for row in kept]
            return list(zip([product(dists, prior) for dists in steps], powers, strict=True))
        case "bayes":
            return by_bayes(left, text, prior)
        case "fixed_share":
            return by_fixed_share(left, text, prior, options["share"])
        case "online":
            return by_gradient(steps, kept, text, prior, options["eta"])
    return [by_core(dists, prior, row) for dists, row in zip(steps, kept, strict=True)]


@pytest.mark.parametrize("semantics", ["local", "valid"])
@pytest.mark.parametrize("rule", RULES)
def test_predictions_are_what_the_formula_says(rule: RuleName, semantics: str) -> None:
    models = [member(number, semantics=semantics) for number in range(3)]
    ensemble = bw.Ensemble(models, rule=rule, **OPTIONS[rule])
    tolerance = 1e-7 if rule == "online" else 1e-12  # The oracle's derivative is numerical.
    for text in texts(3, 6):
        each = [predictions(model, text) for model in models]
        kept = [list(at) for at in zip(*(shares_kept(one, text) for one in models), strict=True)]
        assert (min(map(min, kept)) < 0.98) == (semantics == "valid")
        steps = [list(at) for at in zip(*each, strict=True)]
        logprob = 0.0
        state = ensemble.start()
        for at, (expected, left) in enumerate(expected_steps(rule, steps, kept, text)):
            found = state.next()
            assert 0.5 * np.abs(found.probs - expected).sum() <= tolerance, (text, at)
            assert found.lost_mass == pytest.approx(1.0 - left, abs=tolerance)
            assert found.error_bound == 0.0
            assert state.logprob == pytest.approx(logprob, abs=1e-6)
            if at < len(text):
                logprob += math.log(left * expected[text[at]])
                state.advance(text[at : at + 1])
        assert state.logprobs == pytest.approx([model.logprob(text) for model in models])
        assert np.exp(state.predictions) == pytest.approx(np.array([one[-1] for one in each]))


@pytest.mark.parametrize("gone", range(3))
@pytest.mark.parametrize("rule", ["arithmetic", "bayes", "fixed_share", "core"])
def test_a_model_that_is_left_out_stays_so(rule: RuleName, gone: int) -> None:
    models = [member(number) for number in range(3)]
    # One that knows no "b" is left out from the second byte on.
    models[gone] = member(2, forbidden=[1])
    text = b"abaabab"
    each = [predictions(model, text) for model in models]
    assert any(each[gone][1])
    assert not any(any(dist) for dist in each[gone][2:])
    steps = [list(at) for at in zip(*each, strict=True)]
    living = [[dist for dist in dists if any(dist)] for dists in steps]
    given = OPTIONS[rule]["weights"]
    left = [weight for number, weight in enumerate(given) if number != gone]
    weights = [given if len(dists) == 3 else left for dists in living]
    match rule:
        case "arithmetic":
            expected = [mean(dists, w) for dists, w in zip(living, weights, strict=True)]
        case "core":
            pairs = zip(living, weights, strict=True)
            expected = [by_core(dists, w, [1.0] * len(w))[0] for dists, w in pairs]
        case _:
            whole = [[float(any(dist)) for dist in dists] for dists in steps]
            expected = [dist for dist, _ in expected_steps(rule, steps, whole, text)]
    state = bw.Ensemble(models, rule=rule, **OPTIONS[rule]).start()
    for at, dist in enumerate(expected):
        assert state.next().probs == pytest.approx(dist, abs=1e-12), at
        assert state.weights.sum() == pytest.approx(1.0)
        assert (state.weights[gone] > 0.0) == (at < 2)
        state.advance(text[at : at + 1])
    assert state.logprobs[gone] == -math.inf


@pytest.mark.parametrize("semantics", ["all", "valid", "fast", "local"])
@pytest.mark.parametrize("rule", RULES)
def test_identical_models_change_nothing(rule: RuleName, semantics: str) -> None:
    model = member(1, semantics=semantics)
    ensemble = bw.Ensemble([model, model, model], rule=rule, eta=0.3)
    for text in texts(4, 20):
        single, many = model.start(), ensemble.start()
        for at in range(len(text)):
            alone, together = single.next(), many.next()
            assert 0.5 * np.abs(alone.probs - together.probs).sum() <= 1e-12
            assert together.lost_mass == pytest.approx(alone.lost_mass, abs=1e-12)
            single.advance(text[at : at + 1])
            many.advance(text[at : at + 1])
        assert many.logprob == pytest.approx(single.logprob)
        assert ensemble.logprob(text, end=True) == pytest.approx(model.logprob(text, end=True))
        assert ensemble.score(text) == pytest.approx(model.score(text))


@pytest.mark.parametrize("rule", RULES)
def test_every_way_to_a_place_is_the_same(rule: RuleName) -> None:
    ensemble = bw.Ensemble([member(0), member(1), member(2)], rule=rule)
    text = b"abbabaab"
    scores = ensemble.score(text)
    assert scores.sum() == pytest.approx(ensemble.logprob(text), abs=1e-12)
    assert ensemble.bits_per_byte([text]) == pytest.approx(-scores.mean() / math.log(2))
    state = ensemble.start(text[:3])
    fork = state.fork()
    aside = state.fork().advance(b"aa")
    fork.advance(text[3:])
    state.advance(text[3:5]).advance(text[5:])
    for one in (state, fork):
        assert one.logprob == ensemble.start(text).logprob
        assert np.array_equal(one.next().logprobs, ensemble.start(text).next().logprobs)
    assert aside.logprob == ensemble.start(text[:3] + b"aa").logprob
    whole = ensemble.start("a").next().probs.sum()
    assert whole == pytest.approx(1.0, abs=1e-12)
    ended = ensemble.start(text).next().logprobs[256]
    assert ensemble.logprob(text, end=True) == pytest.approx(scores.sum() + ended)


def test_bayes_loses_at_most_the_logarithm_of_the_number_of_models() -> None:
    models = [member(number, semantics="valid" if number % 2 else "local") for number in range(6)]
    ensemble = bw.Ensemble(models, rule="bayes")
    for text in texts(12, 40):
        state = ensemble.start(text)
        assert state.logprob >= state.logprobs.max() - math.log(6) - 1e-9
        mixture = np.logaddexp.reduce(state.logprobs) - math.log(6)
        assert state.logprob == pytest.approx(mixture, abs=1e-9)
        posterior = np.exp(state.logprobs - np.logaddexp.reduce(state.logprobs))
        assert state.weights == pytest.approx(posterior, abs=1e-12)


def test_weights_below_the_least_number_are_still_known() -> None:
    models = [member(0), member(1)]
    state = bw.Ensemble(models, rule="bayes", weights=[1.0, 1e-300]).start(b"ab" * 20)
    expected = state.logprobs[1] - state.logprobs[0] + math.log(1e-300)
    assert math.log(state.weights[1]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_zeros_are_no_numbers_only_where_nothing_is_left(rule: RuleName) -> None:
    only_a, only_b = member(2, forbidden=[1]), member(2, forbidden=[0])
    pair = bw.Ensemble([only_a, only_b], rule=rule)
    state = pair.start()
    probs = state.next().probs
    assert not np.isnan(probs).any()
    if rule in ("geometric", "online"):
        assert probs[256] == pytest.approx(1.0)
        assert pair.logprob("a") == -math.inf
        assert pair.score("ab").tolist() == [-math.inf, -math.inf]
    else:
        assert probs[ord("a")] > 0
        assert probs[ord("b")] > 0
        state.advance(b"b")
        assert state.logprobs[0] == -math.inf
        # The model that could not say so is left out.
        assert state.weights.tolist() == [0.0, 1.0]
        assert np.all(state.predictions[0] == -np.inf)
        assert state.next().probs == pytest.approx(only_b.start("b").next().probs)
        assert pair.logprob("ba") == -math.inf
    dead = pair.start("c")
    assert (dead.logprob, len(dead.advance(b"ab"))) == (-math.inf, 3)
    with pytest.raises(bw.DataError, match="probability is 0 after"):
        dead.next()
    with pytest.raises(bw.DataError, match="prompt: these 1 bytes"):
        pair.sample("c", max_bytes=1)


@pytest.mark.parametrize("rule", RULES)
def test_where_no_outcome_is_left_an_ensemble_is_as_a_single_model(rule: RuleName) -> None:
    only_a, only_b = member(2, forbidden=[1], end=False), member(2, forbidden=[0], end=False)
    tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab")

    def never_joined(contexts: Any) -> Any:
        # Behind "a" nothing but "b", which the tokenizer would have joined.
        after_a = [len(ids) > 0 and ids[-1] == 0 for ids in contexts]
        with np.errstate(divide="ignore"):
            return np.log([[0.0, 1.0, 0.0] if a else [0.5, 0.5, 0.0] for a in after_a])

    dead = bw.ByteModel(bw.CallableModel(tok, never_joined))
    alone = dead.start("a").next()
    assert (alone.lost_mass, alone.logprobs.max()) == (1.0, -math.inf)
    left = {"one": bw.Ensemble([dead], rule=rule), "both": bw.Ensemble([dead, dead], rule=rule)}
    if rule in ("geometric", "online"):
        left |= {"vetoed": bw.Ensemble([dead, member(1)], rule=rule)}
        disagreeing = bw.Ensemble([only_a, only_b], rule=rule)
        assert disagreeing.start().next().lost_mass == 1.0
        assert disagreeing.logprob("ab") == -math.inf
    else:
        half = bw.Ensemble([dead, member(1)], rule=rule).start("a")
        # Those rules that judge the models say how likely the text is that is lost.
        judged = half.weights[0] if rule in ("bayes", "fixed_share") else 0.0
        assert half.next().lost_mass == pytest.approx(judged)
    for ensemble in left.values():
        state = ensemble.start("a")
        last = state.next()
        assert (last.lost_mass, last.logprobs.max()) == (1.0, -math.inf)
        assert last.log_kept == -math.inf
        assert len(state.weights) == len(ensemble.models)
        assert ensemble.score("ab").tolist() == [
            pytest.approx(ensemble.logprob("a")), -math.inf
        ]  # fmt: skip
        assert ensemble.logprob("ab") == ensemble.logprob("a", end=True) == -math.inf
        assert ensemble.bits_per_byte(["ab"]) == math.inf
        assert decompress(ensemble, compress(ensemble, b"abba")) == b"abba"
        with pytest.raises(bw.DataError, match="after 1 bytes the model expects nothing that"):
            ensemble.sample("a", max_bytes=1)
        with pytest.raises(bw.DataError, match="probability is 0 after 2 bytes"):
            state.advance(b"b").next()


def test_a_weight_of_0_is_no_veto() -> None:
    models = [member(2, forbidden=[1]), member(1)]
    for rule in ("arithmetic", "geometric", "bayes"):
        found = bw.Ensemble(models, rule=rule, weights=[0, 3]).start("b").next()
        assert found.probs == pytest.approx(models[1].start("b").next().probs)


def test_ensembles_are_members_of_ensembles() -> None:
    one, two, three = member(0), member(1), member(2)
    nested = bw.Ensemble([bw.Ensemble([one, two]), three], weights=[2, 1])
    flat = bw.Ensemble([one, two, three])
    for text in texts(3, 9):
        assert nested.logprob(text, end=True) == pytest.approx(flat.logprob(text, end=True))
    assert nested.sample(max_bytes=30, seed=3) == flat.sample(max_bytes=30, seed=3)
    assert flat.sample(max_bytes=30, seed=3) != flat.sample(max_bytes=30, seed=4)


def test_bounds_of_pruning_are_bounds() -> None:
    tokens = [member(0).model, member(1).model]
    exact = [bw.ByteModel(model, semantics="all") for model in tokens]
    pruned = [bw.ByteModel(model, semantics="all", epsilon=0.2) for model in tokens]
    for rule in ("arithmetic", "bayes"):
        bounds = set()
        for text in texts(6, 8):
            found = bw.Ensemble(pruned, rule=rule).start(text).next()
            expected = bw.Ensemble(exact, rule=rule).start(text).next()
            bounds.add(found.error_bound)
            assert 0.5 * np.abs(found.probs - expected.probs).sum() <= found.error_bound + 1e-12
        assert bounds - {0.0, 1.0} if rule == "arithmetic" else 1.0 in bounds


@pytest.mark.parametrize("rule", RULES)
def test_what_is_pruned_is_not_impossible(rule: RuleName) -> None:
    exact = [member(number, semantics="valid", scale=4.0) for number in range(2)]
    pruned = [member(number, semantics="valid", scale=4.0, epsilon=0.05) for number in range(2)]
    alone, both = bw.Ensemble(pruned[:1], rule=rule), bw.Ensemble(pruned, rule=rule)
    expected = bw.Ensemble(exact, rule=rule)
    excluded = 0
    for text in texts(40, 12):
        state = pruned[0].start()
        for at in range(len(text)):
            excluded += state.next().logprobs[text[at]] == -math.inf
            state.advance(text[at : at + 1])
        assert alone.logprob(text) == pytest.approx(pruned[0].logprob(text), abs=1e-9)
        assert alone.score(text).sum() == pytest.approx(state.logprob, abs=1e-9)
        assert both.logprob(text) > -math.inf
        # No model is left out, and what each says of the text is what it is sure of.
        found, wanted = both.start(text), expected.start(text)
        assert found.logprobs == pytest.approx([model.logprob(text) for model in pruned])
        assert found.logprobs == pytest.approx(wanted.logprobs, abs=0.5)
        if rule == "bayes":
            posterior = np.exp(found.logprobs - np.logaddexp.reduce(found.logprobs))
            assert found.weights == pytest.approx(posterior)
    assert excluded > 10


Wrong = tuple[Callable[[], object], type[Exception], str]


def test_what_is_no_ensemble_is_said() -> None:
    one = member(0)
    anything: Any = 7
    name: Any = "median"
    wrong: list[Wrong] = [
        (lambda: bw.Ensemble([]), bw.ArgumentError, "at least one"),
        (lambda: bw.Ensemble([one, anything]), bw.ArgumentTypeError, r"models\[1\]: .*ByteModel"),
        (lambda: bw.Ensemble([one], rule=name), bw.ArgumentError, "'median': arithmetic, bayes"),
        (lambda: bw.Ensemble([one], weights=[1, 2]), bw.ArgumentError, "1 are needed"),
        (lambda: bw.Ensemble([one, one], weights=[1, -1]), bw.ArgumentError, "none below 0"),
        (lambda: bw.Ensemble([one], weights=[0.0]), bw.ArgumentError, "one above it"),
        (lambda: bw.Ensemble([one], weights=[math.nan]), bw.ArgumentError, "weights="),
        (lambda: bw.Ensemble([one], rule="fixed_share", share=2.0), bw.ArgumentError, "share=2"),
        (lambda: bw.Ensemble([one], rule="online", eta=-1.0), bw.ArgumentError, "eta=-1"),
        (lambda: bw.Ensemble([one]).start().advance(anything), bw.ArgumentTypeError, "data"),
        (lambda: bw.Ensemble([one]).bits_per_byte([]), bw.ArgumentError, "no bytes"),
    ]
    for call, error, message in wrong:
        with pytest.raises(error, match=message):
            call()


def halves(
    pattern: Literal["o200k", "gpt2"], size: int, docs: list[str], order: int
) -> bw.ByteModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        tok = bw.train(docs, size, pattern=pattern)
    return bw.ByteModel(bw.NgramModel.fit(tok, docs, order=order))


def test_two_tokenizers_and_two_halves_of_a_corpus_beat_the_better_one() -> None:
    chunks = [
        text[at : at + 2000]
        for _, text in list(demo.documents())[:200]
        for at in range(0, len(text), 2000)
    ]
    held_out = [chunk[:400] for chunk in chunks[::50]][:10]
    rest = [chunk for at, chunk in enumerate(chunks) if at % 50]
    models = [halves("o200k", 4096, rest[::2], 4), halves("gpt2", 768, rest[1::2], 6)]
    alone = min(model.bits_per_byte(held_out) for model in models)
    figures = {rule: bw.Ensemble(models, rule=rule).bits_per_byte(held_out) for rule in RULES}
    print(f"alone {alone:.4f}, together {figures}")
    assert figures["arithmetic"] <= 0.95 * alone
    assert max(figures.values()) <= alone


def test_a_text_is_scored_with_few_calls() -> None:
    calls = [0, 0]

    def counted(number: int) -> bw.ByteModel:
        plain = member(number).model

        def rows(contexts: Sequence[Any]) -> Any:
            calls[number] += 1
            return plain.logprobs(contexts)

        model = bw.CallableModel(plain.tokenizer, rows, eos_id=plain.eos_id)
        return bw.ByteModel(model, semantics="local")

    text = texts(3, 100)[0]
    scores = bw.Ensemble([counted(0), counted(1)]).score(text)
    assert max(calls) <= 3 * (len(text) // 32 + 1), calls
    state, stepped = bw.Ensemble([member(0), member(1)]).start(), []
    for at, byte in enumerate(text):
        stepped.append(state.next().logprobs[byte])
        state.advance(text[at : at + 1])
    assert np.allclose(scores, stepped, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_what_a_state_gives_may_be_written_into(rule: Any) -> None:
    text = texts(3, 20)[0]
    state = bw.Ensemble([member(0), member(1)], rule=rule).start(text[:5])
    expected = state.fork().advance(text[5:]).logprob
    for given in (state.next().logprobs, state.weights, state.predictions, state.logprobs):
        given[:] = -np.inf
    assert state.advance(text[5:]).logprob == expected
