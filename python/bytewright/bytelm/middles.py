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

A model that can be asked for several places at once is asked so: the search looks at the next
`_WAVE` th part of what it has seen together, and trajectories go on side by side.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.constraints import Constraint, ConstraintPlace, may_end
from bytewright.bytelm.distribution import END, log_added
from bytewright.bytelm.places import MOST_TOGETHER, Places, Visited
from bytewright.bytelm.protocol import BytePlace, BytePredictor, ask_together
from bytewright.bytelm.utf8 import may_follow
from bytewright.underflow import underflow_is_zero
from bytewright.utf8 import unfinished

__all__ = ["Middle", "Middles", "Rules"]

Floats = NDArray[np.float64]

_WAVE = 16


@dataclass(frozen=True, slots=True)
class Rules:
    """What a middle may be.

    Attributes:
        most: no more bytes than these.
        stops: strings that it does not contain.
        tail: the unfinished character that the prefix ends in; None where any bytes are allowed.
        suffix: what follows it.
        end: whether the text ends there.
        constraint: what it has to satisfy.
    """

    most: int
    stops: tuple[bytes, ...]
    tail: bytes | None
    suffix: bytes
    end: bool
    constraint: Constraint | None = None

    def allowed(
        self, middle: bytes, limit: ConstraintPlace | None, expected: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Which of the bytes that the model expects may follow, bool `[256]`."""
        mask = expected.copy()
        if self.tail is not None:
            mask &= may_follow(unfinished(self.tail + middle))[:END]
        for stop in self.stops:
            if middle.endswith(stop[:-1]):
                mask[stop[-1]] = False
        if limit is not None:
            mask &= limit.mask(self.most - len(middle))[:END]
            if not limit.exact:
                mask[[at for at in np.flatnonzero(mask) if not limit.allows(int(at))]] = False
        return mask

    def fits(self, middle: Middle) -> bool:
        """Whether the middle may end, and the suffix follow it."""
        limit = middle.limit
        if limit is not None and not may_end(limit):
            return False
        return self.tail is None or self._joins(unfinished(self.tail + middle.data))

    def _joins(self, tail: bytes) -> bool:
        """Whether what the suffix finishes of a character is what is unfinished."""
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
        place: to go on from behind it.
        limit: the place in what it has to satisfy.
        logprob: log of pi.
        outcomes: logs of pi of itself with each byte or the end behind it, float64 `[257]`; None
            where the middle can be no longer.
        order: the bytes that may follow, the likeliest first.
        open: which of these are not explored, bool like `order`.
        explored: whether it stands for itself and nothing else.
        factor: log of the number of middles that it stands for; 0 where it was explored, and minus
            infinity before a trajectory has come through.
    """

    data: bytes
    place: Visited
    limit: ConstraintPlace | None
    logprob: float
    outcomes: Floats | None
    order: NDArray[np.intp]
    open: NDArray[np.bool_]
    explored: bool = False
    factor: float = -math.inf

    def left(self) -> Floats:
        """Logs of pi of the children on the frontier."""
        if self.outcomes is None:
            return np.zeros(0)
        return np.asarray(self.outcomes[self.order[self.open]])

    @underflow_is_zero
    def drawn(self, rng: np.random.Generator) -> tuple[int, float]:
        """A byte as the model expects it, and minus the log of its share among the allowed."""
        assert self.outcomes is not None
        logs = self.outcomes[self.order]
        sums = np.cumsum(np.exp(logs - logs[0]))
        rank = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
        rank = min(rank, len(sums) - 1)
        return int(self.order[rank]), math.log(sums[-1]) + float(logs[0] - logs[rank])


Heap = list[tuple[float, int, Middle]]
Path = list[tuple[Middle, float]]


@dataclass(slots=True)
class Middles:
    """The middles behind a place, as far as they were looked at.

    Attributes:
        source: the model of bytes.
        rules: what a middle may be.
        seen: those that were looked at, by their bytes.
        trajectories: for each, the middles that it came through, and logs of their
            factors.
        places: the places behind middles.
    """

    source: BytePredictor
    rules: Rules
    seen: dict[bytes, Middle] = field(default_factory=dict)
    trajectories: list[Path] = field(default_factory=list)
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        """No places yet."""
        self.places = Places(self.source)

    def explore(self, place: BytePlace, before: bytes, budget: int) -> None:
        """Look at the likeliest middles behind a place, as many as the budget says."""
        constraint = self.rules.constraint
        limit = None if constraint is None else constraint.start(before)
        root = self._look(b"", place, limit, 0.0)
        heap: Heap = []
        turns = itertools.count()
        _offer(heap, root, turns)
        while heap and len(self.seen) < budget:
            wave = min(1 + len(self.seen) // _WAVE, MOST_TOGETHER, budget - len(self.seen))
            picked: list[tuple[Middle, int]] = []
            while heap and len(picked) < wave:
                _, _, parent = heapq.heappop(heap)
                rank = int(parent.open.argmax())
                parent.open[rank] = False
                picked.append((parent, int(parent.order[rank])))
                _offer(heap, parent, turns)
            for child in self._children(picked):
                child.explored, child.factor = True, 0.0
                _offer(heap, child, turns)
        root.explored, root.factor = True, 0.0

    def _children(self, picked: Sequence[tuple[Middle, int]]) -> list[Middle]:
        """Middles with one more byte each, looked at together."""
        new: dict[bytes, tuple[Middle, int]] = {}
        for parent, byte in picked:
            data = parent.data + bytes([byte])
            if data not in self.seen:
                new.setdefault(data, (parent, byte))
        ways = [(parent.place, bytes([byte])) for parent, byte in new.values()]
        places = dict(zip(new, self.places.behind(ways), strict=True))
        going_on = [place for data, place in places.items() if len(data) < self.rules.most]
        ask_together(self.source, going_on)
        for data, (parent, byte) in new.items():
            assert parent.outcomes is not None
            limit = None if parent.limit is None else parent.limit.after(byte)
            self._look(data, places.pop(data), limit, float(parent.outcomes[byte]))
        return [self.seen[parent.data + bytes([byte])] for parent, byte in picked]

    def _look(
        self, data: bytes, place: BytePlace, limit: ConstraintPlace | None, logprob: float
    ) -> Middle:
        visited, outcomes, order = Visited(place), None, np.zeros(0, np.intp)
        if len(data) < self.rules.most:
            visited, found = self.places.visit(place)
            outcomes = found.logprobs + (logprob + found.log_kept)
            can = np.flatnonzero(self.rules.allowed(data, limit, outcomes[:END] > -np.inf))
            order = can[np.argsort(-outcomes[can], kind="stable")]
        middle = Middle(
            data, visited, limit, logprob, outcomes, order, np.ones(len(order), np.bool_)
        )
        self.seen[data] = middle
        return middle

    def cover(self, number: int, rng: np.random.Generator) -> None:
        """Cover what is below the frontier by so many trajectories."""
        self.trajectories = self._follow(number, rng)
        for path in self.trajectories:
            for middle, factor in path:
                middle.factor = log_added([middle.factor, factor])

    def _follow(self, number: int, rng: np.random.Generator) -> list[Path]:
        """Trajectories from the frontier on, as far as middles go."""
        starts = self._starts(number, rng)
        heads = self._children([(parent, byte) for parent, byte, _ in starts])
        paths = [[(head, start[2])] for head, start in zip(heads, starts, strict=True)]
        going = [path for path in paths if len(path[-1][0].order)]
        while going:
            drawn = [path[-1][0].drawn(rng) for path in going]
            picked = [(path[-1][0], byte) for path, (byte, _) in zip(going, drawn, strict=True)]
            heads = self._children(picked)
            for path, head, (_, share) in zip(going, heads, drawn, strict=True):
                path.append((head, path[-1][1] + share))
            going = [path for path in going if len(path[-1][0].order)]
        return paths

    @underflow_is_zero
    def _starts(self, number: int, rng: np.random.Generator) -> list[tuple[Middle, int, float]]:
        """Frontier nodes, each as its parent and byte, with the logs of their factors."""
        nodes = [one for one in self.seen.values() if one.explored and one.open.any()]
        if not nodes or not number:
            return []
        left = [node.left() for node in nodes]
        highest = max(float(one[0]) for one in left)
        shares = [np.exp(one - highest) for one in left]
        sums = np.cumsum([share.sum() for share in shares])
        places = (rng.random() + np.arange(number)) / number * sums[-1]
        found = np.minimum(np.searchsorted(sums, places, side="right"), len(nodes) - 1)
        starts = []
        for place, at in zip(places, found.tolist(), strict=True):
            within = np.cumsum(shares[at])
            start = place - (sums[at] - within[-1])
            rank = min(int(np.searchsorted(within, start, side="right")), len(within) - 1)
            byte = int(nodes[at].order[nodes[at].open][rank])
            factor = math.log(sums[-1] / number) + highest - float(left[at][rank])
            starts.append((nodes[at], byte, factor))
        return starts

    @underflow_is_zero
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

    def highest(self) -> float:
        """Log of the most that a middle below the frontier can have, with any suffix."""
        nodes = (one for one in self.seen.values() if one.explored and one.open.any())
        return max((float(node.left()[0]) for node in nodes), default=-math.inf)

    def _lengths(self, middle: Middle, period: int) -> int:
        return -(-(self.rules.most - len(middle.data)) // period) if period else 1


def _offer(heap: Heap, parent: Middle, turns: Iterator[int]) -> None:
    if parent.outcomes is not None and parent.open.any():
        best = parent.outcomes[parent.order[parent.open.argmax()]]
        # Of equals those that were offered first are looked at first.
        heapq.heappush(heap, (-float(best), next(turns), parent))
