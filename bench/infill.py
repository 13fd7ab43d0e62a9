"""Filling in: what a search finds where a piece of a text was taken out, and what it costs.

    python bench/infill.py
    python bench/infill.py --corpus code --spans 100 --out bench/records/infill.jsonl

Pieces of 4 to 24 bytes are taken out of texts nobody has seen, at random bytes, and middles of up
to twice their length are searched between what stood before and the 40 bytes behind, with the
default budget and an n-gram model of order 5 with a vocabulary of 4096, fitted to the rest of the
texts. Said are the shares of pieces for which a middle was found that is at least as likely as the
piece (shorter ones often are), and for which the likeliest is the piece; how much of the estimated
mass of all middles was explored rather than drawn; and contexts and processor time for each.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from cuts import documents
from record import write

import bytewright as bw

SIZES = (4, 8, 16, 24)
BEHIND = 40


def measure(model: bw.ByteModel, texts: list[bytes], size: int, spans: int) -> dict[str, Any]:
    chance = np.random.default_rng(size)
    texts = [text for text in texts if len(text) >= 500]
    as_likely, same, explored = [], [], []
    asked, started = model.contexts, time.process_time()
    for seed in range(spans):
        text = texts[int(chance.integers(len(texts)))]
        cut = int(chance.integers(50, 500 - size - BEHIND))
        before, piece, behind = text[:cut], text[cut : cut + size], text[cut + size :][:BEHIND]
        there = model.logprob(before + piece + behind) - model.logprob(before)
        found = model.infill_candidates(before, behind, max_bytes=2 * size, seed=seed)
        as_likely.append(found.logprobs.max() >= there - 1e-9)
        same.append(found.draw(temperature=0) == piece)
        explored.append(found.explored)
    return {
        "size": size,
        "spans": spans,
        "as likely": round(float(np.mean(as_likely)), 3),
        "the same": round(float(np.mean(same)), 3),
        "explored": round(float(np.mean(explored)), 3),
        "contexts": (model.contexts - asked) // spans,
        "ms": round(1e3 * (time.process_time() - started) / spans),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Filling in.")
    parser.add_argument("--corpus", default="demo")
    parser.add_argument("--pattern", default="gpt2")
    parser.add_argument("--spans", type=int, default=40)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    asked = parser.parse_args()
    texts = documents(asked.corpus)
    held_out, rest = texts[::50], [text for at, text in enumerate(texts) if at % 50]
    tok = bw.train(rest, 4096, pattern=asked.pattern)
    tokens = bw.NgramModel.fit(tok, rest, order=5)
    for size in SIZES:
        found = measure(bw.ByteModel(tokens), held_out, size, asked.spans)
        figures = {"corpus": asked.corpus, "pattern": asked.pattern, **found}
        print("  ".join(f"{name} {value}" for name, value in figures.items()), flush=True)
        if asked.out is not None:
            write(asked.out, figures)


if __name__ == "__main__":
    main()
