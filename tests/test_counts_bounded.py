"""Counting within a budget of memory, and counting that is killed, give what counting gives."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_tools import write_input
from stopping import Crash, Steps, environment, killed_until, script

import bytewright as bw

LEAST = 64 << 20


LETTERS = bytes.maketrans(b"0123456789", b"ghijklmnop")


def distinct(texts: int, words: int = 2000) -> Iterator[bytes]:
    """Texts of many different words, some of them seen before."""
    for row in range(texts):
        chance = random.Random(row // 2)
        yield chance.randbytes(6 * words).hex(" ", 6).encode().translate(LETTERS)


@pytest.fixture(scope="module")
def many() -> bw.PretokenCounts:
    return bw.count_pretokens(distinct(1000), pattern="gpt2")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_budget_changes_no_count(
    tmp_path: Path, many: bw.PretokenCounts, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    runs = 0

    def look(progress: bw.CountProgress) -> None:
        nonlocal runs
        runs = max(runs, len(list(tmp_path.rglob("run-*"))))

    counts = bw.count_pretokens(
        distinct(1000), pattern="gpt2", memory="64MB", threads=threads, progress=look
    )
    assert runs > 1
    assert list(tmp_path.iterdir()) == []
    assert counts == many
    assert counts.most_common(10) == many.most_common(10)
    counts.save(tmp_path / "bounded.parquet")
    many.save(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    assert (tmp_path / "bounded.parquet").read_bytes() == whole
    assert counts + counts == many.scaled(2)


def test_a_budget_that_is_not_needed_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    texts = ["to be or not to be"]
    counts = bw.count_pretokens(texts, pattern="gpt2", memory=LEAST)
    assert counts == bw.count_pretokens(texts, pattern="gpt2")
    assert len(bw.count_pretokens([], pattern="gpt2", memory=LEAST)) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": LEAST - 1}, "memory=67108863 is less than"),
        ({"memory": "much"}, "memory 'much' is not a size"),
        ({"part_bytes": 0}, "part_bytes=0 is not positive"),
        ({"checkpoint": "there"}, "a checkpoint needs files"),
    ],
)
def test_what_no_run_can_have_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(bw.ArgumentError, match=message):
        bw.count_pretokens(["text"], pattern="gpt2", **options)


def test_a_folder_for_temporary_files_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(bw.DataError, match="absent"):
        bw.count_pretokens(["text"], pattern="gpt2", memory=LEAST)


PEAK = """
import sys
import numpy as np
import bytewright as bw
texts, words, memory = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
word = np.array([32] + [97] * 13, np.uint8)
def stream():
    # Words of 13 letters, 2**25 of them, the first 2**15 more often than the others.
    for row in range(texts):
        chance = np.random.Generator(np.random.PCG64(row))
        numbers = chance.integers(0, 1 << 25, words)
        numbers[: words // 4] >>= 10
        numbers = numbers * 0x9E3779B97F4A7 % (1 << 52)
        text = np.tile(word, (words, 1))
        for place in range(13):
            text[:, 1 + place] += (numbers >> (4 * place)).astype(np.uint8) & 15
        yield text.tobytes()
def peak():
    # Not what getrusage says: that begins with the memory of the process that started this one.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
before = peak()
counts = bw.count_pretokens(stream(), pattern="gpt2", memory=memory or None)
counting = peak()
counts.save(sys.argv[4])
print(before, counting, peak(), counts.total, counts.total_bytes)
"""


def peak(texts: int, words: int, memory: str, out: Path) -> list[int]:
    """Peak memory in bytes before counting, after it and after saving; pieces and bytes."""
    arguments = [str(texts), str(words), memory, str(out)]
    process = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments],
        stdout=subprocess.PIPE, check=True, env=environment(),
    )  # fmt: skip
    return [int(word) for word in process.stdout.split()]


on_linux = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak is read from /proc"
)


@on_linux
def test_memory_stays_within_its_budget(tmp_path: Path) -> None:
    start, counting, saving, *size = peak(200, 20_000, "64MB", tmp_path / "bounded.parquet")
    assert max(counting, saving) - start < LEAST + (48 << 20)
    _, unbounded, _, *expected = peak(200, 20_000, "", tmp_path / "whole.parquet")
    assert unbounded - start > 3 * LEAST
    assert size == expected == [200 * 20_000, 200 * 20_000 * 14]
    assert same_bytes(tmp_path / "bounded.parquet", tmp_path / "whole.parquet")


@on_linux
@pytest.mark.long
def test_five_gigabytes_are_counted_in_half_a_gigabyte(tmp_path: Path) -> None:
    texts, words = 5_120, 71_429
    assert texts * words * 14 > 5_000_000_000
    _, counting, saving, *size = peak(texts, words, "512MB", tmp_path / "bounded.parquet")
    print(f"peak {counting / 1e6:.0f} MB counting, {saving / 1e6:.0f} MB saving")
    assert max(counting, saving) < 700_000_000
    *_, pieces, bytes_ = peak(texts, words, "", tmp_path / "whole.parquet")
    assert size == [pieces, bytes_]
    assert same_bytes(tmp_path / "bounded.parquet", tmp_path / "whole.parquet")


def same_bytes(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "-s", str(one), str(other)], check=False).returncode == 0


TEXTS = ["to be or not to be, that is the question " * (row % 23) + str(row) for row in range(1000)]
PART = 50_000

SCRIPT = """
import sys
import bytewright as bw
source, checkpoint, out, memory = sys.argv[1:]
def told(progress):
    print(progress.documents, flush=True)
counts = bw.count_pretokens(source, pattern="cl100k", checkpoint=checkpoint, part_bytes=50_000,
                            memory=memory or None, progress=told)
counts.save(out)
"""


def count(path: Any, folder: Path, **options: Any) -> bw.PretokenCounts:
    chosen: dict[str, Any] = {"pattern": "cl100k", "part_bytes": PART, **options}
    return bw.count_pretokens(path, checkpoint=folder, **chosen)


def work_files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".bytewright").iterdir())


KINDS = ("jsonl.gz", "parquet", "txt")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("memory", [None, LEAST])
def test_a_crash_at_every_durable_step_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, memory: int | None
) -> None:
    if kind == "txt":
        path = tmp_path / "texts"
        path.mkdir()
        for row in range(0, len(TEXTS), 50):
            (path / f"{row:04}.txt").write_text(" ".join(TEXTS[row : row + 50]))
    else:
        path = write_input(tmp_path, kind, list(TEXTS))
    expected = bw.count_pretokens(path, pattern="cl100k")
    steps = Steps(monkeypatch, "fsync", "replace")
    assert count(path, tmp_path / "whole", memory=memory) == expected
    total = steps.taken
    parts = len(list((tmp_path / "whole" / ".bytewright").glob("*.run")))
    assert parts > 5
    assert total > 5 * parts
    # Every step once, over the kinds and budgets.
    first = 1 + KINDS.index(kind) + len(KINDS) * (memory is None)
    for step in range(first, total + 1, 2 * len(KINDS)):
        folder = tmp_path / f"out-{step}"
        steps.begin(step)
        with pytest.raises(Crash):
            count(path, folder, memory=memory)
        steps.begin(0)
        assert count(path, folder, memory=memory) == expected, f"after a crash at step {step}"
        assert work_files(folder) == work_files(tmp_path / "whole")


def run(path: Path, folder: Path, out: Path, memory: str = "") -> subprocess.Popen[str]:
    return script(SCRIPT, path, folder, out, memory)


@pytest.mark.parametrize("memory", ["", "64MB"])
@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.long)])
def test_kill_9_at_random_moments_changes_nothing(tmp_path: Path, kills: int, memory: str) -> None:
    path = write_input(tmp_path, "jsonl.zst", list(TEXTS) * 4)
    start = time.monotonic()
    run(path, tmp_path / "whole", tmp_path / "whole.parquet").communicate()
    span = time.monotonic() - start
    moments = random.Random(f"{memory} {kills}")
    done = attempt = 0
    while done < kills:
        attempt += 1
        assert attempt < 20 * kills, "the run ends before it can be killed"
        folder, out = tmp_path / f"out-{attempt}", tmp_path / f"out-{attempt}.parquet"
        start_one = partial(run, path, folder, out, memory)
        done += killed_until(out.exists, start_one, moments, min(span, 0.3))
        assert same_bytes(out, tmp_path / "whole.parquet")
    assert bw.PretokenCounts.load(tmp_path / "whole.parquet") == bw.count_pretokens(
        path, pattern="cl100k"
    )


def test_what_is_counted_is_not_counted_again(tmp_path: Path) -> None:
    path = write_input(tmp_path, "jsonl", list(TEXTS))
    seen: list[bw.CountProgress] = []

    def stop(progress: bw.CountProgress) -> None:
        if progress.documents > 350:
            raise Crash

    with pytest.raises(Crash):
        count(path, tmp_path / "out", progress=stop)
    first = count(path, tmp_path / "out", progress=seen.append)
    assert seen[0].documents > 250
    assert seen[-1].documents == len(TEXTS)
    assert (seen[-1].pieces, seen[-1].bytes_done) == (first.total, path.stat().st_size)
    seen.clear()
    assert count(path, tmp_path / "out", progress=seen.append) == first
    assert seen == []


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "pattern": ({"pattern": "gpt2"}, 'pattern: was "cl100k", now "gpt2"'),
    "text_field": ({"text_field": "id"}, 'text_field: was "text", now "id"'),
    "documents": ({"documents": "line"}, 'documents: was "file", now "line"'),
    "part_bytes": ({"part_bytes": PART + 1}, "part_bytes: was 50000, now 50001"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_option_is_refused_and_named(tmp_path: Path, change: str) -> None:
    path = write_input(tmp_path, "jsonl", list(TEXTS))
    count(path, tmp_path / "out")
    options, message = CHANGES[change]
    with pytest.raises(bw.ResumeError, match=message):
        count(path, tmp_path / "out", **options)


def test_another_input_is_refused_and_named(tmp_path: Path) -> None:
    path = write_input(tmp_path, "jsonl", list(TEXTS))
    count(path, tmp_path / "out")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"question", b"questiom", 1))
    with pytest.raises(bw.ResumeError, match=r"inputs\[0\]\.sha256: was"):
        count(path, tmp_path / "out")
    path.write_bytes(content)
    (tmp_path / "more.txt").write_text("more")
    with pytest.raises(bw.ResumeError, match=r'inputs\[1\]\.name: was absent, now "more\.txt"'):
        count([path, tmp_path / "more.txt"], tmp_path / "out")


def test_a_damaged_checkpoint_is_refused_and_named(tmp_path: Path) -> None:
    path = write_input(tmp_path, "jsonl", list(TEXTS))
    count(path, tmp_path / "out")
    record, part = (
        tmp_path / "out" / ".bytewright" / f"part-00001.{end}" for end in ("json", "run")
    )
    content = part.read_bytes()
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(bw.ResumeError, match=r"part-00001\.run: missing or damaged"):
        count(path, tmp_path / "out")
    part.unlink()
    with pytest.raises(bw.ResumeError, match=r"part-00001\.run: missing or damaged"):
        count(path, tmp_path / "out")
    part.write_bytes(content)
    record.write_text(record.read_text().replace('"documents": ', '"documents": 1'))
    with pytest.raises(bw.ResumeError, match=r"part-00001\.json: damaged"):
        count(path, tmp_path / "out")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    path = write_input(tmp_path, "jsonl", list(TEXTS))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("text")
    with pytest.raises(bw.ArgumentError, match=r"holds no counting \(it has 'thesis.tex'\)"):
        count(path, tmp_path / "out")


def test_a_second_run_on_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = write_input(tmp_path, "jsonl", list(TEXTS))
    errors: list[str] = []

    def second(progress: bw.CountProgress) -> None:
        if not errors:
            process = run(path, tmp_path / "out", tmp_path / "second.parquet")
            errors.append(process.communicate()[1])

    count(path, tmp_path / "out", progress=second)
    assert "LockedError" in errors[0]
    assert str(tmp_path / "out") in errors[0]


def test_a_null_part_and_an_empty_input_are_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert len(count(tmp_path / "empty.jsonl", tmp_path / "out")) == 0
    path = tmp_path / "null.parquet"
    pq.write_table(pa.table({"text": pa.array([None] * 10, pa.string())}), path)
    assert len(count(path, tmp_path / "null", part_bytes=1)) == 0


WAIT = """
import signal, sys, threading, time
import bytewright as bw
what = sys.argv[1]
pressed = 0.0
def press():
    global pressed
    pressed = time.monotonic()
    signal.raise_signal(signal.SIGINT)
text = bytes(range(97, 123)) * 400_000 if what == "piece" else b"".join(
    b"%x " % (n * 0x9e3779b97f4a7c15 % (1 << 64)) for n in range(3_000_000))
threading.Timer(float(sys.argv[2]), press).start()
try:
    while True:
        bw.count_pretokens([text] * (1 if what == "words" else 20), threads=int(sys.argv[3]),
                           pattern=r"\\w+|\\W" if what == "regex" else "gpt2")
except KeyboardInterrupt:
    print(time.monotonic() - pressed)
"""


@pytest.mark.parametrize(("what", "threads"), [("words", "1"), ("piece", "2"), ("regex", "1")])
@pytest.mark.parametrize("after", ["0.2", pytest.param("0.9", marks=pytest.mark.long)])
def test_ctrl_c_is_answered(what: str, after: str, threads: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAIT, what, after, threads],
        capture_output=True, text=True, env=environment(), timeout=60, check=True,
    )  # fmt: skip
    # A bound on what is not answered at all; how fast it is, a busy machine does not tell.
    assert float(done.stdout) < 2


def test_ctrl_c_leaves_a_checkpoint_to_go_on_with(tmp_path: Path) -> None:
    path = write_input(tmp_path, "jsonl", list(TEXTS) * 10)
    process = run(path, tmp_path / "out", tmp_path / "out.parquet")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGINT
    assert message.rstrip().endswith("KeyboardInterrupt")
    assert count(path, tmp_path / "out") == bw.count_pretokens(path, pattern="cl100k")
    assert json.loads((tmp_path / "out" / ".bytewright" / "config.json").read_text())
