"""Arguments as callers give them: texts, numbers and words that say how to draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Literal

from bytewright.arguments import word
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.sizes import whole

__all__ = [
    "Ends",
    "Utf8",
    "check_bytes",
    "check_draw",
    "check_ends",
    "check_share",
    "check_utf8",
    "stop_strings",
    "text_bytes",
]

Utf8 = Literal["any", "strict"]
Ends = Literal["text", "match"]


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


def check_bytes(data: object, name: str = "data") -> None:
    """Raise if something is not bytes."""
    if not isinstance(data, bytes):
        raise ArgumentTypeError(f"{name} must be bytes, not {type(data).__name__}")


def check_share(number: float, name: str) -> None:
    """Raise if an argument is no share below 1."""
    if not isinstance(number, Real):
        raise ArgumentTypeError(f"{name} must be a number, not {type(number).__name__}")
    if not 0.0 <= number < 1.0:
        raise ArgumentError(f"{name}={number} is not in 0.0 <= {name} < 1.0")


def check_draw(temperature: float, top_p: float, seed: int | None) -> None:
    """Raise if these do not say how to draw."""
    if seed is not None:
        whole(seed, "seed")
    for name, number in {"temperature": temperature, "top_p": top_p}.items():
        if not isinstance(number, Real):
            raise ArgumentTypeError(f"{name} must be a number, not {type(number).__name__}")
    if not 0.0 <= temperature < math.inf:
        raise ArgumentError(f"temperature={temperature}: 0 (the likeliest) and more")
    if not 0.0 < top_p <= 1.0:
        raise ArgumentError(f"top_p={top_p} is not in 0.0 < top_p <= 1.0")


def check_utf8(utf8: Utf8) -> None:
    """Raise if this does not say which bytes are allowed."""
    word(utf8, "utf8", ("any", "strict"))


def check_ends(ends: Ends) -> None:
    """Raise if this does not say where texts end."""
    word(ends, "ends", ("text", "match"))


def stop_strings(stop: str | bytes | Sequence[str | bytes]) -> tuple[bytes, ...]:
    """Stop strings as a caller gives them."""
    if not isinstance(stop, str | bytes | Iterable):
        raise ArgumentTypeError(f"stop: texts, not {type(stop).__name__}")
    stops = tuple(map(text_bytes, [stop] if isinstance(stop, str | bytes) else stop))
    if b"" in stops:
        raise ArgumentError("stop: an empty stop string would end every text at once")
    return stops
