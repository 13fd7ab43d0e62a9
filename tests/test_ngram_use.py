"""An n-gram model in threads, processes and files is the same model, or says why it is none."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_concurrency import interrupted, wakes_during
from test_ngram import CORPORA, END, LETTERS, ids_of, some_contexts, some_texts

import bytewright as bw
from bytewright import demo
from bytewright.models import ngram_file


@pytest.mark.parametrize("order", [4, None])
def test_a_pickle_is_the_same_model(order: int | None) -> None:
    model = bw.NgramModel.fit(LETTERS, CORPORA["many"], order=order)
    again = pickle.loads(pickle.dumps(model))
    contexts: Any = some_contexts(ids_of(LETTERS, CORPORA["many"]), END + 1, 1)
    assert (again.logprobs(contexts) == model.logprobs(contexts)).all()
    assert (again.order, again.eos_id, again.tokenizer) == (order, END, LETTERS)


def test_what_followed_is_compared_and_kept_like_any_object() -> None:
    found = bw.NgramModel.fit(LETTERS, ["abab"], order=None).match(LETTERS.encode_array("ab"))
    assert found in {found}
    assert found != dataclasses.replace(found)


def test_threads_change_nothing() -> None:
    texts = some_texts(2000, 60, 9, "aaabbcd")
    models = [
        bw.NgramModel.fit(LETTERS, texts, order=None, threads=threads) for threads in (1, 2, 7)
    ]
    first = models[0].__reduce__()[1]
    assert all((model.__reduce__()[1][2] == first[2]).all() for model in models)
    tok = demo.tokenizer()
    model = bw.NgramModel.fit(tok, texts, order=None)
    ids = tok.encode_array("\n".join(texts))
    # Rows for several threads: each takes megabytes of them.
    contexts = [ids[max(0, at - 9) : at] for at in range(400)]
    rows = [model.logprobs(contexts, threads=threads) for threads in (1, 2, 7)]
    assert all((row == rows[0]).all() for row in rows)
    assert len(np.unique(rows[0], axis=0)) > 100
    with ThreadPoolExecutor(4) as pool:
        shared = pool.map(model.logprobs, [contexts] * 8)
        assert all((found == rows[0]).all() for found in shared)


@pytest.mark.parametrize("order", [1, 5, None])
def test_a_file_gives_the_same_model(tmp_path: Path, order: int | None) -> None:
    model = bw.NgramModel.fit(LETTERS, CORPORA["many"], order=order)
    model.save(tmp_path / "model")
    again = bw.NgramModel.load(tmp_path / "model", LETTERS)
    contexts: Any = some_contexts(ids_of(LETTERS, CORPORA["many"]), END + 1, 1)
    assert (again.logprobs(contexts) == model.logprobs(contexts)).all()
    assert repr(again) == repr(model)
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
    assert (pickle.loads(pickle.dumps(again)).logprobs(contexts) == model.logprobs(contexts)).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "model"]


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    bw.NgramModel.fit(LETTERS, ["ab"]).save(tmp_path / "model")
    other = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"abcd")
    with pytest.raises(bw.ArgumentError, match="fitted with another tokenizer"):
        bw.NgramModel.load(tmp_path / "model", other)


def test_every_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "model"
    bw.NgramModel.fit(LETTERS, ["ab", "ba"], order=None).save(path)
    whole = path.read_bytes()
    damaged = [whole[:size] for size in range(0, len(whole), 3)] + [whole + b"\0"]
    for at in range(0, len(whole), 2):
        damaged.append(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(bw.DataError, match="model"):
            bw.NgramModel.load(path, LETTERS)


def test_a_file_that_lies_is_no_crash(tmp_path: Path) -> None:
    """Files with a checksum that holds, of arrays that contradict themselves."""
    model = bw.NgramModel.fit(LETTERS, some_texts(20, 10, 1), order=None)
    _, header, words = model.__reduce__()[1]
    chance = random.Random(2)
    refused = 0
    for _ in range(150):
        bent = words.copy()
        bent[chance.randrange(len(bent))] = chance.choice([0, 1, 7, 40, 1 << 31, (1 << 32) - 1])
        ngram_file.write(tmp_path / "model", header, bent)
        try:
            loaded = bw.NgramModel.load(tmp_path / "model", LETTERS)
        except bw.DataError:
            refused += 1
        else:
            contexts: Any = some_contexts([[0, 1, 2]], END + 1, 3)
            assert loaded.logprobs(contexts).shape == (len(contexts), 7)
    assert refused > 30
    for key in header:
        for value in (None, "x", -1, 1 << 62, 1 << 63, [1, 2], [1 << 62] * 2, [-1, 1]):
            ngram_file.write(tmp_path / "model", header | {key: value}, words)
            if key not in ("documents", "ids") or value != 1 << 62:
                with pytest.raises(bw.BytewrightError):
                    bw.NgramModel.load(tmp_path / "model", LETTERS)
    for other in ({}, {**header, "more": 1}, [header]):
        ngram_file.write(tmp_path / "model", other, words)  # type: ignore[arg-type]
        with pytest.raises(bw.DataError, match="a header of an n-gram model has"):
            bw.NgramModel.load(tmp_path / "model", LETTERS)


@pytest.mark.parametrize("order", [3, None])
def test_no_word_of_a_file_lies_unseen(tmp_path: Path, order: int | None) -> None:
    """Whatever stands in the array, it is refused, if not with the file then with a row."""
    tok = bw.Tokenizer.from_merges([], alphabet=b"ab")
    _, header, words = bw.NgramModel.fit(tok, ["abab", "ab"], order=order).__reduce__()[1]
    contexts: Any = [[], [0], [1], [0, 1], [1, 0], [0, 1, 0], [1, 0, 1, 1, 0], [0, 1, 0, 1]]
    rows_refused = 0
    for at in range(len(words)):
        for value in (0, 1, 3, 7, (1 << 32) - 1):
            bent = words.copy()
            bent[at] = value
            ngram_file.write(tmp_path / "model", header, bent)
            try:
                loaded = bw.NgramModel.load(tmp_path / "model", tok)
            except bw.DataError:
                continue
            for context in contexts:
                try:
                    rows = loaded.logprobs([context], dtype=np.float64)
                except bw.DataError:
                    rows_refused += 1
                else:
                    assert abs(np.exp(rows).sum() - 1) < 1e-9, (at, value, context)
    assert rows_refused > 5


def test_a_header_that_lies_is_refused_before_it_is_believed(tmp_path: Path) -> None:
    _, header, words = bw.NgramModel.fit(LETTERS, ["ab"]).__reduce__()[1]
    for end in (END + 1, 1 << 33, 1 << 40, (1 << 63) - 2):
        ngram_file.write(tmp_path / "model", header | {"eos_id": end, "width": end + 1}, words)
        with pytest.raises(bw.DataError, match=f"{end} as the end of text"):
            bw.NgramModel.load(tmp_path / "model", LETTERS)
    for nested in (b"[" * 200_000, b'{"a":' * 200_000):
        text = nested + b" " * (-(24 + len(nested)) % 64)
        start = b"bytewright ngram" + (1).to_bytes(4, "little") + len(text).to_bytes(4, "little")
        digest = hashlib.sha256(start + text).digest()
        (tmp_path / "model").write_bytes(start + text + digest)
        with pytest.raises(bw.DataError, match="a header of an n-gram model has"):
            bw.NgramModel.load(tmp_path / "model", LETTERS)


def test_other_threads_run_during_long_calls() -> None:
    ids = np.random.default_rng(1).integers(97, 101, 2_000_000, dtype=np.uint8).tobytes()
    model = bw.NgramModel.fit(LETTERS, [ids[:1000]], order=None)
    assert wakes_during(lambda: bw.NgramModel.fit(LETTERS, [ids])) > 5
    contexts: Any = [LETTERS.encode_array(ids[at : at + 900]) for at in range(20_000)]
    assert wakes_during(lambda: model.logprobs(contexts, threads=1)) > 5


INTERRUPTED = """
import sys, time
import numpy as np
import bytewright as bw

tok = bw.Tokenizer.from_merges([], alphabet=bytes(range(97, 113)))
text = np.random.default_rng(0).integers(97, 113, 4_000_000, dtype=np.uint8).tobytes()
model = bw.NgramModel.fit(tok, [text[:10000]], order=None)
contexts = [tok.encode_array(text[at:at + 9]) for at in range(30_000)]
calls = {
    "fit": lambda: bw.NgramModel.fit(tok, [text], order=None, threads=2),
    "rows": lambda: model.logprobs(contexts, threads=2),
}
done = 0
try:
    print("ready", flush=True)
    while True:
        calls[sys.argv[1]]()
        done += 1
except KeyboardInterrupt:
    ended = time.monotonic()
assert bw.NgramModel.fit(tok, ["ab"]).ids == 3
print(ended, done, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
@pytest.mark.parametrize("case", ["fit", "rows"])
def test_control_c_ends_a_long_call(case: str) -> None:
    delay, done = interrupted(INTERRUPTED, case)
    print(f"{case}: {delay * 1000:.0f} ms after Ctrl-C, {done} calls before")
    assert delay < 5
