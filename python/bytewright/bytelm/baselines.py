"""What others do where a text ends inside a token, to compare with. None of it is exact.

| method | how a prompt is continued |
|---|---|
| `"naive"` | as the tokenizer encodes it: what the next token begins with comes next |
| `"healing"` | the last token is taken back, and one token drawn that begins with its bytes (token healing, in guidance and transformers) |
| `"alignment"` | the last `back` tokens are taken back, and tokens drawn that agree with their bytes (token alignment, Athiwaratkun et al. 2024, "Token Alignment via Character Matching for Subword Completion") |

All three keep tokens that the text, as it goes on, is not made of: a model that has only seen texts as
the tokenizer cuts them has learned that what follows such a token is *not* what would have been joined
to it. Healing mends that where one token is all that is wrong. Alignment forgets further back, but
shares out the probability anew at every token among those that agree with the bytes (a local choice)
instead of by what the bytes have in common with each (`ByteModel`).

Here they are free of what implementations add: no byte of the prompt is stripped, special tokens are
never taken for text, tokens are compared by their bytes, and prompts of one token and of none work.
What is drawn behind the prompt is a sum over the tokens that may be drawn, not one draw.
"""  # noqa: E501

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import word
from bytewright.bytelm.arguments import check_bytes, check_share, text_bytes
from bytewright.bytelm.distribution import OUTCOMES, ByteDistribution, log_added
from bytewright.bytelm.inside import Inside, Names, probabilities
from bytewright.bytelm.model import ByteModel, Semantics
from bytewright.bytelm.protocol import ForkingPlace
from bytewright.bytelm.sampling import SamplingPredictor
from bytewright.bytelm.spaces import bare_ids
from bytewright.bytelm.state import ByteState
from bytewright.errors import DataError
from bytewright.models import TokenModel
from bytewright.models.protocol import generation_of
from bytewright.sizes import whole
from bytewright.underflow import underflow_is_zero

__all__ = ["BaselineModel", "BaselinePlace", "Method"]

Method = Literal["naive", "healing", "alignment"]
Floats = NDArray[np.float64]
Ids = tuple[int, ...]

# A way to have come to a place, and the logarithm of its share: inside a token, or in the text that
# begins behind tokens.
_Part = tuple[float, Inside | ByteState]

# Ways that are dropped once they have less than this share.
_NEGLIGIBLE = 1e-9

# Contexts that are tried for one prompt.
_MOST = 1000


class BaselineModel(SamplingPredictor):
    """A model of bytes as the usual ways to continue a prompt make one; an approximation.

    >>> import bytewright as bw
    >>> tok = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
    >>> tokens = bw.NgramModel.fit(tok, ["low low low"] * 9)
    >>> def after_lo(model):
    ...     return round(float(model.start(b"low lo").next().probs[ord("w")]), 2)
    >>> after_lo(BaselineModel(tokens, method="naive"))  # No text has "w" behind the token "lo".
    0.0
    >>> after_lo(BaselineModel(tokens, method="healing")), after_lo(bw.ByteModel(tokens))
    (1.0, 1.0)
    """

    __slots__ = ("_back", "_bytes", "_epsilon", "_method", "_names")

    def __init__(
        self,
        model: TokenModel,
        *,
        method: Method = "healing",
        back: int = 3,
        semantics: Semantics = "valid",
        epsilon: float = 1e-3,
    ) -> None:
        """Take a model of tokens.

        Args:
            model: as of `ByteModel`.
            method: how a prompt is continued; see the module.
            back: how many tokens `"alignment"` takes back.
            semantics: which sequences of tokens count behind the prompt, as of `ByteModel`.
            epsilon: of `"alignment"`, the share of all ways to spell what was taken back that may
                stay untried (they are exponentially many); `ByteDistribution.error_bound` tells
                what stayed. At most 1000 contexts are tried in any case.

        Raises:
            ArgumentError: an unknown method, or what `ByteModel` refuses.
        """
        word(method, "method", ("naive", "healing", "alignment"))
        back = whole(back, "back")
        check_share(epsilon, "epsilon")
        self._method: Method = method
        self._epsilon = epsilon
        self._back = {"naive": 0, "healing": 1}.get(method, back)
        self._bytes = ByteModel(model, semantics=semantics)
        self._names = Names(model)

    @property
    def model(self) -> TokenModel:
        """The model of tokens."""
        return self._bytes.model

    @property
    def generation(self) -> object:
        """Which rows the model gives, as `TokenModel` has it."""
        return generation_of(self._bytes)

    @property
    def goes_on(self) -> bool:
        """Whether texts go on with what the model of tokens stands behind."""
        return self._bytes.goes_on

    @property
    def begun(self) -> bytes:
        """The bytes of a character that such a text before ends inside of."""
        return self._bytes.begun

    @property
    def method(self) -> Method:
        """How a prompt is continued."""
        return self._method

    @property
    def back(self) -> int:
        """How many tokens are taken back."""
        return self._back

    def clear(self) -> None:
        """Forget what earlier calls have left, as `ByteModel.clear`."""
        self._bytes.clear()

    def start(self, prefix: str | bytes = b"") -> BaselinePlace:
        """The place behind a prompt, of which the method makes what it does."""
        tok, text = self.model.tokenizer, text_bytes(prefix)
        ids = tuple(bare_ids(tok, text) if self.goes_on else tok.encode(text))
        kept = ids[: max(0, len(ids) - self._back)]
        rest = b"".join(map(tok.token_bytes, ids[len(kept) :]))
        if not rest:
            return BaselinePlace(self._bytes, [(0.0, self._bytes.behind(kept).start())], 0.0)
        found, untried = self._spellings(kept, rest)
        parts = [part for spelling in found for part in _split(self._bytes, *spelling)]
        return BaselinePlace(self._bytes, parts, untried)

    def _spellings(self, kept: Ids, rest: bytes) -> tuple[list[tuple[float, Inside]], float]:
        """The tokens that reach the end of the prompt, by what was drawn before them.

        With the logarithm of the probability that one comes so far and then draws one of them, and
        the share of what was not tried.
        """
        heap: list[tuple[float, Ids, bytes]] = [(0.0, kept, rest)]
        found: list[tuple[float, Inside]] = []
        untried, tried = 1.0, 0
        while heap and tried < _MOST and untried > self._epsilon:
            nats, context, left = heapq.heappop(heap)
            tried += 1
            probs = probabilities(self.model, context)
            first, last = self._names.begin(left)
            inside = Inside(self._names, context, left, first, probs[self._names.ids[first:last]])
            shorter = list(self._shorter(left)) if self._method == "alignment" else []
            total = inside.mass + sum(float(probs[at]) for _, at in shorter)
            if inside.mass:
                found.append((math.log(inside.mass / total) - nats, inside))
            for size, at in shorter:
                if probs[at]:
                    further = nats - math.log(float(probs[at]) / total)
                    heapq.heappush(heap, (further, (*context, at), left[size:]))
            untried = math.fsum(math.exp(-one[0]) for one in heap) if tried % 8 == 0 else untried
        untried = math.fsum(math.exp(-one[0]) for one in heap)
        return found, untried

    def _shorter(self, left: bytes) -> Iterator[tuple[int, int]]:
        """The tokens that are a part of what is left, and their sizes."""
        for size in range(1, len(left)):
            first, last = self._names.same(left[:size])
            yield from ((size, int(at)) for at in self._names.ids[first:last])

    @property
    def _before(self) -> bytes:
        return self.begun

    def __repr__(self) -> str:
        return f"<BaselineModel of {self.model!r}, method {self._method!r}>"


def _split(model: ByteModel, weight: float, inside: Inside) -> list[_Part]:
    """Texts of their own behind the tokens that end here, and the tokens that go on."""
    whole = inside.mass
    parts: list[_Part] = [
        (weight + math.log(p / whole), model.behind((*inside.context, at)).start())
        for at, p in inside.ended()
    ]
    rest = inside.going_on()
    if rest.mass:
        parts.append((weight + math.log(rest.mass / whole), rest))
    return parts


def _scaled(parts: list[_Part]) -> tuple[list[_Part], float]:
    """The parts with shares that add up to 1, but for the negligible, and the share of these."""
    if not parts:
        return [], 0.0
    whole = log_added([weight for weight, _ in parts])
    least = whole + math.log(_NEGLIGIBLE)
    kept = [(weight - whole, part) for weight, part in parts if weight > least]
    return kept, math.fsum(math.exp(weight - whole) for weight, _ in parts if weight <= least)


def _next(part: Inside | ByteState) -> tuple[Floats, float]:
    """How likely each outcome is in a part, and what of it is lost."""
    if isinstance(part, Inside):
        return part.next(), 0.0
    found = part.next()
    return found.probs, found.lost_mass


@underflow_is_zero
def _mixed(found: list[tuple[float, Floats, float]]) -> tuple[Floats, float]:
    """What several parts expect together, in logarithms, and the share that is not lost."""
    probs, kept = np.zeros(OUTCOMES), 0.0
    for weight, expected, lost in found:
        share = math.exp(weight) * (1.0 - lost)
        probs, kept = probs + share * expected, kept + share
    with np.errstate(divide="ignore"):
        return np.log(probs / kept if kept else probs), kept


class BaselinePlace(ForkingPlace):
    """A place behind a prompt; `BaselineModel.start` makes them.

    `logprob` is that of the bytes behind the prompt: of the prompt itself these methods know none.
    """

    __slots__ = ("_logprob", "_model", "_parts", "_untried")

    def __init__(self, model: ByteModel, parts: list[_Part], untried: float) -> None:
        """Not to be called: `BaselineModel.start` makes places."""
        self._model, self._untried = model, untried
        self._logprob = 0.0 if parts else -math.inf
        self._take(parts, 1.0)

    def _take(self, parts: list[_Part], likelihood: float) -> None:
        """Go on with these; what was left out may have had what they were less likely to have."""
        self._parts, dropped = _scaled(parts)
        left = self._left(likelihood)
        self._untried = left + (1.0 - left) * dropped

    def _left(self, likelihood: float) -> float:
        """The most that what was left out has, once the parts had something so likely."""
        return self._untried and self._untried / (
            self._untried + (1.0 - self._untried) * likelihood
        )

    @property
    def logprob(self) -> float:
        """The natural logarithm of the probability of the bytes behind the prompt."""
        return self._logprob

    def next(self) -> ByteDistribution:
        """What may follow.

        Raises:
            DataError: what was read has the probability 0.
        """
        if not self._parts:
            raise DataError("the probability is 0: nothing follows")
        logprobs, kept = _mixed([(weight, *_next(part)) for weight, part in self._parts])
        return ByteDistribution(logprobs, min(1.0, max(0.0, 1.0 - kept)), self._left(kept))

    def advance(self, data: bytes) -> Self:
        """Read more bytes, in place.

        Returns:
            The place itself.

        Raises:
            ArgumentTypeError: `data` is not bytes.
        """
        check_bytes(data)
        for at in range(len(data)):
            self._read(data[at : at + 1])
        return self

    def _read(self, byte: bytes) -> None:
        parts: list[_Part] = []
        for weight, part in self._parts:
            probs, lost = _next(part)
            p = float(probs[byte[0]]) * (1.0 - lost)
            if not p:
                continue
            if isinstance(part, Inside):
                parts += _split(self._model, weight + math.log(p), part.advance(byte))
            else:
                parts.append((weight + math.log(p), part.fork().advance(byte)))
        gain = log_added([weight for weight, _ in parts])
        self._logprob += gain
        self._take(parts, math.exp(gain))

    def fork(self) -> Self:
        """Another place behind the same bytes; the two go their own ways."""
        other = object.__new__(type(self))
        # Parts are never changed, so the two may share them.
        other._model, other._parts = self._model, self._parts
        other._logprob, other._untried = self._logprob, self._untried
        return other

    def __repr__(self) -> str:
        return f"<BaselinePlace of {len(self._parts)} ways that the text was cut>"
