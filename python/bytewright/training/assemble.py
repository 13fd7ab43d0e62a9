"""From what a trainer found to a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright.definition import MODEL
from bytewright.tokenizer import Tokenizer
from bytewright.training.surgery.edit import Tables, rebuild

__all__ = ["assemble"]


def assemble(
    tokens: Sequence[bytes],
    merges: NDArray[np.uint32] | None,
    *,
    pattern: str | None,
    special_tokens: Sequence[str],
    rules: Mapping[str, Any],
) -> Tokenizer:
    """A tokenizer of bytes, `tokens` and special tokens, with ids in this order.

    Args:
        tokens: what comes behind the 256 bytes, which have the ids 0 to 255.
        merges: rows of ids, shape `[n, 3]`.
        pattern: as for `Tokenizer.from_merges`.
        special_tokens: as for `Tokenizer.from_merges`.
        rules: fields of the header besides the usual ones.
    """
    plain = Tokenizer.from_merges([], pattern=pattern, special_tokens=special_tokens).definition
    tables = Tables.of(plain)
    special = tables.header["added"]
    kinds = tables.kinds[256:]
    tables.tokens[256:] = tokens
    tables.kinds[256:] = [MODEL] * len(tokens)
    tables.header |= {"added": []} | dict(rules)
    tables.add_special(special, kinds)
    if merges is not None:
        tables.merges = merges.reshape(-1, 3)
    return rebuild(tables)
