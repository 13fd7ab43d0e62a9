"""Texts drawn from a model of bytes, a byte at a time.

Each step takes the 257 outcomes through the same stages: those that the constraint does not allow
go (and with `utf8="strict"` those that cannot continue UTF-8), the temperature T raises what is
left to the power 1/T, top-p keeps the fewest likeliest outcomes that have p of the probability, and
one uniform number decides among them in the order of their numbers. So a seed and a model decide
the text.

Where a constraint does not tell what it allows, an outcome is drawn, asked for and, if refused,
taken out of the distribution before the next is drawn, which comes to the same.

What is drawn step by step satisfies the constraint and follows the model at each step. It does not
follow the model as a whole: a beginning from which the constraint leaves little is drawn as often
as one from which it leaves much. `weighted` draws texts with weights that make up for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bytewright.arguments import function
from bytewright.bytelm.arguments import (
    Ends,
    Utf8,
    check_draw,
    check_ends,
    check_utf8,
    stop_strings,
    text_bytes,
)
from bytewright.bytelm.constraints import AllOf, Constraint, ConstraintPlace, may_end
from bytewright.bytelm.distribution import END
from bytewright.bytelm.progress import ByteProgress, Tell
from bytewright.bytelm.protocol import BytePlace, BytePredictor, place_given
from bytewright.bytelm.utf8 import Utf8Constraint
from bytewright.errors import ArgumentError, DataError
from bytewright.sizes import whole
from bytewright.underflow import underflow_is_zero
from bytewright.utf8 import unfinished

__all__ = [
    "ROOMY",
    "SamplingPredictor",
    "crowded",
    "draw",
    "leave",
    "limits",
    "pick",
    "place_after",
]

ROOMY = 1 << 31
"""Room for whatever may follow."""

# Bytes between two calls that tell of progress.
_FEW = 32

# Probabilities that should add up to top-p may miss it by their rounding.
_ROUNDING = 1e-12


class SamplingPredictor(BytePredictor):
    """A model of bytes from which texts are drawn: a class that inherits this needs `start`.

    >>> import bytewright as bw
    >>> class Delayed(SamplingPredictor):
    ...     def __init__(self, make):
    ...         self.make = make
    ...     def start(self, prefix=b""):
    ...         return self.make().start(prefix)
    >>> def make():
    ...     return bw.ByteModel(bw.NgramModel.fit(bw.Tokenizer.from_merges([]), ["low"] * 9))
    >>> Delayed(make).sample("l", max_bytes=9, temperature=0)
    b'ow'
    """

    __slots__ = ()

    def sample(
        self,
        prompt: str | bytes = b"",
        *,
        max_bytes: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | bytes | Sequence[str | bytes] = (),
        utf8: Utf8 = "any",
        constraint: Constraint | None = None,
        ends: Ends = "text",
        progress: Tell | None = None,
    ) -> bytes:
        """Draw what follows a prompt, which may end anywhere: inside a token, inside a character.

        Args:
            prompt: the text so far.
            max_bytes: no more bytes than these; fewer where the text ends.
            temperature: probabilities are raised to the power of its inverse; 0 takes the likeliest
                outcome, of equals the one with the smallest number.
            top_p: keep the fewest outcomes, the likeliest first and of equals those with the
                smaller numbers, that have this share of the probability; the temperature comes
                first.
            seed: equal seeds give equal texts; None draws another text each time.
            stop: strings that end the text where they come to stand in what is drawn; they are not
                part of the result.
            utf8: `"strict"` leaves out bytes that cannot continue UTF-8 and shares out their
                probability; a last character for which `max_bytes` leaves no room is left out. An
                unfinished character at the end of the prompt is finished; before that the prompt
                may hold any bytes. With a constraint it is a part of that: nothing is left out, and
                no character is begun for which there is no room.
            constraint: what the text has to be; it satisfies the constraint or is an error. At each
                step the model's probabilities are shared out among the bytes that are allowed:
                `sample_weighted` draws texts as the model as a whole has them.
            ends: with a constraint, `"match"` leaves the text at the first byte that the constraint
                does not allow, where it satisfies the constraint by then; otherwise the text is
                what the model writes up to its end. A byte that is allowed, but leads to nothing
                for which there is room, does not end the text: others are drawn.
            progress: called every few bytes.

        Raises:
            ArgumentError: an argument outside what is allowed, or `stop` with a constraint.
            DataError: the prompt has the probability 0, nothing that is allowed may follow, or no
                text of at most `max_bytes` bytes satisfies the constraint.

        >>> import bytewright as bw
        >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")])
        >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["lo and lo and lo"] * 9))
        >>> model.sample("l", max_bytes=9, temperature=0)
        b'o and lo '
        >>> model.sample("lo ", max_bytes=20, stop="lo", seed=1)
        b'and '
        >>> word = bw.RegexConstraint("[a-m]+")
        >>> model.sample("lo ", max_bytes=20, ends="match", constraint=word, seed=1)
        b'a'
        """
        max_bytes = whole(max_bytes, "max_bytes")
        check_draw(temperature, top_p, seed)
        check_utf8(utf8)
        check_ends(ends)
        function(progress, "progress")
        stops = stop_strings(stop)
        if constraint is None and ends == "match":
            raise ArgumentError("ends='match' without a constraint: nothing is to be matched")
        if constraint is not None and stops:
            raise ArgumentError("stop: a text that is cut there need not satisfy the constraint")
        text = text_bytes(prompt)
        before = self._before + text
        state = place_after(self, text)
        place = limits(utf8, constraint).start(before)
        rng = np.random.default_rng(seed)
        out = bytearray()
        while len(out) < max_bytes:
            if progress is not None and len(out) % _FEW == 0:
                progress(ByteProgress(len(out), max_bytes))
            mask = place.mask(ROOMY if constraint is None else max_bytes - len(out))
            if ends == "match" and leave(place):
                break
            outcome = _outcome(state, place, mask, (temperature, top_p, ends), rng)
            if outcome is None:
                short = place.mask(ROOMY) & ~mask
                if short.any() and not mask.any():
                    raise DataError(
                        f"max_bytes={max_bytes}: no text that the constraint allows is so short"
                    )
                nothing = _nothing(constraint, utf8, none=not mask.any())
                within = f" in {max_bytes=}" if short.any() else ""
                raise DataError(f"after {len(text) + len(out)} bytes {nothing}{within}")
            if outcome == END:
                break
            out.append(outcome)
            if stops and out.endswith(stops):
                del out[min(len(out) - len(end) for end in stops if out.endswith(end)) :]
                break
            place = place.after(outcome)
            if len(out) < max_bytes:
                state.advance(bytes([outcome]))
        if constraint is None:
            return _trimmed(before, bytes(out)) if utf8 == "strict" else bytes(out)
        if len(out) == max_bytes and not may_end(place):
            raise DataError(f"max_bytes={max_bytes}: the constraint does not let a text end there")
        return bytes(out)

    @property
    def _before(self) -> bytes:
        """What stands before every prompt, and is no part of what the model is asked about."""
        return b""


def place_after(source: BytePredictor, text: bytes, name: str = "prompt") -> BytePlace:
    """The place after a prompt that can be, whose `logprob` need not count it."""
    state = place_given(source, text)
    if state.logprob == -math.inf:
        raise DataError(
            f"{name}: these {len(text)} bytes have the probability 0, so nothing follows them"
        )
    return state


def limits(utf8: Utf8, constraint: Constraint | None) -> Constraint:
    """All that limits a text."""
    strict = [Utf8Constraint()] if utf8 == "strict" else []
    return AllOf(*strict, *([] if constraint is None else [constraint]))


def leave(place: ConstraintPlace) -> bool:
    """Whether a text that is left where nothing more matches ends here, whatever the model says."""
    mask = place.mask(ROOMY)
    return not mask[:END].any() and bool(mask[END]) and place.allows(END)


def crowded(place: ConstraintPlace, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outcomes that are allowed, but not in this mask: for these there is no room.

    A text that is left where nothing more matches is not left there, and gets nowhere.
    """
    short = place.mask(ROOMY) & ~mask
    if not place.exact:
        short[[at for at in np.flatnonzero(short) if not place.allows(int(at))]] = False
    return short


def _trimmed(prompt: bytes, text: bytes) -> bytes:
    """The text without an unfinished character at its end."""
    return text[: max(0, len(text) - len(unfinished(prompt + text)))]


def _nothing(constraint: Constraint | None, utf8: Utf8, *, none: bool) -> str:
    """Why nothing follows; `none` says that nothing is allowed to, whatever the model expects."""
    if none:
        return f"the constraint allows nothing{' that is UTF-8 there' * (utf8 == 'strict')}"
    if constraint is not None:
        return "the model expects nothing that the constraint allows"
    told = "the semantics allows" if utf8 == "any" else "keeps the text UTF-8"
    return f"the model expects nothing that {told}"


def _outcome(
    state: BytePlace,
    place: ConstraintPlace,
    mask: NDArray[np.bool_],
    options: tuple[float, float, Ends],
    rng: np.random.Generator,
) -> int | None:
    """What follows, or None where nothing may."""
    temperature, top_p, ends = options
    logprobs = state.next().logprobs
    if ends == "match" and mask[END] and place.allows(END):
        logprobs = np.where(crowded(place, mask), -np.inf, logprobs)
        if logprobs.max() == -math.inf:
            return None
        outcome = draw(logprobs, temperature, top_p, rng)
        return outcome if mask[outcome] and place.allows(outcome) else END
    logprobs = np.where(mask, logprobs, -np.inf)
    if top_p < 1.0 and not place.exact:
        refused = [at for at in np.flatnonzero(logprobs > -np.inf) if not place.allows(int(at))]
        logprobs[refused] = -np.inf
    while logprobs.max() > -math.inf:
        outcome = draw(logprobs, temperature, top_p, rng)
        if place.exact or place.allows(outcome):
            return outcome
        logprobs[outcome] = -np.inf
    return None


@underflow_is_zero
def draw(
    logprobs: NDArray[np.float64], temperature: float, top_p: float, rng: np.random.Generator
) -> int:
    """One of the outcomes, of which one at least can be."""
    if temperature == 0.0:
        return int(np.argmax(logprobs))
    # The maximum goes first, so that what a low temperature overflows to is a probability of 0.
    with np.errstate(over="ignore"):
        probs = np.exp((logprobs - logprobs.max()) / temperature)
    return pick(probs, np.argsort(-probs, kind="stable"), top_p, rng)


def pick(
    probs: NDArray[np.float64], order: NDArray[np.intp], top_p: float, rng: np.random.Generator
) -> int:
    """One of the outcomes with these probabilities, which need not add up to 1.

    Args:
        probs: how likely each is.
        order: the likeliest first.
        top_p: the first in the order that have this share are kept.
        rng: one number of it decides.
    """
    probs = probs / probs.sum()
    if top_p < 1.0:
        enough = np.searchsorted(np.cumsum(probs[order]), top_p - _ROUNDING)
        probs[order[enough + 1 :]] = 0.0
    sums = np.cumsum(probs)
    found = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
    # The product may round up to the whole sum, behind which there is nothing.
    return min(found, int(np.flatnonzero(probs)[-1]))
