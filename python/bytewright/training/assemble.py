"""From what a trainer found to a tokenizer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright.definition import MAX_IDS, MODEL
from bytewright.errors import ArgumentError
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer
from bytewright.training.surgery.edit import Tables, rebuild

__all__ = ["Told", "assemble", "assemble_steps", "learned_size"]

Told = tuple[
    tuple[bytes, NDArray[np.int64], NDArray[np.bool_]], tuple[NDArray[np.uint32], NDArray[np.int64]]
]
"""Tokens as bytes, offsets and whether they are there in the end; steps as ids and offsets."""

_KINDS: Final = ("join", "split", "across")


def learned_size(vocab_size: int, special_tokens: Sequence[str]) -> int:
    """How many of the tokens are to be bytes and learned ones.

    Raises:
        ArgumentError: fewer than the 256 bytes, or more tokens than there can be.
    """
    least = 256 + len(special_tokens)
    vocab_size = whole(vocab_size, "vocab_size")
    if not least <= vocab_size <= MAX_IDS:
        raise ArgumentError(
            f"vocab_size={vocab_size}: from {least}, for the bytes and the special tokens, to "
            f"{MAX_IDS} is allowed"
        )
    return vocab_size - len(special_tokens)


def assemble(
    tokens: Sequence[bytes],
    merges: NDArray[np.uint32] | None,
    *,
    pattern: str | None,
    special_tokens: Sequence[str],
    rules: Mapping[str, Any],
    wanted: int,
) -> Tokenizer:
    """A tokenizer of bytes, `tokens` and special tokens, with ids in this order.

    Warns if the tokens are fewer than wanted.

    Args:
        tokens: what comes behind the 256 bytes, which have the ids 0 to 255.
        merges: rows of ids, shape `[n, 3]`.
        pattern: as for `Tokenizer.from_merges`.
        special_tokens: as for `Tokenizer.from_merges`.
        rules: fields of the header besides the usual ones.
        wanted: how many bytes and tokens there should be, special ones aside.
    """
    if (missing := wanted - 256 - len(tokens)) > 0:
        warnings.warn(
            f"the text has no more pairs to merge: the vocabulary is {missing} tokens smaller "
            "than asked for",
            stacklevel=3,
        )
    plain = Tokenizer.from_merges([], pattern=pattern, special_tokens=special_tokens).definition
    tables = Tables.of(plain)
    special = tables.header["added"]
    kinds = tables.kinds[256:]
    tables.tokens[256:] = tokens
    tables.kinds[256:] = [MODEL] * len(tokens)
    tables.header |= {"added": []} | dict(rules)
    tables.add_special(special, kinds)
    if merges is not None:
        tables.merges = merges.reshape(-1, 3)
    return rebuild(tables)


def assemble_steps(
    told: Told, *, pattern: str | None, special_tokens: Sequence[str], wanted: int
) -> Tokenizer:
    """A tokenizer that replays what a training did; arguments as for `assemble`.

    Ids are those of the bytes, of the tokens that are there in the end, in the order of their
    making, and of the special tokens; tokens that are gone have the ids behind them.
    """
    (arena, ends, present), (steps, step_ends) = told
    tokens = [arena[a:b] for a, b in pairwise(ends.tolist())]
    there = np.flatnonzero(present)
    gone = np.flatnonzero(~present)
    ids = np.empty(len(tokens), np.int64)
    ids[there] = np.arange(len(there))
    ids[gone] = len(there) + len(special_tokens) + np.arange(len(gone))
    listed = [
        {_KINDS[kind]: ids[step].tolist()}
        for kind, *step in (steps[a:b].tolist() for a, b in pairwise(step_ends.tolist()))
    ]
    replay = {"hidden": [list(tokens[i]) for i in gone.tolist()], "steps": listed}
    return assemble(
        [tokens[i] for i in there.tolist()[256:]],
        None,
        pattern=pattern,
        special_tokens=special_tokens,
        rules={"replay": replay} if listed else {},
        wanted=wanted,
    )
