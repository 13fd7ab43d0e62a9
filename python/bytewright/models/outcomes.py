"""Logits of a network as the rows that a `TokenModel` gives.

A network may have more columns than its tokenizer has ids (they are padded to a round number), and
fewer, where special tokens were added behind the last. A row has a column for each id of the
tokenizer and for the end of text: the others are cut off before the row is normalised, and what the
network lacks is impossible. Several ends of text are one outcome: the first of them has the
probability of all, the others have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright.underflow import underflow_is_zero

__all__ = ["Outcomes", "log_softmax"]


class Outcomes:
    """What may follow: columns, and those that end a text.

    Where an end lies behind the vocabulary, the columns between are those of ids that the tokenizer
    has not got: they have their probability in a row, and no text has them.
    """

    def __init__(self, size: int, ends: Sequence[int], *, double: bool = False) -> None:
        """Take the number of ids of a tokenizer, and the ids that end a text.

        Args:
            size: ids of the tokenizer.
            ends: ids that end a text, the first standing for all.
            double: rows are float64 and not float32.
        """
        self.width = max([size, *(end + 1 for end in ends)])
        self._ends = list(dict.fromkeys(ends))
        self._dtype = np.float64 if double else np.float32

    @property
    def end(self) -> int | None:
        """The column of the end of text."""
        return self._ends[0] if self._ends else None

    @property
    def ends(self) -> list[int]:
        """The ids that end a text, the first standing for all."""
        return self._ends.copy()

    def empty(self, number: int) -> NDArray[Any]:
        """Rows to be filled."""
        return np.empty((number, self.width), self._dtype)

    @underflow_is_zero
    def rows(self, logits: Any) -> NDArray[Any]:
        """Rows of logits, a NumPy array or a tensor of torch, `[n, columns]`."""
        logits = logits[:, : self.width]
        if isinstance(logits, np.ndarray):
            found = log_softmax(logits.astype(self._dtype, copy=False))
        else:
            # Half precision would be too coarse for the sum, and for what is left of it.
            logits = logits.double() if self._dtype is np.float64 else logits.float()
            found = logits.log_softmax(-1).cpu().numpy()
        missing = self.width - found.shape[1]
        if missing:
            found = np.pad(found, ((0, 0), (0, missing)), constant_values=-np.inf)
        if len(self._ends) > 1:
            ends = found[:, self._ends]
            found[:, self._ends] = -np.inf
            found[:, self._ends[0]] = np.logaddexp.reduce(ends, axis=1)
        return found


def log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Logarithms of the probabilities of logits `[n, columns]`.

    >>> np.exp(log_softmax(np.log([[1.0, 3.0]]))).tolist()
    [[0.25, 0.75]]
    """
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    found: NDArray[Any] = shifted
    return found
