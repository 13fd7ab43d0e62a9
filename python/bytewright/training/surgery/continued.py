"""Continued BPE: more tokens for a tokenizer that is there.

The text is encoded with the old tokenizer, and training goes on from there: the pair of neighbours
that occurs most often inside a pre-token is joined, and again. Every new token is reachable, since
its parts are what the old merges leave, and no old id changes. Training from scratch and adding the
difference gives neither.

Paper: Purason et al., Teaching Old Tokenizers New Words (arXiv 2512.03989).
Cost: encoding the distinct pre-tokens once, then each merge costs its occurrences.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bytewright import _core
from bytewright.arguments import word
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer
from bytewright.training.segments import encoded_pieces
from bytewright.training.surgery.edit import Surgery, Tables, byte_level, rebuild

__all__ = ["extend"]

Ties = Literal["ids", "bytes", "stand_ins"]


def extend(
    tokenizer: Tokenizer,
    source: Any,
    new_tokens: int,
    *,
    min_frequency: int = 1,
    ties: Ties = "ids",
) -> Surgery:
    """Continue the training of a tokenizer on new text.

    Args:
        tokenizer: a byte-level tokenizer; its ids and merges stay as they are.
        source: texts (`str`, `bytes`), or `PretokenCounts` of the tokenizer's own pattern.
        new_tokens: how many tokens to add.
        min_frequency: a pair that occurs less often is not joined.
        ties: among pairs that occur equally often, the smallest `(left, right)` is joined first:
            by id, by the tokens' bytes, or by GPT-2's printable stand-ins of these bytes.

    Returns:
        The new tokenizer. Fewer tokens are added where the text has no more pairs.

    Raises:
        UnsupportedError: the tokenizer is not byte-level, or normalizes texts (then count the
            normalized pre-tokens, and give the counts).

    >>> old = Tokenizer.from_merges([(b"l", b"o")], pattern="gpt2")
    >>> new = extend(old, ["low lower lowest"], 2).tokenizer
    >>> new.merges
    [(b'l', b'o'), (b'lo', b'w'), (b' ', b'low')]
    """
    byte_level(tokenizer, "continued training")
    new_tokens = whole(new_tokens, "new_tokens")
    min_frequency = whole(min_frequency, "min_frequency", least=1)
    word(ties, "ties", ("ids", "bytes", "stand_ins"))
    rows = encoded_pieces(tokenizer, source)
    d = tokenizer.definition
    flat, _ = _core.extend_merges(
        d.arena, d.offsets, d.kinds, rows.values, rows.offsets, rows.counts,
        (new_tokens, min_frequency), ties,
    )  # fmt: skip
    tables = Tables.of(d)
    added = tables.add_merges(flat.reshape(-1, 3))
    new_ids = np.arange(d.vocab_size, dtype=np.int32)
    return Surgery(rebuild(tables), new_ids, added=tuple(added))
