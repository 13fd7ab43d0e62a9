"""SentencePiece-style vocabularies: pieces with scores and types, lowered to a definition.

SentencePiece joins any two neighbours whose text together is a piece, highest score first and then
leftmost (`bpe_model.cc`). With distinct scores that is merging by rank, one pair for each piece.
Pieces with equal scores merge in the order of their places in the text, which ranks can say for
runs of one character (the runs of spaces that Llama and Mistral have) and otherwise not, so other
ties are refused; so is a piece of type UNUSED that merging reaches, which SentencePiece would split
again, and a piece with a character that is no piece itself.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bytewright import _core
from bytewright.definition import (
    DECODE_ONLY,
    FALLBACK,
    MODEL,
    Definition,
    Step,
    build,
    check,
    make_header,
)
from bytewright.errors import LoadError, UnsupportedError
from bytewright.formats.hf_model import BYTE_TOKENS, AddedToken, Ends
from bytewright.formats.hf_steps import METASYMBOL

__all__ = [
    "BYTE",
    "CONTROL",
    "NORMAL",
    "UNKNOWN",
    "UNUSED",
    "USER_DEFINED",
    "PieceTable",
    "lower",
    "spaces_step",
]

NORMAL: Final = 1
UNKNOWN: Final = 2
CONTROL: Final = 3
USER_DEFINED: Final = 4
UNUSED: Final = 5
BYTE: Final = 6

_MAX_RUNS: Final = 256
_BYTES: Final = {name: byte for byte, name in enumerate(BYTE_TOKENS)}


@dataclass(frozen=True, slots=True)
class PieceTable:
    """Pieces by id.

    Attributes:
        where: the file, for errors.
        texts: the pieces, with U+2581 for a space.
        scores: higher merges first.
        types: NORMAL and so on.
        unk: id of the unknown piece.
        unk_surface: what the unknown piece stands for.
        escaped: spaces of the text are written as U+2581.
    """

    where: str
    texts: Sequence[str]
    scores: Sequence[float]
    types: Sequence[int]
    unk: int | None
    unk_surface: str
    escaped: bool = True


def spaces_step() -> Step:
    """The normalizer step that makes U+2581 in the text a space, as it is in the pieces."""
    return {"type": "replace", "string": METASYMBOL, "content": " "}


def lower(
    table: PieceTable,
    *,
    normalizer: Sequence[Step],
    added: Sequence[AddedToken],
    ends: Ends,
) -> Definition:
    """The definition of a table of pieces.

    Raises:
        LoadError: a piece is empty, repeated, or has a score that is not a number.
        UnsupportedError: ranks cannot say what the scores or types ask for.
    """
    _check_pieces(table)
    tokens, kinds = _tokens(table)
    order = _order(table)
    for token in added:
        kinds[token.id] = kinds[token.id] & ~(MODEL | DECODE_ONLY) | token.kind
    header = make_header(
        unit="char",
        byte_units=_byte_units(table),
        unk=table.unk,
        fuse_unk=True,
        normalizer=normalizer,
        added=[token.header() for token in added],
        strip_leading_space=ends.strips,
        prefix=ends.prefix,
        suffix=ends.suffix,
    )
    try:
        bare = build(tokens, kinds=kinds, merges=b"", header=header)
    except LoadError as error:
        raise LoadError(f"{table.where}: {error}") from error
    runs = _take_runs(table, order)
    ranked = np.array(order, dtype="<u4").tobytes()
    merges = _core.merges_from_ranks(bare.arena, bare.offsets, ranked, "char")
    merges += np.array(_run_merges(table, runs), dtype="<u4").tobytes()
    _check_unused(table, order, merges)
    definition = replace(bare, merges=merges)
    check(definition)
    return definition


def _check_pieces(table: PieceTable) -> None:
    seen: dict[str, int] = {}
    for token_id, text in enumerate(table.texts):
        if not text:
            raise LoadError(f"{table.where}: piece {token_id} is empty")
        if text in seen:
            raise LoadError(f"{table.where}: piece {token_id} {text!r} is piece {seen[text]} again")
        seen[text] = token_id
    for token_id, score in enumerate(table.scores):
        if math.isnan(score):
            raise LoadError(f"{table.where}: the score of piece {token_id} is not a number")


def _tokens(table: PieceTable) -> tuple[list[bytes | None], bytearray]:
    tokens: list[bytes | None] = []
    kinds = bytearray()
    for token_id, (text, kind) in enumerate(zip(table.texts, table.types, strict=True)):
        if kind == BYTE:
            tokens.append(bytes([_byte_of(table, token_id, text)]))
            kinds.append(FALLBACK)
            continue
        surface = table.unk_surface if token_id == table.unk else _plain(table, text)
        tokens.append(surface.encode())
        kinds.append(MODEL if kind == NORMAL and _is_made(table, text) else DECODE_ONLY)
    return tokens, kinds


def _plain(table: PieceTable, text: str) -> str:
    return text.replace(METASYMBOL, " ") if table.escaped else text


def _is_made(table: PieceTable, text: str) -> bool:
    """Whether text can become the piece: where spaces are escaped, none is left."""
    return not (table.escaped and " " in text)


def _byte_of(table: PieceTable, token_id: int, text: str) -> int:
    if text not in _BYTES:
        raise LoadError(f"{table.where}: byte piece {token_id} is {text!r}, not <0x00> to <0xFF>")
    return _BYTES[text]


def _byte_units(table: PieceTable) -> list[int]:
    units = [-1] * 256
    for token_id, (text, kind) in enumerate(zip(table.texts, table.types, strict=True)):
        if kind == BYTE:
            units[_BYTES[text]] = token_id
    known = sum(unit >= 0 for unit in units)
    if known not in (0, 256):
        raise LoadError(f"{table.where}: {known} of the 256 byte pieces are there")
    return units


def _order(table: PieceTable) -> list[int]:
    """Ids of the pieces that merging may make, highest score first."""
    made = [
        token_id
        for token_id, (text, kind) in enumerate(zip(table.texts, table.types, strict=True))
        if kind in (NORMAL, UNUSED) and _is_made(table, text)
    ]
    scores = table.scores
    made.sort(key=lambda token_id: -scores[token_id])
    long = [token_id for token_id in made if len(table.texts[token_id]) > 1]
    characters = {table.texts[token_id] for token_id in made if len(table.texts[token_id]) == 1}
    lacking = set().union(*(table.texts[token_id] for token_id in long)) - characters
    if lacking:
        wanted = min(lacking)
        owner = next(token_id for token_id in long if wanted in table.texts[token_id])
        raise UnsupportedError(
            f"{table.where}: piece {owner} {table.texts[owner]!r} has the character {wanted!r}, "
            "which is no piece"
        )
    return made


def _take_runs(table: PieceTable, order: list[int]) -> list[int]:
    """Takes the pieces with the lowest score off the order, when they are runs of one character.

    Such runs of spaces with one common score are what SentencePiece's training adds. Every other
    tie is refused.
    """
    scores, texts = table.scores, table.texts
    long = [token_id for token_id in order if len(texts[token_id]) > 1]
    runs = [token_id for token_id in long if scores[token_id] == scores[long[-1]]]
    run = texts[runs[-1]][0] * 2 if runs else ""
    taken = set(runs)
    if 1 < len(runs) <= _MAX_RUNS and all(
        set(texts[i]) == {run[0]} if i in taken else run not in texts[i] for i in long
    ):
        order[:] = [token_id for token_id in order if token_id not in taken]
        long = long[: -len(runs)]
    else:
        runs = []
    for left, right in itertools.pairwise(long):
        if scores[left] == scores[right]:
            raise UnsupportedError(
                f"{table.where}: pieces {left} {texts[left]!r} and {right} {texts[right]!r} have "
                f"the same score {scores[left]}: which merges first would depend on the text"
            )
    return runs


def _run_merges(table: PieceTable, runs: Sequence[int]) -> list[tuple[int, int, int]]:
    """Merges that join a run of one character as leftmost-first does.

    Equal scores always extend the leftmost symbol: first it joins the grown symbol on its right,
    else the next single character, and only when it cannot grow does the next one begin. As ranks:
    pairs with a grown right side, then pairs of a grown left side and a single character, then the
    pair of two single characters. All other merges come before and none uses a run, so nothing
    else is beside them.
    """
    if not runs:
        return []
    lengths = {len(table.texts[token_id]): token_id for token_id in runs}
    lengths[1] = list(table.texts).index(table.texts[runs[0]][0])
    pairs = [(a, b) for a in lengths for b in lengths if a + b in lengths]
    pairs.sort(key=lambda pair: (pair[1] == 1, pair == (1, 1), pair))
    return [(lengths[a], lengths[b], lengths[a + b]) for a, b in pairs]


def _check_unused(table: PieceTable, order: Sequence[int], merges: bytes) -> None:
    products = set(np.frombuffer(merges, "<u4").reshape(-1, 3)[:, 2].tolist())
    for token_id in order:
        reached = token_id in products or len(table.texts[token_id]) == 1
        if table.types[token_id] == UNUSED and reached:
            raise UnsupportedError(
                f"{table.where}: piece {token_id} {table.texts[token_id]!r} is unused, yet merging "
                "reaches it, and SentencePiece would split it again"
            )
