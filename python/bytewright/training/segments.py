"""Text as rows of ids with counts: what a trainer that starts from a tokenizer takes.

Rows are the distinct pieces of the tokenizer's own pre-tokenizer, each encoded by the merges alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright import arguments
from bytewright.errors import ArgumentTypeError, UnsupportedError
from bytewright.tokenizer import Tokenizer
from bytewright.training.counts import PretokenCounts
from bytewright.training.surgery.edit import bare

__all__ = ["Rows", "encoded_pieces", "unsigned"]

Flat = tuple[NDArray[np.uint8], NDArray[np.uint64], NDArray[np.uint64]]


@dataclass(frozen=True)
class Rows:
    """Row `i` is `values[offsets[i]:offsets[i + 1]]` and occurs `counts[i]` times."""

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]  # [n + 1]
    counts: NDArray[np.uint64]  # [n]


def encoded_pieces(tokenizer: Tokenizer, source: Any) -> Rows:
    """The distinct pieces of texts, encoded.

    Raises:
        UnsupportedError: the tokenizer normalizes texts.
        ArgumentTypeError: not texts.
    """
    if isinstance(source, PretokenCounts):
        return _encoded(tokenizer, [piece for piece, _ in source], source.pieces[2])
    if isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
        raise ArgumentTypeError(f"texts are needed, not {type(source).__name__}")
    if tokenizer.definition.rules()["normalizer"]:
        raise UnsupportedError(
            "this tokenizer normalizes texts: count the pre-tokens of normalized texts instead"
        )
    pieces: Counter[bytes] = Counter()
    for text in source:
        if isinstance(text, str):
            arguments.text(text, "a text")
        data = text.encode() if isinstance(text, str) else text
        ends = tokenizer._core.pieces(data).tolist()
        pieces.update(data[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True))
    ordered = sorted(pieces)
    counts = np.fromiter((pieces[piece] for piece in ordered), np.uint64, len(ordered))
    return _encoded(tokenizer, ordered, counts)


def _encoded(tokenizer: Tokenizer, pieces: list[bytes], counts: NDArray[np.uint64]) -> Rows:
    batch = bare(tokenizer.definition).encode_batch(pieces)
    return Rows(batch.values.to_numpy(), batch.offsets.to_numpy().astype(np.int64), counts)


def unsigned(counts: PretokenCounts) -> Flat:
    """Arena, offsets and counts as the core's trainers take them."""
    arena, offsets, amounts = counts.pieces
    return arena, offsets.view(np.uint64), amounts
