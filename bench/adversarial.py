"""Hostile texts: is time linear, is it fast, is memory bounded?

    python bench/adversarial.py
    python bench/adversarial.py --most 64 --vocab cl100k --kind spaces --call offsets

Each kind of text is encoded at sizes 1, 2, 4 ... MB. First the ids are decoded and compared with
the text (where the vocabulary decodes to the text at all). Then the table shows milliseconds of
processor time per MB, the largest of time(2n)/time(n), and the peak of extra memory, result
included, per byte of text at the largest size. A row is flagged, and the exit status is 1, above
50 ms/MB, 2.3 times, or 16 bytes a byte.

Every kind runs in forked processes of its own, so that no other kind's memory is counted, and no
text is timed twice, since the tokenizer's caches would know it.
Vocabularies are read from the shared reference data beside the checkout.
"""

import argparse
import base64
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from encode import unpack
from record import write

import bytewright as bw

MB = 1_000_000
SLOW_MS, STEEP, LARGE = 50.0, 2.3, 16.0
REPEATS = 3
WARM = 4 * MB
PARENS = r"\((?:[^()]|\([^()]*\))*\)|\w+(?=\s)|\w+?\b|\s+(?!\S)|(?s:.)"

# A name for each: file, pattern, and whether decoding gives the text back.
VOCABULARIES: dict[str, tuple[str, str | None, bool]] = {
    "cl100k": ("cl100k_base.tiktoken", "cl100k", True),
    "o200k": ("o200k_base.tiktoken", "o200k", True),
    "gpt2": ("r50k_base.tiktoken", "gpt2", True),
    "user regex": ("cl100k_base.tiktoken", PARENS, True),
    "phi-3": ("phi-3-mini.tokenizer.json", None, True),
    "mistral": ("mistral-v3.spm.model", None, True),
    "deepseek": ("deepseek-v4.tokenizer.json", None, True),
    "falcon": ("falcon.tokenizer.json", None, True),
    "tekken": ("tekken_240718.json", None, True),
    "olmo": ("olmo-neox-dolma-v1_5.tokenizer.json", None, False),  # NFC
    "claude": ("anthropic-claude.tokenizer.json", None, False),  # NFKC
    "clip": ("clip.tokenizer.json", None, False),  # lowercase, no white space
    "kl3m": ("kl3m-001-32k.tokenizer.json", None, False),  # 1629 added tokens
}
DEFAULT = ["cl100k", "o200k", "gpt2", "phi-3", "mistral", "deepseek", "falcon", "user regex"]


Kind = Callable[[int, random.Random, bw.Tokenizer], bytes]


def repeated(unit: str | bytes) -> Kind:
    raw = unit.encode() if isinstance(unit, str) else unit
    return lambda size, rng, tok: raw * (size // len(raw))


def letters(alphabet: str) -> Kind:
    def make(size: int, rng: random.Random, tok: bw.Tokenizer) -> bytes:
        count = size // len(alphabet[0].encode())
        return "".join(rng.choices(alphabet, k=count)).encode()

    return make


def longest_token(size: int, rng: random.Random, tok: bw.Tokenizer) -> bytes:
    special = {text.encode() for text in tok.special_tokens}
    tokens = (tok.token_bytes(i) for i in range(tok.vocab_size) if has(tok, i))
    longest = max((t for t in tokens if t not in special), key=lambda t: (len(t), t))
    return longest * (size // len(longest))


def has(tok: bw.Tokenizer, token_id: int) -> bool:
    try:
        tok.token_bytes(token_id)
    except bw.UnknownTokenError:
        return False
    return True


KINDS: dict[str, Kind] = {
    "one letter": repeated("a"),
    "one capital": repeated("A"),
    "spaces": repeated(" "),
    "newlines": repeated("\n"),
    "CRLF": repeated("\r\n"),
    "space, newline": repeated(" \n"),
    "spaces, letter": repeated("   x"),
    "no-break spaces": repeated("\u00a0"),
    "emoji": repeated("😀"),
    "emoji joined": repeated("👩\u200d🚒"),
    "apostrophes": repeated("'"),
    "contractions": repeated("'ll"),
    "digits": letters("0123456789"),
    "one digit": repeated("7"),
    "punctuation": letters("!?.,;:-=/\\"),
    "alternating case": repeated("aB"),
    "random case": letters("aB"),
    "random letters": letters("abcdefghijklmnopqrstuvwxyz"),
    "base64": lambda size, rng, tok: base64.b64encode(rng.randbytes(size * 3 // 4)),
    "hex": lambda size, rng, tok: rng.randbytes(size // 2).hex().encode(),
    "random bytes": lambda size, rng, tok: rng.randbytes(size),
    "bytes FF": repeated(b"\xff"),
    "combining marks": repeated("\u0301"),
    "letter, marks": repeated("e\u0301\u0323"),
    "marks out of order": letters("\u0301\u0323\u0308\u0345"),
    "CJK random": letters("".join(map(chr, range(0x4E00, 0xA000)))),
    "one CJK": repeated("的"),
    "hangul jamo": repeated("\u1112\u1161\u11ab"),
    "open parentheses": repeated("("),
    "longest token": longest_token,
    "half a special": repeated("<|endof"),
}

Call = Callable[[bw.Tokenizer, bytes], Any]
CALLS: dict[str, Call] = {
    "encode": lambda tok, text: tok.encode_array(text),
    "special": lambda tok, text: tok.encode_array(text, allowed_special="all"),
    "offsets": lambda tok, text: tok.encode_offsets(text),
    "count": lambda tok, text: tok.count(text),
    "batch": lambda tok, text: tok.encode_batch([text], threads=2),
    "stream": lambda tok, text: streamed(tok, text),
}


def streamed(tok: bw.Tokenizer, text: bytes) -> list[Any]:
    encoder = tok.stream_encoder()
    step = 1 << 16
    out = [encoder.push(text[at : at + step]) for at in range(0, len(text), step)]
    return [*out, encoder.finish()]


@dataclass
class Row:
    """One kind of text under one vocabulary; `ms` is a number for each size."""

    vocab: str
    kind: str
    ms: list[float]
    steepest: float
    memory: float
    wrong: bool = False

    def flags(self) -> str:
        found = ["WRONG"] * self.wrong
        found += ["slow"] * (max(self.ms) > SLOW_MS)
        found += ["steep"] * (self.steepest > STEEP)
        return " ".join(found + ["large"] * (self.memory > LARGE))


def peak_of(work: Callable[[], Any]) -> int:
    """Bytes of resident memory that the work needs at most beyond what was there before."""
    Path("/proc/self/clear_refs").write_text("5")  # begins a new peak
    before = status("VmRSS")
    kept = work()
    del kept
    return status("VmHWM") - before


def status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def seconds_of(call: Call, tok: bw.Tokenizer, texts: list[bytes]) -> float:
    times = []
    for text in texts:
        started = time.process_time()
        call(tok, text)
        times.append(time.process_time() - started)
    return statistics.median(times)


def speed(tok: bw.Tokenizer, kind: str, call: Call, most: int) -> tuple[list[float], float]:
    """Milliseconds per MB of each size, and the steepest growth."""
    sizes = [MB << k for k in range(most.bit_length())]
    # No text twice: the caches would know it. They are filled first, since filling them costs.
    call(tok, KINDS[kind](WARM, random.Random("warm"), tok))
    seconds = []
    for size in sizes:
        rngs = [random.Random(f"{size} {again}") for again in range(REPEATS)]
        seconds.append(seconds_of(call, tok, [KINDS[kind](size, rng, tok) for rng in rngs]))
    ratios = [b / a for a, b in pairwise(seconds)]
    per_mb = [s * 1000 / (size / MB) for s, size in zip(seconds, sizes, strict=True)]
    return per_mb, max(ratios, default=0.0)


def memory(tok: bw.Tokenizer, kind: str, call: Call, most: int) -> float:
    """Peak of extra bytes per byte of text, in a process that encoded little before."""
    call(tok, KINDS[kind](1000, random.Random("warm"), tok))
    size = MB << (most.bit_length() - 1)
    text = KINDS[kind](size, random.Random("memory"), tok)
    return peak_of(lambda: call(tok, text)) / size


def is_wrong(tok: bw.Tokenizer, kind: str) -> bool:
    rules = json.loads(tok.definition.header)
    text = KINDS[kind](MB, random.Random("exact"), tok)
    if rules["unit"] == "char":  # SentencePiece writes spaces so, and takes it for one in text
        text = text.replace("\u2581".encode(), b" ")
    unknown = bytes(byte for byte in range(256) if rules["byte_units"][byte] < 0)  # Falcon's
    expected = text.translate(None, delete=unknown)
    return tok.decode_bytes(tok.encode_array(text)) != expected


def forked(work: Callable[..., Any], *arguments: Any) -> Any:
    """What the work returns, done in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            json.dump(work(*arguments), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        raise SystemExit("a child process ended without an answer")
    return json.loads(answer)


def measure(tok: bw.Tokenizer, vocab: str, kind: str, call: Call, most: int) -> Row:
    if VOCABULARIES[vocab][2] and forked(is_wrong, tok, kind):
        return Row(vocab, kind, [0.0], 0.0, 0.0, wrong=True)
    bytes_a_byte = forked(memory, tok, kind, call, most)
    per_mb, steepest = forked(speed, tok, kind, call, most)
    return Row(vocab, kind, per_mb, steepest, bytes_a_byte)


def load(name: str, folder: Path) -> bw.Tokenizer:
    file, pattern, _ = VOCABULARIES[name]
    return bw.Tokenizer.load(unpack(file, folder), pattern=pattern)


def main() -> None:
    parser = argparse.ArgumentParser(description="Hostile texts: time and memory.")
    parser.add_argument("--vocab", nargs="*", default=DEFAULT, choices=VOCABULARIES)
    parser.add_argument("--kind", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--call", default="encode", choices=CALLS)
    parser.add_argument("--most", type=int, default=16, help="largest size, in MB")
    parser.add_argument("--all", action="store_true", help="print the rows without a flag too")
    parser.add_argument("--out", type=Path, help="also write the rows there, as JSON lines")
    asked = parser.parse_args()
    flagged = 0
    print(f"{'vocabulary':12} {'text':20} ms/MB smallest..largest  steepest  bytes/byte  flags")
    with tempfile.TemporaryDirectory() as folder:
        for vocab in asked.vocab:
            tok = load(vocab, Path(folder))
            call = CALLS[asked.call]
            for kind in asked.kind:
                row = measure(tok, vocab, kind, call, asked.most)
                flagged += bool(row.flags())
                if row.flags() or asked.all:
                    show(row)
                if asked.out is not None:
                    write(asked.out, asdict(row) | {"call": asked.call})
            print(f"{vocab:12} {len(asked.kind)} kinds done", flush=True)
    print(f"{flagged} flagged")
    sys.exit(bool(flagged))


def show(row: Row) -> None:
    times = f"{row.ms[0]:.1f}..{row.ms[-1]:.1f} (worst {max(row.ms):.1f})"
    print(
        f"{row.vocab:12} {row.kind:20} {times:24} {row.steepest:8.2f} {row.memory:11.1f}  "
        f"{row.flags()}",
        flush=True,
    )


if __name__ == "__main__":
    # By default malloc returns large blocks to the system only above a size that moves, and then
    # every page is paid for again: time would jump at that size for no reason of the tokenizer's.
    if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        os.environ["MALLOC_MMAP_THRESHOLD_"] = str(1 << 17)
        os.execv(sys.executable, [sys.executable, *sys.argv])
    main()
