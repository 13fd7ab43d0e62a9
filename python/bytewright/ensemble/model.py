"""Models of bytes that predict as one.

The models need not have anything in common: each says what it expects of the next byte, or of the
end of the text, and a rule (see `rules`) makes one prediction of these. An ensemble is a model of
bytes itself, so it has the same methods and may be a member of another one. The probability of a
text is the product of the ensemble's predictions of its bytes, each of which costs a prediction of
every model, and of the shares that are not lost at each (`ByteDistribution.lost_mass`): an ensemble
loses what its models do, and identical models are as one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import number, word
from bytewright.bytelm import ByteModel, BytePredictor
from bytewright.bytelm.arguments import text_bytes
from bytewright.bytelm.infilling import InfillingPredictor
from bytewright.bytelm.protocol import (
    BytePlace,
    Goal,
    PreparedPredictor,
    ask_together,
    check_predictor,
    place_given,
)
from bytewright.bytelm.scoring import ScoringPredictor
from bytewright.ensemble.rules import RULES, Floats, Rule, fixed_share, online
from bytewright.ensemble.state import EnsembleState
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.models import TokenModel
from bytewright.models.protocol import begun_of, clear, generation_of
from bytewright.underflow import underflow_is_zero

__all__ = ["Ensemble", "RuleName"]

# Bytes of a text that is scored whose contexts are asked for together.
_AHEAD = 32

RuleName = Literal["arithmetic", "geometric", "bayes", "fixed_share", "online", "core"]

_NAMES = sorted([*RULES, "fixed_share", "online"])


class Ensemble(InfillingPredictor, ScoringPredictor):
    """One model of bytes out of several, whatever their tokenizers.

    >>> import bytewright as bw
    >>> letters = bw.Tokenizer.from_merges([])
    >>> words = bw.Tokenizer.from_merges([(b"l", b"o"), (b"lo", b"w")])
    >>> one = bw.ByteModel(bw.NgramModel.fit(letters, ["low lower"] * 9))
    >>> two = bw.ByteModel(bw.NgramModel.fit(words, ["low tide"] * 9))
    >>> both = Ensemble([one, two], rule="bayes")
    >>> both.start("low t").weights.round(2).tolist()  # Only the second has seen a "t" there.
    [0.0, 1.0]
    """

    __slots__ = ("_made", "_models", "_name", "_rule", "_weights")

    def __init__(
        self,
        models: Iterable[BytePredictor | TokenModel],
        *,
        rule: RuleName = "arithmetic",
        weights: Sequence[float] | NDArray[np.float64] | None = None,
        share: float = 0.02,
        eta: float = 0.05,
    ) -> None:
        """Take models of bytes.

        Args:
            models: `ByteModel`s, ensembles, or whatever else predicts bytes; a model of tokens is
                taken as `ByteModel(model)`. The rule `core` takes the first for the main model.
            rule: how their predictions become one; the module `bytewright.ensemble.rules` has the
                formulas. Where a model gives an outcome the probability 0, the products
                (`geometric`, `online`) do, and the means go on without it; what no outcome is left
                for has the probability 0, as with a single model.
            weights: of the models at the start, scaled to add up to 1; equal unless given. Those
                of `core` are for the mean that it compares with; in the prediction it finds its
                own.
            share: of `fixed_share`, how much of the weight is dealt out anew after each byte.
            eta: of `online`, how fast the weights follow.

        Raises:
            ArgumentError: no model, an unknown rule, weights that are none, or an option outside.
            ArgumentTypeError: something that is no model of bytes.
        """
        if not isinstance(models, Iterable):
            raise ArgumentTypeError(f"models: a list of them, not {type(models).__name__}")
        given = tuple(models)
        if not given:
            raise ArgumentError("models: at least one is needed")
        for at, model in enumerate(given):
            if not isinstance(model, TokenModel):
                check_predictor(model, f"models[{at}]")
        self._models = tuple(map(_of_bytes, given))
        word(rule, "rule", _NAMES)
        self._weights = _shares(weights, len(self._models))
        self._name, self._rule = rule, _rule(rule, self._weights, share, eta)
        self._made = functools.partial(
            type(self), self._models, rule=rule, weights=self._weights, share=share, eta=eta
        )

    @property
    def models(self) -> tuple[BytePredictor, ...]:
        """The models."""
        return self._models

    @property
    def rule(self) -> RuleName:
        """How predictions become one."""
        return self._name

    @property
    def weights(self) -> Floats:
        """The weights at the start of a text, float64 `[models]`."""
        return self._weights.copy()

    @property
    def generation(self) -> object:
        """Which rows each model gives, as `TokenModel` has it."""
        return tuple(generation_of(model) for model in self._models)

    @property
    def goes_on(self) -> bool:
        """Whether the texts of all models go on with others, that end inside the same character."""
        return self._going_on() is not None

    @property
    def begun(self) -> bytes:
        """The bytes of a character that all texts before end inside of."""
        return self._going_on() or b""

    def clear(self) -> None:
        """Have each model forget what earlier calls have left, if it can."""
        for model in self._models:
            clear(model)

    def start(self, prefix: str | bytes = b"") -> EnsembleState:
        """The state after a text, which may end anywhere."""
        members = [model.start() for model in self._models]
        return EnsembleState(self._rule, members, self._weights).advance(text_bytes(prefix))

    def given(self, text: str | bytes) -> EnsembleState:
        """The state after a text that is given: `logprob` counts from there on.

        Where the rule learns nothing from the bytes (`arithmetic`, `geometric`, `core`), the models
        do not predict them.
        """
        data = text_bytes(text)
        if self._rule.learns:
            return self.start(data)._from_here()
        members = [place_given(model, data) for model in self._models]
        return EnsembleState(self._rule, members, self._weights)._behind(data, self._weights)

    def prepare(self, places: Sequence[BytePlace], goal: Goal = "next") -> None:
        """Ask each model, once, for all that several states need for their next bytes.

        It changes nothing but how often the models are asked.
        """
        # An ensemble knows the probability of what it has read.
        if not isinstance(places, Iterable):
            raise ArgumentTypeError(f"places: a list of them, not {type(places).__name__}")
        word(goal, "goal", ("next", "end"))
        states = [one for one in places if isinstance(one, EnsembleState) and goal == "next"]
        for at, model in enumerate(self._models):
            ask_together(model, [member for state in states if (member := state._member(at))])

    def score(self, text: str | bytes) -> NDArray[np.float64]:
        """The logarithm of what each byte of a text was expected with.

        Returns:
            float64 `[len(text)]`, in nats, whose sum is `logprob`; minus infinity from the first
            byte on that cannot be.
        """
        data = text_bytes(text)
        scores = np.full(len(data), -np.inf)
        state = self.start()
        for at, byte in enumerate(data):
            if at % _AHEAD == 0:
                self._ask_ahead(state, data[at : at + _AHEAD])
            scores[at] = state._read(byte)
            if scores[at] == -np.inf:
                break
        return scores

    def _ask_ahead(self, state: EnsembleState, data: bytes) -> None:
        """Ask each model, once, for all that the next bytes will need."""
        for at, model in enumerate(self._models):
            place = state._member(at)
            if place is None or not isinstance(model, PreparedPredictor):
                continue
            places = [place]
            for byte in data[:-1]:
                places.append(places[-1].fork().advance(bytes([byte])))
            model.prepare(places)

    def _going_on(self) -> bytes | None:
        begun = {begun_of(model) for model in self._models}
        return begun.pop() if len(begun) == 1 else None

    @property
    def _before(self) -> bytes:
        return self.begun

    def __reduce__(self) -> tuple[functools.partial[Ensemble], tuple[()]]:
        return self._made, ()

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self._models)} models, rule {self._name!r}>"


def _of_bytes(model: BytePredictor | TokenModel) -> BytePredictor:
    return model if isinstance(model, BytePredictor) else ByteModel(model)


@underflow_is_zero
def _shares(weights: Sequence[float] | NDArray[np.float64] | None, number: int) -> Floats:
    if weights is None:
        return np.full(number, 1.0 / number)
    try:
        shares = np.array(weights, np.float64)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"weights: {number} numbers are needed, not {weights!r}") from None
    if shares.shape != (number,):
        raise ArgumentError(f"weights: {number} are needed, one a model, not {shares.size}")
    if not np.all(np.isfinite(shares)) or shares.min() < 0.0 or not 0.0 < shares.sum() < np.inf:
        raise ArgumentError(f"weights={shares.tolist()}: none below 0, and one above it")
    return np.asarray(shares / shares.sum())


def _rule(name: RuleName, weights: Floats, share: float, eta: float) -> Rule:
    if name == "fixed_share":
        if not 0.0 <= number(share, "share") <= 1.0:
            raise ArgumentError(f"share={share} is not in 0.0 <= share <= 1.0")
        return fixed_share(share, weights)
    if name == "online":
        if not 0.0 <= number(eta, "eta") < math.inf:
            raise ArgumentError(f"eta={eta}: 0 and more are allowed")
        return online(eta)
    return RULES[name]
