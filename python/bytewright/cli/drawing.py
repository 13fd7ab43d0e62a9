"""`bytewright bytes sample|infill`: texts drawn from a model, behind a text or between two."""

from __future__ import annotations

import base64
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common
from bytewright.cli.byte_models import (
    Meaning,
    Ngrams,
    Semantics,
    Vocabulary,
    explained,
    loaded,
    read_text,
)
from bytewright.cli.progress import text_bar
from bytewright.cli.visible import visible

if TYPE_CHECKING:
    from bytewright.bytelm import Constraint


class Ends(StrEnum):
    """Where a text that matches ends."""

    match = "match"
    text = "text"


class Utf8(StrEnum):
    """What bytes may be drawn."""

    any = "any"
    strict = "strict"


MaxBytes = Annotated[
    int, typer.Option("--max-bytes", "-n", min=0, help="Write no more bytes than these.")
]
Temperature = Annotated[
    float, typer.Option(help="0: always the likeliest. 1: as the model expects.")
]
TopP = Annotated[float, typer.Option(help="Keep the likeliest with this share.")]
Seed = Annotated[int | None, typer.Option(help="Equal seeds give equal texts.")]
Limit = Annotated[Utf8, typer.Option(help="strict: only what keeps the text UTF-8.")]
Regex = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Only what matches this, as a whole.")
]


def bytes_sample(
    prompt: Annotated[
        str, typer.Argument(metavar="[PROMPT]", help="The text so far; '-' is standard input.")
    ] = "",
    max_bytes: MaxBytes = 200,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    seed: Seed = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End before this text. May be repeated."),
    ] = None,
    utf8: Limit = Utf8.any,
    regex: Regex = None,
    ends: Annotated[
        Ends | None,
        typer.Option(
            help="With --regex. match: what cannot go on ends there. text: as the model ends it. "
            "Default: match."
        ),
    ] = None,
    model: Ngrams = None,
    tokenizer: Vocabulary = None,
    semantics: Meaning = Semantics.valid,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Draw what follows a prompt and write its bytes, exactly, with nothing added."""
    if ends is not None and regex is None:
        raise typer.BadParameter("--ends needs --regex")
    byte_model, data = loaded(model, tokenizer, semantics, quiet=quiet), read_text(prompt)
    with explained(byte_model, data), text_bar("drawn", quiet=quiet) as progress:
        drawn = byte_model.sample(
            data,
            max_bytes=max_bytes,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            stop=_texts(stop),
            utf8=utf8.value,
            constraint=_constraint(regex),
            ends="text" if regex is None else (ends or Ends.match).value,
            progress=progress,
        )
    if as_json:
        common.write_json(_told(drawn))
    else:
        sys.stdout.buffer.write(drawn)


def bytes_infill(
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="The text before; '-' is standard input.")
    ],
    suffix: Annotated[
        str, typer.Argument(metavar="SUFFIX", help="The text behind; '-' is standard input.")
    ],
    files: Annotated[
        bool, typer.Option("--files", "-f", help="PREFIX and SUFFIX are names of files.")
    ] = False,
    max_bytes: MaxBytes = 40,
    end: Annotated[bool, typer.Option("--end", help="The text ends behind SUFFIX.")] = False,
    top: Annotated[
        int, typer.Option("--top", min=0, help="List so many candidates instead of drawing one.")
    ] = 0,
    temperature: Temperature = 1.0,
    top_p: TopP = 1.0,
    seed: Seed = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="The middle does not contain it. May be repeated."),
    ] = None,
    utf8: Limit = Utf8.any,
    regex: Regex = None,
    budget: Annotated[
        int, typer.Option(min=1, help="How many of the likeliest middles to look at.")
    ] = 1000,
    trajectories: Annotated[
        int, typer.Option(min=0, help="How many texts to draw to cover the others.")
    ] = 32,
    model: Ngrams = None,
    tokenizer: Vocabulary = None,
    semantics: Meaning = Semantics.valid,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Draw what stands between two texts and write its bytes, exactly, with nothing added.

    Either text may end and begin anywhere, inside a word or a character.
    """
    from bytewright.errors import ArgumentError

    if (prefix, suffix) == ("-", "-"):
        raise ArgumentError("PREFIX and SUFFIX cannot both be standard input")
    before, after = (common.read(one) if files else read_text(one) for one in (prefix, suffix))
    byte_model = loaded(model, tokenizer, semantics, quiet=quiet)
    with explained(byte_model, before):
        found = byte_model.infill_candidates(
            before,
            after,
            max_bytes=max_bytes,
            end=end,
            stop=_texts(stop),
            utf8=utf8.value,
            constraint=_constraint(regex),
            budget=budget,
            trajectories=trajectories,
            seed=seed,
        )
    drawn = found.draw(temperature=temperature, top_p=top_p, seed=seed)
    listed = list(zip(found.middles, found.shares.tolist(), strict=True))[:top]
    if as_json:
        common.write_json(
            {
                **_told(drawn),
                "logprob": found.logprob,
                "explored": found.explored,
                "certified": found.certified,
                "likeliest_known": bool(found.logprobs.max() > found.unseen),
                "candidates": [{**_told(middle), "share": share} for middle, share in listed],
            }
        )
    elif top:
        for middle, share in listed:
            print(f"{share:>9.6f}  {visible(middle)}")
    else:
        sys.stdout.buffer.write(drawn)


def _texts(stop: list[str] | None) -> list[bytes]:
    return [common.argument_bytes(one) for one in stop or []]


def _constraint(regex: str | None) -> Constraint | None:
    from bytewright.bytelm import RegexConstraint

    return None if regex is None else RegexConstraint(regex)


def _told(drawn: bytes) -> dict[str, object]:
    return {
        "text": drawn.decode(errors="backslashreplace"),
        "base64": base64.b64encode(drawn).decode(),
        "bytes": len(drawn),
    }
