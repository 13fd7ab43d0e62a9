"""Tokens of one vocabulary under a model of another whose texts go on with a prompt."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from test_bytelm_sides import OPENINGS
from test_prompts import CUT, MARK, Inside, toy
from test_translated import Ids, Law, Texts, law, row

import bytewright as bw
from bytewright import FimFormat
from bytewright.bytelm import FimPrompt

LETTERS = bw.Tokenizer.from_merges([], special_tokens=["<pre>", "<suf>", "<mid>", "<end>"])
FIM = FimFormat.psm("<pre>", "<suf>", "<mid>", end="<end>")


class GoingOn(Texts):
    """A law of texts that go on with another, which ends with these bytes of a character."""

    goes_on = True

    def __init__(self, law: Law, data: bytes = b"", begun: bytes = b"") -> None:
        super().__init__(law, data)
        self.begun = begun


def behind(texts: Law, prompt: list[int]) -> bw.ByteModel:
    """The same law, as a model of letters has it behind a prompt."""
    known = {(*prompt, *text): p for text, p in texts.items()}

    def rows(contexts: Any) -> Any:
        found = np.stack([row(known, tuple(map(int, ids)), 259) for ids in contexts])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num(np.log(found / found.sum(axis=1, keepdims=True)), nan=0.0)

    return bw.ByteModel(bw.CallableModel(LETTERS, rows, eos_id=259)).behind(prompt)


def assert_next(
    model: bw.TranslatedModel, known: dict[Ids, float], texts: Law, lead: bytes = b""
) -> None:
    contexts = {ids[:at] for ids in known for at in range(len(ids) + 1)}
    for context in sorted(contexts):
        expected = row(known, context, model.tokenizer.vocab_size)
        found = model.next(context)
        assert found.undecided == 0.0
        assert found.outside == pytest.approx(0.0, abs=1e-12)
        assert np.exp(found.logprobs) == pytest.approx(expected / expected.sum(), abs=1e-9)
        data = b"".join(map(model.tokenizer.token_bytes, context)).removeprefix(lead)
        begun = math.fsum(p for text, p in texts.items() if text.startswith(data))
        assert found.kept == pytest.approx(expected.sum() / begun, rel=1e-9)
    assert len(contexts) > 50


@pytest.mark.parametrize("name", OPENINGS)
def test_tokens_behind_a_prompt_are_given_no_space(tmp_path: Path, name: str) -> None:
    tok = toy(tmp_path, name)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    alone = len(theirs.encode(MARK, add_special_tokens=False).ids)

    def bare(text: bytes) -> Ids:
        return tuple(theirs.encode(MARK + text.decode(), add_special_tokens=False).ids[alone:])

    texts = law(b"ab ", 5, 3)
    known = {bare(text): p for text, p in texts.items()}
    assert known.keys() != {tuple(tok.encode(text)) for text in texts}
    prompt = list(b"b a")
    prompted = behind(texts, prompt)
    teachers: dict[str, Any] = {
        "prompt": prompted,
        "ids of its own": bw.ByteModel(bw.PromptedModel(prompted.model, [])),
        "ensemble": bw.Ensemble([prompted, behind(texts, prompt)]),
        "said": GoingOn(texts),
    }
    for teacher in teachers.values():
        model = bw.TranslatedModel(teacher, tok, epsilon=0.0, budget=None)
        assert (model.goes_on, model.begun) == (True, b"")
        assert_next(model, known, texts)
    # A text as the context, its scores, and bytes again.
    again = bw.ByteModel(bw.TranslatedModel(prompted, tok, epsilon=0.0, budget=None))
    for text in [*texts][:8]:
        ids = bare(text)
        found = model.next(text)
        assert found.logprobs.tolist() == model.next(ids).logprobs.tolist()
        scores = bw.score_tokens(prompted, tok, text)
        assert tuple(scores.ids) == ids
        assert scores.logprobs.sum() == pytest.approx(prompted.logprob(text), abs=1e-9)
        ends = [0, *itertools.accumulate(len(tok.token_bytes(at)) for at in ids)]
        assert scores.offsets.tolist() == ends
        expected = math.log(texts[text])
        assert again.logprob(text, end=True) == pytest.approx(expected, abs=1e-8)


def test_tokens_of_a_text_that_begins_have_their_space(tmp_path: Path) -> None:
    tok = toy(tmp_path, "first")
    # Such a space is not put before another.
    texts = {b"b" + text: p for text, p in law(b"ab ", 4, 3).items()}
    prompted = behind(texts, list(b"b a"))
    begins = bw.ByteModel(bw.PromptedModel(prompted.model, [], begins=True))
    mixed = bw.Ensemble([prompted, Texts(texts)])
    for teacher in (begins, mixed, Texts(texts)):
        model = bw.TranslatedModel(teacher, tok, epsilon=0.0)
        assert (model.goes_on, model.begun) == (False, b"")
    model = bw.TranslatedModel(begins, tok, epsilon=0.0, budget=None)
    known = {tuple(tok.encode(text)): p for text, p in texts.items()}
    assert_next(model, known, texts, b" ")


@pytest.mark.parametrize(
    ("begun", "rest"), [(b"\xc3", b"\xa9"), (b"\xe4", b"\xb8\xad"), (b"\xe4\xb8", b"\xad")]
)
def test_tokens_go_on_inside_a_character(begun: bytes, rest: bytes) -> None:
    # What is left of a character, and texts behind it; one is only that.
    texts = {rest + text.replace(b"b", "é".encode()): p for text, p in law(b"ab ", 4, 1).items()}
    texts = {text: 0.9 * p for text, p in texts.items()} | {rest: 0.1}
    oracle = Inside(lambda ids: np.zeros(CUT.vocab_size + 1), "valid", begun)
    known = {oracle.encode(text): p for text, p in texts.items()}
    alone = {tuple(CUT.encode(text)) for text in texts}
    assert (known.keys() == alone) == (rest != b"\xad"), "what such a text is cut into by itself"
    teachers: list[Any] = [GoingOn(texts, begun=begun), behind(texts, list(b"a" + begun))]
    teachers.append(bw.Ensemble(teachers))
    for teacher in teachers:
        model = bw.TranslatedModel(teacher, CUT, epsilon=0.0, budget=None)
        assert (model.goes_on, model.begun) == (True, begun)
        assert_next(model, known, texts)
        # Where nothing ends the character the text is none.
        nothing = bw.TranslatedModel(GoingOn({b"": 1.0}, begun=begun), CUT).next([])
        assert (nothing.outside, nothing.kept) == (1.0, 0.0)
        assert model.next("").logprobs.tolist() == model.next([]).logprobs.tolist()
        with pytest.raises(bw.ArgumentError, match=r"context: .*inside a character"):
            model.next(rest)
        with pytest.raises(bw.ArgumentError, match=r"text: .*inside a character"):
            bw.score_tokens(teacher, CUT, rest)


def test_a_middle_goes_on_with_the_text_before() -> None:
    model = behind({b"a": 1.0}, [])
    for prefix, begun in {b"a": b"", b"": b"", b"a\xc3": b"\xc3"}.items():
        opened = FIM.open(model, prefix, "b")
        assert (opened.goes_on, opened.begun) == (True, begun)
    spm = FimFormat.spm("<pre>", "<suf>", "<mid>", end="<end>")
    assert spm.open(model, b"b\xe4\xb8", "b").begun == b"\xe4\xb8"
    # What is before is given, and not a part of what is scored.
    texts = {b"aab": 0.1, b"ab": 0.2, b"b": 0.7}
    opened = FimPrompt(behind(texts, []), b"a", None)
    assert bw.score_tokens(opened, LETTERS, "b").logprobs == pytest.approx([math.log(2 / 3)])


def test_an_ensemble_goes_on_inside_a_character() -> None:
    texts = {b"\xad": 0.2, b"\xada": 0.2, b"a": 0.3, b"\xc3": 0.3}
    models = [behind(texts, list(b"a\xe4\xb8")), behind(texts, list(b"\xe4\xb8"))]
    both = bw.Ensemble(models)
    assert (both.goes_on, both.begun) == (True, b"\xe4\xb8")
    for seed in range(9):
        drawn = both.sample(max_bytes=4, seed=seed, utf8="strict")
        assert (b"\xe4\xb8" + drawn).decode() in ("中", "中a")
