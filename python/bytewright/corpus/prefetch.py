"""One thread that reads ahead while the caller encodes.

The order is the order of the iterator, so what is written does not depend on timing; at most
`depth` items wait. An error of the reader comes out where the caller takes the next item.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["prefetched"]

T = TypeVar("T")
_PATIENCE = 0.05


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def prefetched(items: Iterable[T], depth: int = 3) -> Iterator[Iterator[T]]:
    """Iterate with a thread reading ahead; leaving the block stops and joins the thread."""
    waiting: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | _End) -> None:
        while not stop.is_set():
            try:
                return waiting.put(item, timeout=_PATIENCE)
            except queue.Full:
                continue

    def fill() -> None:
        error = None
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    break
        except BaseException as caught:
            error = caught
        put(_End(error))

    def take() -> Iterator[T]:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    thread = threading.Thread(target=fill, name="bytewright-read", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        stop.set()
        thread.join()
