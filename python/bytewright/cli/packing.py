"""`bytewright bytes compress|decompress`: files as the bits that a model takes for them."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Annotated

import typer

from bytewright.cli import common
from bytewright.cli.byte_models import Meaning, Ngrams, Semantics, Vocabulary, loaded
from bytewright.cli.progress import text_bar

Source = Annotated[str, typer.Argument(metavar="FILE", help="A file; '-' is standard input.")]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The new file; '-' is standard output.",
        readable=False,
    ),
]

# Before the bits: what the file is, and the checksum of what was compressed.
_MAGIC = b"bytewright bits\x01"


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

    A few kilobytes a second: this shows what a model knows, it is no tool for large files. Without
    `--model` it is a model of this Python's standard library, which another Python has not.
    """
    from bytewright.bytelm import compress

    _check(output, force=force, as_json=as_json)
    data = common.read(source)
    byte_model = loaded(model, tokenizer, semantics, quiet=quiet)
    with text_bar("compressed", quiet=quiet) as progress:
        small = compress(byte_model, data, progress=progress)
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
    packed, start = common.read(source), len(_MAGIC) + 4
    if not packed.startswith(_MAGIC) or len(packed) < start:
        raise DataError(f"{source}: not what `bytewright bytes compress` writes")
    byte_model = loaded(model, tokenizer, semantics, quiet=quiet)
    with text_bar("decompressed", quiet=quiet) as progress:
        data = decompress(byte_model, packed[start:], progress=progress)
    if zlib.crc32(data).to_bytes(4, "little") != packed[len(_MAGIC) : start]:
        raise DataError(f"{source}: its checksum does not hold: damaged, or another model")
    _write(output, data)
    _tell(output, data, packed, as_json=as_json, quiet=quiet)


def _check(output: Path, *, force: bool, as_json: bool) -> None:
    from bytewright.errors import ArgumentError

    if output != common.STANDARD:
        common.refuse_existing([output], force=force)
    elif as_json:
        raise ArgumentError("--json and -o -: both are standard output")


def _write(output: Path, data: bytes) -> None:
    if output == common.STANDARD:
        sys.stdout.buffer.write(data)
    else:
        common.save(output, data)


def _tell(output: Path, data: bytes, packed: bytes, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        found = {"output": str(output), "bytes": len(data), "compressed": len(packed)}
        common.write_json(found)
        return
    share = f", {8 * len(packed) / len(data):.3f} bits a byte" if data else ""
    told = f"{common.plural(len(data), 'byte')}, {len(packed):,} compressed{share}"
    if output == common.STANDARD:
        common.note(told, quiet=quiet)
    else:
        print(f"{output}: {told}")
