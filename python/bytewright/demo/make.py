"""How the demo vocabulary was made: `python -m bytewright.demo.make`, needs the `regex` package.

A plain byte-level BPE trainer (Sennrich et al. 2016, byte alphabet of Radford et al. 2019) over
the texts of `bytewright.demo.documents`. Pieces are those of the o200k pattern. The pair with the
highest count wins, ties go to the smaller left id, then the smaller right id, so the same Python
gives the same file. The one in the package was made with CPython 3.11.7.

The texts are under the PSF licence and are not shipped; a list of frequent byte strings is.

Cost: five seconds and 200 MB. A maker script, not the trainer of the package.
"""

from __future__ import annotations

import base64
import heapq
import importlib
import itertools
from collections import Counter, defaultdict

from bytewright.demo import SPECIAL, VOCAB_SIZE, documents, path

# The o200k pattern, as its authors published it with tiktoken (MIT).
O200K = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)

# Prose is a twentieth of the text, yet most of what people type into a terminal.
PROSE_WEIGHT = 8

# Help pages draw tables; without a limit their rulers would fill dozens of entries.
LONGEST = 24

Pair = tuple[int, int]


def main() -> None:
    """Train on this Python's own texts and write the ranks beside this file."""
    ids = train(count_pieces(), VOCAB_SIZE - len(SPECIAL))
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ids.items())
    path().write_bytes(b"".join(lines))


def count_pieces() -> Counter[bytes]:
    """Count the pieces of every document, prose several times over."""
    regex = importlib.import_module("regex")

    find = regex.compile(O200K).findall
    counts: Counter[bytes] = Counter()
    for name, text in documents():
        weight = PROSE_WEIGHT if name.startswith("topic:") else 1
        for piece, n in Counter(find(text)).items():
            counts[piece.encode()] += n * weight
    return counts


def train(pieces: Counter[bytes], size: int) -> dict[bytes, int]:
    """Merge the most frequent pair until there are `size` tokens, the 256 bytes included."""
    order = sorted(pieces)
    table = PairTable([list(piece) for piece in order], [pieces[piece] for piece in order])
    tokens = [bytes([byte]) for byte in range(256)]
    ids = {token: byte for byte, token in enumerate(tokens)}
    while len(tokens) < size:
        left, right = pair = table.pop()
        token = tokens[left] + tokens[right]
        if len(token) > LONGEST:
            continue
        if token not in ids:
            ids[token] = len(tokens)
            tokens.append(token)
        # Ranks join any two neighbours that spell a token, so a second pair makes no second token.
        table.merge(pair, ids[token])
    return ids


class PairTable:
    """Weighted words, the count of every pair in them, and where each pair may stand."""

    def __init__(self, words: list[list[int]], weights: list[int]) -> None:
        self.words = words
        self.weights = weights
        self.counts: Counter[Pair] = Counter()
        self.places: defaultdict[Pair, set[int]] = defaultdict(set)
        for index in range(len(words)):
            self._count(index, 1)
        self.heap = [(-n, pair) for pair, n in self.counts.items()]
        heapq.heapify(self.heap)

    def pop(self) -> Pair:
        """The pair with the highest count; an entry whose count has changed goes back."""
        while True:
            negative, pair = heapq.heappop(self.heap)
            now = self.counts[pair]
            if now == -negative and now > 0:
                return pair
            if 0 < now < -negative:
                heapq.heappush(self.heap, (-now, pair))

    def merge(self, pair: Pair, new: int) -> None:
        """Join the pair wherever it stands."""
        touched: set[Pair] = set()
        for index in self.places.pop(pair, ()):
            self._count(index, -1)
            self.words[index] = joined(self.words[index], pair, new)
            touched |= self._count(index, 1)
        for other in touched:
            if new in other:
                heapq.heappush(self.heap, (-self.counts[other], other))

    def _count(self, index: int, sign: int) -> set[Pair]:
        """Add or take away the pairs of one word."""
        word, weight = self.words[index], self.weights[index] * sign
        pairs = list(itertools.pairwise(word))
        for pair in pairs:
            self.counts[pair] += weight
            if sign > 0:
                self.places[pair].add(index)
        return set(pairs)


def joined(word: list[int], pair: Pair, new: int) -> list[int]:
    """Replace the pair from left to right, without overlap."""
    out: list[int] = []
    at = 0
    while at < len(word):
        hit = word[at] == pair[0] and word[at + 1 : at + 2] == [pair[1]]
        out.append(new if hit else word[at])
        at += 2 if hit else 1
    return out


if __name__ == "__main__":
    main()
