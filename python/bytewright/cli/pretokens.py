"""`bytewright count-pretokens`: what training learns from, as a table of pieces and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common
from bytewright.cli.corpus import DocumentOf, Documents
from bytewright.cli.progress import byte_bar

if TYPE_CHECKING:
    from bytewright.training import CountProgress

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, folders or globs: text, JSON Lines, Parquet, Arrow; also .gz and .zst. "
        "'-' is standard input.",
    ),
]


def count_pretokens(
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The Parquet file of the counts.", readable=False
        ),
    ],
    pattern: Annotated[
        str,
        typer.Option(
            metavar="NAME|REGEX", help="How text is cut; 'none' leaves each document whole."
        ),
    ] = "o200k",
    text_field: common.TextField = "text",
    documents: DocumentOf = Documents.file,
    threads: common.Threads = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="About how much memory to use, as 512M. Default: any."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Remember finished parts there, and go on with them.",
            readable=False,
        ),
    ] = None,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Count the pieces that a pattern cuts texts into: what training learns from.

    Count on several machines, add the tables up, train on one. With --resume, the same command goes
    on where the last one was killed.
    """
    from bytewright import training

    common.refuse_existing([out], force=force)
    with progress_bar(quiet=quiet) as progress:
        counts = training.count_pretokens(
            common.corpus_inputs(inputs),
            pattern=None if pattern == "none" else pattern,
            text_field=text_field,
            documents=documents.value,
            threads=threads,
            memory=memory,
            checkpoint=resume,
            progress=progress,
        )
        counts.save(out)
    if as_json:
        facts = {"out": str(out), "pattern": counts.pattern, "pieces": len(counts)}
        common.write_json({**facts, "total": counts.total, "bytes": counts.total_bytes})
    else:
        print(
            f"{out}: {common.plural(len(counts), 'piece')}, {counts.total:,} in all, "
            f"{common.plural(counts.total_bytes, 'byte')}"
        )


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Callable[[CountProgress], object] | None]:
    """A bar on standard error where that is a terminal, otherwise nothing."""
    with byte_bar(quiet=quiet) as advance:
        if advance is None:
            yield None
            return

        def tell(now: CountProgress) -> None:
            found = f"{now.documents:,} documents, {now.pieces:,} pieces"
            advance(now.bytes_done, now.bytes_total, found)

        yield tell
