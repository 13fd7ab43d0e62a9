"""Writing `tokenizer.json`: what `tokenizers` loads from it behaves as the definition does.

The reverse of reading: split steps and ByteLevel, stand-ins for bytes, U+2581 for spaces where the
definition's normalizer says that the two are one, merges as pairs in rank order. What the format
cannot say raises UnsupportedError. `tokenizers` matches special tokens in every text, so the
written file behaves as encoding with `allowed_special="all"`.
"""

import json
from collections.abc import Mapping, Sequence

from bytewright.definition import ADDED, BEYOND_RANKS, DECODE_ONLY, FALLBACK, MODEL, Definition
from bytewright.errors import UnsupportedError
from bytewright.formats.byte_level import STAND_INS, to_stand_ins
from bytewright.formats.hf_ends import spelled
from bytewright.formats.hf_model import BYTE_TOKENS
from bytewright.formats.hf_steps import METASYMBOL
from bytewright.formats.hf_write_steps import Parts, changes_spaces_only, write_steps

__all__ = ["write"]


def write(definition: Definition) -> bytes:
    """The definition as a tokenizer.json.

    Raises:
        UnsupportedError: the format cannot say what the definition does; the part is named.
    """
    rules = definition.rules()
    if rules.get("strict") and -1 in _ids(rules["byte_units"]):
        raise _refusal("an alphabet without some bytes, text with which is an error")
    for name, what in BEYOND_RANKS.items():
        if rules.get(name):
            raise _refusal(what)
    parts = write_steps(rules)
    texts = _texts(definition, rules, parts)
    added = _entries(rules, "added")
    unk = None if rules["unk"] is None else _id(rules["unk"])
    vocab = _vocab(definition, texts, added, unk)
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None if unk is None else texts[unk],
        "continuing_subword_prefix": None,
        "end_of_word_suffix": _suffix(definition, rules),
        "fuse_unk": rules["fuse_unk"],
        "byte_fallback": rules["unit"] == "char" and min(_ids(rules["byte_units"])) >= 0,
        "ignore_merges": rules["ignore_merges"],
        "vocab": vocab,
        "merges": [[texts[a], texts[b]] for a, b, _ in definition.merge_rows().tolist()],
    }
    root = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_entry(token, rules) for token in added],
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pretokenizer,
        "post_processor": _template(rules, texts),
        "decoder": _decoder(definition, rules, parts),
        "model": model,
    }
    _check_merges(model["merges"], vocab)
    return json.dumps(root, ensure_ascii=False, indent=1).encode()


def _refusal(what: str) -> UnsupportedError:
    return UnsupportedError(f"tokenizer.json cannot say: {what}")


def _suffix(definition: Definition, rules: Mapping[str, object]) -> str | None:
    """What marks the end of a piece: all but the first byte of a token for a final byte."""
    if rules["final_byte_units"] is None:
        return None
    tokens = definition.tokens()
    final = [tokens[i] or b"" for i in _ids(rules["final_byte_units"]) if i >= 0]
    return to_stand_ins(final[0][1:]) if final else None


def _texts(definition: Definition, rules: Mapping[str, object], parts: Parts) -> dict[int, str]:
    """The string of every token, all different."""
    fallback = {}
    if rules["unit"] == "char":
        fallback = {i: BYTE_TOKENS[b] for b, i in enumerate(_ids(rules["byte_units"])) if i >= 0}
    contents = {_id(token["id"]): str(token["content"]) for token in _entries(rules, "added")}
    texts: dict[int, str] = {}
    for token_id, token in enumerate(definition.tokens()):
        if token is None:
            continue
        kind = definition.kinds[token_id]
        if token_id in fallback:
            texts[token_id] = fallback[token_id]
        elif not kind & MODEL and kind & ADDED:
            texts[token_id] = contents[token_id]
        elif rules["unit"] == "byte" and kind & MODEL:
            texts[token_id] = to_stand_ins(token)
        else:
            texts[token_id] = _plain(token_id, token, kind, parts, bytewise=rules["unit"] == "byte")
    if len(set(texts.values())) < len(texts):
        raise _refusal(f"two tokens as the same string, {_repeated(texts)!r}")
    return texts


def _plain(token_id: int, token: bytes, kind: int, parts: Parts, *, bytewise: bool) -> str:
    try:
        text = token.decode()
    except UnicodeDecodeError:
        raise _refusal(f"token {token_id} with bytes {token[:40]!r} as text") from None
    if bytewise and text and all(character in STAND_INS for character in text):
        raise _refusal(f"token {token_id} {text!r}, which would be read as stand-ins of bytes")
    if parts.metaspace and not kind & DECODE_ONLY:
        if METASYMBOL in text:
            raise _refusal(f"token {token_id} {text!r} with U+2581 beside spaces")
        return text.replace(" ", METASYMBOL)
    return text


def _repeated(texts: Mapping[int, str]) -> str:
    seen: set[str] = set()
    for text in texts.values():
        if text in seen:
            return text
        seen.add(text)
    return ""


def _vocab(
    definition: Definition,
    texts: Mapping[int, str],
    added: Sequence[Mapping[str, object]],
    unk: int | None,
) -> dict[str, int]:
    """Token strings to ids.

    `tokenizers` gives an added token the id of its string in the vocabulary, and else the next
    free id. So the added tokens stay out of the vocabulary only if that gives them their ids.
    """
    kinds = definition.kinds
    vocab = {text: i for i, text in texts.items() if kinds[i] & (MODEL | FALLBACK | DECODE_ONLY)}
    if unk is not None:
        vocab[texts[unk]] = unk
    # An added token that is also a model token may have another string there than its content.
    contents = {str(token["content"]): _id(token["id"]) for token in added}
    taken = {*vocab.values()}
    for content, token_id in contents.items():
        if vocab.get(content, token_id) != token_id or (token_id in taken and content not in vocab):
            raise _refusal(f"the added token {content!r} with id {token_id}")
    for added_inside in (_out_of_order(vocab, contents), contents):
        inside = vocab | added_inside
        if _numbered(inside, contents) == contents:
            return dict(sorted(inside.items(), key=lambda item: item[1]))
    raise AssertionError("what stands in the vocabulary has its id there")


def _out_of_order(vocab: Mapping[str, int], contents: Mapping[str, int]) -> dict[str, int]:
    """The added tokens that go into the vocabulary so that the rest follow it in order.

    No more than is needed: what is in the vocabulary is a token of the model too.
    """
    places = {text: at for at, text in enumerate(contents)}
    outside = sorted((i, text) for text, i in contents.items() if text not in vocab)
    next_place = len(contents)
    while outside:
        token_id, text = outside[-1]
        if token_id != len(vocab) + len(outside) - 1 or places[text] > next_place:
            break
        next_place = places[text]
        outside.pop()
    return {text: i for i, text in outside}


def _numbered(vocab: Mapping[str, int], contents: Mapping[str, int]) -> dict[str, int]:
    """The ids that `tokenizers` gives to added tokens, in the order of the file."""
    ids: dict[str, int] = {}
    largest = -1
    for content in contents:
        free = largest + 1 if largest >= len(vocab) or not vocab else len(vocab)
        ids[content] = vocab.get(content, free)
        largest = max(largest, ids[content])
    return ids


def _check_merges(merges: object, vocab: Mapping[str, int]) -> None:
    assert isinstance(merges, list)
    for left, right in merges:
        if left + right not in vocab:
            raise _refusal(f"the merge of {left!r} and {right!r}, whose product has another string")


def _added_entry(token: Mapping[str, object], rules: Mapping[str, object]) -> dict[str, object]:
    """The entry of an added token.

    User-defined pieces stand in normalized text as they are. `tokenizers` normalizes the content
    of an added token too; where that puts a space before it, no setting can say that "[INST]" is
    a space and the token, but "x[INST]" has no such space.
    """
    if token.get("verbatim") and not changes_spaces_only(rules):
        raise _refusal(
            f"the user-defined piece {token['content']!r}, matched as it stands in text that was "
            "normalized, or got a space before it"
        )
    return {name: value for name, value in token.items() if name != "verbatim"}


def _decoder(
    definition: Definition, rules: Mapping[str, object], parts: Parts
) -> Mapping[str, object] | None:
    """The decoder, and before it what keeps the text of added tokens."""
    if rules["unit"] != "byte":
        return parts.decoder
    kinds = definition.kinds
    added = [token for token in _entries(rules, "added") if not kinds[_id(token["id"])] & MODEL]
    # One may be spelled as another is written, which is longer and must have been looked for then.
    contents = sorted((str(token["content"]) for token in added), key=len, reverse=True)
    keeping = [step for step in map(spelled, contents) if step]
    if not keeping:
        return parts.decoder
    return {"type": "Sequence", "decoders": [*keeping, parts.decoder]}


def _template(rules: Mapping[str, object], texts: Mapping[int, str]) -> dict[str, object] | None:
    template = rules["template"]
    assert isinstance(template, dict)
    prefix, suffix = _ids(template["prefix"]), _ids(template["suffix"])
    if not prefix and not suffix:
        return None
    single = [
        *({"SpecialToken": {"id": texts[i], "type_id": 0}} for i in prefix),
        {"Sequence": {"id": "A", "type_id": 0}},
        *({"SpecialToken": {"id": texts[i], "type_id": 0}} for i in suffix),
    ]
    tokens = {
        texts[i]: {"id": texts[i], "ids": [i], "tokens": [texts[i]]} for i in [*prefix, *suffix]
    }
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": tokens,
    }


def _entries(rules: Mapping[str, object], name: str) -> list[dict[str, object]]:
    entries = rules[name]
    assert isinstance(entries, list)
    return entries


def _ids(value: object) -> list[int]:
    assert isinstance(value, list)
    return value


def _id(value: object) -> int:
    assert isinstance(value, int)
    return value
