"""The command `bytewright`: a file for a command or two, and the only room that prints.

Results go to standard output; notes, errors and the progress bar to standard error. Exit codes:
0 done, 1 a vocabulary or an argument is wrong or a file cannot be read or written, 2 the command
line is wrong, 3 the data is wrong, 130 stopped by Ctrl-C. Nothing heavy is imported before a
command needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bytewright.starting import started

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: arguments after the program's name; those of this process by default.

    >>> main(["encode", "--quiet", "--text", "Hi"])
    72 105
    0
    """
    from bytewright.cli import app, outcome

    arguments = list(sys.argv[1:] if argv is None else argv)
    outcome.prepare_streams()
    with outcome.caught(arguments) as result:
        started()
        outcome.check_streams()
        result.code = app.run(arguments)
    return result.code
