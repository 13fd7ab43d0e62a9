"""Picky BPE: a vocabulary without the tokens that only served to build others.

After a pair `a b` was joined `f` times, each of `a` and `b` that is no single byte is looked at. If
`f / (n + f) > tau`, where `n` is how often it still occurs, then it goes: its remaining uses become
the tokens it was made of, as far as these are there, and its place in the vocabulary is free. A
later merge may bring it back. For `a a`, `f` counts the joins.

Text is encoded by the same events in the same order: of the merges and removals that a piece still
has room for, the earliest after the last applied one. So the tokenizer cannot be saved for
libraries that merge by rank; saving refuses by name.

Paper: Chizhov et al., BPE Gets Picky: Efficient Vocabulary Refinement During Tokenizer Training
(arXiv 2409.04599). Cost: each merge and removal costs its occurrences; about 24 bytes of memory for
each byte of distinct pre-tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bytewright import _core
from bytewright.arguments import number
from bytewright.errors import ArgumentError
from bytewright.sizes import whole
from bytewright.specials import special_texts
from bytewright.tokenizer import Tokenizer
from bytewright.training.assemble import assemble_steps, learned_size
from bytewright.training.counting import counted
from bytewright.training.segments import unsigned

__all__ = ["train_picky"]


def train_picky(
    sources: Any,
    vocab_size: int,
    *,
    tau: float = 0.9,
    pattern: str = "o200k",
    special_tokens: Iterable[str] = (),
    min_frequency: int = 1,
    threads: int | None = None,
) -> Tokenizer:
    """Train a tokenizer by Picky BPE.

    Args:
        sources: as for `count_pretokens`, or `PretokenCounts`.
        vocab_size: tokens in all, the 256 bytes and the special tokens among them.
        tau: a token goes when one merge takes more than this share of its uses; the paper uses
            0.6 to 0.9, and 1 keeps all.
        pattern: a named pattern or a regular expression.
        special_tokens: their texts.
        min_frequency: a pair that occurs less often is not joined.
        threads: threads for counting.

    Returns:
        The tokenizer; it has fewer tokens where the text has no more pairs.

    >>> tok = train_picky(["hum hums humor human"] * 4, 260, tau=0.9, pattern="gpt2")
    >>> [tok.token_bytes(i) for i in range(256, tok.vocab_size)]
    [b'hum', b' hum', b'an', b'or']
    >>> tok.decode(tok.encode("human humor")), tok.count("human humor")
    ('human humor', 4)
    """
    if not 0 < number(tau, "tau") <= 1:
        raise ArgumentError(f"tau={tau}: above 0 and up to 1 is allowed")
    min_frequency = whole(min_frequency, "min_frequency", least=1)
    special = special_texts(special_tokens)
    wanted = learned_size(vocab_size, special)
    counts = counted(sources, pattern, threads)
    told = _core.picky_history(unsigned(counts), wanted, bytes(range(256)), min_frequency, tau)
    pattern = counts.pattern or pattern
    return assemble_steps(told, pattern=pattern, special_tokens=special, wanted=wanted)
