"""Byte probabilities where pieces cut characters, or characters are merged inside of pieces."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_zst
from reference_bytes import Cover
from test_torture import TORTURE, Certain, check
from tiny_vocabularies import metaspace_json, tokenizer_json
from toy_models import SEMANTICS, hashed, row_model

import bytewright as bw


def compare(
    tok: bw.Tokenizer, texts: list[bytes], alphabet: bytes, *, tails: int, semantics: Any
) -> int:
    """How many texts were found as likely, and to go on, as by the definition."""
    size = tok.vocab_size
    # Bytes that the definition does not try are in no text.
    foreign = [at for at in range(size) if not set(tok.token_bytes(at)) <= set(alphabet)]

    @lru_cache(None)
    def row(context: tuple[int, ...]) -> Any:
        logits = np.random.default_rng([5, *context]).normal(0, 1.5, size + 1)
        logits[foreign] = -np.inf
        return logits - np.log(np.exp(logits).sum())

    model = bw.ByteModel(row_model(tok, row, size), semantics=semantics)
    oracle = Cover(tok, row, semantics, tails=tails, utf8=True, alphabet=alphabet)
    possible = 0
    for text in texts:
        state, whole = model.start(text), oracle.prob(text)
        assert math.exp(state.logprob) == pytest.approx(whole, rel=1e-9, abs=1e-300), text
        joint = {byte: oracle.prob(text + bytes([byte])) for byte in alphabet} if whole else {}
        total = sum(joint.values()) + (oracle.end(text) if whole else 0)
        if total == 0:
            continue
        found = state.next()
        expected = np.zeros(257)
        expected[list(joint)] = np.array(list(joint.values())) / total
        expected[256] = oracle.end(text) / total
        assert 0.5 * np.abs(found.probs - expected).sum() <= 1e-9, text
        assert found.lost_mass == pytest.approx(1 - total / whole, abs=1e-9), text
        possible += 1
    return possible


def strings(alphabet: bytes, lengths: tuple[int, ...], seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return sorted({bytes(rng.choice(list(alphabet), n).tolist()) for n in lengths})


ACUTE, GRAVE = "é".encode(), "ò".encode()  # The last byte of the second has a digit for stand-in.
FALCON_MERGES = [
    [(b"\xc3", b"\xa9"), (b"1", b"1"), (b"\xb2", b"1"), (b"11", b"1")],
    [(b"a", b"\xc3"), (b"\xb2", b"\xb2"), (b"1", b"\xb2"), (b"\xa9", b"a"), (b"\xc3", b"\xb2")],
]


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("merges", FALCON_MERGES, ids=["digits", "letters"])
def test_digits_in_stand_ins_cut_characters(merges: Any, semantics: Any) -> None:
    alphabet = b"a1\xa9\xb2\xc3"
    tok = bw.Tokenizer.from_merges(merges, alphabet=alphabet, pattern="falcon")
    texts = strings(alphabet, (1, 2, 2, 3, 3, 3, 4, 4), 1)
    texts += [b"", b"11", b"111", b"1111", GRAVE + b"1", b"1" + GRAVE + b"11", GRAVE * 2, ACUTE * 2]
    texts += [b"\xc3", b"a\xc3", b"11\xc3", GRAVE + b"\xc3", b"a" + ACUTE, b"11" + GRAVE]
    assert compare(tok, texts, alphabet, tails=4, semantics=semantics) > 12


def characters(
    folder: Path,
    pre_tokenizer: Any,
    symbols: list[str],
    merges: list[tuple[str, str]],
    **model: Any,
) -> bw.Tokenizer:
    """Few characters and byte tokens, cut into pieces before anything is merged."""
    root = metaspace_json(pre_tokenizer=pre_tokenizer, decoder=None)
    fallback = [f"<0x{b:02X}>" for b in range(256)] if model.get("byte_fallback", True) else []
    texts = ["<unk>", *fallback, *symbols, *(a + b for a, b in merges)]
    root["model"] |= model | {
        "vocab": {text: at for at, text in enumerate(texts)},
        "merges": [list(pair) for pair in merges],
    }
    root["added_tokens"] = [
        {"id": 0, "content": "<unk>", "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    ]
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(root))
    return bw.Tokenizer.load(path)


METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True}


def regex(pattern: str, behavior: str = "Isolated", invert: bool = False) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


LATIN = [chr(code) for code in range(0xC0, 0x100)]
CASES: dict[str, tuple[Any, str, list[str], list[tuple[str, str]]]] = {
    "metaspace": (METASPACE, "aé ò", ["▁", "a", "é"], [("▁", "a"), ("a", "é"), ("é", "▁")]),
    # No character that begins as these do is left to be spelled.
    "letters": (regex(r"\s+|\p{L}+"), "aéò ", ["a", *LATIN], [("é", "a"), ("ò", "é")]),
    "look-ahead": (regex(r" ?\p{L}+|\s+(?!\S)|\s+"), "aé ", [" ", "a"], [(" ", "a"), (" ", " ")]),
    "next": (regex("é", "MergedWithNext"), "aéò", ["a", "ò"], [("a", "ò"), ("ò", "a")]),
}


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("name", CASES)
def test_merged_characters_of_pieces(tmp_path: Path, name: str, semantics: Any) -> None:
    pre_tokenizer, text, symbols, merges = CASES[name]
    tok = characters(tmp_path, pre_tokenizer, symbols, merges)
    alphabet = bytes(sorted(set(text.encode())))
    texts = strings(alphabet, (1, 2, 2, 2), 2)
    texts += [b"", *(c.encode() for c in text), b"\xc3"]
    texts += [part.encode()[:3] for part in ("aé", "éa", "ò ", "òé", " a", "a a", "aa", "  ", "éò")]
    assert compare(tok, texts, alphabet, tails=2, semantics=semantics) > 8


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("name", CASES)
def test_without_byte_tokens_texts_are_of_known_characters(
    tmp_path: Path, name: str, semantics: Any
) -> None:
    pre_tokenizer, _, symbols, merges = CASES[name]
    tok = characters(tmp_path, pre_tokenizer, [*symbols, "b"], merges, byte_fallback=False)
    alphabet = "".join({"▁": " "}.get(s, s) for s in ["b", *symbols][:5]).encode()
    texts = strings(bytes(sorted(set(alphabet))), (1, 2, 3, 3), 2)
    texts += [b"", *("".join(pair).replace("▁", " ").encode() for pair in merges)]
    compare(tok, texts, bytes(sorted(set(alphabet))), tails=3, semantics=semantics)
    model = bw.ByteModel(
        bw.CallableModel(tok, lambda c: np.zeros((len(c), tok.vocab_size))), semantics="valid"
    )
    assert model.start("xyz").logprob == -math.inf
    assert model.start("b").logprob > -math.inf


@pytest.mark.parametrize("first", [[], [{"type": "Digits", "individual_digits": True}]])
def test_the_path_of_the_tokenizer_is_never_lost(shared: Path, tmp_path: Path, first: Any) -> None:
    """A published vocabulary of characters, cut at spaces, and at digits before."""
    root = json.loads(read_zst(shared / "data/vocabs/phi-3-mini.tokenizer.json.zst"))
    root["normalizer"] = None
    root["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*first, METASPACE]}
    root["decoder"] = METASPACE
    root["added_tokens"] = [token for token in root["added_tokens"] if token["special"]]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(root))
    certain = Certain(bw.Tokenizer.load(path), "valid")
    for text in TORTURE[:: 2 if first else 1]:
        check(certain, certain.normalized(text))


def test_what_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    """Tokens that spell the ends of words, and joins that are taken back."""
    root = tokenizer_json()
    vocab, suffix = root["model"]["vocab"], "</w>"
    vocab |= {text + suffix: len(vocab) + at for at, text in enumerate(list(vocab))}
    root["model"]["end_of_word_suffix"] = suffix
    (tmp_path / "tokenizer.json").write_text(json.dumps(root))
    words = bw.Tokenizer.load(tmp_path / "tokenizer.json")
    picky = bw.train_picky(["low lower lowest"] * 9, 259, tau=0.6)
    for tok, reason in [(words, "marks the ends of words"), (picky, "takes apart again")]:
        model = row_model(tok, hashed(tok.vocab_size, 1, 1.0), 0)
        with pytest.raises(bw.ArgumentError, match=reason):
            bw.ByteModel(model)
        assert bw.ByteModel(model, semantics="all").start("lo").logprob < 0
