"""Texts drawn from a model of bytes, a byte at a time.

Each step takes the 257 outcomes through the same stages: bytes that cannot continue UTF-8 go
(`utf8="strict"`), the temperature T raises what is left to the power 1/T, top-p keeps the fewest
likeliest outcomes that have p of the probability, and one uniform number decides among them in the
order of their numbers. So a seed and a model decide the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bytewright.bytelm.distribution import END
from bytewright.bytelm.protocol import BytePlace, BytePredictor
from bytewright.bytelm.text import text_bytes
from bytewright.bytelm.utf8 import may_follow, unfinished
from bytewright.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = ["Utf8", "check_draw", "check_utf8", "natural", "pick", "sample", "stop_strings"]

Utf8 = Literal["any", "strict"]

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
) -> bytes:
    """Draw what follows a prompt; `ByteModel.sample` says what the arguments are."""
    natural("max_bytes", max_bytes)
    check_draw(temperature, top_p, seed)
    check_utf8(utf8)
    stops = stop_strings(stop)
    text = text_bytes(prompt)
    state = source.start(text)
    if state.logprob == -math.inf:
        raise DataError(
            f"prompt: these {len(text)} bytes have the probability 0, so nothing follows them"
        )
    rng = np.random.default_rng(seed)
    out = bytearray()
    tail = unfinished(text) if utf8 == "strict" else None
    while len(out) < max_bytes:
        logprobs = _allowed(state, tail, len(text) + len(out))
        outcome = _draw(logprobs, temperature, top_p, rng)
        if outcome == END:
            break
        out.append(outcome)
        if stops and out.endswith(stops):
            del out[min(len(out) - len(end) for end in stops if out.endswith(end)) :]
            break
        if tail is not None:
            tail = unfinished(tail + bytes([outcome]))
        if len(out) < max_bytes:
            state.advance(bytes([outcome]))
    if utf8 == "strict" and (cut := unfinished(text + out)):
        del out[max(0, len(out) - len(cut)) :]
    return bytes(out)


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


def stop_strings(stop: str | bytes | Sequence[str | bytes]) -> tuple[bytes, ...]:
    """Stop strings as a caller gives them."""
    stops = tuple(map(text_bytes, [stop] if isinstance(stop, str | bytes) else stop))
    if b"" in stops:
        raise ArgumentError("stop: an empty stop string would end every text at once")
    return stops


def _allowed(state: BytePlace, tail: bytes | None, place: int) -> NDArray[np.float64]:
    logprobs = state.next().logprobs
    if tail is not None:
        logprobs = np.where(may_follow(tail), logprobs, -np.inf)
    if not np.any(logprobs > -np.inf):
        what = "that the semantics allows" if tail is None else "that keeps the text UTF-8"
        raise DataError(f"after {place} bytes the model expects nothing {what}")
    return logprobs


def _draw(
    logprobs: NDArray[np.float64], temperature: float, top_p: float, rng: np.random.Generator
) -> int:
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
