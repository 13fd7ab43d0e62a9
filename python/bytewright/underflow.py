"""Numbers that are too small for a float, which are 0 whatever NumPy is told to do then.

A probability below 1e-308 is nothing here: its logarithm says what it is. NumPy makes it 0, or less
exact a little above that, and says nothing unless a user has asked for errors
(`np.seterr(under="raise")`). Such errors are meant for the user's own arithmetic, so functions that
make probabilities of logarithms are set apart from them, and never those that call a model.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

__all__ = ["underflow_is_zero"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def underflow_is_zero(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let no number be too small in a function.

    >>> with np.errstate(all="raise"):
    ...     float(underflow_is_zero(np.exp)(-1000.0))
    0.0
    """

    # NumPy's own decorator may not be used by two threads at once before version 2.
    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return wrapped
