"""Places that are gone on from later, without all that a model said at each of them.

A place that was asked what follows holds a row of the model, which is as long as the vocabulary. A
search that goes on from any of thousands has no memory for as many rows. So rows are held at the
places that were used last, as many as the search goes on from at once, and the others are released.
One of these that is gone on from is asked again: the model is, unless its rows are remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from bytewright.bytelm.distribution import ByteDistribution
from bytewright.bytelm.protocol import BytePlace, BytePredictor, ask_together, released

__all__ = ["MOST_TOGETHER", "Places", "Visited"]

MOST_TOGETHER = 64
"""Places that a search goes on from at once, where it has the choice."""


class Visited:
    """A place to go on from, by `Places.behind`."""

    __slots__ = ("_released",)

    def __init__(self, place: BytePlace) -> None:
        """Take a place that holds no more than it has to."""
        self._released = place


class Places:
    """The places of one search.

    >>> import bytewright as bw
    >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")])
    >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["lo and lo and lo"] * 9))
    >>> places = Places(model)
    >>> visited, found = places.visit(model.given("lo and "))
    >>> [behind] = places.behind([(visited, b"lo")])
    >>> round(float(found.probs[ord("l")]), 2), round(behind.logprob, 2)
    (0.96, -0.04)
    """

    __slots__ = ("_held", "_most", "_source")

    def __init__(self, source: BytePredictor) -> None:
        """Take the model of bytes whose places they are."""
        self._source, self._most = source, MOST_TOGETHER
        self._held: OrderedDict[Visited, BytePlace] = OrderedDict()

    def visit(self, place: BytePlace) -> tuple[Visited, ByteDistribution]:
        """What follows a place, which is to be used by `behind` only from now on."""
        found = place.next()
        visited = Visited(released(place))
        self._hold(visited, place)
        return visited, found

    def behind(self, ways: Sequence[tuple[Visited, bytes]]) -> list[BytePlace]:
        """The places that bytes lead to, each from another; asked for together."""
        self._most = max(self._most, len(ways))
        found, again = [], []
        for visited, data in ways:
            if visited in self._held:
                self._held.move_to_end(visited)
                found.append(self._held[visited].fork().advance(data))
            else:
                again.append(visited._released.fork().advance(data))
                found.append(again[-1])
        # With pruning, what else they need is known once this is there.
        ask_together(self._source, again, "end")
        for place in again:
            _ = place.logprob
        return found

    def _hold(self, visited: Visited, place: BytePlace) -> None:
        self._held[visited] = place
        while len(self._held) > self._most:
            self._held.popitem(last=False)
