"""How a command ends: exit codes, one clear line for an error, no traceback.

`BYTEWRIGHT_TRACEBACK=1` shows where an error came from.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OK, USER_ERROR, USAGE, DATA_ERROR, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass
class Outcome:
    """The exit code, filled in when the command has ended."""

    code: int = OK


def prepare_streams() -> None:
    """UTF-8 out, whatever the locale; what cannot be written is escaped, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def check_streams() -> None:
    """Refuse to work for nobody: a closed standard output is None."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")


class EndedError(Exception):
    """Carries its cause from inside a command to the outside of the argument parser."""


@contextlib.contextmanager
def caught(arguments: Sequence[str]) -> Iterator[Outcome]:
    """Turn whatever a command raises into an exit code and one line on standard error."""
    outcome = Outcome()
    try:
        yield outcome
        sys.stdout.flush()
    except BaseException as raised:
        error = raised.__cause__ or raised if isinstance(raised, EndedError) else raised
        if isinstance(error, BrokenPipeError):
            # The reader has seen enough (`| head`). Python would complain again when it flushes.
            _discard_output()
            return
        outcome.code = code_of(error)
        if os.environ.get("BYTEWRIGHT_TRACEBACK"):
            traceback.print_exc()
        if _has_message(error):
            print(describe(error, outcome.code, as_json="--json" in arguments), file=sys.stderr)


def code_of(error: BaseException) -> int:
    """The exit code that an exception stands for."""
    from bytewright.errors import DataError, UnknownTokenError

    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else USER_ERROR
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return INTERRUPTED
    if isinstance(error, (DataError, UnknownTokenError)):
        return USER_ERROR if _is_of_system(error) else DATA_ERROR
    if _is_usage_error(error):
        return USAGE
    return USER_ERROR


def _is_of_system(error: BaseException) -> bool:
    """Whether a file cannot be read or written: a wrong argument, whatever it would hold."""
    from bytewright.errors import DataError

    # What is missing in a folder, or used by others, has an exception of its own. What pyarrow says
    # of damaged files comes without a number of the system's.
    cause = error.__cause__
    return type(error) is DataError and isinstance(cause, OSError) and cause.errno is not None


def describe(error: BaseException, code: int, *, as_json: bool) -> str:
    """One line that says what is wrong."""
    message = " ".join(_message(error, code).split("\n"))
    if as_json:
        found = {"error": type(error).__name__, "message": message, "exit_code": code}
        return json.dumps(found, ensure_ascii=False)
    return f"bytewright: {message}"


def _message(error: BaseException, code: int) -> str:
    from bytewright.errors import BytewrightError

    if code == INTERRUPTED:
        return "stopped"
    if _is_usage_error(error):
        return str(error.format_message()) + " (try --help)"  # type: ignore[attr-defined]
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "there is not enough memory for that"
    if isinstance(error, BytewrightError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"


def _has_message(error: BaseException) -> bool:
    # Without a command the parser has written its help already and says nothing more.
    return not isinstance(error, SystemExit) and not (
        _is_usage_error(error) and not error.format_message()  # type: ignore[attr-defined]
    )


def _is_usage_error(error: BaseException) -> bool:
    # Typer carries its own copy of click from some version on, so the class has no fixed home.
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _discard_output() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
