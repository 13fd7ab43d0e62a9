"""Texts between two texts, from any model of bytes.

P(m | prefix, suffix) is in proportion to P(prefix m suffix), the probability that a text begins so,
for every m of at most so many bytes.

Both ends of m may lie anywhere, inside tokens and inside characters: all that is asked of the
model is probabilities of bytes. The middles are the nodes of a tree (`middles`); the likeliest are
looked at one by one, the others by trajectories, and every place on the way is a candidate. How
likely the suffix is behind each is read in the order of what it can come to (`joining`).

What is explored is exact. The sum over all candidates is an unbiased estimate of the sum over all
middles, so a draw among them follows P(m | prefix, suffix) the better, the larger the budget;
where the whole tree is explored it does so exactly. A model of bytes reads from left to right: of
a long suffix it only learns from the middles that were tried. Models that were trained to fill in
are asked in another way (`fim`).

Cost: a distribution for each explored middle and for each byte of a trajectory, and the suffix
behind the few that matter. Rows are held for the last places only (`places`): of contexts
whose rows the model's memory does not keep, one in seven or so is asked for twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import flag
from bytewright.bytelm.arguments import (
    Utf8,
    check_draw,
    check_utf8,
    stop_strings,
    text_bytes,
)
from bytewright.bytelm.constraints import AllOf, Constraint
from bytewright.bytelm.joining import join, period
from bytewright.bytelm.middles import Middle, Middles, Rules
from bytewright.bytelm.sampling import SamplingPredictor, pick, place_after
from bytewright.errors import ArgumentError, DataError
from bytewright.sizes import whole
from bytewright.underflow import underflow_is_zero
from bytewright.utf8 import unfinished

if TYPE_CHECKING:
    from bytewright.bytelm.fim import FimFormat, FimPrompt

__all__ = ["Infilling", "InfillingPredictor"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Infilling:
    """Candidates for what stands between two texts, and how much each counts.

    Attributes:
        middles: the candidates, different ones, those that count most first.
        logprobs: for each the logarithm of the probability that it and the suffix follow the
            prefix, exactly, float64 `[n]`.
        shares: how much each counts in a draw; they add up to 1. Where everything was explored they
            are P(middle | prefix, suffix), float64 `[n]`.
        explored: the share of candidates that were explored rather than come through by chance.
        certified: what is explored has at least this share of all middles' probability, whatever
            the model may say of those that were not looked at; 1 where there are none. Holds where
            the model of bytes prunes nothing.
        unseen: no middle that is not among the candidates has a larger logarithm than this: where
            the largest of `logprobs` is above, its middle is the likeliest of all. Holds where
            `certified` does.
        logprob: the logarithm of the sum over all middles, explored or estimated.
        effective_size: how many equally weighty trajectories those that were drawn are worth,
            between 1 and their number; infinite where none was needed, 0 where none came to
            anything.
    """

    middles: tuple[bytes, ...]
    logprobs: Floats  # [n]
    shares: Floats  # [n]
    explored: float
    certified: float
    unseen: float
    logprob: float
    effective_size: float

    @underflow_is_zero
    def draw(
        self, *, temperature: float = 1.0, top_p: float = 1.0, seed: int | None = None
    ) -> bytes:
        """One of the candidates.

        Args:
            temperature: probabilities are raised to the power of its inverse; 0 takes the likeliest
                candidate, of equals the first by its bytes.
            top_p: keep the fewest candidates, the likeliest first, that have this share.
            seed: equal seeds give equal draws; None draws anew each time.

        Raises:
            ArgumentError: an argument outside what is allowed.
        """
        check_draw(temperature, top_p, seed)
        ranked = sorted(range(len(self)), key=lambda at: (-self.logprobs[at], self.middles[at]))
        if temperature == 0.0:
            return self.middles[ranked[0]]
        # Of each candidate there are share / probability, and every one of them is tempered.
        logs = self.logprobs - self.logprobs.max()
        with np.errstate(over="ignore", divide="ignore"):
            logs = np.log(self.shares) - logs + logs / temperature
        # The candidates may have been drawn with the same seed: these are other numbers.
        rng = np.random.default_rng(None if seed is None else [seed, 1])
        return self.middles[pick(np.exp(logs - logs.max()), np.array(ranked), top_p, rng)]

    def __len__(self) -> int:
        """The number of candidates."""
        return len(self.middles)

    def __repr__(self) -> str:
        return f"<Infilling of {len(self.middles)} candidates, {self.explored:.3f} explored>"


class InfillingPredictor(SamplingPredictor):
    """A model of bytes that finds what stands between texts.

    A class that inherits this needs `start`, and may have `prepare` (`PreparedPredictor`).
    """

    __slots__ = ()

    def infill(
        self,
        prefix: str | bytes,
        suffix: str | bytes,
        *,
        max_bytes: int,
        end: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | bytes | Sequence[str | bytes] = (),
        utf8: Utf8 = "any",
        constraint: Constraint | None = None,
        budget: int = 1000,
        trajectories: int = 32,
        fim: FimFormat | str | None = None,
    ) -> bytes:
        """Draw what stands between two texts, each of which may end and begin anywhere.

        A middle m is drawn with the probability P(m | prefix, suffix), which is in proportion to
        P(prefix m suffix), among all of at most so many bytes: exactly where the budget is enough
        for all of them, and the better the larger it is where not. `infill_candidates` tells how
        well.

        A model that was trained to fill in is told the text around in its own format (`fim`) and
        draws the middle byte for byte, as `sample` does; `bytewright.bytelm.fim` says what is exact
        then. With a format by lines (FIM-SE) the middle is drawn as without one.

        Args:
            prefix: the text before.
            suffix: the text behind.
            max_bytes: no more bytes than these.
            end: the text ends behind the suffix.
            temperature: the probabilities of middles are raised to the power of its inverse; 0
                takes the likeliest that was looked at.
            top_p: keep the fewest middles, the likeliest first, that have this share.
            seed: equal seeds give equal middles; None draws another each time.
            stop: strings that the middle does not contain: with a line break, it is on one line.
            utf8: `"strict"` leaves out middles with which the text is not UTF-8; what the prefix
                begins of a character and the suffix ends of one is finished.
            constraint: what the middle has to satisfy.
            budget: how many of the likeliest middles are looked at.
            trajectories: how many texts are drawn to cover the others, of up to `max_bytes` each.
            fim: the format that the model was trained with, or a name in `bytelm.FIM_FORMATS`.

        Raises:
            ArgumentError: an argument outside what is allowed, tokens of `fim` that are not there,
                or `fim` for what is no `ByteModel`.
            DataError: the prefix has the probability 0, or no middle that was looked at fits.

        >>> import bytewright as bw
        >>> tok = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
        >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["low tide, low water"] * 9))
        >>> model.infill("low ti", "ow water", max_bytes=9, temperature=0)
        b'de, l'
        """
        flag(end, "end")
        if fim is not None:
            if end:
                raise ArgumentError("end: a format to fill in with tells no end of the text")
            return self._told(fim, prefix, suffix).draw(
                max_bytes=max_bytes,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
                stop=stop,
                utf8=utf8,
                constraint=constraint,
                budget=budget,
                trajectories=trajectories,
            )
        return self.infill_candidates(
            prefix,
            suffix,
            max_bytes=max_bytes,
            end=end,
            stop=stop,
            utf8=utf8,
            constraint=constraint,
            budget=budget,
            trajectories=trajectories,
            seed=seed,
        ).draw(temperature=temperature, top_p=top_p, seed=seed)

    def infill_candidates(
        self,
        prefix: str | bytes,
        suffix: str | bytes,
        *,
        max_bytes: int,
        end: bool = False,
        stop: str | bytes | Sequence[str | bytes] = (),
        utf8: Utf8 = "any",
        constraint: Constraint | None = None,
        budget: int = 1000,
        trajectories: int = 32,
        seed: int | None = None,
    ) -> Infilling:
        """What may stand between two texts, with how much each middle counts and what is certain.

        The arguments are those of `infill`; equal seeds draw equal trajectories.

        Raises:
            ArgumentError: an argument outside what is allowed.
            DataError: the prefix has the probability 0, or no middle that was looked at fits.
        """
        flag(end, "end")
        max_bytes = whole(max_bytes, "max_bytes")
        trajectories = whole(trajectories, "trajectories")
        # The empty middle is looked at in any case.
        budget = whole(budget, "budget", least=1)
        check_draw(1.0, 1.0, seed)
        check_utf8(utf8)
        text, after = text_bytes(prefix), text_bytes(suffix)
        before = self._before + text
        tail = unfinished(before) if utf8 == "strict" else None
        limit = None if constraint is None else AllOf(constraint)
        rules = Rules(max_bytes, stop_strings(stop), tail, after, end, limit)
        place = place_after(self, text, "prefix")
        tree = Middles(self, rules)
        tree.explore(place, before, budget)
        tree.cover(trajectories, np.random.default_rng(seed))
        fitting = (middle for middle in tree.seen.values() if rules.fits(middle))
        joined, unread = join(tree, fitting, after, end=end, start=place.logprob)
        if not joined:
            raise DataError(
                f"between prefix and suffix no middle of at most {max_bytes} bytes is possible "
                f"among the {len(tree.seen)} that were looked at"
            )
        below = tree.below(0 if end else period(after))
        return _summed(tree, joined, below, unread)

    def _told(self, fim: FimFormat | str, prefix: str | bytes, suffix: str | bytes) -> FimPrompt:
        """The model behind a prompt that tells it the text around."""
        raise ArgumentError(
            "fim: a format is told to a ByteModel; of several, make an Ensemble of what "
            "FimFormat.open gives for each"
        )


@underflow_is_zero
def _summed(
    tree: Middles, joined: list[tuple[Middle, float]], below: float, unread: float
) -> Infilling:
    logprobs = np.array([logprob for _, logprob in joined])
    logs = logprobs + np.array([middle.factor for middle, _ in joined])
    explored = logs[[middle.explored for middle, _ in joined]]
    whole = float(np.logaddexp.reduce(logs))
    sure = float(np.logaddexp.reduce(explored)) if len(explored) else -math.inf
    order = sorted(range(len(joined)), key=lambda at: (-logs[at], joined[at][0].data))
    shares = np.exp(logs[order] - whole)
    rest = float(np.logaddexp(below, unread))
    return Infilling(
        tuple(joined[at][0].data for at in order),
        logprobs[order],
        shares / shares.sum(),
        math.exp(sure - whole),
        math.exp(sure - float(np.logaddexp(sure, rest))) if len(explored) else 0.0,
        max(tree.highest(), unread),
        whole,
        _effective_size(tree, dict(joined)),
    )


def _effective_size(tree: Middles, logprobs: dict[Middle, float]) -> float:
    """(sum of w)^2 / sum of w^2 over the trajectories."""
    if not tree.trajectories:
        return math.inf
    logs = [
        np.logaddexp.reduce([logprobs.get(one, -math.inf) + factor for one, factor in passed])
        for passed in tree.trajectories
    ]
    highest = max(logs)
    if highest == -math.inf:
        return 0.0
    weights = np.exp(np.array(logs) - highest)
    return float(weights.sum() ** 2 / (weights**2).sum())
