"""`bytewright bytes fit`: an n-gram model of texts, for the commands that take one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from bytewright.cli import common
from bytewright.cli.byte_models import Vocabulary, named_or_embedded
from bytewright.cli.corpus import DocumentOf, Documents
from bytewright.cli.progress import Advance, byte_bar

_ANY = "any"


def bytes_fit(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, folders or globs: text, JSON Lines, Parquet, Arrow; also .gz and .zst. "
            "'-' is standard input.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The new model.", readable=False)
    ],
    order: Annotated[
        str,
        typer.Option(
            metavar="N|any", help="The longest n-grams, 1 to 16, or contexts of any length."
        ),
    ] = "5",
    tokenizer: Vocabulary = None,
    eos: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN", help="The special token that ends a text. Default: the usual."
        ),
    ] = None,
    text_field: common.TextField = "text",
    documents: DocumentOf = Documents.file,
    threads: common.Threads = None,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Fit an n-gram model to texts: what the other commands take as --model.

    10 MB take half a second. Commands that take the model need the same --tokenizer.
    """
    from bytewright.models import NgramModel

    common.refuse_existing([output], force=force)
    longest = _order(order)
    tok = named_or_embedded(tokenizer)
    with byte_bar(quiet=quiet) as advance:
        texts = _texts(inputs, text_field, documents, advance)
        model = NgramModel.fit(tok, texts, order=longest, eos=eos, threads=threads)
    model.save(output)
    size = output.stat().st_size
    if as_json:
        facts = {"output": str(output), "order": model.order, "documents": model.documents}
        common.write_json({**facts, "ids": model.ids, "bytes": size})
    else:
        print(
            f"{output}: {common.plural(model.documents, 'document')}, "
            f"{common.plural(model.ids, 'id')}, order {order}, {common.plural(size, 'byte')}"
        )


def _order(order: str) -> int | None:
    from bytewright.errors import ArgumentError

    if order == _ANY:
        return None
    if order not in map(str, range(1, 17)):
        raise ArgumentError(f"--order {order}: 1 to 16 are allowed, and {_ANY}")
    return int(order)


def _texts(
    inputs: list[str], text_field: str, documents: Documents, advance: Advance | None
) -> Iterator[bytes | None]:
    """The documents, one after the other."""
    from bytewright.corpus.documents import whole_texts
    from bytewright.corpus.readers import Reading, all_documents

    if "-" in inputs:
        if len(inputs) > 1:
            raise typer.BadParameter("'-' goes alone")
        with common.opened("-") as file:
            if documents is Documents.line:
                yield from (line.removesuffix(b"\n").removesuffix(b"\r") for line in file)
            else:
                yield file.read()
        return
    total, items = all_documents(inputs, Reading(text_field, None, documents.value))
    for texts, done in whole_texts(items):
        if advance is not None:
            advance(done, total, "counted")
        yield from texts
