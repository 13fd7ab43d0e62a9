"""The embedded default: a small vocabulary in the package and text found in every Python.

Nothing is downloaded. The vocabulary has 8192 tokens: the 256 bytes, merges of the o200k pattern
trained on the texts below (`make.py` beside this file is the recipe), and `<|endoftext|>`.
The texts are Python's own help topics and the sources of its standard library, read where this
interpreter keeps them; they differ a little from one Python to the next.
"""

from __future__ import annotations

import functools
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bytewright.tokenizer import Tokenizer

__all__ = ["PATTERN", "RANKS", "SPECIAL", "VOCAB_SIZE", "documents", "path", "tokenizer"]

RANKS = "demo.tiktoken"
PATTERN = "o200k"
VOCAB_SIZE = 8192
SPECIAL = {"<|endoftext|>": VOCAB_SIZE - 1}

# Tests and tables of character codes are not what anyone would call text; installed packages
# are not Python's own.
_LEFT_OUT = {
    "encodings",
    "idlelib",
    "pydoc_data",
    "site-packages",
    "dist-packages",
    "test",
    "tests",
}


def path() -> Path:
    """Where the ranks of the demo vocabulary are.

    >>> path().name
    'demo.tiktoken'
    """
    return Path(__file__).with_name(RANKS)


@functools.cache
def tokenizer() -> Tokenizer:
    """The demo vocabulary, loaded once.

    >>> tok = tokenizer()
    >>> tok.decode(tok.encode("def main():"))
    'def main():'
    """
    from bytewright.tokenizer import Tokenizer

    return Tokenizer.load(path(), pattern=PATTERN, special_tokens=SPECIAL)


def documents() -> Iterator[tuple[str, str]]:
    """Name and text of every demo document: help topics first, then source files by name.

    >>> name, text = next(documents())
    >>> name.split(":")[0] in ("topic", "source") and len(text) > 0
    True
    """
    yield from _topics()
    yield from _sources(Path(sysconfig.get_path("stdlib")))


def _topics() -> Iterator[tuple[str, str]]:
    """Python's help texts, where the distributor kept them."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    for name in sorted(topics):
        yield f"topic:{name}", topics[name]


def _sources(root: Path) -> Iterator[tuple[str, str]]:
    """Every source file of the standard library that is valid UTF-8."""
    for file in sorted(root.rglob("*.py"), key=lambda file: file.relative_to(root).as_posix()):
        inside = file.relative_to(root)
        if _LEFT_OUT.intersection(inside.parts):
            continue
        try:
            # Bytes first: read_text would quietly turn CRLF into LF.
            text = file.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            yield f"source:{inside.as_posix()}", text
