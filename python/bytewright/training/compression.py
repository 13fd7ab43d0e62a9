"""Compression-aware merges: of the most frequent pairs, the one that lets text be packed best.

At each step the `candidates` most frequent pairs are tried on a validation text: the one after
whose merge the text's ids, as a stream of little-endian integers, are shortest under DEFLATE is
taken; if two are equal, the more frequent one. With `candidates=1` this is plain BPE.

Paper: LZ-aware BPE of "An Information-Theoretic Perspective on LLM Tokenizers" (arXiv 2601.09039).
Cost: `candidates` compressions of the validation text for each merge: some 20 ms a merge for 16
candidates and 50 kB. Meant for small vocabularies.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright import _core, arguments
from bytewright.errors import ArgumentTypeError
from bytewright.sizes import whole
from bytewright.specials import special_texts
from bytewright.tokenizer import Tokenizer
from bytewright.training.assemble import assemble, learned_size
from bytewright.training.counting import counted
from bytewright.training.segments import unsigned

__all__ = ["train_compression_aware"]

_LEVEL: Final = 6


def train_compression_aware(
    sources: Any,
    vocab_size: int,
    validation: Any,
    *,
    candidates: int = 16,
    pattern: str = "o200k",
    special_tokens: Iterable[str] = (),
    min_frequency: int = 1,
    threads: int | None = None,
) -> Tokenizer:
    """Train a tokenizer whose merges are chosen by how well they let text be compressed.

    Args:
        sources: as for `count_pretokens`, or `PretokenCounts`.
        vocab_size: tokens in all, the 256 bytes and the special tokens among them.
        validation: the text to compress, `str` or `bytes`; some 50 kB.
        candidates: how many of the most frequent pairs are tried at each step.
        pattern: a named pattern or a regular expression.
        special_tokens: their texts.
        min_frequency: a pair that occurs less often is not joined.
        threads: threads for counting.

    >>> text = "she sells sea shells by the sea shore " * 3
    >>> tok = train_compression_aware([text], 262, text, pattern="gpt2")
    >>> tok.vocab_size, tok.decode(tok.encode(text)) == text
    (262, True)
    """
    candidates = whole(candidates, "candidates", least=1)
    min_frequency = whole(min_frequency, "min_frequency", least=1)
    special = special_texts(special_tokens)
    wanted = learned_size(vocab_size, special)
    counts = counted(sources, pattern, threads)
    pattern = counts.pattern or pattern
    text = _Text(validation, pattern)
    stepper = _core.Stepper(unsigned(counts))
    rows: list[tuple[int, int, int]] = []
    while stepper.vocab_size < wanted:
        pairs = stepper.candidates(candidates, min_frequency)
        if not pairs:
            break
        # The id that a new token would have; which of the known ones it is does not matter here.
        size = stepper.vocab_size
        left, right, _ = min(pairs, key=lambda pair: text.packed(pair[0], pair[1], size))
        product = stepper.join(left, right)
        if product is not None:
            text.join(left, right, product)
            rows.append((left, right, product))
    made = [stepper.token_bytes(i) or b"" for i in range(256, stepper.vocab_size)]
    merges = np.array(rows, np.uint32).reshape(-1, 3)
    return assemble(
        made,
        merges,
        pattern=pattern,
        special_tokens=special,
        rules={},
        wanted=wanted,
    )


class _Text:
    """The validation text as ids, and where its pieces begin."""

    def __init__(self, text: str | bytes, pattern: str) -> None:
        if isinstance(text, str):
            arguments.text(text, "validation")
        elif not isinstance(text, bytes):
            raise ArgumentTypeError(f"validation must be str or bytes, not {type(text).__name__}")
        data = text.encode() if isinstance(text, str) else text
        starts = Tokenizer.from_merges([], pattern=pattern)._core.pieces(data)[::2]
        self._ids = np.frombuffer(data, np.uint8).astype(np.uint32)
        self._begins = np.zeros(len(data), bool)
        self._begins[starts] = True

    def packed(self, left: int, right: int, product: int) -> int:
        """Bytes of the compressed ids after a merge."""
        ids, _ = self._joined(left, right, product)
        return len(
            zlib.compress(ids.astype("<u2" if product < 1 << 16 else "<u4").tobytes(), _LEVEL)
        )

    def join(self, left: int, right: int, product: int) -> None:
        """Make a merge."""
        self._ids, self._begins = self._joined(left, right, product)

    def _joined(
        self, left: int, right: int, product: int
    ) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        ids, begins = self._ids, self._begins
        pairs = (ids[:-1] == left) & (ids[1:] == right) & ~begins[1:]
        places = np.flatnonzero(pairs)
        if left == right:
            places = _apart(places)
        ids = ids.copy()
        ids[places] = product
        stays = np.ones(len(ids), bool)
        stays[places + 1] = False
        return ids[stays], begins[stays]


def _apart(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Every other place of each run of neighbouring places, beginning with its first."""
    first = np.diff(places, prepend=-2) > 1
    run_start = np.maximum.accumulate(np.where(first, np.arange(len(places)), 0))
    apart: NDArray[np.intp] = places[(np.arange(len(places)) - run_start) % 2 == 0]
    return apart
