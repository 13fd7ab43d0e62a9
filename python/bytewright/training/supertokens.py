"""Supertokens by stochastic chunking: BPE on random chunks of several words.

Texts are cut into words by the usual pattern, and the words are put into chunks of random length;
BPE then merges inside chunks. A phrase that is frequent enough is often whole in a chunk and
becomes a token; the chance that a chunk ends between any two words keeps words whole as well. Text
is encoded with a pattern that does not cut between words, so phrases are found wherever they stand.

Paper: Sharthak et al., Achieving Tokenizer Flexibility in Language Models through Heuristic
Adaptation and Supertoken Learning (TokenAdapt, arXiv 2505.09738). It leaves the law of the lengths
open; here it is given by weights.
Cost: cutting each text twice; memory for the distinct chunks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bytewright import _core
from bytewright.arguments import items, number
from bytewright.errors import ArgumentError
from bytewright.sizes import seed_of
from bytewright.training.counts import PretokenCounts, pattern_of, steps_of
from bytewright.training.feeding import feed
from bytewright.training.superword import PATTERN

__all__ = ["count_chunks"]


def count_chunks(
    sources: Any,
    *,
    pattern: str = "o200k",
    weights: Sequence[float] = (4, 3, 2, 1),
    seed: int = 0,
    coarse_pattern: str = PATTERN,
) -> PretokenCounts:
    """Count random chunks of words, for `train`.

    Args:
        sources: as for `count_pretokens`.
        pattern: what cuts text into words: a named pattern or a regular expression.
        weights: how often chunks of one word, of two, and so on come, in proportion.
        seed: decides the chunks, together with each text; not with the order of the texts.
        coarse_pattern: what chunks never cross. It is the pattern of the counts, and so of the
            tokenizer that is trained on them.

    >>> from bytewright.training.train import train
    >>> counts = count_chunks(["by the way, by the sea"] * 9, pattern="gpt2", seed=1)
    >>> tok = train(counts, 268)
    >>> any(b" " in tok.token_bytes(id).strip() for id in range(256, 268))
    True
    """
    shares = [number(weight, "weights") for weight in items(weights, "weights")]
    if not shares or min(shares) < 0 or not 0 < sum(shares) < float("inf"):
        raise ArgumentError(f"weights={weights!r}: numbers from 0, not all 0, are needed")
    seed = seed_of(seed)
    coarse, fine = json.dumps(steps_of(coarse_pattern)), json.dumps(steps_of(pattern))
    counter = _core.ChunkCounter(coarse, fine, shares, seed)
    feed(counter, sources)
    return PretokenCounts(counter.finish(), pattern_of(coarse_pattern))
