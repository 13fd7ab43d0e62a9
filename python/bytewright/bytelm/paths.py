"""The sequences of tokens behind a probability of bytes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TokenPath"]


@dataclass(frozen=True, slots=True)
class TokenPath:
    """A sequence of tokens that covers a text: all but the last end before the text does.

    Attributes:
        ids: the tokens, or the last of them.
        pending: the bytes of the last token that the text has not come to; none where it ends with
            the text.
        share: the probability of the sequence, and of those that are listed as one with it, as a
            share of that of the text, between 0 and 1. The shares of all sequences add up to 1, but
            for what pruning leaves out.
    """

    ids: tuple[int, ...]
    pending: bytes
    share: float
