"""What is compressed comes back, and takes the bits that the model says."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bytewright as bw
from bytewright import demo
from bytewright.bytelm import ByteProgress, compress, decompress

BYTES = bw.Tokenizer.from_merges([])
TEXTS = ["the cat sat down\n", "the cat ran away\n", "naïve 中文\n"] * 5


def hashed(scale: float, *, forbidden: Sequence[int] = (), end: bool = True) -> bw.ByteModel:
    """A model whose rows depend on the last byte, spread by a scale."""

    def rows(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        out = np.empty((len(contexts), 257))
        for row, ids in zip(out, contexts, strict=True):
            row[:] = scale * np.random.default_rng([9, *map(int, ids[-1:])]).normal(size=257)
            row[list(forbidden)] = -np.inf
            row[256] = row[256] if end else -np.inf
        return out

    return bw.ByteModel(bw.CallableModel(BYTES, rows, eos_id=256))


def contents() -> list[bytes]:
    rng = random.Random(5)
    noise = [rng.randbytes(size) for size in (0, 1, 2, 3, 50, 700)]
    return [*noise, b"\x00" * 500, b"\xff" * 500, "".join(TEXTS).encode()]


@pytest.mark.parametrize("scale", [0.0, 1.0, 8.0, 300.0])
def test_bits_are_those_that_the_model_says(scale: float) -> None:
    model = hashed(scale)
    for data in contents():
        small = compress(model, data)
        assert decompress(model, small) == data
        # What a share below one of the 2^24 parts costs is bounded by the parts.
        scores = [*(-model.score(data) / math.log(2)), -last(model, data) / math.log(2)]
        expected = sum(min(bits, 24.1) for bits in scores)
        assert 8 * len(small) <= expected + 16 + 1e-3 * len(data)


def last(model: bw.ByteModel, data: bytes) -> float:
    return float(model.start(data).next().logprobs[256])


def test_a_model_of_text_and_an_ensemble_compress_text() -> None:
    words = bw.ByteModel(bw.NgramModel.fit(demo.tokenizer(), TEXTS))
    letters = bw.ByteModel(bw.NgramModel.fit(BYTES, TEXTS))
    data = "the cat sat away\nnaïve cat\n".encode() * 4
    for model in (words, letters, bw.Ensemble([words, letters], rule="online")):
        small = compress(model, data)
        assert decompress(model, small) == data
        expected = -model.logprob(data, end=True) / math.log(2)
        assert -1 <= 8 * len(small) - expected <= 16


def test_long_work_tells_how_far_it_is() -> None:
    data, model = bytes(600), hashed(1.0)
    told: list[ByteProgress] = []
    small = compress(model, data, progress=told.append)
    assert [one.bytes_done for one in told] == [0, 256, 512, 600]
    assert {one.bytes_total for one in told} == {600}
    told.clear()
    assert decompress(model, small, progress=told.append) == data
    done = [one.bytes_done for one in told]
    assert done == sorted(done)
    assert (len(done), done[-1]) == (4, len(small))
    told.clear()
    assert np.array_equal(model.score(data, progress=told.append), model.score(data))
    assert told == [ByteProgress(256, 600), ByteProgress(512, 600), ByteProgress(600, 600)]


def test_bytes_that_a_model_excludes_come_back() -> None:
    data = b"abcabc" * 9
    model = hashed(1.0, forbidden=[ord("b"), ord("c")], end=False)
    assert decompress(model, compress(model, data)) == data
    letters = bw.ByteModel(bw.NgramModel.fit(bw.Tokenizer.from_merges([], alphabet=b"a"), ["aa"]))
    assert decompress(letters, compress(letters, data)) == data


class Counted:
    """A model of bytes that counts how often a text is begun."""

    def __init__(self, model: bw.ByteModel) -> None:
        self.model, self.begun = model, 0

    def start(self, prefix: str | bytes = b"") -> bw.BytePlace:
        self.begun += 1
        return self.model.start(prefix)


def test_a_byte_that_was_pruned_is_not_one_that_the_model_excludes() -> None:
    documents = (text for _, text in demo.documents())
    tokens = bw.NgramModel.fit(demo.tokenizer(), itertools.islice(documents, 40))
    data, sizes = next(documents).encode()[:1500], []
    for epsilon in (0.0, 1e-3, 1e-2, 0.1):
        model = Counted(bw.ByteModel(tokens, epsilon=epsilon))
        small = compress(model, data)
        # Nothing is impossible here, so the text is never begun anew.
        assert model.begun == 1
        assert decompress(bw.ByteModel(tokens, epsilon=epsilon), small) == data
        sizes.append(len(small))
    exact = -bw.ByteModel(tokens).logprob(data, end=True) / math.log(2)
    # What the semantics discards counts against `logprob`, and takes no bits.
    assert 8 * sizes[0] <= exact + 16
    assert max(sizes) <= 1.04 * sizes[0]
    place, pruned = bw.ByteModel(tokens, epsilon=0.1).start(), 0
    for byte in data:
        pruned += place.next().logprobs[byte] == -math.inf
        place.advance(bytes([byte]))
    assert pruned > 20


def test_damage_is_told_or_gives_other_bytes() -> None:
    model, data = hashed(1.0), bytes(range(256))
    small = compress(model, data)
    with pytest.raises(bw.DataError, match="end inside"):
        decompress(model, small[:-4])
    for longer in (small + b"\x00", small + b"\x80", small + b"rest"):
        with pytest.raises(bw.DataError, match="go on behind"):
            decompress(model, longer)
    with pytest.raises(bw.DataError):
        decompress(model, b"")
    told = 0
    for at in range(0, 8 * len(small), 37):
        changed = bytearray(small)
        changed[at // 8] ^= 1 << at % 8
        try:
            assert decompress(model, bytes(changed)) != data
        except bw.DataError:
            told += 1
    assert told > 0
    text: Any = "text"
    for function in (compress, decompress):
        with pytest.raises(bw.ArgumentTypeError, match="data must be bytes, not str"):
            function(model, text)
