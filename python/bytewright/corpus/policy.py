"""What goes around a document, and how wide a stored id is.

Nothing is ever added silently: with `bos=None` and `eos=None` a document is its own ids and nothing
else. What was asked for is kept, as ids, in the manifest and in each Parquet or Arrow file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bytewright.arguments import is_integer
from bytewright.errors import ArgumentError, ArgumentTypeError

__all__ = ["CorpusTokenizer", "Encoded", "Format", "Policy", "StreamEncoder", "choose_dtype"]

Format = Literal["parquet", "arrow", "megatron", "bin", "npy"]

_DTYPES: Mapping[str, Sequence[str]] = {
    "parquet": ("int32",),
    "arrow": ("int32",),
    "megatron": ("uint16", "int32"),
    "bin": ("uint16", "uint32", "int32"),
    "npy": ("uint16", "uint32", "int32"),
}


class StreamEncoder(Protocol):
    """Encodes one document that arrives in pieces; the ids are those of the whole document."""

    def push(self, data: bytes, /) -> NDArray[np.int32]:
        """The ids that no later byte can change."""
        ...

    def finish(self) -> NDArray[np.int32]:
        """The remaining ids."""
        ...


class CorpusTokenizer(Protocol):
    """What of a `Tokenizer` the corpus pipeline uses."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides behaviour."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        ...

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Text of each special token and its id."""
        ...

    @property
    def template(self) -> tuple[Sequence[int], Sequence[int]]:
        """Ids that the vocabulary's own format puts before and after a text."""
        ...

    def encode_batch(self, texts: Any, *, threads: int | None = None) -> pa.ListArray:
        """One list of ids for each text; null for null."""
        ...

    def stream_encoder(self) -> StreamEncoder:
        """An encoder for one document in pieces."""
        ...


@dataclass(frozen=True)
class Encoded:
    """Encoded documents: `values` int32[m], `offsets` int64[n+1], `valid` bool[n], `ids` or None.

    Where `valid` is false the document was null and has no ids.
    """

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]
    valid: NDArray[np.bool_]
    ids: pa.Array | None

    def __len__(self) -> int:
        return len(self.valid)

    def slice(self, start: int, stop: int) -> Encoded:
        """Documents `start` to `stop`, sharing the values."""
        offsets = self.offsets[start : stop + 1]
        return Encoded(
            self.values[offsets[0] : offsets[-1]],
            offsets - offsets[0],
            self.valid[start:stop],
            None if self.ids is None else self.ids.slice(start, stop - start),
        )


@dataclass(frozen=True)
class Policy:
    """The ids put before and after each document that is not null."""

    bos: tuple[int, ...]
    eos: tuple[int, ...]

    @classmethod
    def resolve(
        cls, tokenizer: CorpusTokenizer, bos: int | str | None, eos: int | str | None
    ) -> Policy:
        """Look the two arguments up in the tokenizer."""
        return cls(_ids(tokenizer, "bos", bos), _ids(tokenizer, "eos", eos))

    def apply(self, lists: pa.ListArray, ids: pa.Array | None) -> Encoded:
        """Put the ids around every document that is not null; cost one pass over the values."""
        valid = np.asarray(lists.is_valid())
        lengths = np.where(valid, np.diff(np.asarray(lists.offsets)), 0).astype(np.int64)
        # `flatten` leaves out what a null slot may hide, so it agrees with the masked lengths.
        values = np.asarray(lists.flatten())
        offsets = _offsets(lengths)
        if not self.bos and not self.eos:
            return Encoded(values, offsets, valid, ids)
        padded = _offsets(lengths + valid * (len(self.bos) + len(self.eos)))
        out = np.empty(padded[-1], np.int32)
        own = np.ones(padded[-1], np.bool_)
        starts, ends = padded[:-1][valid], padded[1:][valid]
        for place, token in enumerate(self.bos):
            out[starts + place] = token
            own[starts + place] = False
        for place, token in enumerate(reversed(self.eos), start=1):
            out[ends - place] = token
            own[ends - place] = False
        out[own] = values
        return Encoded(out, padded, valid, ids)


def check_corpus_tokenizer(tokenizer: object) -> None:
    """Raise if something does not encode texts."""
    needed = [name for name in vars(CorpusTokenizer) if not name.startswith("_")]
    absent = [name for name in needed if not hasattr(tokenizer, name)]
    if isinstance(tokenizer, type) or absent:
        without = f" without {', '.join(absent)}" if len(absent) < len(needed) else ""
        raise ArgumentTypeError(
            f"tokenizer: a Tokenizer is needed, not {type(tokenizer).__name__}{without}"
        )


def choose_dtype(format: Format, dtype: str | None, vocab_size: int) -> str:
    """The width of a stored id: what was asked for, if it fits, or the custom of the format.

    Parquet and Arrow: int32, as Spark and torch want it. Megatron: uint16 under 65500 ids, else
    int32, as its own tools choose. Flat files: uint16 up to 65536 ids, else uint32.

    >>> choose_dtype("bin", None, 50257), choose_dtype("megatron", None, 200_000)
    ('uint16', 'int32')
    """
    allowed = _DTYPES[format]
    if dtype is None:
        limit = 65499 if format == "megatron" else 65536
        return allowed[0] if len(allowed) == 1 or vocab_size <= limit else allowed[1]
    if not isinstance(dtype, str) or dtype not in allowed:
        raise ArgumentError(
            f"dtype {dtype!r} is not one of format {format!r}, which has {', '.join(allowed)}"
        )
    if dtype == "uint16" and vocab_size > 65536:
        raise ArgumentError(f"dtype 'uint16' cannot hold the ids of {vocab_size} tokens")
    return dtype


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _ids(tokenizer: CorpusTokenizer, name: str, value: int | str | None) -> tuple[int, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        if value == "template":
            prefix, suffix = tokenizer.template
            return tuple(int(token) for token in (prefix if name == "bos" else suffix))
        found = tokenizer.special_tokens.get(value)
        if found is None:
            known = ", ".join(sorted(tokenizer.special_tokens)[:20]) or "none"
            raise ArgumentError(f"{name}={value!r} is not a special token; there are: {known}")
        return (found,)
    if not is_integer(value):
        raise ArgumentTypeError(
            f"{name} must be an id, the text of a special token or None, not {type(value).__name__}"
        )
    if not 0 <= value < tokenizer.vocab_size:
        raise ArgumentError(
            f"{name}={value!r} is outside the vocabulary of {tokenizer.vocab_size} tokens"
        )
    return (int(value),)
