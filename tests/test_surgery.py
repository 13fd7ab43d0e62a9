"""Vocabulary surgery: against published results, `tokenizers`, and the definitions as slow code."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import reference
import tokenizers
from conftest import read_zst
from hypothesis import given, settings
from hypothesis import strategies as st

import bytewright as bw
from bytewright.definition import build, make_header
from bytewright.formats import pattern_steps
from bytewright.formats.byte_level import STAND_INS
from bytewright.training.surgery import pruning_order

few = settings(max_examples=60)
TEXTS = ["low lower lowest newer wider", "the lowest of the low; then newer, wider", "aaaa aaa aa"]
SMALL = [(b"l", b"o"), (b"lo", b"w"), (b"e", b"r"), (b"low", b"er"), (b"t", b"h"), (b"a", b"a")]


@pytest.fixture(scope="module")
def published(shared: Path) -> tuple[bw.Tokenizer, dict[str, Any]]:
    folder = shared / "fixtures" / "transfer"
    cases: dict[str, Any] = json.loads((folder / "vocab_extension.json").read_text())
    return bw.Tokenizer.load(folder / "tokA.json"), cases


def raw(text: str) -> bytes:
    return bytes(STAND_INS.index(char) for char in text)


def frequencies(tok: bw.Tokenizer, texts: list[str]) -> np.ndarray[Any, Any]:
    ids = np.concatenate([tok.encode_array(text) for text in texts])
    return np.bincount(ids, minlength=tok.vocab_size)


def same_in_tokenizers(tok: bw.Tokenizer, texts: list[str], folder: Path) -> None:
    tok.save(folder / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in texts:
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert tok.encode(text, allowed_special="all") == expected


def test_continued_merges_are_the_published_ones(
    published: tuple[bw.Tokenizer, dict[str, Any]], tmp_path: Path
) -> None:
    tok, cases = published
    done = bw.extend(tok, cases["docs"], cases["extension_size"], ties="stand_ins")
    added = done.tokenizer.merges[len(tok.merges) :]
    assert added == [(raw(a), raw(b)) for a, b in cases["merges"]]
    assert [done.tokenizer.token_bytes(i) for i in done.added] == [raw(t) for t in cases["vocab"]]
    same_in_tokenizers(done.tokenizer, cases["docs"], tmp_path)


def test_leaves_go_in_the_published_orders(
    published: tuple[bw.Tokenizer, dict[str, Any]], tmp_path: Path
) -> None:
    tok, cases = published
    counts = frequencies(tok, cases["docs"])
    assert list(pruning_order(tok)) == cases["leaf_prune_order_id"]
    assert list(pruning_order(tok, frequencies=counts)) == cases["leaf_prune_order_freq"]
    done = bw.prune_leaves(tok, 300, frequencies=counts)
    assert done.tokenizer.special_tokens == {"<|endoftext|>": 0}
    same_in_tokenizers(done.tokenizer, cases["docs"], tmp_path)


def test_old_tokens_keep_ids_and_merges() -> None:
    old = bw.Tokenizer.from_merges(SMALL, pattern="gpt2", special_tokens=["<end>"])
    done = bw.extend(old, TEXTS, 5)
    assert done.tokenizer.merges[: len(SMALL)] == SMALL
    assert done.tokenizer.special_tokens == old.special_tokens
    assert [done.tokenizer.token_bytes(i) for i in range(old.vocab_size)] == [
        old.token_bytes(i) for i in range(old.vocab_size)
    ]
    assert done.added == tuple(range(old.vocab_size, old.vocab_size + 5))
    assert bw.reachability(done.tokenizer).dead == ()


def test_counts_extend_as_texts_do() -> None:
    old = bw.Tokenizer.from_merges(SMALL, pattern="gpt2")
    counts = bw.count_pretokens(TEXTS, pattern="gpt2")
    assert bw.extend(old, counts, 6).tokenizer == bw.extend(old, TEXTS, 6).tokenizer


words = st.lists(st.text("ab ", max_size=12), max_size=5)


@few
@given(words, st.integers(0, 8), st.integers(1, 3), st.sampled_from(["ids", "bytes", "stand_ins"]))
def test_continued_merges_are_those_of_the_definition(
    texts: list[str], wanted: int, least: int, ties: Any
) -> None:
    old = bw.Tokenizer.from_merges([(b"a", b"b"), (b"ab", b"a")], pattern="gpt2")
    done = bw.extend(old, texts, wanted, min_frequency=least, ties=ties)
    pieces = [piece for text in texts for piece in reference.gpt2_pieces(text.encode())]
    rows = [[old.token_bytes(i) for i in old.encode(piece)] for piece in pieces]
    order = {
        "ids": lambda pair: (
            old_or_new(done.tokenizer, pair[0]),
            old_or_new(done.tokenizer, pair[1]),
        ),
        "bytes": lambda pair: pair,
        "stand_ins": lambda pair: tuple("".join(STAND_INS[b] for b in part) for part in pair),
    }[ties]
    known = {old.token_bytes(i) for i in range(old.vocab_size)}
    expected = reference.continued_merges(rows, wanted, least=least, order=order, known=known)
    assert done.tokenizer.merges[2:] == expected


def old_or_new(tok: bw.Tokenizer, token: bytes) -> int:
    found = tok.token_id(token)
    assert found is not None
    return found


merge_lists = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=14)


def made(picks: list[tuple[int, int]]) -> bw.Tokenizer:
    """A tokenizer whose merges join what earlier ones made."""
    known = [b"a", b"b", b"c"]
    merges = []
    for left, right in picks:
        pair = known[left % len(known)], known[right % len(known)]
        merges.append(pair)
        known.append(pair[0] + pair[1])
    return bw.Tokenizer.from_merges(merges, special_tokens=["<end>"])


@few
@given(merge_lists, st.integers(0, 20), st.booleans())
def test_pruning_strands_no_token(
    picks: list[tuple[int, int]], remove: int, by_frequency: bool
) -> None:
    tok = made(picks)
    counts = frequencies(tok, ["abcabcaabbcc"]) if by_frequency else None
    compact = bw.prune_leaves(tok, remove, frequencies=counts)
    kept = bw.prune_leaves(tok, remove, frequencies=counts, ids="keep")
    assert compact.removed == kept.removed
    assert len(compact.removed) == min(remove, tok.vocab_size - 257)
    left = {old for old in range(tok.vocab_size) if old not in compact.removed}
    for old in left:
        assert compact.tokenizer.token_bytes(int(compact.new_ids[old])) == tok.token_bytes(old)
        assert kept.new_ids[old] == old
        assert kept.tokenizer.token_bytes(old) == tok.token_bytes(old)
    for done in (compact, kept):
        assert (done.new_ids[list(done.removed)] == -1).all()
        products = {a + b for a, b in done.tokenizer.merges}
        assert all(len(part) == 1 or part in products for m in done.tokenizer.merges for part in m)
        assert done.tokenizer.decode_bytes(done.tokenizer.encode("abcabcaabbcc")) == b"abcabcaabbcc"
    end = compact.tokenizer.special_tokens["<end>"]
    assert compact.tokenizer.encode("ab<end>", allowed_special="all")[-1] == end
    assert compact.new_ids[tok.special_tokens["<end>"]] == end


def test_no_gap_is_left_behind_the_last_id(tmp_path: Path) -> None:
    """No format can say it: what is saved is loaded as it was."""
    tok = bw.Tokenizer.from_merges(SMALL)
    done = bw.prune_leaves(tok, 2, ids="keep")
    assert (tok.vocab_size, done.removed) == (262, (261, 260))
    assert (done.tokenizer.vocab_size, done.new_ids[258:].tolist()) == (260, [258, 259, -1, -1])
    ended = bw.Tokenizer.from_merges(SMALL, special_tokens=["<e>"])
    other = bw.prune_leaves(ended, 2, ids="keep")
    for saved in (done.tokenizer, other.tokenizer):
        saved.save(tmp_path / "kept.json")
        again = bw.Tokenizer.load(tmp_path / "kept.json")
        assert again.definition.tokens() == saved.definition.tokens()
        assert again.merges == saved.merges
    assert other.tokenizer.special_tokens == {"<e>": 262}


def test_kept_ids_stay() -> None:
    tok = bw.Tokenizer.from_merges(SMALL)
    lower = tok.token_id(b"lower")
    assert lower is not None
    assert lower not in bw.prune_leaves(tok, 9, keep=[lower]).removed


@few
@given(merge_lists, merge_lists)
def test_merged_vocabularies_reach_all_that_they_hold(
    one: list[tuple[int, int]], two: list[tuple[int, int]]
) -> None:
    first, second = made(one), made(two)
    both = bw.merge_vocabularies(first, second)
    dead = {token.token for token in bw.reachability(both.tokenizer).dead}
    assert dead <= {token.token for token in bw.reachability(first).dead}
    for old in range(second.vocab_size):
        new, token = int(both.second_ids[old]), second.token_bytes(old)
        assert (new == -1) == (token in both.left_out)
        assert new == -1 or both.tokenizer.token_bytes(new) == token
    assert both.tokenizer.merges[: len(first.merges)] == first.merges
    expected, left_out = reference.grafted(first.merges, second.merges)
    assert (both.tokenizer.merges, list(both.left_out)) == (expected, left_out)


def test_special_tokens_of_the_second_join() -> None:
    first = bw.Tokenizer.from_merges(SMALL, special_tokens=["<end>"])
    second = bw.Tokenizer.from_merges([(b"x", b"y")], special_tokens=["<end>", "<pad>"])
    both = bw.merge_vocabularies(first, second)
    assert both.tokenizer.special_tokens == {"<end>": 262, "<pad>": 264}
    assert both.second_ids[[256, 257, 258]].tolist() == [263, 262, 264]
    assert both.tokenizer.encode("xy<pad>", allowed_special="all") == [263, 264]


@few
@given(merge_lists)
def test_dead_tokens_are_those_that_no_text_becomes(picks: list[tuple[int, int]]) -> None:
    tok = made(picks)
    report = bw.reachability(tok)
    tokens = [tok.token_bytes(i) for i in range(256, tok.vocab_size - 1)]
    expected = {t for t in tokens if reference.merged(tok.merges, t) != [t]}
    assert {dead.token for dead in report.dead} == expected
    assert report.tested == tok.vocab_size - 1


def test_reasons_are_told() -> None:
    steps = [(b"h", b"e"), (b"t", b"h"), (b"th", b"e"), (b"e", b"!"), (b"\xc3", b"\xa9")]
    tok = bw.Tokenizer.from_merges(steps, pattern="gpt2")
    assert [(d.token, d.reason) for d in bw.reachability(tok).dead] == [
        (b"the", "shadowed"),
        (b"e!", "pattern"),
    ]


@pytest.mark.parametrize(("token", "merges", "pattern", "text"), [
    # A piece may go on behind the token, as far as a line feed.
    (b"\n\n ", [(b" ", b"\n"), (b"\n", b"\n"), (b"\n\n", b" ")], "llama3", b"\n\n  \n"),
    (b".'", [(b"'", b"s"), (b".", b"'")], r"\p{P}+/|.", b".'/"),
])  # fmt: skip
def test_tokens_inside_longer_pieces_live(
    token: bytes, merges: list[tuple[bytes, bytes]], pattern: str, text: bytes
) -> None:
    tok = bw.Tokenizer.from_merges(merges, pattern=pattern)
    token_id = tok.token_id(token)
    assert token_id in tok.encode(text)
    report = bw.reachability(tok)
    assert token_id in report.in_context
    assert token_id not in [dead.id for dead in report.dead]


def test_ends_of_pieces_and_bytes_that_are_no_text_live() -> None:
    units = [bytes([byte]) for byte in range(256)]
    header = make_header(
        unit="byte",
        byte_units=range(256),
        final_byte_units=range(256, 512),
        normalizer=[{"type": "prefix", "content": " ", "unless": "content", "scope": "every"}],
        pretokenizer=pattern_steps(r"[^\s\w]+|\s+|\w+"),
    )
    tokens = [*units, *(unit + b"</w>" for unit in units), b"!?</w>"]
    made = build(tokens, kinds=[1] * 513, merges=[(33, 256 + 63, 512)], header=header)
    tok = bw.Tokenizer(made)
    assert tok.encode(b"\xfe!?")[-2:] == [0xFE, 512]
    dead = [dead.token for dead in bw.reachability(tok).dead]
    assert not {b"!?</w>", b"!", b"\xfe", b"\xfe</w>", b"a</w>"} & {*dead}


AROUND = [b"a", b"1", b" ", b"\n", b"'", b"s"]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=10),
    st.sampled_from(["gpt2", "o200k", "llama3", r" ?\p{L}+|\s+|."]),
)
def test_no_short_text_becomes_a_dead_token(picks: list[tuple[int, int]], pattern: str) -> None:
    known, merges = [*AROUND], []
    for left, right in picks:
        pair = known[left % len(known)], known[right % len(known)]
        if len(pair[0] + pair[1]) < 5:
            merges.append(pair)
            known.append(pair[0] + pair[1])
    tok = bw.Tokenizer.from_merges(merges, pattern=pattern)
    sides = [b"".join(side) for size in range(3) for side in product(AROUND, repeat=size)]
    for dead in bw.reachability(tok).dead:
        texts = [head + dead.token + tail for head in sides for tail in sides]
        ids = tok.encode_batch(texts).values.to_numpy()
        assert dead.id not in ids, dead


def test_parts_of_characters_are_completed_before_they_count_as_dead() -> None:
    # The first byte of a letter belongs to the word before it only if the letter is whole.
    tok = bw.Tokenizer.from_merges([(b"a", b"\xc3"), (b"a", b"\xe4")], pattern="cl100k")
    report = bw.reachability(tok)
    assert (report.dead, report.in_context) == ((), (256, 257))


def test_known_dead_tokens_of_published_vocabularies(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "o200k").write_bytes(read_zst(shared / "data/vocabs/o200k_base.tiktoken.zst"))
    tok = bw.Tokenizer.load(tmp_path / "o200k")
    report = bw.reachability(tok)
    assert 3413 in [dead.id for dead in report.dead]
    alone = [*(dead.id for dead in report.dead), *report.in_context]
    whole = [
        i
        for i in alone
        if tok.token_bytes(i).decode(errors="ignore").encode() == tok.token_bytes(i)
    ]
    # Twelve tokens of whole characters do not stand alone; all but one come up in some text.
    assert len(whole) == 12
    assert {3413, 3914, 193819} <= set(whole)


@pytest.mark.parametrize("call", [
    lambda tok: bw.extend(tok, "one text", 1),
    lambda tok: bw.extend(tok, [], -1),
    lambda tok: bw.extend(tok, [], 1, min_frequency=0),
    lambda tok: bw.extend(tok, [], 1, ties=cast(Any, "lots")),
    lambda tok: bw.prune_leaves(tok, -1),
    lambda tok: bw.prune_leaves(tok, 1, ids=cast(Any, "lots")),
    lambda tok: bw.prune_leaves(tok, 1, frequencies=[1]),
    lambda tok: bw.merge_vocabularies(tok, bw.Tokenizer.from_merges([], alphabet=b"a")),
])  # fmt: skip
def test_wrong_arguments_are_refused(call: Any) -> None:
    with pytest.raises(bw.BytewrightError):
        call(bw.Tokenizer.from_merges(SMALL))


def test_other_kinds_of_tokenizers_are_refused_by_name(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(read_zst(shared / "data/vocabs/mistral-v1.spm.model.zst"))
    tok = bw.Tokenizer.load(tmp_path / "m")
    with pytest.raises(bw.UnsupportedError, match="byte-level"):
        bw.extend(tok, TEXTS, 1)
