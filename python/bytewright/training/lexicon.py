"""Less-is-Better: a lexicon of chunks that cuts text into few of them.

The learner reads sentences (lines) and takes chunk after chunk. It compares two ways to go on, with
the longest chunk that matches and with the second longest, each followed by longest matches until
both end at the same place: fewer chunks win, then the smaller sum of ranks. The first chunk of the
way that wins moves up in rank by `1 + rank * delta`, that of the other moves down as far. Two
neighbouring chunks become a new one with probability `alpha`, on probation: unless it wins within
`life` sentences it is forgotten. In each sentence the last `tail` of the list goes on probation.

With `varied_contexts`, a new chunk remembers the chunk before it and the longest match behind it,
and a win ends its probation only between others. If the chunk before it is the same, or one of the
two ends with the other, then both together become a new chunk and the probation goes on; likewise
on the right. So a chunk that is only ever a part of something longer is forgotten, and the longer
one is learned. (The program of the authors asks that whenever it takes a chunk, and moves one that
passes up in rank once more; here only a win counts.)

Encoding takes chunks by the same comparison. Single bytes are chunks, so any bytes come back.

Paper: Yang, Frank & van den Bosch, Less is Better: A cognitively inspired unsupervised model for
language segmentation (CogALex 2020). Cost: a few walks down a tree of bytes for each chunk, at most
24 to either side, so time is linear in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright import _core, arguments, arrays
from bytewright.errors import ArgumentError
from bytewright.sizes import seed_of, whole
from bytewright.streams import ErrorHandling, check_errors
from bytewright.training.feeding import feed

__all__ = ["Lexicon", "train_lexicon"]


class Lexicon:
    """Chunks by id, the 256 bytes first, then the others, the best first. Immutable; it pickles.

    >>> lexicon = Lexicon([b"ab", b"abc", b"cdef"])
    >>> [lexicon.token_bytes(i) for i in lexicon.encode("abcdef")]
    [b'ab', b'cdef']
    """

    __slots__ = ("_chunks", "_core")

    def __init__(self, chunks: Sequence[bytes]) -> None:
        """Take chunks of at least two bytes, the best first.

        Raises:
            ArgumentError: a chunk that is there twice, or is too short.
        """
        self._chunks = tuple(arguments.items(chunks, "chunks"))
        for chunk in self._chunks:
            arguments.instance(chunk, bytes, "chunks")
        self._core = _core.Lexicon(self._chunks)

    def encode(self, text: str | bytes) -> list[int]:
        """The ids of a text."""
        ids: list[int] = self.encode_array(text).tolist()
        return ids

    def encode_array(self, text: str | bytes) -> NDArray[np.int32]:
        """The ids of a text as an array `[n]`."""
        return self._core.encode(text)

    def count(self, text: str | bytes) -> int:
        """How many ids a text has."""
        return len(self.encode_array(text))

    def decode_bytes(self, ids: Any) -> bytes:
        """The bytes of ids.

        Raises:
            UnknownTokenError: an id that no chunk has.
        """
        return self._core.decode_bytes(arrays.as_ids(ids))

    def decode(self, ids: Any, errors: ErrorHandling = "replace") -> str:
        """The text of ids; `errors` says what becomes of bytes that are not UTF-8."""
        check_errors(errors)
        return self.decode_bytes(ids).decode("utf-8", errors)

    def token_bytes(self, id: int) -> bytes:
        """The bytes of a chunk.

        Raises:
            UnknownTokenError: no chunk has this id.
        """
        return self._core.token_bytes(whole(id, "id"))

    @property
    def vocab_size(self) -> int:
        """The number of chunks, the 256 bytes among them."""
        return self._core.vocab_size

    @property
    def chunks(self) -> tuple[bytes, ...]:
        """The chunks of more than one byte, the best first."""
        return self._chunks

    def __reduce__(self) -> tuple[type[Lexicon], tuple[tuple[bytes, ...]]]:
        return type(self), (self._chunks,)

    def __eq__(self, other: object) -> bool:
        return self._chunks == other._chunks if isinstance(other, Lexicon) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._chunks)

    def __repr__(self) -> str:
        return f"<Lexicon of {self.vocab_size} chunks>"


def train_lexicon(
    sources: Any,
    vocab_size: int,
    *,
    alpha: float = 0.25,
    delta: float = 0.2,
    life: int = 10,
    tail: float = 1e-4,
    varied_contexts: bool = False,
    longest: int = 64,
    epochs: int = 1,
    seed: int = 0,
) -> Lexicon:
    """Learn a lexicon by Less-is-Better.

    Args:
        sources: as for `count_pretokens`; their order matters here.
        vocab_size: chunks to keep, the best of those learned, the 256 bytes among them.
        alpha: probability that two neighbouring chunks become one.
        delta: share of its rank by which a chunk moves.
        life: sentences that a chunk on probation has to prove itself.
        tail: share of the list that goes on probation with each sentence.
        varied_contexts: whether a chunk has to win between other neighbours than at first.
        longest: bytes that a chunk may have.
        epochs: how often the text is read.
        seed: where the random numbers begin.

    >>> lexicon = train_lexicon(["the cat sat on the mat"] * 50, 300)
    >>> lexicon.decode(lexicon.encode("the cat sat")), lexicon.count("the cat sat") < 11
    ('the cat sat', True)
    """
    for name, share in {"alpha": alpha, "delta": delta, "tail": tail}.items():
        if not 0 <= arguments.number(share, name) <= 1:
            raise ArgumentError(f"{name}={share}: 0 to 1 is allowed")
    vocab_size = whole(vocab_size, "vocab_size", least=256)
    life, longest = whole(life, "life", least=1), whole(longest, "longest", least=2)
    epochs, seed = whole(epochs, "epochs", least=1), seed_of(seed)
    arguments.flag(varied_contexts, "varied_contexts")
    texts = _Gathered()
    feed(texts, sources)
    rates = (alpha, delta, life, tail)
    learned = _core.learn_lexicon(texts.chunks, rates, longest, epochs, seed, varied_contexts)
    return Lexicon(learned[: vocab_size - 256])


class _Gathered:
    """All texts, in the layout that the core reads."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []
        self._parts: list[bytes] = []

    def push(self, chunks: Sequence[Any]) -> int:
        self.chunks += chunks
        return 0

    def push_part(self, part: bytes, last: bool) -> int:
        self._parts.append(part)
        if last:
            self.push(arrays.as_batch([b"".join(self._parts)]).chunks)
            self._parts = []
        return 0
