"""Broken and hostile vocabulary files: each is a typed error, quickly and in little memory.

The cases run in a process of their own, whose address space is limited: a crash, an abort, an
endless loop or an unbounded allocation there is a failure here.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from malformed_files import all_cases, folders

SECONDS = 20
ROOM = 1 << 30
GROWTH_KB = 256 << 10


def main() -> None:
    """Load every case and print one line of JSON for each: what was raised, what it took."""
    import bytewright as bw

    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + ROOM, resource.RLIM_INFINITY))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        jobs: list[tuple[str, Path, dict[str, Any]]] = [
            ("path: missing", place / "nothing", {}),
            ("path: below a file", Path(__file__) / "x", {}),
        ]
        if hasattr(os, "mkfifo"):
            jobs.append(("path: /dev/null", Path("/dev/null"), {}))
        for index, (case, data, arguments) in enumerate(all_cases()):
            file = place / f"case-{index}"
            file.write_bytes(data)
            jobs.append((case, file, arguments))
        for index, (case, files) in enumerate(folders()):
            folder = place / f"folder-{index}"
            folder.mkdir()
            for file_name, data in files.items():
                (folder / file_name).write_bytes(data)
            jobs.append((f"folder: {case}", folder, {}))
        for case, path, arguments in jobs:
            signal.alarm(SECONDS)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            try:
                bw.Tokenizer.load(path, **arguments)
                outcome, text = "nothing", ""
            except bw.BytewrightError as error:
                outcome, text = type(error).__name__, str(error)
            except BaseException as error:
                outcome, text = f"!{type(error).__name__}", str(error)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            print(json.dumps([case, outcome, text[:400], grown]), flush=True)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")
def test_every_malformed_file_is_a_typed_error() -> None:
    ran = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, timeout=600, check=False
    )
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    last = results[-1][0] if results else "the start"
    assert ran.returncode == 0, f"died after {last!r}: {ran.stderr[-2000:]}"
    assert len(results) >= 100
    untyped = [r for r in results if r[1] == "nothing" or r[1].startswith("!")]
    assert untyped == []
    assert {r[1] for r in results if "version" in r[0] or "big endian" in r[0]} == {
        "UnsupportedError"
    }
    assert [r for r in results if r[3] > GROWTH_KB] == []
    assert [r for r in results if len(r[2]) < 10] == []


if __name__ == "__main__":
    main()
