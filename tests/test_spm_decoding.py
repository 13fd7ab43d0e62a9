"""Decoding SentencePiece models as `sentencepiece` does, and where it is said to differ."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
import sentencepiece
from tiny_vocabularies import PIECES
from tiny_vocabularies import sentencepiece as model_file

import bytewright as bw

LETTERS = [piece for piece in PIECES if piece[2] != 6]
UNK, BYTE_SPACE = 0, 3 + ord(" ")


def loaded(
    folder: Path, *, dummy: int, extra: int, escaped: int, fallback: int
) -> tuple[bw.Tokenizer, sentencepiece.SentencePieceProcessor]:
    """A model that puts a space first, removes extra ones and writes U+2581, or does not."""
    raw = model_file(
        pieces=PIECES if fallback else LETTERS,
        trainer=((3, 2), (35, fallback)),
        normalizer=((3, dummy), (4, extra), (5, escaped)),
    )
    (folder / "m.model").write_bytes(raw)
    reference = sentencepiece.SentencePieceProcessor(model_proto=raw)
    return bw.Tokenizer.load(folder / "m.model"), reference


FLAGS = [
    dict(zip(("dummy", "extra", "escaped", "fallback"), flags, strict=True))
    for flags in itertools.product((0, 1), repeat=4)
]


def named(flags: dict[str, int]) -> str:
    return " ".join(name for name, value in flags.items() if value) or "none"


@pytest.mark.parametrize("flags", FLAGS, ids=named)
def test_what_encoding_makes_decodes_alike(tmp_path: Path, flags: dict[str, int]) -> None:
    tok, reference = loaded(tmp_path, **flags)
    rng = random.Random(1)
    parts = ["hello", "w", " ", "  ", "\u00e9", "\u2603", "r"]
    for _ in range(300):
        text = "".join(rng.choices(parts, k=rng.randrange(6)))
        ids = reference.encode(text)
        assert tok.encode(text) == ids, text
        assert tok.decode(ids) == reference.decode(ids), text
        stream = tok.stream_decoder()
        assert "".join([*map(stream.push, ids), stream.finish()]) == tok.decode(ids), text


@pytest.mark.parametrize("flags", [one for one in FLAGS if one["escaped"]], ids=named)
def test_other_ids_differ_as_it_is_said(tmp_path: Path, flags: dict[str, int]) -> None:
    tok, reference = loaded(tmp_path, **flags)
    rng = random.Random(2)
    known = [at for at in range(tok.vocab_size) if not reference.IsControl(at)]
    spaced = [at for at in known if reference.IdToPiece(at).startswith("▁")]
    blank = reference.PieceToId("▁")
    for _ in range(600):
        ids = rng.choices([*spaced, UNK, *rng.sample(known, 6)], k=rng.randrange(1, 5))
        try:
            ours = tok.decode(ids, "strict")
        except UnicodeDecodeError:
            continue
        if flags["extra"]:
            # Pieces that are nothing but the space are taken away there.
            rest = list(itertools.dropwhile(lambda at: at == blank, ids))
            assert ours.lstrip(" ") == tok.decode(rest).lstrip(" ")
            assert reference.decode(ids) == reference.decode(rest)
            ids, ours = rest, tok.decode(rest)
        kept = flags["fallback"] and ids[:1] == [BYTE_SPACE] and (flags["extra"] or flags["dummy"])
        assert reference.decode(ids) == (" " + ours if kept else ours), ids


def test_control_pieces_have_their_text(tmp_path: Path) -> None:
    tok, reference = loaded(tmp_path, dummy=1, extra=0, escaped=1, fallback=1)
    text = "hello</s>hello<s>"
    ids = tok.encode(text, allowed_special="all")
    assert {1, 2} <= set(ids)
    assert "</s>" in tok.decode(ids)
    assert "</s>" not in reference.decode(ids)
