"""Training that is stopped and goes on, and what it tells meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_train import TEXTS

import bytewright as bw

pytestmark = pytest.mark.timeout(300)


# Checkpoints


class Stopped(Exception):
    """The training is stopped from outside."""


def stop_after(merges: int) -> Any:
    def progress(now: Any) -> None:
        if isinstance(now, bw.TrainProgress) and now.merges >= merges:
            raise Stopped

    return progress


def test_a_checkpoint_goes_on_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bytewright.training.loop._TURN_MS", 0)
    kept = tmp_path / "kept"
    options: dict[str, Any] = {"initial_merges": [(b"q", b"u")], "checkpoint": kept}
    expected = bw.train(TEXTS, 350, initial_merges=[(b"q", b"u")]).fingerprint
    with pytest.raises(Stopped):
        bw.train(TEXTS, 350, progress=stop_after(30), **options)
    size = kept.stat().st_size
    with pytest.raises(Stopped):
        bw.train(TEXTS, 350, progress=stop_after(60), **options)
    assert kept.stat().st_size > size
    assert bw.train(TEXTS, 350, **options).fingerprint == expected
    # One that has gone further serves a smaller vocabulary, and a larger one.
    whole = kept.read_bytes()
    small = bw.train(TEXTS, 280, initial_merges=[(b"q", b"u")])
    assert bw.train(TEXTS, 280, **options).fingerprint == small.fingerprint
    assert kept.read_bytes() == whole


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    bw.train(TEXTS, 270, checkpoint=kept)
    for change in (
        {"min_frequency": 2},
        {"byte_order": "gpt2"},
        {"max_token_bytes": 9},
        {"initial_merges": [(b"a", b"b")]},
    ):
        with pytest.raises(bw.ResumeError, match="belongs to"):
            bw.train(TEXTS, 270, checkpoint=kept, **change)
    with pytest.raises(bw.ResumeError, match="belongs to"):
        bw.train(TEXTS[:2], 270, checkpoint=kept)
    kept.write_bytes(b"something else")
    with pytest.raises(bw.DataError, match="not a checkpoint"):
        bw.train(TEXTS, 270, checkpoint=kept)


def test_a_damaged_checkpoint_is_refused_and_named(tmp_path: Path) -> None:
    """Any byte of it, and any end that it may have lost."""
    kept = tmp_path / "kept"
    bw.train(TEXTS, 260, checkpoint=kept)
    whole = kept.read_bytes()
    for at in range(len(whole)):
        kept.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(bw.DataError, match=r"damaged; remove it|not a checkpoint") as found:
            bw.train(TEXTS, 260, checkpoint=kept)
        assert str(kept) in str(found.value)
    for size in (30, len(whole) - 8, len(whole) - 1):
        kept.write_bytes(whole[:size])
        with pytest.raises(bw.ResumeError, match="damaged; remove it"):
            bw.train(TEXTS, 260, checkpoint=kept)


def test_a_checkpoint_touches_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, other = tmp_path / "kept", tmp_path / "kept.tmp"
    other.write_bytes(b"mine")
    bw.train(TEXTS, 260, checkpoint=kept)
    whole = kept.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(bw.DataError, match=r"cannot write .*kept: No space left"):
        bw.train(TEXTS, 270, checkpoint=kept)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "kept": whole,
        "kept.tmp": b"mine",
    }


LANGUAGES = {"x": TEXTS, "y": ["laag lager laagst, nieuw nieuwer nieuwst: " * 5, "de wilgen"]}
TURNS: dict[str, Any] = {"window": 10, "shared_merges": 20, "expected": {"x": 2.0, "y": 1.0}}


def by_turns(size: int, sources: Any = LANGUAGES, **options: Any) -> bw.Tokenizer:
    turns = {name: options.pop(name, given) for name, given in TURNS.items()}
    return bw.train(sources, size, parity=bw.Parity(LANGUAGES, **turns), **options)


@pytest.mark.parametrize("merges", [5, 20, 21, 40])
def test_a_checkpoint_of_turns_goes_on_to_the_same_result(
    merges: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bytewright.training.loop._ROWS", 1)
    kept = tmp_path / "kept"
    expected = by_turns(330).fingerprint
    # A training for few tokens leaves what one that is stopped there leaves.
    few = by_turns(256 + merges, checkpoint=kept)
    assert few.merges == by_turns(256 + merges).merges
    assert by_turns(330, checkpoint=kept).fingerprint == expected
    assert by_turns(330, checkpoint=kept).fingerprint == expected
    assert by_turns(256 + merges, checkpoint=kept).fingerprint == few.fingerprint


def test_a_checkpoint_of_other_turns_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    by_turns(270, checkpoint=kept)
    for change in (
        {"min_frequency": 2},
        {"window": 11},
        {"shared_merges": 19},
        {"expected": None},
        {"sources": {**LANGUAGES, "y": ["de wilgen"]}},
    ):
        with pytest.raises(bw.ResumeError, match="belongs to"):
            by_turns(270, checkpoint=kept, **change)
    with pytest.raises(bw.ResumeError, match="belongs to"):
        bw.train(TEXTS, 270, checkpoint=kept)


KILLED = """
import os, sys
import bytewright as bw
from bytewright.training import loop
loop._TURN_MS, loop._CHECKPOINT_SECONDS = 0, 0.0
def progress(now):
    if isinstance(now, bw.TrainProgress) and now.merges >= 500:
        os.kill(os.getpid(), 9)
counts = bw.PretokenCounts.load(sys.argv[1])
if sys.argv[3] == "turns":
    sources = {"x": counts, "y": counts.filtered(min_count=2)}
    options = {"parity": bw.Parity(sources, window=20, shared_merges=100), "pattern": None}
else:
    sources, options = counts, {}
def train(progress, checkpoint=None):
    return bw.train(sources, 1500, checkpoint=checkpoint, progress=progress, **options)
if len(sys.argv) == 4:
    train(progress, sys.argv[2])
found = []
tok = train(found.append, sys.argv[2])
assert tok.fingerprint == train(None).fingerprint
print(sum(now.merges % 32 == 16 for now in found))
"""


@pytest.mark.parametrize("kind", ["plain", "turns"])
def test_a_killed_training_goes_on_to_the_same_result(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(5)
    texts = ["".join(map(chr, rng.integers(97, 105, 200))) for _ in range(100)]
    counts = bw.count_pretokens([*texts, *texts[:30]], pattern=None)
    counts.save(tmp_path / "counts.parquet")
    files = [str(tmp_path / "counts.parquet"), str(tmp_path / "kept")]
    command = [sys.executable, "-c", KILLED, *files, kind]
    assert subprocess.run(command, check=False).returncode == -9
    again = subprocess.run([*command, "again"], check=True, capture_output=True)
    # Known merges are told 16 by 16, new ones 32 by 32.
    assert int(again.stdout) > 400 // 32


def test_ctrl_c_stops_inside_a_merge_and_leaves_the_checkpoint(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    line = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, 10_000_000)].tobytes()
    counts = bw.PretokenCounts.from_dict({line: 1}, pattern=None)
    kept = tmp_path / "kept"
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        bw.train(counts, 20_000, checkpoint=kept)
    timer.join()
    few = bw.train(counts, 260, checkpoint=kept)
    assert few.merges == bw.train(counts, 260).merges


# Progress


@pytest.mark.parametrize("kind", ["plain", "turns"])
def test_progress_tells_counting_and_then_merging(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bytewright.training.loop._TURN_MS", 0)
    told: list[Any] = []
    if kind == "turns":
        sources = {"x": TEXTS[:3], "y": TEXTS[3:]}
        parity = bw.Parity(sources, shared_merges=20)
        tok = bw.train(sources, 340, parity=parity, progress=told.append)
    else:
        tok = bw.train(TEXTS, 340, progress=told.append)
    kinds = [type(now) for now in told]
    assert kinds == sorted(kinds, key=[bw.CountProgress, bw.TrainProgress].index)
    assert bw.CountProgress in kinds
    last = told[-1]
    assert (last.merges, last.vocab_size, last.wanted) == (len(tok.merges), 340, 340)
    assert [pair[:2] for pair in last.last] == tok.merges[:-6:-1]
    total = sum(len(text.encode()) for text in TEXTS)
    tokens = sum(tok.count(text) for text in TEXTS)
    assert last.bytes_per_token == pytest.approx(total / tokens)
    assert last.eta_seconds == 0


def test_progress_tells_merges_that_are_known_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bytewright.training.loop._TURN_MS", 0)
    known = bw.train(TEXTS, 256 + 40).merges
    told: list[Any] = []
    tok = bw.train(TEXTS, 300, initial_merges=known, progress=told.append)
    merges = [now.merges for now in told if isinstance(now, bw.TrainProgress)]
    assert merges[:3] == [16, 32, 40]
    assert tok.merges == bw.train(TEXTS, 300).merges
