"""Training that makes languages pay alike, against its definition as slow code."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_variants
from conftest import read_jsonl_zst
from hypothesis import given
from hypothesis import strategies as st
from test_variants import counted, few, flat, texts_of_words

import bytewright as bw
from bytewright import _core


def learned(languages: list[tuple[Counter[bytes], Counter[bytes]]], size: int, *turns: Any) -> Any:
    rows = [(flat(text), flat(dev), 1.0) for text, dev in languages]
    trainer = _core.ParityTrainer(rows, bytes(range(256)), 1, "[]", turns)
    assert not trainer.advance(size, 1 << 60)
    return np.frombuffer(trainer.steps(0)[0], "<u4").reshape(-1, 3), trainer.turns()


@few
@given(
    st.lists(st.tuples(texts_of_words, texts_of_words), min_size=1, max_size=3),
    st.integers(0, 14),
    st.sampled_from([(0, 0, 2.0), (0, 4, 1.0), (3, 4, 2.0), (2, 0, 1.0)]),
)
def test_parity_training_is_the_definition(
    texts: list[tuple[list[str], list[str]]], merges: int, turns: tuple[int, int, float]
) -> None:
    languages = [(counted(text), counted(dev)) for text, dev in texts]
    shared, window, share = turns
    expected = reference_variants.parity(
        languages, merges, window=window, share=share, shared=shared
    )
    # A merge may make a token that is there, so the core is asked for tokens, not for merges.
    tokens = {a + b for (a, b), _ in expected}
    rows, whose = learned(languages, 256 + len(tokens), *turns)
    names = [bytes([byte]) for byte in range(256)]
    found = []
    for left, right, product in rows.tolist():
        found.append((names[left], names[right]))
        if product == len(names):
            names.append(names[left] + names[right])
    assert list(zip(found, whose.tolist(), strict=True)) == expected[: len(found)]
    assert len({a + b for a, b in found}) == len(tokens)


def test_parity_goes_on_when_a_language_has_no_pair_left() -> None:
    parity = bw.Parity({"x": [b"long text without any pair"], "y": [b"ab"]})
    tok = bw.train({"x": [b"a"], "y": [b"abcd"]}, 259, parity=parity)
    assert tok.merges == [(b"a", b"b"), (b"c", b"d"), (b"ab", b"cd")]


def test_the_window_makes_a_language_wait() -> None:
    texts = {"x": [b"abcdefghijklmnopqrstuvwxyz"], "y": [b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]}
    needs = {"x": [b"1" * 99], "y": [b"2"]}
    greedy = bw.train(texts, 262, parity=bw.Parity(needs, window=0))
    fair = bw.train(texts, 262, parity=bw.Parity(needs, window=4, share=1.0))
    assert all(left.islower() for left, _ in greedy.merges)
    assert sum(left.isupper() for left, _ in fair.merges) == 2


def test_shared_merges_are_those_of_plain_training() -> None:
    texts = {"x": [b"low lower lowest"] * 9, "y": [b"nieuw nieuwer nieuwst"]}
    parity = bw.Parity({"x": [b"low"], "y": texts["y"]}, shared_merges=4)
    tok = bw.train(texts, 264, pattern="gpt2", parity=parity)
    plain = bw.train(texts, 264, pattern="gpt2")
    assert tok.merges[:4] == plain.merges[:4]
    assert tok.merges != plain.merges


def gini(counts: list[int]) -> float:
    """Mean absolute difference over twice the mean."""
    array = np.array(counts, float)
    return float(np.abs(array[:, None] - array[None]).mean() / (2 * array.mean()))


FLORES = {
    "ar": "arb_Arab", "bg": "bul_Cyrl", "bn": "ben_Beng", "cs": "ces_Latn", "de": "deu_Latn",
    "dz": "dzo_Tibt", "el": "ell_Grek", "es": "spa_Latn", "et": "est_Latn", "eu": "eus_Latn",
    "fa": "pes_Arab", "fi": "fin_Latn", "fr": "fra_Latn", "he": "heb_Hebr", "hi": "hin_Deva",
    "hu": "hun_Latn", "id": "ind_Latn", "it": "ita_Latn", "ja": "jpn_Jpan", "km": "khm_Khmr",
    "ko": "kor_Hang", "nl": "nld_Latn", "pl": "pol_Latn", "pt": "por_Latn", "ro": "ron_Latn",
    "ru": "rus_Cyrl", "ta": "tam_Taml", "th": "tha_Thai", "tr": "tur_Latn", "vi": "vie_Latn",
    "zh-Hans": "zho_Hans", "zh-Hant": "zho_Hant",
}  # fmt: skip


@pytest.mark.long
def test_parity_makes_languages_pay_alike_for_few_more_tokens(shared: Path) -> None:
    corpora = shared / "data/corpora"
    parallel = {
        row["lang"]: row for row in read_jsonl_zst(corpora / "parallel/flores200_subset.jsonl.zst")
    }
    texts = {FLORES[lang]: corpora / f"multilingual/{lang}.jsonl.zst" for lang in FLORES}
    parity = bw.Parity({lang: parallel[lang]["dev"] for lang in texts})
    plain = bw.train(texts, 16_000)
    fair = bw.train(texts, 16_000, parity=parity)
    before, after = (
        [int(tok.count_batch(parallel[lang]["devtest"]).sum()) for lang in texts]
        for tok in (plain, fair)
    )
    assert gini(after) <= gini(before) * 2 / 3
    assert sum(after) <= 1.05 * sum(before)
