"""Padding to a power of two, with tokens that are of use.

Runs of spaces and of line feeds join as added tokens: two spaces, two line feeds, three spaces,
three line feeds and so on, as many as are missing to the next power of two; runs that are tokens
already are passed over. They are matched in the text before everything else, the longest first.

The rule is that of the KL3M tokenizers (Bommarito et al. 2025, arXiv 2503.17247), but a vocabulary
whose size is a power of two already stays as it is, and two things end the runs. One is their
length: n of them have n squared / 4 bytes, 239 MB where 30,795 tokens are missing, so after those
of 1024 characters, 1 MB in all, there are no more. The other is text that would not come back:
where a tokenizer puts a space before what follows an added token, or changes runs before it looks
for them (Llama-2, CLIP), there are none. The rest are reserved special tokens, `<|reserved_0|>` and
so on, which no text becomes unasked.

Cost: linear in the tokens that are added, about 10 us each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, islice, repeat
from typing import Final

import numpy as np

from bytewright.arguments import instance
from bytewright.definition import ADDED, MAX_IDS, MODEL, SPECIAL, Definition, build, make_header
from bytewright.errors import ArgumentError
from bytewright.tokenizer import Tokenizer
from bytewright.training.surgery.edit import Surgery, Tables, rebuild

__all__ = ["pad_to_power_of_two"]

_LONGEST: Final = 1024
"""Characters of the longest run that is added."""


def pad_to_power_of_two(tokenizer: Tokenizer) -> Surgery:
    r"""Add tokens until the vocabulary size is a power of two; every text still comes back.

    Runs of spaces and line feeds of up to 1024 characters are added, where the tokenizer does not
    change them or the text beside them, and then reserved special tokens.

    Raises:
        ArgumentError: the next power of two is beyond the ids that there can be.

    >>> done = pad_to_power_of_two(Tokenizer.from_merges([(b" ", b" "), (b"a", b"b")]))
    >>> done.tokenizer.vocab_size, [done.tokenizer.token_bytes(i) for i in done.added[:3]]
    (512, [b'\n\n', b'   ', b'\n\n\n'])
    """
    instance(tokenizer, Tokenizer, "tokenizer")
    size = tokenizer.vocab_size
    wanted = 1 << max(size - 1, 0).bit_length()
    if wanted > MAX_IDS:
        raise ArgumentError(f"{wanted} tokens: at most {MAX_IDS} are allowed")
    tables = Tables.of(tokenizer.definition)
    known = {*filter(None, tables.tokens)}
    missing = wanted - size
    runs = [*islice(_new(_runs(), known), missing)]
    if not _keeps(tokenizer.definition, runs):
        runs = []
    reserved = islice(_new(_reserved(), known), missing - len(runs))
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    # Matched in normalized text, so that the text around a run is normalized as one.
    entries = [{"content": r, **flags, "normalized": True, "special": False} for r in runs]
    entries += [{"content": r, **flags, "normalized": False, "special": True} for r in reserved]
    kinds = chain(repeat(ADDED, len(runs)), repeat(ADDED | SPECIAL, missing - len(runs)))
    added = tables.add_special(entries, kinds)
    return Surgery(rebuild(tables), np.arange(size, dtype=np.int32), added=tuple(added))


def _runs() -> Iterator[str]:
    return (character * length for length in range(2, _LONGEST + 1) for character in " \n")


def _reserved() -> Iterator[str]:
    return (f"<|reserved_{number}|>" for number in count())


def _new(texts: Iterator[str], known: set[bytes]) -> Iterator[str]:
    return (text for text in texts if text.encode() not in known)


def _keeps(definition: Definition, runs: list[str]) -> bool:
    """Whether a text with these runs as added tokens still comes back as it did without them.

    It does if they are found as they are in the normalized text, which is cut around them, and
    nothing is put before what follows.
    """
    steps = definition.rules()["normalizer"]
    assert isinstance(steps, list)
    if any(step["type"] in ("prefix", "prepend") for step in steps):
        return False
    header = make_header(unit="byte", byte_units=range(256), normalizer=steps)
    letters = [bytes([byte]) for byte in range(256)]
    plain = Tokenizer(build(letters, kinds=[MODEL] * 256, merges=[], header=header))
    return all(plain.decode_bytes(plain.encode_array(run)) == run.encode() for run in runs)
