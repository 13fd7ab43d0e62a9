"""Typed access to parsed JSON, with the path of every value for error messages."""

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from bytewright.errors import LoadError, UnsupportedError

__all__ = ["MAX_FILE_BYTES", "Field", "parse_json", "read_bytes", "shown"]

MAX_FILE_BYTES: Final = 1 << 30
"""Vocabulary files are at most this large; only the header of a GGUF file counts."""

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Field:
    """A JSON value and where it stands, as in `tokenizer.json: $.model.vocab`."""

    value: object
    where: str

    def fail(self, problem: str) -> NoReturn:
        """Raise a LoadError that starts with the path of this value."""
        raise LoadError(f"{self.where}: {problem}")

    def refuse(self, problem: str) -> NoReturn:
        """Raise an UnsupportedError that starts with the path of this value."""
        raise UnsupportedError(f"{self.where}: {problem}")

    @property
    def missing(self) -> bool:
        """Whether the value is null or not there."""
        return self.value is None

    def get(self, name: str) -> "Field":
        """A member of this object; its value is None when it is not there."""
        return Field(self.members().get(name), f"{self.where}.{name}")

    def members(self) -> dict[str, object]:
        """This value as an object."""
        if not isinstance(self.value, dict):
            self.fail(f"{shown(self.value)} is not an object")
        return self.value

    def array(self) -> list[object]:
        """This value as an array."""
        if not isinstance(self.value, list):
            self.fail(f"{shown(self.value)} is not an array")
        return self.value

    def items(self) -> "Iterator[Field]":
        """The elements of this array."""
        for index, value in enumerate(self.array()):
            yield Field(value, f"{self.where}[{index}]")

    def text(self) -> str:
        """This value as a string."""
        if not isinstance(self.value, str):
            self.fail(f"{shown(self.value)} is not a string")
        return self.value

    def number(self, *, lowest: int = 0, highest: int = (1 << 53)) -> int:
        """This value as an integer within bounds."""
        value = self.value
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            self.fail(f"{shown(value)} is not an integer from {lowest} to {highest}")
        return value

    def flag(self, *, default: bool | None = None) -> bool:
        """This value as a boolean; `default` when it is not there."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, bool):
            self.fail(f"{shown(self.value)} is not true or false")
        return self.value


def shown(value: object) -> str:
    """A value for an error message, cut to a readable length."""
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str | int | float | bool) else type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."


def read_bytes(path: Path, *, most: int | None = None) -> bytes:
    """The contents of a file, or its first `most` bytes.

    Raises:
        LoadError: it cannot be read, is no regular file, or is larger than `MAX_FILE_BYTES`.
    """
    try:
        status = path.stat()
        # Opening a pipe would wait for a writer, and a device may have no end.
        if not stat.S_ISREG(status.st_mode):
            raise LoadError(f"{path}: not a regular file")
        if most is None and status.st_size > MAX_FILE_BYTES:
            raise LoadError(f"{path}: {status.st_size} bytes: at most {MAX_FILE_BYTES} are allowed")
        with path.open("rb") as file:
            return file.read(status.st_size if most is None else min(most, status.st_size))
    except (OSError, ValueError) as error:
        if isinstance(error, LoadError):
            raise
        raise LoadError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def parse_json(data: bytes, *, where: str) -> Field:
    """The root of a JSON document.

    Raises:
        LoadError: the document is malformed, too deeply nested, or has half a surrogate pair.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LoadError(f"{where}: byte {error.start}: not UTF-8 ({error.reason})") from error
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise LoadError(
            f"{where}: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except RecursionError as error:
        raise LoadError(f"{where}: JSON nested deeper than a vocabulary needs") from error
    except ValueError as error:
        raise LoadError(f"{where}: {error}") from error
    if _SURROGATE.search(data):
        _check_surrogates(value, where)
    return Field(value, f"{where}: $")


def _check_surrogates(value: object, where: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise LoadError(f"{where}: a string has half of a surrogate pair") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
