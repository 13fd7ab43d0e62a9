"""What the parts of a format mean: the ids that the references give on small vocabularies."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex  # type: ignore[import-untyped]
import sentencepiece
import tokenizers
from test_formats import written
from tiny_vocabularies import (
    PIECES,
    added,
    dumped,
    metaspace_json,
    model,
    tokenizer_json,
)
from tiny_vocabularies import (
    sentencepiece as spm_model,
)

import bytewright as bw
from bytewright import definition, formats
from bytewright.definition import DECODE_ONLY, MODEL, Definition
from bytewright.formats import hf
from bytewright.formats.byte_level import GPT2_BYTE_ORDER, STAND_INS, from_stand_ins, to_stand_ins
from bytewright.formats.fields import parse_json
from bytewright.formats.oniguruma import DialectError, from_oniguruma, to_oniguruma


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


def test_digits_of_other_scripts_are_no_digits_in_stand_ins(tmp_path: Path) -> None:
    digits = pretokenizers(LEVEL, split({"Regex": r"\d"}, "Isolated"))
    merges = ["Ù £", "Ù£ Ù£", "1 1"]
    vocab = model()["vocab"] | {pair.replace(" ", ""): 500 + n for n, pair in enumerate(merges)}
    file = tmp_path / "tokenizer.json"
    root = tokenizer_json(**digits, model=model(vocab=vocab, merges=merges))
    file.write_bytes(dumped(root))
    reference = tokenizers.Tokenizer.from_file(str(file))
    expected = reference.encode("٣٣ 11", add_special_tokens=False).ids
    assert expected[0] == vocab["Ù£Ù£"]
    assert vocab["11"] not in expected
    assert bw.Tokenizer.load(file).encode("٣٣ 11") == expected


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
CL100K = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|{}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"
GROUPED = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"
FROM_THE_RIGHT = [
    r"(?=(\d{3})+(?!\d))", r"(?=(?:[0-9][0-9][0-9])+(?![0-9]))", r"\B(?=(\d{3})+\b)",
    GROUPED, r"\d{1,3}(?=(\d{3})*(?:\D|$))", CL100K.replace("{}", GROUPED), f" ?{GROUPED}|[a-z ]+",
]  # fmt: skip
"""Groups of digits from the right, as patterns of one step write them."""


def pieces_of_both(file: Path, *steps: dict[str, Any]) -> tuple[bw.Tokenizer, Any]:
    """A tokenizer without merges, and the pieces by bytes that the reference makes of a text."""
    chars = {c: i for i, c in enumerate(STAND_INS)}
    parts = pretokenizers(*steps, LEVEL | {"use_regex": False})
    file.write_bytes(dumped(tokenizer_json(model=model(vocab=chars, merges=[]), **parts)))
    reference = tokenizers.Tokenizer.from_file(str(file))

    def expected(text: str) -> list[tuple[int, int]]:
        pieces = [span for _, span in reference.pre_tokenizer.pre_tokenize_str(text)]
        starts = np.cumsum([0, *(len(c.encode()) for c in text)])
        return sorted({(int(starts[a]), int(starts[b])) for a, b in pieces})

    return bw.Tokenizer.load(file), expected


def pieces_of(tok: bw.Tokenizer, text: str) -> list[tuple[int, int]]:
    found = np.asarray(tok._core.pieces(text)).reshape(-1, 2).tolist()
    return sorted({(start, end) for start, end in found})


@pytest.mark.parametrize("pattern", ONIGURUMA)
def test_patterns_mean_in_the_core_what_they_mean_in_oniguruma(
    pattern: str, tmp_path: Path
) -> None:
    tok, expected = pieces_of_both(
        tmp_path / "tokenizer.json", split({"Regex": pattern}, "Isolated")
    )
    for text in texts(random.Random(4), 300):
        assert pieces_of(tok, text) == expected(text), text


@pytest.mark.parametrize("pattern", FROM_THE_RIGHT)
def test_digits_from_the_right_are_those_of_tokenizers(pattern: str, tmp_path: Path) -> None:
    rng, file = random.Random(7), tmp_path / "tokenizer.json"
    step = split({"Regex": pattern}, "Isolated")
    inside = split({"Regex": r" ?\d+| ?\p{L}+"}, "Isolated")
    for steps in ([step], [sequence("pretokenizers", step), inside], [inside, step]):
        tok, expected = pieces_of_both(file, *steps)
        tok.save(tmp_path / "again.json")
        again = bw.Tokenizer.load(tmp_path / "again.json")
        assert again.fingerprint == tok.fingerprint
        for _ in range(150):
            text = "".join(rng.choices("0123456789" * 3 + "٣½ab .,_é\n", k=rng.randrange(24)))
            assert pieces_of(tok, text) == expected(text), text
            stream, ids = tok.stream_encoder(), []
            for character in text:
                ids += stream.push(character.encode()).tolist()
            assert ids + stream.finish().tolist() == tok.encode(text)
    for behavior in ("Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        if not pattern.startswith(("(?=", r"\B")):
            with pytest.raises(bw.PatternError, match="look-ahead at more than one character"):
                pieces_of_both(file, split({"Regex": pattern}, behavior))
            continue
        tok, expected = pieces_of_both(file, split({"Regex": pattern}, behavior))
        for text in ("12345", "a1234b", "123456", "1 1234"):
            assert pieces_of(tok, text) == expected(text), (text, behavior)


@pytest.mark.parametrize("pattern", FROM_THE_RIGHT)
def test_digits_from_the_right_are_those_of_regex(pattern: str) -> None:
    rng, tok = random.Random(8), bw.Tokenizer.from_merges([], pattern=pattern)
    compiled = regex.compile(pattern.replace(r"\d", "[0-9]").replace(r"\D", "[^0-9]"))
    for _ in range(300):
        text = "".join(rng.choices("0123456789" * 3 + "ab .,_\n", k=rng.randrange(24)))
        cuts = {at for match in compiled.finditer(text) for at in match.span()}
        cuts |= {0, len(text)}
        if "$" in pattern and text.endswith("\n"):
            continue  # There, `$` holds before it in one, not in the other.
        assert {at for piece in pieces_of(tok, text) for at in piece} | {0} == cuts, text


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
