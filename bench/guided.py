"""Constraints on drawn texts, and tokens of another vocabulary: costs and errors.

    python bench/guided.py
    python bench/guided.py --out bench/records/guided.jsonl

On processor time, with an n-gram model of Python's own texts:
- choices: the total variation between the probabilities of lines that a constraint lists, given
  that it is one of them, and those of masked drawing (computed, not drawn), and the shares of 100
  and of 1000 weighted texts;
- a pattern: the same constraint as masks and as a function that is asked, calls a byte, and how far
  the logarithms of the estimated probability of a match lie apart over ten seeds;
- tokens: the distributions of a teacher that a student's next token takes, by the bound of the
  error.
The lines' probabilities add up to the estimate, and texts match by `re`, before anything is told.
"""

import argparse
import re
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import write

import bytewright as bw
from bytewright import demo

PROMPT = "import os\nimport "
PATTERN = r"[a-z_]+\((?:[a-z_]+(?:, [a-z_]+)*)?\)"
CONTEXTS = ("for name in sorted", "import os\n\ndef read(path", "Return the number of")


def distance(one: dict[bytes, float], other: dict[bytes, float]) -> float:
    return 0.5 * sum(abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in {*one, *other})


def masked(model: bw.ByteModel, lines: list[bytes]) -> dict[bytes, float]:
    """What each line is drawn with where every step shares out what is allowed."""
    found = {}
    for line in lines:
        p, state, place = 1.0, model.start(PROMPT), bw.ChoiceConstraint(lines).start(b"")
        for byte in line:
            probs = np.where(place.mask(len(max(lines, key=len))), state.next().probs, 0.0)
            p *= probs[byte] / probs.sum()
            state, place = state.advance(bytes([byte])), place.after(byte)
        found[line] = float(p)
    return found


def choices(model: bw.ByteModel) -> dict[str, Any]:
    modules = re.findall(r"(?m)^import (\w+)$", "\n".join(text for _, text in demo.documents()))
    lines = sorted({f"{name}\n".encode() for name in modules})
    before = model.logprob(PROMPT)
    exact = {line: float(np.exp(model.logprob(PROMPT.encode() + line) - before)) for line in lines}
    total = sum(exact.values())
    posterior = {line: p / total for line, p in exact.items()}
    figures: dict[str, Any] = {"lines": len(lines), "probability": total}
    figures["masked"] = distance(posterior, masked(model, lines))
    for particles in (100, 1000):
        drawn = [
            bw.sample_weighted(
                model, PROMPT, constraint=bw.ChoiceConstraint(lines), particles=particles,
                max_bytes=40, ends="match", seed=seed,
            )
            for seed in range(5)
        ]  # fmt: skip
        if particles == 1000:
            assert abs(np.mean([np.exp(one.logprob) for one in drawn]) / total - 1) < 0.1
        far = statistics.mean(distance(posterior, one.shares()) for one in drawn)
        figures[f"{particles} weighted"] = far
    return figures


def pattern(model: bw.ByteModel) -> dict[str, Any]:
    matcher = re.compile(PATTERN.encode())
    calls = 0

    def begins(text: bytes) -> bool:
        nonlocal calls
        calls += 1
        name, _, rest = text.partition(b"(")
        letters = re.fullmatch(b"[a-z_]+", name) is not None
        return letters and re.fullmatch(rb"(?:[a-z_]+(?:,|, |, [a-z_]+)*)?\)?", rest) is not None

    asked = bw.CallableConstraint(lambda text: bool(matcher.fullmatch(text)), begins=begins)
    figures: dict[str, Any] = {}
    for name, constraint in (("masks", bw.RegexConstraint(PATTERN)), ("asked", asked)):
        logprobs, size, calls, started = [], 0, 0, time.process_time()
        for seed in range(10):
            drawn = bw.sample_weighted(
                model, "def ", constraint=constraint, particles=50, max_bytes=40, ends="match",
                seed=seed,
            )  # fmt: skip
            assert all(matcher.fullmatch(text) for text in drawn.shares())
            logprobs.append(drawn.logprob)
            size += sum(len(one.text) for one in drawn.texts)
        spent = time.process_time() - started
        figures[name] = {
            "logprob": statistics.mean(logprobs),
            "apart": statistics.stdev(logprobs),
            "calls a byte": calls / size,
            "ms a byte": 1e3 * spent / size,
        }
    return figures


def tokens() -> dict[str, Any]:
    documents = [text for _, text in demo.documents()]
    teacher = bw.ByteModel(bw.NgramModel.fit(bw.train(documents, 8192, pattern="o200k"), documents))
    student = bw.train(documents, 4096, pattern="gpt2")
    figures: dict[str, Any] = {"teacher": 8192, "student": 4096}
    for epsilon in (0.3, 0.1, 0.03):
        model = bw.TranslatedModel(teacher, student, epsilon=epsilon, budget=None)
        started = time.process_time()
        found = [model.next(text) for text in CONTEXTS]
        spent = time.process_time() - started
        asked = sum(one.calls for one in found)
        figures[f"bound {epsilon}"] = {
            "distributions": asked / len(found), "ms a distribution": 1e3 * spent / asked
        }  # fmt: skip
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    texts = [text for _, text in demo.documents()]
    model = bw.ByteModel(bw.NgramModel.fit(demo.tokenizer(), texts))
    for name, figures in (
        ("choices", choices(model)), ("pattern", pattern(model)), ("tokens", tokens())
    ):  # fmt: skip
        print(name, figures)
        if options.out:
            write(options.out, {"bench": name, **figures})


if __name__ == "__main__":
    main()
