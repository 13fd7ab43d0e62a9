"""Models of bytes as objects: copied, pickled, and refusing what they are not."""

from __future__ import annotations

import contextlib
import copy
import itertools
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest

import bytewright as bw
from bytewright.bytelm import score_tokens

TEXTS = ["low lower lowest", "low tide"] * 3
TOK = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")], special_tokens=["<eos>"])
TOKENS = bw.NgramModel.fit(TOK, TEXTS)
MODEL = bw.ByteModel(TOKENS)


def flat(contexts: Any, dtype: Any = np.float64) -> Any:
    return np.zeros((len(contexts), TOK.vocab_size), dtype)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
@pytest.mark.parametrize(
    "model",
    [
        bw.ByteModel(TOKENS, semantics="fast", epsilon=1e-3, memory="1MB"),
        MODEL.behind(TOK.encode("low")),
        bw.Ensemble([MODEL, bw.ByteModel(TOKENS, semantics="all")], rule="fixed_share", share=0.3),
        bw.Ensemble([MODEL, MODEL], rule="core"),
        bw.Ensemble([MODEL, MODEL], rule="online", weights=[3, 1], eta=0.2),
    ],
)
def test_models_are_copied_and_pickled(model: Any, again: Callable[[Any], Any]) -> None:
    other = again(model)
    assert repr(other) == repr(model)
    assert other.score("low tide").tolist() == model.score("low tide").tolist()
    assert other.sample("lo", max_bytes=9, seed=1) == model.sample("lo", max_bytes=9, seed=1)


class Own(bw.InfillingPredictor, bw.ScoringPredictor):
    """A class of one's own, which has nothing but `start`."""

    def start(self, prefix: str | bytes = b"") -> bw.BytePlace:
        return MODEL.start(prefix)


def test_whatever_has_a_start_can_do_what_models_can() -> None:
    own = Own()
    options: dict[str, Any] = {"max_bytes": 6, "seed": 2, "utf8": "strict"}
    assert own.sample("lo", **options) == MODEL.sample("lo", **options)
    assert own.infill("lo", "low", **options) == MODEL.infill("lo", "low", **options)
    assert own.logprob("low tide", end=True) == MODEL.logprob("low tide", end=True)
    assert own.bits_per_byte(TEXTS) == MODEL.bits_per_byte(TEXTS)
    # What is inherited makes no object larger.
    assert not any(hasattr(one, "__dict__") for one in (MODEL, bw.Ensemble([own])))


def test_what_uses_models_is_pickled() -> None:
    translated = bw.TranslatedModel(MODEL, TOK, epsilon=0.1, budget=20)
    other = pickle.loads(pickle.dumps(translated))
    assert other.next("low").logprobs.tolist() == translated.next("low").logprobs.tolist()
    verb = pickle.loads(pickle.dumps(bw.AllOf(bw.RegexConstraint("l.*"))))
    assert MODEL.sample("", max_bytes=3, constraint=verb).startswith(b"l")
    healing = bw.BaselineModel(TOKENS, method="healing")
    other = pickle.loads(pickle.dumps(healing))
    assert other.start("lo").next().probs.tolist() == healing.start("lo").next().probs.tolist()


@pytest.mark.parametrize("model", [MODEL, bw.Ensemble([MODEL]), bw.BaselineModel(TOKENS)])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_a_copied_state_is_a_fork(model: Any, again: Callable[[Any], Any]) -> None:
    state = model.start("lo")
    expected = state.next().logprobs.tolist()
    other = again(state)
    assert other.advance(b"w ").logprob < state.logprob
    assert state.next().logprobs.tolist() == expected
    with pytest.raises(bw.ArgumentTypeError, match="pickle"):
        pickle.dumps(state)


def test_threads_may_share_a_state() -> None:
    expected = MODEL.start("low t").next().logprobs.tolist()
    for _ in range(5):
        together = threading.Barrier(4)

        def rows(contexts: Any, together: threading.Barrier = together) -> Any:
            # All threads are in the middle of a call before the first has its rows.
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.02)
            return TOKENS.logprobs(contexts)

        model = bw.ByteModel(bw.CallableModel(TOK, rows, eos_id=TOKENS.eos_id))
        state = model.start("low t")
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _, state=state: state.next(), range(4)))
        assert [one.logprobs.tolist() for one in found] == [pytest.approx(expected)] * 4


def watched(look: Callable[[], None], semantics: Any) -> bw.ByteModel:
    """A model that has something done whenever it is asked."""

    def rows(contexts: Any) -> Any:
        look()
        return TOKENS.logprobs(contexts)

    asked = bw.CallableModel(TOK, rows, eos_id=TOKENS.eos_id)
    return bw.ByteModel(asked, semantics=semantics, memory=0)


LOOKS: dict[str, Callable[[Any], Any]] = {
    "next": lambda state: state.next(),
    "logprob": lambda state: state.logprob,
    "advance": lambda state: state.advance(b"w"),
    "paths": lambda state: state.paths(),
    "weights": lambda state: state.weights,
}
ALLOWED: list[Callable[[Any], Any]] = [
    lambda state: state.fork().next().logprobs.tolist(),
    lambda state: copy.copy(state).advance(b"w").logprob,
    lambda state: (len(state), repr(state)),
]


def looked_at(ensemble: bool, ask: str, look: Callable[[Any], Any]) -> tuple[list[Any], list[str]]:
    """What a model sees of a state that asks it, and why not; a thread, as it might hang."""
    seen: list[Any] = []
    refused: list[str] = []
    states: list[Any] = []

    def from_inside() -> None:
        if states:
            state = states.pop()
            try:
                seen.append(look(state))
            except bw.BytewrightError as error:
                refused.append(str(error))

    model = watched(from_inside, "valid")
    place: Any = (bw.Ensemble([model, MODEL]) if ensemble else model).start("lo")
    expected = LOOKS[ask](place.fork())

    def outside() -> None:
        states.append(place)
        found = LOOKS[ask](place)
        if ask == "next":
            assert found.logprobs.tolist() == expected.logprobs.tolist()
        seen.append("done")

    thread = threading.Thread(target=outside, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert seen.pop() == "done"
    return seen, refused


@pytest.mark.parametrize(
    ("ensemble", "ask", "look"),
    [
        *((False, ask, look) for ask in ["next", "logprob", "paths"] for look in list(LOOKS)[:4]),
        *(
            (True, ask, look)
            for ask in ["next", "weights", "advance"]
            for look in ["next", "advance", "weights"]
        ),
    ],
)
def test_a_state_that_its_own_model_asks_refuses(ensemble: bool, ask: str, look: str) -> None:
    seen, refused = looked_at(ensemble, ask, LOOKS[look])
    assert not seen
    assert len(refused) == 1
    assert "State: this thread is asking it already" in refused[0]
    assert "fork" in refused[0]


@pytest.mark.parametrize("look", ALLOWED)
@pytest.mark.parametrize("ensemble", [False, True])
def test_a_model_may_look_at_forks_of_the_state_that_asks_it(
    ensemble: bool, look: Callable[[Any], Any]
) -> None:
    expected = look((bw.Ensemble([MODEL, MODEL]) if ensemble else MODEL).start("lo"))
    seen, refused = looked_at(ensemble, "next", look)
    assert (seen, refused) == ([expected], [])


@pytest.mark.parametrize("semantics", ["all", "valid"])
def test_who_looks_while_a_state_reads_sees_where_it_was(
    semantics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bytewright.bytelm.state._STRETCH", 4)
    expected = watched(lambda: None, semantics).start("low ").next().logprobs
    seen: list[bw.ByteState] = []
    states: list[bw.ByteState] = []

    def look() -> None:
        seen.extend(state.fork() for state in states)

    state = watched(look, semantics).start("low ")
    states.append(state)
    state.advance(b"tide lower lo")
    states.clear()
    assert len(seen) > 2
    assert {len(one) for one in seen} == {4}
    for one in seen:
        assert one.next().logprobs == pytest.approx(expected)
    assert len(state) == 4 + 13


STATES: dict[str, Callable[[bw.ByteModel], bw.BytePredictor]] = {
    "alone": lambda model: model,
    "first": lambda model: bw.Ensemble([model, MODEL], rule="bayes"),
    "last": lambda model: bw.Ensemble([MODEL, model], rule="fixed_share"),
    "nested": lambda model: bw.Ensemble([bw.Ensemble([MODEL, model]), model], rule="online"),
}


@pytest.mark.parametrize("made", STATES.values(), ids=STATES)
@pytest.mark.parametrize("semantics", ["all", "valid"])
def test_what_a_model_broke_off_is_tried_again(
    semantics: Any, made: Callable[[bw.ByteModel], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bytewright.bytelm.state._STRETCH", 4)
    left = [0]

    def look() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise ConnectionError("no answer")

    model = made(watched(look, semantics))
    expected = [model.start(text) for text in ("low ", "low tide lower")]
    before, after = [(one.next().logprobs, one.logprob) for one in expected]
    broken = 0
    for calls in range(1, 100):
        left[0], state = 0, model.start("low ")
        left[0] = calls
        try:
            state.advance(b"tide lower")
        except ConnectionError:
            broken += 1
            assert len(state) == 4
            assert state.next().logprobs == pytest.approx(before[0])
            assert state.logprob == pytest.approx(before[1])
            state.advance(b"tide lower")
        was_asked_for_less, left[0] = left[0] > 0, 0
        assert state.next().logprobs == pytest.approx(after[0])
        assert state.logprob == pytest.approx(after[1])
        if was_asked_for_less:
            break
    assert 1 < broken < 98


def test_a_state_is_prepared_while_another_thread_waits_to_read() -> None:
    asked: list[list[int]] = []

    def rows(contexts: Any) -> Any:
        asked.extend(ids.tolist() for ids in contexts)
        return TOKENS.logprobs(contexts)

    model = bw.ByteModel(bw.CallableModel(TOK, rows, eos_id=TOKENS.eos_id))
    state = model.start("low tide")
    tree = state._tree

    class Slow:
        """Between what is to be known and the contexts for it another thread comes in."""

        def pending(self, goal: str) -> Any:
            nodes = tree.pending(goal)
            state._tree = tree
            thread.start()
            thread.join(0.05)
            return nodes

        def __getattr__(self, name: str) -> Any:
            return getattr(tree, name)

    thread = threading.Thread(target=lambda: state.advance(b"lower lower lower").logprob)
    state._tree = cast("Any", Slow())
    model.prepare([state])
    thread.join()
    assert len(state) == 8 + 17
    other = bw.ByteModel(TOKENS).start("low tide")
    ids, offsets = other._tree.contexts(other._tree.pending("next"))
    expected = [ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert len(expected) > 0
    assert asked[: len(expected)] == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f4", ">f8"])
def test_rows_of_any_precision_are_taken(dtype: Any) -> None:
    model = bw.CallableModel(TOK, lambda contexts: flat(contexts, dtype))
    assert model.logprobs([np.zeros(1, np.int32)]).dtype == dtype
    found = bw.ByteModel(model).score("low")
    assert found == pytest.approx(bw.ByteModel(bw.CallableModel(TOK, flat)).score("low"), abs=1e-6)


class Odd:
    """A model of tokens with a part that is none."""

    def __init__(self, tokenizer: Any = TOK, eos_id: Any = None) -> None:
        self.tokenizer, self.eos_id = tokenizer, eos_id

    def logprobs(self, contexts: Any) -> Any:
        return flat(contexts)


def wrong(value: Any) -> Any:
    """A value that the types of a parameter do not allow."""
    return value


@pytest.mark.parametrize(
    ("match", "call"),
    [
        ("data", lambda: MODEL.start().advance(wrong("a"))),
        ("epsilon", lambda: bw.ByteModel(TOKENS, epsilon=wrong(None))),
        ("semantics", lambda: bw.ByteModel(TOKENS, semantics=wrong(None))),
        ("memory", lambda: bw.ByteModel(TOKENS, memory=wrong(1.5))),
        ("tokenizer", lambda: bw.ByteModel(Odd("abc"))),
        ("eos_id", lambda: bw.ByteModel(Odd(eos_id="0"))),
        ("eos_id", lambda: bw.CallableModel(TOK, flat, eos_id=wrong(1.0))),
        ("order", lambda: bw.NgramModel.fit(TOK, TEXTS, order=wrong(1.5))),
        ("texts", lambda: MODEL.bits_per_byte(wrong(None))),
        ("stop", lambda: MODEL.sample(max_bytes=1, stop=wrong(5))),
        ("constraint", lambda: MODEL.sample(max_bytes=1, constraint=wrong("a+"))),
        ("constraint", lambda: MODEL.infill("l", "w", max_bytes=1, constraint=wrong("a+"))),
        (
            "constraint",
            lambda: bw.sample_weighted(MODEL, constraint=wrong(None), particles=1, max_bytes=1),
        ),
        ("models", lambda: bw.Ensemble(wrong(MODEL))),
        ("weights", lambda: bw.Ensemble([MODEL, MODEL], weights=wrong("ab"))),
        ("teacher", lambda: score_tokens(wrong(None), TOK, "low")),
        ("tokenizer", lambda: bw.TranslatedModel(MODEL, wrong(None))),
    ],
)
def test_wrong_types_are_refused_by_name(match: str, call: Callable[[], Any]) -> None:
    with pytest.raises(bw.ArgumentTypeError, match=match):
        call()


@pytest.mark.parametrize("end", [-1, 2**31, 10**30])
def test_ends_that_are_no_ids_are_refused(end: int) -> None:
    with pytest.raises(bw.ArgumentError, match="eos_id"):
        bw.ByteModel(Odd(eos_id=end))
    with pytest.raises(bw.ArgumentError, match="memory=-1"):
        bw.ByteModel(TOKENS, memory=-1)
