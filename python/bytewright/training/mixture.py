"""What to learn from: counts, sources to count, or several of them with weights.

Weights are exact. Counts are multiplied by whole numbers that stand to each other as the weights
do, so a weight of 3/2 beside 1 counts one source three times and the other twice; the least count
at which a pair is merged is multiplied alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any

from bytewright.corpus.readers import Documents
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.training.counting import count_pretokens
from bytewright.training.counts import PretokenCounts, pattern_of

__all__ = ["Reading", "gather"]


@dataclass(frozen=True)
class Reading:
    """How sources are counted: the arguments of `count_pretokens`."""

    pattern: str | None
    text_field: str
    documents: Documents
    threads: int | None
    progress: Callable[[Any], object] | None
    memory: int | str | None = None

    def counts(self, source: Any) -> PretokenCounts:
        """Counts as they are, if they are of this pattern; a source, counted."""
        if not isinstance(source, PretokenCounts):
            return count_pretokens(
                source,
                pattern=self.pattern,
                text_field=self.text_field,
                documents=self.documents,
                threads=self.threads,
                memory=self.memory,
                progress=self.progress,
            )
        if source.pattern != pattern_of(self.pattern):
            raise ArgumentError(
                f"the counts are of pieces cut by pattern {source.pattern!r}, not by "
                f"{pattern_of(self.pattern)!r}: count again, or give pattern={source.pattern!r}"
            )
        return source


def gather(
    sources: Any, weights: Mapping[str, Any] | None, reading: Reading
) -> tuple[PretokenCounts, int]:
    """All counts in one, and by what every weight of 1 was multiplied.

    Raises:
        ArgumentError: weights that do not name the sources, or are not positive; no sources.
        DataError: a weighted count above 2**63 - 1.
    """
    if not isinstance(sources, Mapping):
        if weights is not None:
            raise ArgumentError("weights need named sources: give a mapping of names to sources")
        return reading.counts(sources), 1
    if not sources:
        raise ArgumentError("no sources")
    check_weights(weights)
    given = {} if weights is None else dict(weights)
    if unknown := [name for name in given if name not in sources]:
        raise ArgumentError(f"weights for {unknown!r}: the sources are {list(sources)!r}")
    fractions = {name: _fraction(name, given.get(name, 1)) for name in sources}
    unit = math.lcm(*(weight.denominator for weight in fractions.values()))
    parts = [
        reading.counts(source).scaled(int(fractions[name] * unit))
        for name, source in sources.items()
    ]
    return PretokenCounts.merge(parts), unit


def check_weights(weights: object) -> None:
    """Raise if weights are not given by name."""
    if not isinstance(weights, Mapping | None):
        raise ArgumentTypeError("weights are given by the names of sources, as a mapping")


def _fraction(name: str, weight: Any) -> Fraction:
    if not isinstance(weight, Rational):
        raise ArgumentTypeError(
            f"the weight of {name!r} is {weight!r}: an int or a fractions.Fraction is needed, "
            "so that counts stay exact"
        )
    if weight <= 0:
        raise ArgumentError(f"the weight of {name!r} is {weight}: a positive one is needed")
    return Fraction(weight)
