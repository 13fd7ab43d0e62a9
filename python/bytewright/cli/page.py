"""`bytewright bytes page`: a text as a page on which every byte has the colour of its bits."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common
from bytewright.cli.byte_models import (
    File,
    Meaning,
    Semantics,
    TextOrFile,
    finite,
    impossible,
    loaded,
    read_either,
)
from bytewright.cli.progress import byte_bar

if TYPE_CHECKING:
    from bytewright.bytelm import ByteModel
    from bytewright.bytelm.page import PageProgress


def bytes_page(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The new page.", readable=False)
    ],
    text: TextOrFile = None,
    file: File = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="An n-gram model that `bytes fit` or NgramModel.save wrote; repeated, they stand "
            "side by side. Default: one fitted to Python's texts.",
            readable=False,
        ),
    ] = None,
    tokenizer: Annotated[
        list[Path] | None,
        typer.Option(
            "--tokenizer",
            metavar="PATH",
            help="The vocabulary of the models, or one for each in their order. Default: the "
            "embedded.",
            readable=False,
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="The heading of the page.")] = None,
    semantics: Meaning = Semantics.valid,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Write a page with the bits of each byte as colours, and what may follow where you point.

    The page is one file that needs no network and no other file. Texts of up to 256 KiB.
    """
    from bytewright.bytelm import byte_page

    common.refuse_existing([output], force=force)
    data = read_either(text, file)
    models = _named(model or [], tokenizer or [], semantics, quiet=quiet)
    with byte_bar(quiet=quiet) as advance:

        def tell(progress: PageProgress) -> None:
            if advance is not None:
                advance(progress.bytes_done, progress.bytes_total, progress.model)

        bits = byte_page(models, data, output, title=title, progress=tell)
    if as_json:
        each = {name: finite(one) for name, one in bits.items()}
        common.write_json({"output": str(output), "bytes": len(data), "bits_per_byte": each})
        return
    for name, one in bits.items():
        print(f"{name}: {one:.4f} bits a byte")
        if one == math.inf and (why := impossible(models[name], data)):
            common.note(why, quiet=quiet)
    told = f"{output}: {common.plural(len(data), 'byte')}"
    print(f"{told}, {output.stat().st_size:,} in the page" if output.is_file() else told)


def _shown(name: str | Path) -> str:
    """A name as a page can have it: names of files need not be UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _named(
    paths: list[Path], vocabularies: list[Path], semantics: Semantics, *, quiet: bool
) -> dict[str, ByteModel]:
    from bytewright.errors import ArgumentError

    if len(vocabularies) > 1 and len(vocabularies) != len(paths):
        raise ArgumentError(
            f"{len(vocabularies)} --tokenizer for {common.plural(len(paths), 'model')}: one for "
            "all is needed, or one for each"
        )
    if not paths:
        only = vocabularies[0] if vocabularies else None
        return {"Python's texts": loaded(None, only, semantics, quiet=quiet)}
    found: dict[str, ByteModel] = {}
    for number, path in enumerate(paths):
        own = vocabularies[number if len(vocabularies) > 1 else 0] if vocabularies else None
        name = _shown(path.stem) if _shown(path.stem) not in found else _shown(path)
        if name in found:
            raise ArgumentError(f"--model {path} is given twice")
        found[name] = loaded(path, own, semantics, quiet=quiet)
    return found
