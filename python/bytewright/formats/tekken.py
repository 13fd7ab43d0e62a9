"""Mistral's `tekken.json`: ranks in JSON, below a block of special tokens.

Rank `r` has the id `r + default_num_special_tokens`, and only the first `default_vocab_size` ids
are used, so the file's last ranks are not part of the vocabulary. Files up to version 7 may list no
special tokens and then have twenty fixed ones; ids of the block that nothing names are
`<SPECIAL_i>` (mistral-common, `tekken.py`). Special tokens are never matched by `mistral-common`
itself; here they are matched where the caller allows them.
"""

from typing import Final

import numpy as np

from bytewright import _core
from bytewright.definition import MAX_IDS, Definition
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
    specials = _specials(root.get("special_tokens"), special_count)
    steps = (split(config.get("pattern").text()),)
    try:
        table = _ranks(vocab, used)
        shifted = RankTable(table.arena, table.offsets, table.ids + np.uint32(special_count))
        return from_ranks(shifted, steps=steps, special_tokens=specials)
    except UnsupportedError as error:
        raise UnsupportedError(f"{vocab.where}: {error}") from error
    except LoadError as error:
        raise LoadError(f"{vocab.where}: {error}") from error


def _ranks(vocab: Field, used: int) -> RankTable:
    """The tokens of the first `used` ranks, each of which stands at its own index.

    They are checked and decoded as the lines of a file of ranks, so a line is an entry.
    """
    entries = vocab.array()[:used]
    lines: list[str] = []
    for rank, entry in enumerate(entries):
        if not isinstance(entry, dict) or type(entry.get("rank")) is not int:
            vocab.fail(f"entry {rank}: an object with a rank is needed")
        if entry["rank"] != rank:
            vocab.fail(f"entry {rank}: rank {entry['rank']} is not in its place")
        encoded = entry.get("token_bytes")
        if not isinstance(encoded, str) or not encoded or " " in encoded or "\n" in encoded:
            vocab.fail(f"entry {rank}: token_bytes {shown(encoded)} is not Base64")
        lines.append(f"{encoded} {rank}")
    arena, offsets, ids = _core.parse_ranks("\n".join(lines).encode())
    return RankTable(arena, np.frombuffer(offsets, "<u4"), np.frombuffer(ids, "<u4"))


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
