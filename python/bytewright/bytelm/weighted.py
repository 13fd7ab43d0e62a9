"""Texts that satisfy a constraint, with weights that make them follow the model as a whole.

Drawn are texts X as the model of bytes at its temperature writes them, cut after `max_bytes`. Of
interest are those in C, the texts that satisfy the constraint: how likely is C, and what follows
from X being in it? Texts drawn step by step from what the constraint allows follow another law;
each has a weight w such that for every function f

    E[w f(X)] = sum over x in C of P(x) f(x).

Means of weights estimate P(C), weighted means of f estimate its expectation given C.

- **Masks.** At each step the allowed outcomes have the probability Z together. One is drawn as the
  model has them, and the weight is multiplied by Z: the probability of drawing x times its weight
  is P(x).
- **Adaptive weighted rejection sampling** (Lipkin et al. 2025, "Fast Controlled Generation from
  Language Models with Adaptive Weighted Rejection Sampling"), where one outcome at a time can be
  asked for: see `rejection`, which replaces Z by an estimate.
- **Sequential Monte Carlo.** Several texts, the particles, are drawn side by side. When the
  effective number of them, (sum w)^2 / sum w^2, falls below half, they are drawn anew among
  themselves, each as often as its share of the weight says and not a whole one more or less
  (systematic resampling), and all have the mean weight then. The expectation above stays what it
  is.

A text that gets nowhere, and one that is cut where it does not satisfy the constraint, has the
weight 0 and stays among the particles, for their mean.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.arguments import (
    Ends,
    Utf8,
    check_draw,
    check_ends,
    check_utf8,
    text_bytes,
)
from bytewright.bytelm.constraints import AllOf, Constraint, ConstraintPlace, may_end
from bytewright.bytelm.distribution import END, log_sum
from bytewright.bytelm.protocol import BytePlace, BytePredictor, ask_together, check_predictor
from bytewright.bytelm.sampling import (
    SamplingPredictor,
    crowded,
    draw,
    leave,
    limits,
    place_after,
)
from bytewright.errors import ArgumentError
from bytewright.sizes import whole
from bytewright.underflow import underflow_is_zero

__all__ = ["WeightedSample", "WeightedText", "rejection", "sample_weighted", "systematic"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WeightedText:
    """A text that was drawn.

    Attributes:
        text: what follows the prompt.
        log_weight: the logarithm of its weight; minus infinity where it does not satisfy the
            constraint.
        complete: whether it has come to its end, rather than being cut after `max_bytes`.
    """

    text: bytes
    log_weight: float
    complete: bool


@dataclass(frozen=True, slots=True)
class WeightedSample:
    """Texts with weights, all drawn together.

    Attributes:
        texts: one for each particle.
        logprob: the logarithm of the mean weight, which estimates, without bias before the
            logarithm is taken, the probability that a text cut after `max_bytes` satisfies the
            constraint; minus infinity when no particle does.
        resamplings: how often the particles were drawn anew.
    """

    texts: tuple[WeightedText, ...]
    logprob: float
    resamplings: int

    def __iter__(self) -> Iterator[WeightedText]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    def shares(self) -> dict[bytes, float]:
        """The share of the weight that each text has, the largest first.

        An estimate of the probability of each text given that it satisfies the constraint.
        """
        found: defaultdict[bytes, float] = defaultdict(float)
        for one in self.texts:
            if one.log_weight > -math.inf:
                found[one.text] += math.exp(
                    one.log_weight - self.logprob - math.log(len(self.texts))
                )
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


@dataclass(slots=True)
class _Particle:
    state: BytePlace
    place: ConstraintPlace
    text: bytearray = field(default_factory=bytearray)
    log_weight: float = 0.0
    complete: bool = False
    stopped: bool = False

    def twin(self) -> _Particle:
        state = self.state if self.stopped else self.state.fork()
        return replace(self, state=state, text=self.text.copy())

    def leave(self) -> None:
        """End the text if nothing more matches, whatever the model says: it need not be asked."""
        self.complete = self.stopped = leave(self.place)

    def cut(self) -> None:
        """End the text here, where there is no more room."""
        self.stopped = True
        if not may_end(self.place):
            self.log_weight = -math.inf


def sample_weighted(
    source: BytePredictor,
    prompt: str | bytes = b"",
    *,
    constraint: Constraint,
    particles: int,
    max_bytes: int,
    temperature: float = 1.0,
    seed: int | None = None,
    utf8: Utf8 = "any",
    ends: Ends = "text",
) -> WeightedSample:
    """Draw texts that satisfy a constraint, with weights, and how likely such texts are.

    Args:
        source: a `ByteModel`, an ensemble, or whatever else predicts bytes.
        prompt: the text so far, which is no part of what has to satisfy the constraint.
        constraint: what the text has to be.
        particles: how many texts are drawn.
        max_bytes: texts are cut after as many; one that has not come to its end there counts when
            it satisfies the constraint as it is. `RegexConstraint` and `ChoiceConstraint` begin
            nothing for which there is no room.
        temperature: as for `ByteModel.sample`; the model at its temperature is what the weights
            refer to. Not 0.
        seed: equal seeds give equal texts; None draws others each time.
        utf8: `"strict"` makes UTF-8 a part of the constraint: a text that is cut inside a character
            does not satisfy it.
        ends: `"text"`: the text is what the model writes up to its end. `"match"`: it is left at
            the first byte that the constraint does not allow, where it satisfies the constraint by
            then; whatever comes next counts as its end. So "12" is a number in "12 apples". A text
            that goes on as the constraint allows is not left, and does not satisfy it where
            `max_bytes` cuts it short of its end.

    Raises:
        ArgumentError: an argument outside what is allowed.
        DataError: the prompt has the probability 0.

    >>> import bytewright as bw
    >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")])
    >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["lo and hi and lo and lo"] * 9))
    >>> drawn = sample_weighted(
    ...     model, "lo and ", constraint=bw.ChoiceConstraint(["lo", "hi", "no"]), particles=50,
    ...     max_bytes=2, seed=1,
    ... )
    >>> list(drawn.shares())[0], round(drawn.logprob, 3)
    (b'lo', -0.058)
    """
    check_predictor(source, "source")
    max_bytes = whole(max_bytes, "max_bytes")
    particles = whole(particles, "particles")
    check_draw(temperature, 1.0, seed)
    check_utf8(utf8)
    check_ends(ends)
    if temperature == 0.0:
        raise ArgumentError("temperature=0.0: above 0, for weights to have a meaning")
    if particles < 1:
        raise ArgumentError(f"particles={particles}: 1 and more are allowed")
    text = text_bytes(prompt)
    before = source._before + text if isinstance(source, SamplingPredictor) else text
    first = _Particle(place_after(source, text), limits(utf8, AllOf(constraint)).start(before))
    rng = np.random.default_rng(seed)
    drawn = [(first, particles)]
    resamplings = 0
    while True:
        for one, _ in drawn:
            room = max_bytes - len(one.text)
            if ends == "match" and not one.stopped:
                one.leave()
            if room == 0 and not one.stopped:
                one.cut()
        crowd = _twins(source, drawn)
        if all(one.stopped for one in crowd):
            break
        for one in crowd:
            if not one.stopped:
                _step(one, max_bytes, temperature, ends, rng)
        drawn = _drawn_anew(crowd, rng)
        resamplings += len(drawn) < len(crowd)
    texts = tuple(WeightedText(bytes(one.text), one.log_weight, one.complete) for one in crowd)
    return WeightedSample(texts, _log_mean([one.log_weight for one in crowd]), resamplings)


def _twins(source: BytePredictor, drawn: list[tuple[_Particle, int]]) -> list[_Particle]:
    """Each particle as often as it was drawn, and the model asked about all."""
    ask_together(source, [one.state for one, _ in drawn if not one.stopped])
    crowd = []
    for one, count in drawn:
        if count > 1 and not one.stopped:
            # What may follow is known by all twins then, and held once.
            one.state.next()
        crowd += [one, *(one.twin() for _ in range(count - 1))]
    return crowd


def _step(
    one: _Particle, max_bytes: int, temperature: float, ends: Ends, rng: np.random.Generator
) -> None:
    """Draw what follows, and weigh it."""
    mask = one.place.mask(max_bytes - len(one.text))
    logprobs = _tempered(one.state.next().logprobs, temperature)
    if ends == "match" and mask[END] and one.place.allows(END):
        # Each byte that may not follow is the end: all that the model expects is allowed, but for
        # what goes on and has no room to become whole.
        logprobs = np.where(crowded(one.place, mask), -np.inf, logprobs)
        outcome, log_weight = _likely(logprobs, rng)
        if outcome is not None and not (mask[outcome] and one.place.allows(outcome)):
            outcome = END
    else:
        logprobs = np.where(mask, logprobs, -np.inf)
        if one.place.exact:
            outcome, log_weight = _likely(logprobs, rng)
        else:
            outcome, log_weight = rejection(
                logprobs, one.place.allows, lambda left: draw(left, 1.0, 1.0, rng)
            )
    one.log_weight += log_weight
    one.stopped = outcome is None or outcome == END
    one.complete = outcome == END
    if outcome is not None and outcome != END:
        one.text.append(outcome)
        one.place = one.place.after(outcome)
        if len(one.text) < max_bytes:
            one.state.advance(bytes([outcome]))


@underflow_is_zero
def _tempered(logprobs: Floats, temperature: float) -> Floats:
    """What a model expects at a temperature."""
    if logprobs.max() == -math.inf:
        return logprobs
    # The maximum goes first, so that no temperature makes all of them 0; what a low one overflows
    # to is a probability of 0.
    with np.errstate(over="ignore"):
        logprobs = (logprobs - logprobs.max()) / temperature
    logprobs -= log_sum(logprobs)
    return logprobs


def _likely(logprobs: Floats, rng: np.random.Generator) -> tuple[int | None, float]:
    """One of the outcomes, and the logarithm of the probability of all."""
    mass = log_sum(logprobs)
    return (None if mass == -math.inf else draw(logprobs, 1.0, 1.0, rng)), mass


def rejection(
    logprobs: Floats, accepts: Callable[[int], bool], draw_one: Callable[[Floats], int]
) -> tuple[int | None, float]:
    """Draw an accepted outcome, and estimate the probability of all that are accepted.

    An outcome is drawn and asked for; what is refused is taken out, and the next is drawn from what
    is left, until an outcome is accepted *twice* (the same or another; accepted ones stay in). The
    first accepted is the result. If V_j is the probability of what was left after j refusals, and m
    of them came in all, the estimate is

        W = 1 / (1/V_0 + 1/V_1 + ... + 1/V_m).

    **Its expectation is Z, the probability of the accepted outcomes, whatever the result.** Let A
    be the accepted outcomes, and r_1..r_m the refused ones in their order. That the first
    acceptance comes after j refusals, is x and that the second comes after m has the probability

        (product over i < m of p(r_(i+1)) / V_i) * p(x)/V_j * Z/V_m.

    It is a product of what depends on x and what does not, so x is drawn as p has it in A and is
    independent of all else. Given r_1..r_m the place j has probabilities in proportion to 1/V_j, so
    that of j = 0 is W V_0^-1. Averaged over r_1..r_m it is the probability that the very first
    outcome is accepted, Z/V_0, hence the expectation of W is Z. (W is what the Rao-Blackwell
    theorem makes of the estimate "V_0 if the first outcome is accepted, 0 otherwise".)

    Args:
        logprobs: natural logarithms of probabilities, whose sum V_0 may be below 1.
        accepts: whether an outcome is accepted; called once for each that is drawn.
        draw_one: draws one of the outcomes in proportion to its probability.

    Returns:
        The outcome, and the logarithm of W; None and minus infinity where none is accepted.
    """
    logprobs = logprobs.copy()
    left = [log_sum(logprobs)]
    accepted: set[int] = set()
    first = None
    while left[-1] > -math.inf:
        outcome = draw_one(logprobs)
        if outcome in accepted or accepts(outcome):
            if first is not None:
                return first, -log_sum(-np.array(left))
            first = outcome
            accepted.add(outcome)
        else:
            logprobs[outcome] = -np.inf
            # Summed again: what is left may be far less than what was taken.
            left.append(log_sum(logprobs))
    return None, -math.inf


@underflow_is_zero
def _drawn_anew(crowd: list[_Particle], rng: np.random.Generator) -> list[tuple[_Particle, int]]:
    """How often each is drawn among all, where few of them have most of the weight."""
    weights = np.array([one.log_weight for one in crowd])
    once = [(one, 1) for one in crowd]
    if len(crowd) == 1 or weights.max() == -math.inf or all(one.stopped for one in crowd):
        return once
    shares = np.exp(weights - weights.max())
    shares /= shares.sum()
    if 1.0 / np.square(shares).sum() >= len(crowd) / 2:
        return once
    mean = _log_mean(weights)
    for one in crowd:
        one.log_weight = mean
    counts = systematic(shares, rng.random())
    return [(one, count) for one, count in zip(crowd, counts, strict=True) if count]


def systematic(shares: Floats, offset: float) -> list[int]:
    """How often each is drawn: points at equal distances, the first at `offset` of one.

    Args:
        shares: add up to 1, `[particles]`.
        offset: at least 0 and below 1, drawn evenly.

    Returns:
        As many draws in all as there are shares; one of share s has floor(n s) or ceil(n s), on
        average n s.

    >>> systematic(np.array([0.5, 0.5, 0.0, 0.0]), 0.3), systematic(np.array([0.3, 0.7]), 0.7)
    ([2, 2, 0, 0], [0, 2])
    """
    number = len(shares)
    ends = np.cumsum(shares)
    points = (offset + np.arange(number)) / number * ends[-1]
    found = np.searchsorted(ends, points, side="right")
    # Rounding may put the last point behind the last share that is any.
    found = np.minimum(found, np.flatnonzero(shares)[-1])
    return [int(count) for count in np.bincount(found, minlength=number)]


def _log_mean(values: Floats | list[float]) -> float:
    return log_sum(np.asarray(values)) - math.log(len(values))
