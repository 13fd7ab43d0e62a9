"""What a model of bytes says at each byte of a text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bytewright.bytelm.distribution import END, ByteDistribution
from bytewright.bytelm.paths import TokenPath
from bytewright.bytelm.protocol import BytePlace, BytePredictor

__all__ = ["Reading", "survey"]

# What is listed at each byte: outcomes, sequences of tokens, and the last tokens of each of these.
_OUTCOMES, _PATHS, _TOKENS = 10, 6, 4
_LEAST_SHARE = 0.001


@runtime_checkable
class _Covered(Protocol):
    """A place that knows which tokens it comes from; `ByteState` is one, an ensemble has none."""

    def paths(self, count: int, *, last: int | None) -> list[TokenPath]: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What was known before a byte, and what the byte took.

    Attributes:
        bits: what the byte took, lost mass included; infinite where it could not be.
        rank: how many outcomes were likelier.
        found: what could have come; None where nothing could.
        outcomes: the likeliest of it.
        paths: the sequences of tokens that the bytes before may be.
    """

    bits: float
    rank: int
    found: ByteDistribution | None
    outcomes: list[tuple[int, float]]
    paths: list[TokenPath]


def survey(model: BytePredictor, text: bytes) -> Iterator[Reading]:
    """A reading for each byte, and one for the end of the text."""
    place = model.start()
    before = place.logprob
    for outcome in [*text, END]:
        if before == -math.inf:
            yield Reading(math.inf, 0, None, [], [])
            continue
        found = place.next()
        paths = _paths(place)
        if outcome == END:
            after = before + found.log_kept + float(found.logprobs[END])
        else:
            after = place.advance(bytes([outcome])).logprob
        bits = (before - after) / math.log(2)
        yield Reading(max(0.0, bits), _rank(found, outcome), found, found.top(_OUTCOMES), paths)
        before = after


def _rank(found: ByteDistribution, outcome: int) -> int:
    """The place of an outcome in the order of `ByteDistribution.top`."""
    own = found.logprobs[outcome]
    likelier = (found.logprobs > own).sum() + (found.logprobs[:outcome] == own).sum()
    return int(likelier)


def _paths(place: BytePlace) -> list[TokenPath]:
    if not isinstance(place, _Covered):
        return []
    return [path for path in place.paths(_PATHS, last=_TOKENS) if path.share >= _LEAST_SHARE]
