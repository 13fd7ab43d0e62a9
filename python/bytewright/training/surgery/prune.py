"""Leaf pruning: a smaller vocabulary that strands no token.

Only a token that is part of no remaining merge is taken out, and with it the merges that make it,
so every token that stays can still be made. Its text becomes the two tokens it was made of, which
may then be leaves themselves. Single bytes and added tokens (special ones among them) stay.

Paper: Purason et al., Teaching Old Tokenizers New Words (arXiv 2512.03989).
Cost: `n log n` in the size of the vocabulary.
"""

from __future__ import annotations

import heapq
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import items, word
from bytewright.definition import ADDED, MODEL
from bytewright.errors import ArgumentError
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer
from bytewright.training.surgery.edit import GONE, Surgery, Tables, byte_level, rebuild, renumber

__all__ = ["prune_leaves", "pruning_order"]


def prune_leaves(
    tokenizer: Tokenizer,
    remove: int,
    *,
    frequencies: Sequence[int] | NDArray[np.integer] | None = None,
    keep: Collection[int] = (),
    ids: Literal["compact", "keep"] = "compact",
) -> Surgery:
    """Take tokens out of a vocabulary, leaves first.

    Args:
        tokenizer: a byte-level tokenizer.
        remove: how many tokens to take out; fewer go where all that are left must stay.
        frequencies: how often each token occurs in a corpus, shape `[vocab]`. With it the rarest
            leaf goes first, and its count is then added to the two tokens that take its place.
            Without it, the leaf with the largest id goes first, which is about the rarest too.
        keep: ids that must stay, beside single bytes and added tokens.
        ids: `"compact"` closes the gaps, `"keep"` leaves the ids of the others alone. There is no
            gap behind the last of them: `vocab_size` is one more than the largest id.

    Returns:
        The new tokenizer, the map of ids, and what went in its order.

    >>> tok = Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")], special_tokens=["<end>"])
    >>> done = prune_leaves(tok, 1)
    >>> done.removed, done.tokenizer.merges, done.tokenizer.special_tokens["<end>"]
    ((257,), [(b'l', b'o')], 257)
    """
    remove = whole(remove, "remove")
    word(ids, "ids", ("compact", "keep"))
    order = pruning_order(tokenizer, frequencies=frequencies, keep=keep)
    gone = [token_id for token_id, _ in zip(order, range(remove), strict=False)]
    tables = Tables.of(tokenizer.definition)
    stays = np.ones(len(tables.tokens), dtype=bool)
    stays[gone] = False
    if ids == "compact":
        new_ids = renumber(tables, stays)
    else:
        new_ids = np.where(stays, np.arange(len(stays)), GONE).astype(np.int32)
        tables.merges = tables.merges[stays[tables.merges].all(axis=1)]
        for token_id in gone:
            tables.tokens[token_id], tables.kinds[token_id] = None, 0
        tables.drop_last_gaps()
    return Surgery(rebuild(tables), new_ids, removed=tuple(gone))


def pruning_order(
    tokenizer: Tokenizer,
    *,
    frequencies: Sequence[int] | NDArray[np.integer] | None = None,
    keep: Collection[int] = (),
) -> Iterator[int]:
    """The ids that leaf pruning takes out, one after the other; arguments as for `prune_leaves`.

    Of leaves that occur equally often, the one with the largest id goes first.

    >>> tok = Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w"), (b"t", b"o")])
    >>> list(pruning_order(tok)), list(pruning_order(tok, frequencies=[1] * 256 + [0, 0, 5]))
    ([258, 257, 256], [257, 256, 258])
    """
    rules = byte_level(tokenizer, "leaf pruning")
    d = tokenizer.definition
    counts = _frequencies(frequencies, d.vocab_size)
    parents: dict[int, tuple[int, int]] = {}
    uses: Counter[int] = Counter()
    merges = d.merge_rows().tolist()
    made_by: dict[int, list[tuple[int, int]]] = {}
    for left, right, product in merges:
        parents.setdefault(product, (left, right))
        made_by.setdefault(product, []).append((left, right))
        uses.update({left, right})
    needed = {
        *map(_id, items(keep, "keep")),
        *rules["byte_units"],
        rules["unk"],
        *tokenizer.template[0],
    }
    needed |= {*tokenizer.template[1]}

    def entry(token_id: int) -> tuple[int, int]:
        return (counts[token_id] if counts else 0, -token_id)

    def is_leaf(token_id: int) -> bool:
        kind = d.kinds[token_id]
        free = token_id not in needed and kind & MODEL and not kind & ADDED
        return bool(free) and not uses[token_id] and token_id in parents

    heap = [entry(token_id) for token_id in parents if is_leaf(token_id)]
    heapq.heapify(heap)
    while heap:
        # What is in the heap is part of no token that is left, so its count is final.
        count, negated = heapq.heappop(heap)
        token_id = -negated
        yield token_id
        for pair in made_by[token_id]:
            uses.subtract(set(pair))
        if counts:
            for part in parents[token_id]:
                counts[part] += count
        for part in {part for pair in made_by[token_id] for part in pair}:
            if is_leaf(part):
                heapq.heappush(heap, entry(part))


def _id(token: int) -> int:
    return whole(token, "keep", least=-sys.maxsize)


def _frequencies(given: Sequence[int] | NDArray[np.integer] | None, size: int) -> list[int]:
    if given is None:
        return []
    counts = [whole(count, "frequencies", least=-1) for count in items(given, "frequencies")]
    if len(counts) != size or min(counts, default=0) < 0:
        raise ArgumentError(
            f"frequencies has {len(counts)} counts: {size} that are not negative are needed"
        )
    return counts
