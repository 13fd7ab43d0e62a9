"""Records: a line of JSON for each figure, with the machine, the date and the versions."""

import json
import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "tiktoken", "tokenizers", "gigatoken", "fastokens", "mistral-common", "pyarrow",
    "rustbpe", "ffbpe", "bpeasy", "sentencepiece", "numpy", "genlm-bytes", "torch",
)  # fmt: skip


def write(path: Path, figures: dict[str, Any]) -> None:
    """Append a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({**origin(), **figures}) + "\n")


def origin() -> dict[str, Any]:
    found = {name: installed(name) for name in LIBRARIES}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: number for name, number in found.items() if number},
    }


def installed(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def commit() -> str:
    """The commit of the checkout; `+` when files of it were changed."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip()


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.split(": ")[1] for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
