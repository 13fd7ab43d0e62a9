"""Encoding speed beside other libraries, in one run.

    python bench/encode.py --vocab cl100k_base --corpus english

Every library runs in a worker process of its own, pinned to one core, and the workers take turns
slice by slice, so that a noisy machine disturbs all alike. Ids are compared before any time is
reported: a library whose ids differ from tiktoken's is named and its times are not shown.

Reported, in MB/s of text and as the ratio of bytewright to each peer, on processor time:
- cold: the first 4 MB slice after loading;
- warm: the median of later slices, each text that was not seen before;
- batch: documents of 1 KB, the first batch and the median of later ones;
- load: seconds from file to a ready tokenizer; call: microseconds for 20 bytes; decode: MB/s.

A library in another environment is added with `--python NAME=PATH` (say `tokenizers1=...`).
Vocabularies and corpora are read from the shared reference data beside the checkout.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from record import write

SHARED = Path(os.environ.get("BYTEWRIGHT_SHARED") or Path(__file__).parents[2] / "shared")
SLICE = 4_000_000
SLICES = 5
DOCUMENT = 1_000
CALLS = 20_000
LIBRARIES = ("bytewright", "gigatoken", "fastokens", "tiktoken", "tokenizers")
CORPORA = {
    "english": ["english/books_en.jsonl.zst"],
    "code": ["code/code.jsonl.zst"],
    "multilingual": ["multilingual/*.jsonl.zst"],
}


def rules(vocab: str) -> tuple[str, dict[str, int]]:
    index = json.loads((SHARED / "data/golden/index.json").read_text())[f"tiktoken-{vocab}"]
    return index["pat_str"], index["special_tokens"]


def unpack(file: str, folder: Path) -> Path:
    """A vocabulary of the reference data, unpacked in the folder."""
    path = folder / file
    with (SHARED / "data/vocabs" / f"{file}.zst").open("rb") as packed:
        path.write_bytes(zstandard.ZstdDecompressor().stream_reader(packed).read())
    return path


def corpus(name: str) -> bytes:
    """The documents of a corpus, one after another."""
    return b"\n".join(corpus_documents(name))


def corpus_documents(name: str) -> list[bytes]:
    """The documents of a corpus, shuffled by a fixed rule so that all parts are alike."""
    documents = []
    for glob in CORPORA[name]:
        for path in sorted((SHARED / "data/corpora").glob(glob)):
            lines = zstandard.ZstdDecompressor().stream_reader(path.open("rb")).read()
            documents += [json.loads(line)["text"].encode() for line in lines.splitlines()]
    documents.sort(key=lambda text: hashlib.sha256(text).digest())
    return documents


def slices(text: bytes) -> list[str]:
    size = min(SLICE, len(text) // SLICES)
    return [text[at : at + size].decode(errors="ignore") for at in range(0, SLICES * size, size)]


def documents(text: str) -> list[str]:
    return [text[at : at + DOCUMENT] for at in range(0, len(text), DOCUMENT)]


class Library:
    """One library behind three functions: ids of a text, of a batch, and back."""

    def __init__(self, name: str, vocab: str, ranks: Path, as_json: Path) -> None:
        pattern, special = rules(vocab)
        self.decode: Callable[[Any], Any] | None = None
        if name.startswith("bytewright"):
            import pyarrow as pa

            import bytewright as bw

            tok = bw.Tokenizer.load(ranks)
            self.one: Callable[[str], Any] = tok.encode_array
            self.batch = lambda docs: tok.encode_batch(docs, threads=1)
            self.prepare: Callable[[list[str]], Any] = pa.array
            self.flat = lambda out: out.values.to_numpy()
            self.decode, self.small = tok.decode_bytes, tok.encode
        elif name.startswith("gigatoken"):
            from gigatoken import Tokenizer

            tok = Tokenizer.from_tiktoken(str(ranks))  # knows the rules by the file's name
            self.one = tok.encode
            self.batch = lambda docs: tok.encode_batch(docs, parallel=False)
            self.prepare = list
            self.flat = lambda out: np.asarray(out.layout.content.data)
            self.decode, self.small = tok.decode, tok.encode
        elif name.startswith("fastokens"):
            from fastokens._native import Tokenizer

            # By name it takes its fast path; by tiktoken's own spelling of the pattern it does not.
            tok = Tokenizer.from_tiktoken(str(ranks), encoding=vocab)
            self.one = lambda text: tok.encode_batch_flat([text])
            self.batch = tok.encode_batch_flat
            self.prepare = list
            self.flat = lambda pair: np.frombuffer(pair[0], np.uint32)
            self.small = tok.encode
        elif name.startswith("tiktoken"):
            import tiktoken
            from tiktoken.load import load_tiktoken_bpe

            tok = tiktoken.Encoding(
                "bench",
                pat_str=pattern,
                mergeable_ranks=load_tiktoken_bpe(str(ranks)),
                special_tokens=special,
            )
            self.one = lambda text: tok.encode_to_numpy(text, disallowed_special=())
            self.batch = lambda docs: tok.encode_ordinary_batch(docs, num_threads=1)
            self.prepare = list
            self.flat = lambda out: np.fromiter((i for row in out for i in row), np.uint32)
            self.decode, self.small = tok.decode_bytes, tok.encode_ordinary
        else:
            from tokenizers import Tokenizer

            tok = Tokenizer.from_file(str(as_json))
            self.one = lambda text: tok.encode(text, add_special_tokens=False).ids
            self.batch = lambda docs: tok.encode_batch_fast(docs, add_special_tokens=False)
            self.prepare = list
            self.flat = lambda out: np.fromiter((i for e in out for i in e.ids), np.uint32)
            self.small = self.one


def digest(ids: Any) -> str:
    return hashlib.sha256(np.asarray(ids).astype("<u4").tobytes()).hexdigest()[:16]


def worker() -> None:
    """Answer requests from standard input, one JSON object a line."""
    setup = json.loads(sys.stdin.readline())
    os.sched_setaffinity(0, {setup["core"]})
    started = time.process_time()
    library = Library(setup["name"], setup["vocab"], Path(setup["ranks"]), Path(setup["json"]))
    loaded = time.process_time() - started
    text = slices(Path(setup["text"]).read_bytes())
    print(json.dumps({"seconds": loaded}), flush=True)
    kept: Any = None
    for line in sys.stdin:
        op, at = json.loads(line)
        if op == "one":
            seconds, out = timed(library.one, text[at])
            kept = library.flat(out) if isinstance(out, tuple) else out
            answer = {"seconds": seconds, "bytes": len(text[at].encode()), "ids": digest(kept)}
        elif op == "batch":
            docs = library.prepare(documents(text[at]))
            seconds, out = timed(library.batch, docs)
            flat = library.flat(out)
            answer = {"seconds": seconds, "bytes": len(text[at].encode()), "ids": digest(flat)}
        elif op == "decode" and library.decode is not None:
            seconds, out = timed(library.decode, kept)
            size = len(out if isinstance(out, bytes) else out.encode())
            answer = {"seconds": seconds, "bytes": size, "ids": ""}
        elif op == "call":
            seconds, _ = timed(lambda text: call_often(library.small, text), "a small text, 20 byt")
            answer = {"seconds": seconds / CALLS, "bytes": 20, "ids": ""}
        else:
            answer = {"seconds": None, "bytes": 0, "ids": ""}
        print(json.dumps(answer), flush=True)


def call_often(call: Callable[[str], Any], text: str) -> None:
    for _ in range(CALLS):
        call(text)


def timed(work: Callable[[Any], Any], argument: Any) -> tuple[float, Any]:
    started = time.process_time()
    out = work(argument)
    return time.process_time() - started, out


class Worker:
    def __init__(self, name: str, python: str, setup: dict[str, Any]) -> None:
        self.name = name
        # numpy's linear algebra spins threads at import, which would count as work of the library.
        self.process = subprocess.Popen(
            [python, __file__, "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        self.loaded = self.ask(setup)["seconds"]

    def ask(self, request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: its worker ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(workers: list[Worker], op: str, rounds: Iterable[int]) -> dict[str, list[float]]:
    """MB/s of each library on each slice, after checking that all ids are tiktoken's."""
    speeds: dict[str, list[float]] = {worker.name: [] for worker in workers}
    for at in rounds:
        turns = workers[at % len(workers) :] + workers[: at % len(workers)]
        answers = {worker.name: worker.ask([op, at]) for worker in turns}
        expected = answers.get("tiktoken", answers["bytewright"])["ids"]
        for name, answer in answers.items():
            if answer["ids"] != expected:
                print(f"  {name}: ids differ from tiktoken's on slice {at}", file=sys.stderr)
                if name == "bytewright":
                    raise SystemExit("bytewright's ids are wrong: nothing to report")
            elif answer["seconds"]:
                speeds[name].append(answer["bytes"] / answer["seconds"] / 1e6)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description="Encoding speed beside other libraries.")
    parser.add_argument("--vocab", nargs="*", default=["cl100k_base", "o200k_base"])
    parser.add_argument("--corpus", nargs="*", default=list(CORPORA))
    parser.add_argument("--library", nargs="*", default=list(LIBRARIES))
    parser.add_argument("--python", nargs="*", default=[], metavar="NAME=PATH")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    asked = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in asked.python)
    with tempfile.TemporaryDirectory() as folder:
        for vocab in asked.vocab:
            ranks = unpack(f"{vocab}.tiktoken", Path(folder))
            as_json = Path(folder, f"{vocab}.json")
            if any(name.startswith("tokenizers") for name in asked.library):
                import bytewright as bw

                bw.Tokenizer.load(ranks).save(as_json)
            for name in asked.corpus:
                text = Path(folder, f"{name}.txt")
                text.write_bytes(corpus(name))
                setup = {"vocab": vocab, "ranks": str(ranks), "json": str(as_json)}
                setup |= {"text": str(text), "core": asked.core}
                row = compare(asked.library, pythons, setup)
                report(vocab, name, row, asked.out)


def compare(names: list[str], pythons: dict[str, str], setup: dict[str, Any]) -> dict[str, Any]:
    workers = [Worker(n, pythons.get(n, sys.executable), setup | {"name": n}) for n in names]
    row = {
        "cold": measure(workers, "one", [0]),
        "warm": measure(workers, "one", range(1, SLICES)),
        "first batch": measure(workers, "batch", [0]),
        "batch": measure(workers, "batch", range(1, SLICES)),
        "decode": measure(workers, "decode", range(3)),
        "call": measure(workers, "call", range(3)),
        "load": {worker.name: [worker.loaded] for worker in workers},
    }
    for worker in workers:
        worker.process.kill()
    return row


def report(vocab: str, corpus_name: str, row: dict[str, Any], out: Path | None) -> None:
    print(f"\n{vocab} {corpus_name}")
    for what, speeds in row.items():
        middle = {name: statistics.median(values) for name, values in speeds.items() if values}
        if what == "call":
            middle = {name: 20 / speed for name, speed in middle.items()}
        ours = middle["bytewright"]
        unit = {"call": "us", "load": "s"}.get(what, "MB/s")
        cells = []
        for name, value in middle.items():
            ratio = value / ours if unit != "MB/s" else ours / value
            cells.append(
                f"{name} {value:.3g}" + ("" if name == "bytewright" else f" ({ratio:.2f}x)")
            )
        print(f"  {what:12} {unit:5} " + "  ".join(cells), flush=True)
        if out is not None:
            record = {"vocab": vocab, "corpus": corpus_name, "what": what, "unit": unit, **middle}
            write(out, record)


if __name__ == "__main__":
    worker() if "--worker" in sys.argv else main()
