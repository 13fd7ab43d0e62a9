"""tiktoken ranks: lines of Base64 and a rank, as published by OpenAI, Qwen and Meta (Llama 3).

A rank is a token id, and the lowest rank merges first. The file holds no pattern and no special
tokens: published files are recognised by their sha256, for others the caller says them. A gap
between ranks is a hole, which special tokens may fill (p50k). A repeated rank or token, and a
byte without a token of its own, are refused: no text with that byte could be encoded. The empty
token, which Whisper's file has, is known to decoding only.

Loading is linear; cl100k takes about 0.05 s, most of it finding the pair of each token.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bytewright import _core, arguments
from bytewright.definition import (
    ADDED,
    BEYOND_RANKS,
    DECODE_ONLY,
    FALLBACK,
    MAX_IDS,
    MODEL,
    SPECIAL,
    Definition,
    Step,
    from_tables,
    make_header,
)
from bytewright.errors import ArgumentError, ArgumentTypeError, LoadError, UnsupportedError
from bytewright.formats.fields import read_bytes
from bytewright.formats.hf_model import AddedToken
from bytewright.formats.patterns import describe, pattern_steps

__all__ = ["RankTable", "from_ranks", "read", "special_ids", "write"]

SpecialTokens = Mapping[str, int] | Sequence[str]


@dataclass(frozen=True, slots=True)
class _Published:
    pattern: str
    special_tokens: Mapping[str, int]


def _llama3_specials() -> dict[str, int]:
    names = ["begin_of_text", "end_of_text", "reserved_special_token_0", "reserved_special_token_1"]
    names += ["finetune_right_pad_id", "reserved_special_token_2"]
    names += ["start_header_id", "end_header_id", "eom_id", "eot_id", "python_tag"]
    names += [f"reserved_special_token_{i}" for i in range(3, 248)]
    return {f"<|{name}|>": 128_000 + i for i, name in enumerate(names)}


_CL100K_SPECIALS: Final = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}
_QWEN_SPECIALS: Final = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}

_PUBLISHED: Final[Mapping[str, _Published]] = {
    # r50k_base, p50k_base, cl100k_base, o200k_base: openai/tiktoken, openai_public.py
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930": _Published(
        "gpt2", {"<|endoftext|>": 50256}
    ),
    "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069": _Published(
        "gpt2", {"<|endoftext|>": 50256}
    ),
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": _Published(
        "cl100k", _CL100K_SPECIALS
    ),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": _Published(
        "o200k", {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}
    ),
    # qwen.tiktoken: QwenLM/Qwen, shared by Qwen 1 to 3
    "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186": _Published(
        "qwen2", _QWEN_SPECIALS
    ),
    # multilingual.tiktoken: openai/whisper; its other special tokens depend on the model
    "b34b360dbb493e781e479794586d661700670d65564001f23024971d1f2fa126": _Published(
        "gpt2", {"<|endoftext|>": 50257}
    ),
    # tokenizer.model: meta-llama; one file for Llama 3 to 3.3, special tokens as named since 3.1
    "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55": _Published(
        "llama3", _llama3_specials()
    ),
}


@dataclass(frozen=True, slots=True)
class RankTable:
    """Tokens by ascending id: `arena[offsets[i]:offsets[i + 1]]` has the id `ids[i]`."""

    arena: bytes
    offsets: NDArray[np.uint32]
    ids: NDArray[np.uint32]


def read(
    path: Path, *, pattern: str | None = None, special_tokens: SpecialTokens | None = None
) -> Definition:
    """The definition of a file of ranks.

    Args:
        path: the file.
        pattern: a named pattern or a regular expression; not needed for published files.
        special_tokens: text to id, or texts, which get the ids after the last rank; replaces
            those of a published file.

    Raises:
        LoadError: a line is malformed, or repeats a rank or a token.
        UnsupportedError: a byte has no token.
        ArgumentError: the file is not a published one and `pattern` is missing, or an id is taken.
    """
    data = read_bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    published = _PUBLISHED.get(digest)
    if pattern is None and published is None:
        raise ArgumentError(
            f"{path}: the ranks (sha256 {digest[:12]}...) are not a published vocabulary, so "
            "pattern= is needed: a name such as 'cl100k' or a regular expression"
        )
    specials = special_tokens
    if specials is None:
        specials = published.special_tokens if published else ()
    if pattern is None:
        pattern = published.pattern if published else ""
    steps = pattern_steps(pattern)
    try:
        arena, offsets, ids = _core.parse_ranks(data)
        table = RankTable(arena, np.frombuffer(offsets, "<u4"), np.frombuffer(ids, "<u4"))
        return from_ranks(table, steps=steps, special_tokens=specials)
    except UnsupportedError as error:
        raise UnsupportedError(f"{path}: {error}") from error
    except LoadError as error:
        raise LoadError(f"{path}: {error}") from error


def from_ranks(
    table: RankTable,
    *,
    steps: Sequence[Step],
    special_tokens: SpecialTokens,
) -> Definition:
    """A byte-level definition whose ids are ranks.

    Raises:
        LoadError: there are too many ids.
        UnsupportedError: a byte has no token.
        ArgumentError: a special token's id is taken.
    """
    taken = int(table.ids[-1]) + 1 if len(table.ids) else 0
    specials = special_ids(special_tokens, first=taken)
    size = max(taken, max(specials.values(), default=-1) + 1)
    if size > MAX_IDS:
        raise LoadError(f"token id {size - 1}: ids are below {MAX_IDS}")
    kinds = np.zeros(size, dtype=np.uint8)
    lengths = np.diff(table.offsets.astype(np.int64))
    kinds[table.ids] = np.where(lengths > 0, MODEL, DECODE_ONLY)
    for text, token_id in specials.items():
        if kinds[token_id]:
            raise ArgumentError(f"special token {text!r}: id {token_id} is taken by another token")
        kinds[token_id] = ADDED | SPECIAL
    arena, offsets = _tables(table, specials, size)
    header = make_header(
        unit="byte",
        byte_units=_units(table),
        ignore_merges=True,
        pretokenizer=steps,
        added=[AddedToken(i, text, True, False).header() for text, i in specials.items()],
        pattern=describe(steps),
    )
    order = table.ids[lengths > 0].astype("<u4").tobytes()
    merges = _core.merges_from_ranks(arena, offsets.astype("<u4").tobytes(), order, "byte")
    made = np.frombuffer(merges, "<u4")[2::3]
    header["unreachable"] = np.setdiff1d(table.ids[lengths > 1], made).tolist()
    return from_tables(arena, offsets=offsets, kinds=kinds.tobytes(), merges=merges, header=header)


def _tables(
    table: RankTable, specials: Mapping[str, int], size: int
) -> tuple[bytes, NDArray[np.uint32]]:
    """Arena and offsets of all ids: the ranks' bytes with the special tokens' put between."""
    lengths = np.zeros(size, dtype=np.int64)
    lengths[table.ids] = np.diff(table.offsets.astype(np.int64))
    parts: list[bytes] = []
    done = 0
    ordered = sorted(specials.items(), key=lambda item: item[1])
    ids = np.array([token_id for _, token_id in ordered], dtype=table.ids.dtype)
    places = table.offsets[np.searchsorted(table.ids, ids)].tolist()
    for (text, token_id), at in zip(ordered, places, strict=True):
        parts += [table.arena[done:at], text.encode()]
        lengths[token_id] = len(parts[-1])
        done = at
    parts.append(table.arena[done:])
    offsets = np.zeros(size + 1, dtype=np.uint32)
    np.cumsum(lengths, out=offsets[1:])
    return b"".join(parts), offsets


def _units(table: RankTable) -> list[int]:
    """The id of every byte.

    Raises:
        UnsupportedError: a byte has none.
    """
    units = [-1] * 256
    for index in np.flatnonzero(np.diff(table.offsets.astype(np.int64)) == 1).tolist():
        units[table.arena[int(table.offsets[index])]] = int(table.ids[index])
    if -1 in units:
        missing = units.index(-1)
        raise UnsupportedError(
            f"byte 0x{missing:02X} has no token: text with it could not be encoded"
        )
    return units


def special_ids(special_tokens: SpecialTokens, *, first: int) -> dict[str, int]:
    """Special tokens with their ids; a sequence of texts gets the ids from `first` on.

    >>> special_ids(["<a>", "<b>"], first=7)
    {'<a>': 7, '<b>': 8}
    """
    if isinstance(special_tokens, str | bytes):
        raise ArgumentError("special_tokens is one text: a sequence or a mapping is needed")
    if not isinstance(special_tokens, Iterable):
        raise ArgumentTypeError(
            f"special_tokens must be texts, or their ids by text, not "
            f"{type(special_tokens).__name__}"
        )
    texts = list(special_tokens)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ArgumentError(f"special token {text!r}: a text that is not empty is needed")
        arguments.text(text, "special token")
    if isinstance(special_tokens, Mapping):
        given = dict(special_tokens)
    else:
        given = {text: first + i for i, text in enumerate(texts)}
        if len(given) < len(texts):
            raise ArgumentError("special_tokens: a text stands twice in the sequence")
    for text, token_id in given.items():
        if type(token_id) is not int or not 0 <= token_id < MAX_IDS:
            raise ArgumentError(
                f"special token {text!r}: id {token_id!r} is not from 0 to {MAX_IDS - 1}"
            )
    if len(set(given.values())) < len(given):
        raise ArgumentError("special_tokens: two of them have the same id")
    return given


def write(definition: Definition) -> bytes:
    """The ranks of a definition, as `tiktoken` loads them.

    The format holds neither the pattern nor the special tokens, so loading needs them again.

    Raises:
        UnsupportedError: ids are not ranks, or there are rules that ranks cannot say.
    """
    rules = definition.rules()
    for rule, name in (
        (rules["unit"] != "byte", "characters as units"),
        (rules["normalizer"], "a normalizer"),
        (rules["final_byte_units"], "an end-of-word suffix"),
        (any(not _is_special(token) for token in _entries(rules)), "added tokens not special"),
        *((rules.get(rule), name) for rule, name in BEYOND_RANKS.items()),
    ):
        if rule:
            raise UnsupportedError(f"tiktoken ranks cannot say: {name}")
    kinds = np.frombuffer(definition.kinds, np.uint8)
    ids = np.flatnonzero(kinds & MODEL)
    tokens = definition.tokens()
    silent = np.flatnonzero(kinds & (FALLBACK | DECODE_ONLY)).tolist()
    if (kinds[ids] & ADDED).any() or any(tokens[i] for i in silent):
        raise UnsupportedError("tiktoken ranks cannot say: tokens that only decoding knows")
    _check_ranks(definition, ids.astype(np.uint32), whole=bool(rules["ignore_merges"]))
    listed = sorted([*ids.tolist(), *silent])
    return b"".join(b"%s %d\n" % (base64.b64encode(tokens[i] or b"") or b"=", i) for i in listed)


def _check_ranks(definition: Definition, ids: NDArray[np.uint32], *, whole: bool) -> None:
    """Merging by lowest id must be what the definition's merges do."""
    tokens = definition.tokens()
    model = [tokens[i] for i in ids.tolist()]
    if len(set(model)) < len(model) or None in model or b"" in model:
        raise UnsupportedError("tiktoken ranks cannot say: two tokens with the same bytes")
    if not {bytes([byte]) for byte in range(256)} <= set(model):
        raise UnsupportedError("tiktoken ranks cannot say: a byte without a token")
    order = ids.astype("<u4").tobytes()
    derived = _core.merges_from_ranks(definition.arena, definition.offsets, order, "byte")
    if derived != definition.merges:
        raise UnsupportedError(
            "tiktoken ranks cannot say: merges whose order is not that of their token ids"
        )
    reached = set(definition.merge_rows()[:, 2].tolist())
    if not whole and any(
        len(token or b"") > 1 and i not in reached
        for i, token in zip(ids.tolist(), model, strict=True)
    ):
        raise UnsupportedError("tiktoken ranks cannot say: a token that merging cannot reach")


def _entries(rules: Mapping[str, object]) -> list[Mapping[str, object]]:
    added = rules["added"]
    assert isinstance(added, list)
    return added


def _is_special(token: Mapping[str, object]) -> bool:
    plain = not (token["single_word"] or token["lstrip"] or token["rstrip"])
    return bool(token["special"]) and plain
