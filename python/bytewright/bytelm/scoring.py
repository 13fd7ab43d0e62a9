"""Probabilities of whole texts, from any model of bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bytewright.arguments import flag
from bytewright.bytelm.arguments import text_bytes
from bytewright.bytelm.distribution import END
from bytewright.bytelm.protocol import BytePredictor
from bytewright.errors import ArgumentError, ArgumentTypeError

__all__ = ["ScoringPredictor"]


class ScoringPredictor(BytePredictor):
    """A model of bytes that says how likely texts are: a class that inherits this needs `start`."""

    __slots__ = ()

    def logprob(self, text: str | bytes, *, end: bool = False) -> float:
        """The natural logarithm of the probability that a text begins so, or, with `end`, is so."""
        flag(end, "end")
        place = self.start(text)
        logprob = place.logprob
        if not end or logprob == -math.inf:
            return logprob
        last = place.next()
        return float(logprob + last.log_kept + last.logprobs[END])

    def bits_per_byte(self, texts: Iterable[str | bytes], *, end: bool = False) -> float:
        """The mean number of bits that a byte of these texts takes, over all bytes alike.

        Bytes are the same whatever the tokenizer, so models compare.

        Args:
            texts: each a text of its own; what a model learns from one is forgotten for the next.
            end: count what the end of each text takes too; the number of bytes stays.

        Raises:
            ArgumentError: there is no byte.
        """
        if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
            raise ArgumentTypeError(f"texts: a list of texts, not {type(texts).__name__}")
        nats, count = 0.0, 0
        for text in texts:
            data = text_bytes(text)
            nats -= self.logprob(data, end=end)
            count += len(data)
        if not count:
            raise ArgumentError("texts: bits per byte of no bytes")
        return nats / count / math.log(2)
