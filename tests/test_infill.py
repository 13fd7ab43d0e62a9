"""Middles follow P(prefix m suffix): exactly where all are looked at, without bias where not."""

from __future__ import annotations

import codecs
import itertools
import math
from collections import Counter
from typing import Any, Self

import numpy as np
import pytest
from reference_bytes import Cover
from toy_models import SEMANTICS, hashed, row_model

import bytewright as bw
from bytewright.bytelm.infilling import InfillingPredictor
from bytewright.bytelm.joining import period
from bytewright.utf8 import unfinished

TOY = bw.Tokenizer.from_merges([(b"a", b"b"), (b"ab", b"a"), (b"b", b"b")], alphabet=b"ab")
BYTES = bw.Tokenizer.from_merges([])


def toy(semantics: Any, seed: int, *, epsilon: float = 0.0) -> tuple[bw.ByteModel, Cover]:
    row = hashed(TOY.vocab_size + 1, seed, 1.5)
    model = row_model(TOY, row, TOY.vocab_size)
    made = bw.ByteModel(model, semantics=semantics, epsilon=epsilon)
    return made, Cover(TOY, row, semantics, tails=3)


def all_middles(most: int, letters: bytes = b"ab") -> list[bytes]:
    return [
        bytes(middle)
        for size in range(most + 1)
        for middle in itertools.product(letters, repeat=size)
    ]


def expected(cover: Cover, prefix: bytes, suffix: bytes, most: int, *, end: bool) -> Any:
    """P(prefix m suffix) / P(prefix) of every middle."""
    prob = cover.end if end else cover.prob
    found = {middle: prob(prefix + middle + suffix) for middle in all_middles(most)}
    return {middle: p / cover.prob(prefix) for middle, p in found.items() if p}


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("semantics", SEMANTICS)
def test_middles_have_their_probabilities_by_enumeration(semantics: Any, end: bool) -> None:
    texts = [(b"", b"b"), (b"a", b"ba"), (b"ab", b"bab"), (b"b", b"")]
    for seed, (prefix, suffix) in enumerate(texts):
        model, cover = toy(semantics, seed)
        wanted = expected(cover, prefix, suffix, 3, end=end)
        whole = sum(wanted.values())
        found = model.infill_candidates(prefix, suffix, max_bytes=3, end=end)
        assert set(found.middles) == set(wanted)
        for middle, logprob, share in zip(found.middles, found.logprobs, found.shares, strict=True):
            assert math.exp(logprob) == pytest.approx(wanted[middle], rel=1e-9)
            assert share == pytest.approx(wanted[middle] / whole, abs=1e-9)
        assert math.exp(found.logprob) == pytest.approx(whole, rel=1e-9)
        assert found.certified == pytest.approx(1.0, abs=1e-9)
        assert found.explored == pytest.approx(1.0)
        assert found.effective_size == math.inf
        assert list(found.shares) == sorted(found.shares, reverse=True)


def test_few_looks_and_many_trajectories_are_right_on_average() -> None:
    model, cover = toy("all", 5)
    wanted = expected(cover, b"ab", b"ba", 4, end=False)
    whole, runs = sum(wanted.values()), 600
    each = {middle: np.zeros(runs) for middle in wanted}
    totals = np.zeros(runs)
    for seed in range(runs):
        found = model.infill_candidates(
            b"ab", b"ba", max_bytes=4, budget=3, trajectories=3, seed=seed
        )
        totals[seed] = math.exp(found.logprob)
        for middle, logprob, share in zip(found.middles, found.logprobs, found.shares, strict=True):
            assert math.exp(logprob) == pytest.approx(wanted[middle], rel=1e-9)
            each[middle][seed] = share * totals[seed]
        assert 0.0 < found.explored < 1.0
        assert 0.0 < found.effective_size <= 3.0 + 1e-9
        # What is certain is not more than what is true.
        sure = found.explored * totals[seed] / whole
        assert 0.0 < found.certified <= sure + 1e-12
    # Five standard errors; the seeds are fixed, so it holds once and for all.
    assert abs(totals.mean() - whole) < 5 * totals.std() / math.sqrt(runs)
    for middle, p in wanted.items():
        found_mean, error = each[middle].mean(), each[middle].std() / math.sqrt(runs)
        assert abs(found_mean - p) < 5 * error + 1e-12, middle


def test_the_likeliest_middle_is_known_where_nothing_unseen_can_be_likelier() -> None:
    known = []
    for seed, budget in itertools.product(range(4), (2, 5, 9, 14)):
        model, cover = toy("valid", seed + 20)
        wanted = expected(cover, b"a", b"b", 4, end=False)
        found = model.infill_candidates(
            b"a", b"b", max_bytes=4, budget=budget, trajectories=2, seed=1
        )
        unseen = [p for middle, p in wanted.items() if middle not in found.middles]
        assert not unseen or math.log(max(unseen)) <= found.unseen + 1e-9
        known.append(found.logprobs.max() > found.unseen)
        if known[-1]:
            assert found.draw(temperature=0) == max(wanted, key=lambda middle: wanted[middle])
    assert set(known) == {True, False}


def test_draws_follow_the_posterior_and_its_temperature() -> None:
    model, cover = toy("valid", 6)
    wanted = expected(cover, b"a", b"b", 2, end=False)
    runs = 1500
    found = model.infill_candidates(b"a", b"b", max_bytes=2)
    for temperature, top_p in [(1.0, 1.0), (0.5, 1.0), (2.0, 0.7)]:
        powers = {middle: p ** (1 / temperature) for middle, p in wanted.items()}
        order = sorted(powers, key=lambda middle: -powers[middle])
        sums = np.cumsum([powers[middle] for middle in order]) / sum(powers.values())
        kept = order[: 1 + int(np.searchsorted(sums, top_p - 1e-12))]
        total = sum(powers[middle] for middle in kept)
        drawn = Counter(
            found.draw(temperature=temperature, top_p=top_p, seed=seed) for seed in range(runs)
        )
        assert set(drawn) <= set(kept)
        for middle in kept:
            assert abs(drawn[middle] / runs - powers[middle] / total) < 2.5 / math.sqrt(runs)
    likeliest = max(wanted, key=lambda middle: wanted[middle])
    assert found.draw(temperature=0) == found.draw(temperature=1e-300, seed=1) == likeliest
    assert model.infill(b"a", b"b", max_bytes=2, temperature=0) == likeliest
    texts = [model.infill(b"a", b"b", max_bytes=2, seed=seed) for seed in range(40)]
    assert texts == [model.infill(b"a", b"b", max_bytes=2, seed=seed) for seed in range(40)]
    assert len(set(texts)) > 2


def test_candidates_of_trajectories_are_tempered_one_by_one() -> None:
    model, cover = toy("all", 8)
    wanted = expected(cover, b"", b"ab", 4, end=False)
    powers = {middle: p**0.5 for middle, p in wanted.items()}
    drawn: Counter[bytes] = Counter()
    runs = 400
    for seed in range(runs):
        found = model.infill_candidates(
            b"", b"ab", max_bytes=4, budget=2, trajectories=40, seed=seed
        )
        drawn[found.draw(temperature=2.0, seed=seed)] += 1
    for middle, power in powers.items():
        share = power / sum(powers.values())
        assert abs(drawn[middle] / runs - share) < 2.5 / math.sqrt(runs), middle


def test_stop_strings_are_in_no_middle() -> None:
    model, cover = toy("all", 9)
    wanted = expected(cover, b"a", b"a", 3, end=False)
    kept = {middle: p for middle, p in wanted.items() if b"ba" not in middle and middle != b"bb"}
    kept = {middle: p for middle, p in kept.items() if b"bb" not in middle}
    found = model.infill_candidates(b"a", b"a", max_bytes=3, stop=["ba", b"bb"])
    shares = dict(zip(found.middles, found.shares, strict=True))
    assert set(shares) == set(kept)
    assert all(shares[m] == pytest.approx(p / sum(kept.values())) for m, p in kept.items())


@pytest.mark.parametrize(
    "constraint",
    [
        bw.RegexConstraint("a*(ba)?"),
        bw.ChoiceConstraint(["", "ab", "bba", "abab"]),
        bw.CallableConstraint(lambda text: text.count(b"b") % 2 == 0),
        bw.CallableConstraint(
            lambda text: text[-1:] == b"b", begins=lambda text: not text.startswith(b"ba")
        ),
    ],
)
def test_middles_satisfy_constraints(constraint: bw.Constraint) -> None:
    model, cover = toy("valid", 13)
    wanted = expected(cover, b"a", b"ab", 3, end=False)
    kept = {middle: p for middle, p in wanted.items() if meets(constraint, middle)}
    found = model.infill_candidates(b"a", b"ab", max_bytes=3, constraint=constraint)
    shares = dict(zip(found.middles, found.shares, strict=True))
    assert 0 < len(kept) < len(wanted)
    assert set(shares) == set(kept)
    assert all(shares[m] == pytest.approx(p / sum(kept.values())) for m, p in kept.items())
    assert found.certified == pytest.approx(1.0)
    runs = 200
    few = [
        model.infill_candidates(
            b"a", b"ab", max_bytes=3, constraint=constraint, budget=1, trajectories=4, seed=seed
        )
        for seed in range(runs)
    ]
    totals = np.array([math.exp(one.logprob) for one in few])
    error = totals.std() / math.sqrt(runs)
    assert abs(totals.mean() - sum(kept.values())) < 5 * error + 1e-12
    assert set(one.draw(seed=1) for one in few) <= set(kept)


def meets(constraint: bw.Constraint, text: bytes) -> bool:
    place, room = constraint.start(b""), 3
    for at, byte in enumerate(text):
        if not (place.mask(room - at)[byte] and place.allows(byte)):
            return False
        place = place.after(byte)
    return bool(place.mask(0)[256]) and place.allows(256)


@pytest.mark.parametrize("suffix", ["", "a", "中", "b中"])
def test_strict_middles_join_to_utf8(suffix: str) -> None:
    text = "é中"
    letters = bytes(sorted(set((text + "ab").encode())))
    tok = bw.Tokenizer.from_merges([], alphabet=letters)
    row = hashed(len(letters) + 1, 3, 1.0)
    model = bw.ByteModel(row_model(tok, row, len(letters)))
    for cut, begun in itertools.product(range(1, 4), [b"", b"a", "é".encode()[:1]]):
        data = suffix.encode()[-cut:] if suffix else b""
        found = model.infill_candidates(begun, data, max_bytes=3, utf8="strict", budget=2000)
        kept = {
            middle
            for middle in all_middles(3, letters)
            if not is_broken(begun + middle + data) and (data or not unfinished(begun + middle))
        }
        assert set(found.middles) == kept


def is_broken(text: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return True
    return False


def test_ensembles_fill_in_as_one_model() -> None:
    one, two = toy("all", 10)[0], toy("all", 11)[0]
    both = bw.Ensemble([one, two], rule="geometric")
    found = both.infill_candidates("a", "ba", max_bytes=3)
    whole = both.logprob("a")
    weights = {m: both.logprob(b"a" + m + b"ba") - whole for m in all_middles(3)}
    total = np.logaddexp.reduce(list(weights.values()))
    assert found.logprob == pytest.approx(total, abs=1e-9)
    for middle, share in zip(found.middles, found.shares, strict=True):
        assert share == pytest.approx(math.exp(weights[middle] - total), abs=1e-9)
    assert both.infill("a", "ba", max_bytes=3, temperature=0) == max(
        weights, key=weights.__getitem__
    )


class Alone(InfillingPredictor):
    """A model of bytes that is asked for one place at a time."""

    def __init__(self, model: bw.BytePredictor) -> None:
        self.model = model

    def start(self, prefix: str | bytes = b"") -> bw.BytePlace:
        return self.model.start(prefix)


def test_places_are_asked_for_together() -> None:
    calls = [0]
    row = hashed(TOY.vocab_size + 1, 14, 1.5)

    def rows(contexts: Any) -> Any:
        calls[0] += 1
        return np.stack([row(tuple(map(int, ids))) for ids in contexts])

    def made() -> bw.ByteModel:
        return bw.ByteModel(bw.CallableModel(TOY, rows, eos_id=TOY.vocab_size))

    options: dict[str, Any] = {
        "max_bytes": 9, "end": True, "budget": 150, "trajectories": 20, "seed": 3
    }  # fmt: skip
    for one, other in [
        (made(), made()),
        (bw.Ensemble([made(), made()]), bw.Ensemble([made(), made()])),
    ]:
        calls[0] = 0
        found = one.infill_candidates("a", "ab", **options)
        together, calls[0] = calls[0], 0
        again = Alone(other).infill_candidates("a", "ab", **options)
        assert found.middles == again.middles
        assert found.shares == pytest.approx(again.shares, rel=1e-12)
        assert together < 0.5 * calls[0]


class Spell(InfillingPredictor):
    """Behind a "k" everything is "a", before it anything may be; counts the bytes that are read."""

    def __init__(self) -> None:
        self.data, self.logprob, self.read = b"", 0.0, [0]

    def start(self, prefix: str | bytes = b"") -> Spell:
        return self

    def fork(self) -> Spell:
        other = Spell()
        other.data, other.logprob, other.read = self.data, self.logprob, self.read
        return other

    def advance(self, data: bytes) -> Self:
        for byte in data:
            self.logprob += float(self.next().logprobs[byte])
            self.data += bytes([byte])
        self.read[0] += len(data)
        return self

    def next(self) -> bw.ByteDistribution:
        row = np.zeros(257)
        row[list(b"abk")] = [0.99, 0.005, 0.005] if b"k" in self.data else [0.3, 0.4, 0.3]
        with np.errstate(divide="ignore"):
            return bw.ByteDistribution(np.log(row), 0.0, 0.0)


def test_a_suffix_is_read_no_further_than_it_matters() -> None:
    model, suffix, middles = Spell(), b"a" * 200, all_middles(4, b"abk")
    found = model.infill_candidates(b"", suffix, max_bytes=4, budget=500, trajectories=0)
    read = model.read[0]
    logprobs = {middle: Spell().advance(middle + suffix).logprob for middle in middles}
    assert found.logprob == pytest.approx(np.logaddexp.reduce(list(logprobs.values())), abs=1e-9)
    assert found.certified == pytest.approx(1.0, abs=1e-9)
    spells = [middle for middle in middles if b"k" in middle]
    assert set(found.middles) == set(spells)
    # Those that matter are read whole. 0.3 to the power of 24 is below a share of 1e-12: the others
    # are given up after 32 of their 200 bytes at the latest.
    assert read <= len(middles) * 5 + len(spells) * 200 + (len(middles) - len(spells)) * 32


@pytest.mark.parametrize("text", ["", "a", "aaaa", "abab", "ababa", "abcabcab", "abcd", "aabaa"])
def test_the_period_is_the_least_distance_of_overlap(text: str) -> None:
    least = [at for at in range(1, len(text)) if text.startswith(text[at:])]
    assert period(text.encode()) == min([*least, max(1, len(text))])


def test_what_cannot_be_filled_in_is_said() -> None:
    model, _ = toy("all", 1)
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"max_bytes": -1}, bw.ArgumentError, "max_bytes=-1"),
        ({"max_bytes": 1.5}, bw.ArgumentTypeError, "max_bytes must be an int"),
        ({"budget": 0}, bw.ArgumentError, "budget=0"),
        ({"trajectories": -1}, bw.ArgumentError, "trajectories=-1"),
        ({"seed": -1}, bw.ArgumentError, "seed=-1"),
        ({"stop": ""}, bw.ArgumentError, "empty stop"),
        ({"utf8": "loose"}, bw.ArgumentError, "utf8='loose'"),
        ({"temperature": -1.0}, bw.ArgumentError, "temperature=-1"),
        ({"top_p": 0.0}, bw.ArgumentError, "top_p=0.0"),
    ]
    for options, error, message in wrong:
        with pytest.raises(error, match=message):
            model.infill("a", "b", **{"max_bytes": 2, **options})
    with pytest.raises(bw.DataError, match="prefix: these 1 bytes have the probability 0"):
        model.infill("c", "b", max_bytes=2)
    with pytest.raises(bw.DataError, match="no middle of at most 2 bytes is possible among the 7"):
        model.infill("a", "c", max_bytes=2)


def test_a_model_behind_a_prompt_is_the_model_of_what_follows() -> None:
    row = hashed(TOY.vocab_size + 1, 12, 1.5)
    model = row_model(TOY, row, TOY.vocab_size)
    base = bw.ByteModel(model, semantics="all")
    prompt = [2, 0, 0]
    prompted = bw.PromptedModel(model, prompt)
    behind = Cover(TOY, lambda ids: row((*prompt, *ids)), "all", tails=3)
    for made in (bw.ByteModel(prompted, semantics="all"), base.behind(prompt)):
        assert made.semantics == "all"
        for text in all_middles(3):
            assert math.exp(made.logprob(text)) == pytest.approx(behind.prob(text), rel=1e-9)
            whole = math.exp(made.logprob(text, end=True))
            assert whole == pytest.approx(behind.end(text), rel=1e-9)
    other = base.behind(prompt, eos_id=0)
    assert other.model.eos_id == 0
    probs = np.exp(row(tuple(prompt)))
    # The old end of text is no outcome any more.
    assert other.start().next().probs[256] == pytest.approx(probs[0] / probs[:-1].sum())
    assert prompted.ids.tolist() == prompt
    assert (prompted.tokenizer, prompted.model) == (TOY, model)
    with pytest.raises(bw.UnknownTokenError, match="token id 99"):
        bw.PromptedModel(model, [99])
    with pytest.raises(bw.ArgumentError, match="eos_id=-1"):
        bw.PromptedModel(model, [], eos_id=-1)
    anything: Any = 3
    with pytest.raises(bw.ArgumentTypeError, match="model: needs tokenizer"):
        bw.PromptedModel(anything, [])


def test_long_texts_are_read_a_stretch_at_a_time() -> None:
    most = [0]
    ngrams = bw.NgramModel.fit(TOY, ["ab" * 40 + "ba" * 30])

    def rows(contexts: Any) -> Any:
        most[0] = max(most[0], len(contexts))
        return ngrams.logprobs(contexts, dtype=np.float64)

    made = bw.ByteModel(bw.CallableModel(TOY, rows, eos_id=ngrams.eos_id))
    text = b"abba" * 2500
    assert made.logprob(text) == pytest.approx(float(made.score(text).sum()), rel=1e-12)
    # Each context is as long as the text before it, so all of them at once are its square.
    assert most[0] <= 4096 < len(TOY.encode(text))
    assert made.logprob(text + b"c" + text) == -math.inf
    assert made.logprob(b"c" + text) == -math.inf
    found = made.infill_candidates(text, "bab", max_bytes=2)
    assert found.certified == pytest.approx(1.0)
