"""The model and the added tokens of a tokenizer.json, lowered to tokens, kinds and merges."""

import operator
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bytewright.definition import (
    ADDED,
    DECODE_ONLY,
    FALLBACK,
    MAX_IDS,
    MODEL,
    SPECIAL,
    Definition,
    build,
    make_header,
)
from bytewright.errors import LoadError, UnsupportedError
from bytewright.formats.byte_level import STAND_INS, from_stand_ins
from bytewright.formats.hf_steps import METASYMBOL, Steps
from bytewright.formats.patterns import describe

__all__ = ["BYTE_TOKENS", "AddedToken", "BpeModel", "Ends", "Merges", "assemble"]

BYTE_TOKENS: Final = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""Names of the byte-fallback tokens."""

Merges = tuple[Sequence[str], Sequence[str]]
"""Left parts and right parts in rank order: two flat lists, which the collector need not visit."""


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token matched in the text before the model sees it.

    Attributes:
        id: its token id.
        content: the text that it matches.
        special: matched only where the caller allows it.
        normalized: matched in the normalized text, after normalizing the content too.
        verbatim: with `normalized`: the content is already as it stands in normalized text.
        single_word: matched only between non-word characters.
        lstrip: takes white space on its left with it.
        rstrip: takes white space on its right with it.
    """

    id: int
    content: str
    special: bool
    normalized: bool
    verbatim: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False

    def header(self) -> dict[str, object]:
        """The entry of the definition's header."""
        entry: dict[str, object] = {
            "id": self.id,
            "content": self.content,
            "single_word": self.single_word,
            "lstrip": self.lstrip,
            "rstrip": self.rstrip,
            "normalized": self.normalized,
            "special": self.special,
        }
        return entry | ({"verbatim": True} if self.verbatim else {})

    @property
    def kind(self) -> int:
        """The bits of the token's kind."""
        return ADDED | (SPECIAL if self.special else 0)


@dataclass(frozen=True, slots=True)
class BpeModel:
    """A vocabulary of token strings, and merges in rank order: of strings, or rows of their ids."""

    where: str
    vocab: dict[str, int]
    merges: Merges | NDArray[np.uint32]
    unk: str | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False
    ignore_merges: bool = False
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Ends:
    """What the file says about the ends of a text, and added tokens whose text decoding keeps."""

    strips: bool = False
    prefix: Sequence[int] = ()
    suffix: Sequence[int] = ()
    kept: Collection[str] = ()


def assemble(
    model: BpeModel, steps: Steps, added: Sequence[AddedToken], *, ends: Ends
) -> Definition:
    """The definition of a model with its steps and added tokens.

    Raises:
        LoadError: merges or ids contradict the vocabulary.
        UnsupportedError: the parts are readable but cannot be combined exactly.
    """
    _check_combination(model, steps)
    tokens, kinds = _tokens(model, steps)
    rows = _merge_rows(model, kinds)
    units, last_units = _units(model, steps)
    mergeable = np.zeros(len(kinds) + 1, dtype=np.bool_)
    mergeable[rows] = True
    mergeable[[*units, *(last_units or ())]] = True  # -1, which is no id, is the last of all
    if not steps.byte_level:
        mergeable[[i for text, i in model.vocab.items() if len(text) == 1]] = True
    _add(added, tokens, kinds, mergeable=mergeable[:-1], kept=ends.kept)
    header = make_header(
        unit="byte" if steps.byte_level else "char",
        byte_units=units,
        final_byte_units=last_units,
        unk=None if model.unk is None else model.vocab[model.unk],
        fuse_unk=model.fuse_unk,
        ignore_merges=model.ignore_merges,
        normalizer=steps.normalizer,
        pretokenizer=steps.pretokenizer,
        added=[token.header() for token in added],
        strip_leading_space=ends.strips,
        prefix=ends.prefix,
        suffix=ends.suffix,
        pattern=describe(steps.pretokenizer),
    )
    try:
        return build(tokens, kinds=kinds, merges=rows, header=header)
    except LoadError as error:
        raise LoadError(f"{model.where}: {error}") from error


def _check_combination(model: BpeModel, steps: Steps) -> None:
    if model.unk is not None and model.unk not in model.vocab:
        raise LoadError(f"{model.where}.unk_token: {model.unk!r} is not in the vocabulary")
    if model.suffix and (model.ignore_merges or not steps.byte_level):
        raise UnsupportedError(
            f"{model.where}.end_of_word_suffix: {model.suffix!r} together with ignore_merges or "
            "without a ByteLevel pre-tokenizer"
        )
    if model.ignore_merges and model.byte_fallback and not steps.byte_level:
        raise UnsupportedError(f"{model.where}.ignore_merges: together with byte_fallback")
    fallback = sum(name in model.vocab for name in BYTE_TOKENS) if model.byte_fallback else 0
    incomplete = steps.byte_level and not all(unit in model.vocab for unit in STAND_INS)
    if incomplete and (fallback or model.unk is not None):
        raise UnsupportedError(
            f"{model.where}.vocab: single bytes are missing, and byte_fallback or unk_token would "
            "stand in for them"
        )
    if fallback and steps.spaces_lowered and METASYMBOL not in model.vocab:
        raise UnsupportedError(
            f"{model.where}.vocab: {METASYMBOL!r} is missing, and its bytes would stand for a space"
        )
    if not steps.byte_level and 0 < fallback < 256:
        raise UnsupportedError(
            f"{model.where}.byte_fallback: {fallback} of the 256 byte tokens are in the vocabulary"
        )


def _tokens(model: BpeModel, steps: Steps) -> tuple[list[bytes | None], bytearray]:
    """Bytes and kinds by id; tokens that no text becomes are `DECODE_ONLY`."""
    size = max(model.vocab.values(), default=-1) + 1
    if size > MAX_IDS:
        raise LoadError(f"{model.where}.vocab: token id {size - 1}: ids are below {MAX_IDS}")
    texts = list(model.vocab)
    if steps.byte_level:
        spelled, plain = from_stand_ins(texts)
    else:
        spelled, plain = _characters(texts, steps)
    ids = np.fromiter(model.vocab.values(), dtype=np.intp, count=len(texts))
    tokens: list[bytes | None] = [None] * size
    if np.array_equal(ids, np.arange(size)):
        tokens[:] = spelled
    else:
        for token_id, token in zip(ids.tolist(), spelled, strict=True):
            tokens[token_id] = token
    flags = np.zeros(size, dtype=np.uint8)
    flags[ids] = MODEL
    flags[ids[[*plain, *(i for i, token in enumerate(spelled) if not token)]]] = DECODE_ONLY
    kinds = bytearray(flags.tobytes())
    if model.byte_fallback and not steps.byte_level and BYTE_TOKENS[0] in model.vocab:
        for byte, name in enumerate(BYTE_TOKENS):
            tokens[model.vocab[name]] = bytes([byte])
            kinds[model.vocab[name]] = FALLBACK
    return tokens, kinds


def _characters(texts: Sequence[str], steps: Steps) -> tuple[list[bytes], set[int]]:
    if not steps.spaces_lowered:
        return [text.encode() for text in texts], set()
    # The file turns every space of the text into U+2581, so a token with a space is never made.
    plain = {index for index, text in enumerate(texts) if " " in text}
    return [text.replace(METASYMBOL, " ").encode() for text in texts], plain


def _merge_rows(model: BpeModel, kinds: bytearray) -> NDArray[np.uint32]:
    """Rows of ids in rank order; of equal pairs the last counts, as in `tokenizers`."""
    rows = _looked_up(model)
    # A token that no text becomes never stands beside another; nor does the end of a word have a
    # right neighbour.
    mergeable = np.frombuffer(kinds, np.uint8) & MODEL != 0
    if model.suffix:
        ends = [i for text, i in model.vocab.items() if text.endswith(model.suffix)]
        first = mergeable.copy()
        first[ends] = False
    else:
        first = mergeable
    rows = rows[first[rows[:, 0]] & mergeable[rows[:, 1]] & mergeable[rows[:, 2]]]
    pairs = rows[:, 0] << 32 | rows[:, 1]
    if len(np.unique(pairs)) < len(rows):
        _, last = np.unique(pairs[::-1], return_index=True)
        rows = rows[np.sort(len(rows) - 1 - last)]
    unsigned: NDArray[np.uint32] = rows.astype(np.uint32)
    return unsigned


def _looked_up(model: BpeModel) -> NDArray[np.int64]:
    if isinstance(model.merges, np.ndarray):
        return model.merges.astype(np.int64)
    lefts, rights = model.merges
    find = model.vocab.__getitem__
    rows = np.empty((len(lefts), 3), dtype=np.int64)
    try:
        rows[:, 0] = list(map(find, lefts))
        rows[:, 1] = list(map(find, rights))
        rows[:, 2] = list(map(find, map(operator.add, lefts, rights)))
    except KeyError:
        raise LoadError(_unknown_merge(model, model.merges)) from None
    return rows


def _unknown_merge(model: BpeModel, merges: Merges) -> str:
    for index, (left, right) in enumerate(zip(*merges, strict=True)):
        for token in (left, right, left + right):
            if token not in model.vocab:
                return f"{model.where}.merges[{index}]: token {token!r} is not in the vocabulary"
    return f"{model.where}.merges: a token is not in the vocabulary"


def _units(model: BpeModel, steps: Steps) -> tuple[list[int], list[int] | None]:
    """Initial ids of the bytes, and of the bytes that end a piece where these differ."""
    vocab = model.vocab
    if not steps.byte_level:
        names = BYTE_TOKENS if model.byte_fallback else ("",) * 256
        return [vocab.get(name, -1) if name else -1 for name in names], None
    units = [vocab.get(unit, -1) for unit in STAND_INS]
    if not model.suffix:
        return units, None
    return units, [vocab.get(unit + model.suffix, -1) for unit in STAND_INS]


def _add(
    added: Sequence[AddedToken],
    tokens: list[bytes | None],
    kinds: bytearray,
    *,
    mergeable: NDArray[np.bool_],
    kept: Collection[str],
) -> None:
    """Puts the added tokens into the tables, which grow as needed."""
    for token in added:
        missing = token.id + 1 - len(tokens)
        tokens.extend([None] * missing)
        kinds.extend(bytes(max(missing, 0)))
        if tokens[token.id] is None:
            tokens[token.id] = token.content.encode()
        kind = kinds[token.id] & ~DECODE_ONLY
        # Special tokens are text unless allowed: a whole piece that spells one is not it.
        if token.special and not mergeable[token.id : token.id + 1].any():
            kind &= ~MODEL
        if token.content in kept and not kind & MODEL:
            tokens[token.id] = token.content.encode()
        kinds[token.id] = kind | token.kind
