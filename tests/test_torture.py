"""The canonical path of a text is lost at no prefix, whatever the pre-tokenizer makes of its end.

The model here is certain: after the first tokens of a text's encoding it expects the next one, and
after all of them the end. So every beginning of the text has the probability 1, unless the sequence
of tokens that the tokenizer itself makes is missing from a cover.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from conftest import read_jsonl_zst, read_zst
from numpy.typing import NDArray
from test_golden import texts as hard_texts

import bytewright as bw
from bytewright import demo
from bytewright.formats.patterns import pattern_names, pattern_steps

Semantics = Literal["all", "valid", "fast", "local"]

# Each is short, so that every prefix of it is one in which something is still open.
TORTURE = [
    # White space: what follows decides who takes the last one.
    "a  b", "a   ", "\n\n\nA", " \n \n  x", "\t\t\tif x:\n\t\t\t\ty", "a \r\n\r\n b\r", "\r\r\n\n",
    "x\u00a0\u3000 \u2028y", "end.  \n\n   New", "    return\n\n\n\ndef f():  # x",
    # Contractions, and what only begins like one.
    "don't we've I'll they'd'd 're'", "'t's'S'LL 'Re y'all'v", "O\u2019Neill\u2019s it's\u017f",
    # Digits in groups from either side, and in other scripts.
    "1", "12", "1234567", "1,234,567.89 0x1F 3e10", "a1b22c333d4444", "٣٤٥٦٧ १२३४५ ４２",
    # Characters with a byte whose printable stand-in is a digit.
    "ò²1ò2 1òò23³4", "¼5ųŲ 츀츀12345ò678 3¹",
    # Case, camels and acronyms.
    "HTTPServerError XMLHttp iPhone McDONALD'S", "ǅungla ß ﬁ İstanbul ΣΊΣΥΦΟΣ",
    # Marks on marks, joiners, emoji that are one.
    "e\u0301\u0302\u0303 n\u0303 \u0301", "क्षत्रिय हिन्दी में", "👩‍👩‍👧‍👦👍🏽🇩🇪🇫🇷 ❤️",
    "ي\u200cه العربية، نص.",
    # Scripts without spaces, and mixes.
    "日本語と한국어混ぜて。ไทย", "中文abc 中文123。\n中文", "a中 b\u0301中\u0301",
    # Punctuation runs, and what they take with them.
    "!!!???...", "x = {'a': [1, 2]}; // ok\n/* y */\n", "https://example.org/a?b=c&d=%20#e",
    "a/\n/b//\n",
    # Long repeats, in which a longest token comes around again and again.
    "a" * 70, " " * 65 + "x", "\n" * 40 + "x", "=" * 50, "ab" * 30, "-" * 33 + ">", "0" * 25,
    # Signs without a picture, and the text of special tokens.
    "\x00\x01\x7f\x1b[0m", "\ufeffBOM \u200b\u200d", "<|endoftext|><s></s>",
    "\U0010ffff\ue000\u0378",
]  # fmt: skip
NO_UTF8 = [b"\xff", b"a\xffb", b"\xe4\xb8", b"\xe4\xb8a", b"\xc3\xa9\xa9 \x80", b"\xed\xa0\x80x"]


class Certain:
    """A model that knows one text."""

    def __init__(self, tok: bw.Tokenizer, semantics: Semantics) -> None:
        self.tokenizer = tok
        self._known: dict[tuple[int, ...], int] = {}
        model = bw.CallableModel(tok, self._rows, eos_id=tok.vocab_size)
        # Rows are of another text each time: none are kept.
        self.bytes = bw.ByteModel(model, semantics=semantics, memory=0)

    def normalized(self, text: str) -> bytes:
        """The text that the model is about."""
        return self.tokenizer.decode_bytes(self.tokenizer.encode(text))

    def expect(self, text: bytes) -> list[int]:
        ids = self.tokenizer.encode(text)
        self._expect(ids)
        return ids

    def follow(self, ids: list[int]) -> None:
        """Check the text of these ids."""
        self._expect(ids)
        _check(self, self.tokenizer.decode_bytes(ids))

    def _expect(self, ids: list[int]) -> None:
        following = [*ids, self.tokenizer.vocab_size]
        self._known = {tuple(ids[:at]): following[at] for at in range(len(following))}

    def _rows(self, contexts: Sequence[NDArray[np.int32]]) -> Any:
        rows = np.zeros((len(contexts), self.tokenizer.vocab_size + 1), np.float32)
        for row, ids in zip(rows, contexts, strict=True):
            after = self._known.get(tuple(ids.tolist()))
            if after is not None:
                row[:] = -np.inf
                row[after] = 0
        return rows


def check(certain: Certain, text: bytes) -> None:
    """Every beginning has the probability 1, and so has the end."""
    if not text:
        return
    certain.expect(text)
    _check(certain, text)


def _check(certain: Certain, text: bytes) -> None:
    scores = certain.bytes.score(text)
    lost = np.flatnonzero(~(np.abs(scores) < 1e-6))
    assert not len(lost), f"{text!r} is lost at byte {lost[0]}"
    assert certain.bytes.logprob(text, end=True) == pytest.approx(0, abs=1e-6), text


# Several names stand for the same steps.
DISTINCT = {json.dumps(pattern_steps(name)): name for name in reversed(pattern_names())}
PATTERNS = [
    *sorted(set(DISTINCT.values())),
    *(name + digits for name in ("gpt2", "o200k") for digits in ("+digits-left", "+digits-single")),
    *(name + "+digits-right" for name in ("gpt2", "cl100k", "o200k")),
    r"\p{N}{1,3}(?!\p{N})|\s+(?!\S)|\s+|[^\s\p{N}]+",
    r"(?=(\d{3})+(?!\d))",
    r" ?\p{L}+| ?\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
]


@cache
def demo_tokenizer(pattern: str) -> bw.Tokenizer:
    return bw.Tokenizer.from_merges(demo.tokenizer().merges, pattern=pattern)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_prefix_loses_the_canonical_path(pattern: str) -> None:
    certain = Certain(demo_tokenizer(pattern), "valid")
    for text in TORTURE:
        check(certain, text.encode())


@pytest.mark.parametrize("semantics", ["all", "fast", "local"])
@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k", "gpt2+digits-right"])
def test_nor_does_it_by_another_semantics(pattern: str, semantics: Semantics) -> None:
    certain = Certain(demo_tokenizer(pattern), semantics)
    # In what counts all sequences a text is read step by step.
    for text in TORTURE[::5] if semantics == "all" else TORTURE[::2]:
        check(certain, text.encode())


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k", "gpt2+digits-right"])
def test_the_likeliest_path_at_each_prefix_is_the_canonical_one(pattern: str) -> None:
    tok = demo_tokenizer(pattern)
    certain = Certain(tok, "valid")
    for text in map(str.encode, TORTURE[1::4]):
        ids, offsets = certain.expect(text), tok.encode_offsets(text)[1]
        state = certain.bytes.start()
        for at in range(1, len(text) + 1):
            found = state.advance(text[at - 1 : at]).paths(3)
            covering = int(np.searchsorted(offsets, at))
            assert [path.ids for path in found] == [tuple(ids[:covering])]
            assert found[0].pending == text[at : offsets[covering]]
            assert found[0].share == pytest.approx(1)


@pytest.mark.parametrize("pattern", [None, "gpt2", "o200k"])
def test_what_is_not_utf8_is_of_no_text_that_a_pattern_cuts(pattern: str | None) -> None:
    """With a pattern, texts are UTF-8 but for the semantics that asks for no text."""
    tok = bw.Tokenizer.from_merges(demo.tokenizer().merges[:50], pattern=pattern)
    for text in NO_UTF8:
        check(Certain(tok, "all"), text)
        if pattern is None:
            check(Certain(tok, "valid"), text)
            continue
        certain = Certain(tok, "valid")
        certain.expect(text)
        with pytest.raises(UnicodeDecodeError) as wrong:
            text.decode()
        check(certain, text[: wrong.value.start])
        certain.expect(text)
        assert certain.bytes.logprob(text, end=True) == -np.inf


def test_rows_may_come_in_any_parts() -> None:
    """What a first part makes impossible may be in the second."""
    certain = Certain(demo_tokenizer("o200k"), "valid")
    certain.bytes._rows._at_once = 1
    for text in TORTURE:
        check(certain, text.encode())


REAL: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2.tokenizer.json", {}),
    "cl100k": ("cl100k_base.tiktoken", {}),
    "llama3": ("cl100k_base.tiktoken", {"pattern": "llama3"}),
    "o200k": ("o200k_base.tiktoken", {}),
    "qwen2": ("qwen2.5.tokenizer.json", {}),
    "digits from the right": ("cl100k_base.tiktoken", {"pattern": "cl100k+digits-right"}),
    "falcon": ("falcon.tokenizer.json", {}),
    "phi-3": ("phi-3-mini.tokenizer.json", {}),
    "mistral": ("mistral-v3.spm.model", {}),
    "deepseek": ("deepseek-v4.tokenizer.json", {}),
}


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Published vocabularies, each with what is certain of a text."""
    folder = tmp_path_factory.mktemp("vocabs")

    @cache
    def made(name: str) -> Certain:
        file, options = REAL[name]
        path = folder / file
        if not path.exists():
            path.write_bytes(read_zst(shared / f"data/vocabs/{file}.zst"))
        return Certain(bw.Tokenizer.load(path, **options), "valid")

    return made


@pytest.mark.parametrize("name", REAL)
def test_published_vocabularies_lose_no_canonical_path(real: Any, name: str) -> None:
    certain = real(name)
    for text in TORTURE:
        check(certain, certain.normalized(text))


@pytest.mark.parametrize("name", REAL)
def test_nor_on_the_texts_of_others(real: Any, shared: Path, name: str) -> None:
    certain = real(name)
    rows = read_jsonl_zst(shared / "data/third_party_vectors/llamacpp_vocab_tests.jsonl.zst")
    theirs = [row["text"] for row in rows]
    assert len(theirs) == 47
    for text in theirs[::6]:
        check(certain, certain.normalized(text[:100]))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", REAL)
def test_nor_on_all_hard_texts(real: Any, shared: Path, name: str) -> None:
    certain, checked = real(name), 0
    for text, is_utf8 in hard_texts().values():
        # Where a space stands before texts, none stands before an added token.
        if is_utf8 and text and not text.startswith(b"</s>"):
            check(certain, certain.normalized(text.decode()[:150]))
            checked += 1
    assert checked > 700
