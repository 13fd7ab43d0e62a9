"""Texts as callers give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Real

import numpy as np

from bytewright.errors import ArgumentError, ArgumentTypeError

__all__ = ["check_share", "mean_bits", "text_bytes"]


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


def check_share(number: float, name: str) -> None:
    """Raise if an argument is no share below 1."""
    if not isinstance(number, Real):
        raise ArgumentTypeError(f"{name} must be a number, not {type(number).__name__}")
    if not 0.0 <= number < 1.0:
        raise ArgumentError(f"{name}={number} is not in 0.0 <= {name} < 1.0")


def mean_bits(texts: Iterable[str | bytes], logprob: Callable[[bytes], float]) -> float:
    """The mean number of bits that a byte of these texts takes.

    Args:
        texts: each a text of its own.
        logprob: the natural logarithm of the probability of one of them.

    Raises:
        ArgumentError: there is no byte.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise ArgumentTypeError(f"texts: a list of texts, not {type(texts).__name__}")
    nats, count = 0.0, 0
    for text in texts:
        data = text_bytes(text)
        nats -= logprob(data)
        count += len(data)
    if not count:
        raise ArgumentError("texts: bits per byte of no bytes")
    return float(nats / count / np.log(2))
