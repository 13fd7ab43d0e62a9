"""Special tokens as a caller names them: checked, and as entries of a definition's header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bytewright.errors import ArgumentError, ArgumentTypeError

__all__ = ["special_entries", "special_texts"]


def special_texts(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts, which must be distinct, not empty, and have UTF-8."""
    if not isinstance(texts, Iterable):
        raise ArgumentTypeError(f"special_tokens must be texts, not {type(texts).__name__}")
    found = () if isinstance(texts, str | bytes) else tuple(texts)
    for text in found:
        if not isinstance(text, str):
            raise ArgumentError(f"special token {text!r}: a str is needed")
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise ArgumentError(f"special token {text!r} has a lone surrogate, which has no UTF-8")
    if isinstance(texts, str | bytes) or len({*found}) != len(found) or not all(found):
        raise ArgumentError(f"special_tokens={texts!r}: distinct texts that are not empty")
    return found


def special_entries(texts: Sequence[str], first: int) -> list[dict[str, object]]:
    """Entries for tokens with the ids from `first` on, found wherever their text stands."""
    return [
        {
            "id": first + at,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for at, text in enumerate(texts)
    ]
