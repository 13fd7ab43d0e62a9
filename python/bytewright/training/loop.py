"""The merge loop as Python drives it: a while at a time, with progress and checkpoints between.

    counts + Plan  ──_core.Trainer──▶  Learned

Parity-aware training is driven the same way, with a trainer of its own.

A checkpoint is the merges so far. Going on from one makes them again, which gives the same counts
of pairs, and so the same merges after them: the result is that of a training that was never
interrupted. The file names what it belongs to, a SHA-256 over the counts and the plan, and is
refused for anything else; its own SHA-256 tells whether it is what was written. The vocabulary size
is not part of that: training may go on to a larger one, and one for a smaller one leaves the file
alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.arguments import place
from bytewright.errors import DataError, ResumeError
from bytewright.files import reading, saved
from bytewright.training.counts import PretokenCounts
from bytewright.training.segments import unsigned

__all__ = [
    "Checkpoint",
    "Learned",
    "Merger",
    "Plan",
    "TrainProgress",
    "drive",
    "fingerprint",
    "learn",
    "prepared",
]

_MAGIC: Final = b"bytewright training 2\n"
_TURN_MS: Final = 100
# Bytes of a known merge: left and right id.
_ROW: Final = 8
# How many of them are made between two looks at the clock.
_ROWS: Final = 16
_CHECKPOINT_SECONDS: Final = 5.0
_SHOWN: Final = 5
_RARER: Final = 1000


@dataclass(frozen=True)
class Plan:
    """What decides the merges, besides the counts and how many are made.

    Attributes:
        order: the byte of each of the first 256 ids; ties go by ids.
        min_count: pairs that stand less often are not merged.
        rules: what may not become a token, as JSON.
        initial: merges to make first, rows of left and right id, shape `[n, 2]`.
    """

    order: bytes
    min_count: int
    rules: str
    initial: NDArray[np.uint32]


@dataclass(frozen=True)
class Learned:
    """Merges in order, the initial ones first.

    Attributes:
        merges: left, right and product id of each, shape `[n, 3]`.
        counts: how often each pair stood in the text before it was merged, shape `[n]`.
        vocab_size: the number of bytes and products.
    """

    merges: NDArray[np.uint32]
    counts: NDArray[np.uint64]
    vocab_size: int


@dataclass(frozen=True)
class TrainProgress:
    """How far training is.

    Attributes:
        vocab_size: tokens so far, special ones not among them.
        wanted: tokens there shall be, likewise.
        merges: merges made.
        merges_per_second: how fast the last ones were made.
        eta_seconds: how long the rest takes at that speed, which rises as pairs get rarer.
        bytes_per_token: bytes of the text for each token it has now.
        last: the last merges, latest first: both parts and how often they stood together.
    """

    vocab_size: int
    wanted: int
    merges: int
    merges_per_second: float
    eta_seconds: float
    bytes_per_token: float
    last: tuple[tuple[bytes, bytes, int], ...]


class Merger(Protocol):
    """A trainer of the core: it makes merges one after the other and knows those it has made."""

    def advance(self, vocab_size: int, milliseconds: int) -> bool: ...  # noqa: D102
    def replay(self, known: bytes, most: int | None) -> None: ...  # noqa: D102
    def known(self, start: int) -> bytes: ...  # noqa: D102
    def steps(self, start: int) -> tuple[bytes, NDArray[np.uint64]]: ...  # noqa: D102
    def token_bytes(self, id: int) -> bytes: ...  # noqa: D102
    @property
    def merges(self) -> int: ...  # noqa: D102
    @property
    def length(self) -> int: ...  # noqa: D102
    @property
    def vocab_size(self) -> int: ...  # noqa: D102


def learn(
    counts: PretokenCounts,
    wanted: int,
    plan: Plan,
    *,
    progress: Callable[[TrainProgress], object] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Learned:
    """Merge the best pairs until there are `wanted` tokens or no pair is left.

    Raises:
        ResumeError: the checkpoint is of other counts or another plan, or damaged.
        DataError: the checkpoint cannot be read or written.
    """
    trainer = _core.Trainer(unsigned(counts), plan.order, plan.min_count, plan.rules)
    kept = None
    if checkpoint is not None:
        options = {
            "order": plan.order.hex(),
            "least": plan.min_count,
            "rules": json.loads(plan.rules),
        }
        belongs = fingerprint(options, (plan.initial, *counts.pieces))
        kept = Checkpoint(
            place(checkpoint, "checkpoint"), belongs, row=_ROW, initial=len(plan.initial)
        )
    initial = plan.initial.astype("<u4").tobytes()
    return drive(trainer, wanted, initial=initial, row=_ROW, progress=progress, kept=kept)


def drive(
    trainer: Merger,
    wanted: int,
    *,
    initial: bytes,
    row: int,
    progress: Callable[[TrainProgress], object] | None,
    kept: Checkpoint | None,
) -> Learned:
    """Drive any trainer; `initial` are merges to make first, `row` bytes each.

    Raises:
        ResumeError: the checkpoint is of another training, or damaged.
        DataError: the checkpoint cannot be read or written.
    """
    told = _Told(progress, wanted, trainer.length)
    _replay(trainer, initial, row, None, told)
    if kept is not None:
        _replay(trainer, kept.read(), row, wanted, told)
    try:
        while trainer.advance(wanted, _TURN_MS):
            told.tell(trainer)
            if kept is not None:
                kept.write_now_and_then(trainer)
    finally:
        if kept is not None:
            kept.write(trainer)
    told.tell(trainer)
    rows, found = trainer.steps(0)
    return Learned(np.frombuffer(rows, "<u4").reshape(-1, 3), found, trainer.vocab_size)


def _replay(trainer: Merger, rows: bytes, row: int, most: int | None, told: _Told) -> None:
    """Make known merges. With much text that takes minutes, so it is told like the others."""
    for start in range(0, len(rows), row * _ROWS):
        trainer.replay(rows[start : start + row * _ROWS], most)
        told.tell_now_and_then(trainer)


def prepared(counts: PretokenCounts, wanted: int, plan: Plan, rules: str) -> Plan:
    """The plan with the frequent merges that other rules allow, before all others.

    Frequent are those that stand at least a thousandth as often as the first of them.
    """
    known = len(plan.initial)
    base = replace(plan, rules=rules)
    first = learn(counts, min(wanted, _size(counts, base) + 1), base).counts[known:]
    if not len(first):
        return plan
    least = max(plan.min_count, int(first[0]) // _RARER)
    found = learn(counts, wanted, replace(base, min_count=least)).merges[:, :2]
    return replace(plan, initial=found)


def _size(counts: PretokenCounts, plan: Plan) -> int:
    """The tokens that a plan begins with."""
    return learn(counts, 0, plan).vocab_size


class _Told:
    """Tells the progress."""

    def __init__(
        self, progress: Callable[[TrainProgress], object] | None, wanted: int, length: int
    ) -> None:
        self._progress = progress
        self._wanted = wanted
        self._bytes = length
        self._then = time.monotonic()
        self._merges = 0

    def tell_now_and_then(self, trainer: Merger) -> None:
        if time.monotonic() - self._then >= _TURN_MS / 1000:
            self.tell(trainer)

    def tell(self, trainer: Merger) -> None:
        if self._progress is None:
            return
        now, merges = time.monotonic(), trainer.merges
        speed = (merges - self._merges) / max(now - self._then, 1e-9)
        self._then, self._merges = now, merges
        size = trainer.vocab_size
        self._progress(
            TrainProgress(
                vocab_size=size,
                wanted=self._wanted,
                merges=merges,
                merges_per_second=speed,
                eta_seconds=(self._wanted - size) / max(speed, 1e-9),
                bytes_per_token=self._bytes / max(trainer.length, 1),
                last=_last(trainer, merges),
            )
        )


def _last(trainer: Merger, merges: int) -> tuple[tuple[bytes, bytes, int], ...]:
    rows, counts = trainer.steps(max(0, merges - _SHOWN))
    pairs = np.frombuffer(rows, "<u4").reshape(-1, 3)[::-1].tolist()
    return tuple(
        (trainer.token_bytes(left), trainer.token_bytes(right), count)
        for (left, right, _), count in zip(pairs, counts[::-1].tolist(), strict=True)
    )


class Checkpoint:
    """The merges so far, `row` bytes each, in a file that is whole or absent.

    First comes a line that says what it is, then the SHA-256 of the rest, then what it belongs to.
    The first `initial` merges are not kept; `belongs` is the fingerprint of the training.
    """

    def __init__(self, path: Path, belongs: str, *, row: int, initial: int = 0) -> None:
        self._path = path
        self._belongs = belongs
        self._row = row
        self._initial = initial
        self._kept = 0
        self._written = time.monotonic()

    def read(self) -> bytes:
        """Merges as the trainer knows them; none where there is no file yet."""
        with reading(self._path):
            try:
                data = self._path.read_bytes()
            except FileNotFoundError:
                return b""
        seal, _, body = data.removeprefix(_MAGIC).partition(b"\n")
        if not data.startswith(_MAGIC):
            raise DataError(f"{self._path}: not a checkpoint of a training")
        head, _, rows = body.partition(b"\n")
        if seal != _seal(body) or len(rows) % self._row:
            raise ResumeError(f"{self._path}: damaged; remove it to start anew")
        if head.decode(errors="replace") != self._belongs:
            raise ResumeError(
                f"{self._path} belongs to a training of other counts or with other options; "
                "remove it to start anew"
            )
        self._kept = len(rows)
        return rows

    def write_now_and_then(self, trainer: Merger) -> None:
        """Write the merges so far, if that was some seconds ago."""
        if time.monotonic() - self._written >= _CHECKPOINT_SECONDS:
            self.write(trainer)

    def write(self, trainer: Merger) -> None:
        """Write the merges so far, unless the file has more of them."""
        rows = trainer.known(self._initial)
        if len(rows) >= self._kept:
            body = self._belongs.encode() + b"\n" + rows
            with saved(self._path) as file:
                file.writelines((_MAGIC, _seal(body), b"\n", body))
            self._kept = len(rows)
        self._written = time.monotonic()


def _seal(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def fingerprint(options: Mapping[str, Any], arrays: Iterable[NDArray[Any]]) -> str:
    """What a training is of: a SHA-256 over its options and the arrays that it begins with."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for array in arrays:
        digest.update(len(array).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
