"""Named pre-tokenization patterns: what `pattern=` accepts besides a regular expression.

A name stands for the steps of the tokenizer that published it. The core knows the names, the steps
and where they are published, and has a hand-written splitter for each.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from bytewright import _core, arguments
from bytewright.definition import Step
from bytewright.errors import ArgumentError

__all__ = ["GPT2", "describe", "pattern_names", "pattern_steps", "split"]

_LOOKS_LIKE_A_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")

_DIGITS: Final = {
    "+digits-left": (r"\p{N}{1,3}",),
    # Runs of digits; the longest end of each that is made of threes; and that into threes.
    "+digits-right": (r"\p{N}+", r"(?:\p{N}{3})+$", r"\p{N}{3}"),
    "+digits-single": (r"\p{N}",),
}
"""What may stand behind a pattern: numbers are cut like this before the pattern sees the text."""

GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""The pattern of GPT-2 and of ByteLevel."""


def split(regex: str) -> dict[str, object]:
    """The step that isolates the matches of a regular expression."""
    return {"type": "split", "regex": regex, "behavior": "isolated", "invert": False}


@cache
def pattern_names() -> tuple[str, ...]:
    """The names of the published patterns."""
    return tuple(_core.pattern_names())


@cache
def _named(name: str) -> tuple[Step, ...]:
    return tuple(json.loads(_core.pattern_steps(name) or "[]"))


def pattern_steps(pattern: str) -> list[Step]:
    """The pre-tokenizer steps of a named pattern or of a regular expression.

    Behind either may stand `+digits-left`, `+digits-right` or `+digits-single`: numbers are then
    cut out first, into groups of three digits from that side, or into digits.

    Raises:
        ArgumentError: the pattern is empty, or looks like a name but is none.

    >>> pattern_steps("gpt2")[0]["type"]
    'split'
    """
    if not isinstance(pattern, str) or not pattern:
        raise ArgumentError(f"pattern {pattern!r:.100}: a name or a regular expression is needed")
    arguments.text(pattern, "pattern")
    for ending, regexes in _DIGITS.items():
        if pattern.endswith(ending):
            return [*map(split, regexes), *pattern_steps(pattern.removesuffix(ending))]
    if pattern in pattern_names():
        return [dict(step) for step in _named(pattern)]
    if _LOOKS_LIKE_A_NAME.fullmatch(pattern):
        known = ", ".join(pattern_names())
        raise ArgumentError(f"pattern {pattern!r:.100} is not a known name: {known}")
    return [split(pattern)]


def describe(steps: Sequence[Step]) -> str | None:
    """The pattern as the user knows it: its name, or the regex of a single split."""
    for name in pattern_names():
        if list(_named(name)) == list(steps):
            return name
    for ending, regexes in _DIGITS.items():
        if list(steps[: len(regexes)]) == [*map(split, regexes)] and len(steps) > len(regexes):
            rest = describe(steps[len(regexes) :])
            return None if rest is None else rest + ending
    regex = steps[0].get("regex") if len(steps) == 1 else None
    return regex if isinstance(regex, str) else None
