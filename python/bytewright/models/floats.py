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

__all__ = ["as_array", "as_doubles", "as_rows", "is_tensor"]

_BY_SIZE: Final = {2: np.float16, 4: np.float32, 8: np.float64}


def is_tensor(given: object) -> bool:
    """Whether something is a tensor of torch.

    >>> is_tensor([0.5])
    False
    """
    return isinstance(given, getattr(sys.modules.get("torch"), "Tensor", ()))


def as_array(given: Any, who: str) -> NDArray[Any]:
    """An array of what is no tensor.

    Raises:
        ArgumentError: rows of different widths, which `who` returned.

    >>> as_array([[0.5, 0.5]], "fn").shape
    (1, 2)
    """
    try:
        return np.asarray(given)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ArgumentError(f"{who} returned rows of different widths: {error}") from None


def as_rows(given: Any, who: str, number: int, width: int) -> NDArray[Any]:
    """Rows as the core reads them, without a copy where they are in memory.

    Args:
        given: an array of floating point, or a tensor of it on any device.
        who: what returned it.
        number: how many rows there must be.
        width: how many columns there must be at least.

    Returns:
        An array of float16, float32 or float64, or of uint16, the bits of bfloat16.

    Raises:
        ArgumentError: another shape, or another type.

    >>> rows = np.zeros((1, 2), np.float16)
    >>> as_rows(rows, "fn", 1, 2) is rows
    True
    """
    found = _of_tensor(given, who) if is_tensor(given) else _of_array(as_array(given, who), who)
    if found.ndim != 2 or len(found) != number or found.shape[1] < width:
        raise ArgumentError(
            f"{who} returned shape {found.shape} for {number} contexts: ({number}, width) "
            f"with a width of at least {width} is needed"
        )
    return found


def as_doubles(rows: NDArray[Any]) -> NDArray[np.float64]:
    """What `as_rows` found, as new float64.

    >>> as_doubles(np.array([[0x3F80, 0xFF80]], np.uint16)).tolist()
    [[1.0, -inf]]
    """
    if rows.dtype == np.uint16:
        rows = (rows.astype(np.uint32) << 16).view(np.float32)
    return rows.astype(np.float64)


def _of_tensor(given: Any, who: str) -> NDArray[Any]:
    torch = sys.modules["torch"]
    tensor = given.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        bits: NDArray[Any] = tensor.view(torch.int16).numpy().view(np.uint16)
        return bits
    if tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        raise _refused(str(tensor.dtype), who)
    found: NDArray[Any] = tensor.numpy()
    return found


def _of_array(given: NDArray[Any], who: str) -> NDArray[Any]:
    dtype = given.dtype
    if dtype.kind == "f" and dtype.itemsize in _BY_SIZE:
        # What has the bytes of a number the other way round is copied here.
        return np.asarray(given, _BY_SIZE[dtype.itemsize])
    # NumPy works names out anew each time: one is asked for only where nothing else tells.
    if dtype.name == "bfloat16":
        return given.view(np.uint16)
    raise _refused(str(dtype), who)


def _refused(dtype: str, who: str) -> ArgumentError:
    return ArgumentError(
        f"{who} returned {dtype}: float16, bfloat16, float32 and float64 are allowed"
    )
