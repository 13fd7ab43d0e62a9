"""Which tokens no text becomes, and why.

A token can be dead for one of these reasons, which are looked for in this order:

- `"no merge"`: no merge makes it, and it is no single unit.
- `"shadowed"`: merges make it, but its own bytes merge to something else, because an earlier merge
  takes one of them first.
- `"normalizer"`: it comes up only where the normalizer is left out.
- `"pattern"`: the pre-tokenizer, or an added token, cuts through its bytes wherever it was tried.

The first two are certain. The others are a search: a token is tried alone and with characters of
every kind before and behind it, one or two of them, since a piece may go on past the token only to
end in a line feed, say. Bytes at its ends that are parts of a character are completed too. What was
found in none of these places is reported; a text that no one thought of may still become it.

Cost: each token is encoded once alone; those that fail are tried in 16 places, and those that fail
there in some 600, about 0.8 ms each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bytewright.arguments import instance
from bytewright.definition import ADDED, FALLBACK, MODEL
from bytewright.tokenizer import Tokenizer
from bytewright.training.surgery.edit import Tables, bare, rebuild

__all__ = ["Dead", "Reachability", "reachability"]

Reason = Literal["no merge", "shadowed", "normalizer", "pattern"]

_HEADS: Final = (b"", b"a", b" ", b".", b"1", b"\n", " \u00ab".encode(), "\u4e00".encode())
_TAILS: Final = (b"", b"a", b" a", b".", b"1", b"\n", b"s", "\u4e00".encode())

# Of each kind of character a common one and one that hardly any merge takes.
_KINDS: Final = tuple(c.encode() for c in "aA\ua66e1\u07c1 \t\u2003\n\r.'/\u2e18\u4e00\u0301\u0b3c")
# Those that patterns look at in pairs: ends of lines behind spaces, contractions, indents.
_PAIRED: Final = tuple(c.encode() for c in "aA1 \t\u2003\n.'/\u2e18")
_AROUND: Final = (
    *((head, tail) for head in (b"", *_KINDS) for tail in (b"", *_KINDS)),
    *(around for a in _PAIRED for b in _PAIRED for around in ((a + b, b""), (b"", a + b))),
)


@dataclass(frozen=True)
class Dead:
    """A token that no text becomes; with `"normalizer"` and `"pattern"`, none that was tried.

    Attributes:
        id: its id.
        token: its bytes.
        reason: what stands in the way.
        becomes: the ids that its bytes become instead.
    """

    id: int
    token: bytes
    reason: Reason
    becomes: tuple[int, ...]


@dataclass(frozen=True)
class Reachability:
    """What `reachability` found.

    Attributes:
        tested: how many tokens were tested: those of the model, added tokens aside.
        dead: the tokens that no text becomes, or none that was tried, by id.
        in_context: ids of tokens whose bytes alone become something else, but which come up
            between other characters: parts of characters, mostly.
    """

    tested: int
    dead: tuple[Dead, ...]
    in_context: tuple[int, ...]

    @property
    def by_reason(self) -> dict[Reason, int]:
        """How many tokens are dead for each reason."""
        return dict(Counter(token.reason for token in self.dead))


def reachability(tokenizer: Tokenizer) -> Reachability:
    """Report the tokens of a vocabulary that no text becomes.

    That merging makes a token never is certain; that something else always cuts it is what a search
    in several hundred places says.

    >>> tok = Tokenizer.from_merges([(b"h", b"e"), (b"t", b"h"), (b"th", b"e"), (b"e", b"!")],
    ...                             pattern="gpt2")
    >>> for dead in reachability(tok).dead:
    ...     print(dead)
    Dead(id=258, token=b'the', reason='shadowed', becomes=(116, 256))
    Dead(id=259, token=b'e!', reason='pattern', becomes=(101, 33))
    """
    instance(tokenizer, Tokenizer, "tokenizer")
    d = tokenizer.definition
    model = [
        (token_id, token)
        for token_id, token in enumerate(d.tokens())
        if token and d.kinds[token_id] & MODEL and not d.kinds[token_id] & (ADDED | FALLBACK)
    ]
    made = {*d.merge_rows()[:, 2].tolist()}
    unmerged = {*tokenizer._core.unreachable().tolist()}
    whole = tokenizer.definition.rules()["ignore_merges"]
    merging, cutting = bare(d), _without_normalizer(tokenizer)
    texts = _texts(tokenizer, [token for _, token in model])
    dead, in_context = [], []
    for (token_id, token), text, ids in zip(
        model, texts, tokenizer.encode_batch(texts).to_pylist(), strict=True
    ):
        if ids == [token_id]:
            continue
        if token_id in unmerged and not whole:
            becomes = tuple(merging.encode(token))
            reason: Reason = "shadowed" if token_id in made else "no merge"
            dead.append(Dead(token_id, token, reason, becomes))
        elif not _comes_up(tokenizer, token_id, text):
            changed = cutting is not None and _comes_up(cutting, token_id, text)
            dead.append(Dead(token_id, token, "normalizer" if changed else "pattern", tuple(ids)))
        else:
            in_context.append(token_id)
    return Reachability(len(model), tuple(dead), tuple(in_context))


def _without_normalizer(tokenizer: Tokenizer) -> Tokenizer | None:
    tables = Tables.of(tokenizer.definition)
    if not tables.header["normalizer"]:
        return None
    tables.header["normalizer"] = []
    return rebuild(tables)


def _texts(tokenizer: Tokenizer, tokens: list[bytes]) -> list[bytes]:
    """The text of each token: without what marks the end of a piece, where something does."""
    final = tokenizer.definition.rules()["final_byte_units"]
    if final is None:
        return tokens
    assert isinstance(final, list)
    unit = next((token_id for token_id in final if token_id >= 0), None)
    suffix = b"" if unit is None else tokenizer.token_bytes(unit)[1:]
    return [token.removesuffix(suffix) for token in tokens]


def _comes_up(tokenizer: Tokenizer, token_id: int, text: bytes) -> bool:
    """Whether one of the texts that a token is tried in becomes it."""
    return any(
        token_id in tokenizer.encode_batch([*places], threads=1).values.to_numpy()
        for places in (_places(text), _more_places(text))
    )


def _places(token: bytes) -> Iterator[bytes]:
    """A token between what may stand around it, parts of characters completed."""
    for whole in _completed(token):
        yield from (head + whole for head in _HEADS)
        yield from (whole + tail for tail in _TAILS)


def _more_places(token: bytes) -> Iterator[bytes]:
    """The same, with more around it."""
    for whole in _completed(token):
        yield from (head + whole + tail for head, tail in _AROUND)


def _completed(token: bytes) -> Iterator[bytes]:
    """A token as it is, and with what completes the characters that it begins and ends inside."""
    yield token
    for start in _openings(token):
        yield from (start + token + end for end in _endings(token) if start or end)


def _endings(token: bytes) -> Iterator[bytes]:
    """What completes the character that a token ends inside of; nothing to add if it does not."""
    lead = next((back for back in (1, 2, 3) if token[-back:][:1] >= b"\xc0"), None)
    whole = lead is None or _is_text(token[-lead:])
    if lead is None or whole:
        yield b""
        return
    missing = 1 + (token[-lead] >= 0xE0) + (token[-lead] >= 0xF0) + 1 - lead
    for byte in range(0x80, 0xC0):
        rest = bytes([byte]) + b"\x80" * (missing - 1)
        if _is_text(token[-lead:] + rest):
            yield rest


def _openings(token: bytes) -> Iterator[bytes]:
    """What completes the character that a token begins inside of; nothing to add if it does not."""
    inside = next((at for at in range(len(token)) if not 0x80 <= token[at] < 0xC0), len(token))
    if not 0 < inside < 4:
        yield b""
        return
    for lead in range(0xC2, 0xF5):
        for middle in (b"", b"\x80", b"\xa4", b"\xb8", b"\x9f\x98", b"\xa0\x80"):
            start = bytes([lead]) + middle
            if _is_text(start + token[:inside]):
                yield start


def _is_text(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False
