"""Byte probabilities where added tokens take white space along, or text begins with a space."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_zst
from reference_bytes import Range, assert_defined, encodings
from test_torture import TORTURE, Certain
from tiny_vocabularies import added, metaspace_json, tokenizer_json
from toy_models import SEMANTICS, hashed, row_model

import bytewright as bw

GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}

SIDES = [
    # Each content with the sides on which it takes white space along: left, right, both.
    [("ab", "r")],
    [("ab", "l")],
    [("ab", "lr"), ("b", "")],
    [("a", "r"), (" b", "")],
    [("a", "r"), (" ", "l")],
    [("a", "r"), ("  ", "")],
    [("b", "l"), ("a ", "")],
    [("ab", "r"), ("abb", "")],
    [("ba", "l"), ("aab", ""), ("\t", "r")],
]


def compare(tok: bw.Tokenizer, known: Any, texts: list[bytes], some: bytes, **said: Any) -> None:
    """Every semantics is its definition; `said` are bytes before each text, and ids of none."""
    row = hashed(tok.vocab_size + 1, 4, 2.0, lacking=said.get("lacking", 0))
    for semantics in SEMANTICS:
        model = bw.ByteModel(row_model(tok, row, tok.vocab_size), semantics=semantics)
        oracle = Range(tok, row, semantics, encodings=known, lead=said.get("lead", b""))
        for text in texts:
            assert_defined(model, oracle, text, some=some)


def some(alphabet: str, contents: list[str]) -> list[bytes]:
    rng = np.random.default_rng(6)
    texts = {"".join(rng.choice(list(alphabet), n)) for n in (0, 1, 2, 3, 3, 4)}
    texts |= {side + text for text in contents for side in ("", " ", "b")}
    texts |= {text + side for text in contents for side in (" ", "a")}
    return [text.encode() for text in sorted(texts) if len(text) < 5]


@pytest.mark.parametrize(
    ("sides", "later"),
    [(s, at) for s in SIDES for at in ("", "0", "1") if not at or int(at) < len(s)],
)
def test_white_space_that_tokens_take_along(
    tmp_path: Path, sides: list[tuple[str, str]], later: str
) -> None:
    root = tokenizer_json(pre_tokenizer=GPT2)
    texts = ["a", "b", "Ġ", "ĉ", "ab", "Ġa", "ba"]
    vocab = {text: at for at, text in enumerate(texts)}
    root["model"] |= {"vocab": vocab, "merges": ["a b", "Ġ a", "b a"]}
    # A content that the model has too keeps that id.
    new = iter(range(len(texts), len(texts) + len(sides)))
    entries = [
        (vocab[text] if text in vocab else next(new), at) for at, (text, _) in enumerate(sides)
    ]
    root["added_tokens"] = [
        added(
            token,
            sides[at][0],
            special=False,
            normalized=str(at) in later,
            lstrip="l" in sides[at][1],
            rstrip="r" in sides[at][1],
        )
        for token, at in sorted(entries)
    ]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(root))
    tok = bw.Tokenizer.load(path)
    known = encodings(tok, b"ab \t", 8)
    compare(tok, known, some("ab \t", [text for text, _ in sides]), b"ab \t")


OPENINGS: dict[str, dict[str, Any]] = {
    "another": {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
    },
    "first": {"pre_tokenizer": {"prepend_scheme": "first", "split": False}},
    "always": {"pre_tokenizer": {"prepend_scheme": "always", "split": False}},
    "always, cut": {"pre_tokenizer": {"prepend_scheme": "always", "split": True}},
}


def opened(name: str) -> dict[str, Any]:
    parts = {key: part and dict(part) for key, part in OPENINGS[name].items()}
    if parts["pre_tokenizer"]:
        parts["pre_tokenizer"] |= {"type": "Metaspace", "replacement": "▁"}
    steps = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    return parts | {"decoder": {"type": "Sequence", "decoders": steps}}


@pytest.mark.parametrize("name", OPENINGS)
@pytest.mark.parametrize("flags", ["", "r", "l"])
def test_the_space_before_text_behind_a_token(tmp_path: Path, name: str, flags: str) -> None:
    root = metaspace_json(**opened(name))
    texts = [*list(root["model"]["vocab"])[:257], "▁", "a", "b", "▁a", "▁▁", "ba"]
    root["model"]["vocab"] = {text: at for at, text in enumerate(texts)}
    root["model"]["merges"] = [["▁", "a"], ["▁", "▁"], ["b", "a"]]
    sides = {"lstrip": "l" in flags, "rstrip": "r" in flags}
    root["added_tokens"] = [
        added(0, "<unk>"),
        added(len(texts), "ab", special=False, **sides),
    ]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(root))
    tok = bw.Tokenizer.load(path)
    assert tok.decode(tok.encode("b a")) == "b a"
    known = encodings(tok, b"ab ", 8)
    texts = some("ab ", ["ab", "bab", "bab "])
    compare(tok, known, texts, b"ab ", lead=b" ", lacking=257)


@pytest.mark.parametrize("name", OPENINGS)
def test_what_is_put_before_texts_loses_no_path(shared: Path, tmp_path: Path, name: str) -> None:
    root = json.loads(read_zst(shared / "data/vocabs/phi-3-mini.tokenizer.json.zst"))
    root |= {"normalizer": None} | opened(name)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(root))
    certain = Certain(bw.Tokenizer.load(path), "valid")
    assert any(token["rstrip"] and not token["special"] for token in root["added_tokens"])
    for text in [*TORTURE, "a</s>b", "a</s> \u3000b", "a </s></s>\u2028\u0105"]:
        certain.follow(certain.tokenizer.encode(text))


def test_tokens_between_words_are_refused_by_name(tmp_path: Path) -> None:
    root = tokenizer_json(added_tokens=[added(261, "ell", single_word=True, special=False)])
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(root))
    model = bw.CallableModel(bw.Tokenizer.load(path), lambda c: np.zeros((len(c), 262)))
    with pytest.raises(bw.ArgumentError, match='added token "ell"'):
        bw.ByteModel(model)
    assert bw.ByteModel(model, semantics="all").start("hell").logprob < 0


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_what_a_normalizer_changes_is_scored_as_it_stands(semantics: Any, tmp_path: Path) -> None:
    path, found = tmp_path / "tokenizer.json", []
    for normalizer in (None, {"type": "NFC"}):
        path.write_text(json.dumps(tokenizer_json(normalizer=normalizer)))
        tok = bw.Tokenizer.load(path)
        assert (tok.encode("he\u0301") == tok.encode("h\u00e9")) == (normalizer is not None)
        model = bw.CallableModel(tok, lambda c: np.zeros((len(c), 261)))
        found.append(bw.ByteModel(model, semantics=semantics).score("he\u0301").tolist())
    assert found[0] == found[1]
    assert min(found[0]) > -np.inf
    # One that writes what the tokenizer makes of the text, and nothing else.
    end = tok.vocab_size
    whole = [*tok.encode("he\u0301"), end]

    def only(contexts: Any) -> Any:
        rows = np.full((len(contexts), end + 1), -np.inf)
        for row, ids in zip(rows, contexts, strict=True):
            row[whole[len(ids)] if ids.tolist() == whole[: len(ids)] else end] = 0.0
        return rows

    sure = bw.ByteModel(bw.CallableModel(tok, only, eos_id=end), semantics=semantics)
    assert sure.logprob("h\u00e9") == pytest.approx(0.0)
    assert sure.logprob("he\u0301") == sure.score("he\u0301").min() == -np.inf
