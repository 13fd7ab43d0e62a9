"""Ways to stop a job: at any step that makes something durable, and by `kill -9` at any moment."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest


class Crash(BaseException):
    """Stands for the end of the process."""


class Steps:
    """Counts the calls of functions of `os`, and crashes at one of them; `fsync` is skipped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.taken = self.crash_at = 0
        for name in names:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def begin(self, crash_at: int) -> None:
        """Count anew; 0 crashes nowhere."""
        self.taken, self.crash_at = 0, crash_at

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        durable = call is os.fsync

        def step(*args: Any, **kwargs: Any) -> Any:
            self.taken += 1
            if self.taken == self.crash_at:
                raise Crash
            return None if durable else call(*args, **kwargs)

        return step


def environment() -> dict[str, str]:
    """The environment of a process that imports what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}


def script(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs some code."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip


def killed_until(
    finished: Callable[[], bool],
    start: Callable[[], subprocess.Popen[str]],
    moments: random.Random,
    longest: float,
) -> int:
    """Start a process, kill it some time after its first line, and again until the job is done.

    Returns:
        How many processes were still running when they were killed.
    """
    killed = 0
    while not finished():
        process = start()
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.random() * longest)
        killed += process.poll() is None
        process.kill()
        process.communicate()
    return killed
