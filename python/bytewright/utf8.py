"""Characters of UTF-8 that are not whole (RFC 3629, section 4)."""

from __future__ import annotations

__all__ = ["CONTINUATION", "LEADS", "missing", "second_bytes", "unfinished"]

# Second bytes after a first byte that not every continuation byte may follow: longer forms than
# needed, surrogates, and what lies behind the last character.
_NARROW = {
    0xE0: range(0xA0, 0xC0),
    0xED: range(0x80, 0xA0),
    0xF0: range(0x90, 0xC0),
    0xF4: range(0x80, 0x90),
}
CONTINUATION = range(0x80, 0xC0)
"""Bytes of a character behind the first, where it does not say less."""

LEADS = range(0xC2, 0xF5)
"""First bytes of characters of several."""


def unfinished(data: bytes | bytearray) -> bytes:
    r"""The character that the data ends inside of, as far as it goes; nothing where it ends whole.

    >>> unfinished("a中".encode()[:-1]), unfinished("a中".encode()), unfinished(b"\xe4\xff")
    (b'\xe4\xb8', b'', b'')
    """
    for size in range(1, 1 + min(3, len(data))):
        tail = bytes(data[-size:])
        if tail[0] in LEADS:
            return tail if _goes_on(tail) else b""
    return b""


def _goes_on(tail: bytes) -> bool:
    """Whether the bytes begin a character and do not end it."""
    lead, rest = tail[0], tail[2:]
    second = all(byte in second_bytes(lead) for byte in tail[1:2])
    return len(tail) < _length(lead) and second and all(byte in CONTINUATION for byte in rest)


def missing(tail: bytes) -> int:
    r"""How many bytes finish this unfinished character.

    >>> missing(b"\xe4\xb8"), missing(b"\xf0"), missing(b"")
    (1, 3, 0)
    """
    return _length(tail[0]) - len(tail) if tail else 0


def _length(lead: int) -> int:
    return 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def second_bytes(lead: int) -> range:
    """The bytes that may follow the first of a character.

    >>> hex(second_bytes(0xE0).start), hex(second_bytes(0xE1).start)
    ('0xa0', '0x80')
    """
    return _NARROW.get(lead, CONTINUATION)
