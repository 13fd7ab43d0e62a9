"""What a model of bytes is: all that sampling, ensembles and compression ask of one."""

from __future__ import annotations

from typing import Protocol, Self, runtime_checkable

from bytewright.bytelm.distribution import ByteDistribution

__all__ = ["BytePlace", "BytePredictor"]


class BytePlace(Protocol):
    """A place in a text; `ByteState` is one."""

    @property
    def logprob(self) -> float:
        """The natural logarithm of the probability that a text begins with the bytes so far."""
        ...

    def next(self) -> ByteDistribution:
        """What may follow."""
        ...

    def advance(self, data: bytes) -> Self:
        """Read more bytes, in place."""
        ...

    def fork(self) -> Self:
        """Another place after the same bytes."""
        ...


@runtime_checkable
class BytePredictor(Protocol):
    """A model of bytes; `ByteModel` is one.

    >>> import bytewright as bw
    >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")])
    >>> isinstance(bw.ByteModel(bw.NgramModel.fit(tok, ["lo and lo"])), BytePredictor)
    True
    """

    def start(self, prefix: str | bytes = b"") -> BytePlace:
        """The place after a text."""
        ...
