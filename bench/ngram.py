"""The n-gram model: fitting, saving, mapping, rows of log-probabilities, and what they are worth.

    python bench/ngram.py
    python bench/ngram.py --corpus code --vocab o200k_base --out bench/records/ngram.jsonl

First a model of a few documents is compared with the definition in `tests/reference_ngram.py`, row
by row. Then, on one thread and on processor time, with documents of a corpus that are not those
that it is tried on:
- fit: seconds, encoding included, beside a `Counter` of all n-grams of the same ids, which is what
  counting costs in plain Python; it is measured on a tenth of them;
- save, load: seconds;
- rows: microseconds for a row in batches of 16 contexts, beside one addition of NumPy on a row of
  that width, which is the least that a row can cost;
- loss: bits a byte of held-out documents.
Peak memory is that of a process that does nothing but fit.
"""

import argparse
import collections
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np
import pyarrow as pa
import pyarrow.feather
from encode import CORPORA, corpus_documents, unpack
from record import write
from reference_ngram import Kneser, Unbounded

import bytewright as bw
from bytewright.definition import SPECIAL

ROUNDS = 5
HELD_OUT = 30_000
BATCH = 16
Figures = dict[str, Any]


def parted(corpus: str, megabytes: float) -> tuple[list[bytes], list[bytes]]:
    """Documents of so many bytes in all, or nine tenths of them; and others."""
    documents, size, taken = corpus_documents(corpus), 0, 0
    while taken < len(documents) * 9 // 10 and size < megabytes * 1e6:
        size += len(documents[taken])
        taken += 1
    return documents[:taken], documents[taken:]


def check(tok: bw.Tokenizer, documents: list[bytes]) -> None:
    """Stop if rows are not those of the definition."""
    texts = [text[:2000] for text in documents[:5]]
    ids = [tok.encode(text) for text in texts]
    contexts = [ids[at % 5][at : at + 9] for at in range(20)]
    for order, kind in ((5, Kneser), (None, Unbounded)):
        model = bw.NgramModel.fit(tok, texts, order=order)
        kinds = enumerate(tok.definition.kinds)
        outcomes = [id for id, kind in kinds if kind and not kind & SPECIAL] + [model.eos_id]
        definition = kind(ids, 5, end=model.eos_id, outcomes=outcomes)
        rows = np.exp(model.logprobs(contexts, dtype=np.float64))  # type: ignore[arg-type]
        for context, row in zip(contexts, rows, strict=True):
            expected = definition.row(context)
            if max(abs(row[id] - p) for id, p in expected.items()) > 1e-12:
                raise SystemExit("rows are not those of the definition: nothing to report")


def timed(work: Any) -> tuple[float, Any]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def counting(tok: bw.Tokenizer, documents: list[bytes]) -> float:
    """Seconds that plain Python takes to count n-grams: ten times those for a tenth of them."""
    ids = [tok.encode(text) for text in documents]
    wanted = sum(map(len, ids)) // 10
    while len(ids) > 1 and sum(map(len, ids)) - len(ids[-1]) > wanted:
        ids.pop()
    scale = 10 * wanted / sum(map(len, ids))
    counts: collections.Counter[tuple[int, ...]] = collections.Counter()

    def count() -> None:
        for row in ids:
            for length in range(1, 6):
                counts.update(zip(*(row[at:] for at in range(length)), strict=False))

    return timed(count)[0] * scale


def rows(model: bw.NgramModel, ids: Any) -> tuple[float, float]:
    """Microseconds for a row, and for the addition of one."""
    contexts = [ids[max(0, at - 40) : at] for at in range(2048)]
    base, out = np.zeros(model.width, np.float32), np.empty((BATCH, model.width), np.float32)

    def ours() -> None:
        for at in range(0, len(contexts), BATCH):
            model.logprobs(contexts[at : at + BATCH], threads=1)

    def least() -> None:
        for at in range(len(contexts)):
            np.add(base, np.float32(at), out=out[at % BATCH])

    taken = [(timed(ours)[0], timed(least)[0]) for _ in range(ROUNDS)]
    middle = [statistics.median(times) / len(contexts) * 1e6 for times in zip(*taken, strict=True)]
    return middle[0], middle[1]


def loss(model: bw.NgramModel, documents: list[bytes]) -> float:
    """Bits a byte, ends of documents included."""
    bits = size = tokens = 0.0
    for text in documents:
        ids = np.append(model.tokenizer.encode_array(text), np.int32(model.eos_id))
        for start in range(0, len(ids), BATCH):
            stop = min(start + BATCH, len(ids))
            found = model.logprobs([ids[:at] for at in range(start, stop)])
            bits -= float(found[np.arange(stop - start), ids[start:stop]].sum()) / np.log(2)
        size, tokens = size + len(text), tokens + len(ids)
        if tokens > HELD_OUT:
            break
    return bits / size


def peak(ranks: Path, documents: list[bytes], order: int | None) -> float:
    """Megabytes that a process takes at most for fitting, its documents mapped from a file."""
    with tempfile.TemporaryDirectory() as folder:
        table = pa.table({"text": pa.array(documents, pa.large_binary())})
        pa.feather.write_feather(table, f"{folder}/texts", compression="uncompressed")
        command = [sys.executable, __file__, "--peak", str(ranks), f"{folder}/texts", str(order)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(corpus: str, vocab: str, order: int | None, megabytes: float) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        ranks = unpack(f"{vocab}.tiktoken", Path(folder))
        tok = bw.Tokenizer.load(ranks)
        texts, held_out = parted(corpus, megabytes)
        check(tok, texts)
        tok.encode_batch(texts, threads=1)
        fits = [
            timed(lambda: bw.NgramModel.fit(tok, texts, order=order, threads=1))
            for _ in range(ROUNDS)
        ]
        model, path = fits[0][1], Path(folder, "model")
        save = timed(lambda: model.save(path))[0]
        load = timed(lambda: bw.NgramModel.load(path, tok))[0]
        row, least = rows(model, tok.encode_array(held_out[0]))
        return {
            "corpus": corpus,
            "vocab": vocab,
            "order": order,
            "bytes": sum(map(len, texts)),
            "ids": model.ids,
            "width": model.width,
            "fit, s": statistics.median(seconds for seconds, _ in fits),
            "Counter of 1 to 5, s": counting(tok, texts),
            "peak, MB": peak(ranks, texts, order),
            "model, MB": model.nbytes / 1e6,
            "save, s": save,
            "load, s": load,
            "row, us": row,
            "NumPy addition, us": least,
            "loss, bits a byte": loss(model, held_out),
        }


def fit_and_tell_peak(ranks: str, texts: str, order: str) -> None:
    tok = bw.Tokenizer.load(ranks)
    column = pa.feather.read_table(texts, memory_map=True).column("text")
    before = high_water()
    bw.NgramModel.fit(tok, column, order=None if order == "None" else int(order), threads=1)
    print(high_water() - before)


def high_water() -> float:
    """Megabytes that this process had at most; its parent's are not among them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    parser = argparse.ArgumentParser(description="The n-gram model.")
    parser.add_argument("--corpus", nargs="*", default=["english", "code"], choices=CORPORA)
    parser.add_argument("--vocab", nargs="*", default=["cl100k_base"])
    parser.add_argument("--order", nargs="*", default=["5", "none"])
    parser.add_argument("--size", type=float, default=10, help="megabytes of text to fit")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak:
        return fit_and_tell_peak(*asked.peak)
    for corpus in asked.corpus:
        for vocab in asked.vocab:
            for order in asked.order:
                longest = None if order == "none" else int(order)
                figures = measure(corpus, vocab, longest, asked.size)
                cells = [
                    f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
                    for name, value in figures.items()
                ]
                print("  ".join(cells), flush=True)
                if asked.out is not None:
                    write(asked.out, figures)


if __name__ == "__main__":
    main()
