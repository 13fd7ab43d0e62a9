"""Two vocabularies as one that is still BPE.

Rule: the first tokenizer stays as it is, ids and merges. The tokens that only the second has are
taken in the order in which it makes them. One that the merges so far bring to exactly two tokens
gets one more merge, of these two, behind all others; rounds over the rest follow until a round adds
nothing. What then still falls into more parts is left out and reported, since no text would become
it. So every token of the result can be reached, what the first tokenizer could reach it still can,
and the result does not depend on anything but the two.

It is not what training on both texts would give: merges of the second rank behind all of the first.

Cost: one merging of each new token's bytes a round; there are rarely more than three.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.definition import ADDED, MODEL
from bytewright.errors import ArgumentError
from bytewright.tokenizer import Tokenizer
from bytewright.training.surgery.edit import GONE, Tables, byte_level, rebuild

__all__ = ["MergedVocabulary", "merge_vocabularies"]


@dataclass(frozen=True)
class MergedVocabulary:
    """Two vocabularies in one.

    Attributes:
        tokenizer: the result.
        first_ids: the id of each token of the first tokenizer, shape `[its vocab]`: its own.
        second_ids: the id of each token of the second, shape `[its vocab]`; -1 for one left out.
        added: the ids of the tokens that the first had not, ascending.
        left_out: bytes of the tokens of the second that no single merge makes reachable.
    """

    tokenizer: Tokenizer
    first_ids: NDArray[np.int32]
    second_ids: NDArray[np.int32]
    added: tuple[int, ...]
    left_out: tuple[bytes, ...]


def merge_vocabularies(first: Tokenizer, second: Tokenizer) -> MergedVocabulary:
    """The tokens of two byte-level tokenizers in one; the rule is in the module's docstring.

    Pattern, normalizer and everything else is that of the first. Added and special tokens that
    only the second has get the last ids.

    Raises:
        UnsupportedError: a tokenizer that is not byte-level.
        ArgumentError: an alphabet without some bytes.

    >>> a = Tokenizer.from_merges([(b"h", b"e")])
    >>> b = Tokenizer.from_merges([(b"t", b"h"), (b"th", b"e"), (b"t", b"o")])
    >>> both = merge_vocabularies(a, b)
    >>> both.tokenizer.merges, both.left_out
    ([(b'h', b'e'), (b't', b'h'), (b't', b'he'), (b't', b'o')], ())
    """
    rules = byte_level(first, "merging vocabularies")
    other_rules = byte_level(second, "merging vocabularies")
    if -1 in rules["byte_units"] or -1 in other_rules["byte_units"]:
        raise ArgumentError("merging vocabularies needs all 256 bytes in both")
    tables = Tables.of(first.definition)
    wanted = _wanted(second, {*filter(None, tables.tokens)})
    d = first.definition
    flat, left_out = _core.graft_tokens(
        d.arena, d.offsets, d.kinds, np.array(rules["byte_units"], np.uint32), d.merges,
        b"".join(wanted), np.array([0, *accumulate(map(len, wanted))], "<u4").tobytes(),
    )  # fmt: skip
    added = tables.add_merges(flat.reshape(-1, 3))
    there = {entry["content"] for entry in tables.header["added"]}
    new = [entry for entry in other_rules["added"] if entry["content"] not in there]
    added += tables.add_special(new, [second.definition.kinds[entry["id"]] for entry in new])
    tokenizer = rebuild(tables)
    return MergedVocabulary(
        tokenizer,
        first_ids=np.arange(d.vocab_size, dtype=np.int32),
        second_ids=_places(second, tokenizer),
        added=tuple(added),
        left_out=tuple(wanted[at] for at in left_out.tolist()),
    )


def _wanted(tokenizer: Tokenizer, known: set[bytes]) -> list[bytes]:
    """Tokens that merges of a tokenizer make and that are not known, in the order of making."""
    d = tokenizer.definition
    tokens = d.tokens()
    made = (tokens[product] or b"" for product in d.merge_rows()[:, 2].tolist())
    return [token for token in dict.fromkeys(made) if token not in known]


def _places(old: Tokenizer, new: Tokenizer) -> NDArray[np.int32]:
    """The id in `new` of every token of `old`: added tokens by text, others by bytes."""
    added = {entry["content"].encode(): entry["id"] for entry in new.definition.rules()["added"]}  # type: ignore[attr-defined]
    kinds = new.definition.kinds
    places = {
        token: token_id
        for token_id, token in reversed([*enumerate(new.definition.tokens())])
        if token is not None and kinds[token_id] & MODEL
    }
    found = np.full(old.vocab_size, GONE, dtype=np.int32)
    for token_id, token in enumerate(old.definition.tokens()):
        if token is not None:
            table = added if old.definition.kinds[token_id] & ADDED else places
            found[token_id] = table.get(token, GONE)
    return found
