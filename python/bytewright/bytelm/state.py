"""A place in a text, and what may follow it."""

from __future__ import annotations

import sys
import threading
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.bytelm.arguments import check_bytes
from bytewright.bytelm.distribution import ByteDistribution
from bytewright.bytelm.paths import TokenPath
from bytewright.bytelm.protocol import ForkingPlace, Goal
from bytewright.bytelm.rows import Rows
from bytewright.sizes import whole
from bytewright.turns import turn

__all__ = ["ByteState"]


# Bytes whose contexts are asked for together.
_STRETCH = 4096


class ByteState(ForkingPlace):
    """The probability of the bytes so far, and of those that may follow.

    Made by `ByteModel.start`. The model is asked when a probability is, and only for contexts
    whose rows are not known yet: about one for each token of a text that is read at once, and one
    for each byte where each next byte is asked for. Threads may share a state: one waits for the
    other, and sees all that the other reads at once or nothing of it. A model that is a function of
    yours may look at a fork of the state that asks it, and not at the state itself.
    """

    __slots__ = ("_lock", "_rows", "_stepwise", "_tree")

    def __init__(self, tree: _core.ByteTree, rows: Rows, *, stepwise: bool) -> None:
        """Not to be called: `ByteModel.start` makes states."""
        self._tree, self._rows, self._stepwise = tree, rows, stepwise
        # Between asking for rows and taking them the tree must stay as it is.
        self._lock = threading.RLock()

    def advance(self, data: bytes) -> Self:
        """Read more bytes, in place.

        A text that cannot be has the probability 0 (`logprob` is minus infinity), which is no
        error. Where the model raises one, nothing was read: the same may be tried again.

        Returns:
            The state itself.

        Raises:
            ArgumentTypeError: `data` is not bytes.
            ArgumentError: more sequences of tokens cover the text than can be followed, which only
                happens with the semantics `"all"` and a model that says no `reach`, or a far one.
        """
        check_bytes(data)
        with turn(self._lock, "ByteState"):
            self._read(data)
        return self

    def _take(self, data: bytes) -> Self:
        """Read a text that is given."""
        if self._stepwise:
            self._read(data)
        else:
            for start in range(0, len(data), _STRETCH):
                self._tree.advance(data[start : start + _STRETCH])
                self._tree.assume()
        self._rows.fill(self._tree, "end")
        self._tree.take()
        return self

    def _read(self, data: bytes) -> None:
        if not self._stepwise and len(data) <= _STRETCH:
            self._tree.advance(data)
            self._tree.skip()
            return
        # The model is asked on the way: until all is read, the state stays where it was.
        tree = self._tree.fork()
        if self._stepwise:
            for at in range(len(data)):
                tree.advance(data[at : at + 1])
                self._rows.fill(tree, "end")
                tree.skip()
        else:
            # Each context that is asked for holds all tokens before it, so the contexts of a long
            # text are never all in memory at once.
            for start in range(0, len(data), _STRETCH):
                if start:
                    self._rows.fill(tree, "end")
                tree.advance(data[start : start + _STRETCH])
                tree.skip()
        self._tree = tree

    def fork(self) -> Self:
        """Another state at the same place; the two go their own ways.

        It waits for no other thread: while one reads, the place is that before what it reads.
        """
        return type(self)(self._tree.fork(), self._rows, stepwise=self._stepwise)

    def _released(self) -> Self:
        other = self.fork()
        other._tree.release()
        return other

    @property
    def logprob(self) -> float:
        """The natural logarithm of the probability that a text begins with the bytes so far."""
        with turn(self._lock, "ByteState"):
            self._rows.fill(self._tree, "end")
            return self._tree.logprob()

    def _wanted(self, goal: Goal) -> list[NDArray[np.int32]]:
        """The contexts that are to be asked for."""
        with turn(self._lock, "ByteState"):
            return self._rows.wanted(self._tree, goal)

    def next(self) -> ByteDistribution:
        """What may follow.

        Raises:
            DataError: the text so far has the probability 0, or the model gave no probabilities.
        """
        with turn(self._lock, "ByteState"):
            self._rows.fill(self._tree, "next")
            logprobs, lost, bound, log_kept = self._tree.next()
        return ByteDistribution(logprobs, lost, bound, log_kept)

    def paths(self, count: int = 10, *, last: int | None = None) -> list[TokenPath]:
        """The likeliest sequences of tokens that cover the bytes so far, the likeliest first.

        What may follow is a sum over these: the next byte of a sequence that has bytes pending is
        known, that of one that has none begins a new token.

        With the semantics `"all"` and a model that says its `reach`, sequences that it cannot tell
        apart, since the `reach` tokens before the last are the same, are listed as one (or, with
        pruning, as a few): the likeliest of them, with the share of all.

        Args:
            count: no more sequences than these.
            last: no more than the last tokens of each; by default all, which in a long text are
                many.

        Returns:
            Nothing for bytes that cannot be; for no bytes, the sequence of no tokens.

        Raises:
            ArgumentError: a negative `count`, or `last` below 1.

        >>> import bytewright as bw, numpy as np
        >>> tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab")
        >>> flat = bw.CallableModel(tok, lambda contexts: np.zeros((len(contexts), 3)))
        >>> for path in bw.ByteModel(flat).start("ba").paths():
        ...     print(path.ids, path.pending, round(path.share, 4))
        (1, 0) b'' 0.5
        (1, 2) b'b' 0.5
        """
        count = whole(count, "count")
        last = sys.maxsize if last is None else whole(last, "last", least=1)
        with turn(self._lock, "ByteState"):
            self._rows.fill(self._tree, "end")
            found = self._tree.paths(count, last)
        return [TokenPath(tuple(ids), pending, share) for ids, pending, share in found]

    def __len__(self) -> int:
        """The number of bytes so far."""
        return len(self._tree)

    def __repr__(self) -> str:
        return f"<ByteState after {len(self)} bytes>"
