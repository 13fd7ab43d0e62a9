"""Tokens of one vocabulary under the model of another, beside laws of texts that are enumerated."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_vocabularies import Piece, sentencepiece, tokenizer_json

import bytewright as bw
from bytewright import _core, demo

Law = dict[bytes, float]
Ids = tuple[int, ...]
END = 256


class Texts:
    """A model of bytes that is a list of texts with their probabilities, and one of its places."""

    def __init__(self, law: Law, data: bytes = b"") -> None:
        self.law, self.data = law, data

    @property
    def logprob(self) -> float:
        p = math.fsum(p for text, p in self.law.items() if text.startswith(self.data))
        return math.log(p) if p else -math.inf

    def start(self, prefix: str | bytes = b"") -> Texts:
        assert isinstance(prefix, bytes)
        return Texts(self.law, prefix)

    def advance(self, data: bytes) -> Texts:
        self.data += data
        return self

    def fork(self) -> Texts:
        return self.start(self.data)

    def next(self) -> bw.ByteDistribution:
        row = np.zeros(257)
        for text, p in self.law.items():
            if text.startswith(self.data):
                row[text[len(self.data)] if len(text) > len(self.data) else END] += p
        with np.errstate(divide="ignore"):
            return bw.ByteDistribution(np.log(row / row.sum()), 0.0, 0.0)


def law(alphabet: bytes, longest: int, seed: int, size: int = 60) -> Law:
    """Some of all texts up to a length, with probabilities."""
    rng = np.random.default_rng(seed)
    sizes = range(longest + 1)
    texts = [bytes(one) for n in sizes for one in itertools.product(alphabet, repeat=n)]
    chosen = [texts[at] for at in rng.choice(len(texts), min(size, len(texts)), replace=False)]
    probs = rng.dirichlet(np.full(len(chosen), 0.5))
    return dict(zip(chosen, probs.tolist(), strict=True))


def encodings(texts: Law, tok: bw.Tokenizer) -> dict[Ids, float]:
    return {tuple(tok.encode(text)): p for text, p in texts.items()}


def row(known: dict[Ids, float], context: Ids, size: int) -> NDArray[np.float64]:
    """How likely each token is behind others, the end last, by summing over all texts."""
    found = np.zeros(size + 1)
    for ids, p in known.items():
        if ids[: len(context)] == context:
            found[ids[len(context)] if len(ids) > len(context) else size] += p
    return found


MERGES = [(b"a", b"b"), (b"b", b"a"), (b"ab", b"a"), (b"a", b"a"), (b"ab", b"ab"), (b" ", b"a")]
STUDENTS = {
    "plain": bw.Tokenizer.from_merges(MERGES, alphabet=b"ab "),
    "shuffled": bw.Tokenizer.from_merges(
        [(b"b", b"b"), (b"a", b"bb"), (b"a", b"b"), (b"ab", b"a"), (b"bb", b"b")], alphabet=b"ab "
    ),
    "gpt2": bw.Tokenizer.from_merges(
        [*MERGES, (b" ", b" "), (b"  ", b" "), (b" a", b"b")], alphabet=b"ab ", pattern="gpt2"
    ),
    "ahead": bw.Tokenizer.from_merges(
        [*MERGES, (b" ", b" ")], alphabet=b"ab ", pattern=r"a+(?!b)| ?b+|\s+(?!\S)|[ab]| "
    ),
}


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_next_tokens_are_those_of_all_texts(name: str, seed: int) -> None:
    tok = STUDENTS[name]
    texts = law(b"ab ", 6, seed)
    known = encodings(texts, tok)
    model = bw.TranslatedModel(Texts(texts), tok, epsilon=0.0, budget=None)
    contexts = {ids[:at] for ids in known for at in range(len(ids) + 1)}
    others = 0
    for context in sorted(contexts):
        data = tok.decode_bytes(list(context))
        begun = math.exp(Texts(texts, data).logprob)
        expected = row(known, context, tok.vocab_size)
        found = model.next(context)
        assert (found.undecided, found.error_bound, found.outside) == (0.0, 0.0, 0.0)
        assert found.kept == pytest.approx(expected.sum() / begun, rel=1e-9)
        assert found.other == pytest.approx(1 - expected.sum() / begun, abs=1e-9)
        assert np.exp(found.logprobs) == pytest.approx(expected / expected.sum(), abs=1e-9)
        others += found.other > 1e-6
    assert len(contexts) > 60
    assert others > 10, "texts that are cut otherwise behind the same bytes"


def test_a_space_before_every_text_is_no_part_of_it(tmp_path: Path) -> None:
    pieces: list[Piece] = [("<unk>", 0.0, 2)]
    pieces += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    words = ["▁a", "ab", "▁ab", "éa", "bb", "▁", "a", "b", "é"]
    pieces += [(word, -float(at), 1) for at, word in enumerate(words)]
    (tmp_path / "spaced.model").write_bytes(sentencepiece(pieces, normalizer=((4, 0),)))
    tok = bw.Tokenizer.load(tmp_path / "spaced.model")
    letters = law(b"abc ", 5, 5, size=150)
    texts = {text.replace(b"c", "é".encode()): p for text, p in letters.items()}
    known = encodings(texts, tok)
    model = bw.TranslatedModel(Texts(texts), tok, epsilon=0.0, budget=None)
    contexts = sorted({ids[:at] for ids in known for at in range(len(ids) + 1)})
    for context in contexts:
        expected = row(known, context, tok.vocab_size)
        found = model.next(context)
        assert np.exp(found.logprobs) == pytest.approx(expected / expected.sum(), abs=1e-9)
        assert found.outside == 0.0
    assert len(contexts) > 100


def test_its_own_tokens_have_their_own_probabilities() -> None:
    for name, tok in STUDENTS.items():
        texts = law(b"ab ", 5, 3)
        known = encodings(texts, tok)

        def rows(
            contexts: Sequence[NDArray[np.int32]],
            known: dict[Ids, float] = known,
            size: int = tok.vocab_size,
        ) -> NDArray[np.float64]:
            found = np.stack([row(known, tuple(map(int, ids)), size) for ids in contexts])
            found[found.sum(axis=1) == 0.0] = 1.0
            with np.errstate(divide="ignore"):
                logprobs: NDArray[np.float64] = np.log(found / found.sum(axis=1, keepdims=True))
            return logprobs

        tokens = bw.CallableModel(tok, rows, eos_id=tok.vocab_size)
        teacher = bw.ByteModel(tokens)
        contexts = sorted({ids[:at] for ids in known for at in range(len(ids) + 1)})
        for student_name, student in STUDENTS.items():
            model = bw.TranslatedModel(teacher, student, epsilon=0.0, budget=None)
            if student_name == name:
                given = [np.array(ids, np.int32) for ids in contexts]
                found = np.exp(model.logprobs(given))
                assert found == pytest.approx(np.exp(rows(given)), abs=1e-9)
            # As a model of tokens it is a model of bytes again, which is the teacher's law.
            again = bw.ByteModel(model)
            for text in [*texts][:6]:
                expected = math.log(texts[text])
                assert again.logprob(text, end=True) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("epsilon", [0.3, 0.05, 0.003])
def test_what_is_undecided_bounds_the_error(epsilon: float) -> None:
    tok = STUDENTS["gpt2"]
    texts = law(b"ab ", 7, 7, size=400)
    teacher = Texts(texts)
    exact = bw.TranslatedModel(teacher, tok, epsilon=0.0, budget=None)
    looked = saved = 0
    for text in [b"", b"a", b"ab", b"ab ", b"a b", b" ", b"  "]:
        truth = exact.next(text)
        for budget in (1, 5, None):
            found = bw.TranslatedModel(teacher, tok, epsilon=epsilon, budget=budget).next(text)
            assert found.error_bound <= epsilon or found.calls == budget
            total = found.kept + found.other + found.outside + found.undecided
            assert total == pytest.approx(1.0, abs=1e-12)
            if not found.kept:
                assert found.error_bound == 1.0
                continue
            distance = 0.5 * np.abs(np.exp(found.logprobs) - np.exp(truth.logprobs)).sum()
            assert distance <= found.error_bound + 1e-12
            assert found.kept <= truth.kept + 1e-12 <= found.kept + found.undecided + 2e-12
            saved += truth.calls - found.calls
            looked += 1
    assert looked > 10
    assert saved > 0


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k", "llama3", None])
def test_what_is_decided_holds_for_every_text_that_goes_on(pattern: str | None) -> None:
    documents = [text for _, text in demo.documents()]
    tok = bw.train(documents[:40], 700, pattern=pattern) if pattern else STUDENTS["plain"]
    letters = None if pattern else b"ab "
    vocab = _core.ByteVocab(tok._core, [], "valid")
    rng = random.Random(pattern)
    told: Counter[str] = Counter()
    for _ in range(60):
        if letters:
            text = bytes(rng.choices(letters, k=200))
        else:
            text = rng.choice(documents).encode()
            start = rng.randrange(max(1, len(text) - 300))
            text = (text[start : start + 160] + "\n  naïve 中文 \t don't 12345".encode()) * 2
            text = text.decode(errors="ignore").encode()
        size = rng.randrange(60)
        context = tok.encode(text[:size].decode(errors="ignore"))[: rng.choice([None, -1])]
        data = tok.decode_bytes(context)
        ahead, at = _core.ByteAhead(vocab, context), len(data)
        while at < len(text):
            verdicts = ahead.verdicts()
            # Whatever comes next, the text may end there or go on: its encoding is as was told.
            for end in {at, at + 1, at + 2, len(text)}:
                ids = tok.encode(text[:end])
                verdict = verdicts[text[at] if end > at else END]
                if verdict == -1 or (verdict == -4 and end < len(text)):
                    continue
                found: int | None = -3
                if ids[: len(context)] == context:
                    found = ids[len(context)] if len(ids) > len(context) else -2
                assert found == verdict, (text, context, at, end)
                told["end" if end == at else "other" if found == -3 else "token"] += 1
            if verdicts[text[at]] != -1:
                break
            ahead, at = ahead.after(text[at]), at + 1
        assert at < len(text), "decided before the text is over"
    assert told["token"] > 60
    assert told["end"] > 30


def test_texts_without_an_encoding_are_outside() -> None:
    texts = {b"a\xff": 0.25, b"a\xc3": 0.125, b"ac": 0.125, "aé".encode(): 0.25, b"a": 0.25}
    tok = bw.Tokenizer.from_merges([(b"\xc3", b"\xa9")], pattern="gpt2")
    found = bw.TranslatedModel(Texts(texts), tok, epsilon=0.0).next("a")
    assert (found.outside, found.kept, found.other) == (0.375, 0.625, 0.0)
    narrow = bw.Tokenizer.from_merges([], alphabet=b"ab\xc3\xa9")
    found = bw.TranslatedModel(Texts(texts), narrow, epsilon=0.0).next(b"a")
    assert found.outside == 0.375


def test_scores_of_tokens_add_up() -> None:
    words = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w"), (b" ", b"low")])
    teacher = bw.ByteModel(bw.NgramModel.fit(demo.tokenizer(), ["low lower, slow"] * 9))
    for text in ["low lower slowly", "", "naïve low"]:
        scores = bw.score_tokens(teacher, words, text)
        assert scores.ids.tolist() == words.encode(text)
        assert scores.logprobs.sum() == pytest.approx(teacher.logprob(text), abs=1e-9)
        data = text.encode()
        for at, (start, end) in enumerate(itertools.pairwise(scores.offsets.tolist())):
            before, after = teacher.logprob(data[:start]), teacher.logprob(data[:end])
            assert scores.logprobs[at] == pytest.approx(after - before, abs=1e-9)
            assert data[start:end] == words.token_bytes(int(scores.ids[at]))
    # What has no `score` is asked place by place.
    texts = {b"low low": 0.25, b"low": 0.5, b"lot": 0.25}
    told = bw.score_tokens(Texts(texts), words, b"low low")
    assert told.logprobs == pytest.approx(np.log([0.75, 1 / 3]))
    gone = bw.score_tokens(Texts(texts), words, b"lxlow").logprobs
    assert gone.tolist() == [0.0, -math.inf, -math.inf]


class Scored(Texts):
    """The same, with the probabilities of a text's bytes at once."""

    def score(self, text: str | bytes) -> NDArray[np.float64]:
        assert isinstance(text, bytes)
        known = [Texts(self.law, text[:at]).logprob for at in range(len(text) + 1)]
        changes = [b - a if b > -math.inf else b for a, b in itertools.pairwise(known)]
        return np.array(changes, np.float64)


@pytest.mark.parametrize("teacher", [Texts, Scored])
def test_what_is_dropped_in_front_counts_with_the_first_token(
    teacher: type[Texts], tmp_path: Path
) -> None:
    pieces: list[Piece] = [("<unk>", 0.0, 2)]
    pieces += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    pieces += [(word, -float(at), 1) for at, word in enumerate(["ab", "a", "b", "▁"])]
    # No space is put before a text, and those that are there are taken away.
    stripping = sentencepiece(pieces, normalizer=((3, 0), (4, 1)))
    (tmp_path / "stripping.model").write_bytes(stripping)
    tok = bw.Tokenizer.load(tmp_path / "stripping.model")
    texts = {b"  ab": 0.25, b"  aba": 0.125, b" ab": 0.125, b"ab": 0.5}
    scores = bw.score_tokens(teacher(texts), tok, b"  aba")
    assert [tok.token_bytes(int(token)) for token in scores.ids] == [b"ab", b"a"]
    assert scores.offsets.tolist() == [2, 4, 5]
    assert np.exp(scores.logprobs) == pytest.approx([0.375, 1 / 3])
    assert bw.score_tokens(teacher(texts), tok, b"  ").logprobs.tolist() == []


@pytest.mark.parametrize("teacher", [Texts, Scored])
def test_behind_what_cannot_be_no_token_can(teacher: type[Texts], tmp_path: Path) -> None:
    # A ligature becomes two letters, the first of which has no bytes of the text.
    (tmp_path / "t.json").write_text(json.dumps(tokenizer_json(normalizer={"type": "NFKC"})))
    tok = bw.Tokenizer.load(tmp_path / "t.json")
    scores = bw.score_tokens(teacher({b"x": 1.0}), tok, "ﬁﬁ")
    assert scores.offsets.tolist() == [0, 0, 3, 3, 6]
    assert scores.logprobs.tolist() == [0.0, -math.inf, -math.inf, -math.inf]


def test_behind_what_cannot_be_everything_is_as_likely() -> None:
    words = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
    model = bw.TranslatedModel(Texts({b"lot": 0.5, b"low": 0.5}), words)
    lo, low, size = words.token_id(b"lo"), words.token_id(b"low"), words.vocab_size
    assert lo is not None
    assert low is not None
    # One that can be; what no encoding begins with; what no text begins with.
    contexts = [[lo], [ord("l"), ord("o")], [ord("x")]]
    rows = model.logprobs([np.array(ids, np.int32) for ids in contexts])
    assert rows[0][ord("t")] == 0.0
    assert rows[1:] == pytest.approx(-math.log(size + 1), abs=1e-12)
    with pytest.raises(bw.ArgumentError, match="the encoding of no text begins with these 2"):
        model.next([ord("l"), ord("o")])
    with pytest.raises(bw.UnknownTokenError, match=f"token id {size} "):
        model.logprobs([np.array([size], np.int32)])


@pytest.mark.parametrize(("value", "name"), [(math.nan, "NaN"), (math.inf, "infinity")])
def test_a_broken_teacher_is_not_taken_for_what_cannot_be(value: float, name: str) -> None:
    letters = bw.Tokenizer.from_merges([], alphabet=b"ab")
    broken = bw.CallableModel(letters, lambda contexts: np.full((len(contexts), 2), value))
    model = bw.TranslatedModel(bw.ByteModel(broken), letters)
    with pytest.raises(bw.DataError, match=f"{name} at token id 0"):
        model.logprobs([np.array([0], np.int32)])


def test_real_vocabularies(capsys: pytest.CaptureFixture[str]) -> None:
    documents = [text for _, text in demo.documents()]
    student = bw.train(documents, 2048, pattern="gpt2")
    ngrams = bw.NgramModel.fit(bw.train(documents, 4096, pattern="o200k"), documents)
    requests = []

    def asked(contexts: Any) -> Any:
        requests.append(len(contexts))
        return ngrams.logprobs(contexts)

    tokens = bw.CallableModel(ngrams.tokenizer, asked, eos_id=ngrams.eos_id)
    teacher = bw.ByteModel(tokens, epsilon=1e-3)
    model = bw.TranslatedModel(teacher, student, epsilon=0.1, budget=300)
    lines = []
    for text in ["for name in sorted", "import os\n\ndef read(path", "Return the number of"]:
        before = teacher.contexts
        requests.clear()
        found = model.next(text)
        asked_for = len(requests)
        assert asked_for * 4 < found.calls, "likely texts are asked for together"
        by_bytes: defaultdict[bytes, float] = defaultdict(float)
        for token, p in found.top(5):
            # A token is no more likely than its bytes are.
            data = b"" if token == student.vocab_size else student.token_bytes(token)
            by_bytes[data] += p
            ceiling = math.exp(teacher.logprob(text.encode() + data) - teacher.logprob(text))
            assert p * found.kept <= ceiling * (1 + 0.01) + 1e-9
        likeliest = max(by_bytes, key=by_bytes.__getitem__)
        lines.append(
            f"{text!r}: {found.calls} distributions, {teacher.contexts - before} contexts in "
            f"{asked_for} requests, bound {found.error_bound:.3f}, {likeliest!r}"
        )
        assert found.kept > 0.6
        assert found.calls <= 300
    with capsys.disabled():
        print("", *lines, sep="\n  ")


def test_what_cannot_be_asked_is_said() -> None:
    tok = STUDENTS["plain"]
    texts = Texts({b"ab": 0.5, b"b": 0.5})
    model = bw.TranslatedModel(texts, tok)
    assert isinstance(model, bw.TokenModel)
    assert model.logprobs([]).shape == (0, tok.vocab_size + 1)
    assert (model.eos_id, model.tokenizer) == (tok.vocab_size, tok)
    with pytest.raises(bw.ArgumentError, match=r"^context: ids must be a sequence, not int"):
        model.next(3)  # type: ignore[arg-type]
    assert np.array_equal(model.next(iter([1])).logprobs, model.next([1]).logprobs)
    with pytest.raises(bw.ArgumentError, match="encoding of no text begins with these 2"):
        model.next([0, 1])
    with pytest.raises(bw.DataError, match="probability 0"):
        model.next("aa")
    with pytest.raises(bw.UnknownTokenError):
        model.next([999])
    with pytest.raises(bw.ArgumentTypeError, match="a model of bytes"):
        bw.TranslatedModel(3, tok)  # type: ignore[arg-type]
    for options, named in [({"epsilon": 1.0}, "epsilon=1.0"), ({"budget": 0}, "budget=0")]:
        with pytest.raises(bw.ArgumentError, match=named):
            bw.TranslatedModel(texts, tok, **options)  # type: ignore[arg-type]
    special = bw.Tokenizer.from_merges([], alphabet=b"ab", special_tokens=["<x>"])
    with pytest.raises(bw.ArgumentError, match="no text begins"):
        bw.TranslatedModel(texts, special).next([2])
