"""`bytewright train`: a tokenizer from text, or from counts."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from bytewright.cli import common
from bytewright.cli.corpus import DocumentOf, Documents

if TYPE_CHECKING:
    from bytewright.tokenizer import Tokenizer
    from bytewright.training import (
        CountProgress,
        Parity,
        PretokenCounts,
        Superword,
        TrainProgress,
    )
    from bytewright.training.constraints import Constraint


class ByteOrder(StrEnum):
    """Which ids the bytes have."""

    raw = "raw"
    gpt2 = "gpt2"


class Groups(StrEnum):
    """How numbers are cut."""

    left = "left"
    right = "right"
    single = "single"


def train(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="tokenizer.json, or ranks (.tiktoken).",
            readable=False,
        ),
    ],
    vocab_size: Annotated[
        int, typer.Option("--vocab-size", "-n", help="Tokens, bytes and special ones included.")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT]...",
            help="Files, folders or globs, as encode-corpus; '-' is standard input. "
            "With --parity: LANGUAGE=INPUT.",
        ),
    ] = None,
    counts: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Counts of pieces, instead of text. May be repeated.",
            readable=False,
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(metavar="NAME|REGEX", help="How text is cut. Default: o200k, or the counts'."),
    ] = None,
    special: Annotated[
        list[str] | None,
        typer.Option("--special", metavar="TOKEN", help="Special token. May be repeated."),
    ] = None,
    min_frequency: Annotated[int, typer.Option(help="Rarer pairs are not merged.")] = 1,
    byte_order: Annotated[
        ByteOrder, typer.Option(help="gpt2: ids and ties as in tokenizers.")
    ] = ByteOrder.raw,
    max_token_bytes: Annotated[int | None, typer.Option(min=1, help="Longest token.")] = None,
    max_token_chars: Annotated[
        int | None, typer.Option(min=1, help="Longest token, in characters.")
    ] = None,
    forbid: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="No token holds it. May be repeated.")
    ] = None,
    one_script: Annotated[
        bool, typer.Option("--one-script", help="No token mixes scripts.")
    ] = False,
    no_leading_sign: Annotated[
        bool,
        typer.Option("--no-leading-sign", help="No token begins with a dependent vowel or virama."),
    ] = False,
    digits: Annotated[Groups | None, typer.Option(help="How numbers are cut.")] = None,
    go_on: Annotated[
        Path | None,
        typer.Option(
            "--continue",
            metavar="PATH",
            help="A vocabulary to go on from; ids stay.",
            readable=False,
        ),
    ] = None,
    superword_transition: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Tokens of several words, after N merges in words."),
    ] = None,
    max_words: Annotated[
        int | None, typer.Option(min=1, help="Words that such a token may have. Default: 4.")
    ] = None,
    parity: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LANGUAGE=FILE",
            help="Texts that say the same in each language, which are to take as many tokens. "
            "May be repeated.",
        ),
    ] = None,
    shared_merges: Annotated[
        int | None, typer.Option(min=0, help="With --parity: merges first made by all texts.")
    ] = None,
    text_field: common.TextField = "text",
    documents: DocumentOf = Documents.file,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For merges so far. Default: beside --out.", readable=False
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="About how much memory counting uses, as 512M."),
    ] = None,
    threads: common.Threads = None,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Learn a byte-level BPE vocabulary from text.

    The same command goes on where the last one stopped, to the same result.
    """
    from bytewright.formats import check_place
    from bytewright.tokenizer import Tokenizer
    from bytewright.training import train as run

    if bool(inputs) == bool(counts):
        raise typer.BadParameter("give either inputs or --counts")
    if counts and parity:
        raise typer.BadParameter("--parity takes inputs by language, not --counts")
    check_place(out)
    common.refuse_existing([out], force=force)
    kept = checkpoint or out.with_name(out.name + ".training")
    with _progress(quiet=quiet) as progress, _warned():
        tokenizer = run(
            _counts(counts) if counts else _sources(inputs or [], by_language=bool(parity)),
            vocab_size,
            pattern="o200k" if pattern is None else pattern,
            special_tokens=special or (),
            min_frequency=min_frequency,
            byte_order=byte_order.value,
            max_token_bytes=max_token_bytes,
            constraints=_constraints(max_token_chars, forbid, one_script, no_leading_sign, digits),
            initial_merges=None if go_on is None else Tokenizer.load(go_on),
            superword=_superword(superword_transition, max_words),
            parity=_parity(parity, shared_merges),
            text_field=text_field,
            documents=documents.value,
            checkpoint=kept,
            threads=threads,
            memory=memory,
            progress=progress,
        )
    tokenizer.save(out)
    kept.unlink(missing_ok=True)
    _tell(out, tokenizer, as_json=as_json)


def _sources(
    inputs: list[str], *, by_language: bool
) -> dict[str, list[Path]] | list[Path] | BinaryIO:
    return _by_name(inputs) if by_language else common.corpus_inputs(inputs)


def _by_name(arguments: list[str]) -> dict[str, list[Path]]:
    """Files by the name before them; a name may come again."""
    found: dict[str, list[Path]] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not (name and equals and path):
            raise typer.BadParameter(f"{argument!r} is not LANGUAGE=FILE")
        found.setdefault(name, []).append(Path(path))
    return found


def _superword(transition: int | None, max_words: int | None) -> Superword | None:
    from bytewright.training import Superword

    if transition is None:
        if max_words is not None:
            raise typer.BadParameter("--max-words goes with --superword-transition")
        return None
    return Superword(transition) if max_words is None else Superword(transition, max_words)


def _parity(development: list[str] | None, shared_merges: int | None) -> Parity | None:
    from bytewright.training import Parity

    if development:
        return Parity(_by_name(development), shared_merges=shared_merges or 0)
    if shared_merges is not None:
        raise typer.BadParameter("--shared-merges goes with --parity")
    return None


def _counts(files: list[Path]) -> PretokenCounts:
    from bytewright.training import PretokenCounts

    return PretokenCounts.merge(PretokenCounts.load(file) for file in files)


def _constraints(
    chars: int | None,
    forbid: list[str] | None,
    one_script: bool,
    no_leading_sign: bool,
    digits: Groups | None,
) -> list[Constraint]:
    from bytewright.training import constraints as c

    found: list[Constraint] = [] if chars is None else [c.MaxChars(chars)]
    if forbid:
        found.append(c.ForbiddenSubstrings(*map(common.argument_bytes, forbid)))
    if one_script:
        found.append(c.ScriptBoundaries())
    if no_leading_sign:
        found.append(c.NoLeadingDependentSign())
    if digits is not None:
        found.append(c.Digits(digits.value))
    return found


def _tell(out: Path, tokenizer: Tokenizer, *, as_json: bool) -> None:
    merges = len(tokenizer.definition.merge_rows())
    if as_json:
        facts = {"out": str(out), "vocab_size": tokenizer.vocab_size, "merges": merges}
        common.write_json(facts | {"fingerprint": tokenizer.fingerprint})
    else:
        size = common.plural(tokenizer.vocab_size, "token")
        print(f"{out}: {size}, {common.plural(merges, 'merge')}")


@contextmanager
def _warned() -> Iterator[None]:
    """Warnings as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        print(f"bytewright: {warning.message}", file=sys.stderr)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[CountProgress | TrainProgress], object] | None]:
    """A bar on standard error where that is a terminal, otherwise nothing."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    from bytewright.training import CountProgress

    columns = (BarColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def advance(now: CountProgress | TrainProgress) -> None:
            if isinstance(now, CountProgress):
                found = f"counting: {now.documents:,} documents, {now.pieces:,} pieces"
                bar.update(task, completed=now.bytes_done, total=now.bytes_total, description=found)
            else:
                done = escape(merging(now))
                bar.update(task, completed=now.vocab_size, total=now.wanted, description=done)

        yield advance


def merging(now: TrainProgress) -> str:
    """How far merging is, on a line."""
    latest = " ".join(_shown(left + right) for left, right, _ in now.last[:3])
    return (
        f"{now.vocab_size:,} of {now.wanted:,} tokens, {now.merges_per_second:,.0f} merges/s, "
        f"{now.eta_seconds:,.0f} s left, {now.bytes_per_token:.2f} bytes a token: {latest}"
    )


def _shown(token: bytes) -> str:
    return repr(token.decode("utf-8", "backslashreplace"))[1:-1].replace(" ", "·")
