"""`bytewright prune`: a smaller vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bytewright.tokenizer import Tokenizer


def prune(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Vocabulary file or folder.", readable=False)
    ],
    remove: Annotated[int, typer.Option("--remove", "-n", min=0, help="Tokens to take out.")],
    output: common.NewVocabulary,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Text in which rare tokens go first. May be repeated. Default: the last ids do.",
        ),
    ] = None,
    keep_ids: Annotated[
        bool, typer.Option("--keep-ids", help="Leave gaps instead of closing them.")
    ] = False,
    ids: common.MapOfIds = None,
    pattern: common.Pattern = None,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Take tokens out of a vocabulary, and strand none.

    Only tokens that no other is made of are taken out; bytes and special tokens stay.
    """
    from bytewright.training import prune_leaves

    common.refuse_existing([output, ids], force=force)
    old = common.load(source, pattern, quiet=quiet)
    frequencies = None if text is None else _frequencies(old, text)
    done = prune_leaves(old, remove, frequencies=frequencies, ids="keep" if keep_ids else "compact")
    done.tokenizer.save(output)
    if ids is not None:
        common.save_json(ids, done.new_ids.tolist())
    if len(done.removed) < remove:
        common.note(f"only {len(done.removed)} of {remove} tokens could go", quiet=quiet)
    if as_json:
        size = done.tokenizer.vocab_size
        facts = {"output": str(output), "vocab_size": size, "removed": list(done.removed)}
        common.write_json(facts | {"fingerprint": done.tokenizer.fingerprint})
    else:
        gone = common.plural(len(done.removed), "token")
        print(f"{output}: {common.plural(done.tokenizer.vocab_size, 'token')}, {gone} taken out")


def _frequencies(tokenizer: Tokenizer, files: list[str]) -> NDArray[np.integer]:
    """How often each token occurs in some files."""
    import numpy as np

    counts = np.zeros(tokenizer.vocab_size, np.int64)
    for name in files:
        encoder = tokenizer.stream_encoder()
        with common.opened(name) as file:
            while block := file.read(common.BLOCK):
                counts += np.bincount(encoder.push(block), minlength=len(counts))
        counts += np.bincount(encoder.finish(), minlength=len(counts))
    return counts
