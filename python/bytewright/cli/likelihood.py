"""`bytewright bytes`: what may follow a text, what it takes, drawn texts, and small files."""

from __future__ import annotations

import math
import sys
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bytewright.cli import common
from bytewright.cli.byte_models import (
    Meaning,
    Ngrams,
    Semantics,
    Text,
    Vocabulary,
    explained,
    finite,
    impossible,
    loaded,
    read_text,
)
from bytewright.cli.heat import bytes_page as bytes_page
from bytewright.cli.visible import visible


class Ends(StrEnum):
    """Where a text that matches ends."""

    match = "match"
    text = "text"


class Utf8(StrEnum):
    """What bytes may be drawn."""

    any = "any"
    strict = "strict"


Source = Annotated[str, typer.Argument(metavar="FILE", help="A file; '-' is standard input.")]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", help="The new file; '-' is standard output."),
]
_STDOUT = Path("-")

_END = 256
# Before the bits: what the file is, and the checksum of what was compressed.
_MAGIC = b"bytewright bits\x01"


def bytes_next(
    text: Text,
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
    data = read_text(text)
    byte_model = loaded(model, tokenizer, semantics, quiet=quiet)
    state = byte_model.start(data)
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
    text: Text,
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

    data = read_text(text)
    if not data:
        raise ArgumentError("the text has no byte")
    byte_model = loaded(model, tokenizer, semantics, quiet=quiet)
    bits = [-float(nats) / math.log(2) + 0.0 for nats in byte_model.score(data)]
    whole = sum(bits)
    if end and whole < math.inf:
        whole = -byte_model.logprob(data, end=True) / math.log(2)
    if as_json:
        # JSON has no infinity: what cannot be has no number of bits.
        common.write_json(
            {
                "bytes": len(data),
                "bits": finite(whole),
                "bits_per_byte": finite(whole / len(data)),
                "each": [finite(one) for one in bits],
            }
        )
        return
    if each:
        for byte, one in zip(data, bits, strict=True):
            print(f"{one:>9.4f}  {visible(bytes([byte]))}")
    size = common.plural(len(data), "byte")
    print(f"{whole:.2f} bits, {size}, {whole / len(data):.4f} bits a byte")
    if whole == math.inf and (why := impossible(byte_model, data)):
        common.note(why, quiet=quiet)


def bytes_sample(
    prompt: Annotated[
        str, typer.Argument(metavar="[PROMPT]", help="The text so far; '-' is standard input.")
    ] = "",
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", "-n", min=0, help="Write no more bytes than these.")
    ] = 200,
    temperature: Annotated[
        float, typer.Option(help="0: always the likeliest byte. 1: as the model expects.")
    ] = 1.0,
    top_p: Annotated[float, typer.Option(help="Keep the likeliest bytes with this share.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Equal seeds give equal texts.")] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End before this text. May be repeated."),
    ] = None,
    utf8: Annotated[
        Utf8, typer.Option(help="strict: draw only what keeps the text UTF-8.")
    ] = Utf8.any,
    regex: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Draw only what matches this, as a whole."),
    ] = None,
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
    from bytewright.bytelm import RegexConstraint

    if ends is not None and regex is None:
        raise typer.BadParameter("--ends needs --regex")
    byte_model, data = loaded(model, tokenizer, semantics, quiet=quiet), read_text(prompt)
    with explained(byte_model, data):
        drawn = byte_model.sample(
            data,
            max_bytes=max_bytes,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            stop=[common.argument_bytes(one) for one in stop or []],
            utf8=utf8.value,
            constraint=None if regex is None else RegexConstraint(regex),
            ends="text" if regex is None else (ends or Ends.match).value,
        )
    if as_json:
        common.write_json(_told(drawn))
    else:
        sys.stdout.buffer.write(drawn)


def bytes_infill(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="The text before.")],
    suffix: Annotated[
        str, typer.Argument(metavar="SUFFIX", help="The text behind; '-' is standard input.")
    ],
    files: Annotated[
        bool, typer.Option("--files", "-f", help="PREFIX and SUFFIX are names of files.")
    ] = False,
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", "-n", min=0, help="Write no more bytes than these.")
    ] = 40,
    end: Annotated[bool, typer.Option("--end", help="The text ends behind SUFFIX.")] = False,
    top: Annotated[
        int, typer.Option("--top", min=0, help="List so many candidates instead of drawing one.")
    ] = 0,
    temperature: Annotated[
        float, typer.Option(help="0: always the likeliest. 1: as the model expects.")
    ] = 1.0,
    top_p: Annotated[float, typer.Option(help="Keep the likeliest with this share.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Equal seeds give equal texts.")] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="The middle does not contain it. May be repeated."),
    ] = None,
    utf8: Annotated[
        Utf8, typer.Option(help="strict: only middles that keep the text UTF-8.")
    ] = Utf8.any,
    regex: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Only middles that match this, as a whole."),
    ] = None,
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
    from bytewright.bytelm import RegexConstraint
    from bytewright.errors import ArgumentError

    if (prefix, suffix) == ("-", "-"):
        raise ArgumentError("PREFIX and SUFFIX cannot both be standard input")
    before, after = (_file(one) if files else read_text(one) for one in (prefix, suffix))
    found = loaded(model, tokenizer, semantics, quiet=quiet).infill_candidates(
        before,
        after,
        max_bytes=max_bytes,
        end=end,
        stop=[common.argument_bytes(one) for one in stop or []],
        utf8=utf8.value,
        constraint=None if regex is None else RegexConstraint(regex),
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


def bytes_compress(
    source: Source,
    output: Output,
    model: Ngrams = None,
    tokenizer: Vocabulary = None,
    semantics: Meaning = Semantics.valid,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Write a file as the bits that the model takes for it; `decompress` needs the same model.

    A few kilobytes a second: this shows what a model knows, it is no tool for large files.
    """
    from bytewright.bytelm import compress

    _check(output, force=force, as_json=as_json)
    data = _file(source)
    small = compress(loaded(model, tokenizer, semantics, quiet=quiet), data)
    packed = _MAGIC + zlib.crc32(data).to_bytes(4, "little") + small
    _write(output, packed)
    _tell(output, data, packed, as_json=as_json, quiet=quiet)


def bytes_decompress(
    source: Source,
    output: Output,
    model: Ngrams = None,
    tokenizer: Vocabulary = None,
    semantics: Meaning = Semantics.valid,
    force: common.Force = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Write the file that was compressed with the same model, checked by its checksum."""
    from bytewright.bytelm import decompress
    from bytewright.errors import DataError

    _check(output, force=force, as_json=as_json)
    packed, start = _file(source), len(_MAGIC) + 4
    if not packed.startswith(_MAGIC) or len(packed) < start:
        raise DataError(f"{source}: not what `bytewright bytes compress` writes")
    data = decompress(loaded(model, tokenizer, semantics, quiet=quiet), packed[start:])
    if zlib.crc32(data).to_bytes(4, "little") != packed[len(_MAGIC) : start]:
        raise DataError(f"{source}: its checksum does not hold: damaged, or another model")
    _write(output, data)
    _tell(output, data, packed, as_json=as_json, quiet=quiet)


def _file(name: str) -> bytes:
    with common.opened(name) as file:
        return file.read()


def _check(output: Path, *, force: bool, as_json: bool) -> None:
    from bytewright.errors import ArgumentError

    if output != _STDOUT:
        common.refuse_existing([output], force=force)
    elif as_json:
        raise ArgumentError("--json and -o -: both are standard output")


def _write(output: Path, data: bytes) -> None:
    if output == _STDOUT:
        sys.stdout.buffer.write(data)
    else:
        output.write_bytes(data)


def _tell(output: Path, data: bytes, packed: bytes, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        found = {"output": str(output), "bytes": len(data), "compressed": len(packed)}
        common.write_json(found)
        return
    share = f", {8 * len(packed) / len(data):.3f} bits a byte" if data else ""
    told = f"{common.plural(len(data), 'byte')}, {len(packed):,} compressed{share}"
    if output == _STDOUT:
        common.note(told, quiet=quiet)
    else:
        print(f"{output}: {told}")


def _told(drawn: bytes) -> dict[str, object]:
    import base64

    return {
        "text": drawn.decode(errors="backslashreplace"),
        "base64": base64.b64encode(drawn).decode(),
        "bytes": len(drawn),
    }
