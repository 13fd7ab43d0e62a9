"""GGUF files: the vocabulary in the header of a model of llama.cpp.

`tokenizer.ggml.model` says which kind of vocabulary it is:

- `gpt2`: byte-level BPE. `tokenizer.ggml.pre` names the pre-tokenization by llama.cpp's table
  (`llama-vocab.cpp`); here it is the published pattern of that tokenizer. A name that is not known
  here, or none, needs `pattern=`; so do GPT-2, Falcon and MPT files from before that key only when
  `general.architecture` does not tell. No normalizer is applied, as the format has none.
- `llama`: SentencePiece pieces with scores, read as SentencePiece reads them. A space is put before
  every stretch of text between added tokens, as llama.cpp does.

Tokens of the types control and unknown are special; user-defined ones are always matched, leftmost
and longest. The tensors are not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bytewright.definition import MAX_IDS, Definition, Step
from bytewright.errors import ArgumentError, LoadError, UnsupportedError
from bytewright.formats import pieces
from bytewright.formats.gguf_header import Value, read_header
from bytewright.formats.hf_model import AddedToken, BpeModel, Ends, Merges, assemble
from bytewright.formats.hf_steps import METASYMBOL, Steps
from bytewright.formats.patterns import pattern_steps, split

__all__ = ["read"]

_PREFIX: Final = "tokenizer.ggml."


@dataclass(frozen=True, slots=True)
class _Pre:
    """What llama.cpp's table says for a name."""

    steps: Sequence[Step]
    ignore_merges: bool = False
    add_bos: bool = False


def _pre_table() -> dict[str, _Pre]:
    deepseek_coder = tuple(
        split(regex)
        for regex in (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}")
    )
    bloom = split(" ?[^(\\s|.,!?…。，、।۔،)]+")
    bailing = (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*"
        r"|\s*[\r\n]|\s+(?!\S)|\s+"
    )
    seed = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    table = {
        "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe "
        "gigachat a.x-4.0 mellum exaone4 mpt olmo jais trillion granite-docling": _Pre(
            pattern_steps("gpt2")
        ),
        "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2": _Pre(
            pattern_steps("llama3"), ignore_merges=True, add_bos=True
        ),
        "dbrx smaug-bpe glm4 chatglm-bpe": _Pre(pattern_steps("llama3")),
        "qwen2 deepseek-r1-qwen kormo megrez stablelm2 hunyuan grok-2": _Pre(
            pattern_steps("qwen2")
        ),
        "qwen35": _Pre(pattern_steps("qwen3.5")),
        "deepseek-v3 hunyuan-dense joyai-llm": _Pre(pattern_steps("deepseek-v3")),
        "deepseek-coder": _Pre(deepseek_coder),
        "falcon": _Pre(pattern_steps("falcon")),
        "starcoder refact command-r smollm codeshell exaone minerva-7b": _Pre(
            pattern_steps("starcoder")
        ),
        "tekken": _Pre(pattern_steps("tekken"), ignore_merges=True, add_bos=True),
        "gpt-4o llama4 minimax-m2": _Pre(pattern_steps("o200k")),
        "kimi-k2": _Pre(pattern_steps("kimi-k2")),
        "poro-chat bloom gpt3-finnish": _Pre((bloom,)),
        "viking": _Pre((bloom, split(r"\p{N}"))),
        "bailingmoe bailingmoe2 llada-moe": _Pre((split(bailing),)),
        "seed-coder": _Pre((split(seed),)),
    }
    return {name: pre for names, pre in table.items() for name in names.split()}


_PRE: Final = _pre_table()
_BEFORE_THE_KEY: Final = {"gpt2": "gpt-2", "falcon": "falcon", "mpt": "mpt"}


@dataclass(frozen=True, slots=True)
class _Header:
    """Typed access to the values."""

    path: Path
    values: Mapping[str, Value]

    def texts(self, name: str) -> list[str]:
        value = self.values.get(_PREFIX + name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise LoadError(f"{self.path}: {_PREFIX}{name} is not an array of strings")
        return [item for item in value if isinstance(item, str)]

    def numbers(self, name: str, size: int) -> list[float]:
        value = self.values.get(_PREFIX + name)
        numeric = isinstance(value, list) and not any(isinstance(item, str) for item in value)
        if not isinstance(value, list) or not numeric or len(value) != size:
            raise LoadError(f"{self.path}: {_PREFIX}{name} is not an array of {size} numbers")
        return [float(item) for item in value]

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise LoadError(f"{self.path}: {key} is not a string")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.values.get(_PREFIX + name, default)
        if not isinstance(value, bool):
            raise LoadError(f"{self.path}: {_PREFIX}{name} is not true or false")
        return value

    def token_id(self, name: str, size: int, default: int | None) -> int | None:
        value = self.values.get(_PREFIX + name, default)
        if value is None or (type(value) is int and 0 <= value < size):
            return value if value is None else int(value)
        raise LoadError(f"{self.path}: {_PREFIX}{name}: {value!r} is not a token id below {size}")


def read(path: Path, *, pattern: str | None = None) -> Definition:
    """The definition of the vocabulary in a GGUF file.

    Args:
        path: the file.
        pattern: a named pattern or a regular expression for a `gpt2` vocabulary, in place of the
            one that the file names.

    Raises:
        LoadError: the header is malformed.
        UnsupportedError: the vocabulary is of another kind, or its pre-tokenization is unknown.
        ArgumentError: `pattern` for a vocabulary that has none.
    """
    header = _Header(path, read_header(path, wanted=_is_wanted))
    kind = header.text(_PREFIX + "model")
    if kind == "gpt2":
        return _byte_level(header, pattern)
    if kind != "llama":
        raise UnsupportedError(
            f"{path}: {_PREFIX}model {kind!r}: only gpt2 and llama are supported"
        )
    if pattern is not None:
        raise ArgumentError(f"{path}: a SentencePiece-style vocabulary takes no pattern=")
    return _sentencepiece(header)


def _is_wanted(key: str) -> bool:
    return key.startswith(_PREFIX) or key in ("general.architecture", "general.name")


def _byte_level(header: _Header, pattern: str | None) -> Definition:
    pre = _pre(header, pattern)
    texts = _tokens(header)
    types = _types(header, len(texts))
    vocab = {text: token_id for token_id, text in enumerate(texts)}
    model = BpeModel(
        where=f"{header.path}: {_PREFIX}tokens",
        vocab=vocab,
        merges=_merges(header),
        ignore_merges=pre.ignore_merges,
    )
    steps = Steps(byte_level=True, pretokenizer=list(pre.steps))
    ends = _ends(header, len(texts), add_bos=pre.add_bos, bos=11, eos=11)
    return assemble(model, steps, _added(header, texts, types), ends=ends)


def _merges(header: _Header) -> Merges:
    """The merges; of equal ones the first counts. A token may begin with a space."""
    lines = list(dict.fromkeys(header.texts("merges")))
    lefts: list[str] = []
    rights: list[str] = []
    for line in lines:
        at = line.find(" ", 1)
        if at < 0 or at == len(line) - 1:
            raise LoadError(f"{header.path}: {_PREFIX}merges: {line[:80]!r} is not a pair")
        lefts.append(line[:at])
        rights.append(line[at + 1 :])
    return lefts, rights


def _pre(header: _Header, pattern: str | None) -> _Pre:
    name = header.text(_PREFIX + "pre")
    if name is None:
        name = _BEFORE_THE_KEY.get(header.text("general.architecture") or "")
    known = _PRE.get(name or "")
    if pattern is not None:
        return _Pre(
            pattern_steps(pattern),
            ignore_merges=known.ignore_merges if known else False,
            add_bos=known.add_bos if known else False,
        )
    if known is None:
        raise UnsupportedError(
            f"{header.path}: {_PREFIX}pre {name!r} does not name a known pre-tokenization; give it "
            f"as pattern=. Known: {', '.join(_PRE)}"
        )
    return known


def _sentencepiece(header: _Header) -> Definition:
    texts = _tokens(header)
    types = _types(header, len(texts))
    unk = header.token_id("unknown_token_id", len(texts), 0)
    added = _added(header, texts, types)
    table = pieces.PieceTable(
        where=str(header.path),
        texts=texts,
        scores=header.numbers("scores", len(texts)),
        types=types,
        unk=unk,
        unk_surface=texts[unk] if unk is not None else "",
    )
    space = header.flag("add_space_prefix", default=True)
    steps: list[Step] = []
    if header.flag("remove_extra_whitespaces", default=False):
        raise UnsupportedError(f"{header.path}: {_PREFIX}remove_extra_whitespaces")
    if header.values.get(_PREFIX + "precompiled_charsmap"):
        raise UnsupportedError(f"{header.path}: {_PREFIX}precompiled_charsmap")
    steps.append(pieces.spaces_step())
    if space:
        steps.append({"type": "prepend", "content": " "})
    ends = _ends(header, len(texts), add_bos=True, bos=1, eos=2, strips=space)
    return pieces.lower(table, normalizer=steps, added=added, ends=ends)


def _tokens(header: _Header) -> list[str]:
    texts = header.texts("tokens")
    if not 0 < len(texts) <= MAX_IDS:
        raise LoadError(f"{header.path}: {len(texts)} tokens: 1 to {MAX_IDS} are allowed")
    if len(set(texts)) < len(texts):
        seen: set[str] = set()
        for token_id, text in enumerate(texts):
            if text in seen:
                raise LoadError(f"{header.path}: token {token_id} {text!r} stands twice")
            seen.add(text)
    if "" in texts:
        raise LoadError(f"{header.path}: token {texts.index('')} is empty")
    return texts


def _types(header: _Header, size: int) -> list[int]:
    if _PREFIX + "token_type" not in header.values:
        return [pieces.NORMAL] * size
    types = [int(kind) for kind in header.numbers("token_type", size)]
    for token_id, kind in enumerate(types):
        if not 0 <= kind <= pieces.BYTE:
            raise LoadError(f"{header.path}: token {token_id} has type {kind}; 0 to 6 are allowed")
    return types


def _added(header: _Header, texts: Sequence[str], types: Sequence[int]) -> list[AddedToken]:
    model = (header.text("general.name") or "").lower()
    # llama.cpp does as phi-3's tokenizer.json does: white space after a token is part of it.
    phi3 = "phi-3" in model or "phi3" in model
    unstripped = {"<unk>", "<s>", "<|endoftext|>"}
    kinds = (pieces.UNKNOWN, pieces.CONTROL, pieces.USER_DEFINED)
    return [
        AddedToken(
            token_id,
            text.replace(METASYMBOL, " ") if kind == pieces.USER_DEFINED else text,
            special=kind != pieces.USER_DEFINED,
            normalized=False,
            rstrip=phi3 and text not in unstripped,
        )
        for token_id, (text, kind) in enumerate(zip(texts, types, strict=True))
        if kind in kinds
    ]


def _ends(
    header: _Header, size: int, *, add_bos: bool, bos: int, eos: int, strips: bool = False
) -> Ends:
    """The ids around a text; a default id that does not exist is left out."""

    def ids(flag: str, name: str, default_flag: bool, default: int) -> list[int]:
        if not header.flag(flag, default=default_flag):
            return []
        token_id = header.token_id(name, size, default if default < size else None)
        return [] if token_id is None else [token_id]

    return Ends(
        strips=strips,
        prefix=ids("add_bos_token", "bos_token_id", add_bos, bos),
        suffix=ids("add_eos_token", "eos_token_id", False, eos),
    )
