"""Training that does more than join the most frequent pair, and its encoding, by definition."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from reference import Merge, Row, best_pair, joined, weighted

Event = tuple[str, Merge | bytes, list[bytes]]
"""`("join", pair, [product])` or `("split", token, parts)`."""


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
            best = best_pair(weighted([row for text in texts for row in text]), ids)
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
            found = ((at, best_pair(weighted(texts[at]), ids)) for at in order)
            turn, best = next(((at, pair) for at, pair in found if pair), (-1, None))
            if best is None:
                break
            turns.append(turn)
        ids.setdefault(best[0] + best[1], len(ids))
        texts = [[(joined(row, best), n) for row, n in text] for text in texts]
        dev = [[(joined(row, best), n) for row, n in text] for text in dev]
        made.append((best, turn))
    return made


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
        best = best_pair(weighted(rows), ids)
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
        best = best_pair(counts, ids)
        if best is None:
            break
        ids.setdefault(best[0] + best[1], len(ids))
        made.append(best)
        rows = [(joined(row, best), n) for row, n in rows]
    return made


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
