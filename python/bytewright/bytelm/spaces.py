"""The space that a tokenizer may put before a text, as SentencePiece does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bytewright.tokenizer import Tokenizer

__all__ = ["bare_ids", "bare_offsets", "is_spaced"]

# Characters that join with nothing; each vocabulary has one.
_MARKS = ("☺".encode(), b"\n", b"\0")


def is_spaced(tok: Tokenizer, text: bytes) -> bool:
    """Whether the tokenizer puts a space before a text."""
    return b"".join(map(tok.token_bytes, tok.encode(text))) == b" " + text


def bare_ids(tok: Tokenizer, text: bytes) -> list[int]:
    """The ids of a text that goes on with another, without the space that may be put before it."""
    mark, alone = _mark(tok, text)
    return tok.encode(mark + text)[alone:]


def bare_offsets(tok: Tokenizer, text: bytes) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The same, and where each token begins in the text, with the end of the last."""
    mark, alone = _mark(tok, text)
    ids, offsets = tok.encode_offsets(mark + text)
    return ids[alone:], offsets[alone:] - len(mark)


def _mark(tok: Tokenizer, text: bytes) -> tuple[bytes, int]:
    """A character behind which no space is put before the text, and how many tokens it is."""
    if is_spaced(tok, text):
        for mark in _MARKS:
            alone, whole = tok.encode(mark), tok.encode(mark + text)
            if whole[: len(alone)] == alone:
                return mark, len(alone)
    return b"", 0
