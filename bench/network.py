"""A network of transformers: what its contexts cost, packed along their tree and not.

    python bench/network.py
    python bench/network.py --out bench/records/network.jsonl

A GPT-2 of random weights (4 layers, 256 wide, 50,257 tokens) on one core, processor time.
The contexts are those that a model of bytes asks for behind 768 bytes of text:
- score: all contexts of the next 256 bytes, in one call;
- next: those of 40 more bytes, a call for each byte.
Ours, with what was read before kept and without, beside the same contexts as one padded batch and
as one forward each. Rows are compared before anything is reported. The whole of `ByteModel` beside
genlm-bytes, where that is installed: milliseconds for each next byte (its beam keeps 5 sequences,
and drops those below 0.05; ours is exact).
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from encode import corpus_documents, unpack
from record import write

import bytewright as bw
from bytewright.models.extras import library

torch = library("torch", extra="torch")
transformers = library("transformers", extra="torch")

BEHIND, WINDOW, STEPS = 768, 256, 40
ROUNDS = 3
Figures = dict[str, Any]


def network(width: int, end: int) -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=width, n_embd=256, n_layer=4, n_head=8, bos_token_id=end, eos_token_id=end
    )
    return transformers.GPT2LMHeadModel(config).eval()


class Recorded:
    """A model that remembers what it was asked for, and wants to be asked at once."""

    contexts_at_once = 512

    def __init__(self, model: Any) -> None:
        self.tokenizer, self.eos_id, self.model = model.tokenizer, model.eos_id, model
        self.calls: list[list[Any]] = []

    def logprobs(self, contexts: Sequence[Any]) -> Any:
        self.calls.append(list(contexts))
        return self.model.logprobs(contexts)


def forward(net: Any, rows: list[list[int]]) -> Any:
    """Log-probabilities behind rows of one forward, filled up behind their ends."""
    longest = max(map(len, rows))
    filled = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    last = torch.tensor([len(row) - 1 for row in rows])
    with torch.inference_mode():
        hidden = net.transformer(filled, use_cache=False).last_hidden_state
        logits = net.lm_head(hidden[torch.arange(len(rows)), last])
        return logits.log_softmax(-1).numpy()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds of processor time, and the result."""
    started = time.process_time_ns()
    result = work()
    return (time.process_time_ns() - started) / 1e6, result


def calls_of(model: Any, text: bytes) -> tuple[list[Any], list[list[Any]]]:
    """What is asked for before, for a window, and for each byte of some steps."""
    recorded = Recorded(model)
    asking = bw.ByteModel(recorded, memory=0)
    asking.score(text[: BEHIND + WINDOW])
    window = recorded.calls[-1]
    state = asking.start(text[: BEHIND + WINDOW])
    state.next()
    recorded.calls.clear()
    for byte in text[BEHIND + WINDOW : BEHIND + WINDOW + STEPS]:
        state.next()
        state.advance(bytes([byte]))
    return window, recorded.calls


def ways(net: Any, tok: bw.Tokenizer, end: int) -> dict[str, Callable[[list[Any]], Any]]:
    kept = bw.TransformersModel(net, tokenizer=tok)
    bare = bw.TransformersModel(net, tokenizer=tok, memory=0)

    def rows(contexts: list[Any]) -> list[list[int]]:
        return [[end, *context.tolist()] for context in contexts]

    return {
        "packed, kept": kept.logprobs,
        "packed": bare.logprobs,
        "one batch": lambda contexts: forward(net, rows(contexts)),
        "one by one": lambda contexts: np.concatenate(
            [forward(net, [row]) for row in rows(contexts)]
        ),
    }


def genlm(net: Any, tok: bw.Tokenizer, text: bytes, folder: Path) -> float | None:
    """Milliseconds for each next byte of genlm-bytes behind a text."""
    try:
        from genlm.backend.llm import AsyncTransformer
        from genlm.bytes import BeamParams, ByteBeamState
    except ImportError:
        return None
    tok.save(folder / "tokenizer.json")
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        **{f"{kind}_token": "<|endoftext|>" for kind in ("bos", "eos", "pad")},
    )

    async def walk() -> float:
        model = AsyncTransformer(net, theirs, timeout=0.0)
        params = BeamParams(K=5, prune_threshold=0.05)
        beam = await ByteBeamState.initial(model, params)
        beam = await beam.prefill(text[:BEHIND])
        started = time.process_time_ns()
        for byte in text[BEHIND : BEHIND + STEPS]:
            await beam.logp_next()
            beam = await (beam.prune() << byte)
        taken = (time.process_time_ns() - started) / 1e6 / STEPS
        await beam.cleanup()
        return taken

    return asyncio.run(walk())


def main() -> None:
    parser = argparse.ArgumentParser(description="A network of transformers.")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON lines")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tok = bw.Tokenizer.load(unpack("r50k_base.tiktoken", folder))
        end = tok.special_tokens["<|endoftext|>"]
        text = b"\n".join(corpus_documents("english"))[200_000:]
        net = network(tok.vocab_size, end)
        window, steps = calls_of(bw.TransformersModel(net, tokenizer=tok), text)
        figures: Figures = {"contexts of 256 bytes": len(window)}
        figures["contexts of 40 bytes"] = sum(map(len, steps))
        figures["tokens in a context"] = round(float(np.mean([len(ids) for ids in window])))
        known = tok.encode_array(text[:BEHIND])[:-5]
        taken: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            rows = {}
            for way, ask in ways(net, tok, end).items():
                ask([known])
                used, rows[way] = timed(lambda ask=ask: ask(window))
                taken.setdefault(f"score, {way}", []).append(used / len(window))
                used, _ = timed(lambda ask=ask: [ask(call) for call in steps])
                taken.setdefault(f"next, {way}", []).append(used / figures["contexts of 40 bytes"])
            if any(np.abs(row - rows["one by one"]).max() > 1e-3 for row in rows.values()):
                raise SystemExit("rows differ: nothing to report")
        for way, used in taken.items():
            figures[f"{way}, ms a context"] = round(statistics.median(used), 2)
        state = bw.ByteModel(bw.TransformersModel(net, tokenizer=tok)).start(text[:BEHIND])
        state.next()

        def walk() -> None:
            for byte in text[BEHIND : BEHIND + STEPS]:
                state.next()
                state.advance(bytes([byte]))

        figures["ByteModel, ms a byte"] = round(timed(walk)[0] / STEPS, 2)
        theirs = genlm(net, tok, text, folder)
        if theirs is not None:
            figures["genlm-bytes, ms a byte"] = round(theirs, 2)
    print("\n".join(f"{name}: {value}" for name, value in figures.items()))
    if asked.out is not None:
        write(asked.out, figures)


if __name__ == "__main__":
    main()
