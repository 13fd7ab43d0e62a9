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
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.constraints import AllOf, Constraint, ConstraintPlace, satisfied
from bytewright.bytelm.distribution import END
from bytewright.bytelm.protocol import BytePlace, BytePredictor
from bytewright.bytelm.text import text_bytes
from bytewright.bytelm.utf8 import Utf8Constraint, unfinished
from bytewright.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = [
    "Ends",
    "Utf8",
    "check_draw",
    "check_ends",
    "check_utf8",
    "draw",
    "leave",
    "limits",
    "natural",
    "pick",
    "place_after",
    "sample",
    "stop_strings",
    "trimmed",
]

Utf8 = Literal["any", "strict"]
Ends = Literal["text", "match"]

# Probabilities that should add up to top-p may miss it by their rounding.
_ROUNDING = 1e-12


def sample(
    source: BytePredictor,
    prompt: str | bytes,
    *,
    max_bytes: int,
    temperature: float,
    top_p: float,
    seed: int | None,
    stop: str | bytes | Sequence[str | bytes],
    utf8: Utf8,
    constraint: Constraint | None = None,
    ends: Ends = "text",
    before: bytes = b"",
) -> bytes:
    """Draw what follows a prompt; `ByteModel.sample` says what the arguments are.

    `before` is a text before the prompt that the model is not asked about.
    """
    natural("max_bytes", max_bytes)
    check_draw(temperature, top_p, seed)
    check_utf8(utf8)
    check_ends(ends)
    stops = stop_strings(stop)
    if constraint is None and ends == "match":
        raise ArgumentError("ends='match' without a constraint: nothing is to be matched")
    if constraint is not None and stops:
        raise ArgumentError("stop: a text that is cut there need not satisfy the constraint")
    text = text_bytes(prompt)
    state = place_after(source, text)
    place = limits(utf8, constraint).start(before + text)
    rng = np.random.default_rng(seed)
    out = bytearray()
    while len(out) < max_bytes:
        mask = place.mask(max_bytes - len(out))
        if ends == "match" and leave(place, mask):
            break
        outcome = _outcome(state, place, mask, (temperature, top_p, ends), rng)
        if outcome is None:
            what = _what(constraint, utf8)
            raise DataError(f"after {len(text) + len(out)} bytes the model expects nothing {what}")
        if outcome == END:
            break
        out.append(outcome)
        if stops and out.endswith(stops):
            del out[min(len(out) - len(end) for end in stops if out.endswith(end)) :]
            break
        place = place.after(outcome)
        if len(out) < max_bytes:
            state.advance(bytes([outcome]))
    found = trimmed(before + text, bytes(out), utf8)
    if len(out) == max_bytes and constraint is not None and not satisfied(constraint, text, found):
        raise DataError(f"max_bytes={max_bytes}: the constraint does not let a text end there")
    return found


def natural(name: str, number: int) -> None:
    """Raise if an argument is no whole number from 0 on."""
    if not isinstance(number, int) or isinstance(number, bool):
        raise ArgumentTypeError(f"{name} must be an int, not {type(number).__name__}")
    if number < 0:
        raise ArgumentError(f"{name}={number}: 0 and more are allowed")


def check_draw(temperature: float, top_p: float, seed: int | None) -> None:
    """Raise if these do not say how to draw."""
    if seed is not None:
        natural("seed", seed)
    if not 0.0 <= temperature < math.inf:
        raise ArgumentError(f"temperature={temperature}: 0 (the likeliest) and more")
    if not 0.0 < top_p <= 1.0:
        raise ArgumentError(f"top_p={top_p} is not in 0.0 < top_p <= 1.0")


def check_utf8(utf8: Utf8) -> None:
    """Raise if this does not say which bytes are allowed."""
    if utf8 not in ("any", "strict"):
        raise ArgumentError(f"utf8={utf8!r}: 'any' and 'strict' are allowed")


def check_ends(ends: Ends) -> None:
    """Raise if this does not say where texts end."""
    if ends not in ("text", "match"):
        raise ArgumentError(f"ends={ends!r}: 'text' and 'match' are allowed")


def stop_strings(stop: str | bytes | Sequence[str | bytes]) -> tuple[bytes, ...]:
    """Stop strings as a caller gives them."""
    if not isinstance(stop, str | bytes | Iterable):
        raise ArgumentTypeError(f"stop: texts, not {type(stop).__name__}")
    stops = tuple(map(text_bytes, [stop] if isinstance(stop, str | bytes) else stop))
    if b"" in stops:
        raise ArgumentError("stop: an empty stop string would end every text at once")
    return stops


def place_after(source: BytePredictor, text: bytes) -> BytePlace:
    """The place after a prompt that can be."""
    state = source.start(text)
    if state.logprob == -math.inf:
        raise DataError(
            f"prompt: these {len(text)} bytes have the probability 0, so nothing follows them"
        )
    return state


def limits(utf8: Utf8, constraint: Constraint | None) -> Constraint:
    """All that limits a text."""
    strict = [Utf8Constraint()] if utf8 == "strict" else []
    return AllOf(*strict, *([] if constraint is None else [constraint]))


def leave(place: ConstraintPlace, mask: NDArray[np.bool_]) -> bool:
    """Whether a text that is left where nothing more matches ends here, whatever the model says."""
    return not mask[:END].any() and bool(mask[END]) and place.allows(END)


def trimmed(prompt: bytes, text: bytes, utf8: Utf8) -> bytes:
    """The text without an unfinished character at its end, where it has to be UTF-8."""
    cut = unfinished(prompt + text) if utf8 == "strict" else b""
    return text[: max(0, len(text) - len(cut))]


def _what(constraint: Constraint | None, utf8: Utf8) -> str:
    if constraint is not None:
        return "that the constraint allows"
    return "that the semantics allows" if utf8 == "any" else "that keeps the text UTF-8"


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
