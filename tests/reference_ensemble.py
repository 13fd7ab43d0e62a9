"""The rules of ensembles by their formulas: the prediction at each place, from the members'."""

from __future__ import annotations

import math

Dist = list[float]


def mean(dists: list[Dist], weights: list[float]) -> Dist:
    return [
        sum(w * d[b] for w, d in zip(weights, dists, strict=True)) / sum(weights)
        for b in range(257)
    ]


def product(dists: list[Dist], weights: list[float]) -> Dist:
    raw = [
        math.prod(d[b] ** w for w, d in zip(weights, dists, strict=True))
        if all(d[b] for d in dists)
        else 0.0
        for b in range(257)
    ]
    return [p / sum(raw) for p in raw]


Steps = list[tuple[Dist, float]]
"""At each place the prediction, and the share that is not lost."""


def of_whole(raw: Dist, whole: float) -> tuple[Dist, float]:
    return [p / sum(raw) for p in raw], sum(raw) / whole


def by_bayes(steps: list[list[Dist]], text: bytes, prior: list[float]) -> Steps:
    """P(b | x) as P(xb) / P(x) of the mixture of whole texts; rows leave out what is lost."""
    out, whole = [], list(prior)
    for at, dists in enumerate(steps):
        raw = [math.fsum(w * d[b] for w, d in zip(whole, dists, strict=True)) for b in range(257)]
        out.append(of_whole(raw, sum(whole)))
        if at < len(text):
            whole = [w * d[text[at]] for w, d in zip(whole, dists, strict=True)]
    return out


def by_fixed_share(steps: list[list[Dist]], text: bytes, prior: list[float], share: float) -> Steps:
    """The sum over all sequences of models that may have made the text, one for each byte."""
    number = len(prior)
    out = []
    paths: dict[tuple[int, ...], float] = {(first,): prior[first] for first in range(number)}
    for at, dists in enumerate(steps):
        # Of what follows, sequences that now use a model for which the text cannot be say nothing.
        whole = sum(p for path, p in paths.items() if any(dists[path[-1]]))
        raw = [sum(p * dists[path[-1]][b] for path, p in paths.items()) for b in range(257)]
        out.append(of_whole(raw, whole))
        if at < len(text):
            paths = {
                (*path, then): p
                * dists[path[-1]][text[at]]
                * ((1 - share) * (then == path[-1]) + share * prior[then])
                for path, p in paths.items()
                for then in range(number)
            }
    return out


def by_gradient(
    steps: list[list[Dist]], kept: list[list[float]], text: bytes, prior: list[float], eta: float
) -> Steps:
    """Weights of a product, moved against a numerical derivative of -log P(y)."""
    out, weights = [], list(prior)
    for at, dists in enumerate(steps):
        left = math.prod(k**w for w, k in zip(weights, kept[at], strict=True))
        out.append((product(dists, weights), left))
        if at == len(text):
            break
        slopes = []
        for one in range(len(weights)):
            ends = []
            for move in (1e-5, -1e-5):
                moved = [w + move * (at == one) for at, w in enumerate(weights)]
                ends.append(math.log(product(dists, moved)[text[at]]))
            slopes.append((ends[0] - ends[1]) / 2e-5)
        weights = nearest([w + eta * slope for w, slope in zip(weights, slopes, strict=True)])
    return out


def nearest(numbers: list[float]) -> list[float]:
    """Weights that add up to 1: the numbers less one number, found by halving, cut off at 0."""
    low, high = min(numbers) - 1.0, max(numbers)
    for _ in range(100):
        middle = (low + high) / 2
        total = sum(max(0.0, one - middle) for one in numbers)
        low, high = (middle, high) if total > 1.0 else (low, middle)
    return [max(0.0, one - low) for one in numbers]


def by_core(dists: list[Dist], given: list[float], kept: list[float]) -> tuple[Dist, float]:
    centre = mean(dists, given)
    main, trust, shape = dists[0], [], []
    for d in dists:
        near = [
            (math.exp(-2 * abs(p - c)) - math.exp(-2)) / (1 - math.exp(-2)) if p + m > 1e-12 else 0
            for p, c, m in zip(d, centre, main, strict=True)
        ]
        trust.append(sum(near) / -sum(p * math.log(p) for p in d if p))
        average = sum(near) / sum(n > 0 for n in near)
        shape.append([n / average for n in near])
    trust[0] = max(trust[0], sum(trust[1:]))
    shape[0] = [1.0] * 257
    rows = zip(trust, dists, shape, strict=True)
    raw = [
        sum(column)
        for column in zip(
            *([t * p * s for p, s in zip(d, n, strict=True)] for t, d, n in rows), strict=True
        )
    ]
    left = sum(t * k for t, k in zip(trust, kept, strict=True)) / sum(trust)
    return [p / sum(raw) for p in raw], left
