"""`bytewright inspect`: what a vocabulary is, or what one token of it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bytewright.cli import common
from bytewright.cli.visible import visible

if TYPE_CHECKING:
    from bytewright.tokenizer import Tokenizer

SHOWN_SPECIAL = 12
SHOWN_SETTING = 400


def inspect(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="Vocabulary file or folder.", readable=False),
    ] = None,
    model: common.Model = None,
    pattern: common.Pattern = None,
    token: Annotated[
        str | None,
        typer.Option("--token", "-t", metavar="ID|TEXT", help="Describe one token."),
    ] = None,
    longest: Annotated[
        int, typer.Option(min=0, help="How many of the longest tokens to list.")
    ] = 8,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Describe a vocabulary: size, pattern, special and longest tokens, those that no text becomes.

    A token is unreachable because there is no merge for it, or one that comes before shadows it, or
    because the normalizer or the pattern lets no text through that becomes it.
    """
    if path and model:
        raise typer.BadParameter("name the vocabulary once")
    tokenizer = common.load(path or model, pattern, quiet=quiet)
    found = _one(tokenizer, token) if token is not None else _whole(tokenizer, longest)
    if as_json:
        common.write_json(found)
        return
    for name, value in found.items():
        for line, shown in enumerate(_lines(value)):
            print(f"{name.replace('_', ' ') if line == 0 else '':<15} {shown}")


def _whole(tokenizer: Tokenizer, longest: int) -> dict[str, object]:
    special = dict(tokenizer.special_tokens)
    tokens = _tokens(tokenizer)
    model = [(n, token) for n, token in enumerate(tokens) if token and n not in special.values()]
    by_length = sorted(model, key=lambda item: (-len(item[1]), item[0]))[:longest]
    rules = tokenizer.definition.rules()
    return {
        "size": tokenizer.vocab_size,
        "holes": sum(token is None for token in tokens),
        "units": {"byte": "bytes", "char": "characters"}[str(rules["unit"])],
        "merges": len(tokenizer.merges),
        "pattern": tokenizer.pattern,
        "normalizer": [_step(step) for step in _list(rules["normalizer"])],
        "pretokenizer": [_step(step) for step in _list(rules["pretokenizer"])],
        "special_tokens": special,
        "added_tokens": len(_list(rules["added"])),
        "longest": [f"{number} {visible(token)}" for number, token in by_length],
        "unreachable": _unreachable(tokenizer),
        "fingerprint": tokenizer.fingerprint,
    }


def _tokens(tokenizer: Tokenizer) -> list[bytes | None]:
    return tokenizer.definition.tokens()


def _list(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []


def _step(step: dict[str, object]) -> str:
    """One step of a list as its type and settings."""
    settings = (f"{key}={_short(str(value))}" for key, value in step.items() if key != "type")
    return " ".join((str(step["type"]), *settings))


def _short(text: str) -> str:
    # A precompiled table of SentencePiece is a quarter of a megabyte.
    return (
        text
        if len(text) <= SHOWN_SETTING
        else f"{text[:SHOWN_SETTING]}... ({len(text)} characters)"
    )


def _unreachable(tokenizer: Tokenizer) -> list[str]:
    """How many tokens no text becomes, for each reason, the most frequent first."""
    from bytewright.training import reachability

    found = reachability(tokenizer).by_reason
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [f"{count} {reason}" for reason, count in ordered]


def _one(tokenizer: Tokenizer, wanted: str) -> dict[str, object]:
    number = _find(tokenizer, wanted)
    data = tokenizer.token_bytes(number)
    rank, pair = _merge(tokenizer, data)
    return {
        "id": number,
        "text": visible(data),
        "bytes": data.hex(" "),
        "length": len(data),
        "special": number in tokenizer.special_tokens.values(),
        "merge": None if pair is None else f"{visible(pair[0])} + {visible(pair[1])}",
        "rank": rank,
        "encodes_as": tokenizer.encode(data),
    }


def _find(tokenizer: Tokenizer, wanted: str) -> int:
    """The token with that id; where there is none, the one with that text."""
    from bytewright.errors import ArgumentError

    if wanted.isascii() and wanted.isdigit() and int(wanted) < tokenizer.vocab_size:
        return int(wanted)
    data = common.argument_bytes(wanted)
    number = tokenizer.token_id(data)
    number = tokenizer.special_tokens.get(wanted) if number is None else number
    if number is None:
        raise ArgumentError(
            f"no token is {visible(data)} and no id below {tokenizer.vocab_size} is; "
            f"as text it has the ids {tokenizer.encode(data)}"
        )
    return number


def _merge(tokenizer: Tokenizer, data: bytes) -> tuple[int | None, tuple[bytes, bytes] | None]:
    for rank, (left, right) in enumerate(tokenizer.merges):
        if left + right == data:
            return rank, (left, right)
    return None, None


def _lines(value: object) -> list[str]:
    if value is None:
        return ["none"]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, dict):
        shown = [f"{number} {visible(text.encode())}" for text, number in value.items()]
        rest = len(shown) - SHOWN_SPECIAL
        more = [f"and {rest} more (--json lists them)"] if rest > 0 else []
        return [*shown[:SHOWN_SPECIAL], *more] or ["none"]
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return [" ".join(map(str, value)) or "none"]
    if isinstance(value, list):
        return [str(item) for item in value] or ["none"]
    return [f"{value:,}" if isinstance(value, int) else str(value)]
