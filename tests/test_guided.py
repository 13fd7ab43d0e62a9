"""Constrained texts: masks against `re`, and single texts against every path of chance."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from toy_bytes import END, Paths, Toy, tempered

import bytewright as bw
from bytewright.bytelm import sampling
from bytewright.bytelm.constraints import satisfied

LETTERS = "abc é÷"  # Of each width one that belongs to words and one that does not.


def fullmatches(pattern: str, longest: int) -> set[bytes]:
    found = set()
    for size in range(longest + 1):
        for letters in itertools.product(LETTERS, repeat=size):
            text = "".join(letters)
            if re.fullmatch(pattern, text):
                found.add(text.encode())
    return found


def random_pattern(rng: random.Random, depth: int) -> str:
    atoms = [*LETTERS, "[ab]", "[^a]", ".", r"\w", "(?=b)", "(?!a)", r"\b", "(?<=a)"]
    if depth == 0 or rng.random() < 0.3:
        return str(rng.choice(atoms))
    one, other = (random_pattern(rng, depth - 1) for _ in range(2))
    many = rng.choice(["*", "+", "?", "{2}", "{1,2}", "*?", "??"])
    forms = [one + other, one + other, f"(?:{one}|{other})", f"(?:{one}{other}){many}"]
    return str(rng.choice(forms))


def test_masks_are_those_of_all_longer_texts_that_match() -> None:
    rng = random.Random(11)
    compared = 0
    longest, room = 5, 3
    while compared < 60:
        pattern = random_pattern(rng, 3)
        known = fullmatches(pattern, longest)
        try:
            constraint = bw.RegexConstraint(pattern)
        except bw.PatternError as error:
            # Python repeats what has no width; the engine refuses it by name.
            if "without width" not in str(error):
                raise
            continue
        except bw.ArgumentError:
            assert not known
            continue
        # Texts of at most five letters; only those of as many bytes are all known.
        beginnings = {text[:at] for text in known for at in range(len(text) + 1)}
        for text in sorted(one for one in beginnings if len(one) + room <= longest):
            place = constraint.start()
            for byte in text:
                place = place.after(byte)
            for left in range(room + 1):
                expected = {
                    one[len(text)] if len(one) > len(text) else END
                    for one in known
                    if one.startswith(text) and len(one) <= len(text) + left
                }
                mask = place.mask(left)
                told = {at for at in (*LETTERS.encode(), END) if mask[at]}
                assert told == expected, (pattern, text, left)
                assert all(place.allows(at) for at in told)
        assert all(satisfied(constraint, b"", text) for text in known), pattern
        compared += 1


def laws(monkeypatch: pytest.MonkeyPatch, model: Toy, **options: Any) -> dict[bytes, float]:
    paths = Paths()
    monkeypatch.setattr(sampling, "draw", lambda *given: paths.draw(*given[:2]))
    found: defaultdict[bytes, float] = defaultdict(float)
    for _ in paths:
        found[model.sample(**options)] += paths.p
    return dict(found)


def test_single_texts_follow_the_model_among_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Toy(b"ab")
    mask = laws(monkeypatch, model, max_bytes=3,
                constraint=bw.RegexConstraint("(?:a|b(?!b))*"))  # fmt: skip
    asked = laws(
        monkeypatch, model, max_bytes=3,
        constraint=bw.CallableConstraint(
            lambda text: b"bb" not in text, begins=lambda text: b"bb" not in text
        ),
    )  # fmt: skip
    assert mask == {text: pytest.approx(p) for text, p in asked.items()}
    first = tempered(model, b"b", 1.0)
    assert mask[b"b"] == pytest.approx(
        tempered(model, b"", 1.0)[ord("b")] * first[END] / (first[END] + first[ord("a")])
    )
    assert sum(mask.values()) == pytest.approx(1.0)


def left_as_matches(
    model: Toy, known: set[bytes], max_bytes: int, temperature: float
) -> dict[bytes, Any]:
    """Texts drawn byte by byte until what comes next begins no text that is known.

    What begins only such as are longer than `max_bytes` is not drawn.
    """
    found: defaultdict[bytes, float] = defaultdict(float)
    waiting = [(b"", 1.0)]
    while waiting:
        text, p = waiting.pop()
        longer = [one for one in known if one.startswith(text) and len(one) > len(text)]
        if len(text) == max_bytes or not longer:
            found[text] += p
            continue
        allowed = {one[len(text)] for one in longer}
        fitting = {one[len(text)] for one in longer if len(one) <= max_bytes}
        probs = tempered(model, text, temperature)
        on = {byte: probs[byte] for byte in model.alphabet if byte in fitting}
        out = sum(probs[at] for at in (*model.alphabet, END) if at not in allowed)
        ends = out if text in known else 0.0
        total = sum(on.values()) + ends
        if ends:
            found[text] += p * ends / total
        waiting += [(text + bytes([byte]), p * one / total) for byte, one in on.items()]
    return {text: pytest.approx(p, rel=1e-9) for text, p in found.items()}


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_single_texts_are_left_where_they_cannot_go_on(
    temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Toy(b"ab")
    for pattern, max_bytes in [
        ("a+(?:b+a)?", 2), ("a+(?:b+a)?", 3), ("(?:aa)+", 3), ("(?:ba)?", 1), ("ab|ba|b", 3),
        ("a(?:bab)?|b", 3),
    ]:  # fmt: skip
        every = (
            bytes(one) for n in range(max_bytes + 5) for one in itertools.product(b"ab", repeat=n)
        )
        known = {one for one in every if re.fullmatch(pattern, one.decode())}
        options: dict[str, Any] = {
            "max_bytes": max_bytes, "ends": "match", "temperature": temperature
        }  # fmt: skip
        expected = left_as_matches(model, known, max_bytes, temperature)
        regex = bw.RegexConstraint(pattern)
        asked = bw.CallableConstraint(lambda text: True)
        for constraint in (regex, bw.ChoiceConstraint(known), bw.AllOf(asked, regex)):
            assert laws(monkeypatch, model, constraint=constraint, **options) == expected, pattern
    # Nothing is left to draw where all that the model expects has no room.
    monkeypatch.undo()
    row = np.full(257, -np.inf)
    row[ord("b")] = 0.0
    monkeypatch.setattr(Toy, "next", lambda self: bw.ByteDistribution(row, 0.0, 0.0))
    with pytest.raises(bw.DataError, match=r"after 1 bytes .* allows in max_bytes=2"):
        Toy(b"ab").sample(max_bytes=2, constraint=bw.RegexConstraint("b(?:ba)?"), ends="match")


def test_options_go_with_a_black_box() -> None:
    model = bw.ByteModel(bw.NgramModel.fit(bw.Tokenizer.from_merges([]), ["abcdefgh"] * 50))

    def drawn(**options: Any) -> bytes:
        return model.sample("ab", max_bytes=4, **{"seed": 1, **options})

    vowels = bw.CallableConstraint(lambda t: b"e" not in t, begins=lambda t: b"e" not in t)
    assert drawn(temperature=0) == b"cdef"
    assert b"e" not in drawn(temperature=0, constraint=vowels)
    assert drawn(temperature=0, constraint=vowels).startswith(b"cd")
    assert b"e" not in drawn(top_p=0.5, constraint=vowels)
    assert drawn(temperature=0, constraint=vowels, utf8="strict").startswith(b"cd")
    assert bw.Ensemble([model]).sample(
        "ab", max_bytes=4, temperature=0, constraint=bw.RegexConstraint("cd.*")
    ) == b"cdef"  # fmt: skip


def test_a_function_is_asked_of_what_the_model_expects() -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"abc")
    logs = np.array([math.log(0.5), math.log(0.3), -math.inf, math.log(0.2)])
    model = bw.ByteModel(
        bw.CallableModel(tok, lambda many: np.tile(logs, (len(many), 1)), eos_id=3)
    )
    asked: list[bytes] = []

    def begins(text: bytes) -> bool:
        asked.append(text)
        return b"bb" not in text

    constraint = bw.CallableConstraint(lambda text: True, begins=begins)
    drawn = model.sample(max_bytes=9, constraint=constraint, seed=1)
    assert {text[:-1] for text in asked} <= {drawn[:at] for at in range(10)}
    assert len(asked) == len(set(asked)) <= 2 * (len(drawn) + 1)
    for middle in (False, True):
        asked.clear()
        if middle:
            model.infill("a", "a", max_bytes=3, constraint=constraint, seed=1)
        else:
            model.sample(max_bytes=9, top_p=0.9, constraint=constraint, seed=1)
        # Both bytes that can be are asked of at each place, and no third is.
        places = {text[:-1] for text in asked}
        assert set(asked) == {one + byte for one in places for byte in (b"a", b"b")}


@pytest.mark.parametrize("tail", [b"\xc3", b"\xe0", b"\xed\x9f", b"\xf4\x8f\xbf"])
def test_a_match_begins_behind_the_character_that_the_prompt_ends_inside_of(tail: bytes) -> None:
    scalars = itertools.chain(range(0x80, 0xD800), range(0xE000, 0x110000))
    characters = [one for at in scalars if (one := chr(at).encode()).startswith(tail)]
    matches = fullmatches("a(?:é|bb)?", 3)
    assert matches == {b"a", "aé".encode(), b"abb"}
    known = {one[len(tail) :] + match for one in characters for match in matches}
    constraint = bw.RegexConstraint("a(?:é|bb)?")
    for text in [b"", *sorted(known)[:: len(known) // 20]]:
        place = constraint.start("a中".encode() + tail)
        for at in range(len(text) + 1):
            longer = [one for one in known if one.startswith(text[:at])]
            for room in range(6):
                expected = {
                    one[at] if len(one) > at else END for one in longer if len(one) <= at + room
                }
                assert {*np.flatnonzero(place.mask(room)).tolist()} == expected, (text, at, room)
            assert {byte for byte in range(257) if place.allows(byte)} == {
                one[at] if len(one) > at else END for one in longer
            }
            if at < len(text):
                place = place.after(text[at])
        assert not text or satisfied(constraint, tail, text)
    with pytest.raises(bw.ArgumentError, match="may not follow"):
        constraint.start(tail).after(ord("a"))


@pytest.mark.parametrize("utf8", ["any", "strict"])
def test_texts_go_on_inside_a_character(utf8: Any) -> None:
    model = bw.ByteModel(bw.NgramModel.fit(bw.Tokenizer.from_merges([]), ["中文é low"] * 9))
    letter = bw.RegexConstraint(r"\w")
    for seed in range(5):
        for ends in ("text", "match"):
            drawn = model.sample(
                "中".encode()[:2], max_bytes=7, constraint=letter, utf8=utf8, ends=ends, seed=seed
            )
            told = ("中".encode()[:2] + drawn).decode()
            assert len(told) == 2
            assert told[1].isalpha()
    middle = model.infill(
        "中".encode()[:2], "é", max_bytes=4, constraint=letter, utf8=utf8, budget=300, seed=1
    )
    assert ("中".encode()[:2] + middle).decode() == "中文"
    # Choices are texts as they stand.
    rest = bw.ChoiceConstraint(["文".encode(), "中文".encode()[2:]])
    prompt = "中".encode()[:2]
    assert model.sample(prompt, max_bytes=4, utf8="strict", constraint=rest) == rest.choices[0]
    with pytest.raises(bw.DataError, match="2 bytes the constraint allows nothing that is UTF-8"):
        model.sample(prompt, max_bytes=4, utf8="strict", constraint=bw.ChoiceConstraint(["文"]))


def test_a_function_is_given_the_text_of_its_place() -> None:
    rng = random.Random(2)
    asked: list[bytes] = []

    def noted(text: bytes) -> bool:
        asked.append(text)
        return True

    for begins in (noted, None):
        places = [(b"", bw.CallableConstraint(noted, begins=begins).start(b"before"))]
        for _ in range(300):
            # Mostly the longest goes on; the others are still what they were.
            text, place = places[-1] if rng.random() < 0.8 else rng.choice(places)
            byte = rng.randrange(256)
            asked.clear()
            assert place.allows(byte)
            assert place.allows(END)
            assert asked == [text + bytes([byte])] * (begins is not None) + [text]
            places.append((text + bytes([byte]), place.after(byte)))
        assert max(len(text) for text, _ in places) > 30


def test_what_cannot_be_is_said() -> None:
    regex = bw.RegexConstraint("ab*")
    for pattern, named in [(r"(a)\1", "backreference"), ("a(?=bc)", "look-ahead"), ("(", "group")]:
        with pytest.raises(bw.PatternError, match=named):
            bw.RegexConstraint(pattern)
    with pytest.raises(bw.PatternError, match="too large"):
        bw.RegexConstraint("a{9000}")
    with pytest.raises(bw.ArgumentError, match="no text matches"):
        bw.RegexConstraint("a(?=b)c")
    with pytest.raises(bw.ArgumentError, match="choices: there is none"):
        bw.ChoiceConstraint([])
    with pytest.raises(bw.ArgumentTypeError, match="not one text"):
        bw.ChoiceConstraint("ab")
    with pytest.raises(bw.ArgumentTypeError, match="callable"):
        bw.CallableConstraint(3)  # type: ignore[arg-type]
    with pytest.raises(bw.ArgumentError, match="may not follow"):
        regex.start().after(ord("b"))
    tokens = bw.ByteModel(bw.NgramModel.fit(bw.Tokenizer.from_merges([]), ["ab"]))
    with pytest.raises(bw.ArgumentError, match="stop"):
        tokens.sample("", max_bytes=3, stop="x", constraint=regex)
    with pytest.raises(bw.ArgumentError, match="nothing is to be matched"):
        tokens.sample("", max_bytes=3, ends="match")
    with pytest.raises(bw.DataError, match="does not let a text end"):
        tokens.sample("", max_bytes=1, constraint=bw.CallableConstraint(lambda text: False))
    with pytest.raises(bw.DataError, match=r"max_bytes=1: no text .* allows is so short"):
        tokens.sample("", max_bytes=1, constraint=bw.RegexConstraint("ab"))
    neither = bw.AllOf(regex, bw.RegexConstraint("b"))
    with pytest.raises(bw.DataError, match=r"after 0 bytes .* constraint allows"):
        tokens.sample("", max_bytes=9, constraint=neither)
