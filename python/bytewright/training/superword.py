"""SuperBPE: tokens of several words, in an ordinary tokenizer.

Training has two stages. The first is BPE inside the pieces of the usual pattern, for `transition`
merges. The second begins with these merges, just as they are, on text that a coarser pattern cuts
(at numbers, at runs of punctuation and at trailing spaces, but not between words), and goes on to
the full vocabulary. There a pair is passed over for good if its token would have more than
`max_words` words or hold a forbidden text, `": "` by default.

The result is merges by rank with the coarser pattern, which other libraries load and encode alike.

Paper: Liu et al., SuperBPE: Space Travel for Language Models (arXiv 2503.13423). Cost: the second
stage holds the distinct stretches of text, at most 2^30 bytes of them, and takes about 16 bytes of
memory for each of these. 1 GB of text in many languages, half of it distinct, gave 32k tokens in
170 s of processor time and 8 GB; half of that time makes the merges of the first stage again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bytewright.arguments import items, text
from bytewright.sizes import whole
from bytewright.training.constraints import Constraint, ForbiddenSubstrings, MaxWords

__all__ = ["PATTERN", "Superword"]

PATTERN: Final = r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]{2,}[\r\n/]*| +(?!\S)"
"""What cuts text in the second stage: what lies between the matches is one piece."""


@dataclass(frozen=True)
class Superword:
    """How tokens of several words come about; for `superword=` of `train`.

    Attributes:
        transition: merges that stay inside words; those of a training without `superword`.
        max_words: words that a token may have, stretches without a space.
        forbidden: texts that no token of the second stage holds.
        pattern: what cuts text in the second stage, and for the tokenizer.
    """

    transition: int
    max_words: int = 4
    forbidden: Sequence[str | bytes] = (": ",)
    pattern: str = PATTERN

    def __post_init__(self) -> None:
        whole(self.transition, "transition")
        whole(self.max_words, "max_words", least=1)
        if items(self.forbidden, "forbidden"):
            ForbiddenSubstrings(*self.forbidden)
        text(self.pattern, "pattern")

    def rules(self) -> tuple[Constraint, ...]:
        """What a token of the second stage may be."""
        limits: tuple[Constraint, ...] = (MaxWords(self.max_words),)
        return (*limits, ForbiddenSubstrings(*self.forbidden)) if self.forbidden else limits
