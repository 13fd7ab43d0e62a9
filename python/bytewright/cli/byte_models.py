"""What the commands about probabilities of bytes share: the text, the model, and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common
from bytewright.cli.visible import visible

if TYPE_CHECKING:
    from bytewright.bytelm import ByteModel
    from bytewright.tokenizer import Tokenizer


class Semantics(StrEnum):
    """Which sequences of tokens count."""

    valid = "valid"
    all = "all"
    fast = "fast"
    local = "local"


Text = Annotated[
    str, typer.Argument(metavar="TEXT", help="The text so far; '-' is standard input, exactly.")
]
TextOrFile = Annotated[
    str | None,
    typer.Argument(metavar="[TEXT]", help="The text; '-' is standard input, exactly."),
]
File = Annotated[
    str | None, typer.Option("--file", "-f", help="Read the text from a file, or '-'.")
]
Ngrams = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE",
        help="An n-gram model that `bytes fit` or NgramModel.save wrote. Default: one fitted to "
        "Python's texts.",
        readable=False,
    ),
]
Vocabulary = Annotated[
    Path | None,
    typer.Option(
        "--tokenizer",
        metavar="PATH",
        help="The vocabulary of the model. Default: the embedded.",
        readable=False,
    ),
]
Meaning = Annotated[
    Semantics, typer.Option(help="Which sequences of tokens count; see bytewright.bytelm.model.")
]


def read_text(text: str) -> bytes:
    """The text of an argument, or standard input."""
    return common.argument_bytes(text) if text != "-" else common.read(text)


def read_either(text: str | None, file: str | None) -> bytes:
    """The text of an argument or of a file."""
    if text is not None and file is None:
        return read_text(text)
    if file is not None and text is None:
        return common.read(file)
    raise typer.BadParameter("give a text or --file FILE")


def finite(number: float) -> float | None:
    """The number, if JSON has it."""
    return number if math.isfinite(number) else None


def named_or_embedded(vocabulary: Path | None) -> Tokenizer:
    """The vocabulary of a file, or the embedded one."""
    from bytewright import demo
    from bytewright.errors import ArgumentError
    from bytewright.tokenizer import Tokenizer

    if vocabulary is None:
        return demo.tokenizer()
    try:
        return Tokenizer.load(vocabulary)
    except ArgumentError as error:
        raise ArgumentError(
            f"{error}; `bytewright convert --pattern` makes a tokenizer.json that says it"
        ) from error


def loaded(
    path: Path | None, vocabulary: Path | None, semantics: Semantics, *, quiet: bool
) -> ByteModel:
    """The model of a file, or one of Python's texts."""
    from bytewright import demo
    from bytewright.bytelm import ByteModel
    from bytewright.models import NgramModel

    tok = named_or_embedded(vocabulary)
    if path is not None:
        tokens = NgramModel.load(path, tok)
    else:
        common.note(
            "an n-gram model of Python's own help and sources; another with --model FILE",
            quiet=quiet,
        )
        tokens = NgramModel.fit(tok, (text for _, text in demo.documents()))
    return ByteModel(tokens, semantics=semantics.value)


def impossible(model: ByteModel, data: bytes) -> str | None:
    """Which byte of a text has the probability 0, and what to do about it; None where none has."""
    scores = model.score(data)
    found = [at for at, score in enumerate(scores) if score == -math.inf]
    if not found:
        return None
    said = (
        f"byte {found[0] + 1} of {len(data)}, {visible(data[found[0] : found[0] + 1])}, cannot be"
    )
    if model.semantics == "all" or is_utf8(data[: found[0] + 1]):
        return f"{said}: no tokens of the vocabulary make such a text"
    return f"{said}: this is no UTF-8, which only --semantics all takes"


@contextmanager
def explained(model: ByteModel, data: bytes) -> Iterator[None]:
    """Say which byte is to blame where a text with the probability 0 ends the work."""
    from bytewright.errors import DataError

    try:
        yield
    except DataError as error:
        raise DataError(impossible(model, data) or str(error)) from error


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8, or become it when the last character is finished."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
