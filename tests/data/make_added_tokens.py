"""Recipe of `added_tokens.json`: where `tokenizers` finds added tokens in texts.

Run with `tokenizers==0.23.3` installed. The model is empty, so that only added tokens are seen;
`words` and `spaces` are all code points that count as such beside a token, as ranges.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, models

Token = dict[str, Any]
FLAGS = ("single_word", "lstrip", "rstrip", "special")
ALPHABET = "abc<>x_ \t\n\u3000\u200bé\u0301٣\u00a0\u0085"


def token(content: str, *flags: str) -> Token:
    return {"content": content, **{flag: flag in flags for flag in FLAGS}}


WRITTEN: list[tuple[list[Token], list[str]]] = [
    ([token("ab"), token("abc"), token("abcab"), token("ca")], ["abcab", "abcabcab", "cabcaabx"]),
    (
        [token("ab", "single_word")],
        ["ab", "xab ab abx", "_ab é\u0301ab ab", "ab٣ <ab>", "ab\u200bab"],
    ),
    ([token("ab", "single_word"), token("bc")], ["abc bc", "xabc"]),
    (
        [token("<x>", "lstrip"), token("<a>", "rstrip")],
        [" \n<x> \t<a>\u3000 b", "<a> <x>", " <x><a> "],
    ),
    (
        [token("<x>", "lstrip", "rstrip")],
        ["a <x> <x>  <x> b", "<x>", "  <x>  ", "a\u200b<x>\u0085"],
    ),
    ([token("<a>", "rstrip"), token("  ")], ["<a>   b", "<a>     b", "   <a> b"]),
    ([token("<a>", "rstrip"), token("  b", "lstrip")], ["<a>   b  b", "<a>  b"]),
    ([token(" ", "rstrip"), token("a")], ["a    a", "   ", " a "]),
    ([token(" "), token("  "), token("    ")], ["     a", "       ", "a b   c"]),
    ([token("<a>", "special"), token("a>b")], ["<a>b", "<a>", "a>b<a>a>b"]),
    ([token("<a>", "special", "lstrip"), token("<a", "special")], [" <a <a>", "<a<a>"]),
    ([token("a"), token("", "lstrip")], ["bab", ""]),
    ([token("ab"), token("ab", "lstrip")], ["x ab", "ab ab"]),
    ([], ["", "abc"]),
]


def tokenizer(tokens: list[Token]) -> Tokenizer:
    made = Tokenizer(models.BPE({}, []))
    made.add_tokens([AddedToken(**{"normalized": False, **each}) for each in tokens])
    return made


def parts(made: Tokenizer, text: str) -> list[list[int]]:
    """Start, end and id of every token found, in bytes."""
    encoded = made.encode(text)
    sizes = [0, *itertools.accumulate(len(char.encode()) for char in text)]
    return [
        [sizes[start], sizes[end], index]
        for index, (start, end) in zip(encoded.ids, encoded.offsets, strict=True)
    ]


def drawn(rng: random.Random) -> Iterator[tuple[list[Token], list[str]]]:
    """Sets of tokens without white space, where the reference never fails, and texts of them."""
    for _ in range(60):
        contents = {"".join(rng.choices("abc<>x_é", k=rng.randint(1, 4))) for _ in range(6)}
        tokens = [token(c, *(f for f in FLAGS if rng.random() < 0.3)) for c in sorted(contents)]
        pool = [*contents, *ALPHABET, "  ", " \n"]
        yield tokens, ["".join(rng.choices(pool, k=rng.randint(1, 12))) for _ in range(20)]


def ranges(codes: Iterator[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def touching(flag: str, found: list[list[int]]) -> list[list[int]]:
    """Ranges of the code points before which a token with `flag` matches as in `found`."""
    made = Tokenizer(models.BPE({}, []))
    made.add_tokens([AddedToken("ab", normalized=False, **{flag: True})])
    codes = (c for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    return ranges(
        c for c in codes if [list(o) for o in made.encode(f"{chr(c)}ab").offsets] == found
    )


def main() -> None:
    cases = []
    for tokens, texts in itertools.chain(WRITTEN, drawn(random.Random(23))):
        made = tokenizer(tokens)
        vocabulary = made.get_vocab()
        listed = [
            {"id": vocabulary.get(each["content"], 0), "normalized": False, **each}
            for each in tokens
        ]
        found = [parts(made, text) for text in texts]
        cases.append({"tokens": listed, "texts": texts, "found": found})
    document = {
        "made": (__doc__ or "").strip(),
        "cases": cases,
        "words": touching("single_word", []),
        "spaces": touching("lstrip", [[0, 3]]),
    }
    path = Path(__file__).with_name("added_tokens.json")
    lines = json.dumps(document, separators=(",", ":")).replace('},{"tokens', '},\n{"tokens')
    path.write_text(lines + "\n")


if __name__ == "__main__":
    main()
