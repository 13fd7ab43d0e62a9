"""Lexicons, supertokens, compression-aware merges and padding, against slow code and promises."""

from __future__ import annotations

import pickle
import random
import warnings
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import reference_lexicon
import reference_variants
from conftest import read_jsonl_zst, read_zst
from hypothesis import given, settings
from hypothesis import strategies as st

import bytewright as bw
from bytewright.definition import build, make_header
from bytewright.training.superword import PATTERN

few = settings(max_examples=50)


def english(shared: Path, documents: int) -> list[str]:
    found = read_jsonl_zst(shared / "data/corpora/english/books_en.jsonl.zst")
    return [next(found)["text"] for _ in range(documents)]


# Less-is-Better

chunk_lists = st.lists(st.binary(min_size=2, max_size=5), max_size=12, unique=True)


@few
@given(
    st.lists(st.text("ab", min_size=2, max_size=6), max_size=15, unique=True),
    st.text("abc", max_size=60),
)
def test_lexicons_choose_as_the_definition_says(chunks: list[str], text: str) -> None:
    ranked = [chunk.encode() for chunk in chunks]
    lexicon = bw.Lexicon(ranked)
    found = [lexicon.token_bytes(i) for i in lexicon.encode(text)]
    assert found == reference_lexicon.lexicon_chunks(ranked, text.encode())


@few
@given(chunk_lists, st.binary(max_size=60))
def test_lexicons_give_every_byte_back(chunks: list[bytes], text: bytes) -> None:
    lexicon = bw.Lexicon(chunks)
    assert lexicon.decode_bytes(lexicon.encode(text)) == text
    assert lexicon.vocab_size == 256 + len(chunks)
    assert pickle.loads(pickle.dumps(lexicon)) == lexicon


@few
@given(st.lists(st.text("abc", max_size=25), max_size=10), st.integers(0, 3), st.booleans())
def test_lexicons_are_learned_as_the_definition_says(
    texts: list[str], seed: int, varied: bool
) -> None:
    data = [text.encode() for text in texts]
    rates: dict[str, Any] = {"alpha": 0.5, "delta": 0.3, "life": 3, "tail": 0.05}
    rates["varied_contexts"] = varied
    learned = bw.train_lexicon(data, 10_000, **rates, longest=6, epochs=2, seed=seed)
    expected = reference_lexicon.learned_lexicon(data, **rates, longest=6, epochs=2, seed=seed)
    assert list(learned.chunks) == expected


def test_lexicons_of_english_are_learned_as_the_definition_says(shared: Path) -> None:
    lines = english(shared, 5)[0][:6000].encode().splitlines(keepends=True)
    for varied in (False, True):
        rates: dict[str, Any] = {"alpha": 0.25, "delta": 0.2, "life": 10, "tail": 1e-2}
        rates |= {"varied_contexts": varied, "longest": 12, "epochs": 3, "seed": 5}
        learned = bw.train_lexicon(lines, 100_000, **rates)
        assert list(learned.chunks) == reference_lexicon.learned_lexicon(lines, **rates)


def test_a_learned_lexicon_cuts_english_into_few_chunks(shared: Path) -> None:
    texts = english(shared, 60)
    train, probe = texts[:50], "".join(texts[50:])
    lexicon = bw.train_lexicon([text.encode() for text in train], 4_000, seed=1)
    assert lexicon == bw.train_lexicon([text.encode() for text in train], 4_000, seed=1)
    # Mostly words and more: fewer chunks than a third of the bytes on text that it never saw.
    assert lexicon.count(probe) * 3 < len(probe.encode())
    assert lexicon.decode(lexicon.encode(probe)) == probe


def test_time_to_cut_is_linear_in_text_that_never_meets() -> None:
    # The two ways stay one byte apart for ever: they are followed for a limited number of chunks.
    lexicon = bw.Lexicon([b"aa", b"aaa"])
    text = b"a" * 200_001
    assert lexicon.decode_bytes(lexicon.encode(text)) == text


# Supertokens


def test_chunks_are_words_put_together() -> None:
    texts = [b"by the way, by the sea; one 123 two... three", b"aa bb " * 50]
    counts = bw.count_chunks(texts, pattern="gpt2", weights=(1, 1, 1), seed=3)
    assert sum(len(chunk) * n for chunk, n in counts) == sum(map(len, texts))
    stretches = [piece for text in texts for piece in reference_variants.superword_pieces(text)]
    sizes: Counter[int] = Counter()
    for chunk, number in counts:
        sizes[len(reference.gpt2_pieces(chunk))] += number
        assert any(chunk in stretch for stretch in stretches), chunk
    assert set(sizes) <= {1, 2, 3}
    assert min(sizes.values()) > 5
    ones = bw.count_chunks(texts, pattern="gpt2", weights=(1,))
    assert max(len(reference.gpt2_pieces(chunk)) for chunk, _ in ones) == 1


def test_chunks_depend_on_the_texts_and_the_seed_alone() -> None:
    texts = [f"text number {i} of the sea and the sun".encode() for i in range(40)]
    shuffled = random.Random(1).sample(texts, len(texts))
    counts = bw.count_chunks(texts, seed=5)
    assert counts == bw.count_chunks(shuffled, seed=5)
    assert counts != bw.count_chunks(texts, seed=6)


def test_supertokens_save_tokens_of_english(shared: Path) -> None:
    texts = [text.encode() for text in english(shared, 400)]
    train, probe = texts[:360], texts[360:]
    words = bw.train(train, 8_000)
    tok = bw.train(bw.count_chunks(train), 8_000)
    assert tok.pattern == PATTERN
    assert tok.count_batch(probe).sum() < 0.9 * words.count_batch(probe).sum()


# Compression-aware merges


@few
@given(st.text("ab ", min_size=4, max_size=60), st.integers(256, 266), st.integers(1, 4))
def test_compression_aware_merges_are_the_definition(text: str, size: int, tried: int) -> None:
    data = text.encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        tok = bw.train_compression_aware([data], size, data, candidates=tried, pattern="gpt2")
    pieces = reference.gpt2_pieces(data)
    assert tok.merges == reference_variants.compression_aware(pieces, pieces, size, tried)


def test_one_candidate_is_plain_training(shared: Path) -> None:
    texts = [text.encode() for text in english(shared, 5)]
    tok = bw.train_compression_aware(texts, 400, texts[0], candidates=1)
    assert tok.merges == bw.train(texts, 400).merges


def test_compression_aware_merges_pack_the_validation_text_better(shared: Path) -> None:
    texts = [text.encode() for text in english(shared, 40)]
    validation = b"".join(texts)[:20_000]
    chosen = bw.train_compression_aware(texts, 330, validation, candidates=8)
    plain = bw.train(texts, 330)

    def packed(tok: bw.Tokenizer) -> int:
        return len(zlib.compress(tok.encode_array(validation).astype("<u2").tobytes(), 6))

    assert packed(chosen) < packed(plain)


@pytest.mark.parametrize("validation", [["a"], None, 3])
def test_a_validation_text_that_is_none_is_named(validation: Any) -> None:
    with pytest.raises(bw.ArgumentTypeError, match="validation must be str or bytes, not"):
        bw.train_compression_aware(["ab ab"], 257, validation=validation)


# Padding


@pytest.mark.parametrize("size", [257, 300, 511, 512, 513])
def test_padding_ends_at_a_power_of_two(size: int, tmp_path: Path) -> None:
    import tokenizers

    merges = [(bytes([i]), bytes([j])) for i in range(97, 123) for j in range(97, 123)]
    old = bw.Tokenizer.from_merges(merges[: size - 257], pattern="gpt2", special_tokens=["<e>"])
    done = bw.pad_to_power_of_two(old)
    tok = done.tokenizer
    assert tok.vocab_size == {257: 512, 300: 512, 511: 512, 512: 512, 513: 1024}[size]
    runs = [tok.token_bytes(i) for i in done.added]
    assert runs == [c * n for n in range(2, 600) for c in (b" ", b"\n")][: len(runs)]
    assert done.added == tuple(range(size, tok.vocab_size))
    tok.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in ("a  b\n\n\nc" + " " * 700 + "d \n", " \n  \n", "ab<e>  "):
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert tok.encode(text, allowed_special="all") == expected
        assert tok.decode(tok.encode(text)) == text


def test_runs_that_are_tokens_are_not_added_again() -> None:
    tok = bw.Tokenizer.from_merges([(b" ", b" "), (b"\n", b"\n")])
    done = bw.pad_to_power_of_two(tok)
    assert done.tokenizer.token_bytes(done.added[0]) == b"   "
    assert np.array_equal(done.new_ids, np.arange(258))


SPACED = [
    "5 \n\n x",
    "a  b",
    "a \n\n",
    "x\n\ny",
    "  a",
    "\n\na",
    "a   b \n\n\n ",
    "e \u0301  \u0301",
]
BYTES = [bytes([i]) for i in range(256)]
NORMALIZERS: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "NFC": ([{"type": "nfc"}], True),
    "add_prefix_space": (
        [{"type": "prefix", "content": " ", "unless": "content", "scope": "every"}], False),
    "Prepend": ([{"type": "prepend", "content": " "}], False),
    "collapsed": ([{"type": "replace", "regex": r"\s+", "content": " "}], False),
    "stripped": ([{"type": "strip", "left": True, "right": True}], False),
    "no three": ([{"type": "replace", "string": "\n\n\n", "content": "\n"}], False),
}  # fmt: skip


@pytest.mark.parametrize("name", NORMALIZERS)
def test_text_comes_back_from_a_padded_tokenizer_as_before(name: str) -> None:
    """Runs that the tokenizer changes, or that would change what follows, are not added."""
    steps, runs = NORMALIZERS[name]
    header = make_header(unit="byte", byte_units=range(256), normalizer=steps)
    old = bw.Tokenizer(
        build([*BYTES, b"ab"], kinds=[1] * 257, merges=[(97, 98, 256)], header=header)
    )
    done = bw.pad_to_power_of_two(old)
    first = done.tokenizer.token_bytes(257)
    assert (done.tokenizer.vocab_size, first) == (512, b"  " if runs else b"<|reserved_0|>")
    for text in SPACED:
        ids = done.tokenizer.encode_array(text)
        assert done.tokenizer.decode_bytes(ids) == old.decode_bytes(old.encode(text)), text
        assert runs or np.array_equal(ids, old.encode_array(text))


@pytest.mark.parametrize(
    "name", ["mistral-v1.spm.model", "clip.tokenizer.json", "phi-2.tokenizer.json"]
)
def test_padding_of_published_vocabularies_changes_no_text(
    name: str, shared: Path, tmp_path: Path
) -> None:
    import tokenizers

    (tmp_path / name).write_bytes(read_zst(shared / f"data/vocabs/{name}.zst"))
    old = bw.Tokenizer.load(tmp_path / name)
    new = bw.pad_to_power_of_two(old).tokenizer
    new.save(tmp_path / "padded.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "padded.json"))
    for text in SPACED:
        ids = new.encode(text)
        assert new.decode(ids) == old.decode(old.encode(text)), text
        assert theirs.encode(text, add_special_tokens=False).ids == ids, text


def test_padding_is_linear_in_what_is_missing() -> None:
    merges = [(bytes([i]), bytes([j])) for i in range(128) for j in range(128)]
    merges += [(a + b, b"~") for a, b in merges[: 32769 - 256 - len(merges)]]
    tok = bw.Tokenizer.from_merges(merges, special_tokens=["<|reserved_1|>"])
    done = bw.pad_to_power_of_two(tok)
    added = [done.tokenizer.token_bytes(i) for i in done.added]
    assert done.tokenizer.vocab_size == 65536
    runs = [c * n for n in range(2, 1025) for c in (b" ", b"\n")][2:]
    assert added[: len(runs)] == runs
    assert added[len(runs) :][:2] == [b"<|reserved_0|>", b"<|reserved_2|>"]
    assert sum(map(len, added)) < 2_000_000
    assert tok.encode("<|reserved_0|>") == done.tokenizer.encode("<|reserved_0|>")


@pytest.mark.parametrize("call", [
    lambda: bw.Lexicon([b"a"]),
    lambda: bw.Lexicon([b"ab", b"ab"]),
    lambda: bw.Lexicon([]).decode_bytes([256]),
    lambda: bw.Lexicon([]).token_bytes(-1),
    lambda: bw.train_lexicon([b"a"], 255),
    lambda: bw.train_lexicon([b"a"], 300, alpha=2),
    lambda: bw.train_lexicon([b"a"], 300, epochs=0),
    lambda: bw.count_chunks([b"a"], weights=()),
    lambda: bw.count_chunks([b"a"], weights=(0,)),
    lambda: bw.count_chunks([b"a"], weights=(1, float("nan"))),
    lambda: bw.count_chunks([b"a"], seed=-1),
    lambda: bw.train_compression_aware([b"a"], 260, b"a", candidates=0),
])  # fmt: skip
def test_wrong_arguments_are_refused(call: Any) -> None:
    with pytest.raises(bw.BytewrightError):
        call()
