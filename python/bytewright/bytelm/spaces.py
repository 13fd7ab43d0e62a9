"""The space that a tokenizer may put before a text, as SentencePiece does."""

from __future__ import annotations

from bytewright.tokenizer import Tokenizer

__all__ = ["bare_ids", "is_spaced"]

# Characters that join with nothing; each vocabulary has one.
_MARKS = ("☺".encode(), b"\n", b"\0")


def is_spaced(tok: Tokenizer, text: bytes) -> bool:
    """Whether the tokenizer puts a space before a text."""
    return b"".join(map(tok.token_bytes, tok.encode(text))) == b" " + text


def bare_ids(tok: Tokenizer, text: bytes) -> list[int]:
    """The ids of a text that goes on with another, without the space that may be put before it."""
    ids = tok.encode(text)
    if not is_spaced(tok, text):
        return ids
    # Behind such a character no space is put.
    for mark in _MARKS:
        alone, whole = tok.encode(mark), tok.encode(mark + text)
        if whole[: len(alone)] == alone:
            return whole[len(alone) :]
    return ids
