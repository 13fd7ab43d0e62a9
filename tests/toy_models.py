"""Models of tokens whose probabilities are made up, and tokenizers small enough to enumerate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import bytewright as bw

Row = NDArray[np.float64]
RowOf = Callable[[tuple[int, ...]], Row]

SEMANTICS: list[Literal["all", "valid", "fast", "local"]] = ["all", "valid", "fast", "local"]
PATTERNS = [None, r"\s+(?!\S)|\s+| ?[^\s\d]+|\d", r"\d{1,2}(?=x)|[^\d]+|\d", "gpt2", "cl100k"]
TEXT = b"ab abbb  ab\n\n a bb ab"
"""What `small_model` knows the bytes of."""


def row_model(
    tok: bw.Tokenizer, row: Callable[..., Row], eos: int, dtype: Any = np.float64
) -> bw.CallableModel:
    """A model whose row after a context a function gives."""

    def rows(contexts: Sequence[NDArray[np.int32]]) -> Any:
        return np.stack([row(tuple(map(int, ids))) for ids in contexts]).astype(dtype)

    return bw.CallableModel(tok, rows, eos_id=eos)


def hashed(size: int, seed: int, scale: float, *, lacking: int = 0) -> RowOf:
    """Log-probabilities that depend on the whole context, over `size` outcomes.

    The first `lacking` of them cannot be.
    """

    @lru_cache(None)
    def row(context: tuple[int, ...]) -> Row:
        text = ",".join(map(str, context))
        digests = [hashlib.sha256(f"{seed}|{text}|{at}".encode()).digest() for at in range(size)]
        unit = np.array([int.from_bytes(digest[:8], "big") / 2**64 for digest in digests])
        logits = scale * (2 * unit - 1)
        logits[:lacking] = -np.inf
        result: Row = logits - np.log(np.exp(logits).sum())
        return result

    return row


def sure(tok: bw.Tokenizer, ids: Sequence[int]) -> bw.CallableModel:
    """A model that expects these ids and then the end of text, and nothing else."""
    size = tok.vocab_size

    def row(context: tuple[int, ...]) -> Row:
        found = np.full(size + 1, -np.inf)
        follows = context == tuple(ids[: len(context)]) and len(context) < len(ids)
        found[ids[len(context)] if follows else size] = 0.0
        return found

    return row_model(tok, row, size, np.float32)


def random_tokenizer(rng: np.random.Generator, pattern: str | None) -> bw.Tokenizer:
    """A small one over letters, spaces and a digit, some of its merges never reached."""
    tokens = [b"a", b" ", b"x", b"1"]
    merges = []
    for _ in range(int(rng.integers(0, 7))):
        pair = tuple(tokens[at] for at in rng.integers(0, len(tokens), 2))
        if pair not in merges and len(pair[0] + pair[1]) <= 4:
            merges.append(pair)
            tokens.append(pair[0] + pair[1])
    return bw.Tokenizer.from_merges(merges, alphabet=b"a x1", pattern=pattern)


def small_model(
    *, dtype: Any = np.float64, scale: float = 3.0, pattern: str | None = "gpt2"
) -> bw.CallableModel:
    """A model of a vocabulary of nine tokens."""
    merges = [(b"a", b"b"), (b" ", b"a"), (b" ", b"ab"), (b"b", b"b"), (b"ab", b"bb")]
    tok = bw.Tokenizer.from_merges(merges, alphabet=b"ab \n", pattern=pattern)
    return row_model(tok, hashed(tok.vocab_size + 1, 3, scale), tok.vocab_size, dtype)
