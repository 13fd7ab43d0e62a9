"""The progress bar of the commands that read much."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bytewright.bytelm import ByteProgress

# Bytes done, bytes in all if that is known, and what else to say.
Advance = Callable[[int, int | None, str], None]


@contextmanager
def byte_bar(*, quiet: bool) -> Iterator[Advance | None]:
    """A bar on standard error where that is a terminal, otherwise nothing."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, total: int | None, description: str) -> None:
            bar.update(task, completed=done, total=total, description=description)

        yield advance


@contextmanager
def text_bar(what: str, *, quiet: bool) -> Iterator[Callable[[ByteProgress], object] | None]:
    """A bar for work along one text: what it is that is done."""
    with byte_bar(quiet=quiet) as advance:
        if advance is None:
            yield None
            return

        def tell(now: ByteProgress) -> None:
            advance(now.bytes_done, now.bytes_total, what)

        yield tell
