"""`bytewright doctor`: what is installed, what the processor offers, and whether it works."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

from bytewright.cli import common

PACKAGES = ("bytewright", "numpy", "pyarrow", "typer", "rich", "tiktoken", "tokenizers")


def doctor(as_json: common.AsJson = False, quiet: common.Quiet = False) -> None:
    """Print versions, processor features and threads, and test the core on a thousand strings."""
    from bytewright import _core
    from bytewright.errors import DataError

    checked, wrong = self_test()
    found: dict[str, object] = {
        "versions": {name: version(name) for name in PACKAGES},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "free_threading": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "cpu_features": list(_core.cpu_features()),
        "threads": usable_threads(),
        "debug_build": _core.debug_build,
        "self_test": {"strings": checked, "wrong": wrong},
    }
    common.write_json(found) if as_json else _print(found)
    if _core.debug_build:
        common.note("a debug build: some ten times slower than a release", quiet=quiet)
    if wrong:
        raise DataError(f"self-test: {wrong} of {checked} strings did not come back")


def self_test() -> tuple[int, int]:
    """Number of strings encoded and decoded, and how many of them came back different."""
    from bytewright import demo
    from bytewright.cli.probes import probes

    tokenizer = demo.tokenizer()
    strings = probes(tokenizer)
    return len(strings), sum(tokenizer.decode_bytes(tokenizer.encode(s)) != s for s in strings)


def version(package: str) -> str | None:
    """The installed version, or None.

    >>> version("no-such-package") is None
    True
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def usable_threads() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _print(found: dict[str, object]) -> None:
    for name, value in found.items():
        label = name.replace("_", " ")
        if isinstance(value, dict):
            shown = ", ".join(f"{k} {v or 'absent'}" for k, v in value.items())
            if name == "self_test":
                shown = (
                    f"{value['strings'] - value['wrong']} of {value['strings']} strings came back"
                )
        elif isinstance(value, list):
            shown = " ".join(map(str, value)) or "none used"
        else:
            shown = {True: "yes", False: "no"}.get(value, str(value))  # type: ignore[call-overload]
        print(f"{label:<15} {shown}")
