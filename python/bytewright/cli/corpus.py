"""`bytewright encode-corpus` and `bytewright verify`: files of ids, and proof that they hold."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common, outcome
from bytewright.cli.progress import byte_bar
from bytewright.errors import ArgumentError
from bytewright.sizes import byte_size

if TYPE_CHECKING:
    from bytewright.corpus import Manifest, Progress

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, folders or globs: text, JSON Lines, Parquet, Arrow; also .gz and .zst.",
    ),
]


class Format(StrEnum):
    """Formats of the output."""

    parquet = "parquet"
    megatron = "megatron"
    bin = "bin"
    npy = "npy"
    arrow = "arrow"


class Documents(StrEnum):
    """What a document of a text file is."""

    file = "file"
    line = "line"


DocumentOf = Annotated[Documents, typer.Option(help="What a document of a text file is.")]


class DType(StrEnum):
    """Widths of a stored id."""

    uint16 = "uint16"
    uint32 = "uint32"
    int32 = "int32"


def encode_corpus(
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help="A folder of its own for the ids.", readable=False
        ),
    ],
    format: Annotated[
        Format, typer.Option("--format", "-f", help="Format of the ids.")
    ] = Format.parquet,
    text_field: common.TextField = "text",
    id_field: Annotated[
        str | None, typer.Option(help="Field or column that names a document; it is kept.")
    ] = None,
    documents: DocumentOf = Documents.file,
    bos: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN", help="Before each document: a special token, an id, 'template'."
        ),
    ] = None,
    eos: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="After each document, likewise.")
    ] = None,
    dtype: Annotated[
        DType | None,
        typer.Option(help="Width of an id. Default: what readers of the format expect."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the files, without ending.")] = "train",
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with what the folder holds.")
    ] = True,
    threads: common.Threads = None,
    part_bytes: Annotated[
        str, typer.Option(metavar="SIZE", help="Text in a part, as 512K, 256M or 1G.")
    ] = "256M",
    memory: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Memory for the texts encoded together and their ids."),
    ] = "512M",
    model: common.Model = None,
    pattern: common.Pattern = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Encode a corpus into a folder that survives being killed.

    The same command goes on where the last one stopped. Nothing is added to a document unless --bos
    or --eos say so, and special tokens in a text are text.
    """
    from bytewright.corpus import encode_corpus as run

    tokenizer = common.load(model, pattern, quiet=quiet)
    with progress_bar(quiet=quiet) as progress:
        manifest = run(
            inputs,
            tokenizer,
            out,
            format=format.value,
            text_field=text_field,
            id_field=id_field,
            documents=documents.value,
            bos=_token(bos),
            eos=_token(eos),
            dtype=dtype and dtype.value,
            name=name,
            resume=resume,
            threads=threads,
            part_bytes=size(part_bytes, "--part-bytes"),
            memory=size(memory, "--memory"),
            progress=progress,
        )
    if as_json:
        common.write_json(_facts(out, manifest))
    else:
        print(
            f"{out}: {common.plural(manifest.documents, 'document')}, "
            f"{common.plural(manifest.tokens, 'token')} in "
            f"{common.plural(len(manifest.parts), 'part')} ({manifest.format})"
        )


def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What encode-corpus made.", readable=False)
    ],
    sample: Annotated[
        int, typer.Option(min=0, metavar="N", help="Also encode N documents again; needs --input.")
    ] = 0,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="INPUT", help="An input of the run."),
    ] = None,
    model: common.Model = None,
    pattern: common.Pattern = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> int:
    """Check every byte of an encoded corpus; say what is damaged, missing or foreign."""
    from bytewright.corpus import verify_corpus

    tokenizer = common.load(model, pattern, quiet=quiet) if sample else None
    report = verify_corpus(folder, sample=sample, tokenizer=tokenizer, inputs=inputs)
    if as_json:
        common.write_json({"ok": report.ok, **asdict(report)})
    elif report.ok:
        again = f", {report.documents_encoded:,} encoded again" if sample else ""
        print(
            f"{folder}: intact: {common.plural(report.documents, 'document')}, "
            f"{common.plural(report.tokens, 'token')}, {report.bytes_checked:,} bytes{again}"
        )
    for problem in () if as_json else report.problems:
        print(f"bytewright: {problem}", file=sys.stderr)
    return outcome.OK if report.ok else outcome.DATA_ERROR


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Callable[[Progress], object] | None]:
    """A bar on standard error where that is a terminal, otherwise nothing."""
    with byte_bar(quiet=quiet) as advance:
        if advance is None:
            yield None
            return

        def tell(now: Progress) -> None:
            found = f"{now.documents:,} documents, {now.tokens:,} tokens"
            advance(now.bytes_done, now.bytes_total, found)

        yield tell


def size(text: str, option: str) -> int:
    """A number of bytes, with K, M, G or T for powers of 1024."""
    try:
        return byte_size(text, option)
    except ArgumentError as error:
        raise typer.BadParameter(str(error)) from error


def _token(text: str | None) -> int | str | None:
    return int(text) if text and text.isascii() and text.isdigit() else text


def _facts(out: Path, manifest: Manifest) -> dict[str, object]:
    return {
        "out": str(out),
        "format": manifest.format,
        "documents": manifest.documents,
        "nulls": manifest.nulls,
        "tokens": manifest.tokens,
        "text_bytes": manifest.text_bytes,
        "parts": len(manifest.parts),
        "files": list(manifest.sizes()),
    }
