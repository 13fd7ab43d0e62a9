"""Arguments of another type, or out of range, are refused by name, with no error of Python's."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bytewright as bw

TOK = bw.Tokenizer.from_merges([(b"a", b"b")])


def model() -> bw.ByteModel:
    return bw.ByteModel(bw.NgramModel.fit(TOK, ["abab"]))


def corpus(folder: Path, **options: Any) -> Any:
    (folder / "in.txt").write_text("ab")
    return bw.encode_corpus(folder / "in.txt", TOK, folder / "out", **options)


CALLS: dict[str, Callable[[Any], Any]] = {
    "decode": lambda _: TOK.decode([None]),
    "decode a number": lambda _: TOK.decode_bytes(97),
    "is_canonical": lambda _: TOK.is_canonical(["a"]),
    "token_bytes": lambda _: TOK.token_bytes("a"),  # type: ignore[arg-type]
    "token_id": lambda _: TOK.token_id("a"),  # type: ignore[arg-type]
    "limit": lambda _: TOK.count("ab", limit=1.5),  # type: ignore[arg-type]
    "truncate": lambda _: TOK.truncate("ab", "1"),  # type: ignore[call-overload]
    "threads": lambda _: TOK.encode_batch(["ab"], threads="2"),  # type: ignore[arg-type]
    "allowed": lambda _: TOK.encode("ab", allowed_special=3),  # type: ignore[arg-type]
    "stream encoder": lambda _: TOK.stream_encoder().push("a"),  # type: ignore[arg-type]
    "stream decoder": lambda _: TOK.stream_decoder().push(None),
    "merges": lambda _: bw.Tokenizer.from_merges(3),  # type: ignore[arg-type]
    "alphabet": lambda _: bw.Tokenizer.from_merges([], alphabet=3),  # type: ignore[arg-type]
    "special": lambda _: bw.Tokenizer.from_merges([], special_tokens=3),  # type: ignore[arg-type]
    "load": lambda _: bw.Tokenizer.load(None),  # type: ignore[arg-type]
    "save": lambda _: TOK.save(b"x.json"),  # type: ignore[arg-type]
    "count": lambda _: bw.count_pretokens(["ab"], pattern=None, threads=1.5),  # type: ignore[arg-type]
    "vocab_size": lambda _: bw.train(["ab"], None),  # type: ignore[arg-type]
    "min_frequency": lambda _: bw.train(["ab"], 257, min_frequency=None),  # type: ignore[arg-type]
    "constraints": lambda _: bw.train(["ab"], 257, constraints=3),  # type: ignore[arg-type]
    "superword": lambda _: bw.train(["ab"], 257, superword=3),  # type: ignore[arg-type]
    "temperature": lambda _: model().sample(b"", max_bytes=1, temperature=None),  # type: ignore[arg-type]
    "paths": lambda _: model().start(b"a").paths(1.5),  # type: ignore[arg-type]
    "choices": lambda _: bw.ChoiceConstraint(3),  # type: ignore[arg-type]
    "inputs": lambda folder: bw.encode_corpus(3, TOK, folder / "out"),  # type: ignore[arg-type]
    "input of bytes": lambda folder: bw.encode_corpus(b"in.txt", TOK, folder / "out"),  # type: ignore[arg-type]
    "text_field": lambda folder: corpus(folder, text_field=3),
    "progress": lambda folder: corpus(folder, progress=3),
    "memory": lambda folder: corpus(folder, memory=1e9),
    "end of a format": lambda _: bw.FimFormat(
        (0, bw.FimPart.PREFIX, 1, bw.FimPart.SUFFIX, 2),
        bw.FimPart.PREFIX,  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_wrong_types_are_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(bw.ArgumentTypeError):
        CALLS[name](tmp_path)


def test_numbers_that_no_machine_holds_are_as_many_as_there_are(tmp_path: Path) -> None:
    bw.count_pretokens(["ab"], pattern=None, threads=2**70, memory=2**70)
    bw.train(["abab"], 257, constraints=bw.MaxBytes(2**70))
    corpus(tmp_path, memory="9999999999T", part_bytes=2**70)
    assert len(model().start(b"a").paths(2**70)) > 0


def test_numbers_of_numpy_are_numbers() -> None:
    same = bw.train(["abab"], np.int64(257), max_token_bytes=np.int64(2))  # type: ignore[arg-type]
    assert same == bw.train(["abab"], 257, max_token_bytes=2)
    tokens = bw.NgramModel.fit(TOK, ["abab"], order=np.int8(3))  # type: ignore[arg-type]
    assert tokens.order == 3
    bytes_of = bw.ByteModel(tokens, memory=np.int64(9999))  # type: ignore[arg-type]
    few: dict[str, Any] = {"max_bytes": np.int8(3), "seed": np.uint64(2**63)}
    assert bytes_of.sample("a", **few) == bytes_of.sample("a", max_bytes=3, seed=2**63)
    few |= {"budget": np.int16(9), "trajectories": np.uint8(2)}
    some = bytes_of.infill("a", "b", max_bytes=3, seed=2**63, budget=9, trajectories=2)
    assert bytes_of.infill("a", "b", **few) == some
    any_text = bw.CallableConstraint(lambda _: True)
    one: dict[str, Any] = {"particles": np.int8(2), "max_bytes": np.int8(1)}
    drawn = bw.sample_weighted(bytes_of, "a", constraint=any_text, **one)
    assert len(drawn) == 2
    wide = bw.train(["abab"], 258, superword=bw.Superword(np.uint8(2)))  # type: ignore[arg-type]
    assert wide == bw.train(["abab"], 258, superword=bw.Superword(2))
    ids: Any = np.arange(4)
    named = bw.FimFormat.psm(*ids[:3], end=ids[3])
    assert named.prompt(TOK, "a", "b") == bw.FimFormat.psm(0, 1, 2, end=3).prompt(TOK, "a", "b")
    back = np.int8(2)
    assert bw.BaselineModel(tokens, method="alignment", back=back).back == 2  # type: ignore[arg-type]


def test_true_is_no_number() -> None:
    for call in (
        lambda: model().sample("a", max_bytes=True),
        lambda: bw.NgramModel.fit(TOK, ["ab"], order=True),
        lambda: model().start("a").paths(True),
        lambda: TOK.count("ab", limit=True),
        lambda: bw.CallableModel(TOK, len, eos_id=True),
    ):
        with pytest.raises(bw.ArgumentTypeError, match="must be an int"):
            call()


def test_true_is_no_token() -> None:
    ids: Any = [97, True]
    for call in (
        lambda: TOK.token_bytes(True),
        lambda: TOK.decode(ids),
        lambda: TOK.decode_bytes(tuple(ids)),
        lambda: TOK.is_canonical(ids),
        lambda: TOK.stream_decoder().push(ids),
    ):
        with pytest.raises(bw.ArgumentTypeError, match="token ids must be integers, not bool"):
            call()


def test_special_tokens_of_ranks_are_texts(tmp_path: Path) -> None:
    ranks = tmp_path / "x.tiktoken"
    bw.Tokenizer.from_merges([]).save(ranks)
    wrong: list[tuple[Any, type[bw.BytewrightError], str]] = [
        (3, bw.ArgumentTypeError, "special_tokens must be texts"),
        (["\ud800"], bw.ArgumentError, "lone surrogate"),
        ({"\ud800": 2000}, bw.ArgumentError, "lone surrogate"),
        ([[1]], bw.ArgumentError, r"special token \[1\]"),
        (["<a>", "<a>"], bw.ArgumentError, "twice"),
        (iter(["<a>", "<a>"]), bw.ArgumentError, "twice"),
    ]
    for special, kind, message in wrong:
        with pytest.raises(kind, match=message):
            bw.Tokenizer.load(ranks, pattern="gpt2", special_tokens=special)
    made: Any = (text for text in ("<a>", "<b>"))
    tok = bw.Tokenizer.load(ranks, pattern="gpt2", special_tokens=made)
    assert tok.special_tokens == {"<a>": 256, "<b>": 257}


@pytest.mark.filterwarnings("ignore:the text has")
@pytest.mark.parametrize("train", ["train", "train_boundless", "train_picky", "train_ca"])
def test_special_tokens_may_come_one_by_one(train: str) -> None:
    trainers: dict[str, Any] = {
        "train": bw.train,
        "train_boundless": bw.train_boundless,
        "train_picky": bw.train_picky,
        "train_ca": partial(bw.train_compression_aware, validation="ab"),
    }
    learn = trainers[train]
    made, listed = (learn(["ab ab"], 260, special_tokens=one(["<s>"])) for one in (iter, list))
    assert made.fingerprint == listed.fingerprint
    assert list(made.special_tokens) == ["<s>"]


@pytest.mark.parametrize("pattern", [np.array([], object), "\ud800", "a" * 100_000])
def test_what_is_no_pattern_is_told_in_a_line(pattern: Any, tmp_path: Path) -> None:
    ranks = tmp_path / "x.tiktoken"
    bw.Tokenizer.from_merges([]).save(ranks)
    for use in (
        lambda: bw.Tokenizer.load(ranks, pattern=pattern),
        lambda: bw.Tokenizer.from_merges([], pattern=pattern),
        lambda: bw.count_pretokens(["ab"], pattern=pattern),
        lambda: bw.train_boundless(["ab"], 257, pattern=pattern),
    ):
        with pytest.raises(bw.ArgumentError, match=r"^pattern [^\n]{,400}$"):
            use()


def test_lone_surrogates_in_a_pattern_are_refused() -> None:
    with pytest.raises(bw.ArgumentError, match="lone surrogate"):
        bw.RegexConstraint("a\ud800")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_input_that_could_be_read_again(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.txt")
    with pytest.raises(bw.DataError, match="no regular file"):
        bw.encode_corpus(tmp_path / "in.txt", TOK, tmp_path / "out")
