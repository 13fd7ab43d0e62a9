"""A small model of llama.cpp with random weights, written by the published `gguf` package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from corpus_tools import EOT

import bytewright as bw
from bytewright.formats.byte_level import to_stand_ins

WIDTH, LAYERS, HEADS, INNER = 32, 2, 4, 48


def write_gguf(path: Path, tok: bw.Tokenizer, *, positions: int = 256, seed: int = 5) -> None:
    """A Llama with grouped heads over a tokenizer that has one special token, the last."""
    chance = np.random.default_rng(seed)
    writer: Any = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(positions)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(tok.vocab_size)
    end = tok.special_tokens[EOT]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*(to_stand_ins(tok.token_bytes(at)) for at in range(end)), EOT])
    writer.add_token_types([1] * end + [3])
    writer.add_token_merges([" ".join(map(to_stand_ins, pair)) for pair in tok.merges])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)

    def weights(name: str, *shape: int) -> None:
        tensor = chance.normal(0, 0.3, shape) if len(shape) > 1 else np.ones(shape)
        writer.add_tensor(f"{name}.weight", tensor.astype(np.float32))

    weights("token_embd", tok.vocab_size, WIDTH)
    weights("output_norm", WIDTH)
    weights("output", tok.vocab_size, WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            weights(block + name, WIDTH)
        for name in ("attn_q", "attn_output"):
            weights(block + name, WIDTH, WIDTH)
        for name in ("attn_k", "attn_v"):
            weights(block + name, WIDTH // 2, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            weights(block + name, INNER, WIDTH)
        weights(f"{block}ffn_down", WIDTH, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
