"""`bytewright merge`: two vocabularies in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bytewright.cli import common


def merge(
    first: Annotated[
        Path,
        typer.Argument(metavar="FIRST", help="Vocabulary that stays as it is.", readable=False),
    ],
    second: Annotated[
        Path, typer.Argument(metavar="SECOND", help="Vocabulary that is added.", readable=False)
    ],
    output: common.NewVocabulary,
    ids: common.MapOfIds = None,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Add the tokens of a second vocabulary to a first one, whose ids stay.

    The map of ids is that of the second. Tokens that no merge can make reachable are left out.
    """
    from bytewright.training import merge_vocabularies

    common.refuse_existing([output, ids], force=force)
    done = merge_vocabularies(
        common.load(first, None, quiet=quiet), common.load(second, None, quiet=quiet)
    )
    done.tokenizer.save(output)
    if ids is not None:
        common.save_json(ids, done.second_ids.tolist())
    size, added, left = done.tokenizer.vocab_size, len(done.added), len(done.left_out)
    if as_json:
        facts = {"output": str(output), "vocab_size": size, "added": added, "left_out": left}
        common.write_json(facts | {"fingerprint": done.tokenizer.fingerprint})
    else:
        print(f"{output}: {common.plural(size, 'token')}, {added:,} added, {left:,} left out")
