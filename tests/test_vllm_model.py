"""Models of vLLM, by a stand-in for the shapes of its classes.

The engine needs a GPU; what is tested is what is asked of it and what is made of its answers.
"""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from corpus_tools import EOT, small_tokenizer
from numpy.typing import NDArray

import bytewright as bw
from bytewright.bytelm import compress, decompress

TOK = small_tokenizer()
END = TOK.special_tokens[EOT]
# Padded, as vocabularies of models are.
IDS = TOK.vocab_size + 9
POSITIONS = 64


def logits(ids: Sequence[int]) -> NDArray[np.float32]:
    chance = np.random.default_rng([len(ids), *ids])
    return chance.normal(0, 3, IDS).astype(np.float32)


def expected(ids: Sequence[int]) -> NDArray[np.float64]:
    row = logits(ids)[: TOK.vocab_size].astype(np.float64)
    found: NDArray[np.float64] = row - np.logaddexp.reduce(row)
    return found


@dataclass
class SamplingParams:
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = 16
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    flat_logprobs: bool = False
    detokenize: bool = True


@dataclass
class FlatLogprobs:
    start_indices: list[int] = field(default_factory=list)
    end_indices: list[int] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ranks: list[int | None] = field(default_factory=list)
    decoded_tokens: list[str | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.start_indices)


class LLM:
    """Answers as the engine does: the token drawn first, then all from the likeliest on."""

    def __init__(self, model: str, **settings: Any) -> None:
        self.settings = settings
        self.asked: list[list[int]] = []
        self.llm_engine = SimpleNamespace(
            model_config=SimpleNamespace(
                model=model,
                max_logprobs=settings.get("max_logprobs", 20),
                logprobs_mode=settings.get("logprobs_mode", "raw_logprobs"),
                max_model_len=POSITIONS,
                hf_text_config=SimpleNamespace(bos_token_id=None, eos_token_id=END),
                get_vocab_size=lambda: IDS,
                try_get_generation_config=lambda: settings.get("generation"),
            )
        )

    def generate(
        self, prompts: list[dict[str, Any]], params: SamplingParams, *, use_tqdm: bool = True
    ) -> list[Any]:
        assert (params.max_tokens, params.logprobs, params.flat_logprobs) == (1, -1, True)
        assert not use_tqdm
        assert not params.detokenize
        return [self._answer(prompt["prompt_token_ids"]) for prompt in prompts]

    def _answer(self, ids: list[int]) -> Any:
        assert 0 < len(ids) < POSITIONS
        assert all(type(token) is int for token in ids)
        self.asked.append(ids)
        row = logits(ids)
        row -= np.logaddexp.reduce(row)
        order = np.argsort(-row)[: self.settings.get("given", IDS)].tolist()
        tokens = [order[0], *order]
        flat = FlatLogprobs([0], [len(tokens)], tokens, [float(row[token]) for token in tokens])
        return SimpleNamespace(outputs=[SimpleNamespace(logprobs=flat)], prompt_token_ids=ids)


@pytest.fixture(autouse=True)
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("vllm")
    vars(module).update(LLM=LLM, SamplingParams=SamplingParams)
    monkeypatch.setitem(sys.modules, "vllm", module)


def made(model: Any, **arguments: Any) -> Any:
    """A model that takes lists, which the types do not."""
    return bw.VllmModel(model, **({"tokenizer": TOK} | arguments))


def test_rows_are_those_of_the_engine() -> None:
    llm = LLM("some", max_logprobs=-1)
    model = made(llm)
    contexts = [[], [3, 4], [3, 4, 5], [3, 4]]
    rows = model.logprobs(contexts)
    assert (rows.dtype, rows.shape) == (np.float32, (4, TOK.vocab_size))
    for row, ids in zip(rows, contexts, strict=True):
        assert np.abs(row - expected([END, *ids])).max() < 1e-5
    assert llm.asked == [[END], [END, 3, 4], [END, 3, 4, 5]]
    assert model.logprobs([]).shape == (0, TOK.vocab_size)
    assert bool(isinstance(model, bw.TokenModel))


def test_a_byte_model_of_it_is_that_of_its_rows() -> None:
    ours = bw.ByteModel(made(LLM("some", max_logprobs=IDS, logprobs_mode="raw_logits")))
    theirs = bw.CallableModel(
        TOK, lambda rows: np.array([expected([END, *ids.tolist()]) for ids in rows]), eos_id=END
    )
    text = "the antenna in there"
    assert np.abs(ours.score(text) - bw.ByteModel(theirs).score(text)).max() < 1e-4


def test_ends_and_beginning_are_those_of_the_configuration() -> None:
    llm = LLM("some", max_logprobs=-1, generation={"eos_token_id": [END, 7], "bos_token_id": 5})
    model = made(llm)
    assert (model.eos_id, model.prefix.tolist()) == (END, [5])
    row, alone = np.exp(model.logprobs([[1]])[0]), np.exp(expected([5, 1]))
    assert row[END] == pytest.approx(alone[END] + alone[7], rel=1e-4)
    assert row[7] == 0
    given = made(llm, eos_id=[], prefix=[])
    assert given.eos_id is None
    with pytest.raises(bw.ArgumentError, match="context 0 is empty, and so is the prefix"):
        given.logprobs([[]])


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    with pytest.raises(bw.LoadError, match="nothing is downloaded"):
        made(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    TOK.save(tmp_path / "tokenizer.json")
    model = bw.VllmModel(tmp_path)
    assert model.tokenizer.encode("the antenna") == TOK.encode("the antenna")
    settings = model.model.settings
    assert settings["max_logprobs"] == -1
    assert settings["enable_prefix_caching"]
    assert str(tmp_path) in repr(model)


def test_an_engine_that_gives_other_rows_is_refused() -> None:
    with pytest.raises(bw.UnsupportedError, match=r"at most 20 .* make it with max_logprobs=-1"):
        made(LLM("some"))
    with pytest.raises(bw.UnsupportedError, match="gives processed_logprobs: make it with"):
        made(LLM("some", max_logprobs=-1, logprobs_mode="processed_logprobs"))
    with pytest.raises(bw.DataError, match=f"a row without {IDS - 50} of {IDS} ids"):
        made(LLM("some", max_logprobs=-1, given=50)).logprobs([[1]])


def changed(change: Callable[[Any], Any]) -> Any:
    """An engine whose answers are changed."""
    llm = LLM("some", max_logprobs=-1)
    answer = llm._answer

    def answered(ids: list[int]) -> Any:
        found = answer(ids)
        change(found)
        return found

    vars(llm)["_answer"] = answered
    return llm


def test_an_engine_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = LLM("some", max_logprobs=-1)
    del old.llm_engine.model_config.logprobs_mode
    with pytest.raises(bw.UnsupportedError, match="does not say what log-probabilities"):
        made(old)

    def params(max_tokens: int, temperature: float, logprobs: int, detokenize: bool) -> None:
        raise AssertionError("not made")

    monkeypatch.setattr(sys.modules["vllm"], "SamplingParams", params)
    with pytest.raises(bw.UnsupportedError, match=r"no flat .* 'flat_logprobs'"):
        made(LLM("some", max_logprobs=-1))


def test_answers_of_another_kind_are_told() -> None:
    def listed(answer: Any) -> None:
        flat = answer.outputs[0].logprobs
        pairs = zip(flat.token_ids, flat.logprobs, strict=True)
        answer.outputs[0].logprobs = [{ids: SimpleNamespace(logprob=p) for ids, p in pairs}]

    def more(answer: Any) -> None:
        flat = answer.outputs[0].logprobs
        flat.token_ids.append(IDS)
        flat.logprobs.append(-5.0)
        flat.end_indices[0] += 1

    def other(answer: Any) -> None:
        answer.prompt_token_ids = [*answer.prompt_token_ids, 3]

    for change, message in (
        (listed, "log-probabilities in a list, not flat ones"),
        (more, f"a row with ids from 0 to {IDS} of {IDS}"),
        (other, "an answer to another context"),
    ):
        with pytest.raises(bw.DataError, match=message):
            made(changed(change)).logprobs([[1]])
    assert (
        np.abs(made(changed(lambda found: None)).logprobs([[1]])[0] - expected([END, 1])).max()
        < 1e-5
    )


def rounding() -> Any:
    """An engine in which what is kept of before decides how a row is rounded."""
    kept: set[tuple[int, ...]] = set()

    def rounded(answer: Any) -> None:
        flat, ids = answer.outputs[0].logprobs, tuple(answer.prompt_token_ids)
        share = 0.01 if ids in kept else 0.0
        flat.logprobs = [one + share * (at % 2) for at, one in enumerate(flat.logprobs)]
        kept.add(ids)

    llm = changed(rounded)
    vars(llm)["reset_prefix_cache"] = kept.clear
    return llm


def test_what_was_asked_before_changes_no_bits() -> None:
    model, text = made(rounding()), b"the antenna in there"
    small = compress(bw.ByteModel(made(rounding())), text)
    used = bw.ByteModel(model)
    used.score(text[:9])
    assert decompress(used, small) == text
    assert compress(bw.ByteModel(model), text) == small


def test_what_cannot_be_is_said() -> None:
    llm = LLM("some", max_logprobs=-1)
    with pytest.raises(bw.ArgumentTypeError, match="a folder or an LLM, not list"):
        made([])
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tokenizer": None}, "tokenizer= is missing"),
        ({"eos_id": 5000}, "eos_id: id 5000 is outside"),
        ({"prefix": [-1]}, "prefix: id -1"),
    ]
    for wrong, message in cases:
        with pytest.raises(bw.ArgumentError, match=message):
            made(llm, **wrong)
    model = made(llm)
    model.logprobs([[0] * (POSITIONS - 2)])
    with pytest.raises(bw.ArgumentError, match="the model has 63 positions"):
        model.logprobs([[0] * (POSITIONS - 1)])
    with pytest.raises(bw.UnknownTokenError, match="token id 999 at place 1 of context 0"):
        model.logprobs([[0, 999]])


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(bw.MissingExtraError, match=r"pip install 'bytewright\[vllm\]'"):
        made("folder")


def test_an_engine_is_not_pickled_and_said_so() -> None:
    model = made(LLM("some", max_logprobs=-1))
    with pytest.raises(bw.ArgumentTypeError, match="VllmModel is not pickled"):
        pickle.dumps(model)
    assert copy.copy(model) is copy.deepcopy(model) is model
