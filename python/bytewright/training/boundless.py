"""BoundlessBPE: tokens of several words, learned and applied across pre-tokens.

Pairs inside pre-tokens merge as in BPE. Two neighbouring pre-tokens may also merge, when each of
them is one token and both are words: letters with their marks, spaces, underscores and
apostrophes, a letter behind the first character. At each step the more frequent of the best pair
inside and the best pair across is taken; if they are equally frequent, the pair across; among
equals of a kind, the smallest `(left, right)` by bytes. No token is made twice.

Encoding merges inside pre-tokens by rank and then joins neighbouring pre-tokens that are one token
each, by rank. So the tokenizer cannot be saved for libraries that merge inside pre-tokens only;
saving refuses by name. The deletions that the paper adds (those of Picky BPE) are not made.

Paper: Schmidt et al., Boundless Byte Pair Encoding (arXiv 2504.00178); counting over distinct runs
of words as in arXiv 2604.05192. Cost: inside, as BPE on distinct pre-tokens; across, each merge
costs its occurrences, at about 40 bytes of memory for each word of a distinct run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from bytewright import _core
from bytewright.errors import ArgumentError
from bytewright.tokenizer import Tokenizer
from bytewright.training.assemble import assemble, learned_size
from bytewright.training.counts import steps_of
from bytewright.training.feeding import feed

__all__ = ["train_boundless"]


def train_boundless(
    sources: Any,
    vocab_size: int,
    *,
    pattern: str = "o200k",
    special_tokens: Sequence[str] = (),
    min_frequency: int = 1,
) -> Tokenizer:
    """Train a tokenizer by BoundlessBPE.

    Args:
        sources: as for `count_pretokens`.
        vocab_size: tokens in all, the 256 bytes and the special tokens among them.
        pattern: a named pattern or a regular expression.
        special_tokens: their texts.
        min_frequency: a pair that occurs less often is not joined.

    Returns:
        The tokenizer; it has fewer tokens where the text has no more pairs.

    >>> tok = train_boundless(["of the sea, of the sun"] * 3, 264, pattern="gpt2")
    >>> tok.token_bytes(tok.vocab_size - 1)
    b' of the'
    >>> [tok.token_bytes(i) for i in tok.encode("song of the sea")]
    [b's', b'o', b'n', b'g', b' of the', b' s', b'e', b'a']
    """
    if min_frequency < 1:
        raise ArgumentError(f"min_frequency={min_frequency}: at least 1 is allowed")
    wanted = learned_size(vocab_size, special_tokens)
    runs = _core.WordRuns(json.dumps(steps_of(pattern)))
    feed(runs, sources)
    rows, _, across = runs.train(wanted, min_frequency)
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right, _ in rows.reshape(-1, 3).tolist():
        tokens.append(tokens[left] + tokens[right])
    return assemble(
        tokens[256:],
        rows.reshape(-1, 3),
        pattern=pattern,
        special_tokens=special_tokens,
        rules={"supermerges": np.flatnonzero(across).tolist()},
        wanted=wanted,
    )
