"""The definition's steps as normalizers, pre-tokenizers and decoders of a tokenizer.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bytewright.errors import UnsupportedError
from bytewright.formats.hf_steps import METASYMBOL
from bytewright.formats.oniguruma import DialectError, to_oniguruma
from bytewright.formats.patterns import GPT2

__all__ = ["Parts", "changes_spaces_only", "write_steps"]

Json = dict[str, object]
_Steps = Sequence[Mapping[str, object]]

_BEHAVIORS: Final = {
    "removed": "Removed",
    "isolated": "Isolated",
    "merged_with_previous": "MergedWithPrevious",
    "merged_with_next": "MergedWithNext",
    "contiguous": "Contiguous",
}
_PLAIN: Final = {
    "nfc": "NFC",
    "nfd": "NFD",
    "nfkc": "NFKC",
    "nfkd": "NFKD",
    "lowercase": "Lowercase",
    "strip_accents": "StripAccents",
    "nmt": "Nmt",
}
_TO_SPACE: Final = {"type": "replace", "string": METASYMBOL, "content": " "}
_AT_SPACES: Final = {
    "type": "split",
    "string": " ",
    "behavior": "merged_with_next",
    "invert": False,
}


@dataclass(slots=True)
class Parts:
    """The parts of a tokenizer.json that come from steps.

    Attributes:
        normalizer: the normalizer, or None.
        pretokenizer: the pre-tokenizer, or None.
        decoder: the decoder.
        metaspace: spaces of the definition's tokens are U+2581 in the file.
    """

    normalizer: Json | None
    pretokenizer: Json | None
    decoder: Json | None
    metaspace: bool


def write_steps(rules: Mapping[str, object]) -> Parts:
    """The parts for a definition's rules.

    Raises:
        UnsupportedError: no part of the format does what a step does.
    """
    normalizer, pretokenizer = _list(rules["normalizer"]), _list(rules["pretokenizer"])
    decoder = rules["decoder"]
    assert isinstance(decoder, dict)
    strips = bool(decoder["strip_leading_space"])
    if rules["unit"] == "byte":
        if strips:
            raise _refusal("a leading space that decoding drops, with bytes as units")
        return _byte_level(normalizer, pretokenizer)
    metaspace = _TO_SPACE in normalizer
    if metaspace:
        parts = _metaspace(normalizer, pretokenizer)
    else:
        normalizers = [_normalizer(step) for step in normalizer]
        pretokenizers = [_pretokenizer(step) for step in pretokenizer]
        parts = Parts(
            _sequence(normalizers, "normalizers"),
            _sequence(pretokenizers, "pretokenizers"),
            None,
            False,
        )
    decoders: list[Json] = []
    if metaspace:
        at_symbol = {"String": METASYMBOL}
        decoders.append({"type": "Replace", "pattern": at_symbol, "content": " "})
    decoders += [{"type": "ByteFallback"}, {"type": "Fuse"}]
    if strips:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    parts.decoder = {"type": "Sequence", "decoders": decoders}
    return parts


def changes_spaces_only(rules: Mapping[str, object]) -> bool:
    """Whether normalizing leaves every text as it is, but for U+2581 in place of spaces."""
    return all(step == _TO_SPACE for step in _list(rules["normalizer"]))


def _byte_level(normalizer: _Steps, pretokenizer: _Steps) -> Parts:
    adds_space = bool(normalizer) and normalizer[-1].get("type") == "prefix"
    normalizers = [_normalizer(step) for step in (normalizer[:-1] if adds_space else normalizer)]
    if adds_space:
        _check_prefix(normalizer[-1])
        regex = pretokenizer[0].get("regex") if pretokenizer else None
        if pretokenizer and (len(pretokenizer) > 1 or regex != GPT2):
            raise _refusal("a space put before the text, with a pattern other than gpt2")
        levels: list[Json] = [_byte_level_step(adds_space=True, use_regex=bool(pretokenizer))]
    else:
        levels = _levels(pretokenizer)
    return Parts(
        _sequence(normalizers, "normalizers"),
        _sequence(levels, "pretokenizers"),
        _byte_level_step(adds_space=False, use_regex=True),
        False,
    )


def _check_prefix(step: Mapping[str, object]) -> None:
    if (step["content"], step["unless"], step["scope"]) != (" ", "content", "every"):
        raise _refusal(f"the step {dict(step)}")


def _levels(pretokenizer: _Steps) -> list[Json]:
    """Pre-tokenizers with ByteLevel before the first step that works on stand-ins."""
    levels: list[Json] = []
    mapped = False
    for step in pretokenizer:
        if step.get("stand_ins") and not mapped:
            levels.append(_byte_level_step(adds_space=False, use_regex=False))
            mapped = True
        elif mapped and step["type"] == "split" and "[0-9]" not in str(step.get("regex")):
            raise _refusal("a split after a step on the stand-ins of bytes")
        levels.append(_pretokenizer(step))
    if not mapped:
        levels.append(_byte_level_step(adds_space=False, use_regex=False))
    return levels


def _byte_level_step(*, adds_space: bool, use_regex: bool) -> Json:
    return {
        "type": "ByteLevel",
        "add_prefix_space": adds_space,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def _metaspace(normalizer: _Steps, pretokenizer: _Steps) -> Parts:
    """Parts that turn spaces into U+2581, and mirror every step after that."""
    at = list(normalizer).index(_TO_SPACE)
    normalizers = [_normalizer(step) for step in normalizer[:at]]
    to_symbol: Json = {"type": "Replace", "pattern": {"String": " "}, "content": METASYMBOL}
    normalizers.append(to_symbol)
    rest = list(normalizer[at + 1 :])
    splits = list(pretokenizer) == [_AT_SPACES]
    prefix = rest.pop() if rest and rest[-1]["type"] == "prefix" else None
    normalizers += [_mirrored(step) for step in rest]
    pretokenizers: list[Json] = []
    if prefix is not None:
        if prefix["unless"] != "content" or prefix["content"] != " ":
            raise _refusal(f"the step {dict(prefix)}")
        scheme = "first" if prefix["scope"] == "first" else "always"
        if pretokenizer and not splits:
            raise _refusal("a space put before the text, and then a pre-tokenizer")
        pretokenizers.append(_metaspace_step(scheme, splits=splits))
    elif splits:
        pretokenizers.append(_metaspace_step("never", splits=True))
    else:
        pretokenizers += [_mirrored_split(step) for step in pretokenizer]
    return Parts(
        _sequence(normalizers, "normalizers"),
        _sequence(pretokenizers, "pretokenizers"),
        None,
        True,
    )


def _metaspace_step(scheme: str, *, splits: bool) -> Json:
    return {
        "type": "Metaspace",
        "replacement": METASYMBOL,
        "prepend_scheme": scheme,
        "split": splits,
    }


def _mirrored(step: Mapping[str, object]) -> Json:
    match step:
        case {"type": "nfc" | "nfd" | "lowercase" | "strip_accents"}:
            return _normalizer(step)
        case {"type": "prepend", "content": str(content)}:
            return {"type": "Prepend", "prepend": content.replace(" ", METASYMBOL)}
        case {"type": "replace", "string": str(string), "content": str(content)}:
            return {
                "type": "Replace",
                "pattern": {"String": string.replace(" ", METASYMBOL)},
                "content": content.replace(" ", METASYMBOL),
            }
        case {"type": "replace", "regex": r" +\z", "content": ""}:
            return {"type": "Replace", "pattern": {"Regex": METASYMBOL + r"+\z"}, "content": ""}
        case _:
            raise _refusal(f"the step {step['type']} after spaces became U+2581")


def _mirrored_split(step: Mapping[str, object]) -> Json:
    match step:
        case {"type": "digits" | "punctuation"}:
            return _pretokenizer(step)
        case {"type": "split", "string": str(string)}:
            mirrored = dict(step) | {"string": string.replace(" ", METASYMBOL)}
            return _pretokenizer(mirrored)
        case _:
            raise _refusal(f"the step {step['type']} after spaces became U+2581")


def _normalizer(step: Mapping[str, object]) -> Json:
    match step:
        case {"type": str(name)} if name in _PLAIN:
            return {"type": _PLAIN[name]}
        case {"type": "replace", "content": content}:
            return {"type": "Replace", "pattern": _pattern(step), "content": content}
        case {"type": "prepend", "content": content}:
            return {"type": "Prepend", "prepend": content}
        case {"type": "strip", "left": left, "right": right}:
            return {"type": "Strip", "strip_left": left, "strip_right": right}
        case {"type": "charsmap"}:
            raise _refusal("a character map, which tokenizers applies otherwise than SentencePiece")
        case {"type": "collapse_spaces"}:
            ends = {"type": "Replace", "pattern": {"Regex": r"\A +| +\z"}, "content": ""}
            runs = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
            return {"type": "Sequence", "normalizers": [ends, runs]}
        case _:
            raise _refusal(f"the normalizer step {dict(step)}")


def _pretokenizer(step: Mapping[str, object]) -> Json:
    match step:
        case {"type": "split", "behavior": str(behavior)}:
            return {
                "type": "Split",
                "pattern": _pattern(step),
                "behavior": _BEHAVIORS[behavior],
                "invert": bool(step.get("invert")),
            }
        case {"type": "digits", "individual": individual}:
            return {"type": "Digits", "individual_digits": individual}
        case {"type": "punctuation", "behavior": str(behavior)}:
            return {"type": "Punctuation", "behavior": _BEHAVIORS[behavior]}
        case {"type": "whitespace"}:
            return {"type": "Whitespace"}
        case {"type": "whitespace_split"}:
            return {"type": "WhitespaceSplit"}
        case _:
            raise _refusal(f"the pre-tokenizer step {dict(step)}")


def _pattern(step: Mapping[str, object]) -> Json:
    if "string" in step:
        return {"String": step["string"]}
    try:
        return {"Regex": to_oniguruma(str(step["regex"]))}
    except DialectError as error:
        raise _refusal(f"{error} in the pattern {str(step['regex'])[:200]!r}") from error


def _sequence(steps: list[Json], members: str) -> Json | None:
    if len(steps) < 2:
        return steps[0] if steps else None
    return {"type": "Sequence", members: steps}


def _list(value: object) -> list[Mapping[str, object]]:
    assert isinstance(value, list)
    return value


def _refusal(what: str) -> UnsupportedError:
    return UnsupportedError(f"tokenizer.json cannot say: {what}")
