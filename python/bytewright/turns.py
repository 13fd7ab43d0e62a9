"""Threads take turns, and one that comes back while it has its turn is told so.

What calls a model holds its own lock meanwhile, so that other threads wait. A model that is a
function of the caller's may look at what is calling it, in the same thread: that would wait for
itself for ever.
"""

from __future__ import annotations

import threading

from bytewright.errors import ArgumentError

__all__ = ["turn"]

# What `threading.Condition` asks a lock as well. A note of one's own of who holds it could be left
# behind by Ctrl-C; the lock's cannot.
_is_held = type(threading.RLock())._is_owned  # type: ignore[attr-defined]


def turn(lock: threading.RLock, name: str) -> threading.RLock:
    """The lock itself, for the `with` of something that is called so.

    Raises:
        ArgumentError: this thread has entered it already.

    >>> lock = threading.RLock()
    >>> with turn(lock, "ByteState"):
    ...     lock.acquire(blocking=False)
    True
    """
    if _is_held(lock):
        raise ArgumentError(
            f"{name}: this thread is asking it already, and would wait for itself for ever; what "
            "is asked may look at a fork of a state, or ask another model"
        )
    return lock
