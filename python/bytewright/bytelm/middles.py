"""The middles that may stand between two texts: a tree that is explored as far as a budget goes.

A node is a middle m with the probability pi(m) that it follows the prefix. The tree is explored
best first; what is left hangs below the *frontier*, the children that were not looked at.
Trajectories cover that: each begins at a frontier node f, drawn with a probability q(f) in
proportion to pi(f), and goes on byte by byte as the model expects. Every place that it comes
through is a candidate, and counts with the factor

    1 / (n q(f) prod q(byte))

for n trajectories. A sum over the candidates, with their factors, is an unbiased estimate of the
sum over all middles below the frontier, whatever is summed. Frontier nodes are drawn
systematically, at equal distances in the sum of their probabilities, so a large one is never
missed.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.distribution import END
from bytewright.bytelm.protocol import BytePlace
from bytewright.bytelm.utf8 import may_follow, unfinished

__all__ = ["Middle", "Middles", "Rules"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a middle may be.

    Attributes:
        most: no more bytes than these.
        stops: strings that it does not contain.
        tail: the unfinished character that the prefix ends in; None where any bytes are allowed.
        suffix: what follows it.
        end: whether the text ends there.
    """

    most: int
    stops: tuple[bytes, ...]
    tail: bytes | None
    suffix: bytes
    end: bool

    def allowed(self, middle: bytes) -> NDArray[np.bool_]:
        """Which bytes may follow, bool `[256]`."""
        if self.tail is None:
            mask = np.ones(END, np.bool_)
        else:
            mask = may_follow(unfinished(self.tail + middle))[:END].copy()
        for stop in self.stops:
            if middle.endswith(stop[:-1]):
                mask[stop[-1]] = False
        return mask

    def fits(self, middle: bytes) -> bool:
        """Whether the suffix may follow: what it finishes of a character is what is unfinished."""
        if self.tail is None:
            return True
        tail = unfinished(self.tail + middle)
        for byte in self.suffix:
            if not 0x80 <= byte < 0xC0:
                return not tail
            if not tail or not may_follow(tail)[byte]:
                return False
            tail = unfinished(tail + bytes([byte]))
        return not tail or bool(self.suffix and not self.end)


@dataclass(slots=True, eq=False)
class Middle:
    """A middle that was looked at.

    Attributes:
        data: its bytes.
        place: the place behind it.
        logprob: log of pi.
        outcomes: logs of pi of itself with each byte or the end behind it, float64 `[257]`; None
            where the middle can be no longer.
        order: the bytes that may follow, the likeliest first.
        taken: how many of them are explored.
        explored: whether it was looked at for its own sake, not by a trajectory.
        factor: log of the number of middles that it stands for; 0 where it was explored, and minus
            infinity before a trajectory has come through.
    """

    data: bytes
    place: BytePlace
    logprob: float
    outcomes: Floats | None
    order: NDArray[np.intp]
    taken: int = 0
    explored: bool = False
    factor: float = -math.inf

    def left(self) -> Floats:
        """Logs of pi of the children on the frontier."""
        if self.outcomes is None:
            return np.zeros(0)
        return np.asarray(self.outcomes[self.order[self.taken :]])


Heap = list[tuple[float, int, Middle]]


@dataclass(slots=True)
class Middles:
    """The middles behind a place, as far as they were looked at.

    Attributes:
        rules: what a middle may be.
        seen: those that were, by their bytes.
        trajectories: for each, the middles that it came through, and logs of their factors.
    """

    rules: Rules
    seen: dict[bytes, Middle] = field(default_factory=dict)
    trajectories: list[list[tuple[Middle, float]]] = field(default_factory=list)

    def explore(self, place: BytePlace, budget: int) -> None:
        """Look at the likeliest middles, as many as the budget says."""
        root = self._look(b"", place, 0.0)
        heap: Heap = []
        turns = itertools.count()
        _offer(heap, root, turns)
        while heap and len(self.seen) < budget:
            _, _, parent = heapq.heappop(heap)
            assert parent.outcomes is not None
            byte = int(parent.order[parent.taken])
            parent.taken += 1
            child = self._child(parent, byte)
            _offer(heap, parent, turns)
            _offer(heap, child, turns)
        for middle in self.seen.values():
            middle.explored, middle.factor = True, 0.0

    def _child(self, parent: Middle, byte: int) -> Middle:
        data = parent.data + bytes([byte])
        if data in self.seen:
            return self.seen[data]
        assert parent.outcomes is not None
        place = parent.place.fork().advance(bytes([byte]))
        return self._look(data, place, float(parent.outcomes[byte]))

    def _look(self, data: bytes, place: BytePlace, logprob: float) -> Middle:
        outcomes, order = None, np.zeros(0, np.intp)
        if len(data) < self.rules.most:
            found = place.next()
            with np.errstate(divide="ignore"):
                outcomes = found.logprobs + (logprob + np.log1p(-found.lost_mass))
            can = np.flatnonzero(self.rules.allowed(data) & (outcomes[:END] > -np.inf))
            order = can[np.argsort(-outcomes[can], kind="stable")]
        middle = Middle(data, place, logprob, outcomes, order)
        self.seen[data] = middle
        return middle

    def cover(self, number: int, rng: np.random.Generator) -> None:
        """Cover what is below the frontier by so many trajectories."""
        nodes = [middle for middle in self.seen.values() if middle.taken < len(middle.order)]
        if not nodes or not number:
            return
        left = [node.left() for node in nodes]
        highest = max(float(one[0]) for one in left)
        shares = [np.exp(one - highest) for one in left]
        sums = np.cumsum([share.sum() for share in shares])
        places = (rng.random() + np.arange(number)) / number * sums[-1]
        found = np.minimum(np.searchsorted(sums, places, side="right"), len(nodes) - 1)
        for place, at in zip(places, found.tolist(), strict=True):
            within = np.cumsum(shares[at])
            start = place - (sums[at] - within[-1])
            rank = min(int(np.searchsorted(within, start, side="right")), len(within) - 1)
            byte = int(nodes[at].order[nodes[at].taken + rank])
            factor = math.log(sums[-1] / number) + highest - float(left[at][rank])
            self._follow(self._child(nodes[at], byte), factor, rng)

    def _follow(self, middle: Middle, factor: float, rng: np.random.Generator) -> None:
        """Go on as the model expects, as far as middles go."""
        passed: list[tuple[Middle, float]] = []
        while True:
            middle.factor = float(np.logaddexp(middle.factor, factor))
            passed.append((middle, factor))
            if not len(middle.order):
                break
            assert middle.outcomes is not None
            logs = middle.outcomes[middle.order]
            sums = np.cumsum(np.exp(logs - logs[0]))
            rank = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
            rank = min(rank, len(sums) - 1)
            factor += math.log(sums[-1]) + float(logs[0] - logs[rank])
            middle = self._child(middle, int(middle.order[rank]))
        self.trajectories.append(passed)

    def below(self, period: int) -> float:
        """Log of an upper bound of what middles below the frontier, with the suffix, add up to.

        In one text the suffix begins at most once every `period` bytes, the least distance at which
        it overlaps itself; below a frontier node there are as many lengths as bytes are left.

        Args:
            period: 0 where the suffix can only be at one place.
        """
        logs = [
            np.logaddexp.reduce(left) + math.log(self._lengths(middle, period))
            for middle in self.seen.values()
            if middle.explored and len(left := middle.left())
        ]
        return float(np.logaddexp.reduce(logs)) if logs else -math.inf

    def _lengths(self, middle: Middle, period: int) -> int:
        return -(-(self.rules.most - len(middle.data)) // period) if period else 1


def _offer(heap: Heap, parent: Middle, turns: Iterator[int]) -> None:
    if parent.outcomes is not None and parent.taken < len(parent.order):
        best = parent.outcomes[parent.order[parent.taken]]
        # Of equals those that were offered first are looked at first.
        heapq.heappush(heap, (-float(best), next(turns), parent))
