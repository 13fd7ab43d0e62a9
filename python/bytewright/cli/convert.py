"""`bytewright convert`: one vocabulary format to another, checked before it is believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common

if TYPE_CHECKING:
    from bytewright.tokenizer import Tokenizer


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Vocabulary file or folder.", readable=False)
    ],
    output: common.NewVocabulary,
    pattern: common.Pattern = None,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Save a vocabulary in another format and compare the two on a thousand strings.

    What the new format cannot express is an error that names it. What it leaves to whoever loads
    it (tiktoken ranks hold neither pattern nor special tokens) is told.
    """
    from bytewright.errors import DataError

    common.refuse_existing([output], force=force)
    old = common.load(source, pattern, quiet=quiet)
    old.save(output)
    new, left_out = _reload(old, output)
    compared, wrong = _compare(old, new)
    if as_json:
        common.write_json(
            {
                "output": str(output),
                "bytes": output.stat().st_size,
                "compared": compared,
                "different": len(wrong),
                "left_out": left_out,
            }
        )
    else:
        print(
            f"{output}: {common.plural(old.vocab_size, 'token')}, {output.stat().st_size:,} bytes"
        )
        for what in left_out:
            print(f"not in the file: {what}")
        print(f"checked: {compared - len(wrong)} of {compared} strings have equal ids")
    if wrong:
        raise DataError(f"{output}: the ids of {wrong[0]!r} differ from those of {source}")


def _reload(old: Tokenizer, output: Path) -> tuple[Tokenizer, list[str]]:
    """What the new file loads as, and what the loader had to be told."""
    from bytewright.tokenizer import Tokenizer

    if output.suffix != ".tiktoken":
        return Tokenizer.load(output), []
    new = Tokenizer.load(output, pattern=old.pattern, special_tokens=dict(old.special_tokens))
    told = [f"the pattern; load it with pattern={old.pattern!r}"]
    if old.special_tokens:
        told.append(f"special tokens; load it with special_tokens={dict(old.special_tokens)!r}")
    return new, told


def _compare(old: Tokenizer, new: Tokenizer) -> tuple[int, list[bytes]]:
    from bytewright.cli.probes import probes

    strings = probes(old)
    return len(strings), [text for text in strings if old.encode(text) != new.encode(text)]
