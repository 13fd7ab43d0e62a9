"""Vocabulary formats."""

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from bytewright import _core
from bytewright.definition import Definition
from bytewright.errors import UnsupportedError


def pattern_steps(pattern: str) -> list[dict[str, Any]]:
    """The pre-tokenizer steps of a named pattern or of a regex."""
    steps = _core.pattern_steps(pattern)
    if steps is None:
        return [{"type": "split", "regex": pattern, "behavior": "isolated", "invert": False}]
    named: list[dict[str, Any]] = json.loads(steps)
    return named


def read(
    path: str | PathLike[str],
    *,
    pattern: str | None = None,
    special_tokens: Mapping[str, int] | Sequence[str] | None = None,
) -> Definition:
    """Read a vocabulary file."""
    raise UnsupportedError(f"{path}: no format is known")


def write(definition: Definition, path: str | PathLike[str]) -> None:
    """Write a vocabulary file."""
    raise UnsupportedError(f"{path}: no format is known")
