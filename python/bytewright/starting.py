"""Ctrl-C in the third of a second in which the command imports the package.

Nothing of the command has run by then that could turn it into one line and an exit code. So this is
imported first; where the package is imported by anything but its own command, it does nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

__all__ = ["started"]

_STOPPED = 130


def _is_command() -> bool:
    """Whether this process runs `bytewright` or `python -m bytewright`."""
    program = next(iter(getattr(sys, "argv", [])), "")
    if program == "-m":
        # What it names is in no other list while its package is imported.
        given = sys.orig_argv
        return given[given.index("-m") + 1 :][:1] == ["bytewright"] if "-m" in given else False
    return os.path.splitext(os.path.basename(program))[0] == "bytewright"


def _stop(number: int, frame: object) -> None:
    # No cleaning up: an import that is broken off leaves modules that are half made.
    with contextlib.suppress(OSError):
        os.write(2, b"bytewright: stopped\n")
    os._exit(_STOPPED)


def _starting() -> None:
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # No other thread may say what is done, and a command is imported by no other.
    if _is_command() and usual and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _stop)


def started() -> None:
    """From here on Ctrl-C is an exception again."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


_starting()
