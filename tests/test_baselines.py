"""Naive prompting, token healing and token alignment by their definitions, and what they lose."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from reference_bytes import Cover
from test_infill import all_middles
from toy_models import hashed, row_model

import bytewright as bw
from bytewright import demo

TOY = bw.Tokenizer.from_merges(
    [(b"a", b"b"), (b"ab", b"a"), (b"b", b"b"), (b"ab", b"ab")],
    alphabet=b"ab",
    special_tokens=["<s>"],
)
NAMES = [TOY.token_bytes(at) for at in range(TOY.vocab_size - 1)]
Ids = tuple[int, ...]


def toy(seed: int) -> tuple[bw.CallableModel, Any]:
    row = hashed(TOY.vocab_size + 1, seed, 1.5)
    return row_model(TOY, row, TOY.vocab_size), row


class Drawn:
    """What a method draws behind a prompt, by trying every token."""

    def __init__(self, row: Any, *, local: bool, tok: bw.Tokenizer = TOY) -> None:
        self.row, self.local, self.tok = row, local, tok
        self.names = [tok.token_bytes(at) for at in range(tok.vocab_size)]
        self.text = [at for at in range(tok.vocab_size) if at not in tok.special_tokens.values()]
        self.free = lru_cache(None)(self._free)

    def _free(self, ids: Ids, y: bytes) -> float:
        """The probability that tokens drawn behind others begin with y."""
        cover = Cover(self.tok, lambda more: self.row(ids + more), "all", tails=0)
        return cover.prob(y)

    def behind(self, ids: Ids, rest: bytes, y: bytes) -> float:
        """The same, where the tokens drawn have to begin with what was taken back."""
        if not rest:
            return float(self.free(ids, y))
        probs = np.exp(self.row(ids))
        names = self.names
        reach = [at for at in self.text if names[at].startswith(rest)]
        shorter = [
            at for at in self.text if rest.startswith(names[at]) and len(names[at]) < len(rest)
        ]
        agree = reach + shorter if self.local else reach
        total = 0.0
        for at in agree:
            share = probs[at] / sum(probs[agree])
            if not share:
                continue
            over = names[at][len(rest) :]
            if at in shorter:
                total += share * self.behind((*ids, at), rest[len(names[at]) :], y)
            elif over.startswith(y):
                total += share
            elif y.startswith(over):
                total += share * self.free((*ids, at), y[len(over) :])
        return float(total)


@pytest.mark.parametrize(
    ("method", "back"), [("naive", 0), ("healing", 1), ("alignment", 1), ("alignment", 3)]
)
def test_methods_draw_what_their_definition_says(method: Any, back: int) -> None:
    for seed, prompt in enumerate([b"a", b"ab", b"bab", b"ababb", b"abaabab"]):
        model, row = toy(seed)
        drawn = Drawn(row, local=method == "alignment")
        made = bw.BaselineModel(model, method=method, back=back, semantics="all", epsilon=0.0)
        ids = tuple(TOY.encode(prompt))
        kept = ids[: max(0, len(ids) - back)]
        rest = b"".join(NAMES[at] for at in ids[len(kept) :])
        for y in all_middles(3):
            place = made.start(prompt).advance(y)
            expected = drawn.behind(kept, rest, y)
            assert math.exp(place.logprob) == pytest.approx(expected, rel=1e-9), (prompt, y)
            found, fork = place.next(), made.start(prompt).fork().advance(y)
            assert fork.logprob == pytest.approx(place.logprob)
            for byte in b"ab":
                joint = drawn.behind(kept, rest, y + bytes([byte]))
                got = expected * (1.0 - found.lost_mass) * found.probs[byte]
                assert got == pytest.approx(joint, rel=1e-9)
            assert found.probs.sum() == pytest.approx(1.0)
            assert found.error_bound == 0.0
        assert made.start(prompt).advance(b"c").logprob == -math.inf


def test_a_place_says_what_it_is() -> None:
    model = bw.BaselineModel(toy(1)[0])
    assert repr(model.start("ab")).startswith("<BaselinePlace of ")


def test_a_prompt_of_nothing_is_no_approximation() -> None:
    model, _ = toy(3)
    exact = bw.ByteModel(model)
    for method in ("naive", "healing", "alignment"):
        made = bw.BaselineModel(model, method=method)
        assert made.start().next().probs == pytest.approx(exact.start().next().probs)
        place = made.start("").advance(b"abb")
        assert place.logprob == pytest.approx(exact.logprob("abb"))


def test_what_alignment_did_not_try_is_bounded() -> None:
    prompt, bounds = b"abab" * 3, []
    for seed in range(6):
        model, _ = toy(seed)
        exact = bw.BaselineModel(model, method="alignment", back=2, epsilon=0.0)
        rough = bw.BaselineModel(model, method="alignment", back=2, epsilon=0.3)
        for more in (b"", b"a", b"ba"):
            found = rough.start(prompt).advance(more).next()
            wanted = exact.start(prompt).advance(more).next()
            bounds.append(found.error_bound)
            assert 0.5 * np.abs(found.probs - wanted.probs).sum() <= found.error_bound + 1e-12
            assert wanted.error_bound == 0.0
    assert any(0.0 < bound < 1.0 for bound in bounds)


def test_baselines_are_sampled_like_models() -> None:
    model = bw.NgramModel.fit(demo.tokenizer(), ["import sys\nimport os\n"] * 20)
    healed = bw.BaselineModel(model)
    assert isinstance(healed, bw.BytePredictor)
    assert healed.sample("import s", max_bytes=3, temperature=0) == b"ys\n"
    assert healed.sample("imp", max_bytes=30, seed=1) == healed.sample("imp", max_bytes=30, seed=1)
    cut = bw.RegexConstraint("[a-z]+")
    assert healed.sample("import s", max_bytes=9, temperature=0, constraint=cut, ends="match") == (
        b"ys"
    )
    assert (healed.method, healed.back, healed.model) == ("healing", 1, model)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"method": "hope"}, "method='hope'"),
        ({"back": -1}, "back=-1"),
        ({"epsilon": 1.0}, "epsilon=1.0"),
        ({"semantics": "some"}, "some"),
    ]
    for options, message in wrong:
        with pytest.raises(bw.ArgumentError, match=message):
            bw.BaselineModel(model, **options)
    place = healed.start("import s")
    anything: Any = "ys"
    with pytest.raises(bw.ArgumentTypeError, match="data must be bytes"):
        place.advance(anything)
    toy_place = bw.BaselineModel(toy(1)[0]).start("ab").advance(b"c")
    with pytest.raises(bw.DataError, match="the probability is 0"):
        toy_place.next()


def test_random_cuts_cost_the_exact_model_least() -> None:
    texts = [text for _, text in demo.documents()]
    chunks = [text[at : at + 2000] for text in texts for at in range(0, len(text), 2000)]
    held_out, rest = chunks[::50], [chunk for at, chunk in enumerate(chunks) if at % 50]
    tok = bw.train(rest, 4096, pattern="gpt2")
    tokens = bw.NgramModel.fit(tok, rest, order=5)
    models: dict[str, bw.BytePredictor] = {
        "exact": bw.ByteModel(tokens),
        "healing": bw.BaselineModel(tokens, method="healing"),
        "naive": bw.BaselineModel(tokens, method="naive"),
    }
    chance = np.random.default_rng(0)
    losses: dict[str, list[float]] = {name: [] for name in models}
    inside = []
    for number in range(500):
        text = held_out[number % len(held_out)].encode()
        cut = int(chance.integers(1, min(500, len(text))))
        inside.append(cut not in tok.encode_offsets(text)[1])
        for name, model in models.items():
            logprob = model.start(text[:cut]).next().logprobs[text[cut]]
            losses[name].append(float(-logprob) / math.log(2))
    for where, cuts in (("all", np.ones(500, bool)), ("inside tokens", np.array(inside))):
        mean = {name: float(np.mean(np.array(each)[cuts])) for name, each in losses.items()}
        print(f"{where}, {cuts.sum()} cuts: " + ", ".join(f"{k} {v:.3f}" for k, v in mean.items()))
        assert mean["exact"] <= 0.65 * mean["healing"]
        assert mean["exact"] <= 0.35 * mean["naive"]
    assert sum(inside) > 250


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("eos_id", [None, 2, 8])
@pytest.mark.parametrize(("value", "name"), [(math.nan, "NaN"), (math.inf, "infinity")])
def test_what_is_no_probability_is_told_by_its_token(
    eos_id: int | None, value: float, name: str
) -> None:
    width = TOY.vocab_size + 4
    for at in range(width):

        def rows(contexts: Any, at: int = at) -> Any:
            found = np.full((len(contexts), width), -1.0)
            found[:, at] = value
            return found

        tokens = bw.CallableModel(TOY, rows, eos_id=eos_id)
        models: list[bw.BytePredictor] = [bw.ByteModel(tokens)]
        models += [bw.BaselineModel(tokens, method=way) for way in ("healing", "alignment")]
        for model in models:
            if at >= TOY.vocab_size and at != eos_id:
                assert model.start("ab").next().probs.sum() == pytest.approx(1.0)
                continue
            with pytest.raises(bw.DataError, match=f"row has {name} at token id {at}$"):
                model.start("ab").next()
