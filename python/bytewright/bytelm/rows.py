"""Rows of a model for the contexts that the core asks for, with a memory of the last ones.

A context is as likely to be asked for again by a fork of the same text as by the text itself, so
rows are kept by their context, the least recently used go first, and what is kept has a budget.
They are kept in the precision that they come in: of 16 bits, it holds twice as many as of 32. Where
a model says its `generation`, rows of another are forgotten.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.bytelm.protocol import Goal
from bytewright.models import TokenModel
from bytewright.models.floats import as_rows
from bytewright.models.protocol import generation_of
from bytewright.sizes import whole

__all__ = ["Rows"]

# Of float16, float32 or float64, or the bits of bfloat16.
Row = NDArray[Any]

# Bytes of rows that are asked for at a time, and of the contexts that they are asked for with: they
# are all in memory at once.
_AT_ONCE = 64 << 20

# Bytes of a row that is copied sooner than handed on by itself.
_SHORT = 1 << 13


class Rows:
    """The rows of one model."""

    def __init__(self, model: TokenModel, width: int, budget: int) -> None:
        self._model, self._width, self._budget = model, width, budget
        self._kept: OrderedDict[bytes, Row] = OrderedDict()
        self._bytes = 0
        # Of the keys that are kept: contexts of other lengths need not be looked up.
        self._lengths: Counter[int] = Counter()
        self._generation = generation_of(model)
        # Of a row; as the last that came, and at most so many before.
        self._size = 8 * width
        together = _said(model, "contexts_at_once") or 0
        self._at_once = max(16, _AT_ONCE // (8 * max(1, width)), together)
        self.reach = _said(model, "reach")
        self._lock = threading.Lock()
        self.contexts = 0

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def fill(self, tree: _core.ByteTree, goal: Goal | Literal["every"]) -> None:
        """Feed a tree all the rows that it needs."""
        while True:
            nodes = tree.pending(goal)
            if not len(nodes):
                return
            while len(nodes):
                part = nodes[: self._at_once]
                ids, offsets = tree.contexts(part, self.reach, _AT_ONCE // 4)
                contexts = [ids[a:b] for a, b in pairwise(offsets)]
                for places, rows in self._rows(contexts, scored=goal == "every"):
                    tree.feed(part[places], rows)
                nodes = nodes[len(contexts) :]

    def wanted(self, tree: _core.ByteTree, goal: Goal) -> list[NDArray[np.int32]]:
        """The contexts whose rows a tree needs, as far as that is known yet."""
        ids, offsets = tree.contexts(tree.pending(goal), self.reach)
        return [ids[a:b] for a, b in pairwise(offsets)]

    def prepare(self, contexts: Iterable[NDArray[np.int32]]) -> None:
        """Ask together for the rows of contexts, of the first as many as are kept together."""
        wanted = {ids.tobytes(): ids for ids in contexts} if self._budget else {}
        missing, room = [], self._budget
        generation = generation_of(self._model)
        with self._lock:
            self._forget_others(generation)
            for key, ids in wanted.items():
                row = self._kept.get(key)
                room -= len(key) + (self._size if row is None else row.nbytes)
                if room < 0:
                    # Its row would drive out that of another before that is used.
                    break
                if row is None:
                    missing.append(ids)
                else:
                    self._kept.move_to_end(key)
        for start in range(0, len(missing), self._at_once):
            part = missing[start : start + self._at_once]
            for _ in self._rows(part, scored=False):
                pass

    def _rows(
        self, contexts: list[NDArray[np.int32]], *, scored: bool
    ) -> Iterator[tuple[list[int], Row]]:
        """The rows of all contexts, some and some, and whose they are."""
        everyone = list(range(len(contexts)))
        if not self._budget:
            yield everyone, self._asked(contexts)
            return
        generation = generation_of(self._model)
        with self._lock:
            self._forget_others(generation)
            found = self._scored(contexts) if scored else self._used(contexts)
        kept = [at for at in everyone if found[at] is not None]
        yield from _together(kept, [row for row in found if row is not None])
        missing = [at for at in everyone if found[at] is None]
        if missing:
            asked = self._keep([contexts[at] for at in missing], generation, scored=scored)
            yield missing, asked

    def _used(self, contexts: list[NDArray[np.int32]]) -> list[Row | None]:
        """The rows that are kept, which go last from now on."""
        keys = [context.tobytes() for context in contexts]
        found = [self._kept.get(key) for key in keys]
        for key, row in zip(keys, found, strict=True):
            if row is not None:
                self._kept.move_to_end(key)
        return found

    def _scored(self, contexts: list[NDArray[np.int32]]) -> list[Row | None]:
        """The rows that are kept, at the cost of what is kept and not of all contexts.

        Those of a long text are quadratic in it, and few are as long as one that is kept.
        """
        return [
            self._kept.get(context.tobytes()) if context.nbytes in self._lengths else None
            for context in contexts
        ]

    def _forget_others(self, generation: object) -> None:
        if generation != self._generation:
            self._kept.clear()
            self._lengths.clear()
            self._bytes, self._generation = 0, generation

    def _keep(self, contexts: list[NDArray[np.int32]], generation: object, *, scored: bool) -> Row:
        """Ask for rows, and keep what there is room for."""
        rows = self._asked(contexts)
        size = rows.itemsize * rows.shape[1]
        # It may have become another while it was asked.
        same = generation_of(self._model) == generation
        with self._lock:
            if same and self._generation == generation:
                for context, row in zip(contexts, rows, strict=True):
                    if scored and size + context.nbytes > self._budget - self._bytes:
                        break
                    if size + context.nbytes <= self._budget:
                        self._put(context.tobytes(), row, scored=scored)
                self._drop()
        return rows

    def _put(self, key: bytes, row: Row, *, scored: bool) -> None:
        if key in self._kept:
            return
        self._kept[key] = row.copy()
        if scored:
            self._kept.move_to_end(key, last=False)
        self._bytes += row.nbytes + len(key)
        self._lengths[len(key)] += 1

    def _drop(self) -> None:
        while self._bytes > self._budget:
            key, row = self._kept.popitem(last=False)
            self._bytes -= row.nbytes + len(key)
            self._lengths[len(key)] -= 1
            if not self._lengths[len(key)]:
                del self._lengths[len(key)]

    def _asked(self, contexts: list[NDArray[np.int32]]) -> Row:
        given = self._model.logprobs(contexts)
        rows = as_rows(given, "the model", len(contexts), self._width)[:, : self._width]
        with self._lock:
            self.contexts += len(contexts)
            self._size = rows.itemsize * self._width
        # The core reads rows that lie apart, but not values that do.
        apart, beside = rows.strides
        whole = apart % rows.itemsize == 0 and beside == rows.itemsize and rows.flags.aligned
        return rows if whole else rows.copy()


def _said(model: TokenModel, name: str) -> int | None:
    """A number that a model may tell of itself."""
    number = getattr(model, name, None)
    return None if number is None else whole(number, name)


def _together(places: list[int], rows: list[Row]) -> Iterator[tuple[list[int], Row]]:
    """Short rows as one array; of long ones a copy would cost more than to hand them on singly."""
    if len({row.dtype for row in rows}) > 1 or any(row.nbytes > _SHORT for row in rows):
        for at, row in zip(places, rows, strict=True):
            yield [at], row[None]
    elif rows:
        yield places, np.stack(rows)
