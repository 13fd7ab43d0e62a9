"""BoundlessBPE: tokens of several words, learned and applied across pre-tokens.

Pairs inside pre-tokens merge as in BPE. Two neighbouring pre-tokens may also merge, when each of
them is one token and both are words: letters with their marks, spaces, underscores and
apostrophes, a letter behind the first character. At each step the more frequent of the best pair
inside and the best pair across is taken; if they are equally frequent, the pair across; among
equals of a kind, the smallest `(left, right)` by bytes. No token is made twice.

Encoding merges inside pre-tokens by rank and then joins neighbouring pre-tokens that are one token
each, by rank. So the tokenizer cannot be saved for libraries that merge inside pre-tokens only;
saving refuses by name.

With `tau`, tokens go as in the paper. After a merge inside pre-tokens, each of its parts of several
bytes is looked at: if the merge took at least the share `tau` of its uses inside pre-tokens, then
it goes. Its other uses fall into single bytes, for good, since no token is made twice. A pre-token
that was this token alone joins no neighbour from then on; what it has joined before stays. Merges
across take nothing out. (The program of the authors goes on joining such pre-tokens, and goes on
counting tokens that went as part of the vocabulary.) Text is encoded by the same events in the same
order.

Paper: Schmidt et al., Boundless Byte Pair Encoding (arXiv 2504.00178); counting over distinct runs
of words as in arXiv 2604.05192. Cost: inside, as BPE on distinct pre-tokens; across, each merge
costs its occurrences, at about 40 bytes of memory for each word of a distinct run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

import numpy as np

from bytewright import _core
from bytewright.arguments import number
from bytewright.errors import ArgumentError
from bytewright.sizes import whole
from bytewright.specials import special_texts
from bytewright.tokenizer import Tokenizer
from bytewright.training.assemble import assemble, assemble_steps, learned_size
from bytewright.training.counts import steps_of
from bytewright.training.feeding import feed

__all__ = ["train_boundless"]

# The kind of step that joins whole pieces.
_ACROSS: Final = 2


def train_boundless(
    sources: Any,
    vocab_size: int,
    *,
    pattern: str = "o200k",
    special_tokens: Iterable[str] = (),
    min_frequency: int = 1,
    tau: float | None = None,
) -> Tokenizer:
    """Train a tokenizer by BoundlessBPE.

    Args:
        sources: as for `count_pretokens`.
        vocab_size: tokens in all, the 256 bytes and the special tokens among them.
        pattern: a named pattern or a regular expression.
        special_tokens: their texts.
        min_frequency: a pair that occurs less often is not joined.
        tau: a token goes when one merge takes at least this share of its uses; the paper uses 0.9.
            By default every token stays.

    Returns:
        The tokenizer; it has fewer tokens where the text has no more pairs.

    >>> tok = train_boundless(["of the sea, of the sun"] * 3, 264, pattern="gpt2")
    >>> tok.token_bytes(tok.vocab_size - 1)
    b' of the'
    >>> [tok.token_bytes(i) for i in tok.encode("song of the sea")]
    [b's', b'o', b'n', b'g', b' of the', b' s', b'e', b'a']
    >>> picky = train_boundless(["of the sea, of the sun"] * 3, 262, pattern="gpt2", tau=0.9)
    >>> [tok.token_id(t) is None for t in (b" t", b" th")], picky.token_id(b" t")
    ([False, False], None)
    """
    min_frequency = whole(min_frequency, "min_frequency", least=1)
    if tau is not None and not 0 < number(tau, "tau") <= 1:
        raise ArgumentError(f"tau={tau}: above 0 and up to 1 is allowed")
    special = special_texts(special_tokens)
    wanted = learned_size(vocab_size, special)
    runs = _core.WordRuns(json.dumps(steps_of(pattern)))
    feed(runs, sources)
    told = runs.train(wanted, min_frequency, tau)
    (arena, ends, present), (steps, _) = told
    if not present.all():
        return assemble_steps(told, pattern=pattern, special_tokens=special, wanted=wanted)
    rows = steps.reshape(-1, 4)
    return assemble(
        [arena[a:b] for a, b in pairwise(ends.tolist())][256:],
        rows[:, 1:],
        pattern=pattern,
        special_tokens=special,
        rules={"supermerges": np.flatnonzero(rows[:, 0] == _ACROSS).tolist()},
        wanted=wanted,
    )
