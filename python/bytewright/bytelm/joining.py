"""How likely a suffix is behind each of many middles, read no further than it matters.

What a middle with its suffix can be at most falls with every byte of the suffix that is read. So
the middles wait in the order of that bound, and the one with the largest reads on, a stretch twice
as long each time. Once the bound of those that still read is below `NEGLIGIBLE` times what the
finished ones add up to, they may stay unfinished: all of them together are no more than that.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bytewright.bytelm.distribution import END
from bytewright.bytelm.middles import Middle
from bytewright.bytelm.protocol import BytePlace

__all__ = ["NEGLIGIBLE", "join", "period"]

NEGLIGIBLE = 1e-12
"""What is left unread, as a share of what is read."""

# Bytes of the suffix that a middle reads first, behind the one that it knows without.
_STRETCH = 4


@dataclass(slots=True, eq=False)
class _Reader:
    """A middle, and the place that it has come to in the suffix."""

    middle: Middle
    place: BytePlace
    read: int
    logprob: float  # The most that the middle with the whole suffix can have.
    done: bool


def join(
    middles: Iterable[Middle], suffix: bytes, *, end: bool, start: float
) -> tuple[list[tuple[Middle, float]], float]:
    """Middles with the logarithm of the probability that they and the suffix follow the prefix.

    Args:
        middles: those that may stand there; their factors say how much each counts.
        suffix: what follows.
        end: whether the text ends there.
        start: the logarithm of the prefix's probability.

    Returns:
        The middles that matter, and the logarithm of what those that are left out can add at most.
    """
    heap: list[tuple[float, int, _Reader]] = []
    for at, middle in enumerate(middles):
        reader = _first(middle, suffix, end=end)
        if reader.logprob > -math.inf:
            heap.append((-(reader.logprob + middle.factor), at, reader))
    heapq.heapify(heap)
    found: list[tuple[Middle, float]] = []
    total = -math.inf
    while heap:
        bound = -heap[0][0] + math.log(len(heap))
        if bound <= total + math.log(NEGLIGIBLE):
            return found, bound
        _, at, reader = heapq.heappop(heap)
        if reader.done:
            found.append((reader.middle, reader.logprob))
            total = float(np.logaddexp(total, reader.logprob + reader.middle.factor))
            continue
        _read(reader, suffix, end=end, start=start)
        if reader.logprob > -math.inf:
            heapq.heappush(heap, (-(reader.logprob + reader.middle.factor), at, reader))
    return found, -math.inf


def _first(middle: Middle, suffix: bytes, *, end: bool) -> _Reader:
    """What is known without asking the model for more."""
    done = not suffix and not end
    if middle.outcomes is None or done:
        return _Reader(middle, middle.place, 0, middle.logprob, done)
    # One byte or the end is known, and read again with what follows it.
    known = float(middle.outcomes[suffix[0] if suffix else END])
    return _Reader(middle, middle.place, 0, known, len(suffix) + end == 1)


def _read(reader: _Reader, suffix: bytes, *, end: bool, start: float) -> None:
    size = max(_STRETCH, reader.read)
    rest = suffix[reader.read : reader.read + size]
    if rest:
        reader.place = reader.place.fork().advance(rest)
        reader.read += len(rest)
        reader.logprob = min(reader.logprob, reader.place.logprob - start)
    finished = reader.read == len(suffix)
    if finished and end and reader.logprob > -math.inf:
        last = reader.place.next()
        with np.errstate(divide="ignore"):
            reader.logprob += float(np.log1p(-last.lost_mass) + last.logprobs[END])
    reader.done = finished


def period(text: bytes) -> int:
    """The least distance at which a text overlaps itself, its length if none is less.

    >>> period(b"abcabca"), period(b"aaa"), period(b"abc")
    (3, 1, 3)
    """
    borders = [0] * len(text)  # For each beginning the longest end that is a beginning too.
    size = 0
    for at in range(1, len(text)):
        while size and text[at] != text[size]:
            size = borders[size - 1]
        size += text[at] == text[size]
        borders[at] = size
    return max(1, len(text) - size)
