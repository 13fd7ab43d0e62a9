"""The tokenizer: text to ids and back, exactly, for any bytes.

A thin layer over the compiled core: it converts arguments, builds Arrow arrays from the core's
buffers without a copy, and carries the documentation. A tokenizer is immutable. Options belong to
the call, so one object serves any number of threads, processes (it pickles) and forks.

Bytes that are not valid UTF-8 are encoded too: a maximal well-formed UTF-8 sequence is one
character, and every other byte is a character of its own that is neither letter, mark, number,
white space nor line break. No normalizer changes such a byte.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from types import MappingProxyType
from typing import Any, Literal, Self, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bytewright import _core, arrays, formats
from bytewright.arguments import instance
from bytewright.definition import Definition
from bytewright.errors import ArgumentError, ArgumentTypeError, LoadError
from bytewright.sizes import whole
from bytewright.streams import ErrorHandling, Ids, StreamDecoder, StreamEncoder, check_errors

__all__ = ["Tokenizer"]

Text = str | bytes
AllowedSpecial = Literal["all"] | Iterable[str]


class Tokenizer:
    """A byte-level BPE tokenizer.

    Made by `load` from a file, by `from_merges` from merges, or by unpickling.

    >>> tok = Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
    >>> tok.encode("low tide")
    [257, 32, 116, 105, 100, 101]
    >>> tok.decode_bytes([257, 32, 116])
    b'low t'
    """

    _definition: Definition
    _core: _core.Tokenizer

    def __init__(self, definition: Definition) -> None:
        """Build from a definition; most callers want `load`.

        Raises:
            LoadError: the definition contradicts itself, or has a pattern that cannot run.
        """
        instance(definition, Definition, "definition")
        d = definition
        core = _core.Tokenizer(d.header, d.arena, d.offsets, d.kinds, d.merges)
        vars(self).update(_definition=definition, _core=core)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | Sequence[str] | None = None,
    ) -> Self:
        """Load a vocabulary, recognised by its content.

        Args:
            path: a Hugging Face `tokenizer.json`, tiktoken ranks, a Mistral `tekken.json`, a
                SentencePiece BPE `.model`, a GGUF file, or a folder with one of these or with
                `vocab.json` and `merges.txt`.
            pattern: for files that lack one: the name of a published pattern, or a regex.
            special_tokens: for tiktoken ranks: texts to ids, or texts that get the ids after the
                last rank.

        Raises:
            LoadError: not a readable vocabulary; the message says where it is broken.
            UnsupportedError: a part of it cannot be represented exactly; the part is named.
            PatternError: a regular expression that cannot run in linear time.
        """
        definition = formats.read(path, pattern=pattern, special_tokens=special_tokens)
        try:
            return cls(definition)
        except LoadError as error:
            raise type(error)(f"{os.fspath(path)}: {error}") from None

    @classmethod
    def from_merges(
        cls,
        merges: Iterable[tuple[bytes, bytes]],
        *,
        alphabet: Iterable[bytes] | bytes | None = None,
        pattern: str | None = None,
        special_tokens: Sequence[str] = (),
    ) -> Self:
        """A tokenizer from merges in rank order.

        Ids: the alphabet, then the merges, then the special tokens. A pair that makes a string
        which is in the vocabulary already adds no id.

        Args:
            merges: pairs of byte strings, each in the alphabet or made by a merge.
            alphabet: the single bytes of the vocabulary; all 256, in order, unless given. Text
                with other bytes is then an error.
            pattern: the name of a published pattern, or a regex; without one, text is one piece.
            special_tokens: their texts.

        Raises:
            ArgumentError: a merge of unknown parts, an alphabet of something else than distinct
                single bytes, a special token that is empty or given twice.
            PatternError: a regex that cannot run in linear time.

        >>> tok = Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab", special_tokens=["<end>"])
        >>> tok.encode("abba"), tok.special_tokens["<end>"]
        ([2, 1, 0], 3)
        """
        definition = formats.of_merges(
            merges, alphabet=alphabet, pattern=pattern, special_tokens=special_tokens
        )
        return cls(definition)

    def save(self, path: str | PathLike[str]) -> None:
        """Save as `tokenizer.json` (`.json`) or tiktoken ranks (`.tiktoken`).

        What another library loads from the file behaves as this tokenizer does.

        Raises:
            UnsupportedError: the format cannot express this tokenizer; the message says what.
            ArgumentError: another suffix.
            DataError: the file cannot be written.
        """
        formats.write(self._definition, path)

    # Encoding

    def encode(self, text: Text, *, allowed_special: AllowedSpecial = ()) -> list[int]:
        """The ids of a text.

        Args:
            text: `str`, or `bytes` that need not be valid UTF-8.
            allowed_special: special tokens to match in the text: their texts, or `"all"`. The
                text of every other special token is ordinary text.

        Raises:
            ArgumentError: a lone surrogate in a `str`; an unknown special token.
        """
        return self._core.encode(text, _allowed(allowed_special))

    def encode_array(
        self, text: Text, *, allowed_special: AllowedSpecial = ()
    ) -> NDArray[np.int32]:
        """The ids of a text as an array `[n]`, without a Python object for each."""
        return self._core.encode_array(text, _allowed(allowed_special))

    def encode_offsets(
        self, text: Text, *, allowed_special: AllowedSpecial = ()
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Ids `[n]` and offsets `[n + 1]`: token `i` begins at byte `offsets[i]` of the text.

        Offsets count bytes of the UTF-8 text as given, before any normalizer. The last is the
        length of the text.

        >>> tok = Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
        >>> tok.encode_offsets("low!")[1].tolist()
        [0, 3, 4]
        """
        return self._core.encode_offsets(text, _allowed(allowed_special), None)

    def encode_batch(
        self,
        texts: Any,
        *,
        allowed_special: AllowedSpecial = (),
        threads: int | None = None,
    ) -> pa.ListArray:
        """The ids of many texts as an Arrow `list<int32>` array, a row for each text.

        Args:
            texts: a sequence of `str`, `bytes` and None, or an Arrow string or binary array
                (large, view, dictionary, sliced, chunked), or anything that exports one.
            allowed_special: as for `encode`.
            threads: threads to use; all that the machine has unless given.

        Returns:
            One row for each input row; null where the input is null.

        Raises:
            ArgumentError: not text; a lone surrogate; more ids than an int32 offset can count.

        >>> tok = Tokenizer.from_merges([(b"l", b"o")])
        >>> tok.encode_batch(["lo", None, ""]).to_pylist()
        [[256], None, []]
        """
        allowed = _allowed(allowed_special)
        batch = arrays.as_batch(texts)
        values, offsets = self._core.encode_batch(batch.chunks, allowed, _threads(threads))
        return arrays.list_array(values, offsets, batch)

    def count(
        self, text: Text, *, allowed_special: AllowedSpecial = (), limit: int | None = None
    ) -> int:
        """How many ids a text has.

        With a limit, counting stops soon after it is passed: the result is exact when it is at
        most `limit`, and otherwise some number above it.
        """
        most = None if limit is None else whole(limit, "limit")
        return self._core.count(text, _allowed(allowed_special), most)

    def count_batch(
        self, texts: Any, *, allowed_special: AllowedSpecial = (), threads: int | None = None
    ) -> NDArray[np.int64]:
        """How many ids each text has, shape `[n]`; 0 for null."""
        allowed = _allowed(allowed_special)
        batch = arrays.as_batch(texts)
        counts = self._core.count_batch(batch.chunks, allowed, _threads(threads))
        return counts if batch.dictionary is None else arrays.take_counts(counts, batch)

    @overload
    def truncate(self, text: str, limit: int, *, allowed_special: AllowedSpecial = ()) -> str: ...
    @overload
    def truncate(
        self, text: bytes, limit: int, *, allowed_special: AllowedSpecial = ()
    ) -> bytes: ...
    def truncate(self, text: Text, limit: int, *, allowed_special: AllowedSpecial = ()) -> Text:
        """The text of the first `limit` ids, and so a prefix of `text` of the same type.

        Shortened further where that prefix would itself encode to more than `limit` ids, or, for
        `str`, would end inside a character.

        >>> Tokenizer.from_merges([(b"l", b"o")]).truncate("lolo", 1)
        'lo'
        """
        allowed = _allowed(allowed_special)
        room = whole(limit, "limit")
        ids, offsets = self._core.encode_offsets(text, allowed, room)
        end = int(offsets[-1])
        # No character has less than a byte, so that many of them hold that many bytes.
        data = text[: end + 1].encode() if isinstance(text, str) else text
        for at in range(len(ids), -1, -1):
            end = int(offsets[at])
            if isinstance(text, str):
                end = _character_border(data, end)
            part = data[:end]
            if self._core.count(part, allowed, room) <= room:
                return part.decode() if isinstance(text, str) else part
        return text[:0]

    def stream_encoder(self, *, allowed_special: AllowedSpecial = ()) -> StreamEncoder:
        """An encoder for one text that arrives in chunks of bytes."""
        return StreamEncoder(self._core.stream_encoder(_allowed(allowed_special)))

    def is_canonical(self, ids: Ids) -> bool:
        """Whether encoding the text of `ids` gives `ids` again.

        >>> tok = Tokenizer.from_merges([(b"l", b"o")])
        >>> tok.is_canonical([256]), tok.is_canonical([108, 111])
        (True, False)
        """
        return self._core.is_canonical(arrays.as_ids(ids))

    # Decoding

    def decode(self, ids: Ids, errors: ErrorHandling = "replace") -> str:
        """The text of ids; `errors` says what becomes of bytes that are not UTF-8.

        Raises:
            UnknownTokenError: an id outside the vocabulary.
            UnicodeDecodeError: bytes that are not UTF-8, with `errors="strict"`.
        """
        check_errors(errors)
        return self.decode_bytes(ids).decode("utf-8", errors)

    def decode_bytes(self, ids: Ids) -> bytes:
        """The bytes of ids.

        Where the format's normalizer changes nothing, `decode_bytes(encode(b)) == b` for every
        byte string `b`. Special tokens have their text.

        Where encoding put a space before the text, one space is taken from its start, unless it
        begins with the unknown token. For a SentencePiece model this is what `sentencepiece`
        makes of any text's ids, but for U+2581 in the text, which is a space there. Of other ids
        it makes something else where they begin with a byte piece, whose space stays there; where
        they begin with several spaces and the model has `remove_extra_whitespaces`, when all
        pieces that are nothing but a space go there; where they hold control pieces such as
        `<s>`, which have no text there; and of bytes that are not UTF-8, each U+FFFD there.

        Raises:
            UnknownTokenError: an id outside the vocabulary.
        """
        return self._core.decode_bytes(arrays.as_ids(ids))

    def decode_batch(self, lists: Any) -> pa.BinaryArray:
        """The bytes of many id lists: an Arrow list array or a sequence of sequences.

        Returns:
            A binary array with a row for each list, null for null; `large_binary` when the text
            is more than 2 GB.
        """
        values, offsets, valid = arrays.as_lists(lists)
        data, ends = self._core.decode_batch(values, offsets)
        return arrays.binary_array(data, ends, valid)

    def stream_decoder(self, *, errors: ErrorHandling = "replace") -> StreamDecoder:
        """A decoder for ids that arrive one by one."""
        strips = bool(self._rules["decoder"]["strip_leading_space"])
        return StreamDecoder(self._core, errors, strips=strips, unk=self._rules["unk"])

    # What it is

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return self._core.vocab_size

    def token_bytes(self, id: int) -> bytes:
        """The bytes that a token stands for.

        Raises:
            UnknownTokenError: no token has this id.
        """
        return self._core.token_bytes(id)

    def token_id(self, token: bytes) -> int | None:
        """The id of a token by its bytes, or None."""
        if not isinstance(token, bytes):
            raise ArgumentTypeError(f"token must be bytes, not {type(token).__name__}")
        return self._core.token_id(token)

    @cached_property
    def special_tokens(self) -> Mapping[str, int]:
        """Texts of the special tokens to their ids."""
        added = self._rules["added"]
        return MappingProxyType({t["content"]: t["id"] for t in added if t["special"]})

    @property
    def pattern(self) -> str | None:
        """The pre-tokenizer as the format names it: a published name or a regex."""
        pattern = self._rules["pattern"]
        assert pattern is None or isinstance(pattern, str)
        return pattern

    @property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """The merges in rank order, as pairs of byte strings; a new list each time."""
        return list(self._merges)

    @cached_property
    def _merges(self) -> list[tuple[bytes, bytes]]:
        tokens = self._definition.tokens()
        pairs = self._definition.merge_rows()[:, :2].tolist()
        return [(tokens[left] or b"", tokens[right] or b"") for left, right in pairs]

    @property
    def template(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids that the format itself puts before and after a text; never added unasked."""
        template = self._rules["template"]
        return tuple(template["prefix"]), tuple(template["suffix"])

    @cached_property
    def fingerprint(self) -> str:
        """sha256, in hex, over everything that decides behaviour."""
        return self._definition.fingerprint

    @property
    def definition(self) -> Definition:
        """What this tokenizer was built from."""
        return self._definition

    @cached_property
    def _rules(self) -> dict[str, Any]:
        rules: dict[str, Any] = json.loads(self._definition.header)
        return rules

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a tokenizer is immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a tokenizer is immutable: {name!r} cannot be deleted")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[Definition]]:
        # The slow part of building is left out of unpickling.
        return type(self), (self._definition.with_unreachable(self._core.unreachable().tolist()),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return self is other or self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"<Tokenizer of {self.vocab_size} tokens, pattern {self.pattern!r}>"


def _allowed(allowed_special: AllowedSpecial) -> Literal["none", "all"] | list[str]:
    if isinstance(allowed_special, str):
        if allowed_special == "all":
            return "all"
        raise ArgumentError(
            f"allowed_special={allowed_special!r}: a collection of special tokens, or 'all'"
        )
    if isinstance(allowed_special, tuple) and not allowed_special:
        return "none"
    if isinstance(allowed_special, bytes) or not isinstance(allowed_special, Iterable):
        raise ArgumentTypeError(
            f"allowed_special={allowed_special!r}: a collection of special tokens, or 'all'"
        )
    return list(allowed_special)


def _character_border(utf8: bytes, at: int) -> int:
    """The last border between characters up to `at`."""
    while at < len(utf8) and utf8[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _threads(threads: int | None) -> int | None:
    return None if threads is None else whole(threads, "threads", least=1)
