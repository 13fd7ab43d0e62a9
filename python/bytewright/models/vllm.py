"""Models served by vLLM in this process.

vLLM gives the log-probabilities of a whole vocabulary for one token that it draws, if its engine
lets it: `max_logprobs=-1`, and `logprobs_mode` left at `raw_logprobs` (or `raw_logits`), so that
neither temperatures nor masks have been at them. An engine that would give fewer, or others, is
refused when the model is made, and a row that is not whole when it comes. Contexts of a call are
one batch, and what they share with each other and with earlier ones is found by the engine itself
(`enable_prefix_caching`).

Rows are as exact as the engine, whose sums depend in their last digits on what is computed side by
side. A probability costs it a sorted vocabulary, so that rows, not tokens, are what takes time.
"""

from __future__ import annotations

import os
import threading
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
from bytewright.models.engine import EngineModel, check_ids, check_size, first_line, named
from bytewright.models.extras import library
from bytewright.models.protocol import check_tokenizer
from bytewright.tokenizer import Tokenizer
from bytewright.turns import turn

__all__ = ["VllmModel"]

_RAW: Final = ("raw_logprobs", "raw_logits")


class VllmModel(EngineModel):
    """A model of vLLM (`pip install 'bytewright[vllm]'`).

    Threads may share it; they take turns.

    >>> import bytewright as bw
    >>> model = bw.VllmModel("path/to/model")  # doctest: +SKIP
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
    ) -> None:
        """Take a `vllm.LLM`, or make one of a folder.

        Args:
            model: an `LLM` made with `max_logprobs=-1`, or the folder of a model.
            tokenizer: whose ids the model knows; that of the folder unless given.
            eos_id: the ids that end a text, none for no end; unless given, those of the model's
                configuration of generation, or else of the model. Several are one outcome, that of
                the first.
            prefix: ids in front of every context; unless given, the beginning of text by the same
                configurations, or else the first end of text.

        Raises:
            MissingExtraError: `vllm` is not installed.
            LoadError: the folder has no model.
            UnsupportedError: an engine that gives other rows than those of the whole model.
            ArgumentError: ids that the model lacks; no tokenizer; one of another size.
        """
        engine = library("vllm", extra="vllm")
        if tokenizer is not None:
            check_tokenizer(tokenizer)
        check_ids(eos_id, prefix)
        if isinstance(model, str | os.PathLike):
            folder = Path(model)
            _check_folder(folder)
            # What fails in no time comes first.
            tokenizer = tokenizer or Tokenizer.load(folder)
            model = _load(engine, folder)
        elif not isinstance(model, engine.LLM):
            raise ArgumentTypeError(f"model: a folder or an LLM, not {type(model).__name__}")
        if tokenizer is None:
            raise ArgumentError("tokenizer= is missing: an LLM that is given brings none")
        config = model.llm_engine.model_config
        ids = int(config.get_vocab_size())
        _check(config, ids)
        check_size(tokenizer, ids)
        self._take(
            tokenizer,
            ids,
            ends=_named(config, "eos") if eos_id is None else eos_id,
            begins=_named(config, "bos"),
            prefix=prefix,
        )
        self._model = model
        # One position is that of the token drawn.
        self._most = int(config.max_model_len) - 1
        self._asking = _asking(engine)
        self._generation = 0
        self._lock = threading.RLock()

    def logprobs(self, contexts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """Log-probabilities, in nats, of every next id after each context.

        Args:
            contexts: ids from the beginning of a document on; the prefix comes before them.

        Returns:
            An array `[len(contexts), width]`.

        Raises:
            UnknownTokenError: an id that the model lacks.
            ArgumentError: contexts that are no ids; one that is longer, with the prefix, than the
                model reads; an empty one where there is no prefix.
            DataError: the engine gives no row, one that is not whole, or that of another context.
        """
        whole = behind(contexts, self._prefix, width=self._ids, most=self._most)
        rows = self._outcomes.empty(len(whole))
        if not whole:
            return rows
        # The same context twice is one request.
        places: dict[bytes, list[int]] = {}
        for at, ids in enumerate(whole):
            places.setdefault(ids.tobytes(), []).append(at)
        asked = [{"prompt_token_ids": whole[some[0]].tolist()} for some in places.values()]
        with turn(self._lock, "VllmModel"):
            answers = self._model.generate(asked, self._asking, use_tqdm=False)
        if len(answers) != len(asked):
            raise DataError(f"vLLM: {len(answers)} answers to {len(asked)} contexts")
        for some, prompt, answer in zip(places.values(), asked, answers, strict=True):
            told = answer.prompt_token_ids
            # What an interrupted call has left in the engine is answered with the next one.
            if told is not None and list(told) != prompt["prompt_token_ids"]:
                raise DataError("vLLM: an answer to another context than the one in its place")
            rows[some] = self._outcomes.rows(self._row(answer)[None])
        return rows

    def _row(self, answer: Any) -> NDArray[np.float32]:
        found = answer.outputs[0].logprobs if answer.outputs else None
        if not found:
            raise DataError("vLLM: an answer without log-probabilities")
        if not hasattr(found, "start_indices"):
            raise DataError(f"vLLM: log-probabilities in a {type(found).__name__}, not flat ones")
        part = slice(found.start_indices[0], found.end_indices[0])
        row, ids = np.full(self._ids, np.nan, np.float32), np.asarray(found.token_ids[part])
        if len(ids) and not 0 <= ids.min() <= ids.max() < self._ids:
            raise DataError(f"vLLM: a row with ids from {ids.min()} to {ids.max()} of {self._ids}")
        row[ids] = found.logprobs[part]
        missing = int(np.isnan(row).sum())
        if missing:
            raise DataError(f"vLLM: a row without {missing} of {self._ids} ids")
        return row

    def clear(self) -> None:
        """Have the engine forget what it has read, as must be done after weights have changed.

        The rows that models of bytes remember are forgotten too.
        """
        with turn(self._lock, "VllmModel"):
            self._model.reset_prefix_cache()
            self._generation += 1

    @property
    def generation(self) -> int:
        """How often it was told to forget, so that models of bytes forget as well."""
        return self._generation

    @property
    def model(self) -> Any:
        """The `vllm.LLM`."""
        return self._model

    def __repr__(self) -> str:
        return f"<VllmModel of {self._model.llm_engine.model_config.model}, {self._tokenizer!r}>"


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise LoadError(f"{folder}: no folder of a model; nothing is downloaded")


def _load(engine: Any, folder: Path) -> Any:
    try:
        return engine.LLM(
            model=str(folder),
            max_logprobs=-1,
            logprobs_mode="raw_logprobs",
            enable_prefix_caching=True,
            disable_log_stats=True,
        )
    # What is wrong comes as any exception, of many libraries.
    except Exception as error:
        raise LoadError(f"{folder}: vLLM does not run it: {first_line(error)}") from error


def _asking(engine: Any) -> Any:
    try:
        return engine.SamplingParams(
            max_tokens=1, temperature=0.0, logprobs=-1, flat_logprobs=True, detokenize=False
        )
    # Versions before it was there take no such argument, or no -1.
    except (TypeError, ValueError) as error:
        raise UnsupportedError(
            f"this version of vLLM gives no flat log-probabilities of whole vocabularies: "
            f"{first_line(error)}"
        ) from error


def _check(config: Any, ids: int) -> None:
    """That rows are whole and raw."""
    if config.max_logprobs != -1 and config.max_logprobs < ids:
        raise UnsupportedError(
            f"the LLM gives at most {config.max_logprobs} log-probabilities of {ids}: make it with "
            "max_logprobs=-1"
        )
    mode = getattr(config, "logprobs_mode", None)
    if mode is None:
        raise UnsupportedError("this version of vLLM does not say what log-probabilities it gives")
    if mode not in _RAW:
        raise UnsupportedError(f"the LLM gives {mode}: make it with logprobs_mode='raw_logprobs'")


def _named(config: Any, which: str) -> list[int]:
    """The ids that the configurations name, that of generation first."""
    name = f"{which}_token_id"
    generation = config.try_get_generation_config() or {}
    return named(generation.get(name), getattr(config.hf_text_config, name, None))
