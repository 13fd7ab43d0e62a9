"""Contexts as a tree: every query sees what comes before it, and nothing else, whatever is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bytewright.models.prefixes import Plan, PrefixTree

Ids = tuple[int, ...]
Held = dict[int, Ids]


def arrays(contexts: list[Ids]) -> list[NDArray[np.int32]]:
    return [np.array(context, np.int32) for context in contexts]


def read(plan: Plan, held: Held) -> list[Ids]:
    """What each query stands behind, itself included, if slots hold what was read into them."""
    known: list[Ids] = []
    for chunk in plan.chunks():
        past = [held[slot] for slot in chunk.past.tolist()]
        assert [len(ids) - 1 for ids in past] == chunk.past_places.tolist()
        own: list[Ids] = []
        for row, (token, place) in enumerate(zip(chunk.tokens, chunk.places, strict=True)):
            seen = [
                (past + own)[column]
                for column in np.flatnonzero(chunk.mask[row])
                if column < len(past) + row
            ]
            assert chunk.mask[row, len(past) + row]
            assert not chunk.mask[row, len(past) + row + 1 :].any()
            seen.sort(key=len)
            before = seen[-1] if seen else ()
            assert seen == [before[: n + 1] for n in range(len(before))]
            assert place == len(before)
            own.append((*before, int(token)))
        for slot, ids in zip(chunk.slots.tolist(), own[: chunk.kept], strict=True):
            held[slot] = ids
        inside = [at for at, query in enumerate(plan.at) if 0 <= query - len(known) < len(own)]
        assert chunk.contexts.tolist() == inside
        assert (chunk.asked + len(known)).tolist() == plan.at[inside].tolist()
        known += own
    plan.close()
    return known


def trimmed(tree: PrefixTree, held: Held) -> Held:
    moved = tree.trim()
    return held if moved is None else {at: held[slot] for at, slot in enumerate(moved.tolist())}


contexts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7).map(tuple), min_size=1)


@given(st.lists(contexts, min_size=1, max_size=8), st.integers(0, 20), st.integers(1, 9))
def test_queries_see_their_beginnings_alone(
    calls: list[list[Ids]], capacity: int, most: int
) -> None:
    tree, held = PrefixTree(capacity), Held()
    for call in calls:
        plan = tree.plan(arrays(call), most=most)
        queries = plan.queries
        kept = len(tree) - queries
        known = read(plan, held)
        assert [known[at] for at in plan.at] == call
        beginnings = {ids[:n] for ids in call for n in range(1, len(ids) + 1)}
        assert len(set(call)) <= queries == len(set(known)) <= len(beginnings)
        assert kept <= capacity
        held = trimmed(tree, held)
        assert len(tree) <= tree.slots <= max(capacity, 0)


@given(contexts)
def test_what_is_kept_is_not_read_again(call: list[Ids]) -> None:
    tree, held = PrefixTree(capacity=9999), Held()
    beginnings = {ids[:n] for ids in call for n in range(1, len(ids) + 1)}
    first = tree.plan(arrays(call), most=99)
    assert first.queries == len(beginnings)
    read(first, held)
    longer = [(*ids, 3) for ids in call]
    second = tree.plan(arrays(longer), most=99)
    assert sorted(read(second, held)) == sorted(set(longer))


def test_what_was_used_last_stays() -> None:
    tree, held = PrefixTree(capacity=8), Held()
    for first in range(4):
        read(tree.plan(arrays([(first, 9)]), most=99), held)
        held = trimmed(tree, held)
        read(tree.plan(arrays([(0, 9, first)]), most=99), held)
        held = trimmed(tree, held)
    assert len(tree) <= 8
    assert tree.plan(arrays([(0, 9, 3, 5)]), most=99).queries == 1
    assert tree.plan(arrays([(1, 9, 5)]), most=99).queries == 3


def test_nothing_is_kept_without_room() -> None:
    tree, held = PrefixTree(capacity=0), Held()
    for _ in range(3):
        assert read(tree.plan(arrays([(1, 2, 3)]), most=2), held) == [(1,), (1, 2), (1, 2, 3)]
        held = trimmed(tree, held)
        assert (len(tree), tree.slots, held) == (0, 0, {})


@pytest.mark.parametrize("most", [1, 7, 50])
def test_a_context_longer_than_a_chunk_goes_on_in_the_next(most: int) -> None:
    tree = PrefixTree(capacity=100)
    plan = tree.plan([np.arange(50, dtype=np.int32)], most=most)
    assert [len(ids) for ids in read(plan, {})] == list(range(1, 51))


def test_a_context_asked_for_again_is_one_query() -> None:
    tree, held = PrefixTree(capacity=100), Held()
    read(tree.plan(arrays([(1, 2, 3)]), most=9), held)
    again = tree.plan(arrays([(1, 2), (1, 2, 3), (1, 2)]), most=9)
    assert read(again, held) == [(1, 2), (1, 2, 3)]
    assert again.at.tolist() == [0, 1, 0]
    assert len(tree) == 3
