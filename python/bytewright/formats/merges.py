"""Merges as pairs of bytes, lowered to a definition: no file, but what one would say.

Ids are the alphabet's, then the merges' in rank order, then the special tokens'. A pair that makes
a string which is in the vocabulary already adds no id. Cost: linear in the merges.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from bytewright.definition import ADDED, MODEL, SPECIAL, Definition, build, make_header
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.formats.patterns import pattern_steps
from bytewright.specials import special_entries, special_texts

__all__ = ["of_merges"]

_BYTES: Final = bytes(range(256))


def of_merges(
    merges: Iterable[tuple[bytes, bytes]],
    *,
    alphabet: Iterable[bytes] | bytes | None = None,
    pattern: str | None = None,
    special_tokens: Sequence[str] = (),
) -> Definition:
    """The definition of merges; arguments and errors are those of `Tokenizer.from_merges`."""
    tokens = _alphabet(alphabet)
    units = [-1] * 256
    for token_id, token in enumerate(tokens):
        units[token[0]] = token_id
    ids = {token: token_id for token_id, token in enumerate(tokens)}
    rows = _merge_rows(merges, ids)
    tokens = list(ids)
    kinds = [MODEL] * len(tokens)
    special = special_texts(special_tokens)
    added = special_entries(special, len(tokens))
    tokens += [text.encode() for text in special]
    kinds += [ADDED | SPECIAL] * len(added)
    header = make_header(
        unit="byte",
        byte_units=units,
        pretokenizer=() if pattern is None else pattern_steps(pattern),
        added=added,
        pattern=pattern,
    )
    header["strict"] = True
    return build(tokens, kinds=kinds, merges=rows, header=header)


def _alphabet(alphabet: Iterable[bytes] | bytes | None) -> list[bytes]:
    source = _BYTES if alphabet is None else alphabet
    if not isinstance(source, Iterable):
        raise ArgumentTypeError(f"alphabet must be bytes, not {type(source).__name__}")
    tokens = [bytes([b]) for b in source] if isinstance(source, bytes) else list(source)
    seen = set()
    for token in tokens:
        if not isinstance(token, bytes) or len(token) != 1 or token in seen:
            raise ArgumentError(f"alphabet entry {token!r}: distinct single bytes are allowed")
        seen.add(token)
    return tokens


def _merge_rows(
    merges: Iterable[tuple[bytes, bytes]], ids: dict[bytes, int]
) -> list[tuple[int, int, int]]:
    """Rows of ids; products that are new join `ids`."""
    if not isinstance(merges, Iterable):
        raise ArgumentTypeError(f"merges must be pairs of bytes, not {type(merges).__name__}")
    pairs = []
    for rank, pair in enumerate(merges):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ArgumentError(f"merge {rank} is {pair!r}: a pair of bytes is needed")
        for part in pair:
            if not isinstance(part, bytes):
                raise ArgumentError(f"merge {rank} {tuple(pair)}: {part!r} is not bytes")
        pairs.append((pair[0], pair[1]))
        ids.setdefault(pair[0] + pair[1], len(ids))
    for rank, pair in enumerate(pairs):
        for part in pair:
            if part not in ids:
                raise ArgumentError(
                    f"merge {rank} {pair}: {part!r} is neither in the alphabet nor made by a merge"
                )
    return [(ids[left], ids[right], ids[left + right]) for left, right in pairs]
