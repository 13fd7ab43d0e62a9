"""Replay: a list of merges applied to any text, and what each merge does to the counts of pairs.

Data mixture inference (Hayase et al. 2024, arXiv 2407.16607) asks, for samples of each category of
text, how often every pair stands before each merge of a tokenizer. That is the counts at the start
and the changes of the steps up to there. Changes come in chunks of steps, as flat arrays, so memory
is that of the text and one chunk, whatever the number of merges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.arguments import instance, items, word
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer
from bytewright.training.counts import PretokenCounts
from bytewright.training.segments import unsigned
from bytewright.training.start import ByteOrder, Continued, Fresh

__all__ = ["Replay", "ReplayChunk", "replay"]


@dataclass(frozen=True)
class ReplayChunk:
    """Some steps, one after the other.

    Step `i` of the chunk is merge `first + i` of the list. It changes the counts of the pairs
    `pairs[offsets[i]:offsets[i + 1]]` by `deltas[offsets[i]:offsets[i + 1]]`; each pair stands
    there once, in ascending order of ids, the merged pair among them with minus its count.

    Attributes:
        first: number of the first step.
        merges: left, right and product id of each step, shape `[n, 3]`.
        counts: how often the pair stood before it was merged, shape `[n]`.
        offsets: shape `[n + 1]`.
        pairs: left and right id, shape `[m, 2]`.
        deltas: shape `[m]`.
    """

    first: int
    merges: NDArray[np.int32]
    counts: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    pairs: NDArray[np.int32]
    deltas: NDArray[np.int64]


class Replay:
    """Merges applied to counts, a chunk of steps at a time; iterate over it once.

    Attributes:
        tokens: the bytes of every id that occurs: bytes first, then products in their order. Two
            merges with the same product have one id for it.
        pairs: the pairs of the text before the first step, ascending, shape `[p, 2]`.
        counts: how often each stands, shape `[p]`.
    """

    def __init__(
        self, core: _core.Replay, rows: NDArray[np.uint32], tokens: list[bytes], chunk: int
    ) -> None:
        """Take what `replay` made."""
        self._core = core
        self._rows = rows
        self._chunk = chunk
        self.tokens = tuple(tokens)
        pairs, self.counts = core.pairs()
        self.pairs = pairs.reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[ReplayChunk]:
        rows, self._rows = self._rows, self._rows[:0]
        for first in range(0, len(rows), self._chunk):
            part = rows[first : first + self._chunk].astype("<u4").tobytes()
            merges, counts, ends, pairs, deltas = self._core.advance(part)
            offsets = np.concatenate([np.zeros(1, np.int64), ends])
            yield ReplayChunk(
                first, merges.reshape(-1, 3), counts, offsets, pairs.reshape(-1, 2), deltas
            )


def replay(
    merges: Tokenizer | Iterable[tuple[bytes, bytes]],
    counts: PretokenCounts,
    *,
    byte_order: ByteOrder = "raw",
    chunk: int = 1024,
) -> Replay:
    """Apply merges to counts and tell what each does.

    Args:
        merges: pairs of byte strings in rank order, or a tokenizer for its merges. They need be
            neither the best nor in the text.
        counts: the text, cut into pieces.
        byte_order: the ids of the bytes, as in `train`; a tokenizer brings its own.
        chunk: steps that are told at a time.

    Raises:
        ArgumentError: a merge of parts that no earlier merge makes; a chunk that is not positive.

    >>> counts = PretokenCounts.from_dict({"abab": 2, "b": 1}, pattern=None)
    >>> steps = replay([(b"a", b"b")], counts)
    >>> [(steps.tokens[a], steps.tokens[b]) for a, b in steps.pairs], steps.counts.tolist()
    ([(b'a', b'b'), (b'b', b'a')], [4, 2])
    >>> [first] = steps
    >>> first.counts.tolist()
    [4]
    >>> changed = [(steps.tokens[a], steps.tokens[b]) for a, b in first.pairs]
    >>> dict(zip(changed, first.deltas.tolist()))
    {(b'a', b'b'): -4, (b'b', b'a'): -2, (b'ab', b'ab'): 2}
    """
    chunk = whole(chunk, "chunk", least=1)
    word(byte_order, "byte_order", ("raw", "gpt2"))
    instance(counts, PretokenCounts, "counts")
    start: Fresh | Continued
    if isinstance(merges, Tokenizer):
        start = Continued(merges, ())
    else:
        start = Fresh(byte_order, None, (), tuple(items(merges, "merges")))
    rows = start.initial
    core = _core.Replay(unsigned(counts), start.order)
    return Replay(core, rows, _tokens(start.order, rows), chunk)


def _tokens(order: bytes, rows: NDArray[np.uint32]) -> list[bytes]:
    tokens = [bytes([byte]) for byte in order]
    known = set(tokens)
    for left, right in rows.tolist():
        joined = tokens[left] + tokens[right]
        if joined not in known:
            known.add(joined)
            tokens.append(joined)
    return tokens
