"""What every model of token ids is asked for, and a function as a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bytewright as bw

TOK = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab")


def uniform(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
    return np.full((len(contexts), 4), -np.log(4))


def test_a_model_is_what_has_the_three_names() -> None:
    class Own:
        tokenizer = TOK
        eos_id = None

        def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
            return uniform(contexts)

    own: bw.TokenModel = Own()  # what mypy checks
    function: bw.TokenModel = bw.CallableModel(TOK, uniform, eos_id=3)
    fitted: bw.TokenModel = bw.NgramModel.fit(TOK, ["ab"])
    assert all(isinstance(model, bw.TokenModel) for model in (own, function, fitted))
    assert not isinstance(TOK, bw.TokenModel)


def test_a_function_gets_int32_arrays_and_its_rows_are_handed_on() -> None:
    seen: list[NDArray[np.int32]] = []
    rows: NDArray[np.float32] = np.log(np.full((2, 3), 1 / 3, np.float32))

    def fn(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        seen.extend(contexts)
        return rows

    model = bw.CallableModel(TOK, fn)
    contexts: Any = [[0, 1], np.array([2], np.int64)]
    assert model.logprobs(contexts) is rows
    assert [context.dtype for context in seen] == [np.int32, np.int32]
    assert [context.tolist() for context in seen] == [[0, 1], [2]]
    assert (model.tokenizer, model.eos_id) == (TOK, None)


@pytest.mark.parametrize("reach", [None, 0, 1, 3])
def test_a_function_is_given_no_more_ids_than_decide(reach: Any) -> None:
    seen: list[list[int]] = []

    def fn(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        seen.extend(ids.tolist() for ids in contexts)
        return uniform(contexts)

    model = bw.CallableModel(TOK, fn, eos_id=3, reach=reach)
    behind = bw.PromptedModel(model, [2, 2])
    assert (model.reach, behind.reach) == (reach, reach)
    contexts = [[], [0], [0, 1, 2, 0, 1]]
    model.logprobs([np.array(ids, np.int32) for ids in contexts])
    behind.logprobs([np.array(ids, np.int32) for ids in contexts])
    contexts += [[2, 2, *ids] for ids in contexts]
    assert seen == [ids if reach is None else ids[max(0, len(ids) - reach) :] for ids in contexts]


@pytest.mark.parametrize("prompt", [[], [2, 0]])
@pytest.mark.parametrize("reach", [0, 1, 2])
def test_a_long_text_has_all_its_sequences_where_a_function_says_its_reach(
    reach: int, prompt: list[int]
) -> None:
    def fn(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        last = [[*ids[max(0, len(ids) - reach) :].tolist(), 9] for ids in contexts]
        return np.stack([np.random.default_rng(ids).normal(size=4) for ids in last])

    far = bw.PromptedModel(bw.CallableModel(TOK, fn, eos_id=3), prompt)
    near = bw.PromptedModel(bw.CallableModel(TOK, fn, eos_id=3, reach=reach), prompt)
    one, other = (bw.ByteModel(tokens, semantics="all") for tokens in (near, far))
    assert one.score(b"abaabab") == pytest.approx(other.score(b"abaabab"), abs=1e-12)
    assert one.contexts < other.contexts
    # Of these there are too many to be followed one by one.
    assert np.isfinite(one.logprob(b"ab" * 200))


@pytest.mark.parametrize("reach", [-1, 1.5, "1"])
def test_a_reach_is_a_whole_number(reach: Any) -> None:
    with pytest.raises(bw.BytewrightError, match="reach"):
        bw.CallableModel(TOK, uniform, eos_id=3, reach=reach)


def test_no_contexts_ask_nothing() -> None:
    def fn(contexts: object) -> None:
        raise AssertionError("not to be called")

    assert bw.CallableModel(TOK, fn, eos_id=3).logprobs([]).shape == (0, 4)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros((2, 4)), r"shape \(2, 4\) for 1 contexts: \(1, width\).* at least 4"),
        (np.zeros((1, 3)), r"shape \(1, 3\)"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((1, 4), np.int32), "int32: float16"),
        ([[0.0, 0.0], [0.0]], "different widths"),
        (None, "NoneType: float16"),
    ],
)
def test_a_wrong_result_is_told(result: Any, message: str) -> None:
    model = bw.CallableModel(TOK, lambda contexts: result, eos_id=3)
    with pytest.raises(bw.ArgumentError, match=message):
        model.logprobs([np.zeros(1, np.int32)])


def test_an_error_of_the_function_is_its_own() -> None:
    def fn(contexts: object) -> None:
        raise ValueError("own words")

    with pytest.raises(ValueError, match="own words") as told:
        bw.CallableModel(TOK, fn).logprobs([np.zeros(0, np.int32)])
    assert type(told.value) is ValueError


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        ([[0], [0.5]], "context 1: ids must be integers"),
        ([["a"]], "context 0"),
        ([0, 1], "context 0"),
        ([[[0]]], r"context 0: ids of shape \(1, 1\)"),
        (["ab"], "context 0: ids must be integers, not str"),
        ([[1 << 70]], "context 0"),
    ],
)
@pytest.mark.parametrize("kind", ["callable", "ngram"])
def test_contexts_that_are_no_ids_are_refused(kind: str, contexts: Any, message: str) -> None:
    models: dict[str, bw.TokenModel] = {
        "callable": bw.CallableModel(TOK, uniform),
        "ngram": bw.NgramModel.fit(TOK, ["ab"]),
    }
    with pytest.raises(bw.ArgumentError, match=message):
        models[kind].logprobs(contexts)


def test_an_id_that_no_vocabulary_has_is_told() -> None:
    contexts: list[Any] = [[0], [1 << 40]]
    with pytest.raises(bw.UnknownTokenError, match="context 1: token id 1099511627776 is outside"):
        bw.CallableModel(TOK, uniform).logprobs(contexts)


def test_contexts_must_be_a_sequence() -> None:
    for contexts in (b"ab", None, 3):
        with pytest.raises(bw.ArgumentTypeError, match="contexts must be a sequence"):
            bw.CallableModel(TOK, uniform).logprobs(contexts)  # type: ignore[arg-type]


def test_arguments_are_checked() -> None:
    with pytest.raises(bw.ArgumentError, match="eos_id=-1"):
        bw.CallableModel(TOK, uniform, eos_id=-1)
    with pytest.raises(bw.ArgumentTypeError, match="must be callable"):
        bw.CallableModel(TOK, 3)  # type: ignore[arg-type]
    with pytest.raises(bw.ArgumentTypeError, match="a Tokenizer, not str"):
        bw.CallableModel("gpt2", uniform)  # type: ignore[arg-type]
    with pytest.raises(bw.ArgumentError, match="the prompt: ids must be integers, not str"):
        bw.PromptedModel(bw.CallableModel(TOK, uniform), "ab")  # type: ignore[arg-type]


class Recorded:
    """A model that says how it would be asked, and remembers how it was."""

    def __init__(self, model: bw.TokenModel, reach: int | None, at_once: int | None) -> None:
        self.tokenizer, self.eos_id = model.tokenizer, model.eos_id
        self.reach, self.contexts_at_once = reach, at_once
        self.model, self.asked = model, list[list[NDArray[np.int32]]]()

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> Any:
        self.asked.append(list(contexts))
        return self.model.logprobs(contexts)


TEXT = "abba ab baba " * 60


@pytest.mark.parametrize("order", [1, 3])
def test_a_model_is_asked_for_as_far_as_it_reaches(order: int) -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b")])
    fitted = bw.NgramModel.fit(tok, ["ab ba abba", "baab a"], order=order)
    assert fitted.reach == order - 1
    assert bw.PromptedModel(fitted, [1]).reach == order - 1
    near, far = Recorded(fitted, order - 1, None), Recorded(fitted, None, None)
    one, other = bw.ByteModel(near, memory=0), bw.ByteModel(far, memory=0)
    assert (one.score(TEXT) == other.score(TEXT)).all()
    assert one.start(TEXT).next().logprobs.tolist() == other.start(TEXT).next().logprobs.tolist()
    assert max(len(ids) for call in near.asked for ids in call) == order - 1
    assert max(len(ids) for call in far.asked for ids in call) > 99
    assert [len(call) for call in near.asked] == [len(call) for call in far.asked]


@pytest.mark.parametrize("most", [1, 2000, 64 << 20])
def test_long_contexts_are_asked_for_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b")])
    fitted = bw.NgramModel.fit(tok, ["ab ba abba", "baab a"], order=3)
    whole = bw.ByteModel(fitted, memory=0).score(TEXT)
    monkeypatch.setattr("bytewright.bytelm.rows._AT_ONCE", most)
    # So many may be asked for together as far as their rows go.
    far = Recorded(fitted, None, 1 << 20)
    assert (bw.ByteModel(far, memory=0).score(TEXT) == whole).all()
    sizes = [4 * sum(map(len, call)) for call in far.asked]
    assert sum(sizes) > 100 * 2000
    for call, size in zip(far.asked, sizes, strict=True):
        assert size <= most or len([ids for ids in call if len(ids)]) == 1
    # None is asked for alone that had room beside the one before.
    longest = 4 * max(len(ids) for call in far.asked for ids in call)
    full = sum(size > most - longest for size in sizes)
    assert full >= len(sizes) // 2 or most > sum(sizes)


def test_all_may_decide_where_a_model_does_not_say() -> None:
    assert bw.PromptedModel(bw.CallableModel(TOK, uniform), [1]).reach is None


@pytest.mark.parametrize("name", ["reach", "contexts_at_once"])
def test_what_a_model_tells_of_itself_is_checked(name: str) -> None:
    told: Any = Recorded(bw.CallableModel(TOK, uniform), None, None)
    for wrong, message in (
        ("x", "must be an int, not str"),
        (True, "not bool"),
        (-5, "at least 0"),
    ):
        setattr(told, name, wrong)
        with pytest.raises(bw.BytewrightError, match=f"{name}.*{message}"):
            bw.ByteModel(told)
    setattr(told, name, np.int64(2))
    assert bw.ByteModel(told).score("ab").shape == (2,)


def test_contexts_are_asked_for_together_where_a_model_wants_it() -> None:
    # Rows so wide that few go into one call.
    wide = bw.CallableModel(
        TOK, lambda contexts: np.full((len(contexts), 1 << 20), -np.log(4)), eos_id=(1 << 20) - 1
    )
    single, together = Recorded(wide, None, None), Recorded(wide, None, 40)
    scores = [bw.ByteModel(model, memory=0).score("ab" * 16) for model in (single, together)]
    assert (scores[0] == scores[1]).all()
    assert max(len(call) for call in single.asked) == 16
    assert len(together.asked) == 1
