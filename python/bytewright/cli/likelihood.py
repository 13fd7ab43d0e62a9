"""`bytewright bytes next|score`: what may follow a text, and what it takes."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from bytewright.cli import common
from bytewright.cli.byte_models import (
    File,
    Meaning,
    Ngrams,
    Semantics,
    TextOrFile,
    Vocabulary,
    explained,
    finite,
    impossible,
    is_utf8,
    loaded,
    read_either,
)
from bytewright.cli.progress import text_bar
from bytewright.cli.visible import visible

_END = 256


def bytes_next(
    text: TextOrFile = None,
    file: File = None,
    top: Annotated[
        int, typer.Option("--top", "-n", min=1, max=257, help="How many outcomes to list.")
    ] = 10,
    model: Ngrams = None,
    tokenizer: Vocabulary = None,
    semantics: Meaning = Semantics.valid,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """List the likeliest next bytes of a text that may end anywhere, with their probabilities."""
    data = read_either(text, file)
    byte_model = loaded(model, tokenizer, semantics, quiet=quiet)
    # How likely the text itself is takes a context for each of its tokens: only JSON tells it. What
    # is no UTF-8 is said to be that wherever it stands.
    state = byte_model.start(data) if as_json or not is_utf8(data) else byte_model.given(data)
    with explained(byte_model, data):
        found = state.next()
    outcomes = found.top(top)
    if as_json:
        common.write_json(
            {
                "bytes": len(data),
                "logprob": state.logprob,
                "entropy": found.entropy,
                "lost_mass": found.lost_mass,
                "next": [
                    {"byte": None if outcome == _END else outcome, "probability": p}
                    for outcome, p in outcomes
                ],
            }
        )
        return
    for outcome, p in outcomes:
        print(f"{p:>9.6f}  {'end of text' if outcome == _END else visible(bytes([outcome]))}")
    common.note(
        f"entropy {found.entropy:.2f} bits; {found.lost_mass:.2g} of the probability is lost",
        quiet=quiet,
    )


def bytes_score(
    text: TextOrFile = None,
    file: File = None,
    each: Annotated[bool, typer.Option("--each", help="A line for each byte.")] = False,
    end: Annotated[bool, typer.Option("--end", help="Count the end of the text too.")] = False,
    model: Ngrams = None,
    tokenizer: Vocabulary = None,
    semantics: Meaning = Semantics.valid,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Say how many bits a text takes, in all and for each byte."""
    from bytewright.errors import ArgumentError

    data = read_either(text, file)
    if not data:
        raise ArgumentError("the text has no byte")
    byte_model = loaded(model, tokenizer, semantics, quiet=quiet)
    with text_bar("scored", quiet=quiet) as progress:
        scores = byte_model.score(data, progress=progress)
    bits = [-float(nats) / math.log(2) + 0.0 for nats in scores]
    whole = sum(bits)
    last = math.inf
    if end and whole < math.inf:
        last = max(0.0, -byte_model.logprob(data, end=True) / math.log(2) - whole)
        whole += last
    if as_json:
        # JSON has no infinity: what cannot be has no number of bits.
        common.write_json(
            {
                "bytes": len(data),
                "bits": finite(whole),
                "bits_per_byte": finite(whole / len(data)),
                "each": [finite(one) for one in bits],
                **({"end": finite(last)} if end else {}),
            }
        )
        return
    if each:
        for byte, one in zip(data, bits, strict=True):
            print(f"{one:>9.4f}  {visible(bytes([byte]))}")
        if end and whole < math.inf:
            print(f"{last:>9.4f}  end of text")
    size = common.plural(len(data), "byte")
    print(f"{whole:.2f} bits, {size}, {whole / len(data):.4f} bits a byte")
    if whole == math.inf and (why := impossible(byte_model, data)):
        common.note(why, quiet=quiet)
