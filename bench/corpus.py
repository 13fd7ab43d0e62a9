"""Encoding a corpus end to end, files to files, beside the usual loop over `tokenizers`.

    python bench/corpus.py
    python bench/corpus.py --job parquet --vocab o200k_base --threads 1

The jobs: `parquet` (Parquet to Parquet, a row of ids a document), `bin` (JSON Lines to a flat file
of ids), `megatron` (lines of text to Megatron's `.bin`). The peer reads batches of 1000 documents,
calls `encode_batch_fast`, and writes what it got with `pyarrow` or `numpy`: what a `datasets.map`
does, without its copies in between. It writes no index, makes nothing durable and cannot go on
after a crash; bytewright does all three.

Every run is a process of its own, and the two libraries take turns. The files of the first round
are compared id by id before any time is shown. Reported: MB of text per second of the clock and of
processor time, medians, and the peak of resident memory less what the process had before the run.
Documents are read from the shared reference data beside the checkout.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from adversarial import peak_of
from encode import CORPORA, corpus_documents, unpack
from record import write

import bytewright as bw

BATCH = 1000
ROUNDS = 3
JOBS = {"parquet": "in.parquet", "bin": "in.jsonl", "megatron": "in.txt"}
LIBRARIES = ("bytewright", "tokenizers")


def write_inputs(names: list[str], folder: Path) -> int:
    """The documents as Parquet, JSON Lines and lines of text; the size of their text."""
    texts = [text.decode() for name in names for text in corpus_documents(name)]
    # The same documents in all three, so none may hold what ends a line.
    texts = [" ".join(text.split("\n")).replace("\r", " ") for text in texts]
    pq.write_table(pa.table({"text": texts}), folder / JOBS["parquet"], row_group_size=4096)
    with (folder / JOBS["bin"]).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    (folder / JOBS["megatron"]).write_text("".join(f"{text}\n" for text in texts), "utf-8")
    return sum(len(text.encode()) for text in texts)


def by_bytewright(job: str, folder: Path, out: Path, vocabulary: Path, threads: int) -> None:
    bw.encode_corpus(
        folder / JOBS[job],
        bw.Tokenizer.load(vocabulary),
        out,
        format=job,  # type: ignore[arg-type]
        documents="line",
        threads=threads,
    )


def by_tokenizers(job: str, folder: Path, out: Path, vocabulary: Path, threads: int) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(str(vocabulary))
    out.mkdir()
    source = folder / JOBS[job]
    encoded = (
        [row.ids for row in tok.encode_batch_fast(batch, add_special_tokens=False)]
        for batch in READERS[job](source)
    )
    if job == "parquet":
        schema = pa.schema([("ids", pa.list_(pa.int32()))])
        with pq.ParquetWriter(out / "train.parquet", schema, compression="zstd") as writer:
            for rows in encoded:
                writer.write_table(pa.table({"ids": rows}, schema))
        return
    dtype = np.int32 if job == "megatron" else np.uint32
    with (out / "train.bin").open("wb") as file:
        for rows in encoded:
            for row in rows:
                file.write(np.array(row, dtype).tobytes())


def parquet_batches(path: Path) -> Iterator[list[str]]:
    for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=["text"]):
        yield batch.column(0).to_pylist()


def jsonl_batches(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        yield from batches(json.loads(line)["text"] for line in file)


def line_batches(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from batches(line.removesuffix("\n") for line in file)


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    texts = iter(texts)
    while batch := list(islice(texts, BATCH)):
        yield batch


READERS: dict[str, Callable[[Path], Iterator[list[str]]]] = {
    "parquet": parquet_batches,
    "bin": jsonl_batches,
    "megatron": line_batches,
}
RUNS = {"bytewright": by_bytewright, "tokenizers": by_tokenizers}


def ids_in(job: str, out: Path) -> Any:
    """All ids that a run wrote."""
    if job == "parquet":
        tables = [pq.read_table(path, columns=["ids"]) for path in sorted(out.glob("*.parquet"))]
        return pa.concat_tables(tables)["ids"].combine_chunks().flatten().to_numpy()
    dtype = np.int32 if job == "megatron" else np.uint32
    return np.concatenate([np.fromfile(path, dtype) for path in sorted(out.glob("*.bin"))])


def worker(setup: dict[str, Any]) -> None:
    """One run in this process; prints what it took."""
    run, paths = RUNS[setup["library"]], [Path(setup[key]) for key in ("folder", "out", "vocab")]
    started, used = time.perf_counter(), time.process_time()
    peak = peak_of(lambda: run(setup["job"], *paths, setup["threads"]))
    clock, processor = time.perf_counter() - started, time.process_time() - used
    print(json.dumps({"clock": clock, "processor": processor, "peak": peak}))


def run(setup: dict[str, Any]) -> dict[str, float]:
    command = [sys.executable, __file__, "--worker", json.dumps(setup)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def compare(job: str, folder: Path, vocabs: dict[str, Path], threads: int) -> dict[str, Any]:
    """What each library took in each round."""
    taken: dict[str, list[dict[str, float]]] = {library: [] for library in LIBRARIES}
    for again in range(ROUNDS):
        outs = {library: folder / f"{job}-{again}-{library}" for library in LIBRARIES}
        for library, out in outs.items():
            setup = {"library": library, "job": job, "folder": str(folder), "out": str(out)}
            taken[library].append(run(setup | {"vocab": str(vocabs[library]), "threads": threads}))
        if again == 0:
            ours, theirs = (ids_in(job, out) for out in outs.values())
            if not np.array_equal(ours, theirs):
                raise SystemExit(f"{job}: ids differ from tokenizers': nothing to report")
    return taken


def report(job: str, size: int, taken: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for library, rounds in taken.items():
        middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        row[library] = {
            "clock MB/s": size / middle["clock"] / 1e6,
            "processor MB/s": size / middle["processor"] / 1e6,
            "peak MB": middle["peak"] / 1e6,
        }
    cells, ratios = [], {}
    for what, ours in row["bytewright"].items():
        theirs = row["tokenizers"][what]
        ratios[what] = theirs / ours if what == "peak MB" else ours / theirs
        cells.append(f"{what} {ours:.1f} beside {theirs:.1f} ({ratios[what]:.2f}x)")
    row["ratio"] = ratios
    print(f"{job:9} " + "  ".join(cells), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description="Encoding a corpus, files to files.")
    parser.add_argument("--job", nargs="*", default=list(JOBS), choices=JOBS)
    parser.add_argument("--corpus", nargs="*", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--vocab", default="cl100k_base")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ranks, as_json = unpack(f"{asked.vocab}.tiktoken", folder), folder / "tokenizer.json"
        bw.Tokenizer.load(ranks).save(as_json)
        size = write_inputs(asked.corpus, folder)
        print(f"{asked.vocab}, {size / 1e6:.1f} MB, {asked.threads} threads: us beside tokenizers")
        for job in asked.job:
            vocabs = {"bytewright": ranks, "tokenizers": as_json}
            row = report(job, size, compare(job, folder, vocabs, asked.threads))
            if asked.out is not None:
                what = {"job": job, "vocab": asked.vocab, "threads": asked.threads, "bytes": size}
                write(asked.out, what | row)


if __name__ == "__main__":
    worker(json.loads(sys.argv[2])) if sys.argv[1:2] == ["--worker"] else main()
