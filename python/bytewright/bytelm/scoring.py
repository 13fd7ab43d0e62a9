"""Probabilities of whole texts, and of the tokens of a text, from any model of bytes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import flag
from bytewright.bytelm.arguments import text_bytes
from bytewright.bytelm.distribution import END
from bytewright.bytelm.protocol import BytePredictor, check_predictor, place_given
from bytewright.bytelm.spaces import bare_offsets
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.models.protocol import begun_of, check_tokenizer
from bytewright.tokenizer import Tokenizer

__all__ = ["ScoringPredictor", "TokenScores", "score_tokens"]


class ScoringPredictor(BytePredictor):
    """A model of bytes that says how likely texts are: a class that inherits this needs `start`."""

    __slots__ = ()

    def logprob(self, text: str | bytes, *, end: bool = False) -> float:
        """The natural logarithm of the probability that a text begins so, or, with `end`, is so."""
        flag(end, "end")
        place = self.start(text)
        logprob = place.logprob
        if not end or logprob == -math.inf:
            return logprob
        last = place.next()
        return float(logprob + last.log_kept + last.logprobs[END])

    def bits_per_byte(self, texts: Iterable[str | bytes], *, end: bool = False) -> float:
        """The mean number of bits that a byte of these texts takes, over all bytes alike.

        Bytes are the same whatever the tokenizer, so models compare. A text that cannot be
        makes the mean infinite. Texts are taken as they stand behind a tokenizer's normalizer:
        where it changes a text, as NFC does letters with accents of their own, the model hardly
        expects the bytes that are given, or not at all. Normalize first.

        Args:
            texts: each a text of its own; what a model learns from one is forgotten for the next.
            end: count what the end of each text takes too; the number of bytes stays.

        Raises:
            ArgumentError: there is no byte.
        """
        if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
            raise ArgumentTypeError(f"texts: a list of texts, not {type(texts).__name__}")
        nats, count = 0.0, 0
        for text in texts:
            data = text_bytes(text)
            nats -= self.logprob(data, end=end)
            count += len(data)
        if not count:
            raise ArgumentError("texts: bits per byte of no bytes")
        return nats / count / math.log(2)


@runtime_checkable
class _Scoring(Protocol):
    def score(self, text: str | bytes) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True, eq=False)
class TokenScores:
    """What a model of bytes expects of the tokens of a text.

    Attributes:
        ids: the tokens, int32 `[n]`.
        logprobs: for each, the natural logarithm of the probability of its bytes behind those
            before, float64 `[n]`. What the tokenizer drops in front of the first token is counted
            with it, so that they add up to that of the text, unless no token is made of it.
        offsets: where each begins in the text, and its end, int64 `[n + 1]`.
    """

    ids: NDArray[np.int32]  # [n]
    logprobs: NDArray[np.float64]  # [n]
    offsets: NDArray[np.int64]  # [n + 1]


def score_tokens(teacher: BytePredictor, tokenizer: Tokenizer, text: str | bytes) -> TokenScores:
    """Share out the probability of a text among the tokens that a tokenizer makes of it.

    The cheap form of what `TranslatedModel` tells: the probability that the bytes of a token come
    next, not that the token does, which also depends on what follows.

    Args:
        teacher: a model of bytes, whatever its tokenizer.
        tokenizer: what cuts the text.
        text: the text.

    Raises:
        ArgumentError: the teacher's texts go on inside a character, with which no text begins.

    >>> import bytewright as bw
    >>> letters = bw.Tokenizer.from_merges([])
    >>> words = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
    >>> teacher = bw.ByteModel(bw.NgramModel.fit(letters, ["low lower"] * 9))
    >>> scores = score_tokens(teacher, words, "low low")
    >>> scores.offsets.tolist(), round(float(scores.logprobs.sum() - teacher.logprob("low low")), 9)
    ([0, 3, 4, 7], 0.0)
    """
    check_predictor(teacher, "teacher")
    check_tokenizer(tokenizer)
    data = text_bytes(text)
    begun = begun_of(teacher)
    if begun:
        raise ArgumentError(f"text: the teacher's go on inside a character, behind {begun!r}")
    ids, offsets = (
        bare_offsets(tokenizer, data) if begun is not None else tokenizer.encode_offsets(data)
    )
    # White space in front of the text may be part of no token.
    spans = itertools.pairwise([0, *offsets[1:].tolist()])
    if isinstance(teacher, _Scoring):
        scores = teacher.score(data)
        logprobs = [float(scores[start:end].sum()) for start, end in spans]
    else:
        state, logprobs = place_given(teacher, b""), []
        before = state.logprob
        for start, end in spans:
            after = state.advance(data[start:end]).logprob if before > -math.inf else before
            logprobs.append(after - before if after > -math.inf else after)
            before = after
    found = np.array(logprobs, np.float64)
    # Behind what cannot be nothing can, not even a token without bytes of its own.
    found[np.minimum.accumulate(found) == -math.inf] = -math.inf
    return TokenScores(ids, found, offsets)
