"""What a model of `transformers` finds out about its network, and refuses."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny_networks import (
    COMMON,
    END,
    TOK,
    forking,
    needs_torch,
    network,
    plain,
    wrapped,
)

import bytewright as bw

pytestmark = pytest.mark.filterwarnings("ignore")


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
