"""What formats read and write is what the reference libraries say about the same files."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiktoken
import tiktoken.load
import tokenizers
from conftest import read_zst, shared_path
from gguf import GGUFReader
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from tiny_vocabularies import (
    PIECES,
    added,
    dumped,
    gguf,
    gguf_keys,
    metaspace_json,
    model,
    ranks,
    tekken,
    tokenizer_json,
)
from tiny_vocabularies import (
    sentencepiece as spm_model,
)

import bytewright as bw
from bytewright import definition, formats
from bytewright.definition import ADDED, DECODE_ONLY, FALLBACK, MODEL, SPECIAL, Definition
from bytewright.formats import hf
from bytewright.formats.byte_level import GPT2_BYTE_ORDER, STAND_INS, from_stand_ins, to_stand_ins
from bytewright.formats.fields import parse_json
from bytewright.formats.oniguruma import DialectError, from_oniguruma, to_oniguruma

SHARED = shared_path()
VOCABS = [] if SHARED is None else sorted(p.stem for p in (SHARED / "data/vocabs").glob("*.zst"))


def named(*suffixes: str) -> list[str]:
    return [name for name in VOCABS if name.endswith(suffixes)]


@cache
def unpacked(folder: Path, name: str) -> Path:
    assert SHARED is not None
    (folder / name).write_bytes(read_zst(SHARED / "data/vocabs" / f"{name}.zst"))
    return folder / name


@pytest.fixture(scope="session")
def vocab(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The path of a reference vocabulary, by name."""
    if SHARED is None:
        pytest.skip("no reference data: ../shared is absent and BYTEWRIGHT_SHARED names none")
    folder = tmp_path_factory.mktemp("vocabs")
    return lambda name: unpacked(folder, name)


def added_of(read: Definition) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(read.header)["added"]
    return entries


def written(tmp_path: Path, data: bytes, **arguments: Any) -> Definition:
    file = tmp_path / "vocabulary"
    file.write_bytes(data)
    return formats.read(file, **arguments)


# Structure


@pytest.mark.parametrize("name", named(".tokenizer.json"))
def test_a_tokenizer_json_has_the_tokens_of_tokenizers(
    vocab: Callable[[str], Path], name: str
) -> None:
    reference = tokenizers.Tokenizer.from_file(str(vocab(name)))
    read = formats.read(vocab(name))
    texts = reference.get_vocab(with_added_tokens=True)
    assert sum(kind != 0 for kind in read.kinds) == len(texts) == reference.get_vocab_size()
    specials = {i: t for i, t in reference.get_added_tokens_decoder().items()}
    assert {entry["id"]: entry["content"] for entry in added_of(read)} == {
        i: token.content for i, token in specials.items()
    }
    for entry in added_of(read):
        token = specials[entry["id"]]
        assert bool(read.kinds[entry["id"]] & SPECIAL) == entry["special"] == token.special
        for flag in ("single_word", "lstrip", "rstrip", "normalized"):
            assert entry[flag] == getattr(token, flag)


@pytest.mark.parametrize("name", named(".tokenizer.json"))
def test_merges_of_a_tokenizer_json_join_the_parts_it_names(
    vocab: Callable[[str], Path], name: str
) -> None:
    root = json.loads(vocab(name).read_bytes())["model"]
    pairs = [m.split(" ") if isinstance(m, str) else m for m in root["merges"]]
    ids = root["vocab"]
    expected = [[ids[a], ids[b], ids[a + b]] for a, b in pairs]
    assert formats.read(vocab(name)).merge_rows().tolist() == expected


@pytest.mark.parametrize("name", [n for n in named(".tokenizer.json") if "phi-3" not in n])
def test_byte_level_tokens_have_the_bytes_that_tokenizers_decodes(
    vocab: Callable[[str], Path], name: str
) -> None:
    reference = tokenizers.Tokenizer.from_file(str(vocab(name)))
    tokens = formats.read(vocab(name)).tokens()
    rng = random.Random(0)
    for token_id in rng.sample(range(len(tokens)), 500):
        token = tokens[token_id]
        if token is None:
            continue
        decoded = reference.decode([token_id], skip_special_tokens=False)
        assert token.decode("utf-8", "replace") == decoded, token_id


@pytest.mark.parametrize("name", named(".tiktoken"))
def test_ranks_are_what_tiktoken_loads(vocab: Callable[[str], Path], name: str) -> None:
    expected = tiktoken.load.load_tiktoken_bpe(str(vocab(name)))
    read = formats.read(vocab(name), pattern="gpt2", special_tokens=())
    assert {t: i for i, t in enumerate(read.tokens()) if t is not None} == expected


def test_published_ranks_are_recognised_by_their_hash(vocab: Callable[[str], Path]) -> None:
    read = formats.read(vocab("cl100k_base.tiktoken"))
    reference = {entry["content"]: entry["id"] for entry in added_of(read)}
    assert reference["<|endofprompt|>"] == 100276
    assert read.rules()["pattern"] == "cl100k"
    gap = formats.read(vocab("p50k_base.tiktoken"))
    assert gap.tokens()[50256] == b"<|endoftext|>"
    assert gap.kinds[50256] == ADDED | SPECIAL


def test_tekken_has_the_tokens_of_mistral_common(vocab: Callable[[str], Path]) -> None:
    reference = Tekkenizer.from_file(vocab("tekken_240718.json"))
    read = formats.read(vocab("tekken_240718.json"))
    tokens = read.tokens()
    assert len(tokens) == reference.n_words
    assert [t for t in tokens[:1000] if t] == [
        reference.id_to_piece(i).encode() for i in range(1000)
    ]
    for token_id in range(1000, len(tokens), 97):
        assert tokens[token_id] == reference.id_to_byte_piece(token_id)


@pytest.mark.parametrize("name", named(".spm.model"))
def test_pieces_have_the_types_of_sentencepiece(vocab: Callable[[str], Path], name: str) -> None:
    reference = sentencepiece.SentencePieceProcessor(model_file=str(vocab(name)))
    read = formats.read(vocab(name))
    tokens = read.tokens()
    assert len(tokens) == reference.vocab_size()
    kinds = {entry["id"]: entry["special"] for entry in added_of(read)}
    for token_id in range(len(tokens)):
        piece = reference.id_to_piece(token_id)
        assert kinds.get(token_id, False) == reference.is_control(token_id)
        assert bool(read.kinds[token_id] & FALLBACK) == reference.is_byte(token_id)
        if reference.is_byte(token_id):
            assert tokens[token_id] == bytes([int(piece[3:5], 16)])
        elif not reference.is_unknown(token_id):
            assert tokens[token_id] == piece.replace("▁", " ").encode()


@pytest.mark.parametrize("name", named(".gguf"))
def test_gguf_tokens_are_those_of_the_gguf_package(vocab: Callable[[str], Path], name: str) -> None:
    fields = {k: f.contents() for k, f in GGUFReader(vocab(name)).fields.items()}
    texts = fields["tokenizer.ggml.tokens"]
    types = fields["tokenizer.ggml.token_type"]
    read = formats.read(vocab(name))
    tokens = read.tokens()
    byte_level = fields["tokenizer.ggml.model"] == "gpt2"
    assert len(tokens) == len(texts)
    for token_id, (text, kind) in enumerate(zip(texts, types, strict=True)):
        if kind == 1 and byte_level:
            assert tokens[token_id] == bytes(STAND_INS.index(c) for c in text)
        elif kind == 1:
            assert tokens[token_id] == text.replace("▁", " ").encode()
    if byte_level:
        named_merges = fields["tokenizer.ggml.merges"]
        rows = read.merge_rows().tolist()
        assert [f"{texts[a]} {texts[b]}" for a, b, _ in rows] == named_merges


def test_a_folder_of_two_files_equals_the_tokenizer_json(
    vocab: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "vocab.json").write_bytes(vocab("gpt2.vocab.json").read_bytes())
    (tmp_path / "merges.txt").write_bytes(vocab("gpt2.merges.txt").read_bytes())
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "<|endoftext|>"}')
    folder = formats.read(tmp_path)
    single = formats.read(vocab("gpt2.tokenizer.json"))
    for part in ("arena", "offsets", "kinds", "merges"):
        assert getattr(folder, part) == getattr(single, part)


def test_files_are_recognised_by_content(tmp_path: Path) -> None:
    wanted = {
        "hf": dumped(tokenizer_json()),
        "tekken": dumped(tekken(b"he")),
        "spm": spm_model(),
        "gguf": gguf(*gguf_keys()),
    }
    for data in wanted.values():
        assert written(tmp_path, data).vocab_size > 256
    assert written(tmp_path, ranks(b"he"), pattern="gpt2").vocab_size == 257


# Semantics, against the reference on small vocabularies


def texts(rng: random.Random, count: int) -> Iterator[str]:
    """Random texts over what the tiny vocabularies know, and around it."""
    parts = [
        *"helowrd",
        " ",
        "  ",
        "\n",
        "\t",
        "é",
        "日",
        "▁",
        "<x>",
        "123",
        "'s",
        "!",
        "hello",
        ",",
    ]
    for _ in range(count):
        yield "".join(rng.choices(parts, k=rng.randrange(12)))


def assert_same_ids(file: Path, *, count: int = 400, seed: int = 0) -> None:
    reference = tokenizers.Tokenizer.from_file(str(file))
    tok = bw.Tokenizer.load(file)
    for text in texts(random.Random(seed), count):
        expected = reference.encode(text, add_special_tokens=False).ids
        assert tok.encode(text, allowed_special="all") == expected, text


LEVEL: dict[str, Any] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
SPACES: dict[str, Any] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
META: dict[str, Any] = {"type": "Metaspace", "replacement": "▁"}


def sequence(kind: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", kind: list(steps)}


def pretokenizers(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"pre_tokenizer": sequence("pretokenizers", *steps)}


def split(pattern: dict[str, str], behavior: str, *, invert: bool = False) -> dict[str, Any]:
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


BYTE_LEVEL_PARTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "prefix space": {"pre_tokenizer": LEVEL | {"add_prefix_space": True}},
    "no regex": {"pre_tokenizer": LEVEL | {"use_regex": False}},
    "digits": pretokenizers({"type": "Digits", "individual_digits": True}, LEVEL),
    "digits on stand-ins": pretokenizers(LEVEL, {"type": "Digits", "individual_digits": False}),
    "punctuation": pretokenizers({"type": "Punctuation"}, LEVEL),
    "split removed": pretokenizers(split({"String": "l"}, "Removed"), LEVEL),
    "split inverted": pretokenizers(split({"Regex": "[a-z]+"}, "Removed", invert=True), LEVEL),
    "split next": pretokenizers(split({"Regex": "o$"}, "MergedWithNext"), LEVEL),
    "interval plus": pretokenizers(split({"Regex": r"\p{N}{1,2}+"}, "Isolated"), LEVEL),
    "delimiter": pretokenizers({"type": "CharDelimiterSplit", "delimiter": ","}, LEVEL),
    "whitespace": pretokenizers({"type": "Whitespace"}, LEVEL),
    "whitespace split": pretokenizers({"type": "WhitespaceSplit"}, LEVEL),
    "lowercase": {"normalizer": {"type": "Lowercase"}},
    "strip": {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": False}},
    "replace": {"normalizer": {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}},
    "prepend": {"normalizer": {"type": "Prepend", "prepend": "h"}},
    "byte level normalizer": {"normalizer": {"type": "ByteLevel"}, "pre_tokenizer": None},
    "added": {"added_tokens": [added(261, "<x>")]},
    "added lstrip": {"added_tokens": [added(261, "<x>", lstrip=True)]},
    "added rstrip": {"added_tokens": [added(261, "<x>", rstrip=True, special=False)]},
    "added word": {"added_tokens": [added(261, "ell", single_word=True, special=False)]},
    "added normalized": {
        "added_tokens": [added(261, "HE", normalized=True, special=False)],
        "normalizer": {"type": "Lowercase"},
    },
    "added in vocabulary": {"added_tokens": [added(256, "he", special=False)]},
    "added normalized, prefix space": {
        "added_tokens": [added(261, "<x>", normalized=True)],
        "pre_tokenizer": LEVEL | {"add_prefix_space": True},
    },
    "ignore merges": {"model": model(ignore_merges=True, merges=["h e"])},
    "merge twice": {"model": model(merges=["h e", "l l", "he ll", "hell o", "Ġ w", "h e"])},
    "old model": {"model": {k: model()[k] for k in ("vocab", "merges")}},
    "missing bytes": {"model": model(vocab={"h": 0, "e": 1, "he": 2, "Ġ": 3}, merges=["h e"])},
}


@pytest.mark.parametrize("name", BYTE_LEVEL_PARTS)
def test_byte_level_parts_mean_what_tokenizers_does(name: str, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(dumped(tokenizer_json(**BYTE_LEVEL_PARTS[name])))
    assert_same_ids(file)


METASPACE_PARTS: dict[str, dict[str, Any]] = {
    "first": {"pre_tokenizer": META | {"prepend_scheme": "first"}},
    "always": {"pre_tokenizer": META | {"prepend_scheme": "always"}},
    "never": {"pre_tokenizer": META | {"prepend_scheme": "never"}},
    "whole": {"pre_tokenizer": META | {"prepend_scheme": "first", "split": False}},
    "old setting": {"pre_tokenizer": META | {"add_prefix_space": True}},
    "after digits": pretokenizers(
        {"type": "Digits", "individual_digits": True}, META | {"prepend_scheme": "never"}
    ),
    "llama": {
        "normalizer": sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, SPACES),
        "pre_tokenizer": None,
    },
    "mirrored": {
        "normalizer": sequence("normalizers", SPACES, {"type": "Prepend", "prepend": "▁"}),
        "pre_tokenizer": split({"String": "▁"}, "MergedWithNext"),
    },
    "gemma": {
        "normalizer": SPACES,
        "pre_tokenizer": split({"String": " "}, "MergedWithPrevious"),
    },
    "added": {"added_tokens": [added(270, "<x>")]},
    "added normalized": {
        "added_tokens": [added(270, "<x>", normalized=True, special=False)],
        "normalizer": sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, SPACES),
        "pre_tokenizer": None,
    },
    "no fallback": {"model": metaspace_json()["model"] | {"byte_fallback": False}},
    "unk each": {"model": metaspace_json()["model"] | {"byte_fallback": False, "fuse_unk": False}},
    "no unk": {"model": metaspace_json()["model"] | {"byte_fallback": False, "unk_token": None}},
}


@pytest.mark.parametrize("name", METASPACE_PARTS)
def test_metaspace_parts_mean_what_tokenizers_does(name: str, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(dumped(metaspace_json(**METASPACE_PARTS[name])))
    assert_same_ids(file)


def test_templates_are_what_tokenizers_adds(tmp_path: Path) -> None:
    processor = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<x>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "<y>", "type_id": 0}},
        ],
        "pair": [],
        "special_tokens": {
            "<x>": {"id": "<x>", "ids": [261], "tokens": ["<x>"]},
            "<y>": {"id": "<y>", "ids": [262], "tokens": ["<y>"]},
        },
    }
    both = [added(261, "<x>"), added(262, "<y>")]
    root = tokenizer_json(
        added_tokens=both, post_processor=sequence("processors", LEVEL, processor)
    )
    read = written(tmp_path, dumped(root))
    assert read.rules()["template"] == {"prefix": [261], "suffix": [262]}
    reference = tokenizers.Tokenizer.from_buffer(dumped(root))
    assert reference.encode("he").ids == [261, 256, 262]


def read_by_python(root: dict[str, Any]) -> Definition:
    return hf.read(parse_json(dumped(root), where="file"))


def models(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Models with something odd in the vocabulary or the merges, and some with nothing."""
    whole = tokenizer_json()["model"]
    pairs = [merge.split(" ") for merge in whole["merges"]]
    yield whole
    yield whole | {"merges": pairs}
    yield whole | {"merges": []}
    yield whole | {"merges": ["#version: 0.2", *whole["merges"], whole["merges"][0]]}
    yield whole | {"merges": [["#version", "0.2"], *pairs]}
    yield whole | {"vocab": dict(sorted(whole["vocab"].items(), key=lambda _: rng.random()))}
    yield whole | {"vocab": {text: 3 * i + 1 for text, i in whole["vocab"].items()}}
    yield whole | {"vocab": whole["vocab"] | {"a b": 300, "": 301, "é\n\\": 302, "🙂": 303}}
    odd: list[Any] = [
        "a",
        "a  b",
        "a b c",
        "a 🙂",
        ["a"],
        ["a", "b", "c"],
        ["a", 1],
        None,
        7,
        "",
        "#",
    ]
    for merge in odd:
        yield whole | {"merges": [*whole["merges"], merge]}
        yield whole | {"merges": [*pairs, merge]}
    for token_id in (-1, 0, 1.0, True, None, "0", 1 << 21, (1 << 21) - 1, 1 << 64):
        yield whole | {"vocab": whole["vocab"] | {"new": token_id}}
    yield whole | {"vocab": whole["vocab"] | {"a" * (1 << 16): 400}}
    yield whole | {"vocab": whole["vocab"] | {"é" * (1 << 16): 400}}


def test_the_core_and_python_read_the_same_models() -> None:
    plain = 0
    for parts in models(random.Random(4)):
        root = tokenizer_json(model=parts)
        found = hf.parse_plain(dumped(root), where="file")
        if found is None:
            continue
        plain += 1
        assert hf.read(found.root, plain=found) == read_by_python(root)
    assert plain >= 8


PIECE_SETS: dict[str, dict[str, Any]] = {
    "plain": {},
    "extra spaces": {"normalizer": ((4, 1),)},
    "no prefix": {"normalizer": ((3, 0), (4, 0))},
    "unescaped": {"normalizer": ((4, 0), (5, 0))},
    "user-defined": {"pieces": [*PIECES, ("<x>", 0.0, 4), ("lo▁w", 0.0, 4)]},
    "runs of spaces": {
        "pieces": [*PIECES, *(("▁" * n, -1e9, 1) for n in (2, 4, 3, 5, 6, 8, 9, 12))]
    },
    "runs of doubled spaces": {"pieces": [*PIECES, *(("▁" * n, -1e9, 1) for n in (2, 4, 8))]},
    "runs with a gap": {"pieces": [*PIECES, *(("▁" * n, -1e9, 1) for n in (2, 5, 7))]},
    "unused, not reached": {"pieces": [*PIECES, ("owr", -1.5, 5)]},
    "no fallback": {
        "pieces": [piece for piece in PIECES if piece[2] != 6],
        "trainer": ((3, 2),),
    },
}


@pytest.mark.parametrize("name", PIECE_SETS)
def test_pieces_mean_what_sentencepiece_does(name: str, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(spm_model(**PIECE_SETS[name]))
    reference = sentencepiece.SentencePieceProcessor(model_file=str(file))
    tok = bw.Tokenizer.load(file)
    rng = random.Random(1)
    runs = [" " * n + tail for n in range(30) for tail in ("", "h", "hello  w")]
    for text in [*texts(rng, 600), *runs]:
        ids = reference.encode(text)
        assert tok.encode(text) == ids, text
        # With remove_extra_whitespaces, decoding also drops a U+2581 that stood in the text.
        if "▁" not in text:
            assert tok.decode(ids) == reference.decode(ids), text


def test_equal_scores_and_other_model_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(bw.UnsupportedError, match="same score"):
        written(tmp_path, spm_model([*PIECES, ("wo", -1.0, 1)]))
    with pytest.raises(bw.UnsupportedError, match="UNIGRAM"):
        written(tmp_path, spm_model(trainer=((3, 1), (35, 1))))


def test_character_maps_are_sentencepieces_and_not_those_of_tokenizers(tmp_path: Path) -> None:
    cases = Path(__file__).parent / "data/normalizers.json"
    found = re.search(r'"type":"charsmap","base64":"([^"]+)"', cases.read_text())
    assert found
    rules = tokenizers.normalizers.Precompiled(base64.b64decode(found[1]))
    # The map has a rule for "a" alone, and the accent stands beside what that makes.
    assert rules.normalize_str("a\u0301") == "1"
    precompiled = {"type": "Precompiled", "precompiled_charsmap": found[1]}
    with pytest.raises(bw.UnsupportedError, match="precompiled_charsmap: tokenizers applies"):
        written(tmp_path, dumped(metaspace_json(normalizer=precompiled)))
    file = tmp_path / "tokenizer.model"
    file.write_bytes(spm_model(normalizer=((2, base64.b64decode(found[1])),)))
    tok = bw.Tokenizer.load(file)
    reference = sentencepiece.SentencePieceProcessor(model_file=str(file))
    assert tok.encode("a\u0301") == reference.encode("a\u0301")
    with pytest.raises(bw.UnsupportedError, match="a character map, which tokenizers applies"):
        tok.save(tmp_path / "tokenizer.json")


# Writing

REWRITTEN = [*named(".tokenizer.json", ".tiktoken", ".gguf"), *named("v1.spm.model")]


def load_reference(vocab: Callable[[str], Path], name: str) -> bw.Tokenizer:
    arguments = {"pattern": "llama3"} if "torchtune-tiktoken" in name else {}
    return bw.Tokenizer.load(vocab(name), **arguments)


def hard_texts(rng: random.Random, tok: bw.Tokenizer, count: int) -> Iterator[str]:
    """Random text around what is hard: spaces, digits, scripts, marks and added tokens."""
    contents = list(tok.special_tokens)
    pools = [
        " \t\n\r\u00a0",
        "0123456789٣",
        "aeTHIsß'",
        "日本語テ",
        "e\u0301n\u0303",
        "🙂👍🏽",
        ".,!?-/",
    ]
    for _ in range(count):
        parts = []
        for _ in range(rng.randrange(1, 10)):
            if contents and rng.random() < 0.15:
                parts.append(rng.choice(contents))
            else:
                parts.append("".join(rng.choices(rng.choice(pools), k=rng.randrange(1, 5))))
        yield "".join(parts)


@pytest.mark.parametrize("name", REWRITTEN)
def test_a_written_tokenizer_json_behaves_the_same_in_tokenizers(
    vocab: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    tok = load_reference(vocab, name)
    file = tmp_path / "tokenizer.json"
    tok.save(file)
    reference = tokenizers.Tokenizer.from_file(str(file))
    again = bw.Tokenizer.load(file)
    for text in hard_texts(random.Random(2), tok, 300):
        ids = tok.encode(text, allowed_special="all")
        assert reference.encode(text, add_special_tokens=False).ids == ids, text
        assert again.encode(text, allowed_special="all") == ids, text
        assert again.encode(text) == tok.encode(text), text
        assert again.decode_bytes(ids) == tok.decode_bytes(ids), text


@pytest.mark.parametrize("changes", [((3, 0), (4, 0)), ((3, 0), (4, 0), (5, 0))])
def test_written_user_defined_pieces_behave_the_same_in_tokenizers(
    changes: tuple[tuple[int, int], ...], tmp_path: Path
) -> None:
    space = " " if len(changes) == 3 else "▁"
    defined = [("<x>", 0.0, 4), (f"lo{space}w", 0.0, 4), (f"{space}h", 0.0, 4)]
    file = tmp_path / "tokenizer.model"
    file.write_bytes(spm_model(pieces=[*PIECES, *defined], normalizer=changes))
    tok = bw.Tokenizer.load(file)
    tok.save(tmp_path / "tokenizer.json")
    reference = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    again = bw.Tokenizer.load(tmp_path / "tokenizer.json")
    rng = random.Random(3)
    pool = ["<x>", f"lo{space}w", " h", "lo", "w", " ", "▁", "hello", "é"]
    for _ in range(500):
        text = "".join(rng.choices(pool, k=rng.randrange(1, 9)))
        ids = tok.encode(text)
        assert reference.encode(text, add_special_tokens=False).ids == ids, text
        assert again.encode(text) == ids, text


def test_user_defined_pieces_after_a_space_cannot_be_written(
    vocab: Callable[[str], Path], tmp_path: Path
) -> None:
    tok = bw.Tokenizer.load(vocab("mistral-v3.spm.model"))
    with pytest.raises(bw.UnsupportedError, match="user-defined piece"):
        tok.save(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("name", [*named(".tiktoken"), "tekken_240718.json"])
def test_written_ranks_behave_the_same_in_tiktoken(
    vocab: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    tok = load_reference(vocab, name)
    file = tmp_path / "written.tiktoken"
    tok.save(file)
    if name.endswith(".tiktoken"):
        assert file.read_bytes() == vocab(name).read_bytes().rstrip(b"\n") + b"\n"
    regex = formats.pattern_steps(tok.pattern or "")[0]["regex"]
    reference = tiktoken.Encoding(
        name="written",
        pat_str=str(regex),
        mergeable_ranks=tiktoken.load.load_tiktoken_bpe(str(file)),
        special_tokens=dict(tok.special_tokens),
    )
    for text in hard_texts(random.Random(3), tok, 300):
        ids = reference.encode(text, allowed_special="all")
        assert tok.encode(text, allowed_special="all") == ids, text


@pytest.mark.parametrize("name", ["gpt2.tokenizer.json", "olmo-neox-dolma-v1_5.tokenizer.json"])
def test_ranks_that_are_no_merge_order_are_refused(
    vocab: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    tok = bw.Tokenizer.load(vocab(name))
    if name.startswith("gpt2"):
        tok.save(tmp_path / "x.tiktoken")
        return
    with pytest.raises(bw.UnsupportedError, match="tiktoken ranks cannot say"):
        tok.save(tmp_path / "x.tiktoken")
    assert not list(tmp_path.iterdir())


def test_saving_leaves_no_half_file(tmp_path: Path) -> None:
    tok = bw.Tokenizer.from_merges([(b"a", b"b")])
    with pytest.raises(bw.ArgumentError, match=r"only \.json and \.tiktoken"):
        tok.save(tmp_path / "x.model")
    with pytest.raises(bw.ArgumentError):
        tok.save(tmp_path / "nowhere" / "x.json")
    tok.save(tmp_path / "x.json")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


# Parts


def test_stand_ins_are_those_of_tokenizers() -> None:
    assert sorted(STAND_INS) == sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    assert sorted(range(256), key=lambda b: STAND_INS[b]) == list(GPT2_BYTE_ORDER)
    every = bytes(range(256))
    assert from_stand_ins([to_stand_ins(every)]) == ([every], set())
    assert from_stand_ins([]) == ([], set())
    assert from_stand_ins(["", "Ġ", "", "日Ġ"]) == ([b"", b" ", b"", "日Ġ".encode()], {3})


ONIGURUMA = [
    r"\p{N}{1,3}+", r"o$", r"^h", r"\h+", r"(?m).+", r"(?i:'s|'t)", r"\s+(?!\S)|\s+", r"l{,2}h",
    r"[^\r\n\p{L}]?+\p{L}++", r"(?:he|l{2}+o)", r"[\h ]+", "[\r\n]", r"a{", r"(?>l+)o", "[]l]",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ONIGURUMA)
def test_patterns_mean_in_the_core_what_they_mean_in_oniguruma(
    pattern: str, tmp_path: Path
) -> None:
    file = tmp_path / "tokenizer.json"
    level = LEVEL | {"use_regex": False}
    chars = {c: i for i, c in enumerate(STAND_INS)}
    file.write_bytes(
        dumped(
            tokenizer_json(
                model=model(vocab=chars, merges=[]),
                **pretokenizers(split({"Regex": pattern}, "Isolated"), level),
            )
        )
    )
    reference = tokenizers.Tokenizer.from_file(str(file))
    tok = bw.Tokenizer.load(file)
    for text in texts(random.Random(4), 300):
        pieces = [span for _, span in reference.pre_tokenizer.pre_tokenize_str(text)]
        starts = np.cumsum([0, *(len(c.encode()) for c in text)])
        expected = [(int(starts[a]), int(starts[b])) for a, b in pieces]
        found = [tuple(row) for row in np.asarray(tok._core.pieces(text)).reshape(-1, 2).tolist()]
        assert sorted(set(found)) == sorted(set(expected)), text


@pytest.mark.parametrize(
    "pattern",
    [r"(a)\1", r"(?i:ss)", "[[:alpha:]]", r"\G", "(?x) a", "[a--b]", r"\p{^L}", "[a", "\\", r"\Z"],
)
def test_what_the_two_syntaxes_read_differently_is_refused(pattern: str) -> None:
    with pytest.raises(DialectError):
        from_oniguruma(pattern)


def test_patterns_survive_the_way_to_oniguruma_and_back() -> None:
    for name in formats.pattern_names():
        for step in formats.pattern_steps(name):
            if "regex" in step:
                tokenizers.Regex(to_oniguruma(str(step["regex"])))


def test_the_fingerprint_tells_behaviour_and_nothing_else(tmp_path: Path) -> None:
    plain = written(tmp_path, dumped(tokenizer_json()))
    spaced = written(tmp_path, json.dumps(tokenizer_json(), indent=4).encode())
    other = written(tmp_path, dumped(tokenizer_json(normalizer={"type": "NFC"})))
    assert plain.fingerprint == spaced.fingerprint != other.fingerprint
    rules = plain.rules()
    renamed = definition.build(
        plain.tokens(), kinds=plain.kinds, merges=plain.merges, header=rules | {"pattern": "x"}
    )
    assert renamed.fingerprint == plain.fingerprint


def test_special_tokens_of_the_vocabulary_are_no_whole_pieces(tmp_path: Path) -> None:
    vocabulary = model()["vocab"] | {"<x>": 261}
    root = tokenizer_json(
        added_tokens=[added(261, "<x>")],
        model=model(vocab=vocabulary, ignore_merges=True),
        pre_tokenizer=LEVEL | {"use_regex": False},
    )
    file = tmp_path / "tokenizer.json"
    file.write_bytes(dumped(root))
    tok = bw.Tokenizer.load(file)
    assert tok.encode("<x>", allowed_special="all") == [261]
    assert 261 not in tok.encode("<x>")


def test_kinds_say_what_text_can_become(tmp_path: Path) -> None:
    vocabulary = model()["vocab"] | {"日": 261}
    read = written(tmp_path, dumped(tokenizer_json(model=model(vocab=vocabulary))))
    assert read.kinds[261] == DECODE_ONLY
    assert read.tokens()[261] == "日".encode()
    assert read.kinds[256] == MODEL
