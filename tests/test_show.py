"""What `show` compares, against the plain definition with sets of boundaries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytewright.cli import show

BYTES = 20
INSIDE = st.lists(st.integers(0, BYTES), max_size=30)


def view(inside: list[int]) -> show.View:
    """A text cut at some places, in some of them twice: a token may stand for no byte."""
    bounds = np.array(sorted([0, *inside, BYTES]), np.int64)
    return show.View("", np.arange(len(bounds) - 1, dtype=np.int32), bounds, None)


@pytest.mark.parametrize("window", [1, 3, 7, 1 << 16])
@given(st.lists(INSIDE, min_size=1, max_size=3))
def test_boundaries_are_compared_as_sets(window: int, given: list[list[int]]) -> None:
    views = [view(inside) for inside in given]
    own = [{0, *inside, BYTES} for inside in given]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(show, "_BYTES", window)
        cuts, regions = list(show._cuts(views)), list(show.regions(views))
    assert [cut for cut, _, _ in cuts] == sorted(set().union(*own))
    assert [first for cut, _, first in cuts] == [[cut in one for one in own] for cut, _, _ in cuts]
    for cut, tokens, _ in cuts[:-1]:
        for one, token in zip(views, tokens, strict=True):
            assert one.bounds[token] <= cut < one.bounds[token + 1]
    shared = sorted(set.intersection(*own))
    others = set().union(*own) - set(shared)
    assert regions == [
        (a, b) for a, b in itertools.pairwise(shared) if any(a < cut < b for cut in others)
    ]
