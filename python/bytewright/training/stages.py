"""What is counted and learned in which order: at once, in two stages, or language by language."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bytewright.arguments import is_integer
from bytewright.errors import ArgumentError
from bytewright.sizes import whole
from bytewright.training.constraints import (
    Constraint,
    checked,
    cut_pieces,
    letters_first,
    lowered,
)
from bytewright.training.counts import PretokenCounts, pattern_of
from bytewright.training.loop import Learned, Plan, learn, prepared
from bytewright.training.mixture import Reading, check_weights, gather
from bytewright.training.parity import Parity, learn_parity
from bytewright.training.start import Continued, Fresh
from bytewright.training.superword import Superword

__all__ = ["Task", "learn_by_parity", "learn_superwords", "learn_words"]


@dataclass(frozen=True)
class Task:
    """What `train` was asked for.

    Attributes:
        sources: texts or counts, perhaps by name.
        weights: how much each name counts.
        reading: how texts are counted.
        rules: what a token may be.
        start: where training begins.
        wanted: tokens there shall be, special ones not among them.
        least: how often a pair must stand to be merged.
        checkpoint: the file of the merges so far.
    """

    sources: Any
    weights: Mapping[str, Any] | None
    reading: Reading
    rules: tuple[Constraint, ...]
    start: Fresh | Continued
    wanted: int
    least: int
    checkpoint: str | os.PathLike[str] | None

    def counts(self) -> tuple[PretokenCounts, int]:
        """All counts in one, cut as the rules say, and by what a weight of 1 was multiplied."""
        counts, unit = gather(self.sources, self.weights, self.reading)
        return cut_pieces(self.rules, counts), unit

    def plan(self, unit: int) -> Plan:
        """What decides the merges."""
        return Plan(self.start.order, self.least * unit, lowered(self.rules), self.start.initial)


def learn_words(task: Task) -> Learned:
    """Plain training."""
    counts, unit = task.counts()
    plan = task.plan(unit)
    if (letters := letters_first(task.rules)) is not None:
        plan = prepared(counts, task.wanted, plan, letters)
    progress, checkpoint = task.reading.progress, task.checkpoint
    return learn(counts, task.wanted, plan, progress=progress, checkpoint=checkpoint)


def learn_superwords(task: Task, superword: Superword) -> tuple[Learned, Fresh]:
    """Training in two stages, and the start whose pattern is that of the second.

    A checkpoint is of the second stage; the first takes little of the time.

    Raises:
        ArgumentError: sources that can be read only once, or a tokenizer to go on from.
    """
    if isinstance(task.start, Continued):
        raise ArgumentError("superword and a tokenizer to go on from cannot be combined")
    transition = whole(superword.transition, "transition")
    if transition > task.wanted - 256:
        raise ArgumentError(
            f"transition={superword.transition}: from 0 to the {task.wanted - 256} merges that "
            "there shall be is allowed"
        )
    _require_texts(task.sources)
    # A merge may make a token that is there already, so there are at least as many merges as
    # tokens, and those after the transition are left out.
    words = learn_words(replace(task, wanted=256 + transition, checkpoint=None))
    start = replace(task.start, pattern=pattern_of(superword.pattern))
    rules = checked([*task.rules, *superword.rules()])
    reading = replace(task.reading, pattern=superword.pattern)
    second = replace(task, rules=rules, start=start, reading=reading)
    counts, unit = second.counts()
    plan = replace(second.plan(unit), initial=words.merges[:transition, :2])
    progress, checkpoint = task.reading.progress, task.checkpoint
    return learn(counts, task.wanted, plan, progress=progress, checkpoint=checkpoint), start


def learn_by_parity(task: Task, parity: Parity) -> Learned:
    """Training by turns of languages."""
    if not isinstance(task.sources, Mapping):
        raise ArgumentError("parity needs the sources of each language: give them by its name")
    check_weights(task.weights)
    texts, unit = {}, 1
    for name, source in task.sources.items():
        counts = task.reading.counts(source)
        weight = (task.weights or {}).get(name, 1)
        if not is_integer(weight) or weight < 1:
            raise ArgumentError(f"the weight of {name!r} is {weight!r}: parity takes whole ones")
        texts[name] = cut_pieces(task.rules, counts.scaled(weight))
    development = {name: task.reading.counts(source) for name, source in parity.development.items()}
    progress, checkpoint = task.reading.progress, task.checkpoint
    plan = task.plan(unit)
    return learn_parity(
        texts, development, parity, task.wanted, plan, progress=progress, checkpoint=checkpoint
    )


def _require_texts(sources: Any) -> None:
    """Refuse what cannot be cut by two patterns."""
    parts: Sequence[Any] = [*sources.values()] if isinstance(sources, Mapping) else [sources]
    for part in parts:
        if isinstance(part, PretokenCounts):
            raise ArgumentError("superword cuts texts by two patterns: give texts, not counts")
        if hasattr(part, "__next__") or hasattr(part, "read"):
            raise ArgumentError(
                "superword reads its texts twice: give paths, a list or an Arrow array, not "
                f"{type(part).__name__}"
            )
