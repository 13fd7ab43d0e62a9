"""Drawn texts follow the probabilities, and the options do what their definitions say."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

import bytewright as bw
from bytewright.bytelm import ByteProgress, sampling
from bytewright.bytelm.utf8 import may_follow
from bytewright.utf8 import unfinished

HEADS = [
    *(b"", b"\xc2", b"\xdf", b"\xe0", b"\xe1", b"\xed", b"\xef", b"\xf0", b"\xf3", b"\xf4"),
    *(b"\xe0\xa0", b"\xed\x9f", b"\xf0\x90", b"\xf1\x80", b"\xf4\x8f", b"\xf4\x8f\xbf"),
]
BYTES = bw.Tokenizer.from_merges([])


def uniform_bytes(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
    return np.full((len(contexts), 257), -math.log(257))


class Fixed(sampling.SamplingPredictor):
    """A model of bytes that expects the same at every place, and one of its places."""

    def __init__(self, probs: dict[int, float]) -> None:
        self.probs, self.logprob = probs, 0.0

    def start(self, prefix: str | bytes = b"") -> Fixed:
        return self

    def advance(self, data: bytes) -> Self:
        return self

    def fork(self) -> Self:
        return self

    def next(self) -> bw.ByteDistribution:
        row = np.zeros(257)
        for outcome, p in self.probs.items():
            row[outcome] = p
        with np.errstate(divide="ignore"):
            return bw.ByteDistribution(np.log(row), 0.0, 0.0)


def draws(probs: dict[int, float], number: int, temperature: float, top_p: float) -> Counter[int]:
    """How often each outcome is the first that is drawn; 256 is the end."""
    drawn: Counter[int] = Counter()
    for seed in range(number):
        text = Fixed(probs).sample(max_bytes=1, temperature=temperature, top_p=top_p, seed=seed)
        drawn[text[0] if text else 256] += 1
    return drawn


def kept(probs: dict[int, float], top_p: float) -> set[int]:
    """The smallest set of the likeliest outcomes with that share, by trying every size."""
    order = sorted(probs, key=lambda outcome: (-probs[outcome], outcome))
    for size in range(1, len(order) + 1):
        if math.fsum(probs[outcome] for outcome in order[:size]) >= top_p - 1e-12:
            return set(order[:size])
    return set(order)


@pytest.mark.parametrize("top_p", [1.0, 0.95, 0.9, 0.6, 0.59, 0.3, 0.01])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_draws_follow_temperature_and_top_p(temperature: float, top_p: float) -> None:
    probs = {9: 0.3, 65: 0.1, 66: 0.3, 255: 0.05, 256: 0.25}
    powers = {outcome: p ** (1 / temperature) for outcome, p in probs.items()}
    tempered = {outcome: p / sum(powers.values()) for outcome, p in powers.items()}
    among = kept(tempered, top_p)
    number = 1200
    drawn = draws(probs, number, temperature, top_p)
    assert set(drawn) == among
    total = sum(tempered[outcome] for outcome in among)
    # Five standard deviations of a share; the seeds are fixed, so it holds once and for all.
    assert all(
        abs(drawn[outcome] / number - tempered[outcome] / total) < 2.5 / math.sqrt(number)
        for outcome in among
    )


def test_the_likeliest_byte_is_taken_at_temperature_0() -> None:
    assert draws({7: 0.4, 3: 0.4, 256: 0.2}, 5, 0.0, 1.0) == {3: 5}
    model = bw.ByteModel(bw.NgramModel.fit(BYTES, ["the cat sat on the mat"] * 3))
    state, expected = model.start(b"th"), b""
    while (outcome := int(state.next().logprobs.argmax())) < 256 and len(expected) < 12:
        expected += bytes([outcome])
        state.advance(bytes([outcome]))
    assert model.sample("th", max_bytes=12, temperature=0) == expected
    assert draws({7: 0.4, 3: 0.39, 256: 0.21}, 5, 1e-310, 1.0) == {7: 5}


def test_texts_are_drawn_as_often_as_their_probability_says() -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b"), (b"ab", b"a")], alphabet=b"ab")
    rows = np.log([[0.2, 0.3, 0.2, 0.1, 0.2], [0.1, 0.2, 0.3, 0.3, 0.1]])

    def fn(contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        return np.stack([rows[len(ids) % 2] for ids in contexts])

    model = bw.ByteModel(bw.CallableModel(tok, fn, eos_id=4), semantics="all")
    number = 1500
    drawn = Counter(model.sample("a", max_bytes=2, seed=seed) for seed in range(number))
    whole = model.logprob("a")
    for size, ends in ((0, True), (1, True), (2, False)):
        for letters in itertools.product(b"ab", repeat=size):
            text = bytes(letters)
            expected = math.exp(model.logprob(b"a" + text, end=ends) - whole)
            assert abs(drawn[text] / number - expected) < 2.5 / math.sqrt(number), text
    assert sum(drawn.values()) == number


def test_a_seed_decides_the_text() -> None:
    model = bw.ByteModel(bw.CallableModel(BYTES, uniform_bytes, eos_id=256))
    texts = [model.sample(max_bytes=40, seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert model.sample(max_bytes=40) != model.sample(max_bytes=40)
    assert model.sample("x", max_bytes=0) == b""


def test_stop_strings_end_the_text_and_are_left_out() -> None:
    model = bw.ByteModel(bw.NgramModel.fit(BYTES, ["abcdefghijklmnop"] * 50))

    def drawn(stop: Any) -> bytes:
        return model.sample("abc", max_bytes=9, temperature=0, stop=stop)

    assert drawn(()) == b"defghijkl"
    assert drawn("gh") == drawn([b"gh"]) == drawn(["zz", "gh", b"k"]) == b"def"
    assert drawn(["h", "fgh"]) == b"de"  # Both end at the same byte: the longer one goes.
    assert drawn("cd") == b"defghijkl"  # What the prompt begins is not in what is drawn.
    assert drawn("defghijkl") == b""


def test_every_beginning_of_a_character_and_no_other_is_one() -> None:
    codes = itertools.chain(range(0xD800), range(0xE000, 0x110000))
    whole = [chr(code).encode() for code in codes]
    after: dict[bytes, set[int]] = {}
    for char in whole:
        for size in range(len(char)):
            after.setdefault(char[:size], set()).add(char[size])
    for head in HEADS:
        assert unfinished(b"\xffabc" + head) == unfinished(head) == head
        expected = after[head] | ({256} if head == b"" else set())
        assert set(np.flatnonzero(may_follow(head)).tolist()) == expected, head
    for tail in itertools.product(range(0x7F, 0x100, 3), repeat=3):
        data = bytes(tail)
        expected_tail = max((data[at:] for at in range(4) if data[at:] in after), key=len)
        assert unfinished(data) == expected_tail, data


def test_how_far_it_is_is_told() -> None:
    model = bw.ByteModel(bw.CallableModel(BYTES, uniform_bytes, eos_id=256))
    sizes = []
    for seed in range(6):
        told: list[ByteProgress] = []
        drawn = model.sample(max_bytes=100, seed=seed, progress=told.append)
        assert drawn == model.sample(max_bytes=100, seed=seed)
        assert [one.bytes_done for one in told] == [*range(0, min(len(drawn), 99) + 1, 32)]
        assert {one.bytes_total for one in told} == {100}
        sizes.append(len(told))
    assert max(sizes) == 4


def test_strict_utf8_is_utf8() -> None:
    model = bw.ByteModel(bw.CallableModel(BYTES, uniform_bytes, eos_id=256))
    sizes = set()
    for seed in range(150):
        size = seed % 11
        text = model.sample(b"\xff\xe4", max_bytes=2 + size, seed=seed, utf8="strict")
        (b"\xe4" + text).decode()
        text = model.sample("", max_bytes=size, seed=seed, utf8="strict")
        text.decode()
        sizes.add(len(text) - size)
    assert {0, -1, -2} <= sizes
    with pytest.raises(UnicodeDecodeError):
        model.sample("", max_bytes=30, seed=1).decode()
    assert model.sample(b"\xf4", max_bytes=2, seed=1, utf8="strict") == b""


def test_what_cannot_be_drawn_is_said() -> None:
    model = bw.ByteModel(bw.NgramModel.fit(BYTES, ["abc"]))
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"max_bytes": -1}, bw.ArgumentError, "max_bytes=-1"),
        ({"max_bytes": 1.5}, bw.ArgumentTypeError, "max_bytes must be an int"),
        ({"temperature": -0.1}, bw.ArgumentError, "temperature=-0.1"),
        ({"temperature": math.inf}, bw.ArgumentError, "temperature=inf"),
        ({"temperature": math.nan}, bw.ArgumentError, "temperature=nan"),
        ({"top_p": 0.0}, bw.ArgumentError, "top_p=0.0"),
        ({"top_p": 1.1}, bw.ArgumentError, "top_p=1.1"),
        ({"seed": -3}, bw.ArgumentError, "seed=-3"),
        ({"seed": "x"}, bw.ArgumentTypeError, "seed must be an int"),
        ({"stop": [""]}, bw.ArgumentError, "empty stop"),
        ({"stop": [3]}, bw.ArgumentTypeError, "str or bytes"),
        ({"utf8": "loose"}, bw.ArgumentError, "utf8='loose'"),
    ]
    for options, error, message in wrong:
        with pytest.raises(error, match=message):
            model.sample("a", **{"max_bytes": 3, **options})
    letters = bw.Tokenizer.from_merges([], alphabet=b"ab")
    narrow = bw.ByteModel(bw.NgramModel.fit(letters, ["abab"]))
    with pytest.raises(bw.DataError, match="prompt: these 2 bytes have the probability 0"):
        narrow.sample("ac", max_bytes=3)
    with pytest.raises(bw.DataError, match="after 1 bytes the model expects nothing that keeps"):
        Fixed({200: 1.0}).sample(b"\xc2", max_bytes=1, utf8="strict")
