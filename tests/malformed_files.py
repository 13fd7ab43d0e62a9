"""Broken and hostile vocabulary files."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tiny_vocabularies import (
    PIECES,
    added,
    dumped,
    gguf,
    gguf_keys,
    gguf_string,
    message,
    metaspace_json,
    model,
    ranks,
    sentencepiece,
    tekken,
    tokenizer_json,
)

Case = tuple[str, bytes, dict[str, Any]]


def truncations() -> Iterator[Case]:
    """Every format, cut at many places."""
    wholes = {
        "hf": dumped(tokenizer_json()),
        "metaspace": dumped(metaspace_json()),
        "tekken": dumped(tekken(b"he")),
        "spm": sentencepiece(),
        "gguf": gguf(*gguf_keys()),
        "ranks": ranks(),
    }
    for name, whole in wholes.items():
        for percent in (*range(0, 100, 8), 99):
            cut = len(whole) * percent // 100
            yield (
                f"{name} cut at {percent} %",
                whole[:cut],
                {"pattern": "."} if name == "ranks" else {},
            )


def hf_parts() -> Iterator[tuple[str, object]]:
    """tokenizer.json files, each with one thing wrong."""
    level = tokenizer_json()["pre_tokenizer"]
    bad_models: dict[str, Any] = {
        "no model": None,
        "a list": [],
        "a string": "BPE",
        "WordPiece": {"type": "WordPiece", "vocab": {}},
        "Unigram": {"type": "Unigram", "vocab": [["a", 0.0]]},
        "Unigram without type": {"vocab": [["a", 0.0]]},
        "no vocab": {"type": "BPE", "merges": []},
        "no merges": {"type": "BPE", "vocab": {}},
        "vocab a list": model(vocab=[]),
        "negative id": model(vocab={"a": -1}, merges=[]),
        "huge id": model(vocab={"a": 2**32 - 1}, merges=[]),
        "id of 2^64": model(vocab={"a": 2**64}, merges=[]),
        "id just too large": model(vocab={"a": 2**21}, merges=[]),
        "id a string": model(vocab={"a": "0"}, merges=[]),
        "id a float": model(vocab={"a": 0.5}, merges=[]),
        "id true": model(vocab={"a": True}, merges=[]),
        "id null": model(vocab={"a": None}, merges=[]),
        "id twice": model(vocab={"a": 0, "b": 0}, merges=[]),
        "token of 100 kB": model(vocab={"a" * 100_000: 0}, merges=[]),
        "unknown left": model(merges=["zz h"]),
        "unknown right": model(merges=["h zz"]),
        "unknown product": model(merges=["h l"]),
        "merge of one": model(merges=["he"]),
        "merge of three": model(merges=["h e l"]),
        "merge empty": model(merges=[""]),
        "merge of one in a list": model(merges=[["h"]]),
        "merge of numbers": model(merges=[[1, 2]]),
        "merge null": model(merges=[None]),
        "merges mixed": model(merges=["h e", ["l", "l"]]),
        "merges an object": model(merges={"h": "e"}),
        "dropout": model(dropout=0.1),
        "dropout a string": model(dropout="no"),
        "prefix": model(continuing_subword_prefix="##"),
        "suffix a number": model(end_of_word_suffix=1),
        "suffix and ignore_merges": model(end_of_word_suffix="</w>", ignore_merges=True),
        "unknown unk": model(unk_token="<nothing>"),
        "unk a number": model(unk_token=0),
        "fuse_unk a string": model(fuse_unk="yes"),
        "byte_fallback a number": model(byte_fallback=1),
    }
    for name, bad in bad_models.items():
        yield f"model: {name}", tokenizer_json(model=bad)
    bad_splits: dict[str, Any] = {
        "unbalanced": {"Regex": "("},
        "nothing to repeat": {"Regex": "*a"},
        "back reference": {"Regex": r"(a)\1"},
        "unknown property": {"Regex": r"\p{Nonsense}"},
        "open set": {"Regex": "[a"},
        "huge repeat": {"Regex": "(?:(?:a{1000}){1000}){1000}"},
        "deep groups": {"Regex": "(" * 50_000 + ")" * 50_000},
        "absent operator": {"Regex": "(?~ab)"},
        "a number": {"Regex": 1},
        "no kind": {},
        "two kinds": {"Regex": "a", "String": "a"},
        "empty string": {"String": ""},
        "a string": "a",
    }
    for name, pattern in bad_splits.items():
        split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
        yield (
            f"split: {name}",
            tokenizer_json(
                pre_tokenizer={
                    "type": "Sequence",
                    "pretokenizers": [split, level | {"use_regex": False}],
                }
            ),
        )
    space = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    bad_parts: dict[str, dict[str, Any]] = {
        "unknown normalizer": {"normalizer": {"type": "Bert"}},
        "normalizer a string": {"normalizer": "NFC"},
        "normalizer without type": {"normalizer": {}},
        "normalizer sequence null": {"normalizer": {"type": "Sequence", "normalizers": None}},
        "broken character map": {
            "normalizer": {"type": "Precompiled", "precompiled_charsmap": "!!!"}
        },
        "short character map": {
            "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
        },
        "UnicodeScripts": {"pre_tokenizer": {"type": "UnicodeScripts"}},
        "behavior": {
            "pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "Split"}
        },
        "no add_prefix_space": {"pre_tokenizer": {"type": "ByteLevel"}},
        "use_regex a number": {"pre_tokenizer": level | {"use_regex": 1}},
        "ByteLevel twice": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [level, level]}},
        "prefix space second": {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Digits", "individual_digits": True},
                    level | {"add_prefix_space": True},
                ],
            }
        },
        "unknown decoder": {"decoder": {"type": "CTC"}},
        "decoder strips": {"decoder": {"type": "Strip", "content": "x", "start": 3, "stop": 1}},
        "unknown processor": {"post_processor": {"type": "Nonsense"}},
        "template of two": {
            "post_processor": {"type": "TemplateProcessing", "single": [], "special_tokens": {}}
        },
        "template of unknown": {
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}],
                "special_tokens": {},
            }
        },
        "roberta id": {"post_processor": {"type": "RobertaProcessing", "cls": ["a"], "sep": 1}},
        "roberta huge id": {
            "post_processor": {"type": "RobertaProcessing", "cls": ["a", 10**9], "sep": ["a", 0]}
        },
        "added a string": {"added_tokens": "x"},
        "added without id": {"added_tokens": [{"content": "x"}]},
        "added huge id": {"added_tokens": [added(2**40, "x")]},
        "added negative id": {"added_tokens": [added(-1, "xx")]},
        "added other id": {"added_tokens": [added(9999, "xx")]},
        "added twice": {"added_tokens": [added(261, "xx"), added(261, "xx")]},
        "added number": {"added_tokens": [added(261, 5)]},
        "added flag": {"added_tokens": [added(261, "xx", special="yes")]},
        "added long": {"added_tokens": [added(261, "x" * 100_000)]},
    }
    for name, parts in bad_parts.items():
        yield f"part: {name}", tokenizer_json(**parts)
    meta = metaspace_json()["pre_tokenizer"]
    bad_spaces: dict[str, dict[str, Any]] = {
        "replacement": {"pre_tokenizer": meta | {"replacement": "_"}},
        "scheme": {"pre_tokenizer": meta | {"prepend_scheme": "sometimes"}},
        "NFKC after": {
            "normalizer": {"type": "Sequence", "normalizers": [space, {"type": "NFKC"}]}
        },
        "partial fallback": {
            "model": metaspace_json()["model"] | {"vocab": {"<unk>": 0, "<0x00>": 1}, "merges": []}
        },
    }
    for name, parts in bad_spaces.items():
        yield f"metaspace: {name}", metaspace_json(**parts)


def json_texts() -> Iterator[Case]:
    """JSON that is none, or not of a vocabulary."""
    texts = {
        "nested lists": b"[" * 200_000,
        "nested objects": b'{"a":' * 200_000,
        "nested and closed": b'{"model":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        "nested sequences": dumped(tokenizer_json()).replace(
            b'"normalizer": null',
            b'"normalizer": ' + b'{"type":"Sequence","normalizers":[' * 50_000 + b"]}" * 50_000,
        ),
        "NaN": b'{"model": NaN}',
        "a digit string of 10000": b'{"model": ' + b"9" * 10_000 + b"}",
        "half a surrogate": rb'{"model": {"type": "BPE", "vocab": {"\ud800": 0}, "merges": []}}',
        "not UTF-8": b'{"model": "\xff\xfe"}',
        "UTF-16": '{"model": {}}'.encode("utf-16"),
        "a list": b"[]",
        "an empty object": b"{}",
        "other keys": b'{"a": 1}',
        "two documents": b"{}{}",
        "comments": b"{} // no",
    }
    for name, text in texts.items():
        yield f"json: {name}", text, {}


def rank_files() -> Iterator[Case]:
    """tiktoken ranks with one line wrong."""
    lines = {
        "no rank": b"YWI=",
        "rank twice": b"YWI= 0",
        "token twice": b"AA== 256",
        "negative": b"YWI= -1",
        "huge": b"YWI= 4294967295",
        "enormous": b"YWI= " + b"9" * 1000,
        "just too large": b"YWI= 2097151",
        "a word": b"YWI= one",
        "no padding": b"YWI 256",
        "bad letter": b"Y!I= 256",
        "padding inside": b"Y=I= 256",
        "three signs": b"Y=== 256",
        "unused bits": b"YR== 256",
        "not ASCII": b"Y\xc3\xa9I= 256",
        "NUL": b"YW\x00= 256",
        "three columns": b"YWI= 256 257",
        "token of 100 kB": b"A" * 133_336 + b" 256",
    }
    for name, line in lines.items():
        yield f"ranks: {name}", ranks() + line + b"\n", {"pattern": "."}
    yield "ranks: a byte is missing", ranks().replace(b"QQ== 65\n", b""), {"pattern": "."}
    yield "ranks: no pattern", ranks(), {}
    for name, pattern in {
        "empty": "",
        "unknown": "c1100k",
        "broken": "(",
        "back reference": r"(a)\1",
    }.items():
        yield f"ranks: pattern {name}", ranks(), {"pattern": pattern}
    specials: dict[str, Any] = {
        "taken": {"<a>": 0},
        "negative": {"<a>": -1},
        "huge": {"<a>": 2**31},
        "one string": "<a>",
        "empty": [""],
        "twice": ["<a>", "<a>"],
        "same id": {"<a>": 256, "<b>": 256},
        "a number": [1],
    }
    for name, value in specials.items():
        yield f"ranks: special token {name}", ranks(), {"pattern": ".", "special_tokens": value}


def tekken_files() -> Iterator[Case]:
    """tekken.json files with one thing wrong."""
    configs: dict[str, dict[str, Any]] = {
        "more specials than ids": {"default_num_special_tokens": 10**6},
        "more ids than ranks": {"default_vocab_size": 10**6},
        "negative": {"default_vocab_size": -1},
        "pattern a number": {"pattern": 1},
        "pattern broken": {"pattern": "("},
        "size a string": {"default_vocab_size": "276"},
    }
    for name, config in configs.items():
        yield f"tekken: {name}", dumped(tekken(**config)), {}
    for name, entry in {
        "null": None,
        "no rank": {"token_bytes": "YWI="},
        "rank out of place": {"rank": 0, "token_bytes": "YWI="},
        "rank a string": {"rank": "256", "token_bytes": "YWI="},
        "bytes null": {"rank": 256, "token_bytes": None},
        "bytes not Base64": {"rank": 256, "token_bytes": "?"},
        "bytes with a line": {"rank": 256, "token_bytes": "YWI= 9\nYWM="},
        "token twice": {"rank": 256, "token_bytes": "AA=="},
    }.items():
        root = tekken(default_vocab_size=277)
        root["vocab"].append(entry)
        yield f"tekken: entry {name}", dumped(root), {}
    for name, special in {
        "not a list": {},
        "rank too large": [{"rank": 20, "token_str": "<a>"}],
        "rank twice": [{"rank": 0, "token_str": "<a>"}, {"rank": 0, "token_str": "<b>"}],
        "text twice": [{"rank": 0, "token_str": "<a>"}, {"rank": 1, "token_str": "<a>"}],
        "no text": [{"rank": 0}],
    }.items():
        yield f"tekken: special {name}", dumped(tekken() | {"special_tokens": special}), {}


def sentencepiece_files() -> Iterator[Case]:
    """SentencePiece models with one thing wrong."""
    wrong_pieces = {
        "empty": ("", -1.0, 1),
        "twice": ("he", -1.0, 1),
        "type 0": ("x", -1.0, 0),
        "type 9": ("x", -1.0, 9),
        "not a number": ("x", float("nan"), 1),
        "second unknown": ("<unk2>", 0.0, 2),
        "byte that is none": ("<0x-1>", 0.0, 6),
        "character missing": ("hé", -1.5, 1),
        "equal scores": ("wo", -1.0, 1),
        "unused but reached": ("wo", -1.5, 5),
        "of 100 kB": ("h" * 100_000, -1.5, 1),
    }
    for name, piece in wrong_pieces.items():
        yield f"spm: piece {name}", sentencepiece([*PIECES, piece]), {}
    yield "spm: no pieces", message((2, message((3, 2)))), {}
    yield "spm: a byte is missing", sentencepiece([p for p in PIECES if p[0] != "<0x41>"]), {}
    yield "spm: no unknown", sentencepiece(PIECES[1:]), {}
    for kind in (1, 3, 4, 77):
        yield f"spm: model type {kind}", sentencepiece(trainer=((3, kind), (35, 1))), {}
    yield "spm: space as suffix", sentencepiece(trainer=((3, 2), (24, 1), (35, 1))), {}
    yield "spm: no fallback, yet bytes", sentencepiece(trainer=((3, 2),)), {}
    yield "spm: character map", sentencepiece(normalizer=((2, b"\xff\xff\xff\x7fxx"),)), {}
    yield "spm: tiny character map", sentencepiece(normalizer=((2, b"a"),)), {}
    raw = {
        "piece a number": message((1, 5)),
        "trainer a number": message((1, message((1, "a"))), (2, 5)),
        "text a number": message((1, message((1, 5)))),
        "score a number": message((1, message((1, "a"), (2, 5)))),
        "not UTF-8": message((1, message((1, b"\xff")))),
        "field 0": b"\x0a\x02\x00\x00",
        "group": b"\x0a\x02\x0b\x0c",
        "length of 2^63": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        "endless varint": b"\x0a" + b"\xff" * 20,
        "length 2 GB": b"\x0a\x80\x80\x80\x80\x08a",
    }
    for name, data in raw.items():
        yield f"spm: {name}", data, {}


def gguf_files() -> Iterator[Case]:
    """GGUF headers with one thing wrong."""
    whole = gguf(*gguf_keys())
    edits: dict[str, bytes] = {
        "version 1": gguf(*gguf_keys(), version=1),
        "version 99": gguf(*gguf_keys(), version=99),
        "big endian": b"GGUF" + b"\x00\x00\x00\x03" + whole[8:],
        "2^64 keys": whole[:16] + b"\xff" * 8 + whole[24:],
        "2^64 tensors, no keys": whole[:8] + b"\xff" * 8 + b"\0" * 8,
        "key of 2^63": whole[:24] + b"\xff" * 7 + b"\x7f" + whole[32:],
        "unknown type": whole[:24] + gguf_string("a") + b"\x63\0\0\0" + whole[24:],
        "key not UTF-8": whole[:24] + gguf_string(b"\xff") + b"\x04\0\0\0" + whole[24:],
        "array of 2^62 strings": whole[:24]
        + gguf_string("tokenizer.ggml.x")
        + b"\x09\0\0\0\x08\0\0\0"
        + (2**62).to_bytes(8, "little"),
        "array of 2^40 numbers": whole[:24]
        + gguf_string("tokenizer.ggml.x")
        + b"\x09\0\0\0\x04\0\0\0"
        + (2**40).to_bytes(8, "little"),
        "array of arrays": whole[:24]
        + gguf_string("x")
        + b"\x09\0\0\0\x09\0\0\0"
        + (2**40).to_bytes(8, "little"),
        "a key twice": gguf(*gguf_keys(), ("tokenizer.ggml.pre", 8, "gpt-2")),
    }
    for name, data in edits.items():
        yield f"gguf: {name}", data, {}
    changes: dict[str, dict[str, Any]] = {
        "no model": {"model": None},
        "model bert": {"model": (8, "bert")},
        "model a number": {"model": (4, 1)},
        "no pre": {"pre": None},
        "unknown pre": {"pre": (8, "nonsense")},
        "no tokens": {"tokens": None},
        "tokens of numbers": {"tokens": (9, (4, [1, 2]))},
        "empty tokens": {"tokens": (9, (8, []))},
        "an empty token": {"tokens": (9, (8, ["a", ""])), "token_type": None},
        "a token twice": {"tokens": (9, (8, ["a", "a"])), "token_type": None},
        "too few types": {"token_type": (9, (5, [1]))},
        "type 99": {"token_type": (9, (5, [99] * 262))},
        "types of strings": {"token_type": (9, (8, ["1"] * 262))},
        "no merges": {"merges": None},
        "unknown merge": {"merges": (9, (8, ["zz yy"]))},
        "merge of one": {"merges": (9, (8, ["he"]))},
        "huge bos": {"bos_token_id": (4, 2**32 - 1), "add_bos_token": (7, True)},
        "negative eos": {"eos_token_id": (5, -1), "add_eos_token": (7, True)},
        "flag a number": {"add_bos_token": (4, 1)},
        "llama without scores": {"model": (8, "llama")},
    }
    for name, change in changes.items():
        yield f"gguf: {name}", gguf(*gguf_keys(**change)), {}
    yield "gguf: special tokens given", whole, {"special_tokens": ["<a>"]}


def other_files() -> Iterator[Case]:
    """Files that are no vocabulary at all."""
    rng = random.Random(0)
    for size in (1, 7, 100, 10_000):
        yield f"other: {size} random bytes", b"\x80" + rng.randbytes(size), {}
    yield "other: empty", b"", {}
    yield "other: gzip", b"\x1f\x8b\x08\0", {}
    yield "other: Zstandard", b"\x28\xb5\x2f\xfd\0", {}
    yield "other: zip", b"PK\x03\x04", {}
    yield "other: text", b"Once upon a time", {}
    yield "other: zeros", bytes(100_000), {}
    yield "other: line ends", b"\n" * 100_000, {}
    yield "json: pattern given", dumped(tokenizer_json()), {"pattern": "gpt2"}
    yield "json: special tokens given", dumped(tokenizer_json()), {"special_tokens": ["<a>"]}


def all_cases() -> list[Case]:
    """Every case: a name, the content of the file, arguments of `load`."""
    parts: list[Case] = [(f"hf: {name}", dumped(root), {}) for name, root in hf_parts()]
    files = (truncations, json_texts, rank_files, tekken_files, sentencepiece_files)
    return [
        *(case for cases in (*files, gguf_files, other_files) for case in cases()),
        *parts,
    ]


def folders() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Folders with one thing wrong, as the contents of their files."""
    vocab = dumped(tokenizer_json()["model"]["vocab"])
    good = {"vocab.json": vocab, "merges.txt": b"#version: 0.2\nh e\nl l\n"}
    yield "empty", {}
    yield "vocab only", {"vocab.json": vocab}
    yield "merge of three", good | {"merges.txt": b"h e l\n"}
    yield "merge of unknown", good | {"merges.txt": b"zz yy\n"}
    yield "merges not UTF-8", good | {"merges.txt": b"h \xff\n"}
    yield "vocab a list", good | {"vocab.json": b"[]"}
    yield "vocab without bytes", good | {"vocab.json": b'{"a": 0}'}
    yield "unknown class", good | {"tokenizer_config.json": b'{"tokenizer_class": "BertTokenizer"}'}
    yield "config a list", good | {"tokenizer_config.json": b"[]"}
    yield "added id taken", good | {"added_tokens.json": b'{"<a>": 3}'}
    yield "added id a string", good | {"added_tokens.json": b'{"<a>": "3"}'}
    key = b'{"added_tokens_decoder": {"x": {"content": "a"}}}'
    yield "decoder key", good | {"tokenizer_config.json": key}
    yield "broken tokenizer.json", good | {"tokenizer.json": b"{"}
