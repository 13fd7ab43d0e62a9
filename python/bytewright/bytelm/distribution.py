"""What may follow a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bytewright.sizes import whole
from bytewright.underflow import underflow_is_zero

__all__ = ["END", "OUTCOMES", "ByteDistribution", "log_added", "log_sum"]

END = 256  # The outcome that the text ends.
OUTCOMES = 257


@dataclass(frozen=True, slots=True, eq=False)
class ByteDistribution:
    """The next byte, or the end of the text.

    Attributes:
        logprobs: natural logarithms of probabilities that add up to 1, float64 `[257]`; index 256
            is the end of the text. All are minus infinity where the semantics discards whatever the
            model expects (`lost_mass` is 1 then).
        lost_mass: what the semantics discards at this step, as a share of the probability of the
            text so far: sequences that the tokenizer never makes, and special tokens that are not
            the end of the text. With pruning, of what was looked at.
        error_bound: no less than the total-variation distance between these probabilities and those
            that no pruning would give; 0 without pruning. Bytes that are possible, together no
            likelier than this, may have a logarithm of minus infinity here: a loss that is summed
            from these may be infinite, where `logprob` and `score` are right within their share.
    """

    logprobs: NDArray[np.float64]  # [257]
    lost_mass: float
    error_bound: float
    _log_kept: float | None = field(default=None, repr=False)

    @property
    def log_kept(self) -> float:
        """The natural logarithm of the share that is not lost, exact however small the share is.

        With it, `logprobs` become those of this step under the model: P(text and outcome) is
        P(text) times both.
        """
        if self._log_kept is not None:
            return self._log_kept
        return math.log1p(-self.lost_mass) if self.lost_mass < 1.0 else -math.inf

    @property
    @underflow_is_zero
    def probs(self) -> NDArray[np.float64]:
        """The probabilities themselves, float64 `[257]`."""
        return np.exp(self.logprobs)

    @property
    @underflow_is_zero
    def entropy(self) -> float:
        """Shannon entropy in bits."""
        finite = self.logprobs[np.isfinite(self.logprobs)]
        return max(0.0, float(-(np.exp(finite) * finite).sum() / np.log(2)))

    @underflow_is_zero
    def top(self, count: int = 10) -> list[tuple[int, float]]:
        """The most likely outcomes and their probabilities, the likeliest first.

        >>> flat = ByteDistribution(np.full(257, -np.log(257)), 0.0, 0.0)
        >>> [(outcome, round(p, 4)) for outcome, p in flat.top(2)]
        [(0, 0.0039), (1, 0.0039)]
        """
        order = np.argsort(-self.logprobs, kind="stable")[: whole(count, "count")]
        return [(int(at), float(np.exp(self.logprobs[at]))) for at in order]


@underflow_is_zero
def log_sum(logs: NDArray[np.float64]) -> float:
    """The logarithm of the sum of what these are the logarithms of.

    >>> round(log_sum(np.array([-1000.0, -1000.0])), 4), log_sum(np.array([-np.inf]))
    (-999.3069, -inf)
    """
    most = float(logs.max())
    return most if math.isinf(most) else most + math.log(float(np.exp(logs - most).sum()))


@underflow_is_zero
def log_added(logs: Sequence[float]) -> float:
    """The same of a few numbers; of none it is minus infinity."""
    return float(np.logaddexp.reduce(logs))
