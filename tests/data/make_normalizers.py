"""Recipe of `normalizers.json`: what `tokenizers` and `sentencepiece` make of texts.

Run with `tokenizers==0.23.3` and `sentencepiece==0.2.3` installed. The texts are written or drawn
here with a fixed seed; the sweep hashes the output for every code point in use, in blocks.
"""

from __future__ import annotations

import base64
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as protobuf
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

Step = dict[str, Any]
BLOCK = 4096
# Planes 4 to 13 are empty and 15 and 16 private: as dull as the blocks left out of plane 14.
STARTS = [*range(0, 0x40000, BLOCK), 0xE0000]
SURROGATES = range(0xD800, 0xE000)

WRITTEN = [
    "",
    " ",
    "a",
    "  two  spaces  ",
    "\t\n x \r\n",
    "Ångström \u212b A\u030a",
    "e\u0301 é E\u0301",
    "a\u0323\u0301 a\u0301\u0323",
    "\u0301\u0323start",
    "q\u0307\u0323 \u1e0b\u0323",
    "\u1100\u1161\u11a8 \uac00\u11a8 \u1100\u1161\u1161",
    "가각갂",
    "\u0958 \u0915\u093c",
    "\u09c7\u09be \u09c7\u0301\u09be",
    "\ufb01ne \ufdfa",
    "ＦＵＬＬ　ｗｉｄｔｈ ｶﾞ",
    "①½²",
    "ΑΣ ΟΔΟΣ.",
    "İstanbul ISPARTA ı",
    "Straße ẞ",
    "\u2581a\u2581\u2581b",
    "x\u00a0\u2003y\u3000",
    "\u200bz\u200d\ufeff",
    "\x00\x01\x0b\x0c\x7f\x85\x8f\x9f",
    "\u2126 \u1f71 \u0344 \u0340",
    "\U0001d15e\U0002f800",
    "aaaaa",
    "aabaab",
    "▁▁",
    "\u0345\u0301\u0323\u0334",
    "\U0001f600\u200d\U0001f468",
    "ǅ Ǆ ǆ",
    "\u0cc6\u0cc2\u0cd5",
    "Việt Nam Vie\u0302\u0323t",
    "שָׁלוֹם",
    "مَرْحَبًا",
    "हिन्दी क़",
    "\u1e9b\u0323",
]
POOLS = [
    "ab \u0300\u0301\u0308\u0323\u0327\u0334\u0345\u1dce",
    "aAéÉİßẞΣσ\u0130\u0307",
    "\u1100\u1161\u11a8\uac00\uac01\u1112\u1175\u11c2",
    " \t\n\r\u00a0\u2003\u3000\u200b\u2581xX",
    "ﬁＡ\ufdfaｶﾞ①½\u0958\u0915\u093c\u09c7\u09be\u2f00",
    "\x01\x0b\x7f\x9f\ufeff\ufffd\u200d\u1680y ",
    "\u05d0\u05b0\u05b9\u05bc\u0627\u064b\u0651\u0670\u093c\u094d\u0e38\u0f71",
]


def texts(rng: random.Random) -> list[str]:
    drawn = ["".join(rng.choices(pool, k=rng.randint(1, 12))) for pool in POOLS for _ in range(25)]
    wild = ["".join(map(chr, rng.sample(range(0x20, 0xD800), 8))) for _ in range(40)]
    return WRITTEN + drawn + wild


def simple() -> Iterator[tuple[list[Step], Callable[[str], str]]]:
    """Pairs of our steps and a function of the reference."""
    n = normalizers
    for name in ("nfc", "nfd", "nfkc", "nfkd"):
        yield [{"type": name}], getattr(n, name.upper())().normalize_str
    yield [{"type": "lowercase"}], n.Lowercase().normalize_str
    yield [{"type": "strip_accents"}], n.StripAccents().normalize_str
    yield [{"type": "nmt"}], n.Nmt().normalize_str
    yield [{"type": "prepend", "content": "▁"}], n.Prepend("▁").normalize_str
    for old, new in ((" ", "▁"), ("aa", "b"), ("\u2581", " "), ("a", "")):
        step = {"type": "replace", "string": old, "content": new}
        yield [step], n.Replace(old, new).normalize_str
    for left, right in ((True, True), (True, False), (False, True), (False, False)):
        strip: Step = {"type": "strip", "left": left, "right": right}
        yield [strip], n.Strip(left=left, right=right).normalize_str
    chain = n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase(), n.Strip(), n.NFKC()])
    names = [{"type": "nfd"}, {"type": "strip_accents"}, {"type": "lowercase"}]
    strip = {"type": "strip", "left": True, "right": True}
    yield [*names, strip, {"type": "nfkc"}], chain.normalize_str


def regexes() -> Iterator[tuple[list[Step], Callable[[str], str]]]:
    for regex, new in (
        (r"\s+", " "),
        (r" {2,}", "▁"),
        (r"[aA]\p{M}*", "-"),
        (r"\p{L}+", "w"),
        (r"a*", "-"),
    ):
        step = {"type": "replace", "regex": regex, "content": new}
        yield [step], normalizers.Replace(Regex(regex), new).normalize_str


def prefixes() -> Iterator[tuple[list[Step], Callable[[str], str]]]:
    """Prefixes are part of pre-tokenizers there."""
    spaces = {"type": "replace", "string": " ", "content": "▁"}
    for scheme, scope in (("always", "every"), ("first", "first")):
        metaspace = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
        step = {"type": "prefix", "content": "▁", "unless": "content", "scope": scope}
        yield [spaces, step], lambda text, pre=metaspace: joined(pre, text)  # type: ignore[misc]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)
    step = {"type": "prefix", "content": " ", "unless": "content", "scope": "every"}
    to_text = decoders.ByteLevel()
    yield [step], lambda text: to_text.decode([joined(byte_level, text)]) if text else ""


def joined(pre_tokenizer: Any, text: str) -> str:
    return "".join(piece for piece, _ in pre_tokenizer.pre_tokenize_str(text)) if text else ""


def firsts(all_texts: list[str]) -> Iterator[tuple[list[Step], Callable[[str], str]]]:
    """Scope `first` after steps that may remove the start, seen through whole encodings."""
    prefix = {"type": "prefix", "content": "▁", "unless": "content", "scope": "first"}
    spaces = {"type": "replace", "string": " ", "content": "▁"}
    decomposed = normalizers.NFD().normalize_str("".join(all_texts))
    alphabet = {"▁", "z", *decomposed, *"".join(all_texts)}
    vocabulary = {char: index for index, char in enumerate(sorted(alphabet))}
    n = normalizers
    removing: list[tuple[Step, Any]] = [
        ({"type": "strip", "left": True, "right": False}, n.Strip(left=True, right=False)),
        ({"type": "replace", "string": "a", "content": ""}, n.Replace("a", "")),
        ({"type": "strip_accents"}, n.StripAccents()),
        ({"type": "nfd"}, n.NFD()),
        ({"type": "prepend", "content": "z"}, n.Prepend("z")),
    ]
    for step, normalizer in removing:
        tokenizer = Tokenizer(models.BPE(vocabulary, []))
        tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        yield [step, spaces, prefix], lambda t, of=tokenizer: "".join(of.encode(t).tokens)  # type: ignore[misc]


RULES = [
    ("a", "1"),
    ("ab", "2"),
    ("abcd", "long"),
    ("é", "e"),
    ("e\u0301", "E!"),
    ("x", ""),
    ("\u3000", " "),
    ("\u2003", " _ "),
    ("ＡＢ", "ab"),
    ("\U0001f600", ":)"),
    ("zz", "z"),
    ("\t", " "),
]


def charsmap() -> bytes:
    """A small set of rules, compiled by the trainer."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "rules.tsv")
        codes = [[" ".join(f"{ord(char):X}" for char in text) for text in rule] for rule in RULES]
        rules.write_text("".join(f"{old}\t{new}\n" for old, new in codes))
        corpus = Path(folder, "corpus.txt")
        corpus.write_text("the quick brown fox jumps over the lazy dog\n" * 20)
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus),
            model_prefix=f"{folder}/m",
            model_type="bpe",
            vocab_size=40,
            normalization_rule_tsv=str(rules),
            minloglevel=2,
        )
        model = protobuf.ModelProto()  # type: ignore[attr-defined]
        model.ParseFromString(Path(folder, "m.model").read_bytes())
        return bytes(model.normalizer_spec.precompiled_charsmap)


def sentencepieces() -> Iterator[tuple[list[Step], Callable[[str], str]]]:
    rules = charsmap()
    step = {"type": "charsmap", "base64": base64.b64encode(rules).decode()}
    collapse = {"type": "collapse_spaces"}
    for steps, collapsing, compiled in (
        ([step], False, rules),
        ([step, collapse], True, rules),
        ([collapse], True, b""),
    ):
        model = protobuf.ModelProto()  # type: ignore[attr-defined]
        model.normalizer_spec.precompiled_charsmap = compiled
        model.normalizer_spec.add_dummy_prefix = False
        model.normalizer_spec.escape_whitespaces = False
        model.normalizer_spec.remove_extra_whitespaces = collapsing
        model.trainer_spec.model_type = 2
        with tempfile.NamedTemporaryFile() as file:
            file.write(model.SerializeToString())
            file.flush()
            normalizer = sentencepiece.SentencePieceNormalizer(
                model_file=file.name,
                add_dummy_prefix=False,
                escape_whitespaces=False,
                remove_extra_whitespaces=collapsing,
            )
        yield steps, normalizer.normalize


def fnv(data: bytes) -> str:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return f"{value:016x}"


def sweep(normalize: Callable[[str], str]) -> list[str]:
    """One hash for every block of code points."""
    hashes = []
    for first in STARTS:
        chars = (chr(c) for c in range(first, first + BLOCK) if c not in SURROGATES)
        out = "".join(normalize(f"a{char}\u0323\u0301{char}b") for char in chars)
        hashes.append(fnv(out.encode()))
    return hashes


def outputs(all_texts: list[str], normalize: Callable[[str], str]) -> list[str | None]:
    """What becomes of every text; None when it stays as it is."""
    made = ((text, normalize(text)) for text in all_texts)
    return [None if text == new else new for text, new in made]


def main() -> None:
    rng = random.Random(23)
    plain = texts(rng)
    rules = [
        *plain,
        *(
            "".join(rng.choices("abcdeé\u0301xz\u3000\u2003ＡＢ\U0001f600\t ", k=9))
            for _ in range(200)
        ),
    ]
    cases = [(*case, "plain") for case in (*simple(), *regexes(), *prefixes(), *firsts(plain))]
    cases += [(*case, "rules") for case in sentencepieces()]
    names = ("nfc", "nfd", "nfkc", "nfkd", "lowercase", "strip_accents", "nmt")
    swept = {s[0]["type"]: sweep(f) for s, f in simple() if s[0]["type"] in names and len(s) == 1}
    used = {"plain": plain, "rules": rules}
    document = {
        "made": (__doc__ or "").strip(),
        "texts": used,
        "cases": [
            {"steps": steps, "texts": name, "outputs": outputs(used[name], normalize)}
            for steps, normalize, name in cases
        ],
        "sweep": {"block": BLOCK, "starts": STARTS, "hashes": swept},
    }
    path = Path(__file__).with_name("normalizers.json")
    lines = json.dumps(document, separators=(",", ":")).replace('},{"steps', '},\n{"steps')
    path.write_text(lines + "\n")


if __name__ == "__main__":
    main()
