"""Byte probabilities: what a context costs beside running the model.

    python bench/bytelm.py
    python bench/bytelm.py --vocab o200k_base.tiktoken --out bench/records/bytelm.jsonl

A text is walked byte by byte with rows of random logits, on one thread and processor time:
- context: from a row of logits to the probabilities of the next bytes that follow from it, masked
  by what the tokenizer can make (semantics "valid"), rows being float32;
- context f16, context bf16: the same from rows of 16 bits, and "widened first" what it takes where
  NumPy makes float32 of them;
- other bytes: the probabilities at the next byte, without the row that is new there;
- push: reading a byte.
Peers, interleaved, from the same rows to the masses of the first bytes:
- NumPy: exponentials, in byte order, summed by `add.reduceat` (float32, and with float64 sums);
- genlm-bytes, where it is installed: exponentials and the sparse product of its trie, for all
  nodes.
All masses of first bytes are compared with semantics "all" before anything is reported, and those
of rows of 16 bits have to equal those of the same numbers as float32. Contexts per byte are those
of an n-gram model fitted to the corpus, on documents it has not seen and on documents it knows,
with the bits that a byte takes, for what `epsilon` saves hangs on how sure the model is. For the
semantics "all", which adds up every sequence of tokens, also the processor time of a byte, the
model's own among it. Such a model says how far it looks back, so that sequences that end alike are
one.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from encode import corpus_documents, unpack
from record import write

import bytewright as bw
from bytewright import _core
from bytewright.definition import SPECIAL

VOCABS = ["cl100k_base.tiktoken", "tekken_240718.json", "o200k_base.tiktoken"]
STEPS = 600
PEER_ROUNDS = 15
PARTS = ("context", "other bytes", "push")
ALL_ORDERS = (2, 3, 5)
ALL_BYTES = 400
STEPPED, SCORED = 3_000, 10_000
Figures = dict[str, Any]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Microseconds of processor time, and the result."""
    started = time.process_time_ns()
    result = work()
    return (time.process_time_ns() - started) / 1e3, result


def names(tok: bw.Tokenizer) -> list[bytes]:
    """The bytes of each id that is text; none for others."""
    kinds = enumerate(tok.definition.kinds)
    return [tok.token_bytes(at) if kind and not kind & SPECIAL else b"" for at, kind in kinds]


def numpy_masses(tok: bw.Tokenizer, width: int) -> Callable[[Any, Any], Any]:
    tokens = sorted((name, at) for at, name in enumerate(names(tok)) if name)
    order = np.array([at for _, at in tokens])
    first = np.array([token[0] for token, _ in tokens])
    bounds = np.flatnonzero(np.diff(first, prepend=-1))

    def masses(row: Any, dtype: Any) -> Any:
        weights = np.exp(row[:width] - row[:width].max())
        sums = np.zeros(256)
        sums[first[bounds]] = np.add.reduceat(weights[order], bounds, dtype=dtype)
        return sums / weights.sum(dtype=np.float64)

    return masses


def genlm_masses(tok: bw.Tokenizer, width: int) -> Callable[[Any], Any] | None:
    try:
        import torch
        from genlm.backend.tokenization import Token
        from genlm.bytes.trie import TokenByteTrie
    except ImportError:
        return None
    torch.set_num_threads(1)
    tokens = [Token(at, name) for at, name in enumerate(names(tok))]
    trie = TokenByteTrie(tokens, device="cpu")
    starts = [(byte, node) for byte, node in trie.children[trie.root].items() if byte in range(256)]

    def masses(row: Any) -> Any:
        probs = torch.softmax(torch.from_numpy(row[:width]), 0)
        sums = torch.log(trie.weight_sum(probs)).numpy()
        found = np.zeros(256)
        for byte, node in starts:
            found[byte] = np.exp(sums[node])
        return found

    return masses


def half_rows(rows: Any) -> dict[str, tuple[Any, Callable[[Any], Any]]]:
    """Rows of 16 bits as the core takes them, and how NumPy widens them."""

    def widen(bits: Any) -> Any:
        return (bits.astype(np.uint32) << 16).view(np.float32)

    halves = {"f16": (rows.astype(np.float16), lambda given: given.astype(np.float32))}
    # Cut off, and not rounded: which numbers they are does not matter.
    return halves | {"bf16": ((rows.view(np.uint32) >> 16).astype(np.uint16), widen)}


def check_halves(vocab: _core.ByteVocab, rows: Any) -> None:
    for halves, widen in half_rows(rows).values():
        masses = []
        for given in (halves, widen(halves)):
            tree = vocab.tree(0.0)
            tree.feed(tree.pending("next"), given)
            masses.append(tree.next()[0])
        if not (masses[0] == masses[1]).all():
            raise SystemExit("masses of rows of 16 bits differ: nothing to report")


def fed(tree: _core.ByteTree, nodes: Any, rows: Any, change: Callable[[Any], Any] | None) -> None:
    tree.feed(nodes, change(rows) if change else rows)


def walk(
    tok: bw.Tokenizer, text: bytes, rows: Any, change: Callable[[Any], Any] | None = None
) -> tuple[list[float], list[float], list[float]]:
    """Microseconds of each context, each distribution after it, and each byte that is read."""
    vocab = _core.ByteVocab(tok._core, [], "valid")
    taken: tuple[list[float], list[float], list[float]] = ([], [], [])
    for warm in (True, False):
        tree = vocab.tree(0.0)
        for at in range(len(text)):
            nodes = tree.pending("next")
            if len(nodes):
                picked = np.ascontiguousarray(rows[[at % len(rows)] * len(nodes)])
                used, _ = timed(partial(fed, tree, nodes, picked, change))
                if not warm:
                    taken[0].append(used / len(nodes))
            used, _ = timed(tree.next)
            pushed, _ = timed(partial(tree.advance, text[at : at + 1]))
            if not warm:
                taken[1].append(used)
                taken[2].append(pushed)
            tree.skip()
    return taken


def contexts(tok: bw.Tokenizer, corpus: str) -> Figures:
    """Contexts that a byte costs, of new text and of text that the model was fitted to."""
    documents = corpus_documents(corpus)
    middle = len(documents) * 9 // 10
    model = bw.NgramModel.fit(tok, documents[:middle], order=5)
    figures: Figures = {}
    for name, part in ((corpus, documents[middle:]), (f"{corpus}, known", documents[:middle])):
        text = b"\n".join(part)[:SCORED]
        for epsilon in (0.0, 1e-3):
            figures[f"{name}, epsilon {epsilon}"] = asked_for(model, epsilon, text)
    return figures


def asked_for(model: bw.NgramModel, epsilon: float, text: bytes) -> Figures:
    """Contexts a byte, by what is wanted of a text, and the bits that a byte takes."""

    def fresh() -> bw.ByteModel:
        return bw.ByteModel(model, epsilon=epsilon, memory=0)

    stepped, scored, whole, given = fresh(), fresh(), fresh(), fresh()
    state = stepped.start()
    for at in range(STEPPED):
        state.next()
        state.advance(text[at : at + 1])
    bits = -scored.score(text).mean() / np.log(2)
    whole.logprob(text)
    given.given(text).next()
    return {
        "next": round(stepped.contexts / STEPPED, 3),
        "score": round(scored.contexts / len(text), 3),
        "logprob": round(whole.contexts / len(text), 3),
        "given": round(given.contexts / len(text), 4),
        "bits": round(float(bits), 3),
    }


def every_sequence(tok: bw.Tokenizer) -> Figures:
    """Contexts and milliseconds of a byte under the semantics "all", by the model's order."""
    documents = corpus_documents("english")
    middle = len(documents) * 9 // 10
    text = b"\n".join(documents[middle:])[:ALL_BYTES]
    figures: Figures = {}
    for order in ALL_ORDERS:
        tokens = bw.NgramModel.fit(tok, documents[:middle], order=order)
        model = bw.ByteModel(tokens, semantics="all")
        state = model.start()

        def step(byte: bytes, state: bw.ByteState = state) -> None:
            state.next()
            state.advance(byte)

        used = sum(timed(partial(step, bytes([byte])))[0] for byte in text)
        # The encoding of the text is one of its sequences.
        if state.logprob < bw.ByteModel(tokens).logprob(text) - 1e-6:
            raise SystemExit("all sequences are less likely than one: nothing to report")
        figures[f"order {order}"] = {
            "contexts": round(model.contexts / len(text), 2),
            "ms": round(used / len(text) / 1e3, 2),
        }
    return figures


def measure(vocab: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        tok = bw.Tokenizer.load(unpack(vocab, Path(folder)))
    width = tok.vocab_size
    chance = np.random.default_rng(0)
    rows = chance.normal(0, 2, (8, width)).astype(np.float32)
    rows[:, [not name for name in names(tok)]] = -np.inf
    by_numpy, by_genlm = numpy_masses(tok, width), genlm_masses(tok, width)
    all_text = _core.ByteVocab(tok._core, [], "all")
    for row in rows[:2]:
        tree = all_text.tree(0.0)
        tree.feed(tree.pending("next"), row[None, :])
        ours = np.exp(tree.next()[0][:256])
        peers = [by_numpy(row, np.float64)] + ([by_genlm(row)] if by_genlm else [])
        if not all(np.abs(ours - peer).sum() < 1e-5 for peer in peers):
            raise SystemExit("masses differ: nothing to report")
        check_halves(all_text, row[None, :])
    text = b"\n".join(corpus_documents("english"))[200_000 : 200_000 + STEPS]
    taken: dict[str, list[float]] = {}
    for at in range(PEER_ROUNDS):
        row = rows[at % len(rows)]
        used = [("NumPy, us", timed(partial(by_numpy, row, np.float32))[0])]
        used.append(("NumPy f64, us", timed(partial(by_numpy, row, np.float64))[0]))
        if by_genlm:
            used.append(("genlm-bytes, us", timed(partial(by_genlm, row))[0]))
        if at % 5 == 0:
            for name, times in zip(PARTS, walk(tok, text, rows), strict=True):
                taken.setdefault(f"{name}, us", []).extend(times)
            for kind, (halves, widen) in half_rows(rows).items():
                for name, change in ((kind, None), (f"{kind} widened first", widen)):
                    times = walk(tok, text, halves, change)[0]
                    taken.setdefault(f"context {name}, us", []).extend(times)
        for name, microseconds in used:
            taken.setdefault(name, []).append(microseconds)
    figures: Figures = {"vocab": vocab, "width": width}
    figures |= {name: round(statistics.median(times), 1) for name, times in taken.items()}
    figures |= {"contexts a byte": contexts(tok, "english") | contexts(tok, "code")}
    return figures | {"a byte of all sequences": every_sequence(tok)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Byte probabilities.")
    parser.add_argument("--vocab", nargs="*", default=VOCABS)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    asked = parser.parse_args()
    for vocab in asked.vocab:
        figures = measure(vocab)
        print("  ".join(f"{name} {value}" for name, value in figures.items()), flush=True)
        if asked.out is not None:
            write(asked.out, figures)


if __name__ == "__main__":
    main()
