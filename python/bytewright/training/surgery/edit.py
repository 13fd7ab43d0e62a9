"""Changing the tables of a tokenizer: what all surgery stands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import instance
from bytewright.definition import MODEL, Definition, build
from bytewright.errors import ArgumentError, UnsupportedError
from bytewright.tokenizer import Tokenizer

__all__ = ["GONE", "Surgery", "Tables", "bare", "byte_level", "rebuild", "renumber"]

GONE: Final = -1
"""In a map of ids: the token is no more."""


@dataclass(frozen=True)
class Surgery:
    """A changed tokenizer, and where every token of the old one went.

    Attributes:
        tokenizer: the new tokenizer.
        new_ids: the new id of each old one, shape `[old_vocab]`; -1 for a token that is no more.
        removed: the old ids that are no more, in the order in which they were removed.
        added: the new ids of tokens that the old tokenizer had not, ascending.
    """

    tokenizer: Tokenizer
    new_ids: NDArray[np.int32]  # [old_vocab]
    removed: tuple[int, ...] = ()
    added: tuple[int, ...] = ()


@dataclass
class Tables:
    """The parts of a definition, while they are worked on."""

    tokens: list[bytes | None]
    kinds: list[int]
    merges: NDArray[np.uint32]  # [n, 3]
    header: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, definition: Definition) -> Tables:
        """Copies of the tables of a definition."""
        # What was known of the old merges does not hold for the new ones.
        header = {k: v for k, v in definition.rules().items() if k != "unreachable"}
        return cls(definition.tokens(), list(definition.kinds), definition.merge_rows(), header)

    def add_merges(self, rows: NDArray[np.uint32]) -> list[int]:
        """Append merges, whose new products get the next ids in order; returns these ids."""
        first = len(self.tokens)
        for left, right, product in rows.tolist():
            if product == len(self.tokens):
                self.tokens.append((self.tokens[left] or b"") + (self.tokens[right] or b""))
                self.kinds.append(MODEL)
        self.merges = np.concatenate([self.merges, rows.reshape(-1, 3)])
        return list(range(first, len(self.tokens)))

    def add_special(self, entries: Iterable[Mapping[str, Any]], kinds: Iterable[int]) -> list[int]:
        """Append added tokens, which get the next ids; returns these ids."""
        first = len(self.tokens)
        added = [*self.header["added"]]
        for entry, kind in zip(entries, kinds, strict=True):
            added.append(dict(entry) | {"id": len(self.tokens)})
            self.tokens.append(str(entry["content"]).encode())
            self.kinds.append(kind & ~MODEL)
        self.header["added"] = added
        return list(range(first, len(self.tokens)))

    def drop_last_gaps(self) -> None:
        """Take the ids away that nothing has behind the last that something has."""
        size = len(bytes(self.kinds).rstrip(b"\0"))
        del self.tokens[size:], self.kinds[size:]


def rebuild(tables: Tables) -> Tokenizer:
    """A tokenizer of these tables."""
    return Tokenizer(
        build(tables.tokens, kinds=tables.kinds, merges=tables.merges, header=tables.header)
    )


def byte_level(tokenizer: Tokenizer, what: str) -> dict[str, Any]:
    """The rules of a tokenizer whose text is made of bytes.

    Raises:
        UnsupportedError: it is made of characters, or treats the end of a piece specially.
    """
    instance(tokenizer, Tokenizer, "tokenizer")
    rules: dict[str, Any] = tokenizer.definition.rules()
    if rules["unit"] != "byte" or rules["final_byte_units"] is not None:
        raise UnsupportedError(
            f"{what} is for byte-level tokenizers: this one is made of characters"
        )
    if rules.get("replay") or rules.get("supermerges"):
        raise UnsupportedError(
            f"{what} is for merges by rank: this one has other rules beside them"
        )
    return rules


def bare(definition: Definition) -> Tokenizer:
    """The merges alone: no normalizer, no pre-tokenizer, no added tokens."""
    tables = Tables.of(definition)
    tables.header |= {"normalizer": [], "pretokenizer": [], "added": [], "ignore_merges": False}
    return rebuild(tables)


def renumber(tables: Tables, keep: Sequence[bool] | NDArray[np.bool_]) -> NDArray[np.int32]:
    """Take the other tokens out and close the gaps; returns the new id of each old one.

    Merges of a token that is taken out go with it.
    """
    kept = np.asarray(keep, dtype=bool)
    new_ids = np.where(kept, np.cumsum(kept) - 1, GONE).astype(np.int32)
    rows = tables.merges[kept[tables.merges].all(axis=1)] if len(tables.merges) else tables.merges
    tables.merges = new_ids[rows].astype(np.uint32)
    tables.tokens = [token for token, stays in zip(tables.tokens, kept, strict=True) if stays]
    tables.kinds = [kind for kind, stays in zip(tables.kinds, kept, strict=True) if stays]
    header = tables.header
    for name in ("byte_units", "final_byte_units"):
        if header[name] is not None:
            header[name] = [_renumbered(i, new_ids, name) for i in header[name]]
    if header["unk"] is not None:
        header["unk"] = _renumbered(header["unk"], new_ids, "unknown token")
    header["added"] = [
        entry | {"id": _renumbered(entry["id"], new_ids, "added token")}
        for entry in header["added"]
    ]
    header["template"] = {
        side: [_renumbered(i, new_ids, "template") for i in ids]
        for side, ids in header["template"].items()
    }
    return new_ids


def _renumbered(token_id: int, new_ids: NDArray[np.int32], what: str) -> int:
    if token_id < 0:
        return token_id
    new = int(new_ids[token_id])
    if new == GONE:
        raise ArgumentError(f"token {token_id} cannot be taken out: it is needed as {what}")
    return new
