"""Byte probabilities beside enumerations that others made, and beside our own by definition."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_zst
from reference_bytes import Cover, assert_defined
from toy_models import (
    PATTERNS,
    SEMANTICS,
    TEXT,
    Row,
    hashed,
    random_tokenizer,
    row_model,
    small_model,
)

import bytewright as bw


def distance(found: bw.ByteDistribution, expected: dict[int, float]) -> float:
    """Total variation."""
    probs = np.zeros(257)
    for outcome, p in expected.items():
        probs[outcome] = p
    return float(0.5 * np.abs(found.probs - probs).sum())


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_enumerated_toy_models(shared: Path, dtype: Any, tolerance: float) -> None:
    cases = json.loads((shared / "fixtures/byteprob/cases.json").read_text())
    models: dict[Any, bw.ByteModel] = {}
    compared = 0
    for case in cases:
        x = bytes.fromhex(case["x"])
        for semantics in SEMANTICS:
            key = (case["case"], case["seed"], semantics)
            if key not in models:
                merges = [(bytes.fromhex(a), bytes.fromhex(b)) for a, b in case["merges"]]
                tok = bw.Tokenizer.from_merges(
                    merges, alphabet=bytes.fromhex(case["alphabet"]), pattern=case["pattern"]
                )
                row = hashed(tok.vocab_size + 1, case["seed"], case["scale"])
                model = row_model(tok, row, tok.vocab_size, dtype)
                models[key] = bw.ByteModel(model, semantics=semantics)
            state, expected = models[key].start(x), case[semantics]
            if expected is None:
                assert state.logprob == -math.inf
                with pytest.raises(bw.DataError, match="probability is 0"):
                    state.next()
                continue
            found = state.next()
            assert math.exp(state.logprob) == pytest.approx(expected["P"], rel=tolerance)
            assert found.lost_mass == pytest.approx(expected["lost"], abs=tolerance)
            outcomes = {int(outcome): p for outcome, p in expected["next"].items()}
            assert distance(found, outcomes) <= tolerance, (key, x)
            assert found.error_bound == 0.0
            compared += 1
    assert compared > 300


def toy(spec: dict[str, Any]) -> tuple[bw.Tokenizer, Any]:
    vocab = [base64.b64decode(token) for token in spec["vocab_b64"]]
    merges = [(base64.b64decode(a), base64.b64decode(b)) for a, b in spec["merges_b64"]]
    alphabet = bytes(token[0] for token in vocab if len(token) == 1)
    tok = bw.Tokenizer.from_merges(merges, alphabet=alphabet)
    assert [tok.token_bytes(at) for at in range(tok.vocab_size)] == vocab
    if spec["kind"] == "bigram":
        with np.errstate(divide="ignore"):
            table = np.log(np.array(spec["table"]))
        return tok, lambda context: table[context[-1] + 1 if context else 0]

    def by_hash(context: tuple[int, ...]) -> Row:
        h = 0
        for token in context:
            h = (h * 31 + token + 7) % 1_000_003
        js = range(1, len(vocab) + 2)
        return np.array([((h + 1) * j * 2654435761 % 2**32) / 2**32 * 4 - 2 for j in js])

    return tok, by_hash


@pytest.mark.parametrize("number", range(8))
def test_shared_toy_models(shared: Path, number: int) -> None:
    spec = json.loads(read_zst(shared / f"data/byteprob/shared-{number}.json.zst"))
    tok, row = toy(spec)
    # With all mass on sequences that the tokenizer makes, every semantics is the same.
    for semantics in SEMANTICS if spec["canonical_only"] else SEMANTICS[:1]:
        model = bw.ByteModel(row_model(tok, row, tok.vocab_size), semantics=semantics)
        for case in spec["cases"]:
            x = base64.b64decode(case["prefix_b64"])
            if not spec["canonical_only"] and len(x) > 20:
                continue  # Millions of sequences cover the longest.
            state = model.start(x)
            if case["prefix_prob"] == 0:
                assert state.logprob == -math.inf
                continue
            assert math.exp(state.logprob) == pytest.approx(case["prefix_prob"], rel=1e-9)
            expected = {ord_of(key): p for key, p in case["next_byte"].items()}
            found = state.next()
            assert distance(found, {**expected, 256: case["next_eos"]}) <= 1e-9
            assert found.lost_mass <= 1e-9
            whole = model.logprob(x, end=True)
            if semantics == "all" and case["string_prob"] > 0:
                assert math.exp(whole) == pytest.approx(case["string_prob"], rel=1e-9)


def ord_of(key: str) -> int:
    return int(key) if key.isdigit() and len(key) > 1 else ord(key)


def test_tens_of_thousands_of_sequences() -> None:
    """Where rows hold no more than they must."""
    tok = bw.Tokenizer.from_merges([(b"a" * k, b"a") for k in range(1, 8)], alphabet=b"ab")
    size, length = tok.vocab_size, 15
    lengths = [len(tok.token_bytes(at)) for at in range(size) if b"b" not in tok.token_bytes(at)]
    row = hashed(size + 1, 5, 2.0)(())
    step, end = np.exp(row[: size + 1]), float(np.exp(row[size]))
    of = {len(tok.token_bytes(at)): step[at] for at in range(size) if at != tok.encode(b"b")[0]}
    ending = np.zeros(length + 2)
    ending[0] = 1.0
    for place in range(1, length + 2):
        ending[place] = sum(of[n] * ending[place - n] for n in lengths if n <= place)

    def begins(count: int) -> float:
        """The probability that a text begins with so many."""
        total = sum(
            ending[at] * sum(of[n] for n in lengths if at + n >= count) for at in range(count)
        )
        return float(total)

    state = bw.ByteModel(row_model(tok, lambda _: row, size), semantics="all").start(b"a" * length)
    found = state.next()
    whole = begins(length)
    assert math.exp(state.logprob) == pytest.approx(whole, rel=1e-9)
    expected = np.array([begins(length + 1), ending[length] * step[tok.encode(b"b")[0]]])
    assert found.probs[[97, 98]] == pytest.approx(expected / whole, rel=1e-9)
    assert found.probs[256] == pytest.approx(ending[length] * end / whole, rel=1e-9)


def test_pairs_that_may_be_neighbours(shared: Path) -> None:
    for spec in json.loads((shared / "fixtures/byteprob/valid_pairs.json").read_text()):
        merges = [(a.encode(), b.encode()) for a, b in spec["merges"]]
        tok = bw.Tokenizer.from_merges(merges, alphabet=spec["alphabet"].encode())
        # The listed ids are places in the listed vocabulary.
        ids = [tok.token_id(token.encode()) for token in spec["vocab"]]
        size, valid = tok.vocab_size, {(ids[a], ids[b]) for a, b in spec["valid_pairs"]}
        sure: list[int] = []

        def row(context: tuple[int, ...], sure: list[int] = sure, size: int = size) -> Row:
            logits = np.full(size + 1, -np.inf)
            logits[(*sure, size)[min(len(context), len(sure))]] = 0.0
            return logits

        model = bw.ByteModel(row_model(tok, row, size), memory=0)
        for left in range(size):
            for right in range(size):
                sure[:] = [left, right]
                text = tok.token_bytes(left) + tok.token_bytes(right)
                expected = 0.0 if (left, right) in valid else -math.inf
                assert model.logprob(text, end=True) == expected, (spec, left, right)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_semantics_are_their_definitions(pattern: str | None) -> None:
    rng = np.random.default_rng(11)
    for seed in range(6):
        tok = random_tokenizer(rng, pattern)
        row = hashed(tok.vocab_size + 1, seed, 3.0)
        for semantics in SEMANTICS:
            model = bw.ByteModel(row_model(tok, row, tok.vocab_size), semantics=semantics)
            slow = Cover(tok, row, semantics, tails=3)
            for x in (b"", b"a", b" ", b"a ", b"  ", b"1a", b"11", b" a1", b"xx a", b"  1 "):
                assert_defined(model, slow, x)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_ways_to_a_place_agree(semantics: Any) -> None:
    model = bw.ByteModel(small_model(), semantics=semantics)
    walked = model.start()
    logprob = 0.0
    for at, byte in enumerate(TEXT):
        found = walked.next()
        assert np.exp(found.logprobs).sum() == pytest.approx(1, abs=1e-12)
        logprob += found.logprobs[byte] + math.log1p(-found.lost_mass)
        fork = walked.fork()
        walked.advance(TEXT[at : at + 1])
        assert walked.logprob == pytest.approx(logprob, abs=1e-9)
        assert fork.advance(TEXT[at:]).logprob == pytest.approx(model.logprob(TEXT), abs=1e-9)
        assert len(walked) == at + 1
        jumped = model.start(TEXT[: at + 1])
        assert jumped.logprob == pytest.approx(walked.logprob, abs=1e-9)
        assert np.allclose(jumped.next().probs, walked.next().probs, atol=1e-12)
    scores = model.score(TEXT)
    assert scores.shape == (len(TEXT),)
    assert scores.sum() == pytest.approx(model.logprob(TEXT), abs=1e-9)
    assert model.bits_per_byte([TEXT, b"ab"]) == pytest.approx(
        -(model.logprob(TEXT) + model.logprob(b"ab")) / math.log(2) / (len(TEXT) + 2)
    )
    ends = [math.exp(model.logprob(x, end=True)) for x in (b"", b"a", b"b", b" ")]
    steps = [math.exp(model.logprob(x)) for x in (b"a", b"b", b" ", b"\n")]
    assert semantics in ("valid", "fast") or ends[0] + sum(steps) == pytest.approx(1, abs=1e-12)


def test_ids_may_be_in_any_order() -> None:
    one = small_model()
    merges = [(b"a", b"b"), (b" ", b"a"), (b" ", b"ab"), (b"b", b"b"), (b"ab", b"bb")]
    tok = bw.Tokenizer.from_merges(merges, alphabet=b"\nb a", pattern="gpt2")
    size = tok.vocab_size
    known = [one.tokenizer.token_bytes(at) for at in range(size)]
    to = [int(tok.token_id(token) or 0) for token in known] + [size]
    back = {new: old for old, new in enumerate(to)}
    row = hashed(size + 1, 3, 3.0)

    def permuted(context: tuple[int, ...]) -> Row:
        moved = np.empty(size + 1)
        moved[to] = row(tuple(back[token] for token in context))
        return moved

    for semantics in SEMANTICS:
        first = bw.ByteModel(one, semantics=semantics)
        other = bw.ByteModel(row_model(tok, permuted, size), semantics=semantics)
        assert np.allclose(first.score(TEXT), other.score(TEXT), atol=1e-12)


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("epsilon", [1e-4, 1e-2, 0.2])
def test_what_pruning_changes_is_within_its_bound(semantics: Any, epsilon: float) -> None:
    for scale in (1.0, 6.0):
        exact = bw.ByteModel(small_model(scale=scale), semantics=semantics)
        pruned = bw.ByteModel(small_model(scale=scale), semantics=semantics, epsilon=epsilon)
        state = pruned.start()
        for at in range(len(TEXT)):
            truth, found = exact.start(TEXT[:at]).next(), state.next()
            apart = 0.5 * np.abs(truth.probs - found.probs).sum()
            assert apart <= found.error_bound + 1e-12
            assert found.error_bound < 1 if truth.lost_mass < 0.9 else True
            state.advance(TEXT[at : at + 1])
        assert pruned.contexts <= exact.contexts


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_hard_rows_lose_nothing(dtype: Any) -> None:
    tok = small_model().tokenizer
    size = tok.vocab_size
    far = np.array([1e4 * (-1) ** at for at in range(size + 1)]).astype(dtype)
    single = np.full(size + 1, -np.inf)
    single[tok.token_id(b"ab")] = 0
    holes = np.where(np.arange(size + 1) % 2, -np.inf, 0.0)
    for row in (far, single, holes):
        wide = np.concatenate([row, np.full(3, 5.0)])  # What stands behind the ids is no token.
        for columns in (row, wide):

            def fn(contexts: Any, columns: Any = columns) -> Any:
                return np.tile(columns, (len(contexts), 1)).astype(dtype)

            model = bw.ByteModel(bw.CallableModel(tok, fn, eos_id=size), semantics="all")
            state = model.start()
            for _ in range(5):
                found = state.next()
                assert not np.isnan(found.logprobs).any()
                assert found.lost_mass <= 1e-6
                best = int(found.logprobs.argmax())
                if best == 256:
                    break
                state.advance(bytes([best]))
                assert state.logprob > -math.inf


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("common", [1e8, -1e12])
def test_what_all_logits_have_in_common_changes_nothing(semantics: Any, common: float) -> None:
    plain = small_model()
    tok, rows = plain.tokenizer, plain.logprobs

    def moved(contexts: Any) -> Any:
        return np.asarray(rows(contexts)) + common

    def back(contexts: Any) -> Any:
        """What the sums have left of their digits, beside which nothing is lost."""
        return moved(contexts) - common

    one, other = (
        bw.ByteModel(bw.CallableModel(tok, fn, eos_id=plain.eos_id), semantics=semantics)
        for fn in (moved, back)
    )
    for cut in range(len(TEXT)):
        states = [model.start(TEXT[:cut]) for model in (one, other)]
        found, expected = (state.next() for state in states)
        assert states[0].logprob == pytest.approx(states[1].logprob, rel=1e-12, abs=1e-12)
        assert 0.5 * np.abs(found.probs - expected.probs).sum() < 1e-13
        assert found.lost_mass == pytest.approx(expected.lost_mass, abs=1e-12)


@pytest.mark.parametrize("largest", [np.float64(1.7e308), np.float32(3e38), np.float16(6e4)])
def test_equal_logits_are_equal_probabilities_however_large(largest: Any) -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"abc")
    for semantics in SEMANTICS:
        model = row_model(tok, lambda _: np.full(4, largest), 3, largest.dtype)
        state = bw.ByteModel(model, semantics=semantics).start(b"ca")
        assert state.logprob == pytest.approx(2 * math.log(0.25))
        assert state.next().probs[[97, 98, 99, 256]] == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("low", [-1e4, -math.inf])
def test_shares_of_what_is_discarded_are_no_numbers_lost(dtype: Any, low: float) -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab")
    # After "a", what the tokenizer may make ("a", or the end) is all but impossible beside "b".
    row = np.array([low, 0.0, low, low])

    def rows(context: tuple[int, ...]) -> Row:
        return row if context == (0,) else np.zeros(4)

    for semantics in SEMANTICS:
        model = bw.ByteModel(row_model(tok, rows, 3, dtype), semantics=semantics)
        found = model.start(b"a").next()
        assert not np.isnan(found.logprobs).any()
        assert found.probs.sum() == pytest.approx(1.0)
    if low > -math.inf:
        # "a" is "a" or begins "ab"; the first goes on with "a", "ab", or ends, alike.
        expected = [1 / 3, 1 / 2, 1 / 6]
        found = bw.ByteModel(row_model(tok, rows, 3, dtype), semantics="local").start(b"a").next()
        assert found.probs[[97, 98, 256]] == pytest.approx(expected, abs=1e-6)


def test_nothing_lost_is_zero_without_a_sign() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"ab")
    model = bw.CallableModel(tok, lambda contexts: np.zeros((len(contexts), 2)))
    found = bw.ByteModel(model).start(b"a").next()
    assert (repr(found.lost_mass), found.log_kept) == ("0.0", 0.0)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_ends_are_exact_where_almost_all_is_lost(semantics: Any) -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"ab", special_tokens=["<mask>", "<eos>"])
    # All but e^-60 is the special token, of which no text is made.
    rows = np.array([-60.0, -70.0, 0.0, -65.0])
    model = bw.CallableModel(tok, lambda contexts: np.tile(rows, (len(contexts), 1)), eos_id=3)
    found = bw.ByteModel(model, semantics=semantics)
    # "local" shares out what is lost.
    whole = np.logaddexp.reduce(rows if semantics != "local" else rows[[0, 1, 3]])
    assert found.logprob(b"a", end=True) == pytest.approx(-125.0 - 2 * whole, abs=1e-9)
    step = found.start(b"a").next()
    assert step.log_kept == pytest.approx(np.logaddexp.reduce(rows[[0, 1, 3]]) - whole, abs=1e-9)


def test_wrong_rows_are_refused_by_name() -> None:
    tok = small_model().tokenizer
    size = tok.vocab_size
    for value, message in [(np.nan, "NaN at token id 2"), (np.inf, "infinity at token id 2")]:
        row = np.zeros(size + 1)
        row[2] = value
        model = bw.ByteModel(row_model(tok, lambda _, row=row: row, size))
        with pytest.raises(bw.DataError, match=message):
            model.start().next()
    nothing = np.full(size + 1, -np.inf)
    with pytest.raises(bw.DataError, match="any probability"):
        bw.ByteModel(row_model(tok, lambda _: nothing, size)).start().next()
    with pytest.raises(bw.ArgumentError, match="none of 'all'"):
        bw.ByteModel(small_model(), semantics="some")  # type: ignore[arg-type]
    with pytest.raises(bw.ArgumentError, match=r"epsilon=1\.0"):
        bw.ByteModel(small_model(), epsilon=1.0)
    with pytest.raises(bw.ArgumentError, match="lone surrogate"):
        bw.ByteModel(small_model()).start("a\ud800")


def test_what_cannot_be_has_probability_0() -> None:
    model = bw.ByteModel(small_model())
    state = model.start(b"a\xff")
    assert state.logprob == -math.inf
    assert model.score(b"ab\xffa").tolist()[2:] == [-math.inf, -math.inf]
    assert state.advance(b"more").logprob == -math.inf
    assert model.logprob(b"\xff", end=True) == -math.inf


@pytest.mark.parametrize("pattern", [None, r"a+|[^a]"])
def test_an_end_that_is_text_to_the_tokenizer(pattern: str | None) -> None:
    """Neighbours are as the tokenizer makes them, of which the end is a token like any other."""
    merges = [(b"<", b"a"), (b"a", b"b"), (b"a", b"a")]
    tok = bw.Tokenizer.from_merges(merges, alphabet=b"<ab", pattern=pattern)
    size = tok.vocab_size
    for end in range(size):
        given = hashed(size, 9, 2.0)

        def row(context: tuple[int, ...], end: int = end, given: Any = given) -> Row:
            """With the end last, and nowhere else."""
            found = np.append(given(context), given(context)[end])
            found[end] = -np.inf
            return found

        for semantics in SEMANTICS:
            model = bw.ByteModel(row_model(tok, given, end), semantics=semantics)
            oracle = Cover(tok, row, semantics, tails=3)
            for text in (b"", b"<", b"a", b"b", b"<a", b"ab", b"aa", b"<ab", b"aab", b"b<a"):
                assert_defined(model, oracle, text)


def test_special_tokens_are_not_their_text() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"<s>", special_tokens=["<s>", "<eos>"])
    model = bw.CallableModel(tok, lambda c: np.zeros((len(c), tok.vocab_size)), eos_id=4)
    for semantics in SEMANTICS[:3]:
        found = bw.ByteModel(model, semantics=semantics).start().next()
        assert found.lost_mass == pytest.approx(0.2)
        assert found.probs[[60, 115, 62, 256]] == pytest.approx([0.25] * 4)
    found = bw.ByteModel(model, semantics="local").start().next()
    assert found.lost_mass == pytest.approx(0.0)
