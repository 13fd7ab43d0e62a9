"""Formats to fill in with are those of their authors, and the middles are exact behind them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_zst
from reference_bytes import Cover
from toy_models import hashed, row_model

import bytewright as bw
from bytewright import FimFormat, FimPart, FimPrompt
from bytewright.bytelm import FIM_FORMATS

SPECIAL = ("<pre>", "<suf>", "<mid>", "<start>", "<end>", "<eom>")
TOY = bw.Tokenizer.from_merges(
    [(b"a", b"b"), (b"ab", b"a"), (b"b", b"\n")], alphabet=b"ab\n", special_tokens=SPECIAL
)
PRE, SUF, MID, START, END, EOM = (TOY.special_tokens[name] for name in SPECIAL)
PSM = FimFormat.psm("<pre>", "<suf>", "<mid>", end="<eom>")
SPM = FimFormat.spm("<pre>", "<suf>", "<mid>", end="<eom>")
SE = FimFormat.lines("<pre>", "<suf>", "<mid>", end="<eom>", starts="<start>", ends="<end>")

# What the authors' own programs and model cards write, with P and S for prefix and suffix.
PUBLISHED = {
    "code-llama": "▁<PRE>P▁<SUF>S▁<MID>",
    "code-llama-spm": "▁<PRE>▁<SUF>S▁<MID>",
    "codegemma": "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
    "codestral": "[SUFFIX]S[PREFIX]",
    "deepseek-coder": "<｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>",
    "fim-se-code-llama": "<PRE>P\n<SUF>\nS<START>p<END>s\n<MID>",
    "fim-se-starcoder": "<fim_prefix>P\n<fim_suffix>\nS<START>p<END>s\n<fim_middle>",
    "qwen2.5-coder": "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
    "santacoder": "<fim-prefix>P<fim-suffix>S<fim-middle>",
    "starcoder": "<fim_prefix>P<fim_suffix>S<fim_middle>",
    "starcoder-spm": "<fim_prefix><fim_suffix>S<fim_middle>",
}


def model(seed: int, semantics: Any = "all") -> tuple[bw.ByteModel, Any]:
    row = hashed(TOY.vocab_size, seed, 1.2)
    return bw.ByteModel(row_model(TOY, row, EOM), semantics=semantics), row


class Behind(Cover):
    """The definition behind a prompt, with one of the ids as the end and the others as no text."""

    def __init__(self, row: Any, prompt: list[int]) -> None:
        self.names = [TOY.token_bytes(at) for at in range(TOY.vocab_size - len(SPECIAL))]
        super().__init__(TOY, lambda ids: row((*prompt, *ids)), "all", tails=0)
        self.tokens = self.names
        self.size = EOM


def test_published_formats_are_those_of_their_authors() -> None:
    assert set(PUBLISHED) == set(FIM_FORMATS)
    for name, text in PUBLISHED.items():
        format_ = FIM_FORMATS[name]
        special = [part for part in (*format_.parts, format_.end) if isinstance(part, str)]
        tok = bw.Tokenizer.from_merges([], special_tokens=sorted(set(special)))
        lines = FimPart.LAST in format_.parts
        prefix, suffix = ("P\np", "s\n\nS") if lines else ("P", "S")
        expected = tok.encode(text, allowed_special="all")
        assert format_.prompt(tok, prefix, suffix) == expected, name


def test_codestral_is_prompted_as_mistral_common_does(shared: Path, tmp_path: Path) -> None:
    from mistral_common.protocol.fim.request import FIMRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    path = tmp_path / "mistral.model"
    path.write_bytes(read_zst(shared / "data/vocabs/mistral-v3.spm.model.zst"))
    tok = bw.Tokenizer.load(path)
    theirs = MistralTokenizer.v3()
    for prefix, suffix in [
        ("def f(a", "return a + b"),
        ("x = ", "\n  y"),
        ("é", " 中"),
        ("\n", "1"),
    ]:
        whole = theirs.encode_fim(FIMRequest(prompt=prefix, suffix=suffix)).tokens
        ours = FIM_FORMATS["codestral"].prompt(tok, prefix, suffix) + tok.encode(prefix)
        assert [tok.special_tokens["<s>"], *ours] == whole
    made = bw.ByteModel(bw.NgramModel.fit(tok, ["def f(a, b):"], eos="</s>"), semantics="all")
    opened = FIM_FORMATS["codestral"].open(made, "def f(a", "return")
    # Without the space that the tokenizer puts there: it is given.
    assert opened.before == b"def f(a"
    assert [path.ids for path in opened.start().paths(1)] == [tuple(tok.encode("def f(a"))]


def test_a_middle_behind_a_token_is_exact_from_its_first_byte() -> None:
    for seed, (prefix, suffix) in enumerate([("ab", "ba"), ("", "a"), ("a\nb", "")]):
        made, row = model(seed)
        prompt = [PRE, *TOY.encode(prefix), SUF, *TOY.encode(suffix), MID]
        assert PSM.prompt(TOY, prefix, suffix) == prompt
        opened = PSM.open(made, prefix, suffix)
        cover = Behind(row, prompt)
        for text in (b"", b"a", b"ab", b"ba\n", b"abab"):
            place = opened.start(text)
            assert math.exp(place.logprob) == pytest.approx(cover.prob(text), rel=1e-9)
            ended = math.exp(opened.model.logprob(text, end=True))
            assert ended == pytest.approx(cover.end(text), rel=1e-9)


def test_a_prefix_before_the_middle_may_end_inside_a_token() -> None:
    for seed, (prefix, suffix) in enumerate([("aba", "ba"), ("b", "a"), ("", "b")]):
        made, row = model(seed)
        prompt = [PRE, SUF, *TOY.encode(suffix), MID]
        assert SPM.prompt(TOY, prefix, suffix) == prompt
        opened = SPM.open(made, prefix, suffix)
        cover = Behind(row, prompt)
        for text in (b"", b"a", b"b\n", b"aba"):
            found = opened.start(text).next()
            whole = cover.prob(prefix.encode() + text)
            for byte in b"ab\n":
                joint = cover.prob(prefix.encode() + text + bytes([byte]))
                got = found.probs[byte] * (1.0 - found.lost_mass)
                assert got == pytest.approx(joint / whole, rel=1e-9)
            ended = cover.end(prefix.encode() + text) / whole
            assert found.probs[256] * (1.0 - found.lost_mass) == pytest.approx(ended, rel=1e-9)


def test_lines_begin_and_end_as_they_must() -> None:
    made, row = model(3)
    prefix, suffix = "b\nab", "a\nb"
    prompt = [PRE, *TOY.encode("b\n"), SUF, *TOY.encode("b"), START, *TOY.encode("ab")]
    prompt += [END, *TOY.encode("a\n"), MID]
    assert SE.prompt(TOY, prefix, suffix) == prompt
    cover = Behind(row, prompt)
    middles = [bytes(m) for n in range(3) for m in itertools.product(b"ab\n", repeat=n)]
    wanted = {m: cover.end(b"ab" + m + b"a\n") for m in middles}
    found = SE.open(made, prefix, suffix).candidates(max_bytes=2)
    total = sum(wanted.values())
    assert set(found.middles) == set(middles)
    for middle, share in zip(found.middles, found.shares, strict=True):
        assert share == pytest.approx(wanted[middle] / total, abs=1e-9)
    runs = 400
    drawn = Counter(made.infill(prefix, suffix, max_bytes=2, fim=SE, seed=s) for s in range(runs))
    for middle, p in wanted.items():
        assert abs(drawn[middle] / runs - p / total) < 2.5 / math.sqrt(runs)
    # Without line breaks the whole text is the line.
    assert SE.open(made, "ab", "ba").before == b"ab"
    assert SE.open(made, "ab", "ba").after == b"ba"


@pytest.mark.parametrize("format_", [PSM, SPM])
def test_middles_are_drawn_as_often_as_their_probability_says(format_: FimFormat) -> None:
    made, _ = model(5, "valid")
    opened = format_.open(made, "a", "b")
    runs = 800
    drawn = Counter(made.infill("a", "b", max_bytes=1, fim=format_, seed=s) for s in range(runs))
    probs = opened.start().next().probs
    for text, outcome in ((b"", 256), (b"a", 97), (b"b", 98), (b"\n", 10)):
        assert abs(drawn[text] / runs - probs[outcome]) < 2.5 / math.sqrt(runs)
    found = opened.candidates(max_bytes=2)
    ended = opened.model.logprob(opened.before + b"ab", end=True)
    whole = opened.start().logprob
    shares = dict(zip(found.middles, found.logprobs, strict=True))
    assert shares[b"ab"] == pytest.approx(ended - whole)
    text = made.infill("a", "b", max_bytes=30, fim=format_, seed=1, stop="\n")
    assert b"\n" not in text
    assert text == opened.draw(max_bytes=30, seed=1, stop="\n")


def test_characters_that_the_prefix_begins_are_finished() -> None:
    letters = bytes(sorted(set("é中".encode())))
    tok = bw.Tokenizer.from_merges([], alphabet=letters, special_tokens=SPECIAL)
    row = hashed(tok.vocab_size, 1, 1.0)
    made = bw.ByteModel(row_model(tok, row, tok.special_tokens["<eom>"]))
    for format_, seed in itertools.product((PSM, SPM, SE), range(8)):
        middle = made.infill(b"\xe4", b"", max_bytes=6, fim=format_, seed=seed, utf8="strict")
        (b"\xe4" + middle).decode()
        assert len(middle) > 1


def test_models_with_different_formats_fill_in_together() -> None:
    one, two = model(6)[0], model(7)[0]
    opened = [PSM.open(one, "ab", "ba"), SPM.open(two, "ab", "ba")]
    both = bw.Ensemble(opened, weights=[1, 3])
    mean = np.average([place.start("a").next().probs for place in opened], axis=0, weights=[1, 3])
    found = both.start().next().probs
    first = [place.start().next().probs for place in opened]
    assert found == pytest.approx(np.average(first, axis=0, weights=[1, 3]))
    assert bw.Ensemble(opened, rule="arithmetic", weights=[1, 3]).start("a").next().probs == (
        pytest.approx(mean)
    )
    assert both.sample(max_bytes=5, seed=1) == both.sample(max_bytes=5, seed=1)


@pytest.mark.parametrize("format_", [PSM, SPM, SE])
def test_a_constraint_holds_in_any_format(format_: FimFormat) -> None:
    made, _ = model(2)
    within = bw.RegexConstraint("a{2}b?")
    drawn = {
        made.infill("a", "b", max_bytes=3, fim=format_, constraint=within, seed=seed)
        for seed in range(8)
    }
    assert drawn == {b"aa", b"aab"}


def test_a_middle_that_was_begun_goes_on() -> None:
    made, _ = model(2)
    opened = SPM.open(made, "a", "b")
    assert opened.sample("ab", max_bytes=9, seed=1) == opened.model.sample(
        "aab", max_bytes=9, seed=1
    )  # fmt: skip
    # What the prefix begins of a character is known, though the model is not asked about it.
    begun = FimPrompt(made.behind([], begun=b"\xc3"), b"", None)
    with pytest.raises(bw.DataError, match=r"after 0 bytes .* keeps the text UTF-8"):
        begun.sample(max_bytes=2, utf8="strict")


def test_what_is_no_format_is_said() -> None:
    made, _ = model(1)
    with pytest.raises(bw.ArgumentError, match=r"fim: .* FimFormat\.open"):
        bw.Ensemble([made]).infill("a", "b", max_bytes=3, fim=PSM)
    with pytest.raises(bw.ArgumentError, match=r"lacks the tokens '<\|fim_prefix\|>', '<\|fim_suf"):
        made.infill("a", "b", max_bytes=3, fim="qwen2.5-coder")
    with pytest.raises(bw.ArgumentError, match="fim='gpt-2': code-llama, code-llama-spm"):
        made.infill("a", "b", max_bytes=3, fim="gpt-2")
    with pytest.raises(bw.ArgumentError, match="end: a format"):
        made.infill("a", "b", max_bytes=3, fim=PSM, end=True)
    with pytest.raises(bw.ArgumentError, match=r"parts: .*not \['PREFIX'\]"):
        FimFormat(("<pre>", FimPart.PREFIX), end=0)
    with pytest.raises(bw.ArgumentError, match=r"parts: .*'SUFFIX', 'PREFIX', 'LAST'\]"):
        FimFormat((FimPart.SUFFIX, FimPart.PREFIX, FimPart.LAST), end=0)
    by_id = FimFormat.psm(PRE, SUF, MID, end=EOM)
    assert by_id.prompt(TOY, "a", "b") == PSM.prompt(TOY, "a", "b")
    with pytest.raises(bw.ArgumentError, match="lacks the tokens 99 of"):
        FimFormat.psm(PRE, SUF, MID, end=99).prompt(TOY, "a", "b")
