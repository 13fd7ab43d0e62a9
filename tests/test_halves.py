"""Rows of 16 bits and rows of torch: every figure is that of the same numbers as wider floats.

Nothing is rounded on the way, so that figures must be equal to the last bit.
"""

from __future__ import annotations

import importlib.util
import sys
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from toy_models import SEMANTICS

import bytewright as bw
from bytewright import _core
from bytewright.bytelm import score_tokens
from bytewright.models.floats import as_doubles, as_rows, is_tensor

TOK = bw.Tokenizer.from_merges(
    [(b"l", b"o"), (b"lo", b"w"), (b"e", b"r"), (b" ", b"low")], special_tokens=["<eos>"]
)
END = TOK.special_tokens["<eos>"]
WIDTH = TOK.vocab_size
TEXT = b"low lower slow"
KINDS = ["float16", "bfloat16"]
TENSORS = ["float16", "bfloat16", "float32", "float64"]
Rows = NDArray[Any]


def bfloat16() -> Any:
    """The type of NumPy arrays; without it the test is skipped."""
    return pytest.importorskip("ml_dtypes").bfloat16


def torch() -> Any:
    """The library; without it the test is skipped."""
    return pytest.importorskip("torch", reason="needs torch: pip install 'bytewright[torch]'")


def halves(rows: Rows, kind: str) -> Rows:
    return rows.astype(np.float16 if kind == "float16" else bfloat16())


def random_row(context: Sequence[int], scale: float) -> NDArray[np.float64]:
    """Logits, some of them minus infinity and some subnormal, in every precision."""
    chance = np.random.default_rng(zlib.crc32(np.array(context, np.int32).tobytes()))
    row = chance.normal(0, scale, WIDTH)
    row[chance.integers(0, WIDTH, 20)] = -np.inf
    row[chance.integers(0, WIDTH, 20)] *= 2.0**-17
    # Nothing of the text is impossible.
    likely = [TOK.encode(TEXT[at : at + 1])[0] for at in range(len(TEXT))]
    row[likely] = chance.normal(0, 2, len(likely))
    return row


def twins(change: Callable[[Rows], Any], scale: float = 3.0) -> list[bw.CallableModel]:
    """A model whose rows are changed, and one that has their numbers as floats."""

    def rows(contexts: Any) -> Any:
        return change(np.stack([random_row(context, scale) for context in contexts]))

    def wide(contexts: Any) -> Any:
        given = rows(contexts)
        if is_tensor(given):
            return (given if given.dtype.itemsize > 2 else given.float()).detach().numpy()
        return given.astype(np.float32)

    return [bw.CallableModel(TOK, fn, eos_id=END) for fn in (rows, wide)]


def figures(model: bw.TokenModel, semantics: Any, epsilon: float = 0.0) -> list[Any]:
    """All that a model of bytes says of a text."""
    bytelm = bw.ByteModel(model, semantics=semantics, epsilon=epsilon)
    found: list[Any] = [bytelm.score(TEXT).tolist(), bytelm.logprob(TEXT, end=True)]
    state = bytelm.start()
    for at in range(len(TEXT)):
        step = state.next()
        found += [step.logprobs.tolist(), step.lost_mass, step.error_bound, state.logprob]
        state.advance(TEXT[at : at + 1])
    return found


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("kind", KINDS)
def test_halves_give_what_the_same_numbers_give(kind: str, semantics: Any) -> None:
    # At the larger scale some exponentials vanish beside the row's largest.
    for scale in (3.0, 90.0):
        given, wide = twins(lambda rows: halves(rows, kind), scale)
        epsilon = 0.0 if scale == 3.0 else 1e-3
        assert figures(given, semantics, epsilon) == figures(wide, semantics, epsilon)


@pytest.mark.parametrize("kind", KINDS)
def test_halves_are_read_where_they_lie(kind: str) -> None:
    rows = halves(np.zeros((2, 9)), kind)
    for some in (rows, rows[:, 2:7], rows[::-1]):
        found = as_rows(some, "fn", 2, 5)
        assert np.shares_memory(found, rows)
        assert found.shape == some.shape


def changed(kind: str) -> dict[str, Callable[[Rows], Any]]:
    """Rows in arrays that are not as rows usually are, and that hold them all the same."""
    wide: Any = np.float32 if kind == "float32" else None

    def narrow(rows: Rows) -> Rows:
        return rows.astype(wide) if wide else halves(rows, kind)

    def behind(rows: Rows) -> Rows:
        # What stands behind the ids is no token.
        return narrow(np.pad(rows, ((0, 0), (0, 5)), constant_values=np.nan))

    def every_other(rows: Rows) -> Rows:
        return np.repeat(narrow(rows), 2, axis=1)[:, ::2]

    def unaligned(rows: Rows) -> Rows:
        found = narrow(rows)
        room = np.zeros(found.nbytes + 1, np.uint8)
        room[1:] = found.view(np.uint8).ravel()
        return room[1:].view(found.dtype).reshape(found.shape)

    def odd_rows(rows: Rows) -> Rows:
        found = narrow(rows)
        room = np.zeros((len(found), found.shape[1] * found.itemsize + 1), np.uint8)
        room[:, :-1] = found.view(np.uint8)
        return np.ndarray(found.shape, found.dtype, room, 0, (room.strides[0], found.itemsize))

    return {
        "wider": behind,
        "a part of wider ones": lambda rows: behind(rows)[:, :WIDTH],
        "backwards": lambda rows: narrow(rows)[::-1][::-1],
        "by column": lambda rows: np.asfortranarray(narrow(rows)),
        "every other": every_other,
        "the other way round": lambda rows: narrow(rows)[:, ::-1].copy()[:, ::-1],
        "unaligned": unaligned,
        "rows of odd bytes": odd_rows,
        "read-only": lambda rows: np.broadcast_to(narrow(rows), (len(rows), WIDTH)),
    }


@pytest.mark.parametrize("kind", [*KINDS, "float32"])
@pytest.mark.parametrize("how", list(changed("float32")))
def test_rows_may_lie_anyhow(how: str, kind: str) -> None:
    given, _ = twins(changed(kind)[how])
    plain, _ = twins(
        lambda rows: rows.astype(np.float32) if kind == "float32" else halves(rows, kind)
    )
    assert figures(given, "valid") == figures(plain, "valid")


def test_bytes_may_be_the_other_way_round() -> None:
    given, wide = twins(lambda rows: rows.astype(">f2"))
    assert figures(given, "valid") == figures(wide, "valid")


@pytest.mark.parametrize("make", ["array", "tensor"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [b"", b"lo"])
def test_wrong_halves_are_refused_by_name(start: bytes, kind: str, make: str) -> None:
    wrong = [(np.full(WIDTH, -np.inf), "any probability")]
    for at in (2, WIDTH - 2):
        for value, name in [(np.nan, "NaN"), (np.inf, "infinity")]:
            row = np.zeros(WIDTH)
            row[at] = value
            wrong.append((row, f"{name} at token id {at}"))
    for row, message in wrong:

        def fn(contexts: Any, row: Rows = row) -> Any:
            rows = np.zeros((len(contexts), WIDTH))
            rows[[len(context) == len(start) for context in contexts]] = row
            return tensor_of(rows, kind) if make == "tensor" else halves(rows, kind)

        model = bw.ByteModel(bw.CallableModel(TOK, fn, eos_id=END), semantics="all")
        with pytest.raises(bw.DataError, match=message):
            model.start(start).next()


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_core_reads_bits(kind: str, semantics: str) -> None:
    """Needs no library that has a bfloat16."""
    vocab = _core.ByteVocab(TOK._core, [END], semantics)
    trees = [vocab.tree(0.0), vocab.tree(0.0)]
    for at in range(len(TEXT)):
        nodes = trees[0].pending("next")
        flat, offsets = trees[0].contexts(nodes)
        contexts = [flat[a:b].tolist() for a, b in pairwise(offsets)]
        wide = np.array([random_row(ids, 3.0) for ids in contexts]).reshape(-1, WIDTH)
        single = np.ascontiguousarray(wide, np.float32)
        if kind == "float16":
            given: Any = wide.astype(np.float16)
            single = given.astype(np.float32)
        else:
            # Cut off, and not rounded: which number it is does not matter.
            given = (single.view(np.uint32) >> 16).astype(np.uint16)
            single = (given.astype(np.uint32) << 16).view(np.float32)
        for tree, rows in zip(trees, (given, single), strict=True):
            tree.feed(nodes, rows)
        assert trees[0].next()[0].tolist() == trees[1].next()[0].tolist()
        assert trees[0].logprob() == trees[1].logprob()
        for tree in trees:
            tree.advance(TEXT[at : at + 1])


def test_the_core_refuses_what_it_cannot_read() -> None:
    tree = _core.ByteVocab(TOK._core, [END], "all").tree(0.0)
    nodes = tree.pending("next")
    wrong: list[tuple[Any, str]] = [
        (np.zeros((1, WIDTH), np.int16), "uint16 for bfloat16"),
        (np.zeros((1, WIDTH), ">f2"), "uint16 for bfloat16"),
        (np.zeros(WIDTH, np.float16), "2-D"),
        ([[0.0] * WIDTH], "2-D"),
        (np.zeros((1, 2 * WIDTH), np.float16)[:, ::2], "beside each other"),
        (np.zeros((1, WIDTH), np.float32)[:, ::-1], "beside each other"),
        (np.zeros(4 * WIDTH + 1, np.uint8)[1:].view(np.float32)[None], "beside each other"),
    ]
    for rows, message in wrong:
        with pytest.raises(bw.ArgumentTypeError, match=message):
            tree.feed(nodes, rows)
    with pytest.raises(bw.ArgumentError, match="2 rows are not one for each of 1 nodes"):
        tree.feed(nodes, np.zeros((2, WIDTH), np.float16))
    with pytest.raises(bw.ArgumentError, match="at least"):
        tree.feed(nodes, np.zeros((1, WIDTH - 1), np.float16))
    tree.feed(nodes, np.zeros((1, WIDTH), np.float16))


@pytest.mark.parametrize("kind", KINDS)
def test_a_budget_holds_twice_as_many_halves(kind: str) -> None:
    asked = []
    for model in twins(lambda rows: halves(rows, kind)):
        bytelm = bw.ByteModel(model, semantics="all", memory=2 * 4 * WIDTH + 100)
        for start in [b"l", b"e", b"s"] * 2:
            bytelm.start(start).next()
        asked.append(bytelm.contexts)
    # The beginning and one context a letter: all are kept, or the beginning and one other.
    assert asked == [4, 7]


def test_rows_of_several_types_are_one_batch() -> None:
    kinds = ["float32", "float16", "float64", *(["bfloat16"] if has("ml_dtypes") else [])]

    def row(context: Sequence[int]) -> Rows:
        # Of few bits, so that the numbers are the same in every type.
        return np.round(random_row(context, 3.0) * 4) / 4

    def fn(contexts: Any) -> Any:
        rows = np.stack([row(context) for context in contexts])
        kind = kinds[len(contexts[0]) % len(kinds)]
        calls.append(kind)
        return halves(rows, kind) if kind == "bfloat16" else rows.astype(kind)

    def doubles(contexts: Any) -> Any:
        return np.stack([row(context) for context in contexts])

    calls: list[str] = []
    mixed = bw.ByteModel(bw.CallableModel(TOK, fn, eos_id=END))
    plain = bw.ByteModel(bw.CallableModel(TOK, doubles, eos_id=END))
    state = mixed.start()
    for at in range(len(TEXT)):
        state.next()
        state.advance(TEXT[at : at + 1])
    state.next()
    asked = len(calls)
    assert set(calls) == set(kinds)
    # All contexts are kept by now, and come together.
    found = mixed.start(TEXT)
    assert found.logprob == pytest.approx(plain.start(TEXT).logprob, abs=1e-5)
    assert found.next().probs == pytest.approx(plain.start(TEXT).next().probs, abs=1e-5)
    assert len(calls) == asked


def has(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_every_use_takes_halves(kind: str) -> None:
    found: list[Any] = []
    for tokens in twins(lambda rows: halves(rows, kind)):
        model = bw.ByteModel(tokens)
        options: dict[str, Any] = {"max_bytes": 6, "seed": 2}
        letters = bw.RegexConstraint("[a-z ]+")
        drawn = bw.sample_weighted(model, constraint=letters, particles=4, **options)
        healing = bw.BaselineModel(tokens, method="healing")
        translated = bw.TranslatedModel(model, TOK, epsilon=0.1, budget=20)
        behind = bw.PromptedModel(tokens, TOK.encode("low"))
        uses = [
            model.sample("lo", **options),
            model.infill("lo", "er", **options),
            bw.ByteModel(behind).score("lower").tolist(),
            bw.Ensemble([model, bw.ByteModel(behind)]).score("low").tolist(),
            score_tokens(model, TOK, "slow lower").logprobs.tolist(),
            drawn.shares(),
            healing.start("lo").next().probs.tolist(),
            translated.next("lo").logprobs.tolist(),
        ]
        found.append(uses)
    assert found[0] == found[1]


def tensor_of(rows: Rows, kind: str) -> Any:
    library = torch()
    return library.from_numpy(np.array(rows)).to(getattr(library, kind))


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_give_what_the_same_numbers_give(kind: str, semantics: Any) -> None:
    given, wide = twins(lambda rows: tensor_of(rows, kind))
    assert figures(given, semantics) == figures(wide, semantics)


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_may_lie_anyhow(kind: str) -> None:
    library = torch()
    plain = figures(twins(lambda rows: tensor_of(rows, kind))[0], "valid")
    pad = library.nn.functional.pad
    ways: list[Callable[[Any], Any]] = [
        lambda rows: rows.requires_grad_(),
        lambda rows: library.nn.Parameter(rows) * 1,
        lambda rows: rows.t().contiguous().t(),
        lambda rows: pad(rows, (0, 7), value=library.nan)[:, :WIDTH],
        lambda rows: library.stack([rows, rows], 2)[:, :, 0],
        lambda rows: library.stack([rows, rows], 1)[:, 1],
    ]
    for way in ways:

        def change(rows: Rows, way: Callable[[Any], Any] = way) -> Any:
            return way(tensor_of(rows, kind))

        given, _ = twins(change)
        assert figures(given, "valid") == plain


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_are_read_where_they_lie(kind: str) -> None:
    rows = tensor_of(np.zeros((3, 9)), kind).requires_grad_()
    for some in (rows, rows[1:], rows[:, 2:7]):
        found = as_rows(some, "fn", len(some), 5)
        assert found.ctypes.data == some.data_ptr()
        assert found.strides == tuple(some.element_size() * step for step in some.stride())
        assert as_doubles(found).tolist() == some.tolist()


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_wrong_tensor_is_told() -> None:
    library = torch()
    wrong = [
        (library.zeros(1, WIDTH, dtype=library.int64), "torch.int64: float16, bfloat16"),
        (library.zeros(1, WIDTH).to(library.float8_e5m2), "torch.float8_e5m2: float16"),
        (library.zeros(1, WIDTH - 1), rf"shape \(1, {WIDTH - 1}\) for 1 contexts"),
        (library.zeros(WIDTH), rf"shape \({WIDTH},\)"),
        (library.zeros(1, WIDTH, device="meta"), "a tensor that is meta: a dense one is needed"),
        (library.zeros(1, WIDTH).to_sparse(), "a tensor that is sparse_coo: a dense one"),
        (library.nested.nested_tensor([library.zeros(WIDTH)]), "a tensor that is nested: a dense"),
    ]
    for rows, message in wrong:

        def fn(contexts: Any, rows: Any = rows) -> Any:
            return rows

        model = bw.CallableModel(TOK, fn, eos_id=END)
        with pytest.raises(bw.ArgumentError, match=message):
            model.logprobs([np.zeros(0, np.int32)])


def test_a_tensor_is_handed_on_as_it_is() -> None:
    rows = tensor_of(np.zeros((1, WIDTH)), "bfloat16")
    model = bw.CallableModel(TOK, lambda contexts: rows, eos_id=END)
    assert model.logprobs([np.zeros(0, np.int32)]) is rows


def test_a_tensor_is_brought_from_its_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a tensor on another device, which counts how often it is copied from there."""

    class Tensor:
        dtype, made, copies = "torch.float32", 0, 0

        def __init__(self, rows: Rows) -> None:
            self.rows, self.shape = rows.astype(np.float32), rows.shape
            Tensor.made += 1

        def detach(self) -> Tensor:
            return self

        def cpu(self) -> Tensor:
            Tensor.copies += 1
            return self

        def __array__(self, dtype: Any = None, copy: Any = None) -> Rows:
            return self.rows

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(Tensor=Tensor))
    given, wide = twins(Tensor)[0], twins(lambda rows: rows)[1]
    found = [bw.ByteModel(model).start(TEXT[:3]).next().logprobs for model in (given, wide)]
    assert (found[0] == found[1]).all()
    assert Tensor.copies == Tensor.made > 0
