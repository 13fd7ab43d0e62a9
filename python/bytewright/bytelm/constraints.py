"""What a text has to be, told a byte at a time.

A constraint is a machine that reads a text: at each place it says which of the 257 outcomes may
follow. Places do not change, so a text may go on in several ways from one of them.

Outcomes that lead nowhere are not allowed: `RegexConstraint` and `ChoiceConstraint` know of each
outcome how many bytes the shortest whole text that begins so has left, so that no text is begun for
which there is no end, nor for which there is no room. Of a callable nobody can know it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bytewright import _core
from bytewright.bytelm.arguments import check_bytes, text_bytes
from bytewright.bytelm.distribution import END, OUTCOMES
from bytewright.bytelm.utf8 import may_follow
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.utf8 import missing, unfinished

__all__ = [
    "AllOf",
    "CallableConstraint",
    "ChoiceConstraint",
    "Constraint",
    "ConstraintPlace",
    "RegexConstraint",
    "may_end",
    "satisfied",
]

Mask = NDArray[np.bool_]

# More than any number of bytes that outcomes can need.
_NEVER = np.iinfo(np.uint32).max


class ConstraintPlace(Protocol):
    """A place in a text that is to satisfy a constraint."""

    @property
    def exact(self) -> bool:
        """Whether the mask says all; otherwise an outcome of the mask has to be asked for too."""
        ...

    def mask(self, room: int) -> Mask:
        """The outcomes that may follow where no more than `room` bytes may, bool `[257]`."""
        ...

    def allows(self, outcome: int) -> bool:
        """Whether an outcome of the mask may follow."""
        ...

    def after(self, byte: int) -> ConstraintPlace:
        """The place after a byte that may follow."""
        ...


@runtime_checkable
class Constraint(Protocol):
    """What a text has to be."""

    def start(self, prompt: bytes) -> ConstraintPlace:
        """The place before a text that follows a prompt; the prompt is no part of the text."""
        ...


def satisfied(constraint: Constraint, prompt: bytes, text: bytes) -> bool:
    """Whether a whole text, every byte of which was allowed, satisfies a constraint."""
    place = constraint.start(prompt)
    for byte in text:
        place = place.after(byte)
    return may_end(place)


def may_end(place: ConstraintPlace) -> bool:
    """Whether a text that ends here satisfies the constraint."""
    return bool(place.mask(0)[END]) and place.allows(END)


class RegexConstraint:
    r"""The whole text has to match a regular expression.

    Patterns are those of pre-tokenizers (Unicode classes, lazy and possessive quantifiers, look-around
    at one character), run in linear time. Texts are UTF-8; `$` is the end of the text. Behind a prompt
    that ends inside a character a text first finishes that character, and what follows has to match.

    >>> date = RegexConstraint(r"\d{4}-(0[1-9]|1[0-2])")
    >>> place = date.start(b"")
    >>> bytes(np.flatnonzero(place.mask(7))[:10].tolist())
    b'0123456789'
    >>> bool(place.mask(6).any())  # There is no room for a month.
    False
    >>> satisfied(date, "中".encode()[:2], "中".encode()[2:] + b"2026-11")
    True
    """  # noqa: E501

    __slots__ = ("_guide", "_pattern")

    def __init__(self, pattern: str) -> None:
        """Compile a pattern.

        Raises:
            PatternError: what is wrong with the pattern, or in it cannot be decided a character at
                a time (backreferences, recursion, look-around at several characters).
            ArgumentError: no text matches. Later, where masks are asked for, that the pattern has
                too many states.
        """
        if not isinstance(pattern, str):
            raise ArgumentTypeError(f"pattern must be str, not {type(pattern).__name__}")
        self._pattern = pattern
        text_bytes(pattern)  # Lone surrogates are refused by name.
        self._guide = _core.ByteGuide(pattern)
        if self._guide.needs(self._guide.start()).min() == _NEVER:
            raise ArgumentError(f"pattern {pattern!r}: no text matches it")

    @property
    def pattern(self) -> str:
        """The pattern."""
        return self._pattern

    def __reduce__(self) -> tuple[type[RegexConstraint], tuple[str]]:
        return type(self), (self._pattern,)

    def start(self, prompt: bytes = b"") -> ConstraintPlace:
        """The place before the text."""
        check_bytes(prompt, "prompt")
        match = _Match(self._guide, self._guide.start())
        tail = unfinished(prompt)
        return _Finishing(tail, match) if tail else match

    def __repr__(self) -> str:
        return f"RegexConstraint({self._pattern!r})"


class _Finishing:
    """The place inside the character that the prompt ends in, before what has to match."""

    __slots__ = ("_match", "_tail")
    exact = True

    def __init__(self, tail: bytes, match: _Match) -> None:
        self._tail, self._match = tail, match

    def mask(self, room: int) -> Mask:
        return may_follow(self._tail) & self._match.mask(room - missing(self._tail)).any()

    def allows(self, outcome: int) -> bool:
        return bool(may_follow(self._tail)[outcome])

    def after(self, byte: int) -> ConstraintPlace:
        if not self.allows(byte):
            raise ArgumentError(f"byte {byte} may not follow here")
        tail = unfinished(self._tail + bytes([byte]))
        return _Finishing(tail, self._match) if tail else self._match


class _Match:
    __slots__ = ("_guide", "_number")
    exact = True

    def __init__(self, guide: _core.ByteGuide, number: int) -> None:
        self._guide, self._number = guide, number

    def mask(self, room: int) -> Mask:
        return self._guide.needs(self._number) <= min(room, _NEVER - 1)

    def allows(self, outcome: int) -> bool:
        return bool(self._guide.needs(self._number)[outcome] < _NEVER)

    def after(self, byte: int) -> _Match:
        number = self._guide.after(self._number, byte)
        if number is None:
            raise ArgumentError(f"byte {byte} may not follow here")
        return _Match(self._guide, number)


class ChoiceConstraint:
    """The text has to be one of these, which may hold any bytes.

    Behind a prompt that ends inside a character it is one of these too, so to be UTF-8 they have to
    begin with what that character lacks.

    >>> place = ChoiceConstraint(["yes", "no"]).start(b"")
    >>> np.flatnonzero(place.mask(3)).tolist(), np.flatnonzero(place.mask(2)).tolist()
    ([110, 121], [110])
    """

    __slots__ = ("_choices",)

    def __init__(self, choices: Iterable[str | bytes]) -> None:
        """Take the texts.

        Raises:
            ArgumentError: there is none.
        """
        if isinstance(choices, str | bytes):
            raise ArgumentTypeError("choices: a list of texts, not one text")
        if not isinstance(choices, Iterable):
            raise ArgumentTypeError(f"choices: a list of texts, not {type(choices).__name__}")
        self._choices = sorted(set(map(text_bytes, choices)))
        if not self._choices:
            raise ArgumentError("choices: there is none")

    @property
    def choices(self) -> tuple[bytes, ...]:
        """The texts in the order of their bytes."""
        return tuple(self._choices)

    def start(self, prompt: bytes = b"") -> ConstraintPlace:
        """The place before the text."""
        check_bytes(prompt, "prompt")
        return _Choices(self._choices, 0, len(self._choices), 0)

    def __repr__(self) -> str:
        return f"<ChoiceConstraint of {len(self._choices)} texts>"


class _Choices:
    """The run of those texts that begin with the bytes so far, `depth` in number."""

    __slots__ = ("_choices", "_depth", "_needs", "_start", "_stop")
    exact = True

    def __init__(self, choices: list[bytes], start: int, stop: int, depth: int) -> None:
        self._choices, self._start, self._stop, self._depth = choices, start, stop, depth
        self._needs: NDArray[np.uint32] | None = None

    def mask(self, room: int) -> Mask:
        if self._needs is None:
            self._needs = np.full(OUTCOMES, _NEVER, np.uint32)
            for choice in self._choices[self._start : self._stop]:
                left = len(choice) - self._depth
                outcome = choice[self._depth] if left else END
                self._needs[outcome] = min(left, int(self._needs[outcome]))
        return self._needs <= min(room, _NEVER - 1)

    def allows(self, outcome: int) -> bool:
        return bool(self.mask(_NEVER)[outcome])

    def after(self, byte: int) -> _Choices:
        def key(choice: bytes) -> int:
            return choice[self._depth] if len(choice) > self._depth else -1

        start, stop = (
            bisect_left(self._choices, bound, self._start, self._stop, key=key)
            for bound in (byte, byte + 1)
        )
        return _Choices(self._choices, start, stop, self._depth + 1)


class CallableConstraint:
    r"""The text has to satisfy a function of its bytes, of which nothing else is known.

    `begins` is called for each outcome that is drawn, refused ones too, and `whole` where a text
    may end. `sample` with `top_p` and `infill` have to know of all bytes that may follow: they call
    `begins` for each that the model expects, up to 256 times at every place that they look at.
    Each call is given all of the text, so with `begins` a text of n bytes is copied n times,
    n^2 / 2 bytes in all. Where that is too much, a `Constraint` of one's own, whose places remember
    what matters, reads each byte once.

    >>> even = CallableConstraint(lambda text: text.count(b"1") % 2 == 0)
    >>> satisfied(even, b"", b"0110"), satisfied(even, b"", b"01")
    (True, False)
    """

    __slots__ = ("_begins", "_whole")

    def __init__(
        self, whole: Callable[[bytes], bool], *, begins: Callable[[bytes], bool] | None = None
    ) -> None:
        """Take the functions.

        Args:
            whole: whether a text satisfies the constraint.
            begins: whether a text that satisfies it may begin so. The more it refuses, the fewer
                texts are begun in vain; it must refuse nothing that can still become whole.
        """
        if not callable(whole) or not (begins is None or callable(begins)):
            raise ArgumentTypeError("whole and begins must be callable with bytes")
        self._whole, self._begins = whole, begins

    def start(self, prompt: bytes = b"") -> ConstraintPlace:
        """The place before the text."""
        check_bytes(prompt, "prompt")
        return _Asked(self._whole, self._begins, ())

    def __repr__(self) -> str:
        return f"CallableConstraint({self._whole!r}, begins={self._begins!r})"


class _Asked:
    """The text so far, in parts whose lengths are powers of two, each longer than the next.

    So a byte is copied once for each power of two that the text outgrows, and the whole text only
    where a function is asked.
    """

    __slots__ = ("_begins", "_parts", "_whole")
    exact = False

    def __init__(
        self,
        whole: Callable[[bytes], bool],
        begins: Callable[[bytes], bool] | None,
        parts: tuple[bytes, ...],
    ) -> None:
        self._whole, self._begins, self._parts = whole, begins, parts

    def mask(self, room: int) -> Mask:
        mask = np.full(OUTCOMES, room > 0)
        mask[END] = True
        return mask

    def allows(self, outcome: int) -> bool:
        if outcome == END:
            return bool(self._whole(b"".join(self._parts)))
        if self._begins is None:
            return True
        return bool(self._begins(b"".join((*self._parts, bytes([outcome])))))

    def after(self, byte: int) -> _Asked:
        parts = [*self._parts, bytes([byte])]
        while len(parts) > 1 and len(parts[-2]) == len(parts[-1]):
            parts[-2:] = [parts[-2] + parts[-1]]
        return _Asked(self._whole, self._begins, tuple(parts))


class AllOf:
    """All of several constraints; of none, any text.

    Each alone says what leads nowhere, so a text may be begun that satisfies one or another to its
    end but not all.

    >>> both = AllOf(RegexConstraint("[a-z]+"), ChoiceConstraint(["no", "No", "not"]))
    >>> np.flatnonzero(both.start(b"").mask(9)).tolist()
    [110]
    """

    __slots__ = ("_constraints",)

    def __init__(self, *constraints: Constraint) -> None:
        """Take the constraints."""
        for one in constraints:
            if not isinstance(one, Constraint):
                raise ArgumentTypeError(
                    f"a constraint such as RegexConstraint is needed, not {type(one).__name__}"
                )
        self._constraints = constraints

    def start(self, prompt: bytes = b"") -> ConstraintPlace:
        """The place before the text."""
        return _Places([constraint.start(prompt) for constraint in self._constraints])

    def __repr__(self) -> str:
        return f"AllOf({', '.join(map(repr, self._constraints))})"


class _Places:
    __slots__ = ("_places",)

    def __init__(self, places: list[ConstraintPlace]) -> None:
        self._places = places

    @property
    def exact(self) -> bool:
        return all(place.exact for place in self._places)

    def mask(self, room: int) -> Mask:
        mask = np.full(OUTCOMES, True)
        for place in self._places:
            mask &= place.mask(room)
        return mask

    def allows(self, outcome: int) -> bool:
        return all(place.allows(outcome) for place in self._places)

    def after(self, byte: int) -> _Places:
        return _Places([place.after(byte) for place in self._places])
