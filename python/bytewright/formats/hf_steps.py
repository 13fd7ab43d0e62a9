"""Normalizers and pre-tokenizers of a tokenizer.json, lowered to the definition's steps.

Two things make this more than a translation. After a ByteLevel step `tokenizers` works on GPT-2's
stand-ins of the bytes; the few later steps that published files use are lowered to what they mean
for the bytes. And after a step that turns spaces into U+2581, the definition still has spaces, so
every later step is lowered to its mirror image, or refused where there is none.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from bytewright.definition import Step
from bytewright.formats.fields import Field
from bytewright.formats.oniguruma import DialectError, from_oniguruma
from bytewright.formats.patterns import GPT2, split

__all__ = ["METASYMBOL", "Steps", "flattened", "read_steps"]

METASYMBOL: Final = "\u2581"
"""What SentencePiece and Metaspace write for a space."""

MAX_STEPS: Final = 1000
_BEHAVIORS: Final = {
    "Removed": "removed",
    "Isolated": "isolated",
    "MergedWithPrevious": "merged_with_previous",
    "MergedWithNext": "merged_with_next",
    "Contiguous": "contiguous",
}
# Finds ASCII digits alone in the stand-ins of the bytes.
_ASCII_DIGITS: Final = re.compile(r"(?:(?:\[0-9\]|\\d)(?:\{\d+(?:,\d*)?\}|\+)?)+")


@dataclass(slots=True)
class Steps:
    """The lowered steps.

    Attributes:
        byte_level: pieces are made of bytes, not of characters.
        normalizer: steps that change the text.
        pretokenizer: steps that cut it.
        spaces_lowered: the file's U+2581 is a space here.
        symbols_in_text: spaces are U+2581 in the file when added tokens are looked for.
        stand_ins_in_text: and so are bytes their stand-ins.
        mapped: the steps read so far end with a ByteLevel step.
    """

    byte_level: bool
    normalizer: list[Step] = field(default_factory=list)
    pretokenizer: list[Step] = field(default_factory=list)
    spaces_lowered: bool = False
    symbols_in_text: bool = False
    stand_ins_in_text: bool = False
    mapped: bool = False

    def lower_spaces(self) -> None:
        """Record that the file turns spaces into U+2581 here."""
        if not self.spaces_lowered:
            replace = {"type": "replace", "string": METASYMBOL, "content": " "}
            self.normalizer.append(replace)
        self.spaces_lowered = True


def read_steps(normalizer: Field, pretokenizer: Field) -> Steps:
    """The steps of both parts.

    Raises:
        LoadError: a step is malformed.
        UnsupportedError: a step cannot be represented; its path is named.
    """
    normalizers = list(flattened(normalizer, "normalizers"))
    pretokenizers = list(flattened(pretokenizer, "pretokenizers"))
    types = [step.get("type").text() for step in (*normalizers, *pretokenizers)]
    steps = Steps(byte_level="ByteLevel" in types)
    for step in normalizers:
        _lower(step, steps, _NORMALIZERS)
    steps.symbols_in_text, steps.stand_ins_in_text = steps.spaces_lowered, steps.mapped
    for step in pretokenizers:
        _lower(step, steps, _PRETOKENIZERS)
    return steps


def flattened(part: Field, members: str) -> Iterator[Field]:
    """The steps of a part, Sequences within Sequences opened."""
    open_parts = [] if part.missing else [part]
    count = 0
    while open_parts:
        step = open_parts.pop()
        count += 1
        if count > MAX_STEPS:
            part.fail(f"more than {MAX_STEPS} steps")
        if step.get("type").text() == "Sequence":
            open_parts.extend(reversed(list(step.get(members).items())))
        else:
            yield step


_Lowering = Callable[[Field, Steps], None]


def _lower(step: Field, steps: Steps, table: dict[str, _Lowering]) -> None:
    name = step.get("type").text()
    if name not in table:
        step.get("type").refuse(f"{name} cannot be represented; known: {', '.join(table)}")
    table[name](step, steps)


# --- normalizers


def _normal_form(step: Field, steps: Steps) -> None:
    name = step.get("type").text()
    if steps.spaces_lowered and name in ("NFKC", "NFKD"):
        step.refuse("compatibility forms make new spaces after spaces became U+2581")
    _refuse_mapped(step, steps)
    steps.normalizer.append({"type": name.lower()})


def _lowercase(step: Field, steps: Steps) -> None:
    _refuse_mapped(step, steps)
    steps.normalizer.append({"type": "lowercase"})


def _strip_accents(step: Field, steps: Steps) -> None:
    _refuse_mapped(step, steps)
    steps.normalizer.append({"type": "strip_accents"})


def _nmt(step: Field, steps: Steps) -> None:
    _refuse_after_spaces(step, steps)
    steps.normalizer.append({"type": "nmt"})


def _strip(step: Field, steps: Steps) -> None:
    _refuse_after_spaces(step, steps)
    left, right = step.get("strip_left").flag(), step.get("strip_right").flag()
    steps.normalizer.append({"type": "strip", "left": left, "right": right})


def _precompiled(step: Field, _steps: Steps) -> None:
    table = step.get("precompiled_charsmap")
    if not table.missing and table.text():
        table.refuse(
            "tokenizers applies such rules to grapheme clusters, the shortest key first, and so "
            "otherwise than SentencePiece"
        )


def _prepend(step: Field, steps: Steps) -> None:
    _refuse_mapped(step, steps)
    content = _mirrored(step.get("prepend"), steps)
    if not content:
        step.get("prepend").refuse("an empty string, with which the first character is doubled")
    steps.normalizer.append({"type": "prepend", "content": content})


def _replace(step: Field, steps: Steps) -> None:
    _refuse_mapped(step, steps)
    kind, what = _pattern(step.get("pattern"))
    content = step.get("content")
    if kind == "regex":
        if steps.spaces_lowered:
            step.refuse("a regular expression after spaces became U+2581")
        steps.normalizer.append({"type": "replace", "regex": what, "content": content.text()})
        return
    if what == " " and content.text() == METASYMBOL and not steps.byte_level:
        steps.lower_spaces()
        return
    if steps.spaces_lowered and " " in what:
        return
    string = what.replace(METASYMBOL, " ") if steps.spaces_lowered else what
    new = _mirrored(content, steps)
    steps.normalizer.append({"type": "replace", "string": string, "content": new})


def _byte_level_normalizer(step: Field, steps: Steps) -> None:
    _refuse_mapped(step, steps)
    steps.mapped = True


def _mirrored(content: Field, steps: Steps) -> str:
    text = content.text()
    if not steps.spaces_lowered:
        return text
    if " " in text:
        content.refuse("a new space after spaces became U+2581")
    return text.replace(METASYMBOL, " ")


# --- pre-tokenizers


def _byte_level(step: Field, steps: Steps) -> None:
    _refuse_mapped(step, steps)
    if step.get("add_prefix_space").flag():
        if steps.pretokenizer:
            step.get("add_prefix_space").refuse("after another pre-tokenizer")
        prefix = {"type": "prefix", "content": " ", "unless": "content", "scope": "every"}
        steps.normalizer.append(prefix)
    if step.get("use_regex").flag(default=True):
        steps.pretokenizer.append(split(GPT2))
    steps.mapped = True


def _split(step: Field, steps: Steps) -> None:
    kind, what = _pattern(step.get("pattern"))
    lowered = {kind: what, "behavior": _behavior(step), "invert": _invert(step)}
    if steps.mapped:
        if not (kind == "regex" and _ASCII_DIGITS.fullmatch(what)):
            step.refuse("a Split after ByteLevel, other than of ASCII digits")
        # No other digit is the stand-in of a byte, but the text may have some.
        lowered[kind] = what.replace(r"\d", "[0-9]")
    if steps.spaces_lowered:
        if kind == "regex":
            step.refuse("a regular expression after spaces became U+2581")
        if lowered["invert"]:
            step.get("invert").refuse("after spaces became U+2581")
        if " " in what:
            return
        lowered["string"] = what.replace(METASYMBOL, " ")
    steps.pretokenizer.append({"type": "split", **lowered})


def _delimiter(step: Field, steps: Steps) -> None:
    _refuse_after_spaces(step, steps)
    delimiter = step.get("delimiter").text()
    lowered = {"type": "split", "string": delimiter, "behavior": "removed", "invert": False}
    steps.pretokenizer.append(lowered)


def _digits(step: Field, steps: Steps) -> None:
    individual = step.get("individual_digits").flag(default=False)
    digits = {"type": "digits", "individual": individual, "stand_ins": steps.mapped}
    steps.pretokenizer.append(digits)


def _punctuation(step: Field, steps: Steps) -> None:
    _refuse_mapped(step, steps)
    behavior = "isolated" if step.get("behavior").missing else _behavior(step)
    steps.pretokenizer.append({"type": "punctuation", "behavior": behavior})


def _whitespace(step: Field, steps: Steps) -> None:
    _refuse_after_spaces(step, steps)
    steps.pretokenizer.append({"type": "whitespace"})


def _whitespace_split(step: Field, steps: Steps) -> None:
    _refuse_after_spaces(step, steps)
    steps.pretokenizer.append({"type": "whitespace_split"})


def _metaspace(step: Field, steps: Steps) -> None:
    if steps.byte_level:
        step.refuse("together with ByteLevel")
    replacement = step.get("replacement")
    if not replacement.missing and replacement.text() != METASYMBOL:
        replacement.refuse(f"only {METASYMBOL!r} can be represented")
    scheme = prepend_scheme(step)
    if any(s["type"] not in ("digits", "punctuation") for s in steps.pretokenizer):
        step.refuse("after a pre-tokenizer other than Digits and Punctuation")
    if scheme != "never" and steps.pretokenizer:
        step.get("prepend_scheme").refuse(f"{scheme} after another pre-tokenizer")
    if scheme == "first" and any(map(_may_move_the_start, steps.normalizer)):
        step.get("prepend_scheme").refuse("first, where a normalizer may change what is first")
    steps.lower_spaces()
    if scheme != "never":
        scope = "first" if scheme == "first" else "every"
        prefix = {"type": "prefix", "content": " ", "unless": "content", "scope": scope}
        steps.normalizer.append(prefix)
    if step.get("split").flag(default=True):
        at_spaces = {"type": "split", "string": " ", "behavior": "merged_with_next"}
        steps.pretokenizer.append(at_spaces | {"invert": False})


def _may_move_the_start(step: Step) -> bool:
    """Whether `tokenizers` may take what comes first afterwards for something further on."""
    kind = step["type"]
    if kind == "replace":
        return len(str(step.get("string", ""))) != 1 or not step["content"]
    return kind in ("strip_accents", "nmt") or (kind == "strip" and bool(step["left"]))


def prepend_scheme(step: Field) -> str:
    """`always`, `first` or `never` of a Metaspace, from its old or its new setting."""
    scheme = step.get("prepend_scheme")
    old = step.get("add_prefix_space")
    if scheme.missing:
        return "always" if old.flag(default=True) else "never"
    if scheme.text() not in ("always", "first", "never"):
        scheme.fail(f"{scheme.text()!r} is none of always, first, never")
    if not old.missing and not old.flag() and scheme.text() != "never":
        old.fail(f"false contradicts prepend_scheme {scheme.text()!r}")
    return scheme.text()


# --- parts of steps


def _pattern(pattern: Field) -> tuple[str, str]:
    """`("string", text)` or `("regex", pattern in the core's syntax)`."""
    found = pattern.members()
    if len(found) != 1 or not found.keys() & {"String", "Regex"}:
        pattern.fail("exactly one of String and Regex is needed")
    if "String" in found:
        text = pattern.get("String").text()
        if not text:
            pattern.refuse("an empty string")
        return "string", text
    regex = pattern.get("Regex")
    try:
        return "regex", from_oniguruma(regex.text())
    except DialectError as error:
        regex.refuse(f"{error} in {regex.text()[:200]!r}")


def _behavior(step: Field) -> str:
    behavior = step.get("behavior")
    if behavior.text() not in _BEHAVIORS:
        behavior.fail(f"{behavior.text()!r} is none of {', '.join(_BEHAVIORS)}")
    return _BEHAVIORS[behavior.text()]


def _invert(step: Field) -> bool:
    return step.get("invert").flag(default=False)


def _refuse_mapped(step: Field, steps: Steps) -> None:
    if steps.mapped:
        step.refuse("after ByteLevel")


def _refuse_after_spaces(step: Field, steps: Steps) -> None:
    _refuse_mapped(step, steps)
    if steps.spaces_lowered:
        step.refuse("after spaces became U+2581")


_NORMALIZERS: Final[dict[str, _Lowering]] = {
    "NFC": _normal_form,
    "NFD": _normal_form,
    "NFKC": _normal_form,
    "NFKD": _normal_form,
    "Lowercase": _lowercase,
    "StripAccents": _strip_accents,
    "Nmt": _nmt,
    "Strip": _strip,
    "Precompiled": _precompiled,
    "Prepend": _prepend,
    "Replace": _replace,
    "ByteLevel": _byte_level_normalizer,
}
_PRETOKENIZERS: Final[dict[str, _Lowering]] = {
    "ByteLevel": _byte_level,
    "Split": _split,
    "CharDelimiterSplit": _delimiter,
    "Digits": _digits,
    "Punctuation": _punctuation,
    "Whitespace": _whitespace,
    "WhitespaceSplit": _whitespace_split,
    "Metaspace": _metaspace,
}
