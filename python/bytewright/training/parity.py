"""Parity-aware BPE: languages that pay alike for the same text.

Each merge is the most frequent pair of the language that is worst off: the one whose development
text takes the most tokens. Development texts say the same in every language, line by line or as a
whole, so their token counts can be compared. A language that had more than `share / languages` of
the last `window` turns waits, so that one which cannot be helped does not take all of them; and the
first `shared_merges` merges go by the text of all languages (the hybrid variant), which then counts
as one more language in that share.

A language without a pair left is passed over, and training goes on with the next: it ends only
when no language has one. Where two are equally badly off, the first by name has the turn.

The result is an ordinary tokenizer.

Paper: Foroutan et al., Parity-Aware Byte-Pair Encoding: Improving Cross-lingual Fairness in
Tokenization (arXiv 2508.04796). Cost: that of BPE over the text of each language, every merge being
made in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bytewright import _core
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.training.counts import PretokenCounts
from bytewright.training.loop import Learned, Plan
from bytewright.training.segments import unsigned

__all__ = ["Parity", "learn_parity"]


@dataclass(frozen=True)
class Parity:
    """How languages take turns; for `parity=` of `train`.

    Attributes:
        development: for each language, texts that say the same as those of the others, or
            `PretokenCounts` of them. `train` is then given its sources by the same names.
        window: how many of the last turns are looked at; 0 for none.
        share: a language waits while its share of these is above this over the number of languages.
        shared_merges: merges made first, by the text of all languages together.
        expected: for each language, by how much its tokens are divided before they are compared; 1
            unless given.
    """

    development: Mapping[str, Any]
    window: int = 100
    share: float = 2.0
    shared_merges: int = 0
    expected: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.development, Mapping):
            raise ArgumentTypeError("development texts are given by language, as a mapping")
        if self.window < 0 or self.shared_merges < 0 or not self.share > 0:
            raise ArgumentError(
                f"window={self.window}, shared_merges={self.shared_merges}, share={self.share}: "
                "at least 0, at least 0 and above 0 are allowed"
            )
        if any(not weight > 0 for weight in (self.expected or {}).values()):
            raise ArgumentError(f"expected={self.expected!r}: above 0 is allowed")


def learn_parity(
    texts: Mapping[str, PretokenCounts],
    development: Mapping[str, PretokenCounts],
    parity: Parity,
    wanted: int,
    plan: Plan,
) -> Learned:
    """Merges until there are `wanted` tokens or no language has a pair left.

    Raises:
        ArgumentError: texts and development texts of different languages, or merges to begin with.
    """
    if len(plan.initial):
        raise ArgumentError("parity and initial_merges cannot be combined")
    names = sorted(texts)
    if names != sorted(development):
        raise ArgumentError(
            f"texts of {names} and development texts of {sorted(development)}: they must be of "
            "the same languages"
        )
    expected = dict(parity.expected or {})
    languages = [
        (unsigned(texts[name]), unsigned(development[name]), float(expected.get(name, 1.0)))
        for name in names
    ]
    turns = (parity.shared_merges, parity.window, parity.share)
    rows, counts, _ = _core.parity_merges(
        languages, wanted, plan.order, plan.min_count, plan.rules, turns
    )
    merges = rows.reshape(-1, 3)
    size = 256 + sum(1 for _ in {*merges[:, 2].tolist()} - {*range(256)})
    return Learned(merges, counts, size)
