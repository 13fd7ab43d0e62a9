"""GPT-2's printable stand-ins for bytes: reading and writing token strings.

Radford et al. 2019, `encoder.py`: bytes that are printable in Latin-1 stand for themselves, the
others are the characters from U+0100 on, in byte order. One character is one byte, so a whole
vocabulary is translated as one array lookup: about 5 ms for 200,000 tokens.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["GPT2_BYTE_ORDER", "STAND_INS", "from_stand_ins", "to_stand_ins"]

_PRINTABLE: Final = [*range(33, 127), *range(161, 173), *range(174, 256)]
_HIDDEN: Final = sorted(set(range(256)) - set(_PRINTABLE))
GPT2_BYTE_ORDER: Final = (*_PRINTABLE, *_HIDDEN)
"""The bytes in the order of their stand-ins."""


def _table() -> str:
    stand_ins = {byte: byte for byte in _PRINTABLE}
    stand_ins |= {byte: 256 + index for index, byte in enumerate(_HIDDEN)}
    return "".join(chr(stand_ins[byte]) for byte in range(256))


STAND_INS: Final = _table()
"""The stand-in of byte `b` is `STAND_INS[b]`."""

_NOT_A_STAND_IN: Final = 256
_FIRST_OUTSIDE: Final = 256 + len(_HIDDEN)


def _inverse() -> NDArray[np.uint16]:
    table = np.full(_FIRST_OUTSIDE + 1, _NOT_A_STAND_IN, dtype=np.uint16)
    for byte, character in enumerate(STAND_INS):
        table[ord(character)] = byte
    return table


_INVERSE: Final = _inverse()


def from_stand_ins(texts: Sequence[str]) -> tuple[list[bytes], set[int]]:
    r"""The bytes of token strings, and the indices of strings that are not made of stand-ins.

    A string with any other character keeps its UTF-8 bytes.

    >>> from_stand_ins(["\u0120the", "a b"])
    ([b' the', b'a b'], {1})
    """
    ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4")
    found = _INVERSE[np.minimum(codes, _FIRST_OUTSIDE)]
    outside = np.flatnonzero(found == _NOT_A_STAND_IN)
    plain = set(np.unique(np.searchsorted(ends, outside, side="right")).tolist())
    arena = found.astype(np.uint8).tobytes()
    stops = ends.tolist()
    tokens = [arena[a:b] for a, b in zip([0, *stops[:-1]], stops, strict=True)] if stops else []
    for index in plain:
        tokens[index] = texts[index].encode()
    return tokens, plain


def to_stand_ins(token: bytes) -> str:
    """A token as a string of stand-ins.

    >>> to_stand_ins(b" the")
    'Ġthe'
    """
    return token.decode("latin-1").translate(_TRANSLATION)


_TRANSLATION: Final = dict(enumerate(STAND_INS))
