"""What a tokenizer is made of, what it compares by, and that nothing can change it."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_zst
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_vocabularies import added, dumped, sentencepiece, tokenizer_json

import bytewright as bw
from bytewright.definition import Definition

few = settings(max_examples=60)

MERGES = [(b"l", b"o"), (b"lo", b"w"), (b" ", b"t"), (b"\xc3", b"\xa9")]
LOW = 257
TOK = bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pad>"])


# What it is


def test_tokens_are_known_by_id_and_by_bytes() -> None:
    assert TOK.vocab_size == 262
    for i in range(TOK.vocab_size):
        assert TOK.token_id(TOK.token_bytes(i)) == i
    assert TOK.token_id(b"nothing") is None
    assert TOK.token_id(b"") is None
    with pytest.raises(TypeError):
        TOK.token_id("low")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        TOK.token_bytes("low")  # type: ignore[arg-type]


def test_merges_and_pattern_are_those_given() -> None:
    assert TOK.merges == MERGES
    TOK.merges.clear()
    assert TOK.merges == MERGES
    assert TOK.pattern is None
    assert bw.Tokenizer.from_merges([], pattern="gpt2").pattern == "gpt2"
    assert bw.Tokenizer.from_merges([], pattern=r"\s+|\S").pattern == r"\s+|\S"


@few
@given(st.lists(st.integers(0, 261), max_size=12))
def test_canonical_ids_are_those_that_encode_gives(ids: list[int]) -> None:
    assert TOK.is_canonical(ids) is (TOK.encode(TOK.decode_bytes(ids)) == ids)


def test_canonical_takes_the_pattern_into_account() -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b" ")], pattern=r"\s+|\S+")
    assert not tok.is_canonical([256])
    assert tok.is_canonical([97, 32])


def test_a_tokenizer_cannot_be_changed() -> None:
    for name in ("pattern", "vocab_size", "fingerprint", "merges", "_core", "_definition", "new"):
        with pytest.raises(AttributeError, match=r"cannot be set|immutable"):
            setattr(TOK, name, None)
        with pytest.raises(AttributeError):
            delattr(TOK, name)
    assert TOK.encode("low") == [LOW]
    with pytest.raises(AttributeError):
        TOK._core.new = 1  # type: ignore[attr-defined]


# Making one


@pytest.mark.parametrize(
    ("merges", "message"),
    [
        ([(b"a", b"b"), (b"ab", b"x"), (b"y", b"z")], r"merge 1 .*b'x' is neither"),
        ([(b"aba", b"a"), (b"a", b"b")], r"merge 0 .*b'aba' is neither"),
        ([(b"a", b"")], r"merge 0 .*b'' is neither"),
        ([("a", "b")], r"merge 0 .*'a' is not bytes"),
        ([(b"a", bytearray(b"b"))], r"merge 0 .*is not bytes"),
        ([(b"a",)], r"merge 0 .*pair"),
        ([(b"a", b"b", b"a")], r"merge 0 .*pair"),
        ([b"ab"], r"merge 0 .*pair"),
        (["ab"], r"merge 0 .*pair"),
        ([None], r"merge 0 .*pair"),
    ],
)
def test_wrong_merges_are_named(merges: Any, message: str) -> None:
    with pytest.raises(bw.ArgumentError, match=message):
        bw.Tokenizer.from_merges(merges, alphabet=b"ab")


@pytest.mark.parametrize("alphabet", [b"aa", [b"a", b"a"], [b"ab"], [b""], ["a"], "ab", [97]])
def test_a_wrong_alphabet_is_an_error(alphabet: Any) -> None:
    with pytest.raises(bw.ArgumentError, match="alphabet entry"):
        bw.Tokenizer.from_merges([], alphabet=alphabet)


@pytest.mark.parametrize(
    "special", [["<a>", "<a>"], [""], "<a>", b"<a>", [b"<a>"], [3], ["\ud800"]]
)
def test_wrong_special_tokens_are_an_error(special: Any) -> None:
    with pytest.raises(bw.ArgumentError, match="special"):
        bw.Tokenizer.from_merges([], special_tokens=special)


def test_merges_and_special_tokens_may_be_iterators() -> None:
    tok = bw.Tokenizer.from_merges(iter(MERGES), special_tokens=iter(["<end>", "<pad>"]))  # type: ignore[arg-type]
    assert tok == TOK


def test_a_wrong_pattern_is_an_error() -> None:
    for wrong in ("(", r"(a)\1", "[z-a]"):
        with pytest.raises(bw.PatternError):
            bw.Tokenizer.from_merges([], pattern=wrong)


def test_text_outside_a_partial_alphabet_is_an_error_that_says_where() -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab", special_tokens=["<c>"])
    assert tok.encode("abba") == [2, 1, 0]
    calls: list[Callable[[str], object]] = [
        tok.encode, tok.encode_array, tok.encode_offsets, tok.count,
        lambda text: tok.encode_batch([text]), lambda text: tok.count_batch(["", text]),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(bw.ArgumentError, match="byte 0x63 at offset 2 is not in the alphabet"):
            call("abc")


def test_no_alphabet_is_a_vocabulary_of_nothing() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"")
    assert (tok.vocab_size, tok.encode(""), tok.merges) == (0, [], [])
    with pytest.raises(bw.ArgumentError):
        tok.encode("a")
    with pytest.raises(bw.UnknownTokenError):
        tok.decode([0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: TOK.count("low", limit=-1),
        lambda: TOK.truncate("low", -1),
        lambda: TOK.encode_batch(["low"], threads=-1),
        lambda: TOK.count_batch(["low"], threads=0),
    ],
)
def test_numbers_out_of_range_are_an_error(call: Callable[[], object]) -> None:
    with pytest.raises(bw.ArgumentError, match=r"=(-1|0): at least"):
        call()


def broken_in_the_core() -> list[tuple[bytes, type[bw.LoadError]]]:
    split = {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}
    return [
        (dumped(tokenizer_json(pre_tokenizer=split)), bw.PatternError),
        (sentencepiece(normalizer=((2, b"map"),)), bw.LoadError),
    ]


@pytest.mark.parametrize(("data", "error"), broken_in_the_core())
def test_errors_of_loading_name_the_file(
    tmp_path: Path, data: bytes, error: type[bw.LoadError]
) -> None:
    path = tmp_path / "vocabulary"
    path.write_bytes(data)
    with pytest.raises(error) as caught:
        bw.Tokenizer.load(path)
    assert str(caught.value).count(str(path)) == 1


# Copies and comparisons


def used(tok: bw.Tokenizer) -> bw.Tokenizer:
    """The same object after everything that it caches has been asked for."""
    tok.encode("low tide<end>" * 3000, allowed_special="all")
    assert tok.merges
    assert tok.special_tokens
    assert hash(tok)
    assert tok.fingerprint
    assert tok.template == ((), ())
    return tok


def test_pickles_are_the_same_before_and_after_use() -> None:
    tok = bw.Tokenizer.from_merges(MERGES, pattern="gpt2", special_tokens=["<end>"])
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        before = pickle.dumps(tok, protocol)
        assert pickle.dumps(used(tok), protocol) == before
        again = pickle.loads(before)
        assert again == tok
        assert again.fingerprint == tok.fingerprint
        assert again.encode("low tide") == tok.encode("low tide")
        assert pickle.dumps(again, protocol) == before


def test_a_pickle_holds_little_more_than_the_tables() -> None:
    merges = [(bytes([a]), bytes([b])) for a in range(256) for b in range(64)]
    tok = used(bw.Tokenizer.from_merges(merges, special_tokens=["<end>"]))
    d = tok.definition
    tables = len(d.header) + len(d.arena) + len(d.offsets) + len(d.kinds) + len(d.merges)
    assert len(pickle.dumps(tok)) < tables + 500


class Special(bw.Tokenizer):
    """A tokenizer with a method more."""

    def size(self) -> int:
        return self.vocab_size


def test_subclasses_pickle_as_themselves() -> None:
    tok = Special.from_merges(MERGES)
    again = pickle.loads(pickle.dumps(tok))
    assert type(again) is Special
    assert again.size() == 260


def test_a_pickle_by_value_needs_no_file() -> None:
    # What cloudpickle does: the parts of `__reduce__`, packed on their own.
    make, parts = TOK.__reduce__()
    assert make(*pickle.loads(pickle.dumps(parts))) == TOK


def test_copies_are_the_object_itself() -> None:
    assert copy.copy(TOK) is TOK
    assert copy.deepcopy([TOK])[0] is TOK


def test_equal_tokenizers_have_equal_hashes() -> None:
    twin = bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pad>"])
    assert twin == TOK
    assert hash(twin) == hash(TOK)
    assert {TOK: 1}[twin] == 1
    assert bw.Tokenizer.from_merges(MERGES) != TOK
    assert TOK != "tokenizer"


def header(tok: bw.Tokenizer, **changes: Any) -> bw.Tokenizer:
    rules = json.loads(tok.definition.header) | changes
    return bw.Tokenizer(replace(tok.definition, header=json.dumps(rules)))


def variants() -> dict[str, bw.Tokenizer]:
    """The tokenizer with one thing changed that decides what it does."""
    base = bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pad>"])
    rules = json.loads(base.definition.header)
    special = rules["added"]
    d: Definition = base.definition
    changed = {
        "alphabet": bw.Tokenizer.from_merges(
            MERGES, alphabet=bytes(range(255, -1, -1)), special_tokens=["<end>", "<pad>"]
        ),
        "order of merges": bw.Tokenizer.from_merges(
            [*MERGES[2:], *MERGES[:2]], special_tokens=["<end>", "<pad>"]
        ),
        "more merges": bw.Tokenizer.from_merges([*MERGES, (b"t", b"i")]),
        "special tokens": bw.Tokenizer.from_merges(MERGES, special_tokens=["<end>", "<pat>"]),
        "order of special tokens": bw.Tokenizer.from_merges(
            MERGES, special_tokens=["<pad>", "<end>"]
        ),
        "split": bw.Tokenizer.from_merges(
            MERGES, pattern="gpt2", special_tokens=["<end>", "<pad>"]
        ),
        "other split": bw.Tokenizer.from_merges(
            MERGES, pattern="cl100k", special_tokens=["<end>", "<pad>"]
        ),
        "kinds": bw.Tokenizer(replace(d, kinds=d.kinds[:-1] + b"\x16")),
        "unit": header(base, unit="char"),
        "byte_units": header(base, byte_units=[1, 0, *range(2, 256)]),
        "final_byte_units": header(base, final_byte_units=list(range(256))),
        "unk": header(base, unk=1),
        "fuse_unk": header(base, fuse_unk=True),
        "ignore_merges": header(base, ignore_merges=True),
        "strict": header(base, strict=False),
        "normalizer": header(base, normalizer=[{"type": "nfc"}]),
        "decoder": header(base, decoder={"strip_leading_space": True}),
        "template": header(base, template={"prefix": [1], "suffix": []}),
    }
    for flag in ("single_word", "lstrip", "rstrip", "normalized"):
        changed[flag] = header(base, added=[special[0] | {flag: True}, special[1]])
    changed["special"] = header(base, added=[special[0] | {"special": False}, special[1]])
    return changed


def test_the_fingerprint_changes_with_whatever_decides_behaviour() -> None:
    changed = variants()
    prints = {TOK.fingerprint: "unchanged"}
    for name, tok in changed.items():
        assert prints.setdefault(tok.fingerprint, name) == name
    assert len(prints) == len(changed) + 1
    assert all(len(p) == 64 and int(p, 16) >= 0 for p in prints)


def test_the_fingerprint_does_not_change_with_what_only_informs() -> None:
    steps = header(TOK, pattern="as the file calls it")
    assert steps.pattern == "as the file calls it"
    assert steps.fingerprint == TOK.fingerprint


def test_the_fingerprint_is_the_same_on_every_machine() -> None:
    # Stored outputs are compared by it: a new value here is a change of format.
    tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab")
    parts = tok.definition
    rules = json.loads(parts.header)
    del rules["pattern"]
    text = json.dumps(rules, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(b"bytewright definition 1\n")
    for part in (text, parts.arena, parts.offsets, parts.kinds, parts.merges):
        digest.update(len(part).to_bytes(8, "little") + part)
    assert tok.fingerprint == digest.hexdigest()


def test_repr_says_what_it_is() -> None:
    assert repr(TOK) == "<Tokenizer of 262 tokens, pattern None>"


def test_saving_and_loading_keeps_behaviour(tmp_path: Path) -> None:
    tok = bw.Tokenizer.from_merges(MERGES, pattern="gpt2", special_tokens=["<end>"])
    tok.save(tmp_path / "tokenizer.json")
    again = bw.Tokenizer.load(tmp_path / "tokenizer.json")
    text = "low tide, é<end> \0\x7f 💧"
    assert again.encode(text, allowed_special="all") == tok.encode(text, allowed_special="all")
    assert again.vocab_size == tok.vocab_size
    with pytest.raises(bw.ArgumentError, match=r"\.json and \.tiktoken"):
        tok.save(tmp_path / "tokenizer.txt")


def test_large_vocabularies_pickle_whole(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "o200k_base.tiktoken"
    path.write_bytes(read_zst(shared / "data/vocabs/o200k_base.tiktoken.zst"))
    tok = bw.Tokenizer.load(path)
    again = pickle.loads(pickle.dumps(tok))
    assert again == tok
    assert again.vocab_size == tok.vocab_size > 200_000
    text = "Ein Fuß, zwei Füße, déjà-vu, 東京 12345\n" * 50
    assert np.array_equal(again.encode_array(text), tok.encode_array(text))


def test_an_added_token_that_is_not_special_is_always_matched(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(dumped(tokenizer_json(added_tokens=[added(261, "<hi>", special=False)])))
    tok = bw.Tokenizer.load(path)
    assert 261 in tok.encode("he<hi>")
    assert "<hi>" not in tok.special_tokens
