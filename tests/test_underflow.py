"""Users who have asked NumPy for errors: no arithmetic of the library is one, whatever is faint."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_models import Row, RowOf, hashed, row_model, small_model

import bytewright as bw
from bytewright.bytelm import compress, decompress
from bytewright.models.outcomes import Outcomes

RULES: list[Any] = ["arithmetic", "geometric", "bayes", "fixed_share", "online", "core"]
METHODS: list[Any] = ["naive", "healing", "alignment"]

# A model of bytes with rows of a kind, by its seed.
Make = Callable[[int], bw.ByteModel]
TOK = bw.Tokenizer.from_merges(
    [(b"a", b"b"), (b"b", b"b"), (b"a", b"a"), (b" ", b"a"), (b" ", b"b"), (b" ", b"ab")],
    alphabet=b"ab \n",
    pattern="gpt2",
)


def steep(seed: int, size: int = TOK.vocab_size + 1) -> RowOf:
    """Probabilities down to e^-800, which no float has."""
    return hashed(size, seed, 400.0)


def faint(seed: int, size: int = TOK.vocab_size + 1) -> RowOf:
    """Usual ones, and some that only just are numbers."""
    usual, which = hashed(size, seed, 2.0), hashed(size, -seed, 1.0)

    def row(context: tuple[int, ...]) -> Row:
        found = usual(context).copy()
        found[np.argsort(which(context))[: size // 3]] -= 740.0
        return found

    return row


def many(places: list[Any]) -> list[object]:
    found = [place.next() for place in places]
    return [(one.probs.tolist(), one.entropy, one.top(257)) for one in found]


def next_bytes(make: Make) -> object:
    model = make(3)
    return many([model.start(text) for text in (b"", b"a", b"ab b", b"ab\n")])


def samples(make: Make) -> object:
    model = make(3)
    return [
        model.sample("a", max_bytes=9, temperature=temperature, top_p=top_p, seed=1)
        for temperature in (1e-300, 0.01, 1.0, 100.0, 1e308)
        for top_p in (0.5, 1.0)
    ]


def weighted(make: Make) -> object:
    constraints = (
        bw.RegexConstraint("[ab ]{3,6}"),
        bw.ChoiceConstraint(["a ", "b\n", " a", "\nb"]),
        bw.CallableConstraint(lambda text: len(text) % 2 == 0),
    )
    drawn = [
        bw.sample_weighted(
            make(3), constraint=one, particles=20, max_bytes=6, seed=1, temperature=temperature
        )
        for one in constraints
        for temperature in (0.3, 9.0, 1e308)
    ]
    return [(one.texts, one.shares()) for one in drawn]


def scores(make: Make) -> object:
    model, text = make(3), b"ab abb a\nab"
    return model.score(text).tolist(), model.bits_per_byte([text], end=True)


def infillings(make: Make) -> object:
    found = [
        make(3).infill_candidates("a", suffix, max_bytes=6, budget=budget, seed=1, end=end)
        for suffix, budget, end in (("b", 20, False), ("b a", 400, False), ("ab", 20, True))
    ]
    drawn = [one.draw(temperature=t, seed=2) for one in found for t in (1e-300, 0.1, 1.0, 50.0)]
    return [(one.middles, one.shares.tolist(), one.logprob, one.unseen) for one in found], drawn


def compressed(make: Make) -> object:
    data = b"ab ab\n\xff bb"
    small = compress(make(3), data)
    assert decompress(make(3), small) == data
    return small


def page(make: Make) -> object:
    models = {"one": make(3), "two": bw.Ensemble([make(4), make(5)])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        return bw.byte_page(models, "ab ab b\n", path), path.read_text()


def translated(make: Make) -> object:
    student = bw.Tokenizer.from_merges([(b"b", b"a"), (b" ", b"b")], alphabet=b"ab \n")
    model = bw.TranslatedModel(make(3), student, epsilon=0.0, budget=60)
    found = [model.next(context) for context in ("", "a", "ba ")]
    scored = bw.score_tokens(make(3), student, "ba b")
    return [(one.top(9), one.kept, one.undecided) for one in found], scored.logprobs.tolist()


def ensemble(rule: Any) -> Callable[[Make], object]:
    def used(make: Make) -> object:
        models = [make(4), make(5), make(6)]
        weights = None if rule == "core" else [3.0, 1e-320, 1e-15]
        together = bw.Ensemble(models, rule=rule, weights=weights, share=1e-20, eta=1e-300)
        state = together.start(b"ab ")
        rough = [bw.ByteModel(small_model(), epsilon=at and 0.6) for at in range(3)]
        pruned = bw.Ensemble(rough, rule=rule, weights=weights)
        return [
            *(state.weights.tolist(), state.logprobs.tolist(), many([state])),
            *(together.score("ab ab").tolist(), together.sample(max_bytes=6, seed=1)),
            together.infill("a", "b", max_bytes=3, budget=20, seed=1),
            [pruned.start(text).next().error_bound for text in (b"a", b"ab", b"ab b")],
        ]

    return used


def baseline(method: Any) -> Callable[[Make], object]:
    def used(make: Make) -> object:
        made = bw.BaselineModel(make(3).model, method=method)
        starts = [made.start(text) for text in ("ab", "a", " ")]
        places = [one.fork().advance(more) for one in starts for more in (b"", b"b", b"a b")]
        return many([place for place in places if place.logprob > -np.inf])

    return used


USES: dict[str, Callable[[Make], object]] = {
    **{use.__name__: use for use in (next_bytes, samples, weighted, scores, infillings)},
    **{use.__name__: use for use in (compressed, page, translated)},
    **{rule: ensemble(rule) for rule in RULES},
    **{method: baseline(method) for method in METHODS},
}


@pytest.mark.parametrize("of", [steep, faint])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_no_use_is_an_error_of_numpy(
    use: Callable[[Make], object], of: Callable[[int], RowOf]
) -> None:
    def make(seed: int) -> bw.ByteModel:
        return bw.ByteModel(row_model(TOK, of(seed), TOK.vocab_size))

    expected = use(make)
    with np.errstate(all="raise"):
        assert use(make) == expected


@pytest.mark.parametrize("of", [steep, faint])
def test_to_fill_in_is_no_error_of_numpy(of: Callable[[int, int], RowOf]) -> None:
    names = ["<pre>", "<suf>", "<mid>", "<end>"]
    tok = bw.Tokenizer.from_merges([(b"a", b"b")], alphabet=b"ab \n", special_tokens=names)
    model = bw.ByteModel(row_model(tok, of(1, tok.vocab_size), 0))
    formats = [
        bw.FimFormat.psm(*names[:3], end="<end>"),
        bw.FimFormat.spm(*names[:3], end="<end>"),
        bw.FimFormat.lines(*names[:3], end="<end>", starts="<pre>", ends="<suf>"),
    ]
    for one in formats:
        expected = model.infill("a", "b", fim=one, max_bytes=4, budget=30, seed=1)
        with np.errstate(all="raise"):
            assert model.infill("a", "b", fim=one, max_bytes=4, budget=30, seed=1) == expected


@pytest.mark.parametrize("ends", [[], [3], [0, 2, 3]])
def test_logits_are_no_error_of_numpy(ends: list[int]) -> None:
    logits = np.array([[-800.0, 0.0, 3.0, -700.0], [1e-50, 2.0, -1e-320, -1e4]])
    expected = Outcomes(4, ends).rows(logits).tolist()
    with np.errstate(all="raise"):
        assert Outcomes(4, ends).rows(logits).tolist() == expected


def test_what_a_model_computes_is_its_own() -> None:
    def wrong(contexts: Any) -> Any:
        return np.log(np.exp(np.full((len(contexts), 257), -1000.0)))

    tok = bw.Tokenizer.from_merges([])
    model = bw.ByteModel(bw.CallableModel(tok, wrong, eos_id=256))
    uses: list[Callable[[], object]] = [
        model.start().next,
        lambda: model.sample(max_bytes=3),
        lambda: model.infill("a", "b", max_bytes=3),
        lambda: bw.Ensemble([model]).score("ab"),
        lambda: compress(model, b"a"),
        lambda: bw.BaselineModel(model.model).start("a").next(),
        lambda: bw.TranslatedModel(model, tok).next("a"),
    ]
    for use in uses:
        with np.errstate(under="raise"), pytest.raises(FloatingPointError, match="underflow"):
            use()
