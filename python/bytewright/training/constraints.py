"""What a learned token may be: small values that are given to `train` together.

Most are rules about the bytes of a token. The core asks them about a pair once, when the pair would
be merged next; a pair that is forbidden stays forbidden, so training with rules is exact: it is
greedy training over the pairs that are left. Two act before: `Digits` on how numbers are cut,
`Morphology` on where words are. The order in which they are given does not matter.

A token may hold parts of characters. Rules about characters speak of the characters that it holds
whole and of those that its last bytes may begin; a token that begins inside a character holds
nothing else under such a rule, since nothing can be known of that character.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import pyarrow as pa

from bytewright.arguments import instance, items, text, word
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.sizes import whole
from bytewright.training.counts import PretokenCounts

__all__ = [
    "Constraint",
    "Digits",
    "ForbiddenSubstrings",
    "MaxBytes",
    "MaxChars",
    "MaxWords",
    "Morphology",
    "NoLeadingDependentSign",
    "ScriptBoundaries",
    "checked",
    "cut_pieces",
    "letters_first",
    "lowered",
    "varied_pattern",
]


@dataclass(frozen=True)
class MaxBytes:
    """A token has at most `most` bytes; `max_token_bytes=` of `train` is this.

    `tokenizers` calls `max_token_length=N` what is `MaxBytes(N - 1)` here.
    """

    most: int


@dataclass(frozen=True)
class MaxChars:
    """A token touches at most `most` characters, whole or in part.

    With 3 or 4 it makes the character tokenizers of KL3M (Bommarito et al. 2025, "KL3M Tokenizers",
    arXiv 2503.17247), meant for correcting spelling and scanned text.
    """

    most: int


@dataclass(frozen=True)
class MaxWords:
    """A token has at most `most` words, stretches without a space.

    SuperBPE (Liu et al. 2025, arXiv 2503.13423) allows 4. It says something only where the pattern
    lets pieces hold several words.
    """

    most: int


@dataclass(frozen=True, init=False)
class ForbiddenSubstrings:
    r"""No token holds one of these texts.

    SuperBPE (arXiv 2503.13423) forbids `": "`, so that prompts which end in a colon do not split a
    token that the model knows.

    >>> ForbiddenSubstrings(": ", b"\xff").substrings
    (b': ', b'\xff')
    """

    substrings: tuple[bytes, ...]

    def __init__(self, *substrings: str | bytes) -> None:
        for substring in substrings:
            if isinstance(substring, str):
                text(substring, "a substring")
        texts = tuple(s.encode() if isinstance(s, str) else s for s in substrings)
        if not texts or not all(isinstance(one, bytes) and one for one in texts):
            raise ArgumentError(f"substrings {substrings!r}: texts that are not empty are needed")
        object.__setattr__(self, "substrings", texts)


@dataclass(frozen=True)
class ScriptBoundaries:
    """A token has letters of one script.

    By Unicode's property Script (UAX 24); characters that scripts share (Common and Inherited:
    digits, punctuation, combining marks) go with any. Asked for in `tokenizers` issue 104.
    """


@dataclass(frozen=True)
class NoLeadingDependentSign:
    """No learned token begins with a dependent vowel sign or a virama.

    Constrained BPE of MorphTok (Brahma et al. 2025, arXiv 2504.10335): in Brahmic scripts such a
    sign belongs to the consonant before it. Here the rule is kept for bytes: a sign never becomes a
    token of its own, its bytes join the consonant one after the other. So that a consonant does not
    take the first bytes of the next consonant for those of a sign, letters that share these bytes
    with a sign are learned before everything else, as far as they are frequent.

    A sign whose syllable is no token takes two tokens, the bytes that it shares with letters and
    its last one, where plain training has one for it. So small vocabularies pay and larger ones,
    which have the syllables, gain: on Hindi 5.8 % more tokens with a vocabulary of 600, 1.2 % with
    1000, 0.5 % with 2000, and 0.3 %, 0.6 % and 0.8 % fewer with 3000, 4000 and 8000.

    It is for patterns that leave marks with their letters, as o200k does; `gpt2` and `gpt4` cut a
    sign off its consonant, and then its bytes stay apart.
    """


@dataclass(frozen=True)
class Digits:
    """How numbers are cut, whatever the pattern says; the tokenizer has the pattern for it.

    - `"left"`: groups of three from the left, as in cl100k and o200k;
    - `"right"`: groups of three from the right, 1 234 567 (Singh & Strouse 2024, "Tokenization
      counts", arXiv 2402.14903);
    - `"single"`: each digit for itself.

    >>> Digits("right").pattern("o200k")
    'o200k+digits-right'
    """

    groups: Literal["left", "right", "single"]

    def __post_init__(self) -> None:
        word(self.groups, "groups", ("left", "right", "single"))

    def pattern(self, pattern: str) -> str:
        """The pattern that cuts numbers like this and the rest as `pattern` does."""
        text(pattern, "pattern")
        return f"{pattern}+digits-{self.groups}"


Segmentation = Callable[[bytes], Iterable[int]] | Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Morphology:
    """Merges do not cross the morphemes of a word (MorphTok, arXiv 2504.10335; MorphBPE).

    The cuts act on training only: the tokenizer has no step that would make them in new text, but
    where tokens are made of morphemes, merges prefer them.

    Attributes:
        cuts: for a piece, the byte offsets inside it where a morpheme begins; or a lexicon of words
            and their morphemes, which joined give the word. A piece is looked up without the white
            space it begins with.
    """

    cuts: Segmentation

    def __post_init__(self) -> None:
        if not callable(self.cuts) and not isinstance(self.cuts, Mapping):
            raise ArgumentTypeError(
                f"cuts: a function or a mapping is needed, not {type(self.cuts).__name__}"
            )

    def segments(self, piece: bytes) -> list[bytes]:
        """The piece in its parts.

        >>> Morphology({"unkindly": ["un", "kind", "ly"]}).segments(b" unkindly")
        [b' un', b'kind', b'ly']
        """
        instance(piece, bytes, "piece")
        if callable(self.cuts):
            found = sorted({0, len(piece), *self.cuts(piece)})
            if found[0] < 0 or found[-1] > len(piece):
                raise ArgumentError(f"cuts {found} of {piece!r}: offsets inside it are allowed")
            return [piece[a:b] for a, b in pairwise(found)]
        word = piece.lstrip()
        parts = self._parts(word)
        return [piece[: len(piece) - len(word)] + parts[0], *parts[1:]]

    def _parts(self, word: bytes) -> list[bytes]:
        assert not callable(self.cuts)
        try:
            entry = self.cuts.get(word.decode())
        except UnicodeDecodeError:
            return [word]
        if entry is None:
            return [word]
        parts = [self._part(part) for part in items(entry, "the morphemes of a word") if part]
        if b"".join(parts) != word:
            raise ArgumentError(f"the lexicon cuts {word.decode()!r} into {list(entry)!r}")
        return parts

    def _part(self, part: str) -> bytes:
        text(part, "a morpheme")
        return part.encode()


Constraint = (
    MaxBytes
    | MaxChars
    | MaxWords
    | ForbiddenSubstrings
    | ScriptBoundaries
    | NoLeadingDependentSign
    | Digits
    | Morphology
)


def checked(constraints: Any) -> tuple[Constraint, ...]:
    """The constraints as a tuple; one alone may be given without a list."""
    if not isinstance(constraints, Constraint | Iterable):
        raise ArgumentTypeError(f"{constraints!r} is no constraint")
    found = (constraints,) if isinstance(constraints, Constraint) else tuple(constraints)
    for constraint in found:
        if not isinstance(constraint, Constraint):
            raise ArgumentTypeError(f"{constraint!r} is no constraint")
        if isinstance(constraint, MaxBytes | MaxChars | MaxWords):
            whole(constraint.most, f"{constraint!r}: most", least=1)
    if sum(isinstance(constraint, Digits) for constraint in found) > 1:
        raise ArgumentError("numbers are cut in one way: only one Digits is allowed")
    return found


def lowered(constraints: Iterable[Constraint]) -> str:
    """The rules among them, as the core reads them."""
    return json.dumps([rule for rule in map(_rule, constraints) if rule])


def _rule(constraint: Constraint) -> dict[str, Any] | None:
    match constraint:
        case MaxBytes(most):
            return {"type": "max_bytes", "most": whole(most, "most")}
        case MaxChars(most):
            return {"type": "max_chars", "most": whole(most, "most")}
        case MaxWords(most):
            return {"type": "max_words", "most": whole(most, "most")}
        case ForbiddenSubstrings():
            texts = [list(one) for one in constraint.substrings]
            return {"type": "forbidden", "substrings": texts}
        case ScriptBoundaries():
            return {"type": "one_script"}
        case NoLeadingDependentSign():
            return {"type": "no_leading_sign"}
        case Digits() | Morphology():
            return None


def letters_first(constraints: Iterable[Constraint]) -> str | None:
    """The rules for the letters that are learned before everything else, if any are."""
    found = list(constraints)
    if not any(isinstance(constraint, NoLeadingDependentSign) for constraint in found):
        return None
    return json.dumps([*json.loads(lowered(found)), {"type": "beside_sign"}])


def varied_pattern(constraints: Iterable[Constraint], pattern: str | None) -> str | None:
    """The pattern with the way of cutting numbers that a constraint asks for."""
    for constraint in constraints:
        if isinstance(constraint, Digits):
            if pattern is None:
                raise ArgumentError("Digits needs a pattern to vary")
            return constraint.pattern(pattern)
    return pattern


def cut_pieces(constraints: Iterable[Constraint], counts: PretokenCounts) -> PretokenCounts:
    """The pieces cut where morphemes meet; a part counts as often as the pieces it is in."""
    for constraint in constraints:
        if isinstance(constraint, Morphology):
            cut = ((constraint.segments(piece), count) for piece, count in counts)
            rows = [(part, count) for parts, count in cut for part in parts]
            table = pa.table(
                {
                    "piece": pa.array([part for part, _ in rows], pa.large_binary()),
                    "count": pa.array([count for _, count in rows], pa.int64()),
                }
            )
            counts = PretokenCounts.from_arrow(table, pattern=counts.pattern)
    return counts
