"""What a model of bytes is: all that sampling, ensembles and compression ask of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, Self, runtime_checkable

from bytewright.bytelm.distribution import ByteDistribution
from bytewright.errors import ArgumentTypeError

__all__ = [
    "BytePlace",
    "BytePredictor",
    "ForkingPlace",
    "GivenPredictor",
    "Goal",
    "PreparedPredictor",
    "ask_together",
    "check_predictor",
    "place_given",
    "released",
]

Goal = Literal["next", "end"]


class BytePlace(Protocol):
    """A place in a text; `ByteState` is one."""

    __slots__ = ()

    @property
    def logprob(self) -> float:
        """The natural logarithm of the probability that a text begins with the bytes so far."""
        ...

    def next(self) -> ByteDistribution:
        """What may follow."""
        ...

    def advance(self, data: bytes) -> Self:
        """Read more bytes, in place."""
        ...

    def fork(self) -> Self:
        """Another place after the same bytes."""
        ...


class ForkingPlace(BytePlace):
    """A place whose copies are forks, and which is not pickled."""

    __slots__ = ()

    def _released(self) -> Self:
        """A fork that may hold less: nothing that was found out to tell what follows."""
        return self.fork()

    def __copy__(self) -> Self:
        return self.fork()

    def __deepcopy__(self, memo: object) -> Self:
        return self.fork()

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise ArgumentTypeError("a place in a text is not pickled: pickle the model and the text")


def released(place: BytePlace) -> BytePlace:
    """A fork of a place without what was found out to tell what follows, if it can do without."""
    return place._released() if isinstance(place, ForkingPlace) else place.fork()


@runtime_checkable
class BytePredictor(Protocol):
    """A model of bytes; `ByteModel` is one.

    A class with `start` is one; it need not inherit. One that inherits `SamplingPredictor`,
    `InfillingPredictor` or `ScoringPredictor` gets all that follows from `start`. It may say with
    `goes_on` and `begun` that its texts go on with others, as a `TokenModel` may, and have its
    `generation` and `clear`.

    >>> import bytewright as bw
    >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")])
    >>> isinstance(bw.ByteModel(bw.NgramModel.fit(tok, ["lo and lo"])), BytePredictor)
    True
    """

    __slots__ = ()

    def start(self, prefix: str | bytes = b"") -> BytePlace:
        """The place after a text."""
        ...


@runtime_checkable
class GivenPredictor(Protocol):
    """A model of bytes that can leave out how likely a text is that is given, as `ByteModel`."""

    def given(self, text: str | bytes) -> BytePlace:
        """The place after a text; its `logprob` is that of what is read from there on."""
        ...


@runtime_checkable
class PreparedPredictor(Protocol):
    """A model of bytes that may be asked for several places at once; `ByteModel` is one."""

    def prepare(self, places: Sequence[BytePlace], goal: Goal = "next") -> None:
        """Find out together what places will be asked for: the next bytes, or `logprob`."""
        ...


def check_predictor(model: object, name: str) -> None:
    """Raise if something is no model of bytes."""
    if not isinstance(model, BytePredictor):
        raise ArgumentTypeError(
            f"{name}: a model of bytes, not {type(model).__name__}; ByteModel makes one of a model "
            "of tokens"
        )


def ask_together(source: object, places: Sequence[BytePlace], goal: Goal = "next") -> None:
    """Have a model find out together what several places will be asked for, if it can."""
    if isinstance(source, PreparedPredictor) and len(places) > 1:
        source.prepare(places, goal)


def place_given(source: BytePredictor, text: str | bytes) -> BytePlace:
    """The place after a text; its `logprob` need not count the text."""
    return source.given(text) if isinstance(source, GivenPredictor) else source.start(text)
