"""Texts and ids that arrive bit by bit."""

import codecs
import copy
from collections.abc import Sequence
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bytewright import _core, arrays
from bytewright.arguments import word
from bytewright.errors import ArgumentTypeError

__all__ = ["ErrorHandling", "Ids", "StreamDecoder", "StreamEncoder", "check_errors"]

Ids: TypeAlias = Sequence[int] | NDArray[np.integer] | pa.Array
ErrorHandling = Literal["strict", "replace", "ignore", "backslashreplace", "surrogateescape"]


def check_errors(errors: object) -> None:
    """Raise if this does not say what becomes of bytes that are not UTF-8."""
    word(errors, "errors", get_args(ErrorHandling))


class StreamEncoder:
    """Encodes one text that arrives in chunks; the ids are those of the whole text.

    Memory is that of about one chunk, or of the longest stretch that cannot be cut: a piece, or
    marks on one letter. The whole text is kept by a pattern that looks behind itself or joins its
    pieces, and by a normalizer that strips or collapses spaces, replaces a regex, or has compiled
    rules.

    >>> import bytewright as bw
    >>> encoder = bw.Tokenizer.from_merges([(b"l", b"o")]).stream_encoder()
    >>> [*encoder.push(b"l"), *encoder.push(b"o"), *encoder.finish()] == [256]
    True
    """

    def __init__(self, core: _core.StreamEncoder) -> None:
        self._core = core

    def push(self, data: bytes) -> NDArray[np.int32]:
        """Take the next bytes; returns the ids that are certain, often none."""
        if not isinstance(data, bytes):
            raise ArgumentTypeError(f"data must be bytes, not {type(data).__name__}")
        return self._core.push(data)

    def finish(self) -> NDArray[np.int32]:
        """The ids of what is left; the encoder is then ready for another text."""
        return self._core.finish()

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise ArgumentTypeError(
            "an encoder of a stream is neither copied nor pickled: make another"
        )


class StreamDecoder:
    """Decodes ids that arrive one by one, losing and repeating no byte.

    A copy goes on by itself from where the decoder is.

    >>> import bytewright as bw
    >>> decoder = bw.Tokenizer.from_merges([]).stream_decoder()
    >>> [decoder.push(0xC3), decoder.push([0xA9]), decoder.finish()]
    ['', 'é', '']
    """

    def __init__(
        self, core: _core.Tokenizer, errors: ErrorHandling, *, strips: bool, unk: int | None
    ) -> None:
        """Users have `Tokenizer.stream_decoder`.

        `strips` drops the first space of the text, unless the text begins with the id `unk`.
        """
        check_errors(errors)
        self._core = core
        self._strips = strips
        self._unk = unk
        self._first: int | None = None
        self._began = False
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors)

    def push(self, ids: int | np.integer | Ids) -> str:
        """The text that `ids` complete; bytes of an unfinished character are kept."""
        return self._utf8.decode(self.push_bytes(ids))

    def push_bytes(self, ids: int | np.integer | Ids) -> bytes:
        """The bytes of `ids`, for callers who assemble characters themselves."""
        some = arrays.as_ids([ids] if isinstance(ids, (int, np.integer)) else ids)
        if not self._strips:
            return self._core.decode_bytes(some)
        tokens = list(some)
        data = b"".join(map(self._core.token_bytes, tokens))
        if self._first is None and tokens:
            self._first = tokens[0]
        if data and not self._began:
            # Only the first space of the whole text is dropped.
            self._began = True
            return data if self._first == self._unk else data.removeprefix(b" ")
        return data

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._utf8 = codecs.getincrementaldecoder("utf-8")(self._utf8.errors)
        other._utf8.setstate(self._utf8.getstate())
        return other

    def __deepcopy__(self, memo: object) -> Self:
        return copy.copy(self)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise ArgumentTypeError("a decoder of a stream is not pickled: pickle its tokenizer")

    def finish(self) -> str:
        """What remains of an unfinished character, by the `errors` rule; then starts anew."""
        self._began, self._first = False, None
        try:
            return self._utf8.decode(b"", final=True)
        finally:
            self._utf8.reset()
