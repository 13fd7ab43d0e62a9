"""Arguments as callers give them: what is of another type is refused by name."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from bytewright.errors import ArgumentError, ArgumentTypeError

__all__ = [
    "flag",
    "function",
    "instance",
    "integer",
    "is_integer",
    "items",
    "number",
    "place",
    "text",
    "word",
]


def instance(value: object, kind: type, name: str) -> None:
    """Raise if an argument is of another class.

    >>> instance("low", str, "text")
    """
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise ArgumentTypeError(
            f"{name}: {article} {kind.__name__} is needed, not {type(value).__name__}"
        )


def function(value: object, name: str) -> None:
    """Raise if an argument is neither None nor can be called."""
    if value is not None and not callable(value):
        raise ArgumentTypeError(f"{name} must be callable, not {type(value).__name__}")


def flag(value: object, name: str) -> None:
    """Raise if an argument is neither true nor false."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be a bool, not {type(value).__name__}")


def word(value: object, name: str, allowed: Collection[str]) -> None:
    """Raise if an argument is none of these words.

    >>> word("bayes", "rule", ["bayes", "core"])
    """
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(f"{name}={value!r:.100}: {', '.join(allowed)} are allowed")


def text(value: str, name: str) -> None:
    """Raise if an argument is no text that has UTF-8."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must be str, not {type(value).__name__}")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ArgumentError(f"{name} {value!r:.100} has a lone surrogate, which has no UTF-8")


def number(value: float, name: str) -> float:
    """A number, which may be one of NumPy's."""
    if not isinstance(value, Real):
        raise ArgumentTypeError(f"{name} must be a number, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise ArgumentError(f"{name}={value} is too large") from None


def is_integer(value: object) -> bool:
    """Whether something is a whole number, which may be one of NumPy's; True and False are none.

    >>> is_integer(3), is_integer(True), is_integer(3.0)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def integer(value: Any, name: str) -> int:
    """A whole number, as `is_integer` has it, of any size.

    >>> integer(3, "count")
    3
    """
    if not is_integer(value):
        raise ArgumentTypeError(f"{name} must be an int, not {type(value).__name__}")
    return int(value)


def items(values: Iterable[Any], name: str) -> list[Any]:
    """What an argument holds; a text is not taken for its characters.

    >>> items((1, 2), "ids")
    [1, 2]
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name}: several are needed, not {type(values).__name__}")
    return list(values)


def place(path: str | os.PathLike[str], name: str = "path") -> Path:
    """A path that a system may have: without a NUL, and with a name that has bytes.

    >>> place("a/b.txt").name
    'b.txt'
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(f"{name} must be str or PathLike, not {type(path).__name__}")
    try:
        written = os.fsencode(path)
    except UnicodeEncodeError:
        raise ArgumentError(f"{name} {os.fspath(path)!r} has a lone surrogate") from None
    if b"\0" in written:
        raise ArgumentError(f"{name} {os.fspath(path)!r} has a NUL")
    return Path(os.fsdecode(written))
