"""Padding to a power of two, with tokens that are of use.

Runs of spaces and of line feeds join as added tokens: two spaces, two line feeds, three spaces,
three line feeds and so on, as many as are missing to the next power of two; runs that are tokens
already are passed over. They are matched in the text before everything else, the longest first.

The rule is that of the KL3M tokenizers (Bommarito et al. 2025, arXiv 2503.17247), but a vocabulary
whose size is a power of two already stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from bytewright.arguments import instance
from bytewright.definition import ADDED, MAX_IDS
from bytewright.errors import ArgumentError
from bytewright.tokenizer import Tokenizer
from bytewright.training.surgery.edit import Surgery, Tables, rebuild

__all__ = ["pad_to_power_of_two"]


def pad_to_power_of_two(tokenizer: Tokenizer) -> Surgery:
    r"""Add runs of spaces and line feeds until the vocabulary size is a power of two.

    Raises:
        ArgumentError: the next power of two is beyond the ids that there can be.

    >>> done = pad_to_power_of_two(Tokenizer.from_merges([(b" ", b" "), (b"a", b"b")]))
    >>> done.tokenizer.vocab_size, [done.tokenizer.token_bytes(i) for i in done.added[:3]]
    (512, [b'\n\n', b'   ', b'\n\n\n'])
    """
    instance(tokenizer, Tokenizer, "tokenizer")
    size = tokenizer.vocab_size
    wanted = 1 << max(size - 1, 0).bit_length()
    if wanted > MAX_IDS:
        raise ArgumentError(f"{wanted} tokens: at most {MAX_IDS} are allowed")
    tables = Tables.of(tokenizer.definition)
    new = islice(_runs({*filter(None, tables.tokens)}), wanted - size)
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "special"), False)
    entries = [{"content": run, **flags, "normalized": True} for run in new]
    added = tables.add_special(entries, [ADDED] * len(entries))
    return Surgery(rebuild(tables), np.arange(size, dtype=np.int32), added=tuple(added))


def _runs(known: set[bytes]) -> Iterator[str]:
    for length in count(2):
        for character in " \n":
            if (run := character * length).encode() not in known:
                yield run
