"""Contexts as branches off a trunk: every new token stands behind what it follows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bytewright.models.trunk import branches

Ids = tuple[int, ...]
contexts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7).map(tuple))


@given(st.lists(contexts, min_size=1, max_size=5), st.integers(1, 6), st.integers(1, 9))
def test_branches_read_what_contexts_ask_for(calls: list[list[Ids]], most: int, room: int) -> None:
    trunk: Ids = ()
    for call in calls:
        answered: dict[int, Ids] = {}
        arrays = [np.array(ids, np.int32) for ids in call]
        for group in branches(arrays, np.array(trunk, np.int32), most=most, room=room):
            assert len(group.ids) <= most
            assert len(group.ids) == 1 or len(group.tokens) <= room
            # What an engine would hold: sequences, each going on from its end alone.
            lines = [list(trunk[:shared]) for shared in group.shared]
            for token, place, owners, asked in zip(
                group.tokens, group.places, group.owners, group.asked, strict=True
            ):
                assert len({tuple(lines[owner]) for owner in owners}) == 1
                for owner in owners:
                    assert len(lines[owner]) == place
                    lines[owner].append(token)
                answered |= {number: tuple(lines[owners[0]]) for number in asked}
            assert [tuple(line) for line in lines] == [tuple(ids.tolist()) for ids in group.ids]
            trunk = tuple(lines[-1])
        assert [answered[number] for number in range(len(call))] == call


def test_no_contexts_have_no_branches() -> None:
    for trunk in ([], [1]):
        assert list(branches([], np.array(trunk, np.int32), most=9, room=99)) == []


def test_shared_tokens_are_read_once() -> None:
    call = [np.array(ids, np.int32) for ids in ([1, 2], [1, 2, 3, 4], [1, 2, 3, 5], [1, 6])]
    (group,) = branches(call, np.array([1], np.int32), most=9, room=99)
    assert group.shared == [1, 1, 1]
    assert group.tokens == [2, 3, 4, 5, 6]
    assert group.owners == [[0, 1], [0, 1], [0], [1], [2]]
    assert group.asked == [[0], [], [1], [2], [3]]
