"""N-gram models by their definition, over dictionaries of tuples: slow and readable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

Gram = tuple[int, ...]


class Kneser:
    """Interpolated modified Kneser-Ney over documents of ids; `end` begins and ends each."""

    def __init__(
        self, documents: Iterable[Sequence[int]], order: int, *, end: int, outcomes: Iterable[int]
    ) -> None:
        self.order, self.end = order, end
        texts = [(end, *document, end) for document in documents]
        occurs: Counter[Gram] = Counter()
        for text in texts:
            for length in range(1, order + 1):
                for at in range(len(text) - length + 1):
                    # The beginning alone is no outcome.
                    if (length, at) != (1, 0):
                        occurs[text[at : at + length]] += 1
        before: Counter[Gram] = Counter(gram[1:] for gram in occurs)
        self.count = [
            {
                gram: times if length == order or (gram[0] == end and length > 1) else before[gram]
                for gram, times in occurs.items()
                if len(gram) == length
            }
            for length in range(1, order + 1)
        ]
        self.discount = [_discounts(Counter(counts.values())) for counts in self.count]
        self.outcomes = sorted({*outcomes, *(gram[0] for gram in self.count[0])})

    def row(self, context: Sequence[int]) -> dict[int, float]:
        """The probability of every outcome after a context."""
        ids = (self.end, *context)
        last = max(at for at, token in enumerate(ids) if token == self.end)
        history = ids[last:][-(self.order - 1) :] if self.order > 1 else ()
        row = dict.fromkeys(self.outcomes, 1 / len(self.outcomes))
        for length in range(len(history) + 1):
            row = self._deeper(history[len(history) - length :], row)
        return row

    def _deeper(self, context: Gram, row: dict[int, float]) -> dict[int, float]:
        counts, discount = self.count[len(context)], self.discount[len(context)]
        after = {w: counts[*context, w] for w in self.outcomes if (*context, w) in counts}
        total = sum(after.values())
        if not total:
            return row
        taken = {w: discount[min(count, 3)] for w, count in after.items()}
        given = sum(taken.values()) / total
        return {w: (after.get(w, 0) - taken.get(w, 0)) / total + given * p for w, p in row.items()}


class Unbounded(Kneser):
    """The longest context that occurred, by Witten & Bell with the bounded model."""

    def __init__(
        self, documents: Sequence[Sequence[int]], order: int, *, end: int, outcomes: Iterable[int]
    ) -> None:
        super().__init__(documents, order, end=end, outcomes=outcomes)
        self.texts = [(end, *document, end) for document in documents]

    def match(self, context: Sequence[int]) -> tuple[int, Counter[int]]:
        """How long the longest context is that occurred, and what followed it."""
        ids = (self.end, *context)
        ids = ids[max(at for at, token in enumerate(ids) if token == self.end) :]
        for length in range(len(ids), 0, -1):
            after = Counter(
                text[at + length]
                for text in self.texts
                for at in range(len(text) - length)
                if text[at : at + length] == ids[-length:]
            )
            if after:
                return length, after
        return 0, Counter()

    def row(self, context: Sequence[int]) -> dict[int, float]:
        """The probability of every outcome after a context."""
        row = super().row(context)
        length, after = self.match(context)
        if length < self.order:
            return row
        total, share = sum(after.values()), 16 * len(after) / (length + 1 - self.order)
        return {w: (after[w] + share * p) / (total + share) for w, p in row.items()}


def _discounts(times: Counter[int]) -> dict[int, float]:
    """What is taken from a count of 1, of 2, and of 3 and more."""
    found = {}
    for i in (1, 2, 3):
        found[i] = i / 2
        if times[i] and (times[1] or times[2]):
            y = times[1] / (times[1] + 2 * times[2])
            estimate = i - (i + 1) * y * times[i + 1] / times[i]
            found[i] = estimate if 0 < estimate < i else i / 2
    return found
