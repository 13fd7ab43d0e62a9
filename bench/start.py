"""What a tokenizer costs before and beside its speed: loading, unpickling, a small call, decoding.

    python bench/start.py
    python bench/start.py --vocab o200k --out bench/records/start.jsonl

First the ids of a text are compared with the peer's. Then, in turns within one process, on
processor time, medians:
- load: milliseconds from a file to a ready tokenizer; unpickle: from bytes in memory;
- call: nanoseconds for a text of 20 bytes, through each layer: reading an attribute and an empty
  text show what the way into the core costs, `cargo run --release --example core` what the core
  itself does;
- decode: MB/s of text, ids as array and as list.

The peer is the library whose format the file is, where it has the same operation.
Vocabularies are read from the shared reference data beside the checkout.
"""

import argparse
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from encode import corpus, rules, slices, unpack
from record import write

import bytewright as bw

SMALL = "a small text, 20 byt"
CALLS = 20_000
ROUNDS = 7
VOCABULARIES = {
    "cl100k": "cl100k_base.tiktoken",
    "o200k": "o200k_base.tiktoken",
    "qwen2.5": "qwen2.5.tokenizer.json",
    "tekken": "tekken_240718.json",
}
PEERS = ("tiktoken", "tokenizers", "mistral-common")
Work = Callable[[], Any]


def tiktoken_encoding(path: Path) -> Any:
    os.environ["TIKTOKEN_CACHE_DIR"] = ""  # otherwise it would keep a copy of the file
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe

    pattern, special = rules(path.stem)
    ranks = load_tiktoken_bpe(str(path))
    return tiktoken.Encoding(
        "bench", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special
    )


def hugging_face(path: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def mistral(path: Path) -> Any:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    return Tekkenizer.from_file(str(path))


class Peer:
    """The library whose format a file is."""

    def __init__(self, path: Path) -> None:
        self.decode: Callable[[list[int]], Any] | None = None
        if path.suffix == ".tiktoken":
            self.name, self.load = "tiktoken", lambda: tiktoken_encoding(path)
            tok = self.load()
            self.encode, self.decode = tok.encode_ordinary, tok.decode_bytes
            self.small: Callable[[str], Any] = tok.encode_ordinary
        elif path.name.startswith("tekken"):
            self.name, self.load = "mistral-common", lambda: mistral(path)
            tok = self.load()
            self.encode = lambda text: tok.encode(text, bos=False, eos=False)
            self.small = self.encode
        else:
            self.name, self.load = "tokenizers", lambda: hugging_face(path)
            tok = self.load()
            self.encode = lambda text: tok.encode(text, add_special_tokens=False).ids
            self.small, self.decode = self.encode, tok.decode
        self.tokenizer = tok


def medians(works: dict[str, Work], repeat: int = 1) -> dict[str, float]:
    """Seconds of each work, the works taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            started = time.process_time()
            for _ in range(repeat):
                work()
            seconds[name].append((time.process_time() - started) / repeat)
    return {name: statistics.median(values) for name, values in seconds.items()}


def unpickled(tok: Any) -> Work | None:
    try:
        packed = pickle.dumps(tok)
    except (TypeError, AttributeError, pickle.PicklingError):
        return None  # mistral-common's does not pickle
    return lambda: pickle.loads(packed)


def compare(path: Path, text: str) -> dict[str, tuple[str, dict[str, float]]]:
    """Seconds by operation and library."""
    tok, peer = bw.Tokenizer.load(path), Peer(path)
    ids = tok.encode_array(text)
    if ids.tolist() != list(peer.encode(text)):
        raise SystemExit(f"{path.name}: ids differ from {peer.name}'s: nothing to report")
    as_list = ids.tolist()
    decode = peer.decode
    core: Any = tok._core
    loads = {"bytewright": lambda: bw.Tokenizer.load(path), peer.name: peer.load}
    pickles = {"bytewright": unpickled(tok), peer.name: unpickled(peer.tokenizer)}
    calls: dict[str, Work] = {
        "attribute": lambda: core.vocab_size,
        "core, empty text": lambda: core.encode("", "none"),
        "core, 20 bytes": lambda: core.encode(SMALL, "none"),
        "bytewright": lambda: tok.encode(SMALL),
        "bytewright, array": lambda: tok.encode_array(SMALL),
        peer.name: lambda: peer.small(SMALL),
    }
    decodes: dict[str, Work] = {
        "bytewright": lambda: tok.decode_bytes(ids),
        "bytewright, list": lambda: tok.decode_bytes(as_list),
    }
    if decode is not None:
        decodes[peer.name] = lambda: decode(as_list)
    return {
        "load": ("ms", medians(loads)),
        "unpickle": ("ms", medians({who: work for who, work in pickles.items() if work})),
        "call": ("ns", medians(calls, CALLS)),
        "decode": ("MB/s", medians(decodes)),
    }


def figure(unit: str, seconds: float, size: int) -> float:
    return {"ms": seconds * 1e3, "ns": seconds * 1e9, "MB/s": size / seconds / 1e6}[unit]


def ratio(unit: str, row: dict[str, float]) -> dict[str, float]:
    """How many times better the call is than the peer's, where the peer has it."""
    peer = next((row[who] for who in PEERS if who in row), None)
    if peer is None:
        return {}
    ours = row["bytewright"]
    return {"ratio": ours / peer if unit == "MB/s" else peer / ours}


def main() -> None:
    parser = argparse.ArgumentParser(description="Loading, unpickling, small calls, decoding.")
    parser.add_argument("--vocab", nargs="*", default=list(VOCABULARIES), choices=VOCABULARIES)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    asked = parser.parse_args()
    text = slices(corpus("english"))[0]
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.vocab:
            path = unpack(VOCABULARIES[name], Path(folder))
            for what, (unit, seconds) in compare(path, text).items():
                row = {who: figure(unit, s, len(text.encode())) for who, s in seconds.items()}
                row |= ratio(unit, row)
                cells = "  ".join(f"{who} {value:.4g}" for who, value in row.items())
                print(f"{name:8} {what:9} {unit:5} {cells}", flush=True)
                if asked.out is not None:
                    write(asked.out, {"vocab": name, "what": what, "unit": unit, **row})


if __name__ == "__main__":
    main()
