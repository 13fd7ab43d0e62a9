"""Training gives the merges that others give, and those of the definition."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_jsonl_zst, read_zst, shared_path
from reference import joined, trained

import bytewright as bw
from bytewright.formats.byte_level import STAND_INS, from_stand_ins

pytestmark = pytest.mark.timeout(300)


def golden_runs() -> list[dict[str, Any]]:
    folder = shared_path()
    if folder is None:
        return []
    index = json.loads((folder / "data/golden_train/index.json").read_text())
    return [run | {"regex": index["regex"]} for run in index["items"] if "merges" in run]


def corpus(shared: Path, name: str, first: int) -> Iterator[str]:
    return (row["text"] for row in islice(read_jsonl_zst(shared / "data" / name), first))


def pattern_of(run: dict[str, Any]) -> str | None:
    name = run["pretokenizer"]
    return None if name == "none" else run["regex"].get(name, name)


@pytest.mark.parametrize("run", golden_runs(), ids=lambda run: run["name"])
def test_merges_are_those_of_tokenizers(shared: Path, run: dict[str, Any]) -> None:
    trainer = run["trainer"]
    longest = trainer.get("max_token_length")
    texts = list(corpus(shared, run["corpus"], run["first_docs"]))
    options = {
        "pattern": pattern_of(run),
        "special_tokens": trainer.get("special_tokens", ()),
        "min_frequency": trainer.get("min_frequency", 1),
        "max_token_bytes": None if longest is None else longest - 1,
        "byte_order": "gpt2",
    }
    if run["vocab"] < trainer["vocab_size"]:
        with pytest.warns(UserWarning, match="smaller than asked for"):
            tok = bw.train(texts, trainer["vocab_size"], **options)
    else:
        tok = bw.train(texts, trainer["vocab_size"], **options)
    golden = shared / "data/golden_train" / run["name"]
    lines = read_zst(golden.with_suffix(".merges.txt.zst")).decode().splitlines()
    stand_in = str.maketrans({byte: STAND_INS[byte] for byte in range(256)})
    ours = [
        " ".join(part.decode("latin-1").translate(stand_in) for part in pair) for pair in tok.merges
    ]
    assert ours == lines
    vocab = json.loads(read_zst(golden.with_suffix(".vocab.json.zst")))
    tokens, _ = from_stand_ins(list(vocab))
    specials = {text.encode(): at for text, at in tok.special_tokens.items()}
    assert specials == {text.encode(): vocab[text] for text in trainer.get("special_tokens", ())}
    known = {token: at for token, at in zip(tokens, vocab.values(), strict=True)} | specials
    assert {tok.token_bytes(at): at for at in range(tok.vocab_size)} == known
    ids = [tok.encode_array(text, allowed_special="all") for text in texts]
    assert sum(map(len, ids)) == run["tokens_on_training_docs"]
    flat = np.concatenate(ids).astype("<u4").tobytes()
    assert hashlib.sha256(flat).hexdigest() == run["sha256_u32le"]


CORPORA = [
    ("corpora/english/books_en.jsonl.zst", 60, r"\p{L}+|\p{N}{1,3}|[^\p{L}\p{N}]+"),
    ("corpora/code/code.jsonl.zst", 12, "gpt4"),
    ("corpora/multilingual/th.jsonl.zst", 60, "gpt4"),
    ("corpora/multilingual/zh-Hans.jsonl.zst", 100, "o200k"),
]


@pytest.mark.parametrize(("name", "docs", "pattern"), CORPORA)
def test_merges_are_those_of_rustbpe(shared: Path, name: str, docs: int, pattern: str) -> None:
    rustbpe = pytest.importorskip("rustbpe")
    regex = bw.Tokenizer.from_merges([], pattern=pattern).definition.rules()["pretokenizer"]
    assert isinstance(regex, list)
    texts = list(corpus(shared, name, docs))
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator(iter(texts), 1500, pattern=regex[0]["regex"])
    ours = bw.train(texts, 1500, pattern=pattern)
    expected = [
        bytes(token) for token, _ in sorted(theirs.get_mergeable_ranks(), key=itemgetter(1))
    ]
    assert [ours.token_bytes(at) for at in range(1500)] == expected


@pytest.mark.parametrize("byte_order", ["raw", "gpt2"])
@pytest.mark.parametrize(("name", "docs", "pattern"), CORPORA)
def test_merges_are_those_of_the_definition(
    shared: Path, name: str, docs: int, pattern: str, byte_order: Any
) -> None:
    counts = bw.count_pretokens(list(corpus(shared, name, docs // 10 + 1)), pattern=pattern)
    tok = bw.train(counts, 340, byte_order=byte_order)
    order = [tok.token_bytes(at) for at in range(256)]
    assert tok.merges == trained(dict(counts), 340 - 256, order=order)


TEXTS = [
    "It was the best of times, it was the worst of times, it was the age of wisdom,",
    "it was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity",
    "12345 1234567 7 times seventy-seven is 539",
    "Привет, мир! Всем привет, кто в этом мире есть.",
]


def test_threads_partitions_and_order_change_nothing(tmp_path: Path) -> None:
    texts = [f"{text} {at % 7} {text[at % 5 :]}" for at in range(64) for text in TEXTS]
    expected = bw.train(texts, 370, threads=1).fingerprint
    for parts in (1, 2, 7, 64):
        files = []
        for part in range(parts):
            files.append(tmp_path / f"{parts}-{part}.jsonl")
            lines = [json.dumps({"text": text}) for text in texts[part::parts]]
            files[-1].write_text("\n".join(lines))
        assert bw.train(files[::-1], 370, threads=2).fingerprint == expected
        counted = [bw.count_pretokens(file, pattern="o200k") for file in files]
        assert bw.train(sum(counted), 370).fingerprint == expected


def test_a_budget_of_memory_changes_nothing() -> None:
    assert bw.train(TEXTS, 300, memory="64MB").fingerprint == bw.train(TEXTS, 300).fingerprint
    with pytest.raises(bw.ArgumentError, match="less than"):
        bw.train(TEXTS, 300, memory="1MB")


@pytest.mark.parametrize("texts", [[], [""], ["a"], [b"\xff"]])
def test_what_has_no_pairs_gives_the_bytes_and_a_warning(texts: list[str]) -> None:
    with pytest.warns(UserWarning, match="has pairs for 0 merges"):
        tok = bw.train(texts, 300)
    assert tok.vocab_size == 256
    assert tok.encode(b"a\xff") == [97, 255]


def test_a_vocabulary_of_the_bytes_alone_needs_no_warning() -> None:
    assert bw.train([], 257, special_tokens=["<end>"]).special_tokens == {"<end>": 256}


def test_equal_bytes_double() -> None:
    tok = bw.train(["a" * 64], 262, pattern=None)
    assert [tok.token_bytes(at) for at in range(256, 262)] == [
        b"a" * 2**power for power in range(1, 7)
    ]


def test_counts_may_pass_32_bits() -> None:
    counts = bw.PretokenCounts.from_dict({"ab": 2**40, "bc": 2**40 + 1, "cd": 2**33}, pattern=None)
    tok = bw.train(counts, 259)
    assert tok.merges == [(b"b", b"c"), (b"a", b"b"), (b"c", b"d")]


def test_bytes_that_are_not_utf8_are_learned() -> None:
    tok = bw.train([b"\xff\xfe\xff\xfe\x00", b"\xff\xfe"], 257, pattern=None)
    assert tok.merges == [(b"\xff", b"\xfe")]


def test_special_tokens_stand_last_or_first() -> None:
    raw = bw.train(TEXTS, 300, special_tokens=["<a>", "<b>"])
    assert raw.vocab_size == 300
    assert raw.special_tokens == {"<a>": 298, "<b>": 299}
    gpt2 = bw.train(TEXTS, 300, special_tokens=["<a>", "<b>"], byte_order="gpt2")
    assert gpt2.special_tokens == {"<a>": 0, "<b>": 1}
    assert gpt2.token_bytes(2) == b"!"
    for tok in (raw, gpt2):
        assert [tok.decode(tok.encode(text)) for text in TEXTS] == TEXTS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocab_size": 255}, "from 256"),
        ({"vocab_size": 257, "special_tokens": ["a", "b"]}, "from 258"),
        ({"vocab_size": 1 << 21}, "is allowed"),
        ({"special_tokens": ["a", "a"]}, "distinct"),
        ({"special_tokens": "a"}, "distinct"),
        ({"byte_order": "other"}, "raw, gpt2 are allowed"),
        ({"max_token_bytes": 0}, "at least 1"),
        ({"constraints": [3]}, "no constraint"),
        ({"constraints": [bw.Digits("left"), bw.Digits("right")]}, "only one"),
        ({"initial_merges": [(b"ab", b"c")]}, "neither a byte nor made"),
        ({"weights": {"a": 1}}, "named sources"),
        ({"pattern": "unheard-of"}, "not a known name"),
        ({"min_frequency": -1}, "min_frequency=-1: at least 0"),
        ({"superword": bw.Superword(2**70)}, f"transition={2**70}: from 0 to the 4"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(bw.BytewrightError, match=message):
        bw.train(["some text"], **({"vocab_size": 260} | arguments))


def test_counts_of_another_pattern_are_refused() -> None:
    counts = bw.count_pretokens(TEXTS, pattern="gpt2")
    assert bw.train(counts, 260).pattern == "gpt2"
    with pytest.raises(bw.ArgumentError, match="not by 'cl100k'"):
        bw.train(counts, 260, pattern="cl100k")
    with pytest.raises(bw.ArgumentError, match="digits-right"):
        bw.train(counts, 260, constraints=bw.Digits("right"))


# Weights


def test_weights_are_exact() -> None:
    sources = {"one": ["abab"], "other": ["cd cd cd"]}
    alike = bw.train(sources, 257, pattern="gpt2")
    assert alike.merges == [(b"c", b"d")]
    tok = bw.train(sources, 257, pattern="gpt2", weights={"one": Fraction(3, 2) + Fraction(1, 97)})
    assert tok.merges == [(b"a", b"b")]
    # 2 * 3/2 is 3: a tie, and the smaller ids win; a hair less, and they do not.
    even = {"one": Fraction(3, 2)}
    assert bw.train(sources, 257, pattern="gpt2", weights=even).merges == [(b"a", b"b")]
    less = {"one": Fraction(3, 2) - Fraction(1, 10**9)}
    assert bw.train(sources, 257, pattern="gpt2", weights=less).merges == [(b"c", b"d")]


def test_weights_scale_the_least_count_too() -> None:
    sources = {"one": ["ab"], "other": ["cd", "cd"]}
    weights = {"one": Fraction(7, 3), "other": Fraction(1, 2)}
    with pytest.warns(UserWarning, match="min_frequency=2"):
        tok = bw.train(sources, 300, pattern=None, weights=weights, min_frequency=2)
    assert tok.merges == [(b"a", b"b")]


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"x": 1}, "the sources are"), ({"one": 0}, "positive"), ({"one": 0.5}, "Fraction")],
)
def test_weights_that_mean_nothing_are_refused(weights: dict[str, Any], message: str) -> None:
    with pytest.raises(bw.BytewrightError, match=message):
        bw.train({"one": ["a"]}, 256, weights=weights)


# Going on


def test_initial_merges_keep_their_ids_and_go_on() -> None:
    whole = bw.train(TEXTS, 330)
    part = bw.train(TEXTS, 300)
    assert bw.train(TEXTS, 330, initial_merges=part.merges).fingerprint == whole.fingerprint
    assert bw.train(TEXTS, 330, initial_merges=part).merges == whole.merges


def test_initial_merges_that_the_text_has_not_are_kept() -> None:
    tok = bw.train(["ab ab"], 259, initial_merges=[(b"x", b"y"), (b"xy", b"z")], pattern="gpt2")
    assert tok.merges == [(b"x", b"y"), (b"xy", b"z"), (b"a", b"b")]


def test_a_tokenizer_goes_on_with_every_id_it_has() -> None:
    old = bw.train(TEXTS, 300, special_tokens=["<end>"], byte_order="gpt2", pattern="gpt4")
    new = bw.train(TEXTS, 330, initial_merges=old, special_tokens=["<more>"])
    assert new.pattern == "gpt4"
    assert new.special_tokens == {"<end>": 0, "<more>": 329}
    assert [new.token_bytes(at) for at in range(300)] == [old.token_bytes(at) for at in range(300)]
    whole = bw.train(TEXTS, 329, special_tokens=["<end>"], byte_order="gpt2", pattern="gpt4")
    assert new.merges == whole.merges


@pytest.mark.parametrize("options", [{"pattern": "gpt2"}, {"constraints": bw.Digits("left")}])
def test_a_tokenizer_that_goes_on_keeps_its_pattern(options: dict[str, Any]) -> None:
    old = bw.train(TEXTS, 270, pattern="cl100k")
    assert bw.train(TEXTS, 280, initial_merges=old).pattern == "cl100k"
    with pytest.raises(bw.ArgumentError, match="keeps its pattern"):
        bw.train(TEXTS, 280, initial_merges=old, **options)


# Replay


def test_replay_gives_the_counts_of_every_pair_at_every_step() -> None:
    counts = bw.count_pretokens(TEXTS, pattern="gpt2")
    tok = bw.train(counts, 320, byte_order="gpt2")
    merges = [*tok.merges[:20], (b"q", b"q"), *tok.merges[20:]]
    steps = bw.replay(merges, counts, byte_order="gpt2", chunk=7)
    assert len(steps) == len(merges)
    rows = [([bytes([byte]) for byte in piece], count) for piece, count in counts]
    now = dict(zip(map(tuple, steps.pairs.tolist()), steps.counts.tolist(), strict=True))
    done = 0
    for chunk in steps:
        assert chunk.first == done
        for at in range(len(chunk.merges)):
            assert named(steps, now) == pair_counts(rows)
            left, right, product = chunk.merges[at].tolist()
            assert chunk.counts[at] == now.get((left, right), 0)
            assert (steps.tokens[left], steps.tokens[right]) == merges[done]
            assert steps.tokens[product] == b"".join(merges[done])
            some = slice(chunk.offsets[at], chunk.offsets[at + 1])
            changed = zip(chunk.pairs[some].tolist(), chunk.deltas[some].tolist(), strict=True)
            for (one, other), delta in changed:
                now[one, other] = now.get((one, other), 0) + delta
            rows = [(joined(row, merges[done]), count) for row, count in rows]
            done += 1
    assert named(steps, now) == pair_counts(rows)
    assert done == len(merges)


def named(steps: bw.Replay, now: dict[tuple[int, ...], int]) -> dict[tuple[bytes, ...], int]:
    found = {tuple(steps.tokens[at] for at in pair): count for pair, count in now.items()}
    return {pair: count for pair, count in found.items() if count}


def pair_counts(rows: list[tuple[list[bytes], int]]) -> dict[tuple[bytes, ...], int]:
    counts: Counter[tuple[bytes, ...]] = Counter()
    for row, count in rows:
        for pair in pairwise(row):
            counts[pair] += count
    return dict(counts)


def test_replay_of_a_tokenizer_tells_its_own_counts() -> None:
    counts = bw.count_pretokens(TEXTS, pattern="gpt2")
    tok = bw.train(counts, 320)
    told = [count for chunk in bw.replay(tok, counts) for count in chunk.counts.tolist()]
    assert told == sorted(told, reverse=True)
    with pytest.raises(bw.ArgumentError, match="chunk=0"):
        bw.replay(tok, counts, chunk=0)


# Patterns and pieces


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("left", ["123", "456", "7", " ", "12", " ", "123", "456"]),
        ("right", ["1", "234", "567", " ", "12", " ", "123", "456"]),
        ("single", [*"1234567", " ", *"12", " ", *"123456"]),
    ],
)
def test_digits_are_cut_as_asked(groups: Any, expected: list[str]) -> None:
    digits = bw.Digits(groups)
    counts = bw.count_pretokens(["1234567 12 123456"], pattern=digits.pattern("gpt4"))
    assert dict(counts) == {text.encode(): expected.count(text) for text in expected}
    text = ["1234567 12 123456 aabb"]
    tok = bw.train(text, 258, pattern="gpt4", constraints=digits)
    assert tok.pattern == f"gpt4+digits-{groups}"
    counts = bw.count_pretokens(text, pattern=tok.pattern)
    assert bw.train(counts, 258).fingerprint == tok.fingerprint


def test_digits_survive_saving(tmp_path: Path) -> None:
    tok = bw.train(["1234567 12"], 258, constraints=bw.Digits("right"))
    tok.save(tmp_path / "tokenizer.json")
    again = bw.Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.encode("12345678") == tok.encode("12345678")


def test_merges_do_not_cross_morphemes() -> None:
    lexicon = bw.Morphology({"unkind": ["un", "kind"], "kindly": ["kind", "ly"]})
    texts = ["unkind kindly " * 5]
    with pytest.warns(UserWarning, match="smaller"):
        tok = bw.train(texts, 300, pattern="gpt2", constraints=lexicon)
    tokens = {tok.token_bytes(at) for at in range(256, tok.vocab_size)}
    assert {b" un", b"kind", b" kind", b"ly"} <= tokens
    assert not [token for token in tokens if b"nk" in token or b"dl" in token]
    same = bw.Morphology(lambda piece: [piece.find(b"kind"), piece.find(b"ly")])
    with pytest.raises(bw.ArgumentError, match="offsets inside"):
        bw.train(texts, 300, pattern="gpt2", constraints=same)
    with pytest.raises(bw.ArgumentError, match="the lexicon cuts"):
        bw.train(["ab"], 256, constraints=bw.Morphology({"ab": ["a", "c"]}))
