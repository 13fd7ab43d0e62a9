"""A made-up model of bytes, all that it writes, and every way that draws can go."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import bytewright as bw
from bytewright.bytelm import weighted
from bytewright.bytelm.sampling import SamplingPredictor

Floats = NDArray[np.float64]
END = 256
# Tests put another in its place.
SYSTEMATIC = weighted.systematic


class Toy(SamplingPredictor):
    """A model of bytes with other probabilities after each text, and one of its places."""

    def __init__(self, alphabet: bytes, data: bytes = b"", *, zero: bytes = b"") -> None:
        self.alphabet, self.data, self.zero, self.logprob = alphabet, data, zero, 0.0

    def start(self, prefix: str | bytes = b"") -> Toy:
        assert isinstance(prefix, bytes)
        return Toy(self.alphabet, prefix, zero=self.zero)

    def advance(self, data: bytes) -> Toy:
        self.data += data
        return self

    def fork(self) -> Toy:
        return self.start(self.data)

    def next(self) -> bw.ByteDistribution:
        rng = np.random.default_rng(zlib.crc32(self.data))
        row = np.zeros(257)
        row[[*self.alphabet, END]] = rng.dirichlet(np.full(len(self.alphabet) + 1, 0.7))
        row[list(self.zero)] = 0.0
        with np.errstate(divide="ignore"):
            return bw.ByteDistribution(np.log(row / row.sum()), 0.0, 0.0)


def tempered(model: Toy, data: bytes, temperature: float) -> Floats:
    powers: Floats = model.start(data).next().probs ** (1 / temperature)
    shares: Floats = powers / powers.sum()
    return shares


def texts(
    model: Toy, prompt: bytes, max_bytes: int, temperature: float = 1.0
) -> dict[tuple[bytes, bool], float]:
    """Each text the model writes, cut after `max_bytes`, whether it ended, and its probability."""
    found: dict[tuple[bytes, bool], float] = {}
    waiting = [(b"", 1.0)]
    while waiting:
        text, p = waiting.pop()
        if len(text) == max_bytes:
            found[text, False] = p
            continue
        probs = tempered(model, prompt + text, temperature)
        found[text, True] = p * probs[END]
        waiting += [(text + bytes([byte]), p * probs[byte]) for byte in model.alphabet]
    return {one: p for one, p in found.items() if p}


class Paths:
    """All the ways that draws can go, one after the other, each with its probability."""

    def __init__(self) -> None:
        self.script: list[tuple[int, int]] = []
        self.at, self.p = 0, 1.0

    def __iter__(self) -> Iterator[None]:
        while True:
            self.at, self.p = 0, 1.0
            yield
            assert self.at == len(self.script)
            while self.script and self.script[-1][0] + 1 == self.script[-1][1]:
                self.script.pop()
            if not self.script:
                return
            choice, number = self.script.pop()
            self.script.append((choice + 1, number))

    def choose(self, probs: Floats) -> int:
        if self.at == len(self.script):
            self.script.append((0, len(probs)))
        choice = self.script[self.at][0]
        self.at += 1
        self.p *= float(probs[choice])
        return choice

    def draw(
        self, logprobs: Floats, temperature: float = 1.0, top_p: float = 1.0, rng: object = None
    ) -> int:
        assert top_p == 1.0
        probs = np.exp((logprobs - logprobs.max()) / temperature)
        outcomes = np.flatnonzero(probs)
        return int(outcomes[self.choose(probs[outcomes] / probs.sum())])

    def systematic(self, shares: Floats, offset: float) -> list[int]:
        ends = np.unique([0.0, *(np.cumsum(shares) * len(shares) % 1.0), 1.0])
        piece = self.choose(np.diff(ends))
        return SYSTEMATIC(shares, float(ends[piece : piece + 2].mean()))
