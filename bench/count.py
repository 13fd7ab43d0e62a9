"""Counting pieces of text beside a peer that counts before it trains, in one run.

    python bench/count.py --pattern cl100k

The counts are compared first with those of the `regex` package running the same pattern. The peer
is rustbpe, asked for a vocabulary of the 256 bytes, so that it counts and does nothing else. Both
run on one thread and take turns; what is reported is the median of processor time, in MB/s of text,
from a list of `str` (both), and from files with the reading included (bytewright alone).
"""

import argparse
import collections
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["RAYON_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import pyarrow as pa
import pyarrow.parquet as pq
import regex
from encode import CORPORA, corpus_documents
from record import write

import bytewright as bw
from bytewright.formats.patterns import pattern_steps

ROUNDS = 5


def expression(pattern: str) -> str:
    (step,) = pattern_steps(pattern)
    return str(step["regex"])


def check(texts: list[str], counts: bw.PretokenCounts, pattern: str) -> None:
    """Stop if the counts are not those of the pattern."""
    found: collections.Counter[str] = collections.Counter()
    for text in texts:
        found.update(regex.findall(expression(pattern), text))
    if dict(counts) != {piece.encode(): count for piece, count in found.items()}:
        raise SystemExit("the counts are not those of the pattern: nothing to report")


def write_files(texts: list[str], folder: Path) -> dict[str, Path]:
    paths = {kind: folder / f"text.{kind}" for kind in ("txt", "jsonl", "parquet")}
    paths["txt"].write_text("\n".join(texts), encoding="utf-8")
    lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    paths["jsonl"].write_text("".join(lines), encoding="utf-8")
    pq.write_table(pa.table({"text": texts}), paths["parquet"], compression="zstd")
    return paths


def runs(texts: list[str], paths: dict[str, Path], pattern: str) -> dict[str, Callable[[], Any]]:
    def count(sources: Any) -> Callable[[], Any]:
        return lambda: bw.count_pretokens(sources, pattern=pattern, threads=1)

    found: dict[str, Callable[[], Any]] = {"bytewright": count(texts)}
    found |= {f"bytewright {kind}": count(path) for kind, path in paths.items()}
    try:
        import rustbpe
    except ImportError:
        print("rustbpe is not installed: no peer", file=sys.stderr)
        return found

    def peer() -> None:
        rustbpe.Tokenizer().train_from_iterator(iter(texts), 256, pattern=expression(pattern))

    return found | {"rustbpe": peer}


def measure(work: dict[str, Callable[[], Any]], size: int) -> dict[str, float]:
    """MB/s of each, the median of rounds in which they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, run in work.items():
            started = time.process_time()
            run()
            taken[name].append(time.process_time() - started)
    return {name: size / statistics.median(times) / 1e6 for name, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Counting pieces of text.")
    parser.add_argument("--pattern", nargs="*", default=["cl100k", "o200k", "gpt2"])
    parser.add_argument("--corpus", nargs="*", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    asked = parser.parse_args()
    for name in asked.corpus:
        texts = [text.decode() for text in corpus_documents(name)]
        size = sum(len(text.encode()) for text in texts)
        for pattern in asked.pattern:
            with tempfile.TemporaryDirectory() as folder:
                paths = write_files(texts, Path(folder))
                counts = bw.count_pretokens(texts, pattern=pattern, threads=1)
                check(texts, counts, pattern)
                speeds = measure(runs(texts, paths, pattern), size)
            ratio = speeds["bytewright"] / speeds.get("rustbpe", float("nan"))
            cells = "  ".join(f"{what} {speed:.0f}" for what, speed in speeds.items())
            print(f"{name} {size / 1e6:.1f} MB, {pattern}: MB/s {cells} ({ratio:.1f}x)", flush=True)
            if asked.out is not None:
                what = {"corpus": name, "pattern": pattern, "bytes": size, "pieces": len(counts)}
                write(asked.out, what | {"unit": "MB/s", **speeds, "ratio": ratio})


if __name__ == "__main__":
    main()
