"""Contexts as sequences that fork off a trunk: what is read where only whole sequences are kept.

Engines such as llama.cpp keep numbered sequences of tokens, and a token may belong to several. One
sequence, the trunk, stays from call to call. The contexts of a call that no other begins with are
the branches: each copies what it shares with the trunk, which costs no computing, and new tokens
that branches share are read once. The last branch becomes the trunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bytewright.models.prefixes import common

__all__ = ["Branches", "Context", "branches"]

Context = NDArray[np.int32]


@dataclass(eq=False)
class Branches:
    """Branches that are read together.

    Attributes:
        ids: the contexts themselves, one for each branch.
        shared: how many ids of each are copied from the trunk.
        tokens: new ids, each behind those that it follows.
        places: where each stands in its context.
        owners: branches that each belongs to, `[new]` lists.
        asked: for each new id the contexts of the call whose rows it gives.
    """

    ids: list[Context] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    owners: list[list[int]] = field(default_factory=list)
    asked: list[list[int]] = field(default_factory=list)
    _line: list[int] = field(default_factory=list)

    def add(self, ids: Context, shared: int, asked: Sequence[tuple[int, int]]) -> None:
        """Add a branch; `asked` has the length of each context that is read off it, and its number.

        The contexts before it, in the order of their bytes, must have been added before.
        """
        branch, known = len(self.ids), shared
        if self.ids and self.shared[-1] == shared:
            known = max(shared, common(self.ids[-1], ids))
        self._line = self._line[: known - shared] if known > shared else []
        for at in self._line:
            self.owners[at].append(branch)
        for place in range(known, len(ids)):
            self._line.append(len(self.tokens))
            self.tokens.append(int(ids[place]))
            self.places.append(place)
            self.owners.append([branch])
            self.asked.append([])
        for length, number in asked:
            self.asked[self._line[length - 1 - shared]].append(number)
        self.ids.append(ids)
        self.shared.append(shared)


def branches(
    contexts: Sequence[Context], trunk: Context, *, most: int, room: int
) -> Iterator[Branches]:
    """The branches of some contexts, none of which is empty.

    Args:
        contexts: ids.
        trunk: what is there already. Behind each group its last branch is the trunk.
        most: branches in a group.
        room: new ids in a group, unless it is a single branch.
    """
    order = sorted(range(len(contexts)), key=lambda at: contexts[at].tobytes())
    group, taken = Branches(), 0
    for ids, asked in _leaves([(contexts[at], at) for at in order]):
        new = len(ids) - _shared(trunk, ids, asked)
        if group.ids and (len(group.ids) == most or taken + new > room):
            yield group
            trunk = group.ids[-1]
            group, taken = Branches(), 0
            new = len(ids) - _shared(trunk, ids, asked)
        group.add(ids, len(ids) - new, asked)
        taken += new
    if group.ids:
        yield group


def _shared(trunk: Context, ids: Context, asked: Sequence[tuple[int, int]]) -> int:
    # What is asked for is read anew, as its row was not kept.
    return min(common(trunk, ids), min(length for length, _ in asked) - 1)


def _leaves(
    ordered: list[tuple[Context, int]],
) -> Iterator[tuple[Context, list[tuple[int, int]]]]:
    """Contexts that no other begins with, each with those that it begins with."""
    waiting: list[tuple[int, int]] = []
    for at, (ids, number) in enumerate(ordered):
        waiting.append((len(ids), number))
        following = ordered[at + 1][0] if at + 1 < len(ordered) else ids[:0]
        if common(ids, following) < len(ids):
            yield ids, waiting
            waiting = []
