"""A run that was stopped, however it was stopped, ends with the bytes of one that was not."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus_tools import EOT, FORMATS, MERGES, pack, small_tokenizer, snapshot, write_input
from stopping import Crash, Steps, killed_until, script

import bytewright as bw
from bytewright.corpus import rows, streams
from bytewright.corpus.manifest import WORK

TEXTS = [None if row % 9 == 4 else "the antenna in there " * (row % 7) for row in range(60)]
PART = 800

SCRIPT = """
import resource, sys
import bytewright as bw
from corpus_tools import small_tokenizer
path, out, format, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
def told(progress):
    print(progress.part, flush=True)
bw.encode_corpus(path, small_tokenizer(), out, format=format, eos=0, id_field="id",
                 part_bytes=20_000, progress=told)
"""


@pytest.fixture(scope="module")
def tokenizer() -> bw.Tokenizer:
    return small_tokenizer()


def encode(path: Path, out: Path, tokenizer: bw.Tokenizer, **options: Any) -> bw.Manifest:
    chosen: dict[str, Any] = {"part_bytes": PART, "eos": EOT, "id_field": "id"} | options
    return bw.encode_corpus(path, tokenizer, out, **chosen)


def stop_in_part(number: int) -> Callable[[bw.Progress], None]:
    def stop(progress: bw.Progress) -> None:
        if progress.part == number:
            raise Crash

    return stop


@pytest.mark.parametrize("format", FORMATS)
def test_a_crash_at_every_durable_step_changes_no_byte(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    path = write_input(tmp_path, "jsonl.gz", TEXTS)
    steps = Steps(monkeypatch, "fsync", "replace", "unlink")
    manifest = encode(path, tmp_path / "whole", tokenizer, format=format)
    whole, total = snapshot(tmp_path / "whole"), steps.taken
    assert len(manifest.parts) > 4
    assert total > 5 * len(manifest.parts)
    for step in range(1, total + 1):
        out = tmp_path / f"out-{step}"
        steps.begin(step)
        with pytest.raises(Crash):
            encode(path, out, tokenizer, format=format)
        recorded = len(list((out / ".bytewright").glob("part-*.json")))
        steps.begin(0)
        seen: list[bw.Progress] = []
        assert encode(path, out, tokenizer, format=format, progress=seen.append) == manifest
        assert snapshot(out) == whole, f"after a crash at step {step} of {total}"
        # What was recorded is not encoded again.
        assert not seen or seen[0].part == recorded


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst", "txt", "txt.gz"])
def test_a_run_stopped_in_any_block_ends_with_the_same_manifest(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # Blocks and long lines of few bytes, so that parts end everywhere in them and between them.
    monkeypatch.setattr(streams, "BLOCK", 100)
    monkeypatch.setattr(streams, "LONG", 250)
    draw = random.Random(kind)
    texts = ["x" * draw.choice([0, 3, 40, 90, 600]) for _ in range(40)]
    if kind.startswith("jsonl"):
        path = write_input(tmp_path, kind, texts)
    else:
        path = tmp_path / f"input.{kind}"
        path.write_bytes(pack("\r\n".join(texts).encode(), kind))
    options: dict[str, Any] = {"format": "bin", "documents": "line", "part_bytes": 130}
    manifest = encode(path, tmp_path / "whole", tokenizer, **options)
    whole = snapshot(tmp_path / "whole")
    assert len(manifest.parts) > 10
    for number in range(len(manifest.parts)):
        out = tmp_path / f"out-{number}"
        with pytest.raises(Crash):
            encode(path, out, tokenizer, progress=stop_in_part(number), **options)
        encode(path, out, tokenizer, **options)
        assert snapshot(out) == whole, f"stopped in part {number}"


def test_a_run_stopped_behind_the_first_block_ends_with_the_same_manifest(
    tmp_path: Path, tokenizer: bw.Tokenizer
) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes(b"some bytes of a line\n" * 450_000)
    assert path.stat().st_size > 2 * streams.BLOCK
    options: dict[str, Any] = {"format": "bin", "documents": "line", "part_bytes": "2M"}
    encode(path, tmp_path / "whole", tokenizer, **options)
    with pytest.raises(Crash):
        encode(path, tmp_path / "out", tokenizer, progress=stop_in_part(3), **options)
    encode(path, tmp_path / "out", tokenizer, **options)
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
def test_kill_9_at_random_moments_changes_no_byte(tmp_path: Path, format: str, kills: int) -> None:
    path = write_input(tmp_path, "jsonl.zst", [text and text * 20 for text in TEXTS * 20])
    start = time.monotonic()
    run(path, tmp_path / "whole", format).communicate()
    whole = snapshot(tmp_path / "whole")
    span = time.monotonic() - start
    moments = random.Random(f"{format} {kills}")
    done = attempt = 0
    while done < kills:
        attempt += 1
        assert attempt < 20 * kills, "the run ends before it can be killed"
        out = tmp_path / f"out-{attempt}"
        done += killed_until(
            (out / "_manifest.json").exists, partial(run, path, out, format), moments,
            min(span, 0.5),
        )  # fmt: skip
        # The manifest may be there and the folder not yet tidy; going on ends that too.
        run(path, out, format).communicate()
        assert snapshot(out) == whole


def run(path: Path, out: Path, format: str, limit: int = 0) -> subprocess.Popen[str]:
    return script(SCRIPT, path, out, format, limit)


@pytest.mark.parametrize("format", FORMATS)
def test_a_disk_that_takes_no_more_leaves_a_folder_to_go_on_with(
    tmp_path: Path, format: str
) -> None:
    path = write_input(tmp_path, "jsonl", [text and text * 20 for text in TEXTS * 5])
    run(path, tmp_path / "whole", format).communicate()
    whole = snapshot(tmp_path / "whole")
    # The kernel refuses to let a file grow past the limit: a real failed write.
    files = [p for p in (tmp_path / "whole").iterdir() if p.name.startswith("train")]
    limit = max(file.stat().st_size for file in files) - 100
    process = run(path, tmp_path / "out", format, limit)
    message = process.communicate()[1]
    assert process.returncode == 1
    assert "DataError: cannot write" in message
    assert "File too large" in message
    process = run(path, tmp_path / "out", format)
    assert process.communicate()[1] == ""
    assert snapshot(tmp_path / "out") == whole


def test_ctrl_c_leaves_a_folder_to_go_on_with(tmp_path: Path) -> None:
    path = write_input(tmp_path, "jsonl", [text and text * 20 for text in TEXTS * 20])
    process = run(path, tmp_path / "out", "parquet")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGINT
    assert message.rstrip().endswith("KeyboardInterrupt")
    run(path, tmp_path / "out", "parquet").communicate()
    run(path, tmp_path / "whole", "parquet").communicate()
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_a_group_under_way_is_not_waited_for_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    monkeypatch.setattr(rows, "_GROUP_TOKENS", 1)
    (tmp_path / "out" / WORK).mkdir(parents=True)
    store = rows.RowStore(tmp_path / "out", "train", format, named=False)
    writer: Any = store.open_part(0, {})
    # A group that takes long to compress stands in the way of the one behind it.
    gate = threading.Event()
    slow = writer._thread.submit(gate.wait, 60)
    writer.begin(None)
    writer.extend(np.arange(1000, dtype=np.int32))
    writer.end()
    group = writer._under_way
    writer.abandon()
    assert not slow.done()
    shutil.rmtree(tmp_path / "out")
    before = writer._file.tell()
    gate.set()
    assert slow.result()
    group.result()
    writer._thread.shutdown()
    assert writer._file.tell() == before
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_on_a_folder_is_refused(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    errors: list[str] = []

    def second(progress: bw.Progress) -> None:
        process = run(path, tmp_path / "out", "parquet")
        errors.append(process.communicate()[1])

    encode(path, tmp_path / "out", tokenizer, part_bytes=1 << 20, progress=second)
    assert errors
    assert all("LockedError" in error and str(tmp_path / "out") in error for error in errors)
    assert bw.verify_corpus(tmp_path / "out").ok


OTHER = [*MERGES[:-1], (b"e", b"r")]
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "eos": ({"eos": None}, r"policy\.eos: was \[262\], now \[\]"),
    "bos": ({"bos": 7}, r"policy\.bos: was \[\], now \[7\]"),
    "format": ({"format": "npy"}, 'format: was "bin", now "npy"'),
    "dtype": ({"dtype": "uint32"}, 'dtype: was "uint16", now "uint32"'),
    "text_field": ({"text_field": "id"}, 'text_field: was "text", now "id"'),
    "id_field": ({"id_field": None}, 'id_field: was "id", now null'),
    "documents": ({"documents": "line"}, 'documents: was "file", now "line"'),
    "part_bytes": ({"part_bytes": PART + 1}, "part_bytes: was 800, now 801"),
    "name": ({"name": "val"}, 'name: was "train", now "val"'),
    "resume": ({"resume": False}, "already holds a run"),
}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_another_option_is_refused_and_named(
    tmp_path: Path, tokenizer: bw.Tokenizer, change: str, finished: bool
) -> None:
    path, before = begun(tmp_path, tokenizer, finished)
    options, message = CHANGES[change]
    with pytest.raises(bw.ResumeError, match=message):
        encode(path, tmp_path / "out", tokenizer, **{"format": "bin", **options})
    assert snapshot(tmp_path / "out") == before


def begun(
    folder: Path, tokenizer: bw.Tokenizer, finished: bool, *more: Path
) -> tuple[Path, dict[str, str]]:
    path = write_input(folder, "jsonl", TEXTS)
    inputs: Any = [path, *more]
    if finished:
        encode(inputs, folder / "out", tokenizer, format="bin")
    else:
        with pytest.raises(Crash):
            encode(inputs, folder / "out", tokenizer, format="bin", progress=stop_in_part(2))
    return path, snapshot(folder / "out")


@pytest.mark.parametrize("finished", [False, True])
def test_another_tokenizer_is_refused_and_named(
    tmp_path: Path, tokenizer: bw.Tokenizer, finished: bool
) -> None:
    path, before = begun(tmp_path, tokenizer, finished)
    other = small_tokenizer(OTHER)
    message = f'tokenizer: was "{tokenizer.fingerprint}", now "{other.fingerprint}"'
    with pytest.raises(bw.ResumeError, match=message):
        encode(path, tmp_path / "out", other, format="bin")
    assert snapshot(tmp_path / "out") == before


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("change", ["byte", "longer", "renamed", "added", "removed"])
def test_other_inputs_are_refused_and_named(
    tmp_path: Path, tokenizer: bw.Tokenizer, change: str, finished: bool
) -> None:
    more = tmp_path / "more.txt"
    more.write_text("more")
    removed = (more,) if change == "removed" else ()
    path, before = begun(tmp_path, tokenizer, finished, *removed)
    inputs: Any = path
    content = path.read_bytes()
    if change == "byte":
        path.write_bytes(content.replace(b"antenna", b"antenne", 1))
        message = r"inputs\[0\]\.sha256: was \"\w{64}\", now \"\w{64}\""
    elif change == "longer":
        path.write_bytes(content + b"\n")
        message = rf"inputs\[0\]\.size: was {len(content)}, now {len(content) + 1}"
    elif change == "renamed":
        inputs = path.rename(tmp_path / "other.jsonl")
        message = r'inputs\[0\]\.name: was "input\.jsonl", now "other\.jsonl"'
    elif change == "added":
        inputs = [path, more]
        message = r'inputs\[1\]\.name: was absent, now "more\.txt"'
    else:
        message = r'inputs\[1\]\.name: was "more\.txt", now absent'
    with pytest.raises(bw.ResumeError, match=message):
        encode(inputs, tmp_path / "out", tokenizer, format="bin")
    assert snapshot(tmp_path / "out") == before


@pytest.mark.parametrize("format", ["parquet", "bin"])
def test_a_lost_part_is_refused_and_named(
    tmp_path: Path, tokenizer: bw.Tokenizer, format: Any
) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    with pytest.raises(Crash):
        encode(path, tmp_path / "out", tokenizer, format=format, progress=stop_in_part(2))
    if format == "parquet":
        (tmp_path / "out" / "train-00001.parquet").unlink()
    else:
        os.truncate(tmp_path / "out" / ".bytewright" / "train.bin", 10)
    with pytest.raises(bw.ResumeError, match=r"train-00001\.parquet|train\.bin"):
        encode(path, tmp_path / "out", tokenizer, format=format)


def test_a_damaged_record_is_refused_and_named(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path, _ = begun(tmp_path, tokenizer, finished=False)
    record = tmp_path / "out" / ".bytewright" / "part-00001.json"
    record.write_bytes(record.read_bytes().replace(b'"tokens": ', b'"tokens": 1'))
    with pytest.raises(bw.ResumeError, match=r"part-00001\.json: a damaged record"):
        encode(path, tmp_path / "out", tokenizer, format="bin")


def test_the_limit_of_this_process_is_untouched() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
