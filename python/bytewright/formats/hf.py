"""Hugging Face `tokenizer.json`: byte-level and SentencePiece-style BPE.

The file is a list of parts (normalizer, pre-tokenizer, model, post-processor, decoder, added
tokens), each with a `type`. Every part that `tokenizers` would run is lowered to the definition's
steps, or refused with its JSON path. Not part of tokenization, and so not read: `truncation`,
`padding`, `trim_offsets`, the template for pairs, `version`.

Byte-level or character-level is decided by a ByteLevel pre-tokenizer or normalizer. Where the
file turns spaces into U+2581 (Metaspace, or Replace as in Llama and Gemma), the definition keeps
plain spaces: U+2581 in tokens becomes a space, and so does U+2581 in the text, since the file maps
both to the same symbol. Token strings of a byte-level file with a character that is no stand-in
keep their UTF-8 bytes.

`tokenizers` gives an added token the id of the vocabulary entry with the same text, and else the
next free id, whatever the file says; a file that says otherwise is refused.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.definition import MAX_IDS, MAX_TOKEN_BYTES, Definition, Step
from bytewright.errors import LoadError
from bytewright.formats.fields import Field, parse_json, shown
from bytewright.formats.hf_ends import read_decoder, read_template
from bytewright.formats.hf_model import AddedToken, BpeModel, Ends, Merges, assemble
from bytewright.formats.hf_steps import METASYMBOL, Steps, read_steps

__all__ = ["Plain", "parse_plain", "read", "read_added", "read_merges", "read_vocab"]

_NOT_A_MERGE: Final = "#version"


@dataclass(frozen=True, slots=True)
class Plain:
    """A tokenizer.json whose model has been read: `root` has the vocabulary and no merges."""

    root: Field
    vocab: dict[str, int]
    merges: NDArray[np.uint32]


def parse_plain(data: bytes, *, where: str) -> Plain | None:
    """The file with its vocabulary and merges read by the core, which is several times faster.

    None where that reads nothing: no tokenizer.json, not a well-formed one, or an odd one. Then the
    other way, `parse_json` and `read`, says what is wrong.
    """
    found = _core.parse_model(data)
    if found is None:
        return None
    rest, vocab, merges = found
    try:
        root = parse_json(rest, where=where)
        root.get("model").members()["vocab"] = vocab
    except LoadError:
        return None
    return Plain(root, vocab, np.frombuffer(merges, "<u4").reshape(-1, 3))


def read(root: Field, *, plain: Plain | None = None) -> Definition:
    """The definition of a parsed tokenizer.json.

    Args:
        root: the file.
        plain: what the core has read of it.

    Raises:
        LoadError: a part is malformed.
        UnsupportedError: a part asks for what cannot be represented; its path is named.
    """
    model = _read_model(root.get("model"), plain)
    steps = read_steps(root.get("normalizer"), root.get("pre_tokenizer"))
    added = read_added(root.get("added_tokens"), model.vocab)
    contents = [token.content for token in added]
    strips, kept = read_decoder(root.get("decoder"), byte_level=steps.byte_level, added=contents)
    prefix, suffix = read_template(root.get("post_processor"))
    _check_normalized(root.get("added_tokens"), added, steps)
    return assemble(model, steps, added, ends=Ends(strips, prefix, suffix, kept))


def _check_normalized(field: Field, added: Sequence[AddedToken], steps: Steps) -> None:
    """Refuses tokens of normalized text for which it is not what it is here.

    In the file it may hold U+2581, which is no white space, or stand-ins, which may be letters.
    """
    for token in (token for token in added if token.normalized):
        strips = token.lstrip or token.rstrip
        if steps.stand_ins_in_text and (strips or token.single_word):
            field.refuse(f"{token.content!r} looks at what is beside it after ByteLevel")
        spaces = _has_spaces(token.content) or any(map(_makes_spaces, steps.normalizer))
        if steps.spaces_lowered and (strips or (spaces and not steps.symbols_in_text)):
            field.refuse(
                f"{token.content!r} is matched in normalized text and has spaces or takes white "
                f"space along, and elsewhere a space and {METASYMBOL!r} are the same"
            )


def _has_spaces(text: str) -> bool:
    return not {" ", METASYMBOL}.isdisjoint(unicodedata.normalize("NFKC", text))


def _makes_spaces(step: Step) -> bool:
    """Whether a step puts spaces into a text, other than in the place of U+2581."""
    kind = step["type"]
    if kind == "replace":
        return step.get("string") != METASYMBOL and _has_spaces(str(step["content"]))
    return kind == "prepend" and _has_spaces(str(step["content"]))


def _read_model(model: Field, plain: Plain | None) -> BpeModel:
    kind = model.get("type")
    if not kind.missing and kind.text() != "BPE":
        kind.refuse(f"the model {kind.text()} cannot be represented; known: BPE")
    if kind.missing and isinstance(model.get("vocab").value, list):
        model.refuse("the model Unigram cannot be represented; known: BPE")
    dropout = model.get("dropout")
    if dropout.value not in (None, 0):
        dropout.refuse(f"{shown(dropout.value)}: merges would be dropped at random")
    prefix = model.get("continuing_subword_prefix")
    if not prefix.missing and prefix.text():
        prefix.refuse(f"{prefix.text()!r} before every symbol but the first")
    unk, suffix = model.get("unk_token"), model.get("end_of_word_suffix")
    return BpeModel(
        where=model.where,
        vocab=plain.vocab if plain else read_vocab(model.get("vocab")),
        merges=plain.merges if plain else read_merges(model.get("merges")),
        unk=None if unk.missing else unk.text(),
        fuse_unk=model.get("fuse_unk").flag(default=False),
        byte_fallback=model.get("byte_fallback").flag(default=False),
        ignore_merges=model.get("ignore_merges").flag(default=False),
        suffix="" if suffix.missing else suffix.text(),
    )


def read_vocab(field: Field) -> dict[str, int]:
    """A vocabulary of token strings and their ids, each id once."""
    vocab: dict[str, int] = field.members()  # type: ignore[assignment]
    ids = vocab.values()
    # Sets of the values are checked first, as that is fast; finding the culprit may take longer.
    if (
        not set(map(type, ids)) <= {int}
        or not 0 <= min(ids, default=0) <= max(ids, default=0) < MAX_IDS
    ):
        for token, value in vocab.items():
            if type(value) is not int or not 0 <= value < MAX_IDS:
                field.fail(
                    f"token {token[:80]!r}: id {shown(value)} is not from 0 to {MAX_IDS - 1}"
                )
    if max(map(len, vocab), default=0) > MAX_TOKEN_BYTES:
        field.fail(f"a token is longer than {MAX_TOKEN_BYTES} bytes")
    if len(set(ids)) < len(vocab):
        seen: dict[int, str] = {}
        for token, value in vocab.items():
            if value in seen:
                field.fail(f"id {value} has two tokens, {seen[value]!r} and {token!r}")
            seen[value] = token
    return vocab


def read_merges(field: Field) -> Merges:
    """Left and right parts of the merges, from `"a b"` or from `["a", "b"]`."""
    merges = field.array()
    if all(isinstance(merge, str) for merge in merges):
        lines = [str(merge) for merge in merges if not str(merge).startswith(_NOT_A_MERGE)]
        for index, line in enumerate(lines):
            if line.count(" ") != 1:
                field.fail(f"merge {index}: {shown(line)} is not two tokens and one space")
        parts = " ".join(lines).split(" ") if lines else []
        return parts[0::2], parts[1::2]
    for index, merge in enumerate(merges):
        if not (
            isinstance(merge, list) and len(merge) == 2 and type(merge[0]) is type(merge[1]) is str
        ):
            field.fail(f"merge {index}: {shown(merge)} is not a pair of tokens")
    pairs: list[list[str]] = merges  # type: ignore[assignment]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def read_added(field: Field, vocab: dict[str, int]) -> list[AddedToken]:
    """The added tokens, with ids as `tokenizers` gives them."""
    tokens: dict[str, AddedToken] = {}
    largest = -1
    for entry in [] if field.missing else field.items():
        content = entry.get("content").text()
        if not content:
            continue
        if content in tokens:
            entry.refuse(f"the added token {content!r} stands twice in the list")
        if len(content.encode()) > MAX_TOKEN_BYTES:
            entry.fail(f"the content is longer than {MAX_TOKEN_BYTES} bytes")
        free = largest + 1 if largest >= len(vocab) or not vocab else len(vocab)
        given = entry.get("id").number(highest=MAX_IDS - 1)
        if given != vocab.get(content, free):
            wanted = vocab.get(content, free)
            entry.get("id").refuse(
                f"{given} for {content!r}, to which tokenizers gives the id {wanted}"
            )
        largest = max(largest, given)
        tokens[content] = _added(entry, given, content)
    return list(tokens.values())


def _added(entry: Field, token_id: int, content: str) -> AddedToken:
    special = entry.get("special").flag(default=False)
    return AddedToken(
        id=token_id,
        content=content,
        special=special,
        normalized=entry.get("normalized").flag(default=not special),
        single_word=entry.get("single_word").flag(default=False),
        lstrip=entry.get("lstrip").flag(default=False),
        rstrip=entry.get("rstrip").flag(default=False),
    )
