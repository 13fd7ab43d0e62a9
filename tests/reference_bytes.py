"""Byte probabilities by their definition: every sequence of tokens that covers the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

import bytewright as bw

Ids = tuple[int, ...]


class Cover:
    """P(x) of a toy model; `row` is its log-probabilities, the end of text last."""

    def __init__(
        self, tok: bw.Tokenizer, row: Callable[[Ids], Any], semantics: str, *, tails: int
    ) -> None:
        self.tok, self.row, self.semantics = tok, row, semantics
        self.size = tok.vocab_size
        self.tokens = [tok.token_bytes(at) for at in range(self.size)]
        alphabet = sorted({token for token in self.tokens if len(token) == 1})
        self.tails = [b"".join(t) for n in range(tails + 1) for t in product(alphabet, repeat=n)]
        self.viable = lru_cache(None)(self._viable)
        self.encode = lru_cache(None)(lambda text: tuple(tok.encode(text)))

    def _viable(self, ids: Ids) -> bool:
        text = self.tok.decode_bytes(list(ids))
        return any(self.encode(text + tail)[: len(ids)] == ids for tail in self.tails)

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
            if self.tok.decode_bytes(list(ids)) != x:
                continue
            whole = self.semantics == "all" or self.encode(x) == ids
            total += self._share(ids) * self._step(ids, self.size) if whole else 0.0
        return total

    def _covers(self, x: bytes, ids: Ids) -> Iterator[Ids]:
        rest = x[len(self.tok.decode_bytes(list(ids))) :]
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
        ends = self.encode(self.tok.decode_bytes(list(context))) == context
        return float(probs[token] / probs[np.array([*counts, ends])].sum())
