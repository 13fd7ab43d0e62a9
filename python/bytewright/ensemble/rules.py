"""How the predictions of K models become one, and what a rule learns from the byte that came.

All is in natural logarithms: `rows` is `[K, 257]`, each row a distribution. With weights w that add
up to 1, and k_i the share that model i does not lose at this step (`ByteDistribution.log_kept`):

| rule | prediction | share that is not lost | weights after the outcome y |
|---|---|---|---|
| `arithmetic` | sum of w P_i | sum of w k_i | as they were |
| `geometric` | proportional to the product of P_i^w | product of k_i^w | as they were |
| `bayes` | proportional to the sum of w k_i P_i | sum of w k_i | proportional to w k_i P_i(y): the posterior of the models |
| `fixed_share` | proportional to the sum of w k_i P_i | sum of w k_i | (1 - s) the posterior + s prior (Herbster and Warmuth 1998) |
| `online` | proportional to the product of P_i^w | product of k_i^w | the weights nearest to w + eta (log P_i(y) - E[log P_i]), E under the prediction (the mixing of Mattern 2013: projected gradient steps on -log P(y), which is convex in w) |
| `core` | consistency of tokens and models ("CoRE", arXiv 2510.13855) | sum of w k_i | found anew at each step |

So identical models are one, and the probability of a text under `bayes` is the mean of its
probabilities under the models by their first weights, whatever they lose.

A mean is that of the models for which the text so far can be, by their share of the weights. Under
`fixed_share` the others are dealt a share too, which counts nowhere: sequences of models that come
through one of them have the probability 0.

CoRE, for bytes: with the mean p* of all models by the given weights, the first one is the main
model, delta_i = |P_i - p*|, s_i = (e^(-2 delta_i) - e^-2) / (1 - e^-2) where P_i + P_main > 1e-12
and else 0, the weight of a model is the sum of s_i over the entropy of P_i, that of the main model
at least the sum of the others, and the prediction is proportional to w_main P_main + sum of w_i P_i
s_i, s_i scaled to the mean 1.
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.distribution import log_sum
from bytewright.underflow import underflow_is_zero

__all__ = ["RULES", "Floats", "Rule", "fixed_share", "online"]

Floats = NDArray[np.float64]

_NEGLIGIBLE = 1e-12
_LEAST_ENTROPY = 1e-9


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to make one prediction of several.

    Attributes:
        veto: an outcome that one model with a weight excludes is excluded, so that no model may be
            missing.
        averages: the prediction is a mean with weights that no prediction changes.
        judges: models are weighed by the probability of the text, so `rows` have what they lose
            left out (rows of `mix` and `learn` add up to k_i).
        start: what is remembered at the beginning, from the weights, `[K]`.
        mix: from what is remembered and `rows` the prediction, `[257]`, not yet normalised, and the
            weights in it, `[K]`.
        learn: what is remembered after an outcome, from what was, `rows`, the normalised prediction
            and the outcome.
    """

    veto: bool
    averages: bool
    judges: bool
    start: Callable[[Floats], Floats]
    mix: Callable[[Floats, Floats], tuple[Floats, Floats]]
    learn: Callable[[Floats, Floats, Floats, int], Floats]

    @property
    def learns(self) -> bool:
        """Whether what has come decides how predictions become one."""
        return self.learn is not _unchanged

    @underflow_is_zero
    def log_kept(self, weights: Floats, kept: Floats) -> float:
        """What is not lost, from the weights and the logarithms of what each model keeps."""
        counted = weights > 0.0
        weights, kept = weights[counted], kept[counted]
        return float(weights @ kept) if self.veto else log_sum(np.log(weights) + kept)


def _logs(weights: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(weights)


def _as_they_are(weights: Floats) -> Floats:
    return weights


def _unchanged(memory: Floats, rows: Floats, mixed: Floats, outcome: int) -> Floats:
    return memory


@underflow_is_zero
def _mean(memory: Floats, rows: Floats) -> tuple[Floats, Floats]:
    logs = memory - log_sum(memory) if memory.max() > -np.inf else memory
    return np.logaddexp.reduce(logs[:, None] + rows, axis=0), np.exp(logs)


@underflow_is_zero
def _product(memory: Floats, rows: Floats) -> tuple[Floats, Floats]:
    # A model of weight 0 has no veto: its zeros to the power 0 are 1.
    counted = memory > 0.0
    return memory[counted] @ rows[counted], memory


@underflow_is_zero
def _learned_product(memory: Floats, rows: Floats) -> tuple[Floats, Floats]:
    # A weight that learning took to 0 may come back, so its model keeps its veto.
    possible = np.all(rows > -np.inf, axis=0)
    mixed = np.full(rows.shape[1], -np.inf)
    mixed[possible] = memory @ rows[:, possible]
    return mixed, memory


def _posterior(memory: Floats, rows: Floats, mixed: Floats, outcome: int) -> Floats:
    logs = memory + rows[:, outcome]
    return logs - log_sum(logs)


@underflow_is_zero
def fixed_share(share: float, prior: Floats) -> Rule:
    """The rule `fixed_share`: at each step this share of the weight is dealt out anew."""
    kept, dealt = _logs(np.array([1.0 - share]))[0], _logs(share * prior)

    @underflow_is_zero
    def learn(memory: Floats, rows: Floats, mixed: Floats, outcome: int) -> Floats:
        logs: Floats = np.logaddexp(kept + _posterior(memory, rows, mixed, outcome), dealt)
        return logs

    return Rule(False, False, True, _logs, _mean, learn)


def _nearest(numbers: Floats) -> Floats:
    """The weights, none below 0 and 1 in all, with the least Euclidean distance from these."""
    falling = np.sort(numbers)[::-1]
    above = (np.cumsum(falling) - 1.0) / np.arange(1, len(numbers) + 1)
    weights: Floats = np.maximum(0.0, numbers - above[np.flatnonzero(falling > above)[-1]])
    return weights


def online(eta: float) -> Rule:
    """The rule `online`: weights of a product, learned by gradient steps of this size."""

    @underflow_is_zero
    def learn(memory: Floats, rows: Floats, mixed: Floats, outcome: int) -> Floats:
        possible = mixed > -np.inf
        expected = rows[:, possible] @ np.exp(mixed[possible])
        return _nearest(memory + eta * (rows[:, outcome] - expected))

    return Rule(True, False, False, _as_they_are, _learned_product, learn)


@underflow_is_zero
def _consistent(memory: Floats, rows: Floats) -> tuple[Floats, Floats]:
    probs = np.exp(rows)  # [K, 257]
    main = probs[0]
    if not memory.any():
        return np.full(rows.shape[1], -np.inf), np.zeros(len(rows))
    far = np.abs(probs - memory / memory.sum() @ probs)
    near = (np.exp(-2.0 * far) - math.exp(-2.0)) / (1.0 - math.exp(-2.0))
    near[probs + main <= _NEGLIGIBLE] = 0.0
    entropy = -np.sum(probs * np.where(probs > 0.0, rows, 0.0), axis=1)
    weights = near.sum(axis=1) / np.maximum(entropy, _LEAST_ENTROPY)
    weights[0] = max(weights[0], weights[1:].sum())
    weights /= weights.sum()
    scaled = near * (np.count_nonzero(near, axis=1) / near.sum(axis=1))[:, None]
    scaled[0] = 1.0
    return _logs((weights[:, None] * probs * scaled).sum(axis=0)), weights


RULES = {
    "arithmetic": Rule(False, True, False, _logs, _mean, _unchanged),
    "geometric": Rule(True, False, False, _as_they_are, _product, _unchanged),
    "bayes": Rule(False, False, True, _logs, _mean, _posterior),
    "core": Rule(False, False, False, _as_they_are, _consistent, _unchanged),
}
"""The rules that have no option; `fixed_share` and `online` are functions of theirs."""
