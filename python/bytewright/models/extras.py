"""Libraries that only some models need, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from bytewright.errors import MissingExtraError

__all__ = ["library"]


def library(name: str, *, extra: str) -> Any:
    """A library that an extra of the package brings.

    Args:
        name: what is imported.
        extra: the extra that installs it.

    Raises:
        MissingExtraError: it is not installed; the message has the command that installs it.

    >>> library("no_such_library", extra="torch")
    Traceback (most recent call last):
    bytewright.errors.MissingExtraError: no_such_library is missing: pip install 'bytewright[torch]'
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise
        raise MissingExtraError(f"{name} is missing: pip install 'bytewright[{extra}]'") from None
