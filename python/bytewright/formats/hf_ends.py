"""The decoder and the post-processor of a tokenizer.json: what happens at the ends of a text."""

import re
from collections.abc import Collection
from typing import Final

from bytewright.formats.byte_level import from_stand_ins, to_stand_ins
from bytewright.formats.fields import Field
from bytewright.formats.hf_steps import METASYMBOL, flattened, prepend_scheme

__all__ = ["read_decoder", "read_template", "spelled"]

_PASSED_OVER: Final = frozenset({"ByteFallback", "Fuse", "ByteLevel", "BPEDecoder"})
_META: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")


def spelled(content: str) -> dict[str, object] | None:
    """The decoder that keeps the text of an added token, or None where nothing would change it.

    The decoder ByteLevel takes a token made of stand-ins only, as `<|é|>` is, for their bytes. So
    it is given the stand-ins of the token's own bytes.
    """
    (raw,), others = from_stand_ins([content])
    if others or raw == content.encode():
        return None
    whole = r"\A" + _META.sub(r"\\\g<0>", content) + r"\z"
    stand_ins = to_stand_ins(content.encode())
    return {"type": "Replace", "pattern": {"Regex": whole}, "content": stand_ins}


def read_decoder(
    decoder: Field, *, byte_level: bool, added: Collection[str] = ()
) -> tuple[bool, set[str]]:
    """Whether decoding drops one space from the start of the text, and the added tokens it keeps.

    Decoding joins the bytes of the tokens, so decoders that undo what encoding did to tokens have
    nothing left to do; one that changes the text in another way is refused.
    """
    # By what they put in the token's place: it has that of no other token.
    spellings = {str(s["content"]): (s, c) for c in added if (s := spelled(c))}
    kept: set[str] = set()
    strips = False
    for step in flattened(decoder, "decoders"):
        name = step.get("type").text()
        if name == "Metaspace" and not byte_level:
            strips = strips or prepend_scheme(step) != "never"
        elif name == "Strip" and not byte_level:
            strips = _strips(step) or strips
        elif name == "Replace" and not byte_level:
            _check_replace(step)
        elif name == "Replace" and (known := spellings.get(str(step.get("content").value))):
            if step.value != known[0]:
                step.refuse(f"a decoder that changes more than the added token {known[1]!r}")
            kept.add(known[1])
        elif name not in _PASSED_OVER:
            step.get("type").refuse(f"the decoder {name} changes the text")
    return strips, kept


def _strips(step: Field) -> bool:
    start, stop = step.get("start").number(), step.get("stop").number()
    if start > 1 or stop or step.get("content").text() != " ":
        step.refuse("a decoder that strips more than one leading space")
    return start == 1


def _check_replace(step: Field) -> None:
    members = step.get("pattern").members()
    if members.get("String") != METASYMBOL or step.get("content").text() != " ":
        step.refuse(f"a decoder that replaces anything but {METASYMBOL!r} with a space")


def read_template(processor: Field) -> tuple[list[int], list[int]]:
    """Ids that the file puts before and after a text."""
    prefix: list[int] = []
    suffix: list[int] = []
    for step in flattened(processor, "processors"):
        name = step.get("type").text()
        before, after = _ends(name, step)
        prefix = [*before, *prefix]
        suffix = [*suffix, *after]
    return prefix, suffix


def _ends(name: str, step: Field) -> tuple[list[int], list[int]]:
    match name:
        case "ByteLevel":
            return [], []
        case "RobertaProcessing" | "BertProcessing":
            return [_pair_id(step.get("cls"))], [_pair_id(step.get("sep"))]
        case "TemplateProcessing":
            return _template(step)
        case _:
            step.get("type").refuse(f"the post-processor {name} cannot be represented")


def _pair_id(pair: Field) -> int:
    if len(pair.array()) != 2:
        pair.fail("a token and its id are needed")
    return Field(pair.array()[1], f"{pair.where}[1]").number()


def _template(step: Field) -> tuple[list[int], list[int]]:
    ends: tuple[list[int], list[int]] = ([], [])
    texts = 0
    for piece in step.get("single").items():
        if "Sequence" in piece.members():
            texts += 1
            if piece.get("Sequence").get("id").text() != "A":
                piece.refuse("the sequence B in the template of a single text")
        else:
            name = piece.get("SpecialToken").get("id").text()
            known = step.get("special_tokens").get(name)
            ends[min(texts, 1)].extend(i.number() for i in known.get("ids").items())
    if texts != 1:
        step.get("single").refuse(f"the text stands {texts} times in the template")
    return ends
