"""Byte probabilities of tokenizers that merge characters and spell the others in bytes."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_zst
from reference_bytes import Cover, assert_defined, assert_encoding_is_kept
from tiny_vocabularies import Piece, sentencepiece
from toy_models import SEMANTICS, hashed, row_model

import bytewright as bw

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
PLAIN = ((3, 0), (4, 0))
"""No space before a text, none taken out."""
TEXT = ["▁a", "ab", "▁ab", "éa", "bb", "▁", "a", "b", "é", "你"]
SIZE = 258 + len(TEXT)
BYTES = b" ab" + "é你ü".encode() + b"\xff"


def load(folder: Path, normalizer: tuple[tuple[int, int | bytes], ...]) -> bw.Tokenizer:
    """Few tokens: every sequence can be looked at."""
    pieces: list[Piece] = [("<unk>", 0.0, UNKNOWN), ("</s>", 0.0, CONTROL)]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    pieces += [(text, -float(at), NORMAL) for at, text in enumerate(TEXT)]
    path = folder / f"{len(normalizer)}.model"
    path.write_bytes(sentencepiece(pieces, normalizer=normalizer))
    return bw.Tokenizer.load(path)


row = hashed(SIZE + 1, 7, 4.0, lacking=2)


def made(tok: bw.Tokenizer, semantics: Any = "valid") -> bw.ByteModel:
    return bw.ByteModel(row_model(tok, row, tok.vocab_size), semantics=semantics)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_semantics_are_their_definitions(tmp_path: Path, semantics: Any) -> None:
    tok = load(tmp_path, PLAIN)
    assert tok.encode("abü") == [259, 258 - 256 + 0xC3, 258 - 256 + 0xBC]
    model = made(tok, semantics)
    oracle = Cover(tok, row, semantics, tails=0)
    rng = np.random.default_rng(3)
    texts = [b"", b"\xc3", b"\xc3\xa9", b"\xc3\xbc", b"\xe4\xbd", b"\xe4\xbd\xa0", b"\xc3\xe4"]
    texts += [bytes(rng.choice(list(BYTES), 4).tolist()) for _ in range(12)]
    texts += ["ab é".encode(), b" ab", "é你".encode()]
    for text in texts:
        assert_defined(model, oracle, text, some=BYTES)


def test_what_was_begun_in_bytes_is_never_a_known_character(tmp_path: Path) -> None:
    tok = load(tmp_path, PLAIN)
    model = made(tok)
    known, spelled = "é你", [0xC3, 0xE4, 0xBD]
    for text in known:
        # Only its own token makes the character: bytes may begin it, and something else follow.
        state = model.start(text.encode()[:-1])
        after = model.start(text.encode())
        token = tok.encode(text)
        assert len(token) == 1
        chance = float(np.exp(row(())[token[0]]))
        more = chance + sum(float(np.exp(row(())[tok.encode(t)[0]])) for t in ["éa"] if text == "é")
        assert math.exp(after.logprob) == pytest.approx(more, rel=1e-9)
        assert state.logprob > after.logprob
    assert all(tok.is_canonical([2 + byte]) for byte in spelled)


# Where tokens share what the end of an empty text does not get, the two models differ.
@pytest.mark.parametrize("semantics", ["all", "valid", "fast"])
def test_the_space_before_a_text_is_given(tmp_path: Path, semantics: Any) -> None:
    (tmp_path / "a").mkdir()
    plain, spaced = load(tmp_path, PLAIN), load(tmp_path / "a", ((4, 0),))
    assert spaced.encode("ab") == plain.encode(" ab")
    assert spaced.decode(spaced.encode("ab")) == "ab"
    models = [made(tok, semantics) for tok in (plain, spaced)]
    given = models[0].start(b" ").logprob
    assert models[1].start().logprob == 0.0
    assert len(models[1].start(b"ab")) == 2
    for text in [b"", b"a", b" ", b"  ", b"ab b", "é ü".encode(), b"b\xe4a"]:
        bare, state = models[0].start(b" " + text), models[1].start(text)
        assert state.logprob == pytest.approx(bare.logprob - given, abs=1e-9)
        expected, found = (
            place.next().probs * math.exp(place.next().log_kept) for place in (bare, state)
        )
        # An empty text has no tokens, not that of a space.
        none = semantics != "all" and not text
        expected[256] *= not none
        assert np.allclose(found, expected, atol=1e-12)
        scores = models[1].score(text)
        assert scores.sum() == pytest.approx(state.logprob, abs=1e-9)
        assert len(scores) == len(text)
        whole = models[0].logprob(b" " + text, end=True) - given
        assert models[1].logprob(text, end=True) == pytest.approx(
            -math.inf if none else whole, abs=1e-9
        )


@pytest.mark.parametrize("name", ["mistral-v1.spm.model", "phi-3-mini.tokenizer.json"])
def test_the_path_of_the_tokenizer_is_never_lost(shared: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(read_zst(shared / f"data/vocabs/{name}.zst"))
    tok = bw.Tokenizer.load(tmp_path / name)
    text = "The  naïve\n\tŷ 你好, 𐍈𐍈 don't  \u0305x 12345  ﷽ 🧑‍🚀 end ".encode()
    assert_encoding_is_kept(tok, text)


@pytest.mark.parametrize("seed", range(10))
def test_any_scores_of_the_pieces(tmp_path: Path, seed: int) -> None:
    """Pieces may be made of others that have lower scores, as when a vocabulary was edited."""
    rng = np.random.default_rng(seed)
    letters = "abc" if seed < 7 else "ab"
    texts = sorted({"".join(rng.choice(list(letters), n)) for n in (2, 2, 3, 3, 3, 4, 4)})
    if seed < 4:
        texts = [texts[at] for at in rng.permutation(len(texts))]
    else:
        # All but one are where training puts them.
        texts.sort(key=len)
        texts.insert(0, texts.pop(int(rng.integers(1, len(texts)))))
    pieces: list[Piece] = [("<unk>", 0.0, UNKNOWN), ("</s>", 0.0, CONTROL)]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    pieces += [(text, -float(at), NORMAL) for at, text in enumerate([*texts, *"abc"])]
    (tmp_path / "m.model").write_bytes(sentencepiece(pieces, normalizer=PLAIN))
    tok = bw.Tokenizer.load(tmp_path / "m.model")
    width = tok.vocab_size

    def even(contexts: Any) -> Any:
        return np.full((len(contexts), width), -np.log(width))

    model = bw.ByteModel(bw.CallableModel(tok, even, eos_id=1))
    spelled = {at: tok.token_bytes(at) for at in range(258, width)}
    for text in map("".join, product("abc", repeat=4)):
        data = text.encode()

        def count(ids: tuple[int, ...], rest: bytes) -> float:
            total = 0.0
            for at, token in spelled.items():
                longer = (*ids, at)
                whole = b"".join(spelled[i] for i in longer)
                if tuple(tok.encode(whole)) != longer:
                    continue
                if token.startswith(rest):
                    total += width ** -float(len(longer))
                elif rest.startswith(token):
                    total += count(longer, rest[len(token) :])
            return total

        covers = count((), data)
        assert math.exp(model.start(data).logprob) == pytest.approx(covers, rel=1e-9)


def test_runs_of_spaces_are_what_merging_makes(shared: Path, tmp_path: Path) -> None:
    """Two spaces are the last merge of all here, longer runs are made of them at once."""
    path = tmp_path / "m.model"
    path.write_bytes(read_zst(shared / "data/vocabs/mistral-v1.spm.model.zst"))
    tok = bw.Tokenizer.load(path)
    size = tok.vocab_size
    model = bw.ByteModel(row_model(tok, lambda _: np.zeros(size + 1), size))
    runs = 0
    for spaces in range(1, 24):
        for found in model.start(b" " * spaces).paths(200):
            if not found.pending:
                assert tok.encode(" " * spaces) == list(found.ids)
                runs += 1
    assert runs == 23
