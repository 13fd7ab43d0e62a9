"""Contexts as a tree: what of them a network has read before, and what it still has to read.

Contexts share beginnings. Each different beginning is a node, and what the network keeps of a node
(its keys and values) lies in a slot, a number that the tree gives out and takes back. A call walks
its contexts through the tree, and what is new becomes *queries*: one token each, which looks at the
tokens before it and at none beside it. So any number of contexts is one row of queries with a mask,
and a token that several contexts share is read once:

    contexts        tree            queries   sees
    a b c           a ─ b ─ c       a         a
    a b d               └ d         b         a b
    a e             └ e             c         a b c
                                    d         a b d
                                    e         a e

A context that was read before and is asked for again is a query once more, since only its keys and
values are kept and not its row.

**Memory.** Nodes are kept up to a number of slots; those used least recently go first, and none
before those that build on it. Making room takes a quarter of the slots at once, so that it costs a
node a constant time. While a call runs it may take more slots than that.

Cost: contexts are walked in the order of their bytes, so that each goes on where it leaves the one
before: a step for each new token, and one comparison of arrays for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chunk", "Plan", "PrefixTree"]

Slots = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Queries that one forward answers.

    Attributes:
        tokens: their ids, `[n]`.
        places: how many tokens come before each in its context, `[n]`.
        past: slots of the tokens that they look back at, in the order of their places, `[p]`.
        past_places: the same for those, `[p]`.
        mask: which of these, and then of the queries, each query sees, `[n, p + n]`.
        kept: the first so many queries are new and are kept.
        slots: where, `[kept]`.
        asked: queries whose rows are asked for, one for each of `contexts`.
        contexts: contexts of the call that are answered here, ascending.
    """

    tokens: NDArray[np.int64]
    places: NDArray[np.int64]
    past: Slots
    past_places: NDArray[np.int64]
    mask: NDArray[np.bool_]
    kept: int
    slots: Slots
    asked: NDArray[np.int64]
    contexts: NDArray[np.int64]

    @property
    def width(self) -> int:
        """How many tokens there are to look at."""
        return len(self.past) + len(self.tokens)

    @property
    def is_line(self) -> bool:
        """Whether every token stands in the column of its place, as in a plain forward."""
        return int(self.places[-1]) == self.width - 1

    def farthest(self) -> int:
        """The context that is answered here from the tokens that lie farthest from their places."""
        seen, columns = self.mask[self.asked], len(self.past) + self.asked
        number = seen.sum(axis=1)
        between = number * columns - seen @ np.arange(self.width)
        return int(self.contexts[(between - number * (number - 1) // 2).argmax()])


class _Node:
    __slots__ = ("children", "depth", "parent", "query", "slot", "stamp", "token")

    def __init__(self, parent: _Node | None, token: int, slot: int, query: int) -> None:
        self.children: dict[int, _Node] = {}
        self.parent, self.token, self.slot, self.query = parent, token, slot, query
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.stamp = 0


@dataclass(frozen=True, eq=False)
class _Query:
    node: _Node
    # The query that comes right before it, or the slots of all tokens before it.
    before: int
    line: Slots | None


class Plan:
    """What a call has to read, made by `PrefixTree.plan`."""

    def __init__(self, tree: PrefixTree, most: int, number: int) -> None:
        self._tree, self._most = tree, most
        self._queries: list[_Query] = []
        self._fresh: list[_Node] = []
        self.at = np.zeros(number, np.int64)  # The query that answers each context.

    @property
    def queries(self) -> int:
        """How many tokens there are to read."""
        return len(self._queries)

    def chunks(self) -> Iterator[Chunk]:
        """The queries, some at a time, in an order in which each looks back only."""
        for start in range(0, len(self._queries), self._most):
            part = self._queries[start : start + self._most]
            kept = min(len(part), max(0, len(self._fresh) - start))
            yield self._chunk(start, part, kept)

    def _chunk(self, start: int, part: list[_Query], kept: int) -> Chunk:
        lines = [query.line for query in part if query.line is not None]
        # Slots to columns, and how deep their tokens lie.
        depths = np.full(self._tree.slots, -1, np.int64)
        for line in lines:
            depths[line] = np.arange(len(line))
        past = np.flatnonzero(depths >= 0)
        # A context that goes on alone is a plain line so, wherever its slots are.
        past = past[np.argsort(depths[past], kind="stable")]
        column = np.zeros(len(depths), np.int64)
        column[past] = np.arange(len(past))
        mask = np.zeros((len(part), len(past) + len(part)), np.bool_)
        for row, query in enumerate(part):
            if query.line is None:
                mask[row] = mask[query.before - start]
            else:
                mask[row, column[query.line]] = True
            mask[row, len(past) + row] = True
        contexts = np.flatnonzero((self.at >= start) & (self.at < start + len(part)))
        return Chunk(
            tokens=np.array([query.node.token for query in part], np.int64),
            places=np.array([query.node.depth - 1 for query in part], np.int64),
            past=past,
            past_places=depths[past],
            mask=mask,
            kept=kept,
            slots=np.array([query.node.slot for query in part[:kept]], np.int64),
            asked=self.at[contexts] - start,
            contexts=contexts,
        )

    def close(self) -> None:
        """End the call: everything was read. Where it was not, the tree is to be cleared."""
        for node in self._fresh:
            node.query = -1


class PrefixTree:
    """The contexts that a network has read.

    >>> tree = PrefixTree(capacity=8)
    >>> plan = tree.plan([np.array([5, 6]), np.array([5, 7])], most=99)
    >>> [(chunk.tokens.tolist(), chunk.mask.astype(int).tolist()) for chunk in plan.chunks()]
    [([5, 6, 7], [[1, 0, 0], [1, 1, 0], [1, 0, 1]])]
    >>> plan.close()
    >>> plan = tree.plan([np.array([5, 6, 8])], most=99)
    >>> [(chunk.tokens.tolist(), len(chunk.past)) for chunk in plan.chunks()]
    [([8], 2)]
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._root = _Node(None, -1, -1, -1)
        self._kept: dict[int, _Node] = {}
        self._free: list[int] = []
        self._clock = 0
        self.slots = 0

    def __len__(self) -> int:
        """How many nodes are kept."""
        return len(self._kept)

    @property
    def capacity(self) -> int:
        """The most slots between calls."""
        return self._capacity

    @property
    def room(self) -> int:
        """Slots to make room for: no fewer than are taken, and some to grow into."""
        return max(self.slots, min(self._capacity, self.slots * 3 // 2))

    def clear(self) -> None:
        """Forget everything."""
        self._root.children.clear()
        self._kept.clear()
        self._free.clear()
        self.slots = 0

    def plan(self, contexts: Sequence[NDArray[np.integer]], *, most: int) -> Plan:
        """What is to be read for the rows of these contexts, none of which is empty.

        Args:
            contexts: ids.
            most: queries in one chunk.
        """
        self._clock += 1
        plan = Plan(self, most, len(contexts))
        path = [self._root]
        line = np.zeros(1 + max(map(len, contexts), default=0), np.int64)
        before: NDArray[np.integer] = np.zeros(0, np.int64)
        again: dict[_Node, tuple[Slots, list[int]]] = {}
        for at in sorted(range(len(contexts)), key=lambda at: contexts[at].tobytes()):
            shared = common(before, contexts[at])
            del path[shared + 1 :]
            before = contexts[at]
            for token in before[shared:].tolist():
                node = path[-1].children.get(token)
                if node is None:
                    node = self._fresh(plan, path[-1], token, line)
                path.append(node)
                line[node.depth - 1] = node.slot
            node = path[-1]
            node.stamp = self._clock
            if node.query >= 0:
                plan.at[at] = node.query
            else:
                again.setdefault(node, (line[: node.depth - 1].copy(), []))[1].append(at)
        for node, (slots, places) in again.items():
            plan.at[places] = len(plan._queries)
            plan._queries.append(_Query(node, -1, slots))
        return plan

    def _fresh(self, plan: Plan, parent: _Node, token: int, line: Slots) -> _Node:
        number = len(plan._queries)
        node = _Node(parent, token, self._slot(), number)
        parent.children[token] = node
        self._kept[node.slot] = node
        together = parent.query >= 0 and parent.query // plan._most == number // plan._most
        slots = None if together else line[: parent.depth].copy()
        plan._queries.append(_Query(node, parent.query, slots))
        plan._fresh.append(node)
        return node

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        self.slots += 1
        return self.slots - 1

    def trim(self) -> Slots | None:
        """Make room after a call.

        Returns:
            None where every node stays in its slot; else the slot of each node that is left, and
            from now on they are in the first slots in this order.
        """
        if len(self._kept) > self._capacity - self._capacity // 8:
            self._evict(len(self._kept) - (self._capacity - self._capacity // 4))
        if self.slots <= self._capacity:
            return None
        stayed = np.array(list(self._kept), np.int64)
        self._kept = dict(enumerate(self._kept.values()))
        for slot, node in self._kept.items():
            node.slot = slot
        self._free.clear()
        self.slots = len(stayed)
        return stayed

    def _evict(self, number: int) -> None:
        # A node is as recent as what builds on it, which was made after it.
        for node in reversed(self._kept.values()):
            if node.parent is not None:
                node.parent.stamp = max(node.parent.stamp, node.stamp)
        oldest = sorted(self._kept.values(), key=lambda node: (node.stamp, -node.depth))
        for node in oldest[:number]:
            if node.parent is not None:
                del node.parent.children[node.token]
            del self._kept[node.slot]
            self._free.append(node.slot)


def common(one: NDArray[np.integer], other: NDArray[np.integer]) -> int:
    """How many ids two contexts begin with alike.

    >>> common(np.array([1, 2, 3]), np.array([1, 2, 4, 5]))
    2
    """
    most = min(len(one), len(other))
    differs = one[:most] != other[:most]
    return int(differs.argmax()) if differs.any() else most
