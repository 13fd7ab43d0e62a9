"""Writes pretokenizer_steps.json: what `tokenizers` does with lists of steps, on texts of our own.

Run `python tests/data/pretokenizer_steps.py` with tokenizers 0.23.3 installed; the random texts are
seeded, so the file comes out the same.
"""

import itertools
import json
import random
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenizers import Regex
from tokenizers.pre_tokenizers import (
    Digits,
    PreTokenizer,
    Punctuation,
    Sequence,
    Split,
    Whitespace,
    WhitespaceSplit,
)

BEHAVIORS = ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]
REGEXES = [
    r"\s+",
    r"[A-Z]",
    r"b|ab|a",
    r"x*",
    r"(?=[A-Z])",
    r"(?<=,)",
    r"(?<=\p{L})(?!\p{L})",
    r"\p{N}{1,2}",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
STRINGS = [" ", "ab", "", ".", "中", "a+"]
CHARACTERS = [
    *"aabbxABX  ,,.+-12",
    *["\n", "\r\n", "\t", "é", "E\u0301", "中", "文", "²", "٣", "½", "،", "।", "_", "…", "«", "$"],
    *["\u3000", "\u00a0", "😀", "\u200b", "ab", "a+", "xx", "  "],
]


def split_steps() -> Iterator[dict[str, Any]]:
    """Every pattern with every behaviour, inverted or not."""
    patterns = [{"regex": regex} for regex in REGEXES] + [{"string": text} for text in STRINGS]
    for pattern, behavior, invert in itertools.product(patterns, BEHAVIORS, [False, True]):
        yield {"type": "split", **pattern, "behavior": behavior, "invert": invert}


def class_steps() -> Iterator[dict[str, Any]]:
    """The steps that are not splits."""
    yield from ({"type": "punctuation", "behavior": behavior} for behavior in BEHAVIORS)
    yield from ({"type": "digits", "individual": individual} for individual in [False, True])
    yield from ({"type": "whitespace"}, {"type": "whitespace_split"})


def reference(step: dict[str, Any]) -> PreTokenizer:
    """The same step in `tokenizers`."""
    match step:
        case {"type": "split", "behavior": behavior, "invert": invert}:
            pattern = step["string"] if "string" in step else Regex(step["regex"])
            return Split(pattern, behavior, invert)
        case {"type": "digits", "individual": individual}:
            return Digits(individual_digits=individual)
        case {"type": "punctuation", "behavior": behavior}:
            return Punctuation(behavior)
        case {"type": "whitespace"}:
            return Whitespace()
        case _:
            return WhitespaceSplit()


def pieces(pre_tokenizer: PreTokenizer, text: str) -> list[int]:
    """Start, end, start, end... of the pieces, in bytes of UTF-8."""
    offsets = [0, *itertools.accumulate(len(c.encode()) for c in text)]
    spans = (span for _, span in pre_tokenizer.pre_tokenize_str(text))
    return [offsets[position] for span in spans for position in span]


def ranges(code_points: Iterable[int]) -> list[list[int]]:
    """The runs of increasing numbers, as first and last."""
    runs: list[list[int]] = []
    for code in code_points:
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return runs


def isolated(pre_tokenizer: PreTokenizer) -> list[list[int]]:
    """The characters that the pre-tokenizer cuts out from between two letters."""
    every = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    return ranges(c for c in every if len(pre_tokenizer.pre_tokenize_str(f"a{chr(c)}a")) > 1)


def main() -> None:
    """Writes the file beside this one."""
    rng = random.Random(20)
    splits, classes = list(split_steps()), list(class_steps())
    lists = [[step] for step in [*splits, *classes]]
    for length in [2, 3, 4] * 20:
        lists.append([rng.choice(splits + classes * 6) for _ in range(length)])
    groups = []
    for steps in lists:
        sequence = Sequence([reference(step) for step in steps])
        texts = ["".join(rng.choices(CHARACTERS, k=rng.randrange(16))) for _ in range(6)]
        groups.append({"steps": steps, "cases": [[t, pieces(sequence, t)] for t in texts]})
    head = {
        "made_by": "tests/data/pretokenizer_steps.py",
        "library": f"tokenizers {version('tokenizers')}",
        "cases": "[text, start and end of each piece in bytes, flat]",
        "numeric": isolated(Digits(individual_digits=True)),
        "punctuation": isolated(Punctuation("isolated")),
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    rows = ",\n".join(json.dumps(group) for group in groups)
    text = "{\n" + ",\n".join(lines) + ',\n"groups": [\n' + rows + "\n]}\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
