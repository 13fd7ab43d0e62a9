"""Whole numbers and numbers of bytes, as callers give them and as people write them."""

import re
import sys

from bytewright.arguments import integer, is_integer
from bytewright.errors import ArgumentError, ArgumentTypeError

__all__ = ["byte_size", "seed_of", "whole"]


def whole(number: int, name: str, *, least: int = 0) -> int:
    """A whole number; one that no machine holds is the largest that it does.

    Args:
        number: an int, or one of NumPy's numbers.
        name: what to call it in an error.
        least: the smallest that is allowed.

    Raises:
        ArgumentError: a smaller number.
        ArgumentTypeError: no whole number.

    >>> whole(3, "threads", least=1), whole(10**30, "threads") == sys.maxsize
    (3, True)
    """
    value = integer(number, name)
    if value < least:
        raise ArgumentError(f"{name}={value}: at least {least} is allowed")
    return min(value, sys.maxsize)


def seed_of(seed: int) -> int:
    """A number that random numbers begin with, of at most 64 bits.

    Raises:
        ArgumentError: one outside.
        ArgumentTypeError: no whole number.

    >>> seed_of(2**64 - 1) == 2**64 - 1
    True
    """
    value = integer(seed, "seed")
    if not 0 <= value < 1 << 64:
        raise ArgumentError(f"seed={value}: 0 to 2**64 - 1 is allowed")
    return value


def byte_size(size: int | str, name: str) -> int:
    """A number of bytes, with K, M, G or T for powers of 1024.

    Args:
        size: the number, or its text.
        name: what to call it in an error.

    Raises:
        ArgumentError: no number of bytes.
        ArgumentTypeError: neither a number nor a text.

    >>> byte_size("512", "memory"), byte_size("2K", "memory"), byte_size("1.5MB", "memory")
    (512, 2048, 1572864)
    """
    if is_integer(size):
        return whole(int(size), name)
    if not isinstance(size, str):
        raise ArgumentTypeError(f"{name} must be int or str, not {type(size).__name__}")
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", size.strip(), re.IGNORECASE)
    if found is None:
        raise ArgumentError(f"{name} {size!r} is not a size such as 512K, 256M or 1G")
    return min(sys.maxsize, int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " ")))
