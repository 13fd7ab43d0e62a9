"""The n-gram model is what its definition says, whatever the text, the order and the threads."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_ngram import Kneser, Unbounded

import bytewright as bw
from bytewright import demo

LETTERS = bw.Tokenizer.from_merges([(b"a", b"b"), (b"ab", b"a")], alphabet=b"abcd")
END = LETTERS.vocab_size


def some_texts(documents: int, length: int, seed: int, letters: str = "abcd") -> list[str]:
    chance = random.Random(seed)
    return [
        "".join(chance.choices(letters, k=chance.randrange(length + 1))) for _ in range(documents)
    ]


def ids_of(tok: bw.Tokenizer, texts: Sequence[str | None]) -> list[list[int]]:
    return [tok.encode(text) for text in texts if text is not None]


def some_contexts(documents: Sequence[Sequence[int]], width: int, seed: int) -> list[list[int]]:
    """Beginnings of documents, and ids that never stood together."""
    chance = random.Random(seed)
    contexts: list[list[int]] = [[], [0], [END]]
    for document in documents[:40]:
        contexts.append(list(document[: chance.randrange(len(document) + 1)]))
        contexts.append([chance.randrange(width) for _ in range(chance.randrange(9))])
    return contexts


def compare_ends(model: bw.NgramModel, contexts: Any) -> None:
    """What a model says that it looks at is all that it looks at."""
    ends = [ids[max(0, len(ids) - model.reach) :] for ids in contexts]
    assert (model.logprobs(ends) == model.logprobs(contexts)).all()


def compare(model: bw.NgramModel, definition: Kneser, contexts: list[list[int]]) -> None:
    rows = model.logprobs(contexts, dtype=np.float64)  # type: ignore[arg-type]
    for context, row in zip(contexts, np.exp(rows), strict=True):
        expected = definition.row(context)
        wanted = [expected.get(token, 0.0) for token in range(model.width)]
        assert np.abs(row - wanted).max() < 1e-12, context


CORPORA = {
    "one id": [""],
    "one letter": ["a" * 30],
    "one document": some_texts(1, 50, 1),
    "few": some_texts(5, 8, 2),
    "many": some_texts(300, 12, 3),
    "lengthy": some_texts(3, 2000, 4),
    "skewed": some_texts(200, 20, 5, "aaaaaaabbc"),
    "empty ones": ["", "a", "", "", "ab"],
}


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("corpus", CORPORA)
def test_rows_are_those_of_the_definition(corpus: str, order: int) -> None:
    texts = CORPORA[corpus]
    model = bw.NgramModel.fit(LETTERS, texts, order=order)
    documents = ids_of(LETTERS, texts)
    definition = Kneser(documents, order, end=END, outcomes=range(END + 1))
    compare(model, definition, some_contexts(documents, END + 1, order))


REPEATED = {
    **CORPORA,
    "copies": some_texts(3, 60, 6) * 4,
    "periods": ["abcd" * 20, "bcda" * 7, "ab" * 40, "a" * 70],
    "one long letter": ["a" * 700],
    # What followed a copy depends on what stood before it, in few places and in many.
    "copies behind others": [
        "abcd"[at % 4 :] + "cadb"[at % 3 :] + "abdcbadcab" * 7 + "abcd"[at % 5 % 4]
        for at in range(30)
    ],
}


@pytest.mark.parametrize("corpus", REPEATED)
def test_rows_without_an_order_are_those_of_the_definition(corpus: str) -> None:
    texts = REPEATED[corpus]
    model = bw.NgramModel.fit(LETTERS, texts, order=None)
    documents = ids_of(LETTERS, texts)
    definition = Unbounded(documents, 5, end=END, outcomes=range(END + 1))
    contexts = some_contexts(documents, END + 1, 7)
    # Where a copy goes on, and where it ends.
    contexts += [[*document[:at], at % 3] for document in documents[:8] for at in (5, 9, 30)]
    contexts += [document[at:] for document in documents[:8] for at in (0, 3, 20)]
    contexts = [context[-80:] for context in contexts]
    compare(model, definition, contexts)
    long = [[at % 4, *document, *document] for at, document in enumerate(documents[:8])]
    compare_ends(model, long)
    for context in contexts:
        found, (length, after) = model.match(np.array(context, np.int32)), definition.match(context)
        assert found.length == length
        assert dict(zip(found.ids.tolist(), found.counts.tolist(), strict=True)) == after
        assert found.ids.tolist() == sorted(after)


@given(
    texts=st.lists(st.text("abcd", max_size=12), max_size=12),
    order=st.sampled_from([1, 2, 3, 4, 5, None]),
    context=st.lists(st.integers(0, END), max_size=10),
)
@settings(max_examples=60)
def test_any_row_is_that_of_the_definition(
    texts: list[str], order: int | None, context: list[int]
) -> None:
    model = bw.NgramModel.fit(LETTERS, texts, order=order, threads=1)
    kind = Unbounded if order is None else Kneser
    documents = ids_of(LETTERS, texts)
    definition = kind(documents, order or 5, end=END, outcomes=range(END + 1))
    contexts = [context, [token for text in texts for token in context[:2]]]
    compare(model, definition, contexts)
    longest = max(map(len, documents), default=0)
    assert model.reach == (longest + 1 if order is None else order - 1)
    compare_ends(model, contexts)


@pytest.mark.parametrize("order", [5, None])
def test_rows_of_prose_and_code_are_those_of_the_definition(order: int | None) -> None:
    tok = demo.tokenizer()
    texts = Path(demo.__file__).read_text(encoding="utf-8").split("\n\n")
    model = bw.NgramModel.fit(tok, texts, order=order)
    kind = Unbounded if order is None else Kneser
    documents = ids_of(tok, texts)
    definition = kind(documents, 5, end=model.eos_id, outcomes=range(model.width))
    compare(model, definition, [document[:at] for at, document in enumerate(documents[:12])])


def test_only_a_model_without_an_order_tells_its_matches() -> None:
    context = np.zeros(1, np.int32)
    assert bw.NgramModel.fit(LETTERS, ["a"], order=None).order is None
    with pytest.raises(bw.ArgumentError, match="fit with order=None"):
        bw.NgramModel.fit(LETTERS, ["a"]).match(context)
    with pytest.raises(bw.UnknownTokenError, match="7 at place 0"):
        bw.NgramModel.fit(LETTERS, ["a"], order=None).match(context + 7)


@pytest.mark.parametrize("order", [1, 2, 3, 5, 16, None])
def test_rows_sum_to_one_and_nothing_is_impossible(order: int | None) -> None:
    tok = demo.tokenizer()
    text = Path(demo.__file__).read_text(encoding="utf-8")
    model = bw.NgramModel.fit(tok, text.split("\n\n"), order=order)
    ids = tok.encode_array(text)
    contexts = [ids[at : at + 20] for at in range(0, 500, 7)]
    long = model.logprobs(contexts, dtype=np.float64)
    assert np.isfinite(long).all()
    assert np.abs(np.exp(long).sum(axis=1) - 1).max() < 1e-12
    short = model.logprobs(contexts)
    assert short.dtype == np.float32
    assert np.abs(short - long).max() < 1e-5
    assert (model.order, model.width, model.eos_id) == (order, 8192, 8191)


def test_no_documents_give_equal_shares() -> None:
    nothing: list[Any] = [[], [None, None], iter(()), pa.array([], pa.string())]
    for texts in nothing:
        model = bw.NgramModel.fit(LETTERS, texts)
        assert (model.documents, model.ids) == (0, 0)
        rows = np.exp(model.logprobs([[], [0, 1]], dtype=np.float64))  # type: ignore[list-item]
        assert np.abs(rows - 1 / 7).max() < 1e-15


def test_nothing_but_text_and_its_end_is_an_outcome() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"ab", special_tokens=["<pad>", "</s>", "<x>"])
    row = bw.NgramModel.fit(tok, ["ab<pad>"[:2]]).logprobs([[]])[0]  # type: ignore[list-item]
    assert np.isfinite(row).tolist() == [True, True, False, True, False]


def test_the_end_of_text_is_found_or_named_or_an_id_of_its_own() -> None:
    def end(names: list[str], eos: str | None = None) -> tuple[int, int]:
        tok = bw.Tokenizer.from_merges([], alphabet=b"ab", special_tokens=names)
        model = bw.NgramModel.fit(tok, ["ab"], eos=eos)
        return model.eos_id, model.width

    assert end([]) == (2, 3)
    assert end(["<pad>"]) == (3, 4)
    assert end(["<pad>", "</s>"]) == (3, 4)
    assert end(["</s>", "<|endoftext|>"]) == (3, 4)
    assert end(["</s>", "<stop>"], "<stop>") == (3, 4)
    with pytest.raises(bw.ArgumentError, match="'<end>' is no special token; there are"):
        end(["</s>"], "<end>")


def test_a_special_token_as_context_is_one_that_was_never_seen() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"ab", special_tokens=["<pad>"])
    model = bw.NgramModel.fit(tok, ["abab", "ba"])
    rows = model.logprobs([[0, 2], [1, 2]])  # type: ignore[list-item]
    assert (rows[0] == rows[1]).all()


def test_a_context_begins_anew_behind_an_end_of_text() -> None:
    model = bw.NgramModel.fit(LETTERS, CORPORA["many"])
    rows = model.logprobs([[0, 1, END], [], [0, END, 1, 2], [1, 2]])  # type: ignore[list-item]
    assert (rows[0] == rows[1]).all()
    assert (rows[2] == rows[3]).all()
    assert (rows[0] != rows[2]).any()


def test_only_the_last_ids_decide() -> None:
    model = bw.NgramModel.fit(LETTERS, CORPORA["many"], order=4)
    long = np.array(LETTERS.encode("abcdabcadbcabdcabacbda" * 100), np.int32)
    assert (model.logprobs([long]) == model.logprobs([long[-3:]])).all()


def test_lists_and_arrays_are_the_same_contexts() -> None:
    model = bw.NgramModel.fit(LETTERS, CORPORA["many"])
    kinds: list[Any] = [
        [[0, 1], [2]],
        [np.array([0, 1], np.int32), np.array([2], np.int64)],
        [(0, 1), np.array([2], np.uint8)],
        [pa.array([0, 1]), np.arange(4, dtype=np.int32)[2:3]],
        [np.array([0, 9, 1, 9], np.int32)[::2], [2]],
    ]
    first = model.logprobs(kinds[0])
    assert all((model.logprobs(kind) == first).all() for kind in kinds)
    assert model.logprobs([]).shape == (0, 7)


@pytest.mark.parametrize("bad", [-1, 7, 1 << 30])
def test_ids_outside_are_refused_wherever_they_stand(bad: int) -> None:
    model = bw.NgramModel.fit(LETTERS, ["abc"])
    contexts: Any = [[0], [1, bad, 0, 0, 0, 0, 0, 0]]
    with pytest.raises(bw.UnknownTokenError, match=f"{bad} at place 1 of context 1 is outside"):
        model.logprobs(contexts)


@pytest.mark.parametrize("order", [0, -1, 17])
def test_orders_outside_are_refused(order: int) -> None:
    with pytest.raises(bw.ArgumentError, match=f"order={order}: 1 to 16"):
        bw.NgramModel.fit(LETTERS, ["ab"], order=order)


def test_other_arguments_are_checked() -> None:
    model = bw.NgramModel.fit(LETTERS, ["ab"])
    with pytest.raises(bw.ArgumentError, match="threads=0"):
        bw.NgramModel.fit(LETTERS, ["ab"], threads=0)
    with pytest.raises(bw.ArgumentError, match="threads=0"):
        model.logprobs([], threads=0)
    with pytest.raises(bw.ArgumentError, match="float32 and float64"):
        model.logprobs([], dtype=np.int32)
    with pytest.raises(bw.ArgumentError, match="one text"):
        bw.NgramModel.fit(LETTERS, "ab")
    with pytest.raises(bw.ArgumentTypeError, match="iterable, not int"):
        bw.NgramModel.fit(LETTERS, 3)
    with pytest.raises(bw.ArgumentTypeError, match="a Tokenizer, not str"):
        bw.NgramModel.fit("gpt2", ["ab"])  # type: ignore[arg-type]
    with pytest.raises(bw.BytewrightError):
        bw.NgramModel.fit(LETTERS, ["ab", 3])


def test_every_kind_of_texts_is_the_same() -> None:
    texts: list[str | None] = [*some_texts(200, 30, 7), None, ""]
    sources: list[Any] = [
        texts,
        iter(texts),
        (text for text in texts),
        [text and text.encode() for text in texts],
        pa.array(texts),
        pa.array(texts).dictionary_encode(),
        pa.chunked_array([pa.array(texts[:50]), pa.array(texts[50:])]),
        pa.array(texts, pa.large_binary()),
    ]
    states = [bw.NgramModel.fit(LETTERS, source).__reduce__()[1] for source in sources]
    assert all(state[1] == states[0][1] for state in states)
    assert all((state[2] == states[0][2]).all() for state in states)
    assert states[0][1]["documents"] == 201


def test_batches_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = some_texts(300, 30, 8)
    whole = bw.NgramModel.fit(LETTERS, texts)
    monkeypatch.setattr("bytewright.models.ngram._GATHERED", 1000)
    told: list[bw.FitProgress] = []
    parts = bw.NgramModel.fit(LETTERS, texts, progress=told.append)
    assert (whole.__reduce__()[1][2] == parts.__reduce__()[1][2]).all()
    arrow = bw.NgramModel.fit(LETTERS, pa.array(texts), progress=told.append)
    assert (whole.__reduce__()[1][2] == arrow.__reduce__()[1][2]).all()
    assert len(told) > 10
    assert told[-1] == bw.FitProgress(whole.documents, whole.ids)


def test_a_markov_chain_is_recovered() -> None:
    """Letters of a chain of order 2: the distance shrinks as the text grows."""
    chance = np.random.default_rng(5)
    chain = chance.dirichlet([0.5] * 3, size=(3, 3))
    letters = bw.Tokenizer.from_merges([], alphabet=b"abc")
    draws = chance.random(300_000)
    ids = [0, 1]
    for draw in draws:
        ids.append(int(np.searchsorted(np.cumsum(chain[ids[-2], ids[-1]])[:2], draw)))
    text = bytes(ids).translate(bytes([97, 98, 99] + [0] * 253))
    worst = []
    for size in (300, 3000, 30_000, 300_000):
        model = bw.NgramModel.fit(letters, [text[:size]], order=4)
        contexts: Any = [[x, y, z] for x in range(3) for y in range(3) for z in range(3)]
        rows = np.exp(model.logprobs(contexts))[:, :3].reshape(3, 3, 3, 3)
        # Contexts that the chain hardly enters say nothing.
        reached = np.array([[[text[:size].count(bytes([97 + x, 97 + y, 97 + z])) > size / 200
                              for z in range(3)] for y in range(3)] for x in range(3)])  # fmt: skip
        worst.append(np.abs(rows - chain[None]).sum(-1)[reached].max() / 2)
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] < 0.02
