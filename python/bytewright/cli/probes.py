"""A thousand strings to compare two vocabularies on, the same ones every time.

A quarter each: random tokens of the vocabulary put together, random characters of many scripts,
the things that patterns trip over (white space, digits, contractions, marks), and lines of Python's
own sources.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bytewright.tokenizer import Tokenizer

SEED = 20_250_101
EACH = 250

# First and last code point of blocks that were full long before any current Unicode table.
_BLOCKS = (
    (0x20, 0x7E), (0xA1, 0xFF), (0x391, 0x3A1), (0x410, 0x44F), (0x5D0, 0x5EA), (0x621, 0x63A),
    (0x905, 0x939), (0xE01, 0xE30), (0x3041, 0x3096), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3),
    (0x1F600, 0x1F64F),
)  # fmt: skip
_TRIPS = (
    " ", "  ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u3000", "'s", "'LL", "\u2019t", "it", "IT",
    "1", "1234", "\u0661", "\u00bd", "e\u0301", "\u0301", "\u200d", "!", "...", "//", "_", "<", "|",
    "a" * 40, " " * 40, "\x00", "\x7f",
)  # fmt: skip


def probes(tokenizer: Tokenizer) -> list[bytes]:
    """The strings, each a few dozen bytes, most of them valid UTF-8."""
    draw = random.Random(SEED)
    made = (_repeat(make, draw) for make in (_tokens(tokenizer), _characters, _trips))
    return [*itertools.chain.from_iterable(made), *itertools.islice(_lines(), EACH)]


def _repeat(make: Callable[[random.Random], bytes], draw: random.Random) -> Iterator[bytes]:
    return (make(draw) for _ in range(EACH))


def _tokens(tokenizer: Tokenizer) -> Callable[[random.Random], bytes]:
    special = set(tokenizer.special_tokens.values())

    def make(draw: random.Random) -> bytes:
        ids = (draw.randrange(tokenizer.vocab_size) for _ in range(draw.randint(1, 8)))
        return b"".join(_spelled(tokenizer, number) for number in ids if number not in special)

    return make


def _spelled(tokenizer: Tokenizer, number: int) -> bytes:
    """Bytes of a token; nothing for a hole in the vocabulary."""
    from bytewright.errors import UnknownTokenError

    try:
        return tokenizer.token_bytes(number)
    except UnknownTokenError:
        return b""


def _characters(draw: random.Random) -> bytes:
    low, high = draw.choice(_BLOCKS)
    return "".join(chr(draw.randint(low, high)) for _ in range(draw.randint(1, 24))).encode()


def _trips(draw: random.Random) -> bytes:
    return "".join(draw.choices(_TRIPS, k=draw.randint(1, 8))).encode()


def _lines() -> Iterator[bytes]:
    from bytewright import demo

    for _, text in demo.documents():
        for line in text.splitlines(keepends=True)[::7]:
            if line.strip():
                yield line.encode()
