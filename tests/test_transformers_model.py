"""Models of `transformers`: whatever is packed and kept, rows are those of plain forwards."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_networks import (
    COMMON,
    END,
    PACKED,
    PLAIN,
    TOK,
    forking,
    needs_torch,
    network,
    plain,
    wrapped,
)

import bytewright as bw
from bytewright.bytelm import compress, decompress
from bytewright.models.keys import KeyStore
from bytewright.models.prefixes import PrefixTree

pytestmark = pytest.mark.filterwarnings("ignore")


@needs_torch
@pytest.mark.parametrize("name", [*PACKED, *PLAIN])
def test_rows_are_those_of_plain_forwards(name: str) -> None:
    net = network(name)
    model = wrapped(net, batch=50)
    assert model.way.split(":")[0] == ("packed" if name in PACKED else "together")
    chance = np.random.default_rng(3)
    for longest in (1, 4, 9, 30, 90, 20):
        contexts = forking(chance, longest)
        rows = model.logprobs(contexts)
        assert rows.dtype == np.float64
        assert rows.shape == (len(contexts), TOK.vocab_size)
        # Bloom normalises its attention in float32, whatever its own precision.
        assert np.abs(rows - plain(net, contexts)).max() < (1e-5 if name == "bloom" else 1e-9)
    assert model.way.split(":")[0] == ("packed" if name in PACKED else "together")


@needs_torch
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.5)])
@pytest.mark.parametrize("name", ["gpt2", "mistral", "mixtral"])
def test_other_precisions_give_float32(name: str, dtype: str, tolerance: float) -> None:
    net = network(name, dtype)
    model = wrapped(net)
    contexts = forking(np.random.default_rng(4), 40)
    rows = model.logprobs(contexts)
    assert (rows.dtype, model.way) == (np.float32, "packed")
    assert np.abs(rows - plain(net, contexts)).max() < tolerance
    assert np.abs(np.exp(rows, dtype=np.float64).sum(axis=1) - 1).max() < 1e-5


@needs_torch
@pytest.mark.parametrize("semantics", ["valid", "all"])
def test_a_byte_model_of_it_is_that_of_plain_forwards(semantics: Any) -> None:
    net = network("llama")
    ours = bw.ByteModel(wrapped(net), semantics=semantics)
    plainly = bw.CallableModel(TOK, lambda contexts: plain(net, contexts), eos_id=END)
    theirs = bw.ByteModel(plainly, semantics=semantics)
    for text in ("the antenna in there", "an", "naïve 🐍\n\n  then"):
        scores = ours.score(text)
        assert np.abs(scores - theirs.score(text)).max() < 1e-9
        if semantics == "valid":
            assert abs(scores.sum() - ours.logprob(text)) < 1e-9
        assert abs(ours.logprob(text, end=True) - theirs.logprob(text, end=True)) < 1e-9
    one, other = ours.start("the an"), theirs.start("the an")
    for byte in b"tenna the":
        found, expected = one.next(), other.next()
        assert np.abs(found.probs - expected.probs).max() < 1e-12
        # A chain of next bytes, lost mass aside, is the score; forks go their own ways.
        fork = one.fork().advance(b"zz")
        assert fork.next().probs.sum() == pytest.approx(1)
        one.advance(bytes([byte]))
        other.advance(bytes([byte]))
    assert one.logprob == pytest.approx(other.logprob, abs=1e-9)
    assert ours.sample("the ", max_bytes=9, seed=1) == theirs.sample("the ", max_bytes=9, seed=1)


@needs_torch
def test_a_byte_is_a_token_read() -> None:
    model = wrapped(network("gpt2"))
    text = "the antenna in there, and then the antenna"
    bytes_model = bw.ByteModel(model)
    state = bytes_model.start()
    for byte in text.encode():
        state.next()
        state.advance(bytes([byte]))
    # Each context is its parent and a token; comparing ways, as contexts grow, reads some more.
    before, asked = model.tokens_read, bytes_model.contexts
    assert asked <= before <= 2 * asked + 64
    assert model.tokens_kept <= asked + 1
    again = bw.ByteModel(model, memory=0)
    again.start(text).next()
    assert model.tokens_read - before == again.contexts


@needs_torch
def test_a_network_in_training_is_not_asked() -> None:
    net = network("gpt2")
    model = wrapped(net.train())
    assert not net.training
    ours = bw.ByteModel(model)
    expected = ours.logprob("the antenna")
    assert np.abs(model.logprobs([[3]]) - plain(net, [[3]])).max() < 1e-9
    net.train()
    asks: list[Callable[[], Any]] = [
        lambda: model.logprobs([[3]]),
        lambda: ours.logprob("the antenna"),
        lambda: bw.ByteModel(model).sample("the", max_bytes=3),
    ]
    for ask in asks:
        with pytest.raises(bw.ArgumentError, match=r"training mode: call its eval\(\)"):
            ask()
    assert net.training
    ours.clear()
    net.eval()
    assert ours.logprob("the antenna") == pytest.approx(expected, abs=1e-9)


@needs_torch
def test_models_of_bytes_forget_with_it() -> None:
    torch, net = importlib.import_module("torch"), network("llama")
    model = wrapped(net)
    ours = bw.ByteModel(model)
    behind = ours.behind([3, 4])
    text = "the antenna"
    for _ in range(3):
        plainly = bw.ByteModel(bw.CallableModel(TOK, lambda some: plain(net, some), eos_id=END))
        for one, other in ((ours, plainly), (behind, plainly.behind([3, 4]))):
            assert one.logprob(text) == pytest.approx(other.logprob(text), abs=1e-9)
        with torch.no_grad():
            for weight in net.parameters():
                weight.mul_(0.9)
        model.clear()


@needs_torch
@pytest.mark.parametrize("name", ["llama", "gpt_neo"])
def test_a_model_that_forgets_is_one_that_was_just_made(name: str) -> None:
    net = network(name, "bfloat16") if name == "llama" else network(name, window_size=60)
    used, text = wrapped(net, batch=40), b"the antenna in there" * 2
    made = used.way
    used.logprobs(forking(np.random.default_rng(5), 100))
    assert (used.way == made) == (name == "llama")
    small = compress(bw.ByteModel(wrapped(net, batch=40)), text)
    assert compress(bw.ByteModel(used), text) == small
    bw.ByteModel(used).score(text[:15])
    assert decompress(bw.ByteModel(used), small) == text
    used.clear()
    assert used.way == made


@needs_torch
def test_a_call_reads_each_beginning_once() -> None:
    model = wrapped(network("gpt2"))
    line = np.arange(40, dtype=np.int32)
    model.logprobs([line[:15]])
    before = model.tokens_read
    model.logprobs([line[:at] for at in range(16, 18)] + [np.append(line[:16], 99)] * 3)
    assert model.tokens_read - before == 3
    assert model.tokens_kept == 1 + 17 + 1
    assert model.nbytes >= model.tokens_kept * 2 * 2 * 32 * 8
    model.clear()
    assert (model.tokens_kept, model.nbytes) == (0, 0)
    model.logprobs([line[:5]])
    assert model.tokens_kept == 6


@needs_torch
@given(seed=st.integers(0, 999), memory=st.sampled_from([0, 3000, 30_000, 200_000]))
@settings(max_examples=25)
def test_a_budget_changes_no_number(seed: int, memory: int) -> None:
    net = GPT2.setdefault("net", network("gpt2") if not GPT2 else None)
    chance = np.random.default_rng(seed)
    model = wrapped(net, memory=memory, batch=int(chance.integers(1, 60)))
    contexts = forking(chance, 25)
    expected = plain(net, contexts)
    for _ in range(4):
        some = chance.choice(len(contexts), 7)
        rows = model.logprobs([contexts[at] for at in some])
        assert np.abs(rows - expected[some]).max() < 1e-9
        assert model.nbytes <= memory
    slot = 2 * 2 * 32 * 8
    assert model.tokens_kept * slot <= memory


GPT2: dict[str, Any] = {}


@needs_torch
def test_a_folder_is_a_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    net = network("llama", "float32")
    net.save_pretrained(tmp_path)
    with pytest.raises(bw.LoadError, match="no vocabulary in this folder"):
        bw.TransformersModel(tmp_path)
    TOK.save(tmp_path / "tokenizer.json")
    capfd.readouterr()
    model = bw.TransformersModel(tmp_path, device="cpu")
    assert capfd.readouterr() == ("", "")
    assert model.tokenizer.fingerprint == bw.Tokenizer.load(tmp_path).fingerprint
    assert (model.eos_id, model.prefix.tolist()) == (END, [END])
    contexts = forking(np.random.default_rng(8), 9)
    assert np.abs(model.logprobs(contexts) - plain(net, contexts)).max() < 1e-4
    assert isinstance(model, bw.TokenModel)
    double: Any = bw.TransformersModel(str(tmp_path), dtype="float64", device="cpu")
    assert double.logprobs([[]]).dtype == np.float64
    assert "LlamaForCausalLM, packed" in repr(model)


@needs_torch
def test_a_folder_without_all_weights_is_refused(tmp_path: Path) -> None:
    tensors = pytest.importorskip("safetensors.torch")
    t = importlib.import_module("transformers")
    TOK.save(tmp_path / "tokenizer.json")
    t.LlamaForSequenceClassification(t.LlamaConfig(**COMMON)).save_pretrained(tmp_path)
    with pytest.raises(bw.LoadError, match=r"it lacks 1 of the weights .* as lm_head\.weight"):
        bw.TransformersModel(tmp_path)
    file = tmp_path / "model.safetensors"
    for tied in (False, True):
        net = network("llama", "float32", tie_word_embeddings=tied)
        net.save_pretrained(tmp_path)
        model: Any = bw.TransformersModel(tmp_path, device="cpu")
        assert np.abs(model.logprobs([[3]]) - plain(net, [[3]])).max() < 1e-4
        weights = tensors.load_file(file)
        # A head that is the embedding is written once.
        assert ("lm_head.weight" in weights) != tied
        del weights["model.layers.0.mlp.down_proj.weight"]
        tensors.save_file(weights, file, metadata={"format": "pt"})
        with pytest.raises(bw.LoadError, match=r"lacks 1 .* model\.layers\.0\.mlp\.down_proj"):
            bw.TransformersModel(tmp_path)
    network("llama", "float32", intermediate_size=64).save_pretrained(tmp_path)
    network("llama", "float32").config.save_pretrained(tmp_path)
    with pytest.raises(bw.LoadError, match=r"no .*causal language model"):
        bw.TransformersModel(tmp_path)


@needs_torch
def test_several_ends_are_one_outcome() -> None:
    net = network("gpt2")
    net.generation_config.eos_token_id = [END, 7]
    model = wrapped(net)
    row, alone = np.exp(model.logprobs([[1, 2]])[0]), np.exp(plain(net, [[1, 2]])[0])
    assert model.eos_id == END
    assert row[END] == pytest.approx(alone[END] + alone[7])
    assert row[7] == 0
    assert row.sum() == pytest.approx(1)
    chosen = wrapped(net, eos_id=9, prefix=[3, 4])
    assert (chosen.eos_id, chosen.prefix.tolist()) == (9, [3, 4])
    assert np.abs(chosen.logprobs([[1]]) - plain(net, [[1]], [3, 4])).max() < 1e-9
    assert wrapped(net, eos_id=[]).eos_id is None


@needs_torch
def test_a_model_without_a_beginning_needs_a_prefix() -> None:
    net = network("gpt2", bos_token_id=None, eos_token_id=-1)
    net.generation_config.bos_token_id = net.generation_config.eos_token_id = None
    with pytest.raises(bw.ArgumentError, match="prefix= is missing: the model names no token"):
        wrapped(net)
    for prefix in ([], [3]):
        model = wrapped(net, prefix=prefix)
        assert (model.eos_id, model.prefix.tolist()) == (None, prefix)
        assert np.abs(model.logprobs([[5]]) - plain(net, [[5]], prefix)).max() < 1e-9


@needs_torch
def test_columns_are_those_of_the_tokenizer() -> None:
    padded = network("gpt2", vocab_size=TOK.vocab_size + 13)
    wide = wrapped(padded).logprobs([[5]])
    cut = plain(padded, [[5]])[:, : TOK.vocab_size]
    assert np.abs(wide - (cut - np.logaddexp.reduce(cut, axis=1))).max() < 1e-9
    lacking = network("gpt2", vocab_size=END, bos_token_id=1, eos_token_id=2)
    row = wrapped(lacking).logprobs([[5]])
    assert row.shape == (1, TOK.vocab_size)
    assert row[0, END] == -np.inf
    assert np.abs(row[:, :END] - plain(lacking, [[5]], [1])).max() < 1e-9


@needs_torch
def test_what_cannot_be_is_said() -> None:
    net = network("gpt2", max_position_embeddings=30)
    model = wrapped(net)
    assert model.logprobs([]).shape == (0, TOK.vocab_size)
    model.logprobs([[0] * 29])
    with pytest.raises(
        bw.ArgumentError, match=r"context 1 has 30 ids, and 1 in front of it: .* 30 "
    ):
        model.logprobs([[0], [0] * 30])
    with pytest.raises(bw.UnknownTokenError, match="token id 999 at place 1 of context 0"):
        model.logprobs([[0, 999]])
    with pytest.raises(bw.ArgumentError, match="context 1: ids must be integers"):
        model.logprobs([[0], ["a"]])
    bare = wrapped(net, prefix=[])
    assert np.abs(bare.logprobs([[3]]) - plain(net, [[3]], [])).max() < 1e-9
    with pytest.raises(bw.ArgumentError, match="context 0 is empty, and so is the prefix"):
        bare.logprobs([[]])
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tokenizer": None}, "tokenizer= is missing"),
        ({"batch": 0}, "batch=0"),
        ({"eos_id": 5000}, "eos_id: id 5000 is outside"),
        ({"prefix": [-1]}, "prefix: id -1"),
        ({"memory": "much"}, "memory 'much'"),
        ({"dtype": "float33"}, "dtype='float33': a type such as 'float32'"),
        ({"dtype": "int8"}, "dtype='int8'"),
    ]
    for wrong, message in cases:
        with pytest.raises(bw.ArgumentError, match=message):
            wrapped(net, **wrong)
    with pytest.raises(bw.ArgumentError, match="its token 261 is outside the 200 ids"):
        wrapped(network("gpt2", vocab_size=200, bos_token_id=1, eos_token_id=1))


@needs_torch
def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    t = importlib.import_module("transformers")

    with pytest.raises(bw.LoadError, match="no such folder; nothing is downloaded"):
        bw.TransformersModel("gpt2")
    with pytest.raises(bw.LoadError, match=r"no config\.json"):
        bw.TransformersModel(tmp_path)
    t.T5Config(vocab_size=300).save_pretrained(tmp_path)
    with pytest.raises(bw.LoadError, match="no causal language model"):
        bw.TransformersModel(tmp_path, tokenizer=TOK)
    with pytest.raises(bw.ArgumentTypeError, match="not list"):
        bw.TransformersModel([], tokenizer=TOK)
    headless = t.GPT2Model(t.GPT2Config(vocab_size=300, n_embd=8, n_layer=1, n_head=1))
    with pytest.raises(bw.UnsupportedError, match="GPT2Model says nothing about the next token"):
        bw.TransformersModel(headless, tokenizer=TOK)


@needs_torch
def test_a_stopped_call_leaves_nothing_wrong() -> None:
    net = network("gpt2")
    model = wrapped(net, batch=8)
    contexts = forking(np.random.default_rng(9), 30)
    model.logprobs(contexts[:9])
    forward, calls = net.forward, 0

    def stopping(*ids: Any, **arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return forward(*ids, **arguments)

    net.forward = stopping
    with pytest.raises(KeyboardInterrupt):
        model.logprobs(contexts)
    assert np.abs(model.logprobs(contexts) - plain(net, contexts)).max() < 1e-9


@needs_torch
@pytest.mark.parametrize("stopped", [1, 2, 7, 30])
@pytest.mark.parametrize("twice", [False, True])
def test_a_call_stopped_while_it_plans_leaves_nothing_wrong(
    stopped: int, twice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network("gpt2")
    model = wrapped(net)
    contexts = forking(np.random.default_rng(9), 30)
    model.logprobs(contexts[:9])
    slot, slots = PrefixTree._slot, iter(range(1, 999))

    def stopping(tree: Any) -> int:
        if next(slots) == stopped:
            raise KeyboardInterrupt
        return slot(tree)

    def stopping_again(store: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PrefixTree, "_slot", stopping)
        if twice:
            patched.setattr(KeyStore, "clear", stopping_again)
        with pytest.raises(KeyboardInterrupt):
            model.logprobs(contexts)
    assert np.abs(model.logprobs(contexts) - plain(net, contexts)).max() < 1e-9


@needs_torch
def test_threads_take_turns() -> None:
    net = network("gpt2")
    model = wrapped(net, memory=60_000)
    contexts = forking(np.random.default_rng(10), 30)
    expected, worst = plain(net, contexts), []

    def work(seed: int) -> None:
        chance = np.random.default_rng(seed)
        for _ in range(10):
            some = chance.choice(len(contexts), 5)
            rows = model.logprobs([contexts[at] for at in some])
            worst.append(np.abs(rows - expected[some]).max())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worst) == 30
    assert max(worst) < 1e-9


@needs_torch
def test_a_pickle_is_the_same_model() -> None:
    model = wrapped(network("gpt2"), eos_id=[END, 3], prefix=[2, 1], memory=70_000, batch=9)
    contexts = forking(np.random.default_rng(11), 8)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.logprobs(contexts), model.logprobs(contexts))
    assert (again.eos_id, again.prefix.tolist()) == (model.eos_id, [2, 1])
    assert repr(again) == repr(model)
    assert copy.copy(model) is model
    assert copy.deepcopy(model) is model
