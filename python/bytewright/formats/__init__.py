"""Vocabulary formats: one file a format, all lowered to the same definition.

A file is recognised by what it holds, not by its name. Limits: a file has at most 1 GB (of a GGUF
file only the header counts), ids are below 2,097,151, a token has at most 65,536 bytes.

| what | read by |
|---|---|
| Hugging Face `tokenizer.json` | `hf` |
| tiktoken ranks, Llama 3 `tokenizer.model` | `tiktoken` |
| Mistral `tekken.json` | `tekken` |
| SentencePiece `.model` | `sentencepiece` |
| GGUF | `gguf` |
| a folder with one of these, or with `vocab.json` and `merges.txt` | `gpt2` |
| no file: merges as pairs of bytes | `merges` |
"""

import os
import re
from pathlib import Path
from typing import Final

from bytewright import arguments
from bytewright.definition import Definition
from bytewright.errors import ArgumentError, LoadError, UnsupportedError
from bytewright.files import saved
from bytewright.formats import gguf, gpt2, hf, hf_write, sentencepiece, tekken, tiktoken
from bytewright.formats.fields import Field, parse_json, read_bytes
from bytewright.formats.gguf_header import MAGIC
from bytewright.formats.merges import of_merges
from bytewright.formats.patterns import pattern_names, pattern_steps
from bytewright.formats.tiktoken import SpecialTokens

__all__ = [
    "SpecialTokens",
    "check_place",
    "of_merges",
    "pattern_names",
    "pattern_steps",
    "read",
    "write",
]

_WRITERS: Final = {".json": hf_write.write, ".tiktoken": tiktoken.write}
_HEAD_BYTES: Final = 1 << 17
_RANKS: Final = re.compile(rb"\s*[A-Za-z0-9+/=]+[ \t]+[-+\d]")
_IN_FOLDERS: Final = ("tokenizer.json", "tekken.json", "tokenizer.model")
_PACKED: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "Zstandard", b"PK": "zip"}
_KNOWN: Final = (
    "tokenizer.json, tiktoken ranks, tekken.json, SentencePiece .model, GGUF, or a folder with "
    "vocab.json and merges.txt"
)


def read(
    path: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    special_tokens: SpecialTokens | None = None,
) -> Definition:
    """The definition of a vocabulary file or folder, recognised by its content.

    Args:
        path: the file or folder.
        pattern: the pre-tokenization, a name of `pattern_names()` or a regular expression; for
            formats that do not hold it (tiktoken ranks, `vocab.json` with `merges.txt`, GGUF).
        special_tokens: text to id, or texts, which get the ids after the last token; for formats
            that do not hold them (tiktoken ranks, `vocab.json` with `merges.txt`).

    Raises:
        LoadError: the file cannot be read, or is not a vocabulary.
        UnsupportedError: the vocabulary asks for what cannot be represented; it is named.
        ArgumentError: an argument that the format has no use for, or one that it needs is missing.
    """
    place = _place(path)
    if place.is_dir():
        inside = _inside(place)
        if inside is None:
            return gpt2.read(place, pattern=pattern, special_tokens=special_tokens)
        place = inside
    head = read_bytes(place, most=_HEAD_BYTES)
    if head.startswith(MAGIC):
        _unused(place, "GGUF", special_tokens=special_tokens)
        return gguf.read(place, pattern=pattern)
    if _RANKS.match(head):
        return tiktoken.read(place, pattern=pattern, special_tokens=special_tokens)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        data = read_bytes(place)
        plain = hf.parse_plain(data, where=str(place))
        root = plain.root if plain else parse_json(data, where=str(place))
        _unused(place, "JSON", pattern=pattern, special_tokens=special_tokens)
        return _read_json(root, place) if plain is None else hf.read(root, plain=plain)
    if head.startswith(b"\x0a"):
        _unused(place, "SentencePiece", pattern=pattern, special_tokens=special_tokens)
        return sentencepiece.read(place)
    raise LoadError(f"{place}: {_guess(head)}; known are {_KNOWN}")


def write(definition: Definition, path: str | os.PathLike[str]) -> None:
    """Write a definition as `tokenizer.json` (`.json`) or tiktoken ranks (`.tiktoken`).

    The file appears whole or not at all.

    Raises:
        UnsupportedError: the format cannot say what the definition does; the part is named.
        ArgumentError: another suffix.
        DataError: the file cannot be written.
    """
    place = check_place(path)
    if gaps := len(definition.kinds) - len(definition.kinds.rstrip(b"\0")):
        size = definition.vocab_size
        raise UnsupportedError(
            f"{place}: no format can say {gaps} ids without a token behind the last that has one, "
            f"{size - gaps} to {size - 1}"
        )
    try:
        data = _WRITERS[place.suffix](definition)
    except UnsupportedError as error:
        raise UnsupportedError(f"{place}: {error}") from error
    with saved(place) as file:
        file.write(data)


def check_place(path: str | os.PathLike[str]) -> Path:
    """The place of a file to write.

    Raises:
        ArgumentError: a suffix that says no format that can be written.
    """
    place = _place(path)
    if place.suffix not in _WRITERS:
        raise ArgumentError(f"{place}: only .json and .tiktoken can be written")
    return place


def _inside(folder: Path) -> Path | None:
    """The vocabulary of a folder; None when it is `vocab.json` with `merges.txt`."""
    for name in _IN_FOLDERS:
        if (folder / name).is_file():
            return folder / name
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return None
    found = sorted(p for kind in ("*.gguf", "*.tiktoken") for p in folder.glob(kind))
    if len(found) == 1:
        return found[0]
    raise LoadError(f"{folder}: no vocabulary in this folder, or several; known are {_KNOWN}")


def _guess(head: bytes) -> str:
    if not head:
        return "the file is empty"
    for magic, name in _PACKED.items():
        if head.startswith(magic):
            return f"this is {name} data, which must be unpacked first"
    if head.startswith(b"#version:"):
        return "these are merges; give their folder, with vocab.json beside them"
    return f"not a vocabulary (it begins with {head[:16]!r})"


def _read_json(root: Field, path: Path) -> Definition:
    if not isinstance(root.value, dict):
        root.fail("a tokenizer.json or tekken.json is an object")
    # A vocabulary by itself may have a token "model".
    if not isinstance(root.value.get("model", 0), int):
        return hf.read(root)
    if "config" in root.value and "vocab" in root.value:
        return tekken.read(root)
    alone = path.name == "vocab.json" or set(map(type, root.value.values())) == {int}
    hint = "; give its folder, with vocab.json and merges.txt" if alone else ""
    root.fail(f"neither model (tokenizer.json) nor config and vocab (tekken.json){hint}")


def _unused(path: Path, kind: str, **arguments: object) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise ArgumentError(f"{path}: {kind} files say it themselves: {name}= has no use here")


def _place(path: str | os.PathLike[str]) -> Path:
    return arguments.place(path)
