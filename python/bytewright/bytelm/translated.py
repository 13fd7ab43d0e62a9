"""A model of bytes as a model of any tokenizer's tokens.

Students that have another tokenizer than their teacher cannot be given the teacher's probabilities
of tokens. They can be given those of texts: a law of texts is a law of their encodings in any
vocabulary. `score_tokens` tells what the teacher expects of the tokens of a text, `TranslatedModel`
what token comes next (Phan, Khisti and Ullrich 2026, "Cross-Tokenizer Likelihood Scoring", compute
the same for vocabularies of byte-pair merges; here any tokenizer will do that `ByteModel` takes).

For tokens c, the context, the probability of the next token t is

    P(the encoding of a text begins with c and t | it begins with c),

the text being the teacher's. The bytes of c are followed by others, the likeliest first. After some
bytes all sequences of tokens with which the encoding can still begin agree on the token behind c,
or none begins with c: the probability of the text so far goes there. What is not decided when the
search ends bounds the error.

Where the teacher's texts go on with others, as behind a prompt of ids, so do the tokens: they are
those that the tokenizer makes there, without the space that it may put before texts. Where the
other text ends inside a character, the first of them end that.

Cost: a distribution of the teacher for each text that is looked at, several for each token that
counts. The pre-tokenizer's look-ahead and the merges of the vocabulary decide how soon tokens are
known, mostly a byte or two behind their end.
"""

from __future__ import annotations

import functools
import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.bytelm.arguments import check_share, text_bytes
from bytewright.bytelm.distribution import ByteDistribution
from bytewright.bytelm.places import MOST_TOGETHER, Places, Visited
from bytewright.bytelm.protocol import (
    BytePlace,
    BytePredictor,
    ask_together,
    check_predictor,
    place_given,
)
from bytewright.bytelm.sampling import place_after
from bytewright.bytelm.spaces import bare_ids
from bytewright.errors import ArgumentError
from bytewright.models.contexts import as_context, as_contexts
from bytewright.models.protocol import begun_of, check_tokenizer, clear, generation_of
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer
from bytewright.underflow import underflow_is_zero

__all__ = ["NextTokens", "TranslatedModel"]

# What the core tells of a text instead of the next token.
_OPEN, _END, _OTHER = -1, -2, -3


@dataclass(frozen=True, slots=True, eq=False)
class NextTokens:
    """Which token comes next.

    Attributes:
        logprobs: natural logarithms of probabilities that add up to 1, float64 `[vocab_size + 1]`;
            the last is that of the end of the text.
        error_bound: no less than the total-variation distance between these probabilities and those
            of a search without end; 1 where nothing was decided.
        kept: of the texts that begin with the bytes of the context, the share whose encoding begins
            with its tokens, as far as it was decided.
        other: the share whose encoding begins otherwise.
        outside: the share that has no encoding to speak of: what is no UTF-8, and bytes that the
            vocabulary lacks.
        undecided: the share that is left.
        calls: how many distributions of the teacher were asked for.
    """

    logprobs: NDArray[np.float64]  # [vocab_size + 1]
    error_bound: float
    kept: float
    other: float
    outside: float
    undecided: float
    calls: int

    @underflow_is_zero
    def top(self, count: int = 10) -> list[tuple[int, float]]:
        """The most likely tokens and their probabilities, the likeliest first."""
        order = np.argsort(-self.logprobs, kind="stable")[: whole(count, "count")]
        return [(int(at), float(np.exp(self.logprobs[at]))) for at in order]


class TranslatedModel:
    """A model of bytes as a model of the tokens of any tokenizer.

    It is a `TokenModel`, whose end of text is the id behind the vocabulary.

    >>> import bytewright as bw
    >>> letters = bw.Tokenizer.from_merges([])
    >>> words = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
    >>> teacher = bw.ByteModel(bw.NgramModel.fit(letters, ["low lower", "lot"] * 9))
    >>> found = TranslatedModel(teacher, words).next([])
    >>> [(words.token_bytes(token), round(p, 2)) for token, p in found.top(2)]
    [(b'lo', 0.46), (b'low', 0.43)]
    >>> found.calls, found.undecided
    (3, 0.0)
    """

    __slots__ = ("_budget", "_epsilon", "_goes_on", "_teacher", "_tokenizer", "_vocab")

    def __init__(
        self,
        teacher: BytePredictor,
        tokenizer: Tokenizer,
        *,
        epsilon: float = 0.01,
        budget: int | None = 1000,
    ) -> None:
        """Take a model of bytes, and a tokenizer.

        Args:
            teacher: a `ByteModel`, an ensemble, or whatever else predicts bytes.
            tokenizer: whose tokens are to be predicted.
            epsilon: a search ends when `NextTokens.error_bound` is no more than this.
            budget: or when it has asked the teacher for so many distributions; None sets no bound.

        Raises:
            ArgumentError: `epsilon` or `budget` outside what is allowed, or a tokenizer of which it
                is not known what it makes of a text that goes on.
        """
        check_predictor(teacher, "teacher")
        check_tokenizer(tokenizer)
        check_share(epsilon, "epsilon")
        budget = None if budget is None else whole(budget, "budget", least=1)
        self._teacher, self._tokenizer = teacher, tokenizer
        self._epsilon, self._budget = float(epsilon), budget
        self._vocab = _core.ByteVocab(tokenizer._core, [], "valid")
        self._goes_on = begun_of(teacher)

    @property
    def tokenizer(self) -> Tokenizer:
        """Whose tokens are predicted."""
        return self._tokenizer

    @property
    def eos_id(self) -> int:
        """The column of the end of the text."""
        return self._tokenizer.vocab_size

    @property
    def generation(self) -> object:
        """Which rows the teacher gives, as `TokenModel` has it."""
        return generation_of(self._teacher)

    @property
    def goes_on(self) -> bool:
        """Whether the teacher's texts go on with others, so that no space is put before tokens."""
        return self._goes_on is not None

    @property
    def begun(self) -> bytes:
        """The bytes of a character that such a text before ends inside of."""
        return self._goes_on or b""

    def clear(self) -> None:
        """Have the teacher forget what earlier calls have left, if it can."""
        clear(self._teacher)

    def __reduce__(self) -> tuple[functools.partial[TranslatedModel], tuple[()]]:
        made = functools.partial(
            type(self),
            self._teacher,
            self._tokenizer,
            epsilon=self._epsilon,
            budget=self._budget,
        )
        return made, ()

    def next(self, context: str | bytes | Iterable[int]) -> NextTokens:
        """Which token comes next.

        Args:
            context: tokens, or a text, which is encoded.

        Raises:
            ArgumentError: the encoding of no text begins with these tokens, or the tokenizer
                changes the text before it cuts it, or the text would begin inside a character: give
                tokens then.
            DataError: the teacher gives their bytes the probability 0.
        """
        if isinstance(context, str | bytes):
            data = text_bytes(context)
            ids = self._encoded(data)
            if self._decoded(ids) != data:
                raise ArgumentError(
                    "context: the tokenizer changes this text; give its tokens instead"
                )
        else:
            given = list(context) if isinstance(context, Iterator) else context
            ids = as_context("context", given).tolist()
            data = self._decoded(ids)
        ahead = _core.ByteAhead(self._vocab, ids, self._goes_on)
        return self._search(place_after(self._teacher, data, "context"), ahead)

    def _search(self, state: BytePlace, ahead: _core.ByteAhead) -> NextTokens:
        size = self._tokenizer.vocab_size
        found = np.zeros(size + 1)
        other = outside = 0.0
        places = Places(self._teacher)
        waiting = [_Text(-1.0, 0, Visited(state), ahead, b"")]
        left, calls, number = 1.0, 0, 0
        while waiting:
            kept = float(found.sum())
            if left <= self._epsilon * (kept + left):
                # Its differences may have piled up: it is summed before it is believed.
                left = math.fsum(-text.negative for text in waiting)
            most = MOST_TOGETHER
            if self._budget is not None:
                most = min(most, self._budget - calls)
            texts = _likeliest(waiting, left - self._epsilon * (kept + left), most)
            if not texts:
                break
            states = places.behind([(text.visited, text.data) for text in texts])
            ask_together(self._teacher, states)
            for text, state in zip(texts, states, strict=True):
                visited, outcomes = places.visit(state)
                probs = text.shares(outcomes)
                calls += 1
                behind = text.read()
                verdicts = behind.verdicts()
                decided = verdicts >= 0
                np.add.at(found, verdicts[decided], probs[decided])
                found[size] += probs[verdicts == _END].sum()
                other += float(probs[verdicts == _OTHER].sum())
                outside += float(probs[verdicts < _OTHER].sum())
                opened = np.flatnonzero((verdicts == _OPEN) & (probs > 0.0))
                left += text.negative + float(probs[opened].sum())
                for byte, p in zip(opened.tolist(), probs[opened].tolist(), strict=True):
                    number += 1
                    text = _Text(-p, number, visited, behind, bytes([byte]))
                    heapq.heappush(waiting, text)
        left = math.fsum(-text.negative for text in waiting)
        return _next_tokens(found, other, outside, left, calls)

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
        """A row for each context, float64 `[contexts, vocab_size + 1]`, as `next` has them.

        Behind what cannot be, with which no encoding begins, or of which nothing was decided,
        everything is as likely.

        Raises:
            ArgumentError: contexts that are no ids.
            UnknownTokenError: an id that the tokenizer has not got.
        """
        width = self._tokenizer.vocab_size + 1
        asked = as_contexts(contexts)
        rows = np.full((len(asked), width), -math.log(width))
        for at, ids in enumerate(asked):
            found = self._behind(ids.tolist())
            if found is not None and found.kept > 0.0:
                rows[at] = found.logprobs
        return rows

    def _encoded(self, data: bytes) -> list[int]:
        """The tokens of a text."""
        if self._goes_on and data:
            raise ArgumentError(
                f"context: the teacher's texts go on inside a character, behind {self._goes_on!r}; "
                "give tokens instead"
            )
        return (
            self._tokenizer.encode(data)
            if self._goes_on is None
            else bare_ids(self._tokenizer, data)
        )

    def _decoded(self, ids: list[int]) -> bytes:
        """The text of tokens."""
        if self._goes_on is None:
            return self._tokenizer.decode_bytes(ids)
        return b"".join(map(self._tokenizer.token_bytes, ids))

    def _behind(self, ids: list[int]) -> NextTokens | None:
        """Which token comes next; None behind what cannot be."""
        data = self._decoded(ids)
        try:
            ahead = _core.ByteAhead(self._vocab, ids, self._goes_on)
        except ArgumentError:
            return None
        # Other errors are the teacher's, which say what is wrong with it.
        state = place_given(self._teacher, data)
        return self._search(state, ahead) if state.logprob > -math.inf else None

    def __repr__(self) -> str:
        return f"<TranslatedModel of {self._teacher!r}, {self._tokenizer.vocab_size} tokens>"


class _Text(NamedTuple):
    """A text that is not decided: a byte behind one that was asked for.

    What is never come to so costs nothing. Texts are in the order of their probabilities, the
    likeliest first, of equals the older.
    """

    negative: float  # Minus the probability.
    number: int
    visited: Visited
    ahead: _core.ByteAhead
    data: bytes  # The byte, or nothing of the text that all begin with.

    @underflow_is_zero
    def shares(self, outcomes: ByteDistribution) -> NDArray[np.float64]:
        """How likely the text is with each outcome behind it."""
        return -self.negative * outcomes.probs

    def read(self) -> _core.ByteAhead:
        """What its tokens may be with its byte read."""
        return self.ahead.after(self.data[0]) if self.data else self.ahead


def _likeliest(waiting: list[_Text], needed: float, most: int) -> list[_Text]:
    """The texts to ask for next: as likely ones, and no more than are needed, taken out."""
    texts: list[_Text] = []
    while waiting and len(texts) < most and needed > 0.0:
        # Those of at least half the probability would have their turn soon in any case.
        if texts and waiting[0].negative > texts[0].negative / 2:
            break
        texts.append(heapq.heappop(waiting))
        needed += texts[-1].negative
    return texts


@underflow_is_zero
def _next_tokens(
    found: NDArray[np.float64], other: float, outside: float, left: float, calls: int
) -> NextTokens:
    """What was found, in shares of what was decided.

    Of the K that is kept in truth k was found, k <= K <= k + left. The truth is a mixture of what
    was found and of something else, which has the share (K - k) / K, so this bounds the distance.
    """
    kept = float(found.sum())
    bound = left / (kept + left) if kept > 0.0 else 1.0
    with np.errstate(divide="ignore"):
        logprobs = np.log(found / kept) if kept > 0.0 else np.full(len(found), -np.inf)
    return NextTokens(logprobs, bound, kept, other, outside, left, calls)
