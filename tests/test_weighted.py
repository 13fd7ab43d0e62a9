"""Texts with weights, against every path that chance can take."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toy_bytes import Paths, Toy, texts

import bytewright as bw
from bytewright.bytelm import weighted

weighted_sample = weighted.WeightedSample


def expectations(monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[dict[Any, float], int]:
    """The expectation of each text's share of the mean weight, over all paths, and their number."""
    paths = Paths()
    monkeypatch.setattr(weighted, "draw", paths.draw)
    monkeypatch.setattr(weighted, "systematic", paths.systematic)
    found: defaultdict[Any, float] = defaultdict(float)
    number, total = 0, 0.0
    for _ in paths:
        drawn = bw.sample_weighted(**options)
        total += paths.p
        number += 1
        mean = 0.0
        for one in drawn.texts:
            weight = math.exp(one.log_weight) / len(drawn.texts)
            mean += weight
            if weight:
                found[one.text, one.complete] += paths.p * weight
        assert mean == pytest.approx(math.exp(drawn.logprob))
        assert sum(drawn.shares().values()) == pytest.approx(1.0 if mean else 0.0)
    assert total == pytest.approx(1.0)
    return dict(found), number


def posterior(
    found: dict[tuple[bytes, bool], float], holds: Callable[[bytes], bool]
) -> dict[tuple[bytes, bool], Any]:
    return {one: pytest.approx(p, rel=1e-9) for one, p in found.items() if holds(one[0])}


def even(text: bytes) -> bool:
    return text.count(b"b") % 2 == 0


def no_double(text: bytes) -> bool:
    return b"aa" not in text


BLACK_BOXES: dict[str, tuple[bw.Constraint, Callable[[bytes], bool]]] = {
    "whole": (bw.CallableConstraint(even), even),
    "begins": (bw.CallableConstraint(no_double, begins=no_double), no_double),
    "both": (
        bw.AllOf(bw.CallableConstraint(even), bw.RegexConstraint("[ab]*a?")),
        even,
    ),
    "never": (bw.CallableConstraint(lambda text: False), lambda text: False),
}
MASKS: dict[str, tuple[bw.Constraint, Callable[[bytes], bool]]] = {
    "regex": (bw.RegexConstraint("a*(ba)*|bb"), lambda t: bool(re.fullmatch(b"a*(ba)*|bb", t))),
    "choice": (
        bw.ChoiceConstraint(["a", "ab", "", "bab"]),
        {b"a", b"ab", b"", b"bab"}.__contains__,
    ),
    "all": (
        bw.AllOf(bw.RegexConstraint("[ab]*b"), bw.ChoiceConstraint(["ab", "bb", "aba"])),
        {b"ab", b"bb"}.__contains__,
    ),
}


@pytest.mark.parametrize("name", [*MASKS, *BLACK_BOXES])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_weights_are_without_bias(
    name: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    constraint, holds = {**MASKS, **BLACK_BOXES}[name]
    model = Toy(b"ab")
    found, number = expectations(
        monkeypatch, source=model, prompt="x", constraint=constraint, particles=1, max_bytes=3,
        temperature=temperature,
    )  # fmt: skip
    expected = posterior(texts(model, b"x", 3, temperature), holds)
    assert found == expected
    assert number >= len(expected)


def test_particles_drawn_anew_are_without_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    # After "a" the model hardly expects another "b", so particles that began with "b" take over.
    choices = {b"aba", b"ba", b"bab"}
    model = Toy(b"ab")
    resamplings = []

    def noted(*found: Any) -> Any:
        resamplings.append(found[2])
        return weighted_sample(*found)

    monkeypatch.setattr(weighted, "WeightedSample", noted)
    found, _ = expectations(
        monkeypatch, source=model, constraint=bw.ChoiceConstraint(choices), particles=3, max_bytes=3
    )
    assert found == posterior(texts(model, b"", 3), choices.__contains__)
    assert {0, 1} <= set(resamplings)


class Asked:
    """What accepts some outcomes, and is asked for each at most once."""

    def __init__(self, accepted: set[int]) -> None:
        self.accepted = accepted
        self.once: set[int] = set()

    def __call__(self, outcome: int) -> bool:
        assert outcome not in self.once
        self.once.add(outcome)
        return outcome in self.accepted


def test_rejection_estimates_what_is_accepted() -> None:
    rng = np.random.default_rng(5)
    for size, kept in itertools.product(range(1, 6), range(6)):
        probs = rng.dirichlet(np.full(size, 0.4)) * 0.8
        accepted = set(range(min(size, kept)))
        paths = Paths()
        found: defaultdict[int | None, float] = defaultdict(float)
        asked = Asked(accepted)
        for _ in paths:
            asked.once.clear()
            outcome, log_weight = weighted.rejection(np.log(probs), asked, paths.draw)
            found[outcome] += paths.p * math.exp(log_weight)
        for outcome in accepted:
            assert found[outcome] == pytest.approx(probs[outcome], rel=1e-9)
        assert accepted or dict(found) == {None: 0.0}
    # What is left after a refusal may be less than a double can tell from nothing.
    far = np.array([-2000.0, 0.0, -2001.0])
    outcome, log_weight = weighted.rejection(far, lambda at: at != 1, Paths().draw)
    assert outcome == 0
    assert log_weight == pytest.approx(-2000 + math.log1p(math.exp(-1)), abs=1e-9)


def test_systematic_draws_are_as_many_as_the_shares_say() -> None:
    rng = np.random.default_rng(3)
    for size in (1, 2, 3, 7):
        shares = rng.dirichlet(np.full(size, 0.5))
        paths = Paths()
        mean = np.zeros(size)
        for _ in paths:
            counts = paths.systematic(shares, 0.0)
            assert sum(counts) == size
            assert all(abs(n - size * p) < 1 for n, p in zip(counts, shares, strict=True))
            mean += paths.p * np.array(counts)
        assert mean == pytest.approx(size * shares)


def words(pattern: str, longest: int) -> set[bytes]:
    every = (bytes(one) for n in range(longest + 1) for one in itertools.product(b"ab", repeat=n))
    return {one for one in every if re.fullmatch(pattern, one.decode())}


def no_baa(text: bytes) -> bool:
    return b"baa" not in text


def matches(
    model: Toy, max_bytes: int, goes_on: Callable[[bytes], bool], holds: Callable[[bytes], bool]
) -> dict[bytes, Any]:
    """What a text is left as, once it is cut: its longest beginning that goes on as allowed."""
    found: defaultdict[bytes, float] = defaultdict(float)
    for (text, _), p in texts(model, b"", max_bytes).items():
        left = next(text[:at] for at in range(len(text), -1, -1) if goes_on(text[:at]))
        if holds(left):
            found[left] += p
    return {text: pytest.approx(p, rel=1e-9) for text, p in found.items()}


@pytest.mark.parametrize(
    ("pattern", "max_bytes"),
    [
        ("a+", 3),
        ("ab|ba", 4),
        ("b(?:ab)*", 4),
        ("b(?:ab)*", 2),
        ("a{2}", 2),
        ("(?:ba)?", 4),
        ("(?:ba)?", 1),
        ("(?:aa)+", 3),
        ("a+(?:b+a)?", 2),
        ("a+(?:b+a)?", 3),
        ("a(?:bab)?|b", 3),
    ],
)
def test_a_match_is_left_where_it_cannot_go_on(
    pattern: str, max_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Toy(b"ab")
    # Whatever can become a match becomes one within four bytes more.
    known = words(pattern, max_bytes + 4)
    goes_on = {one[:at] for one in known for at in range(len(one) + 1)}.__contains__
    regex, asked = bw.RegexConstraint(pattern), bw.CallableConstraint(no_baa, begins=no_baa)

    def both(one: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        return lambda text: one(text) and no_baa(text)

    rules: list[tuple[bw.Constraint, Callable[[bytes], bool], Callable[[bytes], bool]]] = [
        (regex, goes_on, known.__contains__),
        (bw.CallableConstraint(known.__contains__, begins=goes_on), goes_on, known.__contains__),
        (bw.AllOf(regex, asked), both(goes_on), both(known.__contains__)),
    ]
    if known == words(pattern, max_bytes + 8):
        rules.append((bw.ChoiceConstraint(known), goes_on, known.__contains__))
    for constraint, begins, holds in rules:
        found, _ = expectations(
            monkeypatch, source=model, constraint=constraint, particles=1, max_bytes=max_bytes,
            ends="match",
        )  # fmt: skip
        sums: defaultdict[bytes, float] = defaultdict(float)
        for (text, _), p in found.items():
            sums[text] += p
        assert dict(sums) == matches(model, max_bytes, begins, holds), constraint


def test_what_has_to_end_is_not_asked_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Toy(b"ab", zero=b"ab")
    monkeypatch.setattr(Toy, "next", lambda self: 1 / 0)
    assert bw.sample_weighted(
        stuck, constraint=bw.ChoiceConstraint([b""]), particles=2, max_bytes=3, ends="match"
    ).texts == (bw.WeightedText(b"", 0.0, True),) * 2  # fmt: skip


def test_strict_utf8_is_a_constraint_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Toy(b"a\xc3\xa9")
    found, _ = expectations(
        monkeypatch, source=model, prompt=b"\xc3", constraint=bw.AllOf(), particles=1, max_bytes=3,
        utf8="strict",
    )  # fmt: skip
    expected: defaultdict[tuple[bytes, bool], float] = defaultdict(float)
    for (text, ended), p in texts(model, b"\xc3", 3).items():
        if is_utf8(b"\xc3" + text):
            expected[text, ended] += p
    assert found == {one: pytest.approx(p) for one, p in expected.items()}
    assert all(len(text) == 3 for text, ended in found if not ended)
    monkeypatch.undo()
    # Of a regular expression texts are UTF-8 in any case, and have room for their last character.
    drawn = bw.sample_weighted(
        model, constraint=bw.RegexConstraint("[é中]{2}|a"), particles=30, max_bytes=3, seed=1
    )
    assert set(drawn.shares()) == {b"a"}


def is_utf8(text: bytes) -> bool:
    return text.decode(errors="ignore").encode() == text


def test_strict_texts_are_the_same_however_a_constraint_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Toy(b"a\xc3\xa9")
    whole = ["".join(t).encode() for n in range(5) for t in itertools.product("aé", repeat=n)]
    for pattern, prompt, room, ends in itertools.product(
        ("a+é?", "é?", "(aa)*|é", "éa*"), (b"", b"\xc3"), range(4), ("text", "match")
    ):
        lead = b"\xa9" if prompt else b""
        known = {lead + text for text in whole if re.fullmatch(pattern, text.decode())}
        begun = {text[:size] for text in known for size in range(len(text) + 1)}
        alike: list[bw.Constraint] = [
            bw.CallableConstraint(known.__contains__, begins=begun.__contains__),
            bw.ChoiceConstraint(known),
            bw.RegexConstraint(pattern),
        ]
        laws: list[dict[bytes, Any]] = []
        for one in alike:
            options: dict[str, Any] = {"constraint": one, "max_bytes": room, "ends": ends}
            options["utf8"] = "strict"
            found, _ = expectations(
                monkeypatch, source=model, prompt=prompt, particles=1, **options
            )
            monkeypatch.undo()
            law: defaultdict[bytes, float] = defaultdict(float)
            for (text, _), p in found.items():
                law[text] += p
            laws.append({text: pytest.approx(p) for text, p in law.items()})
            assert law.keys() <= known
            for seed in range(12):
                with contextlib.suppress(bw.DataError):
                    assert model.sample(prompt, seed=seed, **options) in law
        assert laws[0] == laws[1] == laws[2]
        if ends == "text":
            written: defaultdict[bytes, float] = defaultdict(float)
            for (text, _), p in texts(model, prompt, room).items():
                written[text] += p * (text in known)
            assert laws[0] == {text: p for text, p in written.items() if p}


def test_a_regular_expression_begins_behind_an_unfinished_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Toy(b"a\xc3\xa9")
    for ends in ("text", "match"):
        found, _ = expectations(
            monkeypatch, source=model, prompt=b"\xc3", constraint=bw.RegexConstraint("a{2}"),
            particles=1, max_bytes=4, ends=ends,
        )  # fmt: skip
        kept = 3 if ends == "match" else 4
        written = [p for (text, _), p in texts(model, b"\xc3", kept).items() if text == b"\xa9aa"]
        assert {text for text, _ in found} == {b"\xa9aa"}
        assert sum(found.values()) == pytest.approx(sum(written), rel=1e-9)


def test_real_tokens_and_a_seed() -> None:
    tok = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
    model = bw.ByteModel(bw.NgramModel.fit(tok, ["low lo", "high", "lower"] * 9))
    constraint = bw.RegexConstraint("low|lo|(?:hi|ho)[a-z]*")
    options: dict[str, Any] = {"constraint": constraint, "particles": 400, "max_bytes": 5}
    drawn = bw.sample_weighted(model, seed=2, **options)
    assert drawn == bw.sample_weighted(model, seed=2, **options)
    assert (len(drawn), tuple(drawn)) == (400, drawn.texts)
    assert drawn != bw.sample_weighted(model, seed=3, **options)
    again = bw.sample_weighted(bw.Ensemble([model]), seed=2, **options)
    assert [one.text for one in drawn.texts] == [one.text for one in again.texts]
    exact = {text: math.exp(model.logprob(text, end=True)) for text in (b"low", b"lo", b"high")}
    total = math.exp(drawn.logprob)
    for text, p in exact.items():
        assert drawn.shares().get(text, 0.0) * total == pytest.approx(p, abs=0.05)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-300, 1e-308, 5e-324])
def test_the_lowest_temperatures_are_the_likeliest_text(temperature: float) -> None:
    model = Toy(b"ab")
    likeliest = model.sample(max_bytes=6, temperature=0)
    for constraint in (bw.AllOf(), bw.CallableConstraint(lambda text: True)):
        drawn = bw.sample_weighted(
            model, constraint=constraint, particles=3, max_bytes=6, temperature=temperature, seed=1
        )
        assert drawn.shares() == {likeliest: 1.0}
        assert drawn.logprob == 0.0


def test_no_room_leaves_no_choice() -> None:
    model = Toy(b"ab")
    known: list[tuple[bw.Constraint, float]] = [
        (bw.AllOf(), 0.0), (bw.CallableConstraint(bool), -math.inf)
    ]  # fmt: skip
    for constraint, log_weight in known:
        drawn = bw.sample_weighted(model, constraint=constraint, particles=2, max_bytes=0)
        assert drawn.texts == (bw.WeightedText(b"", log_weight, False),) * 2
    matches = {"a{2}": True, "a+": False, "(?:aa)+": False}
    for pattern, complete in matches.items():
        drawn = bw.sample_weighted(
            model, constraint=bw.RegexConstraint(pattern), particles=20, max_bytes=2, seed=1,
            ends="match",
        )  # fmt: skip
        cut = {one.complete for one in drawn.texts if len(one.text) == 2}
        assert cut == {complete}, pattern


def test_particles_are_asked_for_together() -> None:
    tok = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
    ngrams = bw.NgramModel.fit(tok, ["low lo", "high", "lower"] * 9)
    calls = []

    def asked(contexts: Any) -> Any:
        calls.append(len(contexts))
        return ngrams.logprobs(contexts)

    model = bw.ByteModel(bw.CallableModel(tok, asked, eos_id=ngrams.eos_id))
    options: dict[str, Any] = {"particles": 50, "max_bytes": 8, "seed": 1}
    drawn = bw.sample_weighted(model, constraint=bw.RegexConstraint("[a-z ]+"), **options)
    assert sum(calls) > 2 * len(calls)
    assert len(calls) <= 1 + 8
    assert len(drawn.shares()) > 5


def test_what_cannot_be_is_said() -> None:
    model = Toy(b"ab")
    regex = bw.RegexConstraint("ab*")
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"particles": 0}, bw.ArgumentError, "particles=0"),
        ({"particles": 1.5}, bw.ArgumentTypeError, "particles must be an int"),
        ({"temperature": 0}, bw.ArgumentError, "above 0"),
        ({"ends": "so"}, bw.ArgumentError, "ends='so'"),
        ({"max_bytes": -1}, bw.ArgumentError, "max_bytes=-1"),
    ]
    for options, error, message in wrong:
        given = {"constraint": regex, "particles": 2, "max_bytes": 3, **options}
        with pytest.raises(error, match=message):
            bw.sample_weighted(model, **given)
    dead = bw.sample_weighted(
        Toy(b"ab", zero=b"a"), constraint=regex, particles=3, max_bytes=3, seed=1
    )
    assert (dead.logprob, dead.shares()) == (-math.inf, {})
    assert not any(one.complete for one in dead.texts)
