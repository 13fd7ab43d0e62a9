"""SentencePiece `.model` files of type BPE, with or without byte fallback.

The file is a Protocol Buffers message: pieces with score and type, and how the text is normalized.
The definition keeps plain spaces where the pieces have U+2581, and so does the normalizer, since
SentencePiece maps both to the same symbol. Control pieces become special tokens, which
SentencePiece itself never matches; each stretch of text between them is encoded as SentencePiece
encodes a text. User-defined pieces are matched always, in the normalized text. The unknown piece
stands for the file's `unk_surface`, as in SentencePiece's own decoding.

Refused by name: other model types, white space as a suffix, a denormalizer, user-defined pieces
together with a character map, and what `pieces` refuses.
"""

import base64
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bytewright.definition import MAX_IDS, Definition, Step
from bytewright.errors import LoadError, UnsupportedError
from bytewright.formats import pieces, protobuf
from bytewright.formats.fields import read_bytes
from bytewright.formats.hf_model import AddedToken, Ends
from bytewright.formats.hf_steps import METASYMBOL

__all__ = ["read"]

_MODEL_TYPES: Final = {1: "UNIGRAM", 2: "BPE", 3: "WORD", 4: "CHAR"}
_BPE: Final = 2
_UNIGRAM: Final = 1

# Field numbers of sentencepiece_model.proto.
_PIECES, _TRAINER, _NORMALIZER, _DENORMALIZER = 1, 2, 3, 5
_TYPE, _AS_SUFFIX, _BYTE_FALLBACK, _UNK_SURFACE = 3, 24, 35, 44
_TEXT_KEY, _SCORE_KEY, _TYPE_KEY = 0x0A, 0x15, 0x18
_FLOAT: Final = struct.Struct("<f")
_CHARSMAP, _DUMMY_PREFIX, _REMOVE_EXTRA, _ESCAPE = 2, 3, 4, 5


@dataclass(slots=True)
class _Model:
    texts: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    trainer: dict[int, int | bytes] = field(default_factory=dict)
    normalizer: dict[int, int | bytes] = field(default_factory=dict)
    denormalizer: dict[int, int | bytes] = field(default_factory=dict)


def read(path: Path) -> Definition:
    """The definition of a SentencePiece model.

    Raises:
        LoadError: the message is malformed or contradicts itself.
        UnsupportedError: the model asks for what cannot be represented; it is named.
    """
    model = _parse(read_bytes(path), str(path))
    if not model.texts:
        raise LoadError(f"{path}: no pieces")
    _check_supported(model, path)
    escaped = bool(model.normalizer.get(_ESCAPE, 1))
    surface = model.trainer.get(_UNK_SURFACE, " \u2047 ".encode())
    if not isinstance(surface, bytes):
        raise LoadError(f"{path}: trainer_spec.unk_surface is not a string")
    table = pieces.PieceTable(
        where=str(path),
        texts=model.texts,
        scores=model.scores,
        types=model.types,
        unk=_unk(model, path),
        unk_surface=_text(surface, f"{path}: trainer_spec.unk_surface"),
        escaped=escaped,
    )
    dummy, extra = _flags(model)
    return pieces.lower(
        table,
        normalizer=_steps(model, escaped),
        added=_added(model, escaped),
        ends=Ends(strips=escaped and (dummy or extra)),
    )


def _parse(data: bytes, where: str) -> _Model:
    model = _Model()
    for number, kind, value in protobuf.fields(data, where=where):
        if number in (_PIECES, _TRAINER, _NORMALIZER, _DENORMALIZER) and kind != protobuf.BYTES:
            raise LoadError(f"{where}: field {number} has wire type {kind}, not a message")
        if number == _PIECES and isinstance(value, bytes):
            _add_piece(model, value, where)
        elif number == _TRAINER and isinstance(value, bytes):
            _update(model.trainer, value, f"{where}: trainer_spec")
        elif number == _NORMALIZER and isinstance(value, bytes):
            _update(model.normalizer, value, f"{where}: normalizer_spec")
        elif number == _DENORMALIZER and isinstance(value, bytes):
            _update(model.denormalizer, value, f"{where}: denormalizer_spec")
    return model


def _update(spec: dict[int, int | bytes], message: bytes, where: str) -> None:
    spec.update((number, value) for number, _, value in protobuf.fields(message, where=where))


def _add_piece(model: _Model, message: bytes, where: str) -> None:
    token_id = len(model.texts)
    if token_id >= MAX_IDS:
        raise LoadError(f"{where}: more than {MAX_IDS} pieces")
    text, score, kind = _usual_piece(message) or _any_piece(message, f"{where}: piece {token_id}")
    if not pieces.NORMAL <= kind <= pieces.BYTE:
        raise LoadError(f"{where}: piece {token_id}: type {kind} is not from 1 to 6")
    model.texts.append(_text(text, f"{where}: piece {token_id}"))
    model.scores.append(score)
    model.types.append(kind)


def _usual_piece(message: bytes) -> tuple[bytes, float, int] | None:
    """The piece, if its fields stand as every writer puts them: text, score, perhaps the type."""
    size = message[1] if len(message) > 1 else 0x80
    rest = message[2 + size :]
    if size >= 0x80 or message[0] != _TEXT_KEY or len(rest) not in (5, 7) or rest[0] != _SCORE_KEY:
        return None
    if len(rest) == 7 and (rest[5] != _TYPE_KEY or rest[6] >= 0x80):
        return None
    (score,) = _FLOAT.unpack_from(rest, 1)
    return message[2 : 2 + size], score, rest[6] if len(rest) == 7 else pieces.NORMAL


def _any_piece(message: bytes, where: str) -> tuple[bytes, float, int]:
    text, score, kind = b"", 0.0, pieces.NORMAL
    for number, wire, value in protobuf.fields(message, where=where):
        match number, wire, value:
            case 1, protobuf.BYTES, bytes(text):
                pass
            case 2, protobuf.FIXED32, bytes(raw):
                (score,) = _FLOAT.unpack(raw)
            case 3, protobuf.VARINT, int(kind):
                pass
            case ((1 | 2 | 3), _, _):
                raise LoadError(f"{where}: field {number} has wire type {wire}")
    return text, score, kind


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise LoadError(f"{where}: {raw[:40]!r} is not UTF-8") from error


def _check_supported(model: _Model, path: Path) -> None:
    kind = model.trainer.get(_TYPE, _UNIGRAM)
    if kind != _BPE:
        name = _MODEL_TYPES.get(kind, str(kind)) if isinstance(kind, int) else "of a wrong type"
        raise UnsupportedError(f"{path}: trainer_spec.model_type {name}: only BPE is supported")
    if model.trainer.get(_AS_SUFFIX, 0):
        raise UnsupportedError(f"{path}: trainer_spec.treat_whitespace_as_suffix")
    if model.denormalizer.get(_CHARSMAP, b""):
        raise UnsupportedError(f"{path}: denormalizer_spec.precompiled_charsmap")
    has_bytes = pieces.BYTE in model.types
    if has_bytes != bool(model.trainer.get(_BYTE_FALLBACK, 0)):
        there = "there" if has_bytes else "missing"
        raise LoadError(f"{path}: trainer_spec.byte_fallback: the byte pieces are {there}")
    defined = [t for t, k in zip(model.texts, model.types, strict=True) if k == pieces.USER_DEFINED]
    if defined and model.normalizer.get(_CHARSMAP, b""):
        raise UnsupportedError(
            f"{path}: user-defined pieces such as {defined[0]!r} together with a character map, "
            "which leaves them as they are"
        )
    spaced = [text for text in defined if " " in text or METASYMBOL in text]
    if spaced and _flags(model)[1]:
        raise UnsupportedError(
            f"{path}: the user-defined piece {spaced[0]!r} together with remove_extra_whitespaces"
        )


def _unk(model: _Model, path: Path) -> int:
    unknown = [i for i, kind in enumerate(model.types) if kind == pieces.UNKNOWN]
    if len(unknown) != 1:
        raise LoadError(f"{path}: {len(unknown)} unknown pieces: exactly one is needed")
    return unknown[0]


def _flags(model: _Model) -> tuple[bool, bool]:
    """Whether a space goes before the text, and whether extra spaces are removed."""
    spec = model.normalizer
    return bool(spec.get(_DUMMY_PREFIX, 1)), bool(spec.get(_REMOVE_EXTRA, 1))


def _steps(model: _Model, escaped: bool) -> list[Step]:
    dummy, extra = _flags(model)
    steps: list[Step] = []
    charsmap = model.normalizer.get(_CHARSMAP, b"")
    if charsmap and isinstance(charsmap, bytes):
        steps.append({"type": "charsmap", "base64": base64.b64encode(charsmap).decode()})
    if extra:
        steps.append({"type": "collapse_spaces"})
    if escaped:
        steps.append(pieces.spaces_step())
    if extra and escaped:
        # What stood at the end as U+2581 goes too: SentencePiece strips after escaping.
        steps.append({"type": "replace", "regex": r" +\z", "content": ""})
    if dummy:
        steps.append({"type": "prepend", "content": " "})
    return steps


def _added(model: _Model, escaped: bool) -> list[AddedToken]:
    added: list[AddedToken] = []
    for token_id, (text, kind) in enumerate(zip(model.texts, model.types, strict=True)):
        if kind == pieces.CONTROL:
            added.append(AddedToken(token_id, text, special=True, normalized=False))
        elif kind == pieces.USER_DEFINED and not (escaped and " " in text):
            plain = text.replace(METASYMBOL, " ") if escaped else text
            token = AddedToken(token_id, plain, special=False, normalized=True, verbatim=True)
            added.append(token)
    return added
