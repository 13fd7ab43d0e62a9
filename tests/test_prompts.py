"""Text behind a prompt, where the tokenizer puts a space before every text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex  # type: ignore[import-untyped]
import sentencepiece
import tokenizers
from conftest import read_zst
from reference_bytes import Cover, Range, assert_defined, encodings
from test_baselines import Drawn
from test_bytelm_sides import OPENINGS, opened, some
from tiny_vocabularies import added, metaspace_json, tokenizer_json
from toy_models import SEMANTICS, hashed, row_model, sure

import bytewright as bw
from bytewright import FimFormat
from bytewright.bytelm import FIM_FORMATS, AllOf, sample_weighted

Ids = tuple[int, ...]

BYTES = 257
"""The tokens that no model here writes: the unknown one and those of single bytes."""
SPECIAL = ("<pre>", "<suf>", "<mid>", "<start>", "<end>", "<eom>")
MARK = "x"
"""A character that joins with nothing in these vocabularies."""
REAL = [
    *(*OPENINGS, "mistral-v1.spm.model", "phi-3-mini.tokenizer.json"),
    *("cl100k_base.tiktoken", "gpt2.tokenizer.json", "falcon.tokenizer.json"),
]


def toy(folder: Path, name: str, **token: Any) -> bw.Tokenizer:
    """A tokenizer that puts a space before texts in the way of this name."""
    root = metaspace_json(**opened(name))
    texts = [*list(root["model"]["vocab"])[:BYTES], "▁", "a", "b", "▁a", "▁▁", "ba"]
    root["model"]["vocab"] = {text: at for at, text in enumerate(texts)}
    root["model"]["merges"] = [["▁", "a"], ["▁", "▁"], ["b", "a"]]
    root["added_tokens"] = [added(0, "<unk>")]
    if token:
        root["added_tokens"].append(added(len(texts), "ab", special=False, **token))
    new = len(texts) + bool(token)
    root["added_tokens"] += [added(new + at, text) for at, text in enumerate(SPECIAL)]
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(root))
    return bw.Tokenizer.load(path)


def real(shared: Path, folder: Path, name: str) -> bw.Tokenizer:
    """A published vocabulary, that of Llama 2 with another way to put the space too."""
    path = folder / name
    if name in OPENINGS:
        root = json.loads(read_zst(shared / "data/vocabs/phi-3-mini.tokenizer.json.zst"))
        path.write_text(json.dumps(root | {"normalizer": None} | opened(name)))
    else:
        path.write_bytes(read_zst(shared / f"data/vocabs/{name}.zst"))
    return bw.Tokenizer.load(path)


def going_on(folder: Path, alphabet: str, length: int) -> set[Ids]:
    """What the tokenizer of another library makes of all texts of so many bytes at most, where they
    stand behind a character of the same text."""
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    alone = theirs.encode(MARK, add_special_tokens=False).ids
    texts = ["".join(text) for n in range(length + 1) for text in product(alphabet, repeat=n)]
    found = theirs.encode_batch([MARK + text for text in texts], add_special_tokens=False)
    assert all(one.ids[: len(alone)] == alone for one in found)
    return {tuple(one.ids[len(alone) :]) for one in found}


def spelled(tok: bw.Tokenizer, ids: list[int]) -> bytes:
    return b"".join(map(tok.token_bytes, ids))


def behind(row: Any, prompt: list[int]) -> Any:
    return lambda ids: row((*prompt, *ids))


@pytest.mark.parametrize(
    ("name", "flags"), [*((name, "") for name in OPENINGS), ("first", "r"), ("another", "l")]
)
def test_text_behind_a_prompt_goes_on_without_a_space(
    tmp_path: Path, name: str, flags: str
) -> None:
    tok = toy(tmp_path, name, lstrip="l" in flags, rstrip="r" in flags)
    row = hashed(tok.vocab_size + 1, 5, 2.0, lacking=BYTES)
    model = row_model(tok, row, tok.vocab_size)
    prompt = tok.encode("b a")
    known = {False: going_on(tmp_path, "ab ", 7), True: encodings(tok, b"ab ", 7)}
    for semantics, begins in product(SEMANTICS, known):
        lead = b" " if begins else b""
        oracle = Range(tok, behind(row, prompt), semantics, encodings=known[begins], lead=lead)
        made = bw.ByteModel(model, semantics=semantics).behind(prompt, begins=begins)
        for text in some("ab ", ["ab"]):
            assert_defined(made, oracle, text, some=b"ab ")


def test_prompts_go_on_as_one(tmp_path: Path) -> None:
    tok = toy(tmp_path, "first")
    model = row_model(tok, hashed(tok.vocab_size + 1, 5, 2.0, lacking=BYTES), tok.vocab_size)
    one, *rest = tok.encode("b a")
    base = bw.ByteModel(model)
    expected = base.behind([one, *rest])
    for same in (
        base.behind([one], begins=True).behind(rest),
        base.behind([one, *rest]).behind([]),
        bw.ByteModel(bw.PromptedModel(model, [one, *rest])),
    ):
        assert same.score("ba b").tolist() == expected.score("ba b").tolist()
    begun = base.behind([one, *rest], begins=True).score("ba b")
    assert begun.tolist() != expected.score("ba b").tolist()
    prompted = bw.PromptedModel(model, [one, *rest], begins=True)
    assert bw.ByteModel(prompted).score("ba b").tolist() == begun.tolist()
    assert bw.ByteModel(prompted).behind([]).score("ba b").tolist() == begun.tolist()


def test_behind_nothing_a_text_begins(tmp_path: Path) -> None:
    tok = toy(tmp_path, "another")
    model = bw.ByteModel(row_model(tok, hashed(tok.vocab_size, 5, 2.0, lacking=BYTES), 0))
    prompted = bw.PromptedModel(model.model, [])
    assert not prompted.goes_on
    assert bw.PromptedModel(prompted, [BYTES]).goes_on
    assert not bw.PromptedModel(bw.PromptedModel(prompted, [BYTES]), [], begins=True).goes_on
    for same in (model.behind([]), bw.ByteModel(prompted)):
        assert same.score("ba b").tolist() == model.score("ba b").tolist()
    gone_on = model.behind(tok.encode("a"))
    assert gone_on.score(" b").tolist() != model.score(" b").tolist()
    assert len(gone_on.start(b" b")) == 2
    with pytest.raises(bw.ArgumentTypeError, match="begins must be a bool"):
        model.behind([], begins=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", REAL)
def test_what_stands_behind_any_token_is_not_lost(shared: Path, tmp_path: Path, name: str) -> None:
    tok = real(shared, tmp_path, name)
    text = "The naïve\n\tcat  has 𐍈 12, don't  "
    ids = tok.encode(text)
    names = [tok.token_bytes(at) for at in ids]
    assert b"".join(names).removeprefix(b" ") == text.encode()
    for semantics in SEMANTICS:
        model = bw.ByteModel(sure(tok, ids), semantics=semantics)
        for at in range(1, len(ids) + 1):
            rest, follows = b"".join(names[at:]), model.behind(ids[:at])
            assert np.abs(follows.score(rest)).max(initial=0.0) < 1e-6
            assert follows.logprob(rest, end=True) == pytest.approx(0.0, abs=1e-6)
            found = follows.start().next()
            assert found.probs[rest[0] if rest else 256] == pytest.approx(1.0)
            assert found.lost_mass < 1e-6
            given = follows.given(rest[:3]).next()
            assert given.probs[[*rest, 256][min(3, len(rest))]] == pytest.approx(1.0)


class Inside(Cover):
    """The definition where a text goes on in a character: the first piece is what is left of it."""

    def __init__(self, row: Any, semantics: str, begun: bytes) -> None:
        super().__init__(CUT, row, semantics, tails=3)
        self.begun = begun
        self.encode = lru_cache(None)(self._encode)

    def _encode(self, text: bytes) -> Ids:
        pieces = regex.findall(PATTERN, (self.begun + text).decode())
        first, *rest = [piece.encode() for piece in pieces]
        pieces = [first[len(self.begun) :], *rest]
        return tuple(at for piece in pieces for at in UNCUT.encode(piece))

    def _is_text(self, data: bytes) -> bool:
        whole = self.begun + data
        return whole.decode(errors="ignore").encode() == whole


PATTERN = r"\p{L}+|\s+(?!\S)|\s+"
JOINED = [(b"\xb8", b"\xad"), (b"\xc3", b"\xa9"), (b"\xad", b"a"), (b"\xe4", b"\xb8\xad")]
LETTERS = b" a\xa9\xad\xb8\xc3\xe4"
CUT, UNCUT = (
    bw.Tokenizer.from_merges(JOINED, alphabet=LETTERS, pattern=pattern)
    for pattern in (PATTERN, None)
)


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("begun", [b"\xc3", b"\xe4", b"\xe4\xb8"])
def test_text_goes_on_inside_a_character(semantics: Any, begun: bytes) -> None:
    row = hashed(CUT.vocab_size + 1, 3, 2.0)
    prompt = [*CUT.encode("a "), *UNCUT.encode(begun)]
    model = row_model(CUT, row, CUT.vocab_size)
    prompted = bw.PromptedModel(model, prompt)
    assert prompted.begun == begun
    made = bw.ByteModel(prompted, semantics=semantics)
    oracle = Inside(behind(row, prompt), semantics, begun)
    rest = {b"\xc3": b"\xa9", b"\xe4": b"\xb8\xad", b"\xe4\xb8": b"\xad"}[begun]
    for text in (b"", rest[:1], rest, rest + b"a", rest + b" ", rest + b"\xc3", b"a"):
        assert_defined(made, oracle, text)
    for seed in range(4):
        drawn = made.sample(max_bytes=6, seed=seed, utf8="strict")
        assert drawn
        (begun + drawn).decode()
        weighted = sample_weighted(
            made, constraint=AllOf(), particles=8, max_bytes=6, seed=seed, utf8="strict"
        )
        assert weighted.logprob > -math.inf
        for one in weighted:
            (begun + one.text).decode()


def test_what_a_prompt_begins_of_a_character(tmp_path: Path) -> None:
    tok = toy(tmp_path, "first")
    model = row_model(tok, hashed(tok.vocab_size, 1, 1.0), 0)
    byte = [at for char in "é中" for at in tok.encode(char)[1:]]
    assert spelled(tok, byte) == "é中".encode()
    mid = tok.special_tokens["<mid>"]
    cases: list[tuple[list[Any], bytes]] = [
        ([BYTES, byte[0]], b"\xc3"),
        (byte[:2], b""),
        (byte[:4], b"\xe4\xb8"),
        ([mid, byte[3]], b""),
        ([byte[2], mid], b""),
        ([byte[2], mid, byte[2]], b"\xe4"),
        ([byte[0], byte[0]], b"\xc3"),
    ]
    for prompt, begun in cases:
        assert bw.PromptedModel(model, prompt).begun == begun
        assert bw.PromptedModel(model, prompt, begins=True).begun == b""
    first = bw.PromptedModel(model, byte[2:3])
    assert bw.PromptedModel(first, byte[3:4]).begun == b"\xe4\xb8"
    assert bw.PromptedModel(first, [mid]).begun == b""


def sure_of(tok: bw.Tokenizer, ids: list[int], end: int) -> bw.CallableModel:
    """A model that expects these ids, and then one of the vocabulary that ends the text."""

    def row(context: Ids) -> Any:
        found = np.full(tok.vocab_size, -np.inf)
        follows = list(context) == ids[: len(context)] and len(context) < len(ids)
        found[ids[len(context)] if follows else end] = 0.0
        return found

    return row_model(tok, row, end, np.float32)


PSM = FimFormat.psm("<pre>", "<suf>", "<mid>", end="<eom>")
SPM = FimFormat.spm("<pre>", "<suf>", "<mid>", end="<eom>")
SE = FimFormat.lines("<pre>", "<suf>", "<mid>", end="<eom>", starts="<start>", ends="<end>")


@pytest.mark.parametrize("name", OPENINGS)
@pytest.mark.parametrize("semantics", SEMANTICS)
def test_middles_are_given_no_space_but_in_the_prefix(
    tmp_path: Path, name: str, semantics: Any
) -> None:
    tok = toy(tmp_path, name)
    pre, suf, mid, start, end, eom = (tok.special_tokens[text] for text in SPECIAL)
    # The special tokens are no text, and that of the end is the last.
    assert eom == tok.vocab_size - 1
    row = hashed(tok.vocab_size, 8, 2.0, lacking=BYTES)
    model = bw.ByteModel(row_model(tok, row, eom), semantics=semantics)
    bare, whole = going_on(tmp_path, "ab ", 8), encodings(tok, b"ab ", 8)
    b, a = (tok.token_id(text) for text in (b"b", b"a"))
    suffix = [tok.token_id(b"ba"), b]
    assert None not in (a, b, *suffix)
    a_text, b_text = tok.encode("a"), tok.encode("b")
    cases: list[tuple[FimFormat, str, str, list[Any], bytes, bool]] = [
        (PSM, "b", "bab", [pre, *b_text, suf, *suffix, mid], b"", False),
        (PSM, "", "bab", [pre, suf, *suffix, mid], b"", False),
        (SPM, "b", "bab", [pre, suf, *suffix, mid], b"b", True),
        (SPM, "", "bab", [pre, suf, *suffix, mid], b"", True),
        (SE, "b", "a", [pre, suf, start, b, end, a, mid], b"b", False),
    ]
    for format_, prefix, after, prompt, before, spaced in cases:
        assert format_.prompt(tok, prefix, after) == prompt
        oracle = Range(
            tok,
            behind(row, prompt),
            semantics,
            encodings=whole if spaced else bare,
            lead=b" " if spaced else b"",
        )
        oracle.size = eom
        for special in tok.special_tokens.values():
            oracle.tokens[special] = b"\xff\xff"
        opening = format_.open(model, prefix, after)
        for text in (b"", b" ", b"a", b" a", b"ba", b" b "):
            place, share = opening.start(text), oracle.prob(before + text)
            assert math.exp(place.logprob) == pytest.approx(share, rel=1e-9)
            found = place.next()
            got = found.probs[[*b"ab ", 256]] * (1.0 - found.lost_mass)
            joint = [oracle.prob(before + text + bytes([byte])) for byte in b"ab "]
            joint.append(oracle.end(before + text))
            assert got == pytest.approx(np.array(joint) / share, abs=1e-9), (format_, prefix, text)
    assert a_text != [a]


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("begun", [b"\xc3", b"\xe4", b"\xe4\xb8"])
def test_a_middle_goes_on_inside_a_character(semantics: Any, begun: bytes) -> None:
    tok = bw.Tokenizer.from_merges(
        JOINED, alphabet=LETTERS, pattern=PATTERN, special_tokens=SPECIAL
    )
    size = CUT.vocab_size
    assert [tok.token_bytes(at) for at in range(size)] == [*map(CUT.token_bytes, range(size))]
    end = tok.special_tokens["<eom>"]
    assert end == tok.vocab_size - 1
    known = hashed(size + 1, 3, 2.0)

    def row(ids: Ids) -> Any:
        # What is no text but the end never comes.
        return np.insert(known(ids), size, np.full(len(SPECIAL) - 1, -np.inf))

    model = bw.ByteModel(row_model(tok, row, end), semantics=semantics)
    prompt = PSM.prompt(tok, b"a " + begun, "a")
    oracle = Inside(behind(known, prompt), semantics, begun)
    rest = {b"\xc3": b"\xa9", b"\xe4": b"\xb8\xad", b"\xe4\xb8": b"\xad"}[begun]
    opened = PSM.open(model, b"a " + begun, "a")
    for text in (b"", rest[:1], rest, rest + b"a", rest + b" ", rest + b"\xc3", b"a"):
        assert_defined(opened.model, oracle, text)
        assert opened.start(text).logprob == opened.model.start(text).logprob
    for seed in range(4):
        drawn = model.infill(
            b"a " + begun, "a", fim=PSM, max_bytes=6, seed=seed, utf8="strict", temperature=0.5
        )
        assert (begun + drawn).decode()


def test_what_a_text_goes_on_inside_of_can_be_said() -> None:
    model = row_model(CUT, hashed(CUT.vocab_size + 1, 3, 2.0), CUT.vocab_size)
    prompt = UNCUT.encode(b"a\xe4\xb8")
    said = bw.PromptedModel(model, prompt[:1], begun=b"\xe4\xb8")
    assert (said.goes_on, said.begun) == (True, b"\xe4\xb8")
    assert bw.PromptedModel(model, prompt, begun=b"").begun == b""
    alone = bw.PromptedModel(model, [], begun=b"\xc3")
    assert (alone.goes_on, alone.begun) == (True, b"\xc3")
    assert bw.ByteModel(model).behind([], begun=b"\xc3").begun == b"\xc3"
    for wrong in (b"a", b"\xad", "é".encode(), b"\xe4\xad\xad\xad", b"\xc3\xc3"):
        with pytest.raises(bw.ArgumentError, match=r"begun=.* one character, but not all"):
            bw.PromptedModel(model, prompt, begun=wrong)
    with pytest.raises(bw.ArgumentError, match="a text that begins goes on inside no"):
        bw.PromptedModel(model, prompt, begun=b"\xc3", begins=True)
    with pytest.raises(bw.ArgumentTypeError, match="begun must be bytes, not str"):
        bw.PromptedModel(model, prompt, begun="é")  # type: ignore[arg-type]


def test_a_prefix_that_begins_with_a_space_or_token_is_as_encoded(tmp_path: Path) -> None:
    """The space that is put before a text is not put before every one."""
    for number, name in enumerate(OPENINGS):
        folder = tmp_path / str(number)
        folder.mkdir()
        tok = toy(folder, name, lstrip=False)
        end = tok.special_tokens["<eom>"]
        head = SPM.prompt(tok, "", "a")
        for prefix, middle in product(["a", " a", "b ", "ab", " ab", "b"], ["", "a", " b", "ab"]):
            ids = [*head, *tok.encode(prefix + middle)]
            for semantics in SEMANTICS[:2]:
                made = bw.ByteModel(sure_of(tok, ids, end), semantics=semantics)
                opening = SPM.open(made, prefix, "a")
                # Behind the added token there may be a space more.
                whole, begun = (
                    spelled(tok, tok.encode(text)) for text in (prefix + middle, prefix)
                )
                assert whole.startswith(begun)
                drawn = opening.sample(max_bytes=9, temperature=0.0)
                assert drawn == whole[len(begun) :], (name, prefix, middle)
                found = opening.start(drawn).next()
                assert found.probs[256] == pytest.approx(1.0)


def test_a_space_that_decoding_keeps_is_a_part_of_the_prefix(tmp_path: Path) -> None:
    root = tokenizer_json(added_tokens=[added(261 + at, text) for at, text in enumerate(SPECIAL)])
    root["pre_tokenizer"]["add_prefix_space"] = True
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(root))
    tok = bw.Tokenizer.load(path)
    assert tok.decode(tok.encode("hello")) == " hello"
    ids = [*SPM.prompt(tok, "", "a"), *tok.encode("hello world")]
    for semantics in SEMANTICS:
        made = bw.ByteModel(sure_of(tok, ids, tok.special_tokens["<eom>"]), semantics=semantics)
        drawn = SPM.open(made, "hel", "a").sample(max_bytes=20, temperature=0.0)
        assert drawn == b"lo world"
        # All that is known of an empty prefix is that the space comes.
        assert SPM.open(made, "", "a").sample(max_bytes=20, temperature=0.0) == b" hello world"


def test_codestral_and_code_llama_write_what_they_were_trained_on(
    shared: Path, tmp_path: Path
) -> None:
    from mistral_common.protocol.fim.request import FIMRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    path = tmp_path / "mistral.model"
    path.write_bytes(read_zst(shared / "data/vocabs/mistral-v3.spm.model.zst"))
    tok = bw.Tokenizer.load(path)
    mistral = MistralTokenizer.v3()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def silent(text: str) -> list[int]:
        # Code Llama's own way to encode without the space.
        found: list[int] = pieces.encode("☺" + text)
        return found[len(pieces.encode("☺")) :]

    marks = ("[PREFIX]", "[SUFFIX]", "[MIDDLE]")
    pre, suf, mid = (tok.special_tokens[text] for text in marks)
    end = tok.special_tokens["</s>"]
    training: dict[FimFormat, Callable[[str, str, str], list[int]]] = {
        FimFormat.psm(*marks, end="</s>"): lambda p, m, s: (
            [pre, *pieces.encode(p), suf, *silent(s), mid, *silent(m)]
        ),
        FimFormat.spm(*marks, end="</s>"): lambda p, m, s: (
            [pre, suf, *silent(s), mid, *pieces.encode(p + m)]
        ),
        FIM_FORMATS["codestral"]: lambda p, m, s: [
            *mistral.encode_fim(FIMRequest(prompt=p + m, suffix=s)).tokens[1:]
        ],
    }
    for format_, written in training.items():
        for prefix, middle, suffix in [
            ("def f(a", ", b):\n    ", "return a + b"),
            ("def", "ault = 1", "\n"),
            ("x = ", "y", "  # z"),
            ("é", " = 中", " 中"),
        ]:
            ids = written(prefix, middle, suffix)
            for semantics in SEMANTICS:
                made = bw.ByteModel(sure_of(tok, ids, end), semantics=semantics)
                opening = format_.open(made, prefix, suffix)
                place = opening.start()
                assert place.next().probs[middle.encode()[0]] == pytest.approx(1.0)
                assert place.next().lost_mass < 1e-6
                assert opening.sample(max_bytes=40, temperature=0.0) == middle.encode()


@pytest.mark.parametrize("name", ["another", "first"])
@pytest.mark.parametrize("before", [(), (BYTES + 2, BYTES)])
def test_methods_draw_what_their_definition_says_behind_such_texts(
    tmp_path: Path, name: str, before: Ids
) -> None:
    tok = toy(tmp_path, name)
    row = hashed(tok.vocab_size + 1, 2, 1.5, lacking=BYTES)
    tokens = bw.PromptedModel(row_model(tok, row, tok.vocab_size), before)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    mark = MARK if before else ""
    skipped = len(theirs.encode(mark, add_special_tokens=False).ids)
    methods: list[tuple[Any, int]] = [("naive", 0), ("healing", 1), ("alignment", 2)]
    for (method, back), prompt in product(methods, ["a", "ba b", "a ", "b  ba"]):
        ids = tuple(theirs.encode(mark + prompt, add_special_tokens=False).ids[skipped:])
        kept = (*before, *ids[: max(0, len(ids) - back)])
        rest = b"".join(tok.token_bytes(at) for at in ids[max(0, len(ids) - back) :])
        drawn = Drawn(row, local=method == "alignment", tok=tok)
        made = bw.BaselineModel(tokens, method=method, back=back, semantics="all", epsilon=0.0)
        for y in (b"", b"a", b" ", b" a", b"b a", b"  b"):
            expected = drawn.behind(kept, rest, y)
            place = made.start(prompt).advance(y)
            assert math.exp(place.logprob) == pytest.approx(expected, rel=1e-9), (prompt, y)


def test_naive_prompts_cost_nothing_where_they_end_with_a_token(
    shared: Path, tmp_path: Path
) -> None:
    tok = real(shared, tmp_path, "mistral-v1.spm.model")
    model = sure(tok, tok.encode("The weather is nice"))
    exact = bw.ByteModel(model).start("The weather").next().probs
    assert exact[ord(" ")] == pytest.approx(1.0)
    methods: list[Any] = ["naive", "healing", "alignment"]
    for method in methods:
        made = bw.BaselineModel(model, method=method)
        assert made.start("The weather").next().probs == pytest.approx(exact)
        assert made.start().next().probs == pytest.approx(bw.ByteModel(model).start().next().probs)
        assert made.sample("The weather", max_bytes=20, temperature=0.0) == b" is nice"
