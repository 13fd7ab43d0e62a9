"""Hostile texts: the ids spell the text exactly, in memory bounded by a small multiple of it.

How the work grows is counted where it can be, in the Rust tests; `bench/adversarial.py` times it.
Here the texts are large enough that anything quadratic would run into the test's time limit.
"""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from test_golden import SHARED, vocabs

import bytewright as bw

__all__ = ["vocabs"]

MB: Final = 1 << 20
QUICK: Final = MB
LONG: Final = 100 * MB
# Extra resident memory, the ids included, per byte of text; and what does not grow with the text.
BYTES_A_BYTE: Final = 16
FIXED: Final = 24 * MB

needs_data = pytest.mark.skipif(
    SHARED is None, reason="no reference data: ../shared is absent and BYTEWRIGHT_SHARED names none"
)


def repeated(unit: str) -> Callable[[int], bytes]:
    return lambda size: unit.encode() * (size // len(unit.encode()))


def drawn(letters: str) -> Callable[[int], bytes]:
    width = len(letters[0].encode())
    return lambda size: "".join(random.Random(7).choices(letters, k=size // width)).encode()


KINDS: dict[str, Callable[[int], bytes]] = {
    "one letter": repeated("a"),
    "spaces": repeated(" "),
    "newlines": repeated("\n"),
    "CRLF": repeated("\r\n"),
    "space and newline": repeated(" \n"),
    "emoji": repeated("😀"),
    "apostrophes": repeated("'"),
    "digits": drawn("0123456789"),
    "punctuation": drawn("!?.,;:-=/\\"),
    "alternating case": repeated("aB"),
    "random letters": drawn("abcdefghijklmnopqrstuvwxyz"),
    "base64": lambda size: base64.b64encode(random.Random(7).randbytes(size * 3 // 4)),
    "random bytes": lambda size: random.Random(7).randbytes(size),
    "combining marks": repeated("\u0301"),
    "random CJK": drawn("".join(map(chr, range(0x4E00, 0xA000)))),
}
FILES: dict[str, str] = {
    "cl100k": "cl100k_base.tiktoken",
    "o200k": "o200k_base.tiktoken",
    "phi-3": "phi-3-mini.tokenizer.json",
    "mistral": "mistral-v3.spm.model",
    "deepseek": "deepseek-v4.tokenizer.json",
    "falcon": "falcon.tokenizer.json",
}


@cache
def load(folder: Path, name: str) -> bw.Tokenizer:
    return bw.Tokenizer.load(folder / FILES[name])


def same_ids(tok: bw.Tokenizer, text: bytes) -> None:
    ids = tok.encode_array(text)
    assert tok.decode_bytes(ids) == text
    batch = tok.encode_batch([text], threads=2)
    assert (batch.values.to_numpy() == ids).all()


def bytes_without_token(tok: bw.Tokenizer) -> bytes:
    """Falcon's vocabulary has no token for some bytes; they are dropped, as its library does."""
    units = json.loads(tok.definition.header)["byte_units"]
    return bytes(byte for byte in range(256) if units[byte] < 0)


@needs_data
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_hostile_texts_come_back(vocabs: Path, name: str, kind: str) -> None:
    tok = load(vocabs, name)
    same_ids(tok, KINDS[kind](QUICK).translate(None, delete=bytes_without_token(tok)))


@needs_data
@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["cl100k", "o200k", "mistral"])
def test_large_hostile_texts_come_back(vocabs: Path, name: str, kind: str) -> None:
    same_ids(load(vocabs, name), KINDS[kind](LONG))


@needs_data
@pytest.mark.parametrize("name", FILES)
def test_a_longest_token_repeated_comes_back(vocabs: Path, name: str) -> None:
    tok = load(vocabs, name)
    special = {text.encode() for text in tok.special_tokens}
    tokens = [tok.token_bytes(i) for i in range(tok.vocab_size) if has(tok, i)]
    longest = max((t for t in tokens if t not in special), key=lambda t: (len(t), t))
    assert len(longest) > 10
    same_ids(tok, longest * (QUICK // len(longest)))


def has(tok: bw.Tokenizer, token_id: int) -> bool:
    try:
        tok.token_bytes(token_id)
    except bw.UnknownTokenError:
        return False
    return True


# Where reading on from each match to the end of the text would be quadratic.
HOSTILE_PATTERNS: Final = [
    (r"[a-z]*1|(?s:.)", "word"),
    (r"\s*[\r\n]+|\s", " "),
    (r"\w+(?=!)|\w|\W", "ab"),
    (r"a+?b|a|(?s:.)", "a"),
    (r"\((?:[^()]|\([^()]*\))*\)|(?s:.)", "("),
    (r"(?:aa)*b|a|(?s:.)", "a"),
]


@pytest.mark.parametrize(("pattern", "unit"), HOSTILE_PATTERNS)
def test_hostile_patterns_finish(pattern: str, unit: str) -> None:
    merges = [(b"a", b"a"), (b"aa", b"aa"), (b" ", b" "), (b"w", b"o"), (b"(", b"(")]
    tok = bw.Tokenizer.from_merges(merges, pattern=pattern)
    text = unit.encode() * (QUICK // len(unit))
    same_ids(tok, text)
    # The tail decides differently for what lies before it; no piece may be lost over that.
    same_ids(tok, text + b"1b!\n)")


def test_many_merges_of_one_letter_come_back() -> None:
    letters = [b"a" * (1 << k) for k in range(16)]
    tok = bw.Tokenizer.from_merges([(half, half) for half in letters])
    for extra in range(3):
        ids = tok.encode_array(b"a" * (MB + extra))
        assert len(ids) == MB // (1 << 16) + extra.bit_count()
        assert len(tok.decode_bytes(ids)) == MB + extra


# What a process needs for one text, measured in that process: the peak of resident memory is
# reset first, so that neither the vocabulary nor the text itself is counted.
PEAK: Final = """
import json, sys
import bytewright as bw
tok = bw.Tokenizer.load(sys.argv[1])
unit, size = sys.stdin.buffer.read(), int(sys.argv[2])
text = unit * (size // len(unit))
calls = {
    "count": lambda text: tok.count(text),
    "encode": lambda text: tok.encode_array(text),
    "batch": lambda text: tok.encode_batch([text], threads=2),
    "offsets": lambda text: tok.encode_offsets(text),
    "stream": lambda text: stream(tok.stream_encoder(), text),
}
def stream(encoder, text):
    return [encoder.push(text[at : at + 4096]) for at in range(0, len(text), 4096)]
def status(field):
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(field))
def peak(call):
    call(text[:4096])
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    call(text)
    return (status("VmHWM") - before) * 1024
print(json.dumps({name: peak(call) for name, call in calls.items()}))
"""


def peaks(path: Path, unit: bytes, size: int) -> dict[str, int]:
    command = [sys.executable, "-c", PEAK, str(path), str(size)]
    done = subprocess.run(command, input=unit, capture_output=True, check=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


@needs_data
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("unit", [b"a", b" ", b"\xff\n", "的".encode()], ids=repr)
@pytest.mark.parametrize("name", ["cl100k", "mistral"])
def test_memory_is_a_small_multiple_of_the_text(vocabs: Path, name: str, unit: bytes) -> None:
    size = 4 * MB
    found = peaks(vocabs / FILES[name], unit, size)
    del found["offsets"], found["stream"]
    assert max(found.values()) <= BYTES_A_BYTE * size + FIXED, found


@needs_data
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("unit", ["so it is. ", "東京、京都。"])
@pytest.mark.parametrize("file", ["mistral-v3.spm.model", "olmo-neox-dolma-v1_5.tokenizer.json"])
def test_normalized_text_is_held_a_stretch_at_a_time(vocabs: Path, file: str, unit: str) -> None:
    # One normalizer writes three bytes for a space, the other composes marks.
    size = 16 * MB
    found = peaks(vocabs / file, unit.encode(), size)
    assert found["offsets"] <= BYTES_A_BYTE * size, found
    # The ids, which are kept here, and the chunk that the encoder holds.
    assert found["stream"] <= 4 * size + FIXED, found


@needs_data
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_counting_builds_no_ids(vocabs: Path) -> None:
    # A byte of this text is an id, so that ids take 4 bytes a byte.
    found = peaks(vocabs / FILES["cl100k"], b"\xff\n", 16 * MB)
    assert found["count"] <= 2 * 16 * MB < 3 * 16 * MB <= found["encode"], found
