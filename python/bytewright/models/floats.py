"""Rows as models give them, and as the core reads them.

A model may give an array of NumPy or a tensor of torch, of float16, bfloat16, float32 or float64.
The core reads all four where they lie. NumPy has no bfloat16: the core takes it as the uint16 of
its bits, which is what a tensor and an array of `ml_dtypes` have in memory.

Nothing is imported for that: where there is a tensor, torch is there already.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright.errors import ArgumentError

__all__ = ["TENSORS", "as_doubles", "as_rows", "checked", "is_tensor"]

_BY_SIZE: Final = {2: np.float16, 4: np.float32, 8: np.float64}

TENSORS: Final = {f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64")}


def is_tensor(given: object) -> bool:
    """Whether something is a tensor of torch.

    >>> is_tensor([0.5])
    False
    """
    return isinstance(given, getattr(sys.modules.get("torch"), "Tensor", ()))


def checked(given: Any, who: str, number: int, width: int) -> Any:
    """Rows as they were given, once it is known that they are some.

    Args:
        given: an array of floating point, what NumPy makes one of, or a tensor on any device.
        who: what returned it.
        number: how many rows there must be.
        width: how many columns there must be at least.

    Returns:
        An array or a tensor.

    Raises:
        ArgumentError: another shape, or another type; a tensor of no numbers in memory.

    >>> checked([[0.5, 0.5]], "fn", 1, 2).shape
    (1, 2)
    """
    kind = _other_kind(given) if is_tensor(given) else None
    if kind is not None:
        raise ArgumentError(f"{who} returned a tensor that is {kind}: a dense one is needed")
    rows = given if is_tensor(given) else _array(given, who)
    if not _is_floating(rows):
        what = type(given).__name__ if rows.dtype == object else rows.dtype
        raise ArgumentError(
            f"{who} returned {what}: float16, bfloat16, float32 and float64 are allowed"
        )
    shape = tuple(rows.shape)
    if len(shape) != 2 or shape[0] != number or shape[1] < width:
        raise ArgumentError(
            f"{who} returned shape {shape} for {number} contexts: ({number}, width) "
            f"with a width of at least {width} is needed"
        )
    return rows


def as_rows(given: Any, who: str, number: int, width: int) -> NDArray[Any]:
    """Rows as the core reads them, without a copy where they are in memory.

    Returns:
        An array of float16, float32 or float64, or of uint16, the bits of bfloat16.

    Raises:
        ArgumentError: as `checked`, whose arguments these are.

    >>> rows = np.zeros((1, 2), np.float16)
    >>> as_rows(rows, "fn", 1, 2) is rows
    True
    """
    rows = checked(given, who, number, width)
    if is_tensor(rows):
        rows = rows.detach().cpu()
        if str(rows.dtype) == "torch.bfloat16":
            return _array(rows.view(sys.modules["torch"].int16), who).view(np.uint16)
        return _array(rows, who)
    if rows.dtype.kind != "f":
        return np.asarray(rows.view(np.uint16))
    # What has the bytes of a number the other way round is copied here.
    return np.asarray(rows, _BY_SIZE[rows.dtype.itemsize])


def as_doubles(rows: NDArray[Any]) -> NDArray[np.float64]:
    """What `as_rows` found, as new float64.

    >>> as_doubles(np.array([[0x3F80, 0xFF80]], np.uint16)).tolist()
    [[1.0, -inf]]
    """
    if rows.dtype == np.uint16:
        rows = (rows.astype(np.uint32) << 16).view(np.float32)
    return rows.astype(np.float64)


def _array(given: Any, who: str) -> NDArray[Any]:
    try:
        return np.asarray(given)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ArgumentError(f"{who} returned rows of different widths: {error}") from None


def _other_kind(tensor: Any) -> str | None:
    """What a tensor is instead of numbers that lie side by side."""
    for kind in ("meta", "nested"):
        if getattr(tensor, f"is_{kind}", False):
            return kind
    layout = str(getattr(tensor, "layout", "torch.strided")).removeprefix("torch.")
    return None if layout == "strided" else layout


def _is_floating(rows: Any) -> bool:
    if is_tensor(rows):
        return str(rows.dtype) in TENSORS
    # NumPy works names out anew each time: one is asked for only where nothing else tells.
    kind = rows.dtype
    return (kind.kind == "f" and kind.itemsize in _BY_SIZE) or kind.name == "bfloat16"
