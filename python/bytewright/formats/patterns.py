"""Named pre-tokenization patterns: what `pattern=` accepts besides a regular expression.

A name stands for the steps of the tokenizer that published it; where they are published is listed
with the splitters of the core, which knows the same names.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from bytewright.definition import Step
from bytewright.errors import ArgumentError

__all__ = ["GPT2", "NAMED_PATTERNS", "describe", "split", "steps_of"]

GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CL100K: Final = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
_LINES: Final = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_APOSTROPHES: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_GPT4: Final = (
    _APOSTROPHES + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _LINES
)
_QWEN2: Final = (
    _APOSTROPHES + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _LINES
)
_QWEN35: Final = (
    _APOSTROPHES
    + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"
    + _LINES
)
_UPPER: Final = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER: Final = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _cased(upper: str, lower: str, end: str) -> str:
    prefix = r"[^\r\n\p{L}\p{N}]?"
    return f"{prefix}{upper}*{lower}+{end}|{prefix}{upper}+{lower}*{end}|"


_O200K: Final = (
    _cased(_UPPER, _LOWER, _APOSTROPHES + "?") + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + _LINES
)
_TEKKEN: Final = _cased(_UPPER, _LOWER, "") + r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + _LINES
_KIMI: Final = (
    r"[\p{Han}]+|"
    + _cased(
        r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]",
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]",
        _APOSTROPHES + "?",
    )
    + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    + _LINES
)
_DEEPSEEK: Final = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+".replace('\\"', '"')
    + r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
    + _LINES
)


def split(regex: str) -> dict[str, object]:
    """The step that isolates the matches of a regular expression."""
    return {"type": "split", "regex": regex, "behavior": "isolated", "invert": False}


_STARCODER: Final = ({"type": "digits", "individual": True}, split(GPT2))
_FALCON: Final = (
    {"type": "punctuation", "behavior": "contiguous"},
    split(GPT2),
    {"type": "digits", "individual": False, "stand_ins": True},
    split("[0-9][0-9][0-9]"),
)
_DEEPSEEK_V3: Final = (
    split(r"\p{N}{1,3}"),
    split("[一-龥\u3040-ゟ゠-ヿ]+"),
    split(_DEEPSEEK),
)

NAMED_PATTERNS: Final[Mapping[str, tuple[Step, ...]]] = MappingProxyType(
    {
        "gpt2": (split(GPT2),),
        "r50k": (split(GPT2),),
        "p50k": (split(GPT2),),
        "whisper": (split(GPT2),),
        "roberta": (split(GPT2),),
        "gpt-neox": (split(GPT2),),
        "mpt": (split(GPT2),),
        "cl100k": (split(_CL100K),),
        "gpt4": (split(_GPT4),),
        "llama3": (split(_GPT4),),
        "o200k": (split(_O200K),),
        "gpt-4o": (split(_O200K),),
        "qwen2": (split(_QWEN2),),
        "qwen3": (split(_QWEN2),),
        "qwen3.5": (split(_QWEN35),),
        "deepseek-v3": _DEEPSEEK_V3,
        "deepseek-v4": _DEEPSEEK_V3,
        "tekken": (split(_TEKKEN),),
        "falcon": _FALCON,
        "starcoder": _STARCODER,
        "smollm": _STARCODER,
        "kimi-k2": (split(_KIMI),),
    }
)
"""Every name and the steps that it stands for."""

_LOOKS_LIKE_A_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def steps_of(pattern: str) -> tuple[Step, ...]:
    """The pre-tokenizer steps of a named pattern or of a regular expression.

    Raises:
        ArgumentError: the pattern is empty, or looks like a name but is none.

    >>> steps_of("gpt2")[0]["type"]
    'split'
    """
    if not isinstance(pattern, str) or not pattern:
        raise ArgumentError(f"pattern {pattern!r}: a name or a regular expression is needed")
    if pattern in NAMED_PATTERNS:
        return NAMED_PATTERNS[pattern]
    if _LOOKS_LIKE_A_NAME.fullmatch(pattern):
        known = ", ".join(NAMED_PATTERNS)
        raise ArgumentError(f"pattern {pattern!r} is not a known name: {known}")
    return (split(pattern),)


def describe(steps: Sequence[Step]) -> str | None:
    """The pattern as the user knows it: its name, or the regex of a single split."""
    for name, known in NAMED_PATTERNS.items():
        if list(known) == list(steps):
            return name
    regex = steps[0].get("regex") if len(steps) == 1 else None
    return regex if isinstance(regex, str) else None
