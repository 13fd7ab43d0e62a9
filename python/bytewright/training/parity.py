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

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bytewright import _core
from bytewright.arguments import number, place
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.sizes import whole
from bytewright.training.counts import PretokenCounts
from bytewright.training.loop import (
    Checkpoint,
    Learned,
    Plan,
    TrainProgress,
    drive,
    fingerprint,
)
from bytewright.training.segments import unsigned

__all__ = ["Parity", "learn_parity"]

# Bytes of a known merge: left id, right id, and whose turn it was.
_ROW: Final = 12


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
        whole(self.window, "window")
        whole(self.shared_merges, "shared_merges")
        if not number(self.share, "share") > 0:
            raise ArgumentError(f"share={self.share}: above 0 is allowed")
        if not isinstance(self.expected, Mapping | None):
            raise ArgumentTypeError("expected is given by language, as a mapping")
        for weight in (self.expected or {}).values():
            if not number(weight, "expected") > 0:
                raise ArgumentError(f"expected={self.expected!r}: above 0 is allowed")


def learn_parity(
    texts: Mapping[str, PretokenCounts],
    development: Mapping[str, PretokenCounts],
    parity: Parity,
    wanted: int,
    plan: Plan,
    *,
    progress: Callable[[TrainProgress], object] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Learned:
    """Merges until there are `wanted` tokens or no language has a pair left.

    Raises:
        ArgumentError: texts and development texts of different languages, or merges to begin with.
        ResumeError: the checkpoint is of another training, or damaged.
        DataError: the checkpoint cannot be read or written.
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
    turns = (
        whole(parity.shared_merges, "shared_merges"),
        whole(parity.window, "window"),
        float(parity.share),
    )
    options = (plan.order, plan.min_count, plan.rules)
    trainer = _core.ParityTrainer(languages, *options, turns)
    kept = None
    if checkpoint is not None:
        ways = [weight for _, _, weight in languages]
        order, least, rules = options
        told = {"parity": turns, "expected": ways, "order": order.hex(), "least": least}
        arrays = (array for text, ours, _ in languages for array in (*text, *ours))
        belongs = fingerprint({**told, "rules": json.loads(rules)}, arrays)
        kept = Checkpoint(place(checkpoint, "checkpoint"), belongs, row=_ROW)
    return drive(trainer, wanted, initial=b"", row=_ROW, progress=progress, kept=kept)
