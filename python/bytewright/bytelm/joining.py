"""How likely a suffix is behind each of many middles, read no further than it matters.

What a middle with its suffix can be at most falls with every byte of the suffix that is read. So
the middles wait in the order of that bound, and the one with the largest reads on, a stretch twice
as long each time. Once the bound of those that still read is below `NEGLIGIBLE` times what the
finished ones add up to, they may stay unfinished: all of them together are no more than that.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bytewright.bytelm.distribution import END, log_added
from bytewright.bytelm.middles import Middle, Middles
from bytewright.bytelm.places import MOST_TOGETHER
from bytewright.bytelm.protocol import BytePlace, ask_together

__all__ = ["NEGLIGIBLE", "join", "period"]

NEGLIGIBLE = 1e-12
"""What is left unread, as a share of what is read."""

# Bytes of the suffix that a middle reads first, behind the one that it knows without.
_STRETCH = 4

# Those whose bounds are so few nats below the largest read on together.
_TOGETHER = 5.0


@dataclass(slots=True, eq=False)
class _Reader:
    """A middle, and the place that it has come to in the suffix, as long as it reads."""

    middle: Middle
    place: BytePlace | None
    read: int
    logprob: float  # The most that the middle with the whole suffix can have.
    done: bool


def join(
    tree: Middles, middles: Iterable[Middle], suffix: bytes, *, end: bool, start: float
) -> tuple[list[tuple[Middle, float]], float]:
    """Middles with the logarithm of the probability that they and the suffix follow the prefix.

    Args:
        tree: where they were found.
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
        wave = _popped(heap)
        for _, reader in wave:
            if reader.done:
                found.append((reader.middle, reader.logprob))
                total = log_added([total, reader.logprob + reader.middle.factor])
        going = [(at, reader) for at, reader in wave if not reader.done]
        _read(tree, [reader for _, reader in going], suffix, end=end, start=start)
        for at, reader in going:
            if reader.logprob > -math.inf:
                heapq.heappush(heap, (-(reader.logprob + reader.middle.factor), at, reader))
    return found, -math.inf


def _popped(heap: list[tuple[float, int, _Reader]]) -> list[tuple[int, _Reader]]:
    """The readers with the largest bounds, those together that are about as large."""
    least = heap[0][0] + _TOGETHER
    wave: list[tuple[int, _Reader]] = []
    while heap and heap[0][0] <= least and len(wave) < MOST_TOGETHER:
        _, at, reader = heapq.heappop(heap)
        wave.append((at, reader))
    return wave


def _first(middle: Middle, suffix: bytes, *, end: bool) -> _Reader:
    """What is known without asking the model for more."""
    done = not suffix and not end
    if middle.outcomes is None or done:
        return _Reader(middle, None, 0, middle.logprob, done)
    # One byte or the end is known, and read again with what follows it.
    known = float(middle.outcomes[suffix[0] if suffix else END])
    return _Reader(middle, None, 0, known, len(suffix) + end == 1)


def _read(
    tree: Middles, readers: Sequence[_Reader], suffix: bytes, *, end: bool, start: float
) -> None:
    """Read on, each a stretch."""
    begun = [reader.middle.place for reader in readers if reader.place is None]
    first = iter(tree.places.behind([(one, b"") for one in begun]))
    places: list[BytePlace] = []
    for reader in readers:
        rest = suffix[reader.read : reader.read + max(_STRETCH, reader.read)]
        place = next(first) if reader.place is None else reader.place
        reader.place = place.advance(rest)
        reader.read += len(rest)
        places.append(place)
    ask_together(tree.source, places, "end")
    for reader, place in zip(readers, places, strict=True):
        reader.logprob = min(reader.logprob, place.logprob - start)
        reader.done = reader.read == len(suffix)
    finished = [pair for pair in zip(readers, places, strict=True) if pair[0].done]
    last = [pair for pair in finished if end and pair[0].logprob > -math.inf]
    ask_together(tree.source, [place for _, place in last])
    for reader, place in last:
        found = place.next()
        reader.logprob += float(found.log_kept + found.logprobs[END])
    for reader, _ in finished:
        reader.place = None


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
