"""Small networks of `transformers` with random weights, and their rows by plain forwards."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from corpus_tools import EOT, small_tokenizer
from numpy.typing import NDArray

import bytewright as bw

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None,
    reason="needs torch and transformers: pip install 'bytewright[torch]'",
)

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
