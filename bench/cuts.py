"""Random cuts: what the next byte costs where a text ends anywhere, by method.

    python bench/cuts.py
    python bench/cuts.py --corpus english --cuts 2000 --out bench/records/cuts.jsonl

Texts nobody has seen end at a random byte, most often inside a token, and each method says how
likely the byte is that follows there: the exact model of bytes, token healing, token alignment with
one and with three tokens taken back, and the tokens of the prompt as they are. All ask the same
n-gram model of order 5 with a vocabulary of 4096, trained and fitted on the rest of the texts. Bits
are means over the cuts; "inside" are the cuts inside a token.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from encode import corpus_documents
from record import write

import bytewright as bw
from bytewright import demo


def documents(corpus: str) -> list[bytes]:
    """Texts of at most 2000 bytes."""
    if corpus == "demo":
        texts = [text.encode() for _, text in demo.documents()]
    else:
        texts = corpus_documents(corpus)
    return [text[at : at + 2000] for text in texts for at in range(0, len(text), 2000)]


def methods(tokens: bw.NgramModel) -> dict[str, bw.BytePredictor]:
    return {
        "exact": bw.ByteModel(tokens),
        "healing": bw.BaselineModel(tokens, method="healing"),
        "alignment 1": bw.BaselineModel(tokens, method="alignment", back=1),
        "alignment 3": bw.BaselineModel(tokens, method="alignment", back=3),
        "naive": bw.BaselineModel(tokens, method="naive"),
    }


def measure(corpus: str, pattern: str, cuts: int) -> dict[str, Any]:
    texts = documents(corpus)
    held_out, rest = texts[::50], [text for at, text in enumerate(texts) if at % 50]
    tok = bw.train(rest, 4096, pattern=pattern)
    models = methods(bw.NgramModel.fit(tok, rest, order=5))
    chance = np.random.default_rng(0)
    inside = np.zeros(cuts, bool)
    bits = {name: np.zeros(cuts) for name in models}
    used = dict.fromkeys(models, 0.0)
    for number in range(cuts):
        text = held_out[int(chance.integers(len(held_out)))]
        cut = int(chance.integers(1, min(500, len(text))))
        inside[number] = cut not in tok.encode_offsets(text)[1]
        for name, model in models.items():
            started = time.process_time()
            bits[name][number] = -model.start(text[:cut]).next().logprobs[text[cut]] / np.log(2)
            used[name] += time.process_time() - started
    figures: dict[str, Any] = {
        "corpus": corpus, "pattern": pattern, "bytes": sum(map(len, rest)), "cuts": cuts,
        "cuts inside": int(inside.sum()),
    }  # fmt: skip
    for name, each in bits.items():
        figures[name] = {
            "bits": round(float(each.mean()), 3),
            "inside": round(float(each[inside].mean()), 3),
            "exact / this": round(float(bits["exact"].mean() / each.mean()), 3),
            "ms": round(1e3 * used[name] / cuts, 2),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Random cuts.")
    parser.add_argument("--corpus", nargs="*", default=["demo"])
    parser.add_argument("--pattern", default="gpt2")
    parser.add_argument("--cuts", type=int, default=600)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    asked = parser.parse_args()
    for corpus in asked.corpus:
        figures = measure(corpus, asked.pattern, asked.cuts)
        print("\n".join(f"{name}: {value}" for name, value in figures.items()), flush=True)
        if asked.out is not None:
            write(asked.out, figures)


if __name__ == "__main__":
    main()
