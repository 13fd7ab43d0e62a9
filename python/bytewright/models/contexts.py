"""Contexts as arrays of ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import is_integer
from bytewright.arrays import as_ids
from bytewright.errors import ArgumentError, ArgumentTypeError, UnknownTokenError

__all__ = ["as_context", "as_contexts", "behind", "flat", "inside"]


def as_contexts(contexts: Any) -> list[NDArray[np.int32]]:
    """Each context as an int32 array.

    Raises:
        ArgumentError: something that is no sequence of integers, named by its place.
        UnknownTokenError: an id that no vocabulary has.
    """
    if not isinstance(contexts, Sequence | np.ndarray) or isinstance(contexts, str | bytes):
        raise ArgumentTypeError(
            f"contexts must be a sequence of id arrays, not {type(contexts).__name__}"
        )
    return [as_context(at, context) for at, context in enumerate(contexts)]


def as_context(name: str | int, context: Any) -> NDArray[np.int32]:
    """One context as an int32 array.

    Args:
        name: what to call it in an error, or its place among others.
        context: ids.

    Raises:
        ArgumentError: no sequence of integers.
        UnknownTokenError: an id that no vocabulary has.

    >>> as_context("ids", [3, 4]).tolist()
    [3, 4]
    """
    if isinstance(context, np.ndarray) and context.dtype == np.int32 and context.ndim == 1:
        return context
    # Names of places are only made where they are needed: there may be thousands of contexts.
    at = f"context {name}: " if isinstance(name, int) else f"{name}: "
    try:
        plain = np.asarray(context) if isinstance(context, list | tuple) else context
        ids: NDArray[np.int32] = as_ids(plain)
        if isinstance(ids, np.ndarray):
            return ids
    except UnknownTokenError as error:
        raise UnknownTokenError(f"{at}{error}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"{at}{error}") from None
    raise ArgumentError(f"{at}ids must be a sequence, not {type(context).__name__}")


def behind(
    contexts: Any, prefix: NDArray[np.int32], *, width: int, most: int | None
) -> list[NDArray[np.int32]]:
    """Each context with a prefix in front, as a network reads it.

    Args:
        contexts: ids.
        prefix: ids in front of every context.
        width: ids that the network knows.
        most: tokens that it can read; None where there is no end of them.

    Raises:
        ArgumentError: something that is no sequence of integers; a context that is too long; one
            that is empty, where the prefix is.
        UnknownTokenError: an id that the network does not know.
    """
    rows = as_contexts(contexts)
    flat(rows, width)
    for at, row in enumerate(rows):
        length = len(prefix) + len(row)
        if not length:
            raise ArgumentError(
                f"context {at} is empty, and so is the prefix: the network has nothing to read"
            )
        if most is not None and length > most:
            raise ArgumentError(
                f"context {at} has {len(row)} ids, and {len(prefix)} in front of it: the model "
                f"has {most} positions"
            )
    return [np.concatenate([prefix, row]) for row in rows]


def inside(name: str, ids: int | Sequence[int], width: int | None) -> list[int]:
    """One id or several as a list.

    Args:
        name: what to call them in an error.
        ids: the ids.
        width: how many the network knows; None as long as it is not there.

    Raises:
        ArgumentError: one that the network does not know, or neither an id nor several.

    >>> inside("eos_id", 3, 9), inside("prefix", [4, 5], 9)
    ([3], [4, 5])
    """
    try:
        found: list[int] = as_context(name, [ids] if is_integer(ids) else ids).tolist()
    except UnknownTokenError as error:
        raise ArgumentError(str(error)) from None
    for token in found:
        if width is not None and not 0 <= token < width:
            raise ArgumentError(f"{name}: id {token} is outside the {width} ids of the model")
        if token < 0:
            raise ArgumentError(f"{name}: id {token} is that of no model")
    return found


def flat(
    contexts: Sequence[NDArray[np.int32]], width: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """All contexts in one array, and where each ends.

    Raises:
        UnknownTokenError: an id that is not below `width`; the context is named.
    """
    offsets = np.zeros(len(contexts) + 1, np.int64)
    np.cumsum([len(context) for context in contexts], out=offsets[1:])
    ids = np.concatenate(contexts) if contexts else np.zeros(0, np.int32)
    # As unsigned numbers, negative ones are large.
    if len(ids) and int(ids.view(np.uint32).max()) >= width:
        at = int(np.argmax(ids.view(np.uint32) >= width))
        row = int(np.searchsorted(offsets, at, side="right")) - 1
        raise UnknownTokenError(
            f"token id {ids[at]} at place {at - offsets[row]} of context {row} is outside the "
            f"{width} ids of the model"
        )
    return ids, offsets
