"""A folder with `vocab.json` and `merges.txt`: byte-level BPE as GPT-2 published it.

The two files hold the vocabulary only. What `transformers` keeps beside them is read where it is
there: `added_tokens.json` (text to id), `tokenizer_config.json` (`added_tokens_decoder`,
`add_prefix_space`, `tokenizer_class`) and `special_tokens_map.json` (which of the tokens are
special). The class decides the pattern: GPT-2 and its relatives, or Qwen2 with its NFC; another
class needs `pattern=`, as does a vocabulary that is no byte-level one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bytewright.definition import MAX_IDS, Definition
from bytewright.errors import ArgumentError, BytewrightError, LoadError, UnsupportedError
from bytewright.formats.byte_level import STAND_INS
from bytewright.formats.fields import Field, parse_json, read_bytes
from bytewright.formats.hf import read_vocab
from bytewright.formats.hf_model import AddedToken, BpeModel, Ends, Merges, assemble
from bytewright.formats.hf_steps import Steps
from bytewright.formats.patterns import pattern_steps
from bytewright.formats.tiktoken import SpecialTokens, special_ids

__all__ = ["read"]

_GPT2_CLASSES: Final = frozenset(
    {"GPT2", "Roberta", "Bart", "CodeGen", "Whisper", "Longformer", "LED", "Deberta", "GPTNeoX"}
)
_FLAGS: Final = ("single_word", "lstrip", "rstrip")


def read(
    folder: Path, *, pattern: str | None = None, special_tokens: SpecialTokens | None = None
) -> Definition:
    """The definition of a folder with `vocab.json` and `merges.txt`.

    Args:
        folder: the folder.
        pattern: a named pattern or a regular expression, in place of the one of the class.
        special_tokens: text to id, or texts, which get the ids after the last token; added to
            those of the folder.

    Raises:
        LoadError: a file is malformed.
        UnsupportedError: the vocabulary is not byte-level, or its class is unknown.
    """
    root = parse_json(read_bytes(folder / "vocab.json"), where=str(folder / "vocab.json"))
    vocab = read_vocab(root)
    missing = [unit for unit in STAND_INS if unit not in vocab]
    if missing:
        raise UnsupportedError(
            f"{root.where}: no token for the stand-in {missing[0]!r} of a byte, so this is not a "
            "byte-level vocabulary"
        )
    config = _optional(folder / "tokenizer_config.json")
    steps = _steps(config, pattern)
    added = _added(folder, config, vocab, special_tokens)
    merges = _merges(folder / "merges.txt")
    model = BpeModel(where=f"{folder}: $", vocab=vocab, merges=merges)
    return assemble(model, steps, added, ends=Ends())


def _optional(path: Path) -> Field:
    if not path.is_file():
        return Field({}, f"{path}: $")
    field = parse_json(read_bytes(path), where=str(path))
    field.members()
    return field


def _steps(config: Field, pattern: str | None) -> Steps:
    steps = Steps(byte_level=True)
    named = config.get("tokenizer_class")
    family = (
        "GPT2" if named.missing else named.text().removesuffix("Fast").removesuffix("Tokenizer")
    )
    if family == "Qwen2":
        steps.normalizer.append({"type": "nfc"})
    elif family not in _GPT2_CLASSES and pattern is None:
        named.refuse(f"the pattern of {family} is not known here: pattern= is needed")
    default = "qwen2" if family == "Qwen2" else "gpt2"
    if config.get("add_prefix_space").flag(default=False):
        prefix = {"type": "prefix", "content": " ", "unless": "content", "scope": "every"}
        steps.normalizer.append(prefix)
    steps.pretokenizer.extend(pattern_steps(default if pattern is None else pattern))
    return steps


def _merges(path: Path) -> Merges:
    data = read_bytes(path)
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise LoadError(f"{path}: byte {error.start}: not UTF-8 ({error.reason})") from error
    lefts: list[str] = []
    rights: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("#version") or not (text := line.rstrip("\r")):
            continue
        left, space, right = text.partition(" ")
        if not (left and space and right) or " " in right:
            raise LoadError(f"{path}: line {number}: {text[:80]!r} is not a pair of tokens")
        lefts.append(left)
        rights.append(right)
    return lefts, rights


def _added(
    folder: Path, config: Field, vocab: dict[str, int], special_tokens: SpecialTokens | None
) -> list[AddedToken]:
    special = set(_special_texts(_optional(folder / "special_tokens_map.json")))
    tokens = {token.content: token for token in _decoder_tokens(config.get("added_tokens_decoder"))}
    listed = _optional(folder / "added_tokens.json")
    for text in listed.members():
        token_id = listed.get(text).number(highest=MAX_IDS - 1)
        tokens.setdefault(text, AddedToken(token_id, text, text in special, text not in special))
    for text in special & vocab.keys():
        tokens.setdefault(text, AddedToken(vocab[text], text, True, False))
    _check_ids(folder, tokens, vocab, LoadError)
    first = max([*vocab.values(), *(token.id for token in tokens.values())]) + 1
    given = () if special_tokens is None else special_tokens
    for text, token_id in special_ids(given, first=first).items():
        tokens[text] = AddedToken(token_id, text, True, False)
    _check_ids(folder, tokens, vocab, ArgumentError)
    return list(tokens.values())


def _check_ids(
    folder: Path,
    tokens: Mapping[str, AddedToken],
    vocab: dict[str, int],
    failure: type[BytewrightError],
) -> None:
    owners = {token_id: text for text, token_id in vocab.items()}
    for text, token in tokens.items():
        owner = owners.setdefault(token.id, text)
        if owner != text or vocab.get(text, token.id) != token.id:
            raise failure(
                f"{folder}: added token {text!r} has id {token.id}, which is that of {owner!r}"
            )


def _special_texts(field: Field) -> Iterator[str]:
    for name in field.members():
        value = field.get(name)
        for entry in value.items() if isinstance(value.value, list) else [value]:
            text = entry.get("content") if isinstance(entry.value, dict) else entry
            if text.text():
                yield text.text()


def _decoder_tokens(field: Field) -> Iterator[AddedToken]:
    for key in {} if field.missing else field.members():
        entry = field.get(key)
        if not key.isascii() or not key.isdigit() or len(key) > 8 or int(key) >= MAX_IDS:
            entry.fail(f"{key!r} is not a token id")
        special = entry.get("special").flag(default=False)
        yield AddedToken(
            int(key),
            entry.get("content").text(),
            special=special,
            normalized=entry.get("normalized").flag(default=not special),
            **{name: entry.get(name).flag(default=False) for name in _FLAGS},
        )
