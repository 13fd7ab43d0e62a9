"""Small well-formed files of every format, for tests that bend or break them."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from bytewright.formats.byte_level import STAND_INS

MERGES = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w")]


def tokenizer_json(**parts: Any) -> dict[str, Any]:
    """A byte-level tokenizer.json; `parts` replace parts of it."""
    texts = [*STAND_INS, *(a + b for a, b in MERGES)]
    root: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {text: token_id for token_id, text in enumerate(texts)},
            "merges": [f"{a} {b}" for a, b in MERGES],
        },
    }
    return root | parts


def metaspace_json(**parts: Any) -> dict[str, Any]:
    """A SentencePiece-style tokenizer.json with byte fallback; `parts` replace parts of it."""
    texts = ["<unk>", *(f"<0x{b:02X}>" for b in range(256)), "▁", *"helowrd"]
    merges = [("h", "e"), ("l", "l"), ("▁", "he"), ("▁he", "ll"), ("▁hell", "o")]
    root = tokenizer_json()
    root["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}
    root["decoder"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}
    root["model"] |= {
        "unk_token": "<unk>",
        "fuse_unk": True,
        "byte_fallback": True,
        "vocab": {t: i for i, t in enumerate([*texts, *(a + b for a, b in merges)])},
        "merges": [[a, b] for a, b in merges],
    }
    return root | parts


def model(**fields: Any) -> dict[str, Any]:
    """The model of `tokenizer_json` with some fields replaced."""
    changed: dict[str, Any] = tokenizer_json()["model"] | fields
    return changed


def added(token_id: object, content: object, **fields: Any) -> dict[str, Any]:
    """An entry of `added_tokens`."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": content, "special": True, **flags, **fields}


def ranks(*more: bytes) -> bytes:
    """tiktoken ranks of the 256 bytes and of further tokens."""
    tokens = [*(bytes([b]) for b in range(256)), *more]
    return b"".join(b"%s %d\n" % (base64.b64encode(t), i) for i, t in enumerate(tokens))


def tekken(*more: bytes, **config: Any) -> dict[str, Any]:
    """A tekken.json of the 256 bytes and of further tokens."""
    tokens = [*(bytes([b]) for b in range(256)), *more]
    settings = {
        "pattern": r"\p{L}+|\s+|.",
        "num_vocab_tokens": len(tokens),
        "default_vocab_size": len(tokens) + 20,
        "default_num_special_tokens": 20,
        "version": "v3",
    }
    entries = [
        {"rank": i, "token_bytes": base64.b64encode(t).decode(), "token_str": None}
        for i, t in enumerate(tokens)
    ]
    return {"config": settings | config, "vocab": entries}


def varint(value: int) -> bytes:
    """A varint of Protocol Buffers."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, int | float | bytes | str]) -> bytes:
    """A message of Protocol Buffers: integers, floats, and everything else with a length."""
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return out


Piece = tuple[str, float, int]

PIECES: list[Piece] = [
    ("<unk>", 0.0, 2),
    ("<s>", 0.0, 3),
    ("</s>", 0.0, 3),
    *((f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)),
    *((text, -float(i), 1) for i, text in enumerate(["he", "ll", "▁he", "▁hell", "▁hello"])),
    *((text, -100.0 - i, 1) for i, text in enumerate("▁helowrd")),
]


def sentencepiece(
    pieces: list[Piece] | None = None,
    *,
    trainer: tuple[tuple[int, int | bytes], ...] = ((3, 2), (35, 1)),
    normalizer: tuple[tuple[int, int | bytes], ...] = ((4, 0),),
) -> bytes:
    """A SentencePiece model; type BPE with byte fallback unless changed."""
    fields = [(1, message((1, t), (2, s), (3, k))) for t, s, k in pieces or PIECES]
    return message(*fields, (3, message(*normalizer)), (2, message(*trainer)))


Typed = tuple[str, int, Any]
"""A key of a GGUF file, the type of its value, and the value."""

_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}


def gguf_string(text: str | bytes) -> bytes:
    """A string of GGUF."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def gguf_value(kind: int, value: Any) -> bytes:
    """A value of GGUF without its type; an array is a pair of element type and elements."""
    if kind == 8:
        return gguf_string(value)
    if kind == 9:
        inner, items = value
        return struct.pack("<IQ", inner, len(items)) + b"".join(gguf_value(inner, i) for i in items)
    return struct.pack("<" + _CODES[kind], value)


def gguf(*keys: Typed, version: int = 3) -> bytes:
    """A GGUF file with these keys and no tensors."""
    head = b"GGUF" + struct.pack("<IQQ", version, 0, len(keys))
    parts = [gguf_string(k) + struct.pack("<I", t) + gguf_value(t, v) for k, t, v in keys]
    return head + b"".join(parts)


def gguf_keys(**changes: Any) -> list[Typed]:
    """Keys of a byte-level vocabulary; a change of None takes the key away."""
    texts = [*STAND_INS, *(a + b for a, b in MERGES), "<|end|>"]
    keys: dict[str, tuple[int, Any]] = {
        "model": (8, "gpt2"),
        "pre": (8, "gpt-2"),
        "tokens": (9, (8, texts)),
        "token_type": (9, (5, [1] * (len(texts) - 1) + [3])),
        "merges": (9, (8, [f"{a} {b}" for a, b in MERGES])),
        "bos_token_id": (4, len(texts) - 1),
        "eos_token_id": (4, len(texts) - 1),
    }
    merged = {k: v for k, v in (keys | changes).items() if v is not None}
    return [(f"tokenizer.ggml.{name}", kind, value) for name, (kind, value) in merged.items()]


def dumped(root: object) -> bytes:
    """JSON as bytes."""
    return json.dumps(root, ensure_ascii=False).encode()
