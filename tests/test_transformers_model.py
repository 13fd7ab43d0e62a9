"""Models of `transformers`: whatever is packed and kept, rows are those of plain forwards."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import pickle
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus_tools import EOT, small_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bytewright as bw
from bytewright.bytelm import compress, decompress
from bytewright.models.keys import KeyStore
from bytewright.models.prefixes import PrefixTree

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None,
    reason="needs torch and transformers: pip install 'bytewright[torch]'",
)
pytestmark = pytest.mark.filterwarnings("ignore")

TOK = small_tokenizer()
END = TOK.special_tokens[EOT]
PACKED = ["gpt2", "gpt2 eager", "llama", "mistral", "qwen2", "gemma3", "opt"]
PLAIN = ["bloom", "mamba"]
COMMON = {
    "vocab_size": TOK.vocab_size,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
    "bos_token_id": END,
    "eos_token_id": END,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
SLIDING = ["sliding_attention", "full_attention"]


def network(name: str, dtype: str = "float64", **changes: Any) -> Any:
    """A small network with random weights."""
    torch, t = importlib.import_module("torch"), importlib.import_module("transformers")

    torch.manual_seed(7)
    few = {key: COMMON[key] for key in COMMON if key != "num_key_value_heads"}
    makers: dict[str, Callable[[], Any]] = {
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(**(few | changes))),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**(COMMON | changes))),
        "mistral": lambda: t.MistralForCausalLM(
            t.MistralConfig(**(COMMON | {"sliding_window": 5} | changes))
        ),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**(COMMON | changes))),
        "gemma3": lambda: t.Gemma3ForCausalLM(
            t.Gemma3TextConfig(
                **COMMON, head_dim=8, sliding_window=5, layer_types=SLIDING, **changes
            )
        ),
        "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(**COMMON, num_local_experts=4)),
        "opt": lambda: t.OPTForCausalLM(
            t.OPTConfig(**few, ffn_dim=48, word_embed_proj_dim=32, init_std=0.3)
        ),
        "bloom": lambda: t.BloomForCausalLM(t.BloomConfig(**few)),
        "mamba": lambda: t.MambaForCausalLM(t.MambaConfig(**few, state_size=4)),
        "gpt_neo": lambda: t.GPTNeoForCausalLM(
            t.GPTNeoConfig(
                **(few | changes),
                num_layers=2,
                num_heads=4,
                attention_types=[[["global", "local"], 1]],
            )
        ),
        "phi3": lambda: t.Phi3ForCausalLM(t.Phi3Config(**(COMMON | changes))),
        "bert": lambda: t.BertLMHeadModel(t.BertConfig(**few)),
    }
    made = makers[name.split()[0]]()
    if name.endswith("eager"):
        made.set_attn_implementation("eager")
    return made.to(getattr(torch, dtype)).eval()


def wrapped(net: Any, **arguments: Any) -> Any:
    """A model with the tokenizer of this file; takes lists, which the types do not."""
    return bw.TransformersModel(net, **({"tokenizer": TOK} | arguments))


def plain(net: Any, contexts: Sequence[Any], prefix: Sequence[int] = (END,)) -> NDArray[Any]:
    """One forward a context, with nothing kept: the definition."""
    torch = importlib.import_module("torch")

    with torch.inference_mode():
        rows = [
            net(torch.tensor([[*prefix, *map(int, ids)]]), use_cache=False).logits[0, -1]
            for ids in contexts
        ]
    found: NDArray[Any] = torch.stack(rows).double().log_softmax(-1).numpy()
    return found


def forking(chance: np.random.Generator, longest: int) -> list[NDArray[np.int32]]:
    """Contexts of which many begin alike."""
    lines = [chance.integers(0, END, longest).astype(np.int32) for _ in range(3)]
    made = [np.concatenate([lines[0][:at], lines[1 + at % 2][: at % 4]]) for at in range(longest)]
    return [*made, lines[0], np.zeros(0, np.int32)]


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
def test_a_window_that_is_not_known_is_noticed() -> None:
    net = network("gpt_neo", window_size=60)
    model = wrapped(net)
    assert model.way == "packed"
    contexts = forking(np.random.default_rng(5), 100)
    for some in (contexts[:10], contexts[:40], contexts):
        # It computes its attention in float32, whatever its own precision.
        assert np.abs(model.logprobs(some) - plain(net, some)).max() < 1e-4
    assert model.way.startswith("together: rows differ where 1")


@needs_torch
@pytest.mark.parametrize("window", [30, 100, 200])
@pytest.mark.parametrize("deep_first", [False, True])
def test_depth_and_width_are_compared_each_by_itself(window: int, deep_first: bool) -> None:
    # Windows by columns: wrong where contexts lie beside each other, and in no single line.
    net = network("gpt_neo", window_size=window)
    model, chance = wrapped(net), np.random.default_rng(5)
    deep = [chance.integers(0, END, 2 * window).astype(np.int32)]
    short = [chance.integers(0, END, 20).astype(np.int32) for _ in range(window // 6)]
    for some in (deep, short, deep, short) if deep_first else (short, deep, short, deep):
        assert np.abs(model.logprobs(some) - plain(net, some)).max() < 1e-4
    assert not model.way.startswith("packed")


@needs_torch
def test_a_network_that_fails_on_what_is_packed_is_asked_otherwise() -> None:
    # It has no masks for more columns than it has positions.
    net = network("gpt_neo", max_position_embeddings=60)
    model = wrapped(net)
    contexts = [np.full(20, at, np.int32) for at in range(9)]
    for some in (contexts[:2], contexts, contexts[3:]):
        assert np.abs(model.logprobs(some) - plain(net, some)).max() < 1e-4
    assert model.way.startswith("together: RuntimeError: ")


@needs_torch
def test_a_line_is_a_line_wherever_it_is_kept() -> None:
    net = network("gpt_neo", window_size=60)
    slot, chance = 2 * 2 * 32 * 8, np.random.default_rng(5)
    model = wrapped(net, memory=200 * slot)
    for _ in range(6):
        line = chance.integers(0, END, 150).astype(np.int32)
        for length in (50, 100, 150):
            rows = model.logprobs([line[:length]])
            assert np.abs(rows - plain(net, [line[:length]])).max() < 1e-4
    assert model.way == "packed"


@needs_torch
def test_a_window_without_a_name_is_noticed_behind_wide_calls() -> None:
    net, torch = network("llama"), importlib.import_module("torch")
    forward = net.forward

    def windowed(input_ids: Any, attention_mask: Any = None, **arguments: Any) -> Any:
        if attention_mask is None or attention_mask.dim() == 2:
            at = torch.arange(input_ids.shape[1])
            back = at[:, None] - at
            attention_mask = ((back >= 0) & (back < 100))[None, None]
        return forward(input_ids, attention_mask, **arguments)

    net.forward = windowed
    net.forward.__signature__ = inspect.signature(forward)
    model, chance = wrapped(net), np.random.default_rng(5)
    assert model.way == "packed"
    short = [chance.integers(0, END, 20).astype(np.int32) for _ in range(12)]
    deep = [chance.integers(0, END, 240).astype(np.int32)]
    for some in (short, deep):
        assert np.abs(model.logprobs(some) - plain(net, some)).max() < 1e-9
    assert model.way.startswith("together: rows differ where 241")


@needs_torch
def test_positions_that_stretch_are_asked_alone() -> None:
    rope = {
        "rope_type": "longrope", "rope_theta": 10000.0,
        "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
    }  # fmt: skip
    net = network(
        "phi3", rope_parameters=rope, original_max_position_embeddings=20,
        max_position_embeddings=80,
    )  # fmt: skip
    model = wrapped(net)
    contexts = forking(np.random.default_rng(6), 60)
    for some in (contexts[:10], contexts, contexts[:15]):
        assert np.abs(model.logprobs(some) - plain(net, some)).max() < 1e-9


@needs_torch
@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_positions_that_stretch_in_some_layers_are_asked_alone(kind: str) -> None:
    stretched = {
        "rope_type": kind, "rope_theta": 10000.0, "factor": 4.0,
        "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
        "original_max_position_embeddings": 24,
    }  # fmt: skip
    rope = {
        "full_attention": stretched,
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    }
    # What it has read decides how positions stretch from then on: each forward has its own.
    net, fresh = (network("gemma3", rope_parameters=rope) for _ in range(2))
    model, untouched = wrapped(net), copy.deepcopy(fresh)
    chance = np.random.default_rng(6)
    deep = chance.integers(0, END, 120).astype(np.int32)
    for lengths in ([10], [20, 12, 100], [30], [10, 22], [10, 23], [10, 24], [62, 30]):
        contexts = [deep[at : at + length] for at, length in enumerate(lengths)]
        expected = np.concatenate([plain(copy.deepcopy(untouched), [one]) for one in contexts])
        assert np.abs(model.logprobs(contexts) - expected).max() < 1e-9


@needs_torch
def test_a_network_that_looks_ahead_is_refused() -> None:
    for dtype in ("float32", "bfloat16"):
        with pytest.raises(bw.UnsupportedError, match=r"BertLMHeadModel: .* no causal"):
            bw.TransformersModel(network("bert", dtype), tokenizer=TOK)


def likeliest(net: Any, change: Callable[[Any], Any]) -> Any:
    """A network that leaves only the 50 likeliest ids, and takes another mask than it is given."""
    forward = net.forward

    def cut(input_ids: Any, attention_mask: Any = None, **arguments: Any) -> Any:
        found = forward(input_ids, change(attention_mask), **arguments)
        least = found.logits.topk(50, -1).values[..., -1:]
        found.logits = found.logits.masked_fill(found.logits < least, -np.inf)
        return found

    net.forward = cut
    net.forward.__signature__ = inspect.signature(forward)
    return net


@needs_torch
def test_ids_that_are_impossible_now_and_then_switch_no_check_off() -> None:
    torch = importlib.import_module("torch")
    contexts = forking(np.random.default_rng(3), 20)
    net = likeliest(network("llama"), lambda mask: mask)
    model = wrapped(net)
    assert model.way == "packed"
    rows, expected = model.logprobs(contexts), plain(net, contexts)
    assert np.array_equal(np.isfinite(rows), np.isfinite(expected))
    assert np.abs(rows - expected)[np.isfinite(rows)].max() < 1e-9
    deaf = likeliest(network("llama"), lambda mask: None if mask.dim() == 4 else mask)
    model = wrapped(deaf)
    assert model.way.startswith("together: rows differ by")
    assert np.array_equal(np.isfinite(model.logprobs(contexts)), np.isfinite(expected))

    def all_of(mask: Any) -> Any:
        number = mask.shape[-1]
        return torch.ones(len(mask), 1, number, number, dtype=torch.bool)

    with pytest.raises(bw.UnsupportedError, match="no causal language model"):
        wrapped(likeliest(network("llama"), all_of))


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
def test_networks_of_few_positions_are_tried_with_short_contexts() -> None:
    for positions in (3, 8, 12, 13):
        net = network("gpt2", max_position_embeddings=positions)
        model = wrapped(net)
        contexts = [np.arange(at, dtype=np.int32) for at in range(positions)]
        assert np.abs(model.logprobs(contexts) - plain(net, contexts)).max() < 1e-9
    with pytest.raises(bw.UnsupportedError, match="the network has 2 positions, too few"):
        wrapped(network("gpt2", max_position_embeddings=2))


@needs_torch
def test_positions_have_another_name_in_mpt() -> None:
    t = importlib.import_module("transformers")
    config = t.MptConfig(
        vocab_size=TOK.vocab_size, d_model=32, n_heads=4, n_layers=1, max_seq_len=30,
        bos_token_id=END, eos_token_id=END,
    )  # fmt: skip
    model = wrapped(t.MptForCausalLM(config))
    model.logprobs([[0] * 29])
    with pytest.raises(bw.ArgumentError, match="has 30 positions"):
        model.logprobs([[0] * 30])


@needs_torch
def test_a_network_is_told_what_it_takes() -> None:
    net = network("llama")
    forward = net.forward
    net.forward = lambda input_ids: forward(input_ids, use_cache=False)
    model = wrapped(net)
    assert model.way.startswith("together: TypeError")
    rows = model.logprobs([[3, 4]])
    net.forward = forward
    assert np.abs(rows - plain(net, [[3, 4]])).max() < 1e-9


@needs_torch
def test_a_network_that_keeps_a_number_of_last_places_is_not_given_places() -> None:
    net = network("llama")
    forward = net.forward

    def last(input_ids: Any, *, logits_to_keep: int = 0, **arguments: Any) -> Any:
        found = forward(input_ids, **arguments)
        if logits_to_keep:
            found.logits = found.logits[:, -logits_to_keep:]
        return found

    net.forward = last
    model = wrapped(net)
    contexts = forking(np.random.default_rng(3), 9)
    assert model.way == "packed"
    assert np.abs(model.logprobs(contexts) - plain(net, contexts)).max() < 1e-9


@needs_torch
def test_what_networks_fail_on_is_said() -> None:
    torch, t = importlib.import_module("torch"), importlib.import_module("transformers")
    with torch.device("meta"):
        empty = t.LlamaForCausalLM(t.LlamaConfig(**COMMON))
    with pytest.raises(bw.UnsupportedError, match="LlamaForCausalLM answers no plain forward"):
        wrapped(empty)
    net = network("llama")

    def stay(**where: Any) -> None:
        raise ValueError("`.to` is not supported for `4-bit` models")

    net.to = stay
    with pytest.raises(bw.ArgumentError, match=r"not go to device=cpu, dtype=None: `\.to` is"):
        wrapped(net, device="cpu")


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
