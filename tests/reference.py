"""Training and encoding as slow, readable code: what the fast code is compared with.

What else training may do is in `reference_variants`, what is no merging in `reference_lexicon`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

Merge = tuple[bytes, bytes]
Row = list[bytes]


def gpt2_pieces(text: bytes) -> list[bytes]:
    """GPT-2's pre-tokens of ASCII text without contractions."""
    return re.findall(rb" ?[a-zA-Z]+| ?[0-9]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+", text)


def joined(row: Row, pair: Merge) -> Row:
    """A row with a pair joined wherever it stands, from left to right."""
    out, at = [], 0
    while at < len(row):
        if tuple(row[at : at + 2]) == pair:
            out.append(pair[0] + pair[1])
            at += 2
        else:
            out.append(row[at])
            at += 1
    return out


def merged(merges: Sequence[Merge], piece: bytes) -> Row:
    """A piece after all merges, each rank everywhere before the next."""
    row = [bytes([byte]) for byte in piece]
    ranks: dict[Merge, int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault(pair, rank)
    while True:
        known = [pair for pair in pairwise(row) if pair in ranks]
        if not known:
            return row
        row = joined(row, min(known, key=ranks.__getitem__))


def weighted(rows: Sequence[tuple[Row, int]]) -> Counter[Merge]:
    """How often each pair of neighbours occurs in rows that count several times."""
    counts: Counter[Merge] = Counter()
    for row, weight in rows:
        for pair in pairwise(row):
            counts[pair] += weight
    return counts


def best_pair(counts: Counter[Merge], ids: dict[bytes, int]) -> Merge | None:
    """The most frequent pair; of equals the one of the smaller ids."""
    return min(counts, key=lambda p: (-counts[p], ids[p[0]], ids[p[1]]), default=None)


def trained(
    pieces: dict[bytes, int],
    wanted: int,
    *,
    order: Sequence[bytes],
    allowed: Callable[[bytes], bool] = lambda token: True,
) -> list[Merge]:
    """BPE by its definition: the most frequent pair of all, joined everywhere, until enough.

    Ties go to the smaller ids; ids are those of the bytes in their order, then of new tokens.
    """
    ids = {token: at for at, token in enumerate(order)}
    rows = [([bytes([byte]) for byte in piece], count) for piece, count in pieces.items()]
    merges: list[Merge] = []
    while len(ids) < len(order) + wanted:
        counts = weighted(rows)
        found = [pair for pair in counts if allowed(pair[0] + pair[1])]
        if not found:
            break
        best = min(found, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        ids.setdefault(best[0] + best[1], len(ids))
        rows = [(joined(row, best), count) for row, count in rows]
        merges.append(best)
    return merges


def continued_merges(
    rows: Sequence[Row],
    wanted: int,
    *,
    least: int,
    order: Callable[[Merge], Any],
    known: set[bytes],
) -> list[Merge]:
    """The most frequent pair, joined everywhere, until `wanted` tokens are new."""
    rows, known, merges = list(rows), set(known), []
    while wanted > 0:
        counts = Counter(pair for row in rows for pair in pairwise(row))
        if max(counts.values(), default=0) < least:
            break
        best = min(counts, key=lambda pair: (-counts[pair], order(pair)))
        wanted -= best[0] + best[1] not in known
        known.add(best[0] + best[1])
        merges.append(best)
        rows = [joined(row, best) for row in rows]
    return merges


def grafted(first: Sequence[Merge], second: Sequence[Merge]) -> tuple[list[Merge], list[bytes]]:
    """The merges of the union of two vocabularies, and the tokens left out of it."""
    merges = list(first)
    have = {a + b for a, b in first} | {bytes([byte]) for byte in range(256)}
    wanted = [t for t in dict.fromkeys(a + b for a, b in second) if t not in have]
    while True:
        left = []
        for token in wanted:
            row = merged(merges, token)
            if len(row) == 2:
                merges.append((row[0], row[1]))
            else:
                left.append(token)
        if left == wanted:
            return merges, left
        wanted = left
