"""Less-is-Better by its definition: texts cut into chunks, and how a lexicon is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Row = list[bytes]


def _matches(chunks: set[bytes], text: bytes, at: int) -> list[bytes]:
    """The chunks that a text has at a place, the longest first."""
    found = [text[at:end] for end in range(len(text), at, -1) if text[at:end] in chunks]
    return found or [text[at : at + 1]]


def _choice(
    chunks: set[bytes], rank: Callable[[bytes], int], text: bytes, at: int, horizon: int = 24
) -> tuple[bytes, bytes | None]:
    """The chunk to take and the other that it was compared with, if it was."""
    matches = _matches(chunks, text, at)
    if len(matches) == 1:
        return matches[0], None
    ways = [[matches[0]], [matches[1]]]
    ends = [at + len(way[0]) for way in ways]
    while ends[0] != ends[1]:
        behind = ends.index(min(ends))
        if len(ways[behind]) == horizon or ends[behind] == len(text):
            return matches[0], None
        ways[behind].append(_matches(chunks, text, ends[behind])[0])
        ends[behind] += len(ways[behind][-1])
    one, two = ((len(way), sum(map(rank, way))) for way in ways)
    return (matches[1], matches[0]) if two < one else (matches[0], matches[1])


def lexicon_chunks(ranked: Sequence[bytes], text: bytes) -> Row:
    """Less-is-Better: a text cut into chunks; `ranked` are those of several bytes, best first."""
    chunks = {*ranked, *(bytes([byte]) for byte in range(256))}
    row, at = [], 0
    while at < len(text):
        chunk, _ = _choice(chunks, lambda c: ranked.index(c) + 1 if len(c) > 1 else 0, text, at)
        row.append(chunk)
        at += len(chunk)
    return row


def split_mix(seed: int) -> Callable[[], float]:
    """Numbers from 0 to 1 by SplitMix64."""
    state, mask = seed, (1 << 64) - 1

    def draw() -> float:
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    return draw


def learned_lexicon(
    sentences: Sequence[bytes],
    *,
    alpha: float,
    delta: float,
    life: int,
    tail: float,
    longest: int,
    epochs: int,
    seed: int,
    varied_contexts: bool = False,
) -> list[bytes]:
    """Less-is-Better: the chunks of several bytes that are learned, best first."""
    draw, step, credit = split_mix(seed), 0, 0.0
    ranked: list[bytes] = []
    singles = {bytes([byte]) for byte in range(256)}
    probation: dict[bytes, int] = {}
    contexts: dict[bytes, tuple[bytes, bytes]] = {}

    def longest_at(place: int) -> bytes:
        return _matches({*ranked, *singles}, sentence, place)[0]

    def memorise(new: bytes, left: bytes, right: bytes) -> None:
        if len(new) <= longest and new not in ranked:
            ranked.append(new)
            probation[new] = step + life
            contexts.pop(new, None)
            if varied_contexts:
                contexts[new] = left, right

    for sentence in [*sentences] * epochs:
        # A source has no empty documents.
        if not sentence:
            continue
        at, last, before = 0, b"", b""
        while at < len(sentence):
            chunks = {*ranked, *singles}
            chunk, other = _choice(
                chunks, lambda c: ranked.index(c) + 1 if len(c) > 1 else 0, sentence, at
            )
            if other is not None:
                if chunk not in contexts:
                    probation.pop(chunk, None)
                else:
                    right = longest_at(at + len(chunk))
                    after = longest_at(at + len(chunk + right))
                    old = contexts[chunk]
                    same_left = b"" not in (last, old[0]) and (
                        last.endswith(old[0]) or old[0].endswith(last)
                    )
                    same_right = b"" not in (right, old[1]) and (
                        right.startswith(old[1]) or old[1].startswith(right)
                    )
                    if same_left:
                        memorise(last + chunk, before, right)
                    if same_right:
                        memorise(chunk + right, last, after)
                    if not same_left and not same_right and (last, right, *old) != (b"",) * 4:
                        probation.pop(chunk, None)
                        del contexts[chunk]
                for moved, sign in ((chunk, -1), (other, 1)):
                    if moved in ranked:
                        rank = ranked.index(moved)
                        ranked.remove(moved)
                        ranked.insert(max(0, rank + sign * (int(rank * delta) + 1)), moved)
            if last and draw() < alpha:
                memorise(last + chunk, before, longest_at(at + len(chunk)))
            at += len(chunk)
            last, before = chunk, last
        credit += tail * len(ranked)
        for chunk in ranked[len(ranked) - int(credit) :] if credit >= 1 else []:
            probation.setdefault(chunk, step + life)
        credit -= int(credit)
        for chunk in [chunk for chunk, end in probation.items() if end <= step]:
            del probation[chunk]
            contexts.pop(chunk, None)
            ranked.remove(chunk)
        step += 1
    return ranked
