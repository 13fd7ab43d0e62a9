"""A place in a text, and what may follow it."""

from __future__ import annotations

from bytewright import _core
from bytewright.bytelm.distribution import ByteDistribution
from bytewright.bytelm.rows import Rows

__all__ = ["ByteState"]


class ByteState:
    """The probability of the bytes so far, and of those that may follow.

    Made by `ByteModel.start`. The model is asked when a probability is, and only for contexts
    whose rows are not known yet: about one for each token of a text that is read at once, and one
    for each byte where each next byte is asked for.
    """

    __slots__ = ("_rows", "_stepwise", "_tree")

    def __init__(self, tree: _core.ByteTree, rows: Rows, *, stepwise: bool) -> None:
        """Not to be called: `ByteModel.start` makes states."""
        self._tree, self._rows, self._stepwise = tree, rows, stepwise

    def advance(self, data: bytes) -> ByteState:
        """Read more bytes, in place.

        A text that cannot be has the probability 0 (`logprob` is minus infinity), which is no
        error.

        Returns:
            The state itself.

        Raises:
            TypeError: `data` is not bytes.
            ArgumentError: more sequences of tokens cover the text than can be followed, which only
                happens with the semantics `"all"`.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        if not self._stepwise:
            self._tree.advance(data)
            self._tree.skip()
            return self
        for at in range(len(data)):
            self._tree.advance(data[at : at + 1])
            self._rows.fill(self._tree, "end")
            self._tree.skip()
        return self

    def fork(self) -> ByteState:
        """Another state at the same place; the two go their own ways."""
        return ByteState(self._tree.fork(), self._rows, stepwise=self._stepwise)

    @property
    def logprob(self) -> float:
        """The natural logarithm of the probability that a text begins with the bytes so far."""
        self._rows.fill(self._tree, "end")
        return self._tree.logprob()

    def next(self) -> ByteDistribution:
        """What may follow.

        Raises:
            DataError: the text so far has the probability 0, or the model gave no probabilities.
        """
        self._rows.fill(self._tree, "next")
        logprobs, lost, bound = self._tree.next()
        return ByteDistribution(logprobs, lost, bound)

    def __len__(self) -> int:
        """The number of bytes so far."""
        return len(self._tree)

    def __repr__(self) -> str:
        return f"<ByteState after {len(self)} bytes>"
