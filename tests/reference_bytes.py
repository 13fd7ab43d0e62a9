"""Byte probabilities by their definition: every sequence of tokens that covers the bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from toy_models import sure

import bytewright as bw

Ids = tuple[int, ...]


class Cover:
    """P(x) of a toy model; `row` is its log-probabilities, the end of text last."""

    def __init__(
        self,
        tok: bw.Tokenizer,
        row: Callable[[Ids], Any],
        semantics: str,
        *,
        tails: int,
        utf8: bool = False,
        alphabet: bytes | None = None,
    ) -> None:
        """Texts go on by so many tokens of one byte, or bytes, and are UTF-8 if that is said."""
        self.tok, self.row, self.semantics, self.utf8 = tok, row, semantics, utf8
        self.size = tok.vocab_size
        self.tokens = [tok.token_bytes(at) for at in range(self.size)]
        single = {token for token in self.tokens if len(token) == 1}
        letters = sorted(single if alphabet is None else {bytes([byte]) for byte in alphabet})
        self.tails = [b"".join(t) for n in range(tails + 1) for t in product(letters, repeat=n)]
        self.viable = lru_cache(None)(self._viable)
        self.encode = lru_cache(None)(lambda text: tuple(tok.encode(text)))

    def _viable(self, ids: Ids) -> bool:
        text = self._bytes(ids)
        return any(
            self._is_text(text + tail) and self.encode(text + tail)[: len(ids)] == ids
            for tail in self.tails
        )

    def _bytes(self, ids: Ids) -> bytes:
        return b"".join(self.tokens[at] for at in ids)

    def _is_encoding(self, ids: Ids) -> bool:
        text = self._bytes(ids)
        return self._is_text(text) and self.encode(text) == ids

    def _is_text(self, data: bytes) -> bool:
        return not self.utf8 or data.decode(errors="ignore").encode() == data

    def prob(self, x: bytes) -> float:
        """The probability that a text begins with x."""
        if not x:
            return 1.0
        return float(sum(self._share(ids) for ids in self._covers(x, ())))

    def paths(self, x: bytes) -> dict[Ids, float]:
        """The sequences that cover x and count, each with its probability."""
        shares = {ids: self._share(ids) for ids in (self._covers(x, ()) if x else [()])}
        return {ids: share for ids, share in shares.items() if share > 0}

    def end(self, x: bytes) -> float:
        """The probability that the text is x."""
        total = 0.0
        for ids in self._covers(x, ()) if x else [()]:
            if self._bytes(ids) != x:
                continue
            whole = self.semantics == "all" or self._is_encoding(ids)
            total += self._share(ids) * self._step(ids, self.size) if whole else 0.0
        return total

    def _covers(self, x: bytes, ids: Ids) -> Iterator[Ids]:
        rest = x[len(self._bytes(ids)) :]
        for at, token in enumerate(self.tokens):
            if token.startswith(rest):
                yield (*ids, at)
            elif rest.startswith(token):
                yield from self._covers(x, (*ids, at))

    def _share(self, ids: Ids) -> float:
        """The probability of a sequence, 0 where it does not count."""
        counted = {"all": (), "fast": ids[:-1]}.get(self.semantics, ids)
        if not self.viable(counted):
            return 0.0
        return float(np.prod([self._step(ids[:at], ids[at]) for at in range(len(ids))]))

    def _step(self, context: Ids, token: int) -> float:
        probs = np.exp(self.row(context))
        if self.semantics != "local":
            return float(probs[token])
        counts = [self.viable((*context, at)) for at in range(self.size)]
        ends = self._is_encoding(context)
        return float(probs[token] / probs[np.array([*counts, ends])].sum())


def assert_defined(
    model: bw.ByteModel, oracle: Cover, text: bytes, *, some: bytes | None = None
) -> None:
    """A model says of a text, and of what may follow it, what the definition says.

    Looked at are all bytes that tokens have, or else `some`, and the end of the text.
    """
    state, whole = model.start(text), oracle.prob(text)
    if whole == 0.0:
        assert state.logprob == -math.inf, (oracle.semantics, text)
        return
    assert math.exp(state.logprob) == pytest.approx(whole, rel=1e-9), (oracle.semantics, text)
    found = state.next()
    known = sorted(set(b"".join(oracle.tokens))) if some is None else some
    expected = [oracle.prob(text + bytes([byte])) for byte in known]
    expected.append(oracle.end(text))
    shares = found.probs[[*known, 256]]
    assert shares * (1 - found.lost_mass) == pytest.approx(np.array(expected) / whole, abs=1e-9)
    assert some is not None or shares.sum() == pytest.approx(1.0 if any(expected) else 0.0)


def assert_encoding_is_kept(tok: bw.Tokenizer, text: bytes) -> None:
    """Nothing of a text's encoding is lost where the model expects nothing else."""
    model = bw.ByteModel(sure(tok, tok.encode(text)))
    assert np.abs(model.score(text)).max() < 1e-6
    state = model.start()
    for at in range(len(text)):
        assert state.next().lost_mass < 1e-6, (at, text[:at])
        state.advance(text[at : at + 1])
    assert math.exp(model.logprob(text, end=True)) == pytest.approx(1.0, abs=1e-6)


class Range(Cover):
    """The same where texts are not what their tokens spell: all encodings, of all short texts."""

    def __init__(
        self,
        tok: bw.Tokenizer,
        row: Callable[[Ids], Any],
        semantics: str,
        *,
        encodings: set[Ids],
        lead: bytes = b"",
    ) -> None:
        """Texts are given the bytes that stand before each."""
        super().__init__(tok, row, semantics, tails=0)
        self.encodings, self.lead = encodings, lead
        self.begun = {ids[:at] for ids in encodings for at in range(len(ids) + 1)}

    def prob(self, x: bytes) -> float:
        return super().prob(self.lead + x) / super().prob(self.lead)

    def end(self, x: bytes) -> float:
        return super().end(self.lead + x) / super().prob(self.lead)

    def _viable(self, ids: Ids) -> bool:
        return ids in self.begun

    def _is_encoding(self, ids: Ids) -> bool:
        return ids in self.encodings


def encodings(tok: bw.Tokenizer, alphabet: bytes, length: int) -> set[Ids]:
    """Of all texts of so many bytes at most."""
    letters = [bytes([byte]) for byte in alphabet]
    texts = (b"".join(text) for n in range(length + 1) for text in product(letters, repeat=n))
    return {tuple(tok.encode(text)) for text in texts}


def forward(tok: bw.Tokenizer, row: Callable[[Ids], Any], reach: int, x: bytes) -> float:
    """The logarithm of P(x) over all sequences, of a model of which the last ids decide.

    The forward algorithm: a sum for each place and the last ids there, which `row` is given.
    """
    tokens: dict[bytes, list[int]] = {}
    for at in range(tok.vocab_size):
        tokens.setdefault(tok.token_bytes(at), []).append(at)
    longest = max(map(len, tokens))
    sums: list[dict[Ids, float]] = [{(): 0.0}, *({} for _ in x)]
    total = -math.inf
    for at in range(len(x)):
        inside = [x[at:end] for end in range(at + 1, min(len(x), at + longest + 1))]
        steps = [one for token in inside for one in tokens.get(token, [])]
        rest = x[at:]
        over = [one for token in tokens if token.startswith(rest) for one in tokens[token]]
        for ids, weight in sums[at].items():
            steps_of = row(ids)
            for one in over:
                total = np.logaddexp(total, weight + steps_of[one])
            for one in steps:
                after = sums[at + len(tok.token_bytes(one))]
                end = (*ids, one)[max(0, len(ids) + 1 - reach) :]
                after[end] = np.logaddexp(after.get(end, -math.inf), weight + steps_of[one])
    return float(total)
