"""A place in a text, where several models predict as one."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm import ByteDistribution, BytePlace
from bytewright.bytelm.arguments import check_bytes
from bytewright.bytelm.distribution import OUTCOMES, log_sum
from bytewright.bytelm.protocol import ForkingPlace, released
from bytewright.ensemble.rules import Floats, Rule
from bytewright.errors import DataError
from bytewright.turns import turn
from bytewright.underflow import underflow_is_zero

__all__ = ["EnsembleState"]


@dataclass(frozen=True, slots=True)
class _Step:
    """What is known of the next outcome."""

    rows: Floats  # [K, 257]
    kept: Floats  # [K]
    bounds: Floats  # [K]
    mixed: Floats  # [257]
    total: float  # What the prediction of the rule adds up to.
    log_kept: float
    weights: Floats  # [K]
    error_bound: float


class EnsembleState(ForkingPlace):
    """The probability of the bytes so far, and of those that may follow.

    Made by `Ensemble.start`. The bytes' probability is the product of what the ensemble predicted
    for each of them, and of the shares that it did not lose. A model for which the bytes so far
    have the probability 0 is left out where the rule is a mean. Threads may share a state: one
    waits for the other. A model that is a function of yours may look at a fork of the state that
    asks it, and not at the state itself.
    """

    __slots__ = (
        "_exact", "_length", "_lock", "_logprob", "_members", "_memory", "_own", "_rule", "_step"
    )  # fmt: skip

    def __init__(self, rule: Rule, members: Sequence[BytePlace], weights: Floats) -> None:
        """Not to be called: `Ensemble.start` makes states."""
        self._rule, self._members = rule, list(members)
        self._memory, self._own = rule.start(weights), np.zeros(len(weights))
        self._logprob, self._length, self._exact = 0.0, 0, True
        self._step: _Step | None = None
        self._lock = threading.RLock()

    def advance(self, data: bytes) -> Self:
        """Read more bytes, in place.

        A text that cannot be has the probability 0 (`logprob` is minus infinity), which is no
        error. Every byte is predicted first, since each changes what the ensemble knows of its
        models. Where a model raises an error, nothing was read: the same may be tried again.

        Returns:
            The state itself.

        Raises:
            ArgumentTypeError: `data` is not bytes.
        """
        check_bytes(data)
        with turn(self._lock, "EnsembleState"):
            # The models read one after the other: until all have, the state stays where it was.
            ahead = self._forked()
            for at, byte in enumerate(data):
                if ahead._logprob == -math.inf:
                    ahead._length += len(data) - at
                    break
                ahead._read(byte)
            self._take(ahead, ahead._members)
        return self

    def _read(self, byte: int) -> float:
        """Read a byte, and tell the logarithm of what it was expected with."""
        step = self._predicted()
        self._length += 1
        self._step = None
        gains = step.kept + step.rows[:, byte]
        pruned = np.flatnonzero((step.bounds > 0.0) & (self._own > -math.inf))
        if len(pruned):
            for at in pruned:
                before = self._members[at].logprob
                gains[at] = self._members[at].advance(bytes([byte])).logprob - before
            step = self._corrected(step, gains, pruned, byte)
        gain = step.log_kept + float(step.mixed[byte])
        self._logprob += gain
        if gain == -math.inf:
            return gain
        # A model that is left out learns like the others: its rows say that nothing can be.
        said = self._judged(step.rows, step.kept)
        self._memory = self._rule.learn(self._memory, said, step.mixed, byte)
        self._own = self._own + gains
        self._exact &= step.error_bound == 0.0
        for at in np.flatnonzero((step.bounds == 0.0) & (self._own > -math.inf)):
            self._members[at].advance(bytes([byte]))
        return gain

    def _corrected(self, step: _Step, gains: Floats, pruned: NDArray[np.intp], byte: int) -> _Step:
        """What is known of a byte that was read.

        From its prediction a model may have pruned it; what it gained says how likely it was.
        """
        rows, kept = step.rows.copy(), step.kept.copy()
        rows[pruned, byte] = -math.inf
        pruned = pruned[gains[pruned] > -math.inf]
        kept[pruned] = np.maximum(kept[pruned], gains[pruned])
        rows[pruned, byte] = gains[pruned] - kept[pruned]
        return self._mixed(rows, kept, step.bounds, step.total)

    def _behind(self, text: bytes, weights: Floats) -> Self:
        """The state itself, whose models have read a text already."""
        possible = np.array([member.logprob > -math.inf for member in self._members])
        self._own = np.where(possible, 0.0, -math.inf)
        counted = possible[weights > 0.0]
        if not (counted.all() if self._rule.veto else counted.any()):
            self._logprob = -math.inf
        self._length = len(text)
        return self

    def _from_here(self) -> Self:
        """The state itself, where nothing that was read counts any more."""
        self._own = np.where(self._own > -math.inf, 0.0, -math.inf)
        self._logprob = 0.0 if self._logprob > -math.inf else -math.inf
        return self

    def _member(self, at: int) -> BytePlace | None:
        """The place of a model, as long as it counts."""
        return self._members[at] if self._own[at] > -math.inf else None

    def _live(self, rows: Floats) -> NDArray[np.intp]:
        """Which models the rule sees."""
        if self._rule.veto:
            return np.arange(len(rows))
        return np.flatnonzero(
            self._own > -np.inf if self._rule.judges else rows.max(axis=1) > -np.inf
        )

    def _judged(self, rows: Floats, kept: Floats) -> Floats:
        """The rows as the rule sees them."""
        return rows + kept[:, None] if self._rule.judges else rows

    def _shared(self) -> _Step:
        with turn(self._lock, "EnsembleState"):
            return self._predicted()

    def _predicted(self) -> _Step:
        if self._logprob == -math.inf:
            raise DataError(f"the probability is 0 after {self._length} bytes: nothing follows")
        if self._step is None:
            nothing = ByteDistribution(np.full(OUTCOMES, -np.inf), 1.0, 0.0)
            found = [
                member.next() if own > -math.inf else nothing
                for member, own in zip(self._members, self._own, strict=True)
            ]
            rows = np.stack([one.logprobs for one in found])
            kept = np.array([one.log_kept for one in found])
            bounds = np.array([one.error_bound for one in found])
            self._step = self._mixed(rows, kept, bounds, -math.inf)
        return self._step

    def _mixed(self, rows: Floats, kept: Floats, bounds: Floats, total: float) -> _Step:
        """The prediction, divided by a total, or by its own where that is 0."""
        weights, mixed = np.zeros(len(rows)), np.full(OUTCOMES, -np.inf)
        live = self._live(rows)
        if len(live):
            said = self._judged(rows, kept)[live]
            mixed, weights[live] = self._rule.mix(self._memory[live], said)
        total, log_kept = total if total > -math.inf else log_sum(mixed), -math.inf
        if total > -math.inf:
            mixed = mixed - total
            log_kept = total if self._rule.judges else self._rule.log_kept(weights, kept)
            # What is exactly nothing is not what the weights miss 1 by.
            log_kept = log_kept if kept[live].any() else 0.0
        bound = self._bound(bounds, rows, weights)
        return _Step(rows, kept, bounds, mixed, total, log_kept, weights, bound)

    @underflow_is_zero
    def _bound(self, bounds: Floats, rows: Floats, weights: Floats) -> float:
        if self._exact and not bounds.any():
            return 0.0
        # Only where nothing but the rows can differ the bounds of the rows say how far.
        if self._rule.averages and len(rows[self._live(rows)]) == len(rows):
            return min(1.0, float(weights @ bounds))
        return 1.0

    def fork(self) -> Self:
        """Another state at the same place; the two go their own ways."""
        # Models that are asked may have it in their own turn: what they read is not read here yet.
        with self._lock:
            return self._forked()

    def _released(self) -> Self:
        with self._lock:
            return self._with([released(member) for member in self._members])

    def _forked(self) -> Self:
        return self._with([member.fork() for member in self._members])

    def _with(self, members: list[BytePlace]) -> Self:
        """Another state at the same place, with these places of the models."""
        other = object.__new__(type(self))
        other._lock = threading.RLock()
        other._take(self, members)
        return other

    def _take(self, other: Self, members: list[BytePlace]) -> None:
        """Be where another state is, with these places of the models."""
        self._rule, self._members = other._rule, members
        self._memory, self._own = other._memory, other._own
        self._logprob, self._length = other._logprob, other._length
        self._exact, self._step = other._exact, other._step

    def next(self) -> ByteDistribution:
        """What may follow.

        `lost_mass` is what the models lose, by their weights (`bytewright.ensemble.rules` has the
        formulas); all is lost where no model expects anything, or the rule is a product and the
        models agree on no outcome.

        `error_bound` is the mean of the models' where the rule is `arithmetic`; of the other rules
        pruning allows no statement, so it is 1 there once a model has pruned.

        Raises:
            DataError: the text so far has the probability 0.
        """
        step = self._shared()
        lost = min(1.0, max(0.0, -math.expm1(step.log_kept)))
        # A caller may write into it, and the state goes on from what it knows.
        return ByteDistribution(step.mixed.copy(), lost, step.error_bound, step.log_kept)

    @property
    def logprob(self) -> float:
        """The natural logarithm of the probability that a text begins with the bytes so far."""
        return self._logprob

    @property
    def weights(self) -> Floats:
        """The weight of each model in what comes next, float64 `[models]`.

        They add up to 1, unless every model is left out.

        Raises:
            DataError: as `next`.
        """
        return self._shared().weights.copy()

    @property
    def predictions(self) -> Floats:
        """What each model expects, float64 `[models, 257]`; minus infinity where it is left out.

        Raises:
            DataError: as `next`.
        """
        return self._shared().rows.copy()

    @property
    def logprobs(self) -> Floats:
        """For each model the logarithm of its own probability of the bytes, float64 `[models]`."""
        return self._own.copy()

    def __len__(self) -> int:
        """The number of bytes so far."""
        return self._length

    def __repr__(self) -> str:
        return f"<EnsembleState of {len(self._members)} models after {self._length} bytes>"
