"""What the commands share: options, the vocabulary, notes, and reading what the user names."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

if TYPE_CHECKING:
    from bytewright.tokenizer import Tokenizer

Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        metavar="PATH",
        help="Vocabulary file or folder of any known format. Default: the embedded one.",
        readable=False,
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(metavar="NAME|REGEX", help="How tiktoken ranks cut text, where not published."),
]
Special = Annotated[
    list[str] | None,
    typer.Option(
        "--special",
        metavar="TOKEN",
        help="Special token to recognise in the text, or 'all'. May be repeated. Default: none.",
    ),
]
NewVocabulary = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE", help="New file: .json or .tiktoken.", readable=False
    ),
]
MapOfIds = Annotated[
    Path | None,
    typer.Option(
        "--map",
        metavar="FILE",
        help="Write the new id of each old one there, as JSON; -1: gone.",
        readable=False,
    ),
]
TextField = Annotated[str, typer.Option(help="Field or column of the text.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Default: every processor.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress bar.")]

BLOCK = 1 << 20

STANDARD = Path("-")
"""What stands for standard input, and for standard output where a command writes to it."""


def note(message: str, *, quiet: bool) -> None:
    """Tell the user something that is not the result."""
    if not quiet:
        print(f"bytewright: {message}", file=sys.stderr)


def write_json(value: object) -> None:
    """One JSON value on one line of standard output."""
    print(json.dumps(value, ensure_ascii=False))


def save_json(path: Path, value: object) -> None:
    """One JSON value as a file."""
    save(path, (json.dumps(value) + "\n").encode())


def save(path: Path, data: bytes) -> None:
    """Bytes as a file, which is whole or absent."""
    from bytewright.files import saved

    with saved(path) as file:
        file.write(data)


def refuse_existing(paths: Iterable[Path | None], *, force: bool) -> None:
    """Raise if a file that is to be written is there and was not said to be replaced, or cannot be.

    That is found before the work.
    """
    from bytewright.errors import ArgumentError
    from bytewright.files import check_output

    for path in paths:
        if path is None:
            continue
        if path == STANDARD:
            raise ArgumentError("-: a file is written here, and not standard output: name it")
        if path.is_dir():
            raise ArgumentError(f"{path} is a folder; a file is written")
        # Pipes and `/dev/null` are written, not replaced.
        if path.exists() and not (force or path.is_fifo() or path.is_char_device()):
            raise ArgumentError(f"{path} exists; --force replaces it")
        check_output(path)


def load(model: Path | None, pattern: str | None, *, quiet: bool) -> Tokenizer:
    """The vocabulary that the user named, or the embedded one."""
    from bytewright.errors import ArgumentError

    if model is not None:
        from bytewright.tokenizer import Tokenizer

        return Tokenizer.load(model, pattern=pattern)
    if pattern is not None:
        raise ArgumentError("--pattern needs -m: the embedded vocabulary has its own pattern")
    from bytewright import demo

    note(f"the embedded vocabulary of {demo.VOCAB_SIZE} tokens; another with -m FILE", quiet=quiet)
    return demo.tokenizer()


def allowed(special: list[str] | None) -> list[str] | str:
    """The special tokens to recognise, as the library takes them."""
    return "all" if special and "all" in special else special or []


def standard_input() -> BinaryIO:
    """Standard input, unless it is closed."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    return sys.stdin.buffer


def corpus_inputs(names: list[str]) -> list[Path] | BinaryIO:
    """Inputs of a job that need not be read again: paths, or standard input for a single `-`."""
    if "-" not in names:
        return [Path(name) for name in names]
    if len(names) > 1:
        raise typer.BadParameter("'-' goes alone")
    return standard_input()


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The named file, or standard input for `-`."""
    if name == "-":
        yield standard_input()
        return
    with open(name, "rb") as file:
        yield file


def read(name: str) -> bytes:
    """All bytes of the named file, or of standard input for `-`."""
    with opened(name) as file:
        return file.read()


def argument_bytes(text: str) -> bytes:
    """The exact bytes that the shell passed, valid UTF-8 or not."""
    return os.fsencode(text)


def colour_wanted() -> bool:
    """Whether standard output may be coloured (https://no-color.org, FORCE_COLOR)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def shown_name(tokenizer_path: Path | None) -> str:
    """What to call a vocabulary on the screen."""
    return "demo" if tokenizer_path is None else tokenizer_path.name


def plural(number: int, noun: str) -> str:
    """The number with its noun.

    >>> plural(1, "token"), plural(1234, "token")
    ('1 token', '1,234 tokens')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
