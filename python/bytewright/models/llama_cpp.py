"""Models in GGUF files, run by llama.cpp through `llama-cpp-python`.

Rows are the logits that the engine computes, of the whole vocabulary; nothing is sampled. They are
as exact as the engine: its keys and values are float16 unless a `Llama` says otherwise, and what it
computes side by side may differ in the last digits.

New tokens of all contexts of a call are read in one batch, each token belonging to the sequences
that go through it; what they share with the last call is not read again (`trunk` says how). Models
with a recurrent state keep no beginnings, so that each context is read from its first token on.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    LoadError,
    UnsupportedError,
)
from bytewright.models.contexts import behind
from bytewright.models.engine import EngineModel, check_ids, check_size
from bytewright.models.extras import library
from bytewright.models.protocol import check_tokenizer
from bytewright.models.trunk import Branches, Context
from bytewright.models.trunk import branches as grouped
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer
from bytewright.turns import turn

__all__ = ["LlamaCppModel"]

# What llama.cpp says where a file names no token.
_NO_TOKEN: Final = -1

# Its places are int32; of a larger number it takes the last bits.
_MOST: Final = 2**31 - 1


class LlamaCppModel(EngineModel):
    """A model of llama.cpp (`pip install 'bytewright[llama-cpp]'`).

    Threads may share it; they take turns.

    >>> import bytewright as bw
    >>> model = bw.LlamaCppModel("model.gguf")  # doctest: +SKIP
    >>> bw.ByteModel(model).sample("Once upon a ti", max_bytes=2)  # doctest: +SKIP
    b'me'
    """

    def __init__(
        self,
        model: Any,
        *,
        tokenizer: Tokenizer | None = None,
        eos_id: int | Sequence[int] | None = None,
        prefix: Sequence[int] | None = None,
        positions: int | None = None,
        batch: int = 512,
        branches: int = 64,
        gpu_layers: int = 0,
    ) -> None:
        """Take a GGUF file, or a `llama_cpp.Llama`: its weights are used, its state is not.

        Args:
            model: the file, or a `Llama`, of which the settings of its context are taken too.
            tokenizer: whose ids the model knows; that of the file unless given.
            eos_id: the ids that end a text, none for no end; unless given, those that the file
                names as ends of generation. Several are one outcome, that of the first.
            prefix: ids in front of every context; unless given, the beginning of text that the file
                names, or else its end of text.
            positions: tokens that there is room for; unless given, those of the `Llama`, or as many
                as the model was trained with.
            batch: tokens that are read at a time.
            branches: contexts that are read side by side.
            gpu_layers: layers of a file that run on a GPU; -1 is all of them.

        Raises:
            MissingExtraError: `llama-cpp-python` is not installed.
            LoadError: the file is no model that llama.cpp can run, or there is no room for it.
            UnsupportedError: a `Llama` with an adapter, which is no part of its weights.
            ArgumentError: ids that the model lacks; no prefix; a tokenizer of another size.
        """
        engine = library("llama_cpp", extra="llama-cpp")
        batch, branches = whole(batch, "batch", least=1), whole(branches, "branches", least=1)
        positions = None if positions is None else whole(positions, "positions", least=1)
        if positions is not None and positions > _MOST:
            raise ArgumentError(f"positions={positions}: at most {_MOST} is allowed")
        gpu_layers = min(whole(gpu_layers, "gpu_layers", least=-1), _MOST)
        if tokenizer is not None:
            check_tokenizer(tokenizer)
        check_ids(eos_id, prefix)
        if isinstance(model, str | os.PathLike):
            llama = _load(engine, Path(model), gpu_layers)
            positions = positions or engine.llama_model_n_ctx_train(llama.model)
        elif isinstance(model, engine.Llama):
            llama = model
            if llama.lora_path:
                raise UnsupportedError(
                    f"a Llama with the adapter {llama.lora_path}: merge it first"
                )
        else:
            raise ArgumentTypeError(f"model: a GGUF file or a Llama, not {type(model).__name__}")
        if tokenizer is None:
            tokenizer = Tokenizer.load(llama.model_path)
        self._engine, self._llama = engine, llama
        vocab = engine.llama_model_get_vocab(llama.model)
        ids = int(engine.llama_vocab_n_tokens(vocab))
        check_size(tokenizer, ids)
        self._take(
            tokenizer,
            ids,
            ends=_ends(engine, vocab, ids) if eos_id is None else eos_id,
            begins=_token(engine.llama_vocab_bos(vocab)),
            prefix=prefix,
        )
        self._recurrent = bool(
            engine.llama_model_is_recurrent(llama.model)
            or engine.llama_model_is_hybrid(llama.model)
        )
        self._branches = (
            1 if self._recurrent else min(branches, engine.llama_max_parallel_sequences() - 1)
        )
        self._make_context(positions, batch)
        self._lock = threading.RLock()
        self._read, self._generation = 0, 0
        self._halfway = False

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """Log-probabilities, in nats, of every next id after each context.

        Args:
            contexts: ids from the beginning of a document on; the prefix comes before them.

        Returns:
            An array `[len(contexts), width]`.

        Raises:
            UnknownTokenError: an id that the model lacks.
            ArgumentError: contexts that are no ids; one that is longer, with the prefix, than there
                is room for; an empty one where there is no prefix.
            DataError: llama.cpp fails.
        """
        whole = behind(contexts, self._prefix, width=self._ids, most=self._positions)
        rows = self._outcomes.empty(len(whole))
        with turn(self._lock, "LlamaCppModel"):
            if not self._llama.model:
                raise ArgumentError("the Llama has been closed")
            if self._halfway:
                # Stopped, also by Ctrl-C: the engine may have read more than is known.
                self._forget()
            self._halfway = True
            self._answer(whole, rows)
            self._halfway = False
        return rows

    def clear(self) -> None:
        """Forget what was read: rows are then, to the last bit, those of a model just made.

        The rows that models of bytes remember are forgotten too.
        """
        with turn(self._lock, "LlamaCppModel"):
            # What is kept takes no memory that would be free without it.
            self._halfway = True
            self._generation += 1

    @property
    def generation(self) -> int:
        """How often it was told to forget, so that models of bytes forget as well."""
        return self._generation

    @property
    def tokens_read(self) -> int:
        """How many tokens the engine has read."""
        return self._read

    def _make_context(self, positions: int | None, batch: int) -> None:
        engine, llama = self._engine, self._llama
        params = type(llama.context_params).from_buffer_copy(llama.context_params)
        self._positions = int(params.n_ctx) if positions is None else positions
        params.n_seq_max, params.kv_unified = self._branches + 1, True
        # The engine ends the process where it has more sequences than room for tokens.
        params.n_ctx = max(self._positions, params.n_seq_max)
        params.n_batch = params.n_ubatch = max(min(batch, params.n_ctx), params.n_seq_max)
        # A beginning can only be gone on from where layers with a window keep all of it.
        params.swa_full = True
        params.embeddings = False
        self._context = engine.llama_init_from_model(llama.model, params)
        if not self._context:
            raise LoadError(f"{llama.model_path}: no room for {self._positions} positions")
        weakref.finalize(self, _free, engine, llama, self._context)
        self._batch = int(params.n_batch)
        self._memory = engine.llama_get_memory(self._context)
        self._trunk = self._prefix[:0]

    def _forget(self) -> None:
        self._engine.llama_memory_clear(self._memory, True)
        self._trunk = self._trunk[:0]

    def _answer(self, contexts: list[Context], rows: NDArray[np.float32]) -> None:
        if self._recurrent:
            for at, context in enumerate(contexts):
                self._forget()
                for group in grouped([context], self._trunk, most=1, room=self._batch):
                    self._read_group(group, rows[at : at + 1])
            return
        groups = grouped(contexts, self._trunk, most=self._branches, room=self._batch)
        for group in groups:
            if max(group.shared) + len(group.tokens) <= self._positions:
                self._read_group(group, rows)
                continue
            # Side by side there is no room for them.
            numbers = sorted({number for asked in group.asked for number in asked})
            several = [contexts[number] for number in numbers]
            own = self._outcomes.empty(len(several))
            for single in grouped(several, self._trunk, most=1, room=self._batch):
                self._read_group(single, own)
            rows[numbers] = own

    def _read_group(self, group: Branches, rows: NDArray[np.float32]) -> None:
        engine, memory = self._engine, self._memory
        kept = len(self._trunk)
        if kept + len(group.tokens) > self._positions:
            kept = max(group.shared)
            engine.llama_memory_seq_rm(memory, 0, kept, -1)
        for branch, shared in enumerate(group.shared):
            if shared:
                engine.llama_memory_seq_cp(memory, 0, branch + 1, 0, shared)
        for start in range(0, len(group.tokens), self._batch):
            self._decode(group, range(start, min(start + self._batch, len(group.tokens))), rows)
        last = len(group.ids)
        engine.llama_memory_seq_rm(memory, 0, -1, -1)
        engine.llama_memory_seq_cp(memory, last, 0, -1, -1)
        for branch in range(last):
            engine.llama_memory_seq_rm(memory, branch + 1, -1, -1)
        self._trunk = group.ids[-1]

    def _decode(self, group: Branches, part: range, rows: NDArray[np.float32]) -> None:
        engine = self._engine
        batch = engine.llama_batch_init(len(part), 0, self._branches + 1)
        try:
            batch.n_tokens = len(part)
            for at, new in enumerate(part):
                batch.token[at], batch.pos[at] = group.tokens[new], group.places[new]
                batch.n_seq_id[at] = len(group.owners[new])
                for which, branch in enumerate(group.owners[new]):
                    batch.seq_id[at][which] = branch + 1
                batch.logits[at] = bool(group.asked[new])
            failed = engine.llama_decode(self._context, batch)
        finally:
            engine.llama_batch_free(batch)
        if failed:
            raise DataError(f"llama.cpp: llama_decode returned {failed} for {len(part)} tokens")
        self._read += len(part)
        for at, new in enumerate(part):
            if group.asked[new]:
                logits = engine.llama_get_logits_ith(self._context, at)
                row = np.ctypeslib.as_array(logits, shape=(1, self._ids))
                rows[group.asked[new]] = self._outcomes.rows(row)

    def __repr__(self) -> str:
        return f"<LlamaCppModel of {os.fspath(self._llama.model_path)}, {self._tokenizer!r}>"


def _load(engine: Any, path: Path, gpu_layers: int) -> Any:
    if not path.is_file():
        raise LoadError(f"{path}: no such file; nothing is downloaded")
    try:
        # Its own context is not used.
        return engine.Llama(str(path), n_gpu_layers=gpu_layers, n_ctx=8, n_batch=1, verbose=False)
    except (ValueError, RuntimeError, OSError) as error:
        raise LoadError(f"{path}: no model that llama.cpp can run: {error}") from error


def _free(engine: Any, llama: Any, context: Any) -> None:
    # What was closed with the model is gone.
    if llama.model:
        engine.llama_free(context)


def _ends(engine: Any, vocab: Any, ids: int) -> list[int]:
    """The ids that end a generation, the end of text first."""
    first = _token(engine.llama_vocab_eos(vocab))
    others = [token for token in range(ids) if engine.llama_vocab_is_eog(vocab, token)]
    return list(dict.fromkeys([*first, *others]))


def _token(token: int) -> list[int]:
    return [int(token)] if token != _NO_TOKEN else []
