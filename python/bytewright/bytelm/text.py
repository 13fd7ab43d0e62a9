"""Texts as callers give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bytewright.errors import ArgumentError, ArgumentTypeError

__all__ = ["mean_bits", "text_bytes"]


def text_bytes(text: str | bytes) -> bytes:
    """The bytes of a text."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise ArgumentTypeError(f"text must be str or bytes, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        at = error.start
        raise ArgumentError(
            f"text: a lone surrogate, {text[at]!r} at character {at}, has no UTF-8"
        ) from None


def mean_bits(texts: Iterable[str | bytes], logprob: Callable[[bytes], float]) -> float:
    """The mean number of bits that a byte of these texts takes.

    Args:
        texts: each a text of its own.
        logprob: the natural logarithm of the probability of one of them.

    Raises:
        ArgumentError: there is no byte.
    """
    if isinstance(texts, str | bytes):
        raise ArgumentTypeError("texts: a list of texts, not one text")
    nats, count = 0.0, 0
    for text in texts:
        data = text_bytes(text)
        nats -= logprob(data)
        count += len(data)
    if not count:
        raise ArgumentError("texts: bits per byte of no bytes")
    return float(nats / count / np.log(2))
