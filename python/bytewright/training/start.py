"""Where training begins, and how what was learned becomes a tokenizer.

The core numbers tokens in the order in which they come: bytes, then products. A start says which
bytes come first, which merges are there already, and what the ids are in the end:

- `Fresh` with `"raw"`: bytes 0 to 255, merges, special tokens.
- `Fresh` with `"gpt2"`: special tokens, bytes in the order of their printable stand-ins in GPT-2,
  merges. This is how `tokenizers` numbers them, and so how it breaks ties.
- `Continued`: every id of the old tokenizer, then what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bytewright.definition import ADDED, MODEL, SPECIAL, build, make_header
from bytewright.errors import ArgumentError, UnsupportedError
from bytewright.formats.byte_level import GPT2_BYTE_ORDER
from bytewright.formats.patterns import describe
from bytewright.specials import special_entries
from bytewright.tokenizer import Tokenizer
from bytewright.training.counts import steps_of
from bytewright.training.loop import Learned
from bytewright.training.surgery.edit import Tables, byte_level, rebuild

__all__ = ["ByteOrder", "Continued", "Fresh"]

ByteOrder = Literal["raw", "gpt2"]

_RAW: Final = bytes(range(256))
_SPECIAL: Final = ADDED | SPECIAL


@dataclass(frozen=True)
class Fresh:
    """A new vocabulary, perhaps with merges that it shall begin with."""

    byte_order: ByteOrder
    pattern: str | None
    special: tuple[str, ...]
    merges: tuple[tuple[bytes, bytes], ...]

    @property
    def order(self) -> bytes:
        """The byte of each of the first 256 tokens of the core."""
        return _RAW if self.byte_order == "raw" else bytes(GPT2_BYTE_ORDER)

    @property
    def initial(self) -> NDArray[np.uint32]:
        """The merges that are there already, by the core's ids, shape `[n, 2]`."""
        ids = {bytes([byte]): at for at, byte in enumerate(self.order)}
        return _rows(self.merges, ids)

    @property
    def others(self) -> int:
        """Tokens of the vocabulary that the core does not know."""
        return len(self.special)

    def tokenizer(self, learned: Learned) -> Tokenizer:
        """The tokenizer of what was learned."""
        before = len(self.special) if self.byte_order == "gpt2" else 0
        tokens: list[bytes | None] = [bytes([byte]) for byte in self.order]
        _add_products(tokens, learned.merges)
        first = 0 if before else len(tokens)
        special: list[bytes | None] = [text.encode() for text in self.special]
        kinds = [MODEL] * len(tokens)
        units = np.argsort(np.frombuffer(self.order, np.uint8)) + before
        header = make_header(
            unit="byte",
            byte_units=units.tolist(),
            pretokenizer=steps_of(self.pattern),
            added=special_entries(self.special, first),
            pattern=self.pattern,
        )
        header["strict"] = True
        marked = [_SPECIAL] * len(special)
        return Tokenizer(
            build(
                special + tokens if before else tokens + special,
                kinds=marked + kinds if before else kinds + marked,
                merges=learned.merges + np.uint32(before),
                header=header,
            )
        )


@dataclass(frozen=True)
class Continued:
    """A tokenizer that keeps every id and learns more."""

    old: Tokenizer
    special: tuple[str, ...]

    def __post_init__(self) -> None:
        rules = byte_level(self.old, "training on")
        if rules["normalizer"] or rules["ignore_merges"]:
            raise UnsupportedError(
                "training on is for tokenizers that neither normalize texts nor look pieces up "
                "before merging"
            )
        if sorted(rules["byte_units"])[0] < 0:
            raise UnsupportedError("training on needs a token for each of the 256 bytes")

    @property
    def pattern(self) -> str | None:
        """The pattern that cuts texts for the old tokenizer, and so for the new one.

        Raises:
            UnsupportedError: its steps have no name and are no single regex.
        """
        steps = self._rules["pretokenizer"]
        found = describe(steps) if steps else None
        if steps and (found is None or steps_of(found) != list(steps)):
            raise UnsupportedError("training on needs a pattern that is a name or one regex")
        return found

    @property
    def order(self) -> bytes:
        """Bytes by their old ids."""
        return bytes(np.argsort(self._rules["byte_units"], kind="stable").tolist())

    @property
    def initial(self) -> NDArray[np.uint32]:
        """The old merges by the core's ids."""
        ids = {bytes([byte]): at for at, byte in enumerate(self.order)}
        return _rows(self.old.merges, ids)

    @property
    def others(self) -> int:
        """Tokens that the core does not know: special ones, holes, ones that no merge makes."""
        made = set(self.old.definition.merge_rows()[:, 2].tolist())
        return self.old.vocab_size - len(made.union(self._rules["byte_units"])) + len(self.special)

    def tokenizer(self, learned: Learned) -> Tokenizer:
        """The old tokenizer with the merges that were learned after its own."""
        tables = Tables.of(self.old.definition)
        old = self.old.definition.merge_rows()
        size = self.old.vocab_size
        # The bytes of each token of the core, and its id in the tokenizer.
        tokens = [bytes([byte]) for byte in self.order]
        ids: list[int] = np.sort(self._rules["byte_units"]).tolist()
        rows = []
        for at, (left, right, product) in enumerate(learned.merges.tolist()):
            if product == len(ids):
                tokens.append(tokens[left] + tokens[right])
                known = int(old[at, 2]) if at < len(old) else self._idle(tokens[-1])
                ids.append(size if known is None else known)
                size += known is None
            if at >= len(old):
                rows.append((ids[left], ids[right], ids[product]))
        tables.add_merges(np.array(rows, np.uint32).reshape(-1, 3))
        added = special_entries(self.special, len(tables.tokens))
        tables.add_special(added, [_SPECIAL] * len(added))
        return rebuild(tables)

    def _idle(self, token: bytes) -> int | None:
        """The id of a token that the old tokenizer has but does not make."""
        found = self.old.token_id(token)
        idle = found is not None and self.old.definition.kinds[found] & MODEL
        return found if idle else None

    @cached_property
    def _rules(self) -> dict[str, Any]:
        return self.old.definition.rules()


def _rows(merges: Sequence[tuple[bytes, bytes]], ids: dict[bytes, int]) -> NDArray[np.uint32]:
    """Merges as rows of ids; products that are new join `ids`."""
    rows = []
    for rank, pair in enumerate(merges):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ArgumentError(f"initial merge {rank} is {pair!r}: a pair of bytes is needed")
        for part in pair:
            if not isinstance(part, bytes) or part not in ids:
                raise ArgumentError(
                    f"initial merge {rank} {tuple(pair)!r}: {part!r} is neither a byte nor made by "
                    "an earlier merge"
                )
        rows.append((ids[pair[0]], ids[pair[1]]))
        ids.setdefault(pair[0] + pair[1], len(ids))
    return np.array(rows, np.uint32).reshape(-1, 2)


def _add_products(tokens: list[bytes | None], merges: NDArray[np.uint32]) -> None:
    # Column by column: a list for each of many merges would wake the garbage collector.
    for left, right, product in zip(*merges.T.tolist(), strict=True):
        if product == len(tokens):
            tokens.append((tokens[left] or b"") + (tokens[right] or b""))
