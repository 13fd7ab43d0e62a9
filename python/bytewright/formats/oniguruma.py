r"""Regular expressions of `tokenizers`: Oniguruma's syntax to the core's and back.

`tokenizers` runs Oniguruma with Ruby's syntax, tiktoken and the core read patterns as fancy-regex
does. Most of a pattern means the same in both; what does not is rewritten or refused by name:

| | Oniguruma | core |
|---|---|---|
| `x{1,3}+` | repeated `x{1,3}` | possessive |
| `$`, `^` | ends and starts of lines | end and start of the text |
| `\h` | a hexadecimal digit | the same, written out |
| `(?m)` | `.` matches a line feed | `(?s)` |
| `\w`, `\b` | without joiners; outside a set also `²³¹¼½¾` | with joiners: both are written out |
| `(?i:ss)` | also matches ß | does not: refused |
| `(?i:\p{Lu})` | upper case only, outside a set | both cases |
| `(?:a?\|b)*` | ends with a match of nothing | tries `b` before that: refused |

One pass, linear in the pattern.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bytewright import _core
from bytewright.errors import PatternError

__all__ = ["DialectError", "from_oniguruma", "to_oniguruma"]

_INTERVAL: Final = re.compile(r"\{(\d*)(,?)(\d*)\}")
_FLAGS: Final = re.compile(r"\(\?([a-zA-Z-]*)([:)])")
_ESCAPE: Final = re.compile(
    r"\\(?:[pP]\{[^}]*\}|x\{[^}]*\}|x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|.)", re.DOTALL
)
_REFUSED_ESCAPES: Final = frozenset("GKRXNOyYgkMCZ123456789")
# Strings that Oniguruma, ignoring case, also matches as one other character (ß, ﬀ, ﬆ, ŉ and so on).
_FOLDS_TOGETHER: Final = re.compile(
    r"ss|f[fil]|st|\u02bcn|j\u030c|[htwy][\u0331\u0308\u030a]|a\u02be"
)


class DialectError(Exception):
    """A construct that the other syntax cannot say; the message names it."""


@dataclass(slots=True)
class _Pass:
    """One walk over a pattern: what was written, where the last atom began, and the open groups.

    Of each group: where it begins, and whether case was ignored around it.
    """

    pattern: str
    at: int = 0
    out: list[str] = field(default_factory=list)
    atom: int = 0
    groups: list[tuple[int, bool]] = field(default_factory=list)
    ignoring: bool = False

    def write(self, text: str) -> None:
        self.atom = len(self.out)
        self.out.append(text)

    def take(self, count: int) -> str:
        text = self.pattern[self.at : self.at + count]
        self.at += count
        return text

    def wrap_atom(self, before: str, after: str) -> None:
        inner = "".join(self.out[self.atom :])
        del self.out[self.atom :]
        self.out.append(f"{before}{inner}{after}")


@dataclass(frozen=True, slots=True)
class _Rules:
    """What one direction does differently."""

    possessive_interval: Callable[[_Pass, str], None]
    anchors: dict[str, str]
    flags: dict[str, str]
    escapes: dict[str, str]
    refused_escapes: frozenset[str]
    outside: dict[str, str]
    in_set: dict[str, str]
    uncased: Callable[[str], str]


def from_oniguruma(pattern: str) -> str:
    r"""The pattern in the core's syntax.

    Raises:
        DialectError: the core would read it differently; the message says what.

    >>> from_oniguruma(r"\p{N}{1,3}+|\s+$")
    '(?:\\p{N}{1,3})+|\\s+(?:(?=\\n)|\\z)'
    """
    translated = _translate(pattern, _FROM)
    _check_loops(translated)
    return translated


def to_oniguruma(pattern: str) -> str:
    r"""The pattern in the syntax of `tokenizers`.

    Raises:
        DialectError: Oniguruma would read it differently; the message says what.

    >>> to_oniguruma(r"\p{N}{1,3}+|\s++$")
    '(?>\\p{N}{1,3})|\\s++\\z'
    """
    _check_loops(pattern)
    return _translate(pattern, _TO)


def _check_loops(pattern: str) -> None:
    """Refuse a loop that ends differently where its body has matched nothing."""
    try:
        place = _core.odd_loop(pattern)
    except PatternError:  # Told when it is compiled.
        return
    if place is not None:
        shown = pattern.encode()[place:].decode()
        raise DialectError(f"a loop over what may match nothing first ({shown:.60})")


def _translate(pattern: str, rules: _Rules) -> str:
    walk = _Pass(pattern)
    ignores_case = re.search(r"\(\?[a-zA-Z]*i", pattern) is not None
    folded = pattern.lower()
    if ignores_case and (
        _FOLDS_TOGETHER.search(folded) or any(len(c.casefold()) > 1 for c in pattern)
    ):
        raise DialectError("ignoring case of letters that fold into one, such as ss")
    while walk.at < len(pattern):
        _step(walk, rules)
    return "".join(walk.out)


def _step(walk: _Pass, rules: _Rules) -> None:
    character = walk.pattern[walk.at]
    if character == "\\":
        escape = _escape(walk, rules)
        if walk.ignoring and escape.startswith(("\\p", "\\P")):
            escape = rules.uncased(escape)
        walk.write(rules.outside.get(escape, escape))
    elif character == "[":
        walk.write(_set(walk, rules))
    elif character == "(":
        _open(walk, rules)
    elif character == ")":
        walk.at += 1
        walk.out.append(")")
        walk.atom = len(walk.out) - 1
        if walk.groups:
            walk.atom, walk.ignoring = walk.groups.pop()
    elif character in "^$":
        walk.at += 1
        walk.write(rules.anchors[character])
    elif character == "{" and _INTERVAL.match(walk.pattern, walk.at):
        _interval(walk, rules)
    elif character in "*+?|":
        walk.at += 1
        walk.out.append(character)
    else:
        walk.at += 1
        walk.write(_PLAIN.get(character, character))


def _escape(walk: _Pass, rules: _Rules) -> str:
    match = _ESCAPE.match(walk.pattern, walk.at)
    if match is None:
        raise DialectError("a backslash at the end")
    text = match[0]
    if text[1] in rules.refused_escapes:
        raise DialectError(f"the escape {text[:2]}")
    if "=" in text or text.startswith(("\\p{^", "\\P{^")):
        raise DialectError(f"the property {text}")
    walk.at = match.end()
    return rules.escapes.get(text, text)


def _set(walk: _Pass, rules: _Rules) -> str:
    """A bracketed set, nested sets included; `]` right after `[` or `[^` is a member."""
    out: list[str] = []
    depth = 0
    pattern = walk.pattern
    while walk.at < len(pattern):
        here = pattern[walk.at]
        if walk.ignoring and (
            pattern.startswith(("&&", "\\P"), walk.at)
            or (depth and pattern.startswith("[^", walk.at))
        ):
            raise DialectError(f"{pattern[walk.at : walk.at + 2]} in a set that ignores case")
        if here == "\\":
            inner = _escape(walk, rules)
            out.append(rules.in_set.get(inner, _IN_SET.get(inner, inner)))
            continue
        if pattern.startswith("[:", walk.at):
            raise DialectError("a POSIX bracket such as [[:alpha:]]")
        if pattern.startswith(("--", "~~"), walk.at):
            raise DialectError(f"{pattern[walk.at : walk.at + 2]} in a set")
        walk.at += 1
        out.append(_PLAIN.get(here, here))
        if here == "[":
            depth += 1
            if pattern.startswith("^", walk.at):
                out.append(walk.take(1))
            if pattern.startswith("]", walk.at):
                walk.at += 1
                out.append("\\]")
        elif here == "]":
            depth -= 1
            if depth == 0:
                return "".join(out)
    raise DialectError("a set without its closing bracket")


_IN_SET: Final = {"[0-9A-Fa-f]": "0-9A-Fa-f"}
# Published patterns hold line ends raw or escaped; one spelling lets them be recognised.
_PLAIN: Final = {"\r": "\\r", "\n": "\\n"}


def _open(walk: _Pass, rules: _Rules) -> None:
    walk.groups.append((len(walk.out), walk.ignoring))
    flags = _FLAGS.match(walk.pattern, walk.at)
    if flags is None or not flags[1]:
        if walk.pattern.startswith(("(?~", "(?P", "(?(", "(?{"), walk.at):
            raise DialectError(f"the group {walk.pattern[walk.at : walk.at + 3]}")
        head = re.compile(r"\((?:\?(?:[:=!>]|<[=!]|<[A-Za-z]\w*>|#[^)]*))?").match(
            walk.pattern, walk.at
        )
        assert head is not None, "the pattern has a parenthesis here"
        walk.out.append(walk.take(len(head[0])))
        return
    for flag in flags[1]:
        if flag not in rules.flags:
            raise DialectError(f"the flag {flag} in {flags[0]}")
    walk.at = flags.end()
    on, _, off = flags[1].partition("-")
    walk.ignoring = "i" not in off and ("i" in on or walk.ignoring)
    walk.out.append("(?" + "".join(rules.flags[flag] for flag in flags[1]) + flags[2])
    if flags[2] == ")":
        walk.groups.pop()


def _interval(walk: _Pass, rules: _Rules) -> None:
    match = _INTERVAL.match(walk.pattern, walk.at)
    assert match is not None, "the caller saw the interval"
    low, comma, high = match.groups()
    if not low and not high:
        walk.at += 1
        walk.write("\\{")
        return
    walk.at = match.end()
    text = f"{{{low or 0}{comma}{high}}}"
    follower = walk.pattern[walk.at : walk.at + 1]
    if follower == "?" and not comma:
        raise DialectError(f"the lazy interval {text}?")
    if follower == "+":
        walk.at += 1
        rules.possessive_interval(walk, text)
    else:
        walk.out.append(text)


def _repeat_interval(walk: _Pass, interval: str) -> None:
    walk.wrap_atom("(?:", f"{interval})+")


def _atomic_interval(walk: _Pass, interval: str) -> None:
    walk.wrap_atom("(?>", f"{interval})")


def _words(members: str) -> dict[str, str]:
    """What stands outside of sets for the escapes about words, written out."""
    word = f"[{members}]"
    inside, outside = f"(?<={word})", f"(?<!{word})"
    return {
        r"\w": word,
        r"\W": f"[^{members}]",
        r"\b": f"(?:{inside}(?!{word})|{outside}(?={word}))",
        r"\B": f"(?:{inside}(?={word})|{outside}(?!{word}))",
    }


# Oniguruma has no joiners in words and, outside of sets, takes what is below U+0100 from another
# table, with the superscripts and the fractions.
_WORD: Final = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}"
_LATIN_NUMBERS: Final = "²³¹¼½¾"
_JOINERS: Final = r"\x{200c}\x{200d}"


def _with_case(escape: str) -> str:
    """Oniguruma ignores case in letters and sets, not in a property that stands alone."""
    return f"(?-i:{escape})"


def _in_both_cases(escape: str) -> str:
    return f"[^\\p{escape[2:]}]" if escape[1] == "P" else f"[{escape}]"


_FROM: Final = _Rules(
    possessive_interval=_repeat_interval,
    anchors={"^": r"(?:\A|(?<=\n)(?!\z))", "$": r"(?:(?=\n)|\z)"},
    flags={"i": "i", "m": "s", "-": "-"},
    escapes={r"\h": "[0-9A-Fa-f]", r"\H": "[^0-9A-Fa-f]"},
    refused_escapes=_REFUSED_ESCAPES,
    outside=_words(_WORD + _LATIN_NUMBERS),
    in_set={r"\w": _WORD, r"\W": f"[^{_WORD}]"},
    uncased=_with_case,
)
_TO: Final = _Rules(
    possessive_interval=_atomic_interval,
    anchors={"^": r"\A", "$": r"\z"},
    flags={"i": "i", "s": "m", "-": "-"},
    escapes={},
    refused_escapes=_REFUSED_ESCAPES,
    outside=_words(_WORD + _JOINERS),
    in_set={r"\w": _WORD + _JOINERS, r"\W": f"[^{_WORD}{_JOINERS}]"},
    uncased=_in_both_cases,
)
