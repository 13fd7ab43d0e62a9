"""Definitions as slow, readable code: what the fast code is compared with."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

Merge = tuple[bytes, bytes]
Row = list[bytes]


def gpt2_pieces(text: bytes) -> list[bytes]:
    """GPT-2's pre-tokens of ASCII text without contractions."""
    return re.findall(rb" ?[a-zA-Z]+| ?[0-9]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+", text)


def joined(row: Row, pair: Merge) -> Row:
    """A row with a pair joined wherever it stands, from left to right."""
    out, at = [], 0
    while at < len(row):
        if tuple(row[at : at + 2]) == pair:
            out.append(pair[0] + pair[1])
            at += 2
        else:
            out.append(row[at])
            at += 1
    return out


def merged(merges: Sequence[Merge], piece: bytes) -> Row:
    """A piece after all merges, each rank everywhere before the next."""
    row = [bytes([byte]) for byte in piece]
    ranks: dict[Merge, int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault(pair, rank)
    while True:
        known = [pair for pair in pairwise(row) if pair in ranks]
        if not known:
            return row
        row = joined(row, min(known, key=ranks.__getitem__))


def continued_merges(
    rows: Sequence[Row],
    wanted: int,
    *,
    least: int,
    order: Callable[[Merge], Any],
    known: set[bytes],
) -> list[Merge]:
    """The most frequent pair, joined everywhere, until `wanted` tokens are new."""
    rows, known, merges = list(rows), set(known), []
    while wanted > 0:
        counts = Counter(pair for row in rows for pair in pairwise(row))
        if max(counts.values(), default=0) < least:
            break
        best = min(counts, key=lambda pair: (-counts[pair], order(pair)))
        wanted -= best[0] + best[1] not in known
        known.add(best[0] + best[1])
        merges.append(best)
        rows = [joined(row, best) for row in rows]
    return merges


def grafted(first: Sequence[Merge], second: Sequence[Merge]) -> tuple[list[Merge], list[bytes]]:
    """The merges of the union of two vocabularies, and the tokens left out of it."""
    merges = list(first)
    have = {a + b for a, b in first} | {bytes([byte]) for byte in range(256)}
    wanted = [t for t in dict.fromkeys(a + b for a, b in second) if t not in have]
    while True:
        left = []
        for token in wanted:
            row = merged(merges, token)
            if len(row) == 2:
                merges.append((row[0], row[1]))
            else:
                left.append(token)
        if left == wanted:
            return merges, left
        wanted = left


Event = tuple[str, Merge | bytes, list[bytes]]
"""`("join", pair, [product])` or `("split", token, parts)`."""


def weighted(rows: Sequence[tuple[Row, int]]) -> Counter[Merge]:
    """How often each pair of neighbours occurs in rows that count several times."""
    counts: Counter[Merge] = Counter()
    for row, weight in rows:
        for pair in pairwise(row):
            counts[pair] += weight
    return counts


def uses(rows: Sequence[tuple[Row, int]], token: bytes) -> int:
    """How often a token stands in rows that count several times."""
    return sum(row.count(token) * weight for row, weight in rows)


def picky(
    pieces: dict[bytes, int], vocab_size: int, *, tau: float, least: int = 1
) -> tuple[list[bytes], list[Event]]:
    """Picky BPE by its definition: tokens in the order of their first making, and all events."""
    rows = [([bytes([b]) for b in piece], count) for piece, count in sorted(pieces.items())]
    ids = {bytes([byte]): byte for byte in range(256)}
    made_of: dict[bytes, Merge] = {}
    present = set(ids)
    events: list[Event] = []
    while len(present) < vocab_size:
        counts = weighted(rows)
        if max(counts.values(), default=0) < least:
            break
        pair = min(counts, key=lambda p: (-counts[p], ids[p[0]], ids[p[1]]))
        product = pair[0] + pair[1]
        ids.setdefault(product, len(ids))
        already = uses(rows, product)
        rows = [(joined(row, pair), weight) for row, weight in rows]
        times = uses(rows, product) - already
        events.append(("join", pair, [product]))
        present.add(product)
        made_of[product] = pair
        for token in dict.fromkeys(pair):
            rest = uses(rows, token)
            if len(token) > 1 and token in present and times / (rest + times) > tau:
                present.discard(token)
                parts = _constituents(token, present, made_of)
                rows = [
                    ([p for t in row for p in (parts if t == token else [t])], weight)
                    for row, weight in rows
                ]
                events.append(("split", token, parts))
    order = [token for token in ids if token in present]
    return order, events


def _constituents(token: bytes, present: set[bytes], made_of: dict[bytes, Merge]) -> list[bytes]:
    if token in present:
        return [token]
    left, right = made_of[token]
    return [*_constituents(left, present, made_of), *_constituents(right, present, made_of)]


def replayed(events: Sequence[Event], piece: bytes) -> Row:
    """A piece after all events in their order."""
    row = [bytes([byte]) for byte in piece]
    for kind, what, parts in events:
        if kind == "join":
            assert isinstance(what, tuple)
            row = joined(row, what)
        else:
            row = [part for token in row for part in (parts if token == what else [token])]
    return row


BoundlessEvent = tuple[str, Merge | bytes]
"""`("join", pair)`, `("across", pair)` or `("split", token)`."""


def is_word(piece: bytes) -> bool:
    """Whether BoundlessBPE may join a piece of ASCII text with its neighbours."""
    return re.fullmatch(rb"(?s)(?=.+[a-zA-Z])[a-zA-Z _']+", piece) is not None


def boundless(
    texts: Sequence[Row], vocab_size: int, tau: float | None = None
) -> tuple[list[bytes], list[BoundlessEvent]]:
    """BoundlessBPE by its definition: tokens in the order of their making, and what happened.

    A text is its pieces; a unit is the tokens of a piece, or of several that were joined. Units of
    several pieces are not looked at any more when tokens are counted and taken out.
    """
    units = [[([bytes([b]) for b in p], is_word(p)) for p in pieces] for pieces in texts]
    # The pieces by themselves, which joining whole pieces leaves alone.
    rows = [[bytes([b]) for b in p] for pieces in texts for p in pieces]
    made = {bytes([byte]): None for byte in range(256)}
    gone: set[bytes] = set()
    events: list[BoundlessEvent] = []
    while len(made) - len(gone) < vocab_size:
        inside: Counter[Merge] = Counter(pair for row in rows for pair in pairwise(row))
        across: Counter[Merge] = Counter(
            (a[0][0], b[0][0]) for text in units for a, b in pairwise(text) if _may_join(a, b)
        )
        found = [
            (-count, not whole, pair)
            for counts, whole in ((inside, False), (across, True))
            for pair, count in counts.items()
            if pair[0] + pair[1] not in made
        ]
        if not found:
            break
        _, is_inside, pair = min(found)
        before = {token: uses([(row, 1) for row in rows], token) for token in pair}
        made[pair[0] + pair[1]] = None
        if not is_inside:
            events.append(("across", pair))
            units = [_join_units(text, pair) for text in units]
            continue
        events.append(("join", pair))
        rows = [joined(row, pair) for row in rows]
        units = [[(joined(row, pair), word) for row, word in text] for text in units]
        times = uses([(row, 1) for row in rows], pair[0] + pair[1])
        for token in dict.fromkeys(pair):
            if tau is not None and len(token) > 1 and times / before[token] >= tau:
                gone.add(token)
                events.append(("split", token))
                rows = [in_bytes(row, token) for row in rows]
                units = [[(in_bytes(row, token), word) for row, word in text] for text in units]
    return [token for token in made if token not in gone], events


def in_bytes(row: Row, token: bytes) -> Row:
    """A row in which a token has fallen into its bytes."""
    return [p for t in row for p in ([bytes([b]) for b in t] if t == token else [t])]


def _may_join(a: tuple[Row, bool], b: tuple[Row, bool]) -> bool:
    return len(a[0]) == len(b[0]) == 1 and a[1] and b[1]


def _join_units(text: list[tuple[Row, bool]], pair: Merge) -> list[tuple[Row, bool]]:
    out, at = [], 0
    while at < len(text):
        two = text[at : at + 2]
        if len(two) == 2 and _may_join(*two) and (two[0][0][0], two[1][0][0]) == pair:
            out.append(([pair[0] + pair[1]], True))
            at += 2
        else:
            out.append(text[at])
            at += 1
    return out


def boundless_tokens(events: Sequence[BoundlessEvent], pieces: Row) -> Row:
    """A text, given as its pieces, encoded by the rule of least index, all kinds together."""
    text = [([bytes([b]) for b in piece], is_word(piece)) for piece in pieces]
    for kind, what in events:
        if kind == "split":
            assert isinstance(what, bytes)
            text = [(in_bytes(row, what), word) for row, word in text]
            continue
        assert isinstance(what, tuple)
        if kind == "across":
            text = _join_units(text, what)
        else:
            text = [(joined(row, what), word) for row, word in text]
    return [token for row, _ in text for token in row]


def parity(
    languages: Sequence[tuple[dict[bytes, int], dict[bytes, int]]],
    merges: int,
    *,
    window: int,
    share: float,
    shared: int,
) -> list[tuple[Merge, int]]:
    """Parity-aware BPE by its definition: merges, and whose turn each was (-1 for all)."""
    texts = [[([bytes([b]) for b in p], n) for p, n in t.items()] for t, _ in languages]
    dev = [[([bytes([b]) for b in p], n) for p, n in d.items()] for _, d in languages]
    ids = {bytes([byte]): byte for byte in range(256)}
    turns: list[int] = []
    made: list[tuple[Merge, int]] = []
    most = share / (len(languages) + (shared > 0))
    while len(made) < merges:
        best, turn = None, -1
        if len(made) < shared:
            best = _best(weighted([row for text in texts for row in text]), ids)
        if best is None:
            last = turns[-window:] if window else []
            order = sorted(
                range(len(languages)),
                key=lambda at: (
                    window > 0 and last.count(at) / window > most,
                    -sum(len(row) * n for row, n in dev[at]),
                    at,
                ),
            )
            found = ((at, _best(weighted(texts[at]), ids)) for at in order)
            turn, best = next(((at, pair) for at, pair in found if pair), (-1, None))
            if best is None:
                break
            turns.append(turn)
        ids.setdefault(best[0] + best[1], len(ids))
        texts = [[(joined(row, best), n) for row, n in text] for text in texts]
        dev = [[(joined(row, best), n) for row, n in text] for text in dev]
        made.append((best, turn))
    return made


def _best(counts: Counter[Merge], ids: dict[bytes, int]) -> Merge | None:
    return min(counts, key=lambda p: (-counts[p], ids[p[0]], ids[p[1]]), default=None)


def trained(
    pieces: dict[bytes, int],
    wanted: int,
    *,
    order: Sequence[bytes],
    allowed: Callable[[bytes], bool] = lambda token: True,
) -> list[Merge]:
    """BPE by its definition: the most frequent pair of all, joined everywhere, until enough.

    Ties go to the smaller ids; ids are those of the bytes in their order, then of new tokens.
    """
    ids = {token: at for at, token in enumerate(order)}
    rows = [([bytes([byte]) for byte in piece], count) for piece, count in pieces.items()]
    merges: list[Merge] = []
    while len(ids) < len(order) + wanted:
        counts: Counter[Merge] = Counter()
        for row, count in rows:
            for pair in pairwise(row):
                counts[pair] += count
        found = [pair for pair in counts if allowed(pair[0] + pair[1])]
        if not found:
            break
        best = min(found, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        ids.setdefault(best[0] + best[1], len(ids))
        rows = [(joined(row, best), count) for row, count in rows]
        merges.append(best)
    return merges


def superword_pieces(text: bytes) -> list[bytes]:
    """The pieces of ASCII text in SuperBPE's second stage."""
    cut = re.compile(rb"[0-9]{1,3}| ?[^\sa-zA-Z0-9]{2,}[\r\n/]*| +(?!\S)")
    pieces, at = [], 0
    for match in cut.finditer(text):
        pieces += [text[at : match.start()], match[0]]
        at = match.end()
    return [piece for piece in [*pieces, text[at:]] if piece]


def superwords(
    words: Counter[bytes], stretches: Counter[bytes], merges: int, transition: int, most: int
) -> list[Merge]:
    """SuperBPE by its definition: `merges` new tokens, of which words make the first."""
    ids = {bytes([byte]): byte for byte in range(256)}
    rows = [([bytes([b]) for b in piece], n) for piece, n in words.items()]
    made: list[Merge] = []
    while len(ids) < 256 + transition:
        best = _best(weighted(rows), ids)
        if best is None:
            break
        ids.setdefault(best[0] + best[1], len(ids))
        made.append(best)
        rows = [(joined(row, best), n) for row, n in rows]
    made = made[:transition]
    ids = {bytes([byte]): byte for byte in range(256)}
    rows = [([bytes([b]) for b in piece], n) for piece, n in stretches.items()]
    for pair in made:
        ids.setdefault(pair[0] + pair[1], len(ids))
        rows = [(joined(row, pair), n) for row, n in rows]
    while len(ids) < 256 + merges:
        counts = weighted(rows)
        for pair in list(counts):
            token = pair[0] + pair[1]
            if sum(map(bool, token.split(b" "))) > most or b": " in token:
                del counts[pair]
        best = _best(counts, ids)
        if best is None:
            break
        ids.setdefault(best[0] + best[1], len(ids))
        made.append(best)
        rows = [(joined(row, best), n) for row, n in rows]
    return made


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


def compression_aware(
    pieces: Sequence[bytes], validation: Sequence[bytes], vocab_size: int, tried: int
) -> list[Merge]:
    """Of the `tried` most frequent pairs, the one after which the ids are shortest packed."""
    ids = {bytes([byte]): byte for byte in range(256)}
    rows = [[bytes([b]) for b in piece] for piece in pieces]
    text = [[bytes([b]) for b in piece] for piece in validation]
    merges: list[Merge] = []
    while len(ids) < vocab_size:
        counts = weighted([(row, 1) for row in rows])
        best = sorted(counts, key=lambda p: (-counts[p], ids[p[0]], ids[p[1]]))[:tried]
        if not best:
            break
        sizes = []
        for pair in best:
            known = ids | {pair[0] + pair[1]: len(ids)}
            stream = [known[token] for row in text for token in joined(row, pair)]
            packed = b"".join(token.to_bytes(2, "little") for token in stream)
            sizes.append(len(zlib.compress(packed, 6)))
        pair = best[sizes.index(min(sizes))]
        ids.setdefault(pair[0] + pair[1], len(ids))
        merges.append(pair)
        rows = [joined(row, pair) for row in rows]
        text = [joined(row, pair) for row in text]
    return merges
