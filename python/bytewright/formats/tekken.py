"""Mistral's `tekken.json`: ranks in JSON, below a block of special tokens.

Rank `r` has the id `r + default_num_special_tokens`, and only the first `default_vocab_size` ids
are used, so the file's last ranks are not part of the vocabulary. Files up to version 7 may list no
special tokens and then have twenty fixed ones; ids of the block that nothing names are
`<SPECIAL_i>` (mistral-common, `tekken.py`). Special tokens are never matched by `mistral-common`
itself; here they are matched where the caller allows them.
"""

import base64
import binascii
from typing import Final

import numpy as np

from bytewright.definition import MAX_IDS, MAX_TOKEN_BYTES, Definition
from bytewright.errors import LoadError, UnsupportedError
from bytewright.formats.fields import Field, shown
from bytewright.formats.patterns import split
from bytewright.formats.tiktoken import RankTable, from_ranks

__all__ = ["read"]

_FIXED: Final = (
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]",
    "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
)  # fmt: skip
"""The special tokens of files that list none, by id."""


def read(root: Field) -> Definition:
    """The definition of a parsed tekken.json.

    Raises:
        LoadError: an entry is malformed, out of order or repeated.
        UnsupportedError: a byte has no token.
    """
    config = root.get("config")
    special_count = config.get("default_num_special_tokens").number(highest=MAX_IDS)
    vocab_size = config.get("default_vocab_size").number(lowest=special_count, highest=MAX_IDS)
    vocab = root.get("vocab")
    used = vocab_size - special_count
    if used > len(vocab.array()):
        config.get("default_vocab_size").fail(
            f"{vocab_size} ids need {used} ranks, and there are {len(vocab.array())}"
        )
    tokens = _tokens(vocab, used)
    offsets = np.zeros(used + 1, dtype=np.uint32)
    np.cumsum(np.fromiter(map(len, tokens), dtype=np.int64, count=used), out=offsets[1:])
    ids = np.arange(special_count, vocab_size, dtype=np.uint32)
    specials = _specials(root.get("special_tokens"), special_count)
    steps = (split(config.get("pattern").text()),)
    try:
        return from_ranks(
            RankTable(b"".join(tokens), offsets, ids), steps=steps, special_tokens=specials
        )
    except UnsupportedError as error:
        raise UnsupportedError(f"{vocab.where}: {error}") from error
    except LoadError as error:
        raise LoadError(f"{vocab.where}: {error}") from error


def _tokens(vocab: Field, used: int) -> list[bytes]:
    """The tokens of the first `used` ranks, each of which stands at its own index."""
    tokens: list[bytes] = []
    for rank, entry in enumerate(vocab.array()[:used]):
        match entry:
            case {"rank": int(given), "token_bytes": str(encoded)} if given == rank:
                tokens.append(_decoded(vocab, rank, encoded))
            case {"rank": given, "token_bytes": str()}:
                vocab.fail(f"entry {rank}: rank {shown(given)} is not in its place")
            case _:
                vocab.fail(f"entry {rank}: rank and token_bytes are needed")
    if len(set(tokens)) < len(tokens):
        seen: dict[bytes, int] = {}
        for rank, token in enumerate(tokens):
            if token in seen:
                vocab.fail(f"entry {rank}: the token of entry {seen[token]} again")
            seen[token] = rank
    return tokens


def _decoded(vocab: Field, rank: int, encoded: str) -> bytes:
    try:
        token = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        vocab.fail(f"entry {rank}: token_bytes {shown(encoded)} is not Base64 ({error})")
    if not 0 < len(token) <= MAX_TOKEN_BYTES:
        vocab.fail(f"entry {rank}: {len(token)} bytes; 1 to {MAX_TOKEN_BYTES} are allowed")
    return token


def _specials(listed: Field, count: int) -> dict[str, int]:
    named: dict[int, str] = {}
    if listed.missing:
        named = dict(enumerate(_FIXED[:count]))
    for entry in [] if listed.missing else listed.items():
        rank = entry.get("rank").number(highest=max(count - 1, 0))
        if rank in named:
            entry.get("rank").fail(f"{rank} is the rank of {named[rank]!r} too")
        named[rank] = entry.get("token_str").text()
    texts = [named.get(rank, f"<SPECIAL_{rank}>") for rank in range(count)]
    if len(set(texts)) < len(texts) or "" in texts:
        listed.fail("an empty special token, or the same one twice")
    return {text: rank for rank, text in enumerate(texts)}
