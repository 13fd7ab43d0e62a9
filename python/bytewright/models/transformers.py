"""Causal language models of the library `transformers`.

Contexts share beginnings: those of one call with each other, those of a call with the last one's.
What the network has read of a beginning, its keys and values, is kept within a budget of memory,
and all that is new in a call is one forward, in which each token sees those before it in its own
context (`prefixes` says how; attention over a tree is from Miao et al. 2024, "SpecInfer"). So the
network reads each token once, however many contexts begin with it.

Whether that is exact depends on the network. It is measured when the model is made, and again as
contexts grow (`reader` says how); a network that cannot do it is asked in plain batches.

How contexts and texts begin and end is said in `engine`.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bytewright.definition import SPECIAL
from bytewright.errors import (
    ArgumentError,
    ArgumentTypeError,
    BytewrightError,
    LoadError,
    UnsupportedError,
)
from bytewright.models.contexts import behind
from bytewright.models.engine import EngineModel, check_ids, first_line, named
from bytewright.models.extras import library
from bytewright.models.floats import TENSORS
from bytewright.models.network import Network
from bytewright.models.protocol import check_tokenizer
from bytewright.models.reader import Reader
from bytewright.sizes import byte_size, whole
from bytewright.tokenizer import Tokenizer
from bytewright.turns import turn

__all__ = ["TransformersModel"]


class TransformersModel(EngineModel):
    """A causal language model of `transformers` (`pip install 'bytewright[torch]'`).

    Threads may share it; they take turns.

    >>> import bytewright as bw
    >>> model = bw.TransformersModel("path/to/model")  # doctest: +SKIP
    >>> bw.ByteModel(model).sample("Once upon a ti", max_bytes=2)  # doctest: +SKIP
    b'me'
    """

    def __init__(
        self,
        model: Any,
        *,
        tokenizer: Tokenizer | None = None,
        device: Any = None,
        dtype: Any = None,
        eos_id: int | Sequence[int] | None = None,
        prefix: Sequence[int] | None = None,
        memory: int | str = "1GB",
        batch: int = 512,
    ) -> None:
        """Take a model, or load one from a folder. Nothing is downloaded, and no code of it is run.

        Args:
            model: a causal language model of `transformers`, or the folder that one was saved to.
                A model that is given is put into evaluation mode, and must be in it when it is
                asked.
            tokenizer: whose ids the model knows; that of the folder unless given.
            device: where the model runs; unless given, a folder's on the first GPU if there is one,
                and a model that is given where it is.
            dtype: the type of the weights, such as `"bfloat16"`; as they are unless given.
            eos_id: the ids that end a text, none for no end; unless given, those of the model's
                configuration of generation, or else of the model.
            prefix: ids in front of every context; unless given, the beginning of text by the same
                configurations, or else the first end of text.
            memory: bytes of keys and values that are kept between calls; a call that reads more
                takes more while it runs.
            batch: tokens that one forward reads at most.

        Raises:
            MissingExtraError: `torch` or `transformers` is not installed.
            LoadError: the folder has no model, not all weights of one, or no tokenizer.
            UnsupportedError: not a causal language model, or one that fails on plain ids.
            ArgumentError: ids that the network lacks; a tokenizer with ordinary tokens that it
                lacks; no tokenizer; no prefix; a device that is not there, or that the model does
                not go to.
        """
        torch = library("torch", extra="torch")
        library("transformers", extra="torch")
        if tokenizer is not None:
            check_tokenizer(tokenizer)
        batch, budget = whole(batch, "batch", least=1), byte_size(memory, "memory")
        dtype, device = _dtype(torch, dtype), _device(torch, device)
        check_ids(eos_id, prefix)
        if isinstance(model, str | os.PathLike):
            folder = Path(model)
            if device is None:
                device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            _check_folder(folder)
            # What fails in no time comes first.
            tokenizer = tokenizer or Tokenizer.load(folder)
            model = _load(folder, dtype)
        _check_model(model)
        if tokenizer is None:
            raise ArgumentError("tokenizer= is missing: a model that is given brings none")
        if device is not None or dtype is not None:
            _move(model, device, dtype)
        model.eval()
        self._torch, self._model = torch, model
        self._memory, self._batch = budget, batch
        self._take(
            tokenizer,
            int(model.get_input_embeddings().weight.shape[0]),
            ends=_ids(model, "eos_token_id") if eos_id is None else eos_id,
            begins=_ids(model, "bos_token_id"),
            prefix=prefix,
            double=model.dtype == torch.float64,
        )
        ordinary = self._ordinary()
        self._most = _positions(model)
        self._network = Network(model, batch)
        self._lock = threading.RLock()
        with turn(self._lock, "TransformersModel"), torch.inference_mode():
            self._reader = self._tried(budget, ordinary)
        self._before = self._network.read
        self._generation = 0

    def logprobs(
        self, contexts: Sequence[NDArray[np.int32]]
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Log-probabilities, in nats, of every next id after each context.

        Args:
            contexts: ids from the beginning of a document on; the prefix comes before them.

        Returns:
            An array `[len(contexts), width]`, of float64 where the model computes in float64 and of
            float32 otherwise. Ids that the network lacks are minus infinity.

        Raises:
            UnknownTokenError: an id that the network lacks.
            ArgumentError: contexts that are no ids; one that is longer, with the prefix, than the
                positions that the network has; an empty one where there is no prefix; a network in
                training mode, in which rows are drawn by chance.
        """
        self._check_mode()
        whole = behind(contexts, self._prefix, width=self._ids, most=self._most)
        if not whole:
            return self._outcomes.empty(0)
        with turn(self._lock, "TransformersModel"), self._torch.inference_mode():
            return self._reader.rows(whole)

    def __reduce__(self) -> tuple[functools.partial[Self], tuple[()]]:
        # What was read is read again.
        made = functools.partial(
            type(self),
            self._model,
            tokenizer=self._tokenizer,
            eos_id=self._outcomes.ends,
            prefix=self._prefix.tolist(),
            memory=self._memory,
            batch=self._batch,
        )
        return made, ()

    @property
    def contexts_at_once(self) -> int | None:
        """How many contexts are better asked for together; a GPU reads many as fast as few."""
        return None if self._network.device.type == "cpu" else 256

    @property
    def generation(self) -> int:
        """How often it was told to forget, so that models of bytes forget as well.

        Raises:
            ArgumentError: the network is in training mode.
        """
        # Rows that are remembered are of other weights, for all that is known.
        self._check_mode()
        return self._generation

    @property
    def model(self) -> Any:
        """The model of `transformers`."""
        return self._model

    @property
    def way(self) -> str:
        """How the network is asked: `packed`, or `together` or `alone` and why."""
        return self._reader.way

    @property
    def tokens_read(self) -> int:
        """How many tokens the network has read since the model was made."""
        return self._network.read - self._before

    @property
    def tokens_kept(self) -> int:
        """How many tokens' keys and values are kept."""
        return self._reader.kept

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values that are kept."""
        return self._reader.kept_bytes

    def clear(self) -> None:
        """Forget what was read, as must be done after the weights have changed.

        Rows are then those of a model that was just made, to the last bit, and the rows that models
        of bytes remember are forgotten too. States that were made before hold rows of before: make
        new ones.
        """
        with turn(self._lock, "TransformersModel"):
            self._reader.clear()
            self._generation += 1

    def _tried(self, budget: int, ids: NDArray[np.int32]) -> Reader:
        try:
            return Reader(
                self._network,
                self._outcomes,
                budget,
                prefix=self._prefix,
                ids=ids,
                most=self._most,
            )
        except BytewrightError:
            raise
        # Networks fail in their own ways.
        except Exception as error:
            if "OutOfMemory" in type(error).__name__:
                raise
            raise UnsupportedError(
                f"{type(self._model).__name__} answers no plain forward of ids: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error

    def _check_mode(self) -> None:
        # It is not put into evaluation mode here: a training that goes on would do so without its
        # dropout.
        if getattr(self._model, "training", False):
            raise ArgumentError(
                "the network is in training mode: call its eval(), and clear() of this model where "
                "weights have changed"
            )

    def _ordinary(self) -> NDArray[np.int32]:
        """Ids of ordinary tokens, to try the network with."""
        kinds = self._tokenizer.definition.kinds
        ordinary = [at for at, kind in enumerate(kinds) if kind and not kind & SPECIAL]
        if not ordinary:
            raise ArgumentError("tokenizer: it has no token of text")
        if ordinary[-1] >= self._ids:
            raise ArgumentError(
                f"tokenizer: its token {ordinary[-1]} is outside the {self._ids} ids of the "
                f"model, which is that of another tokenizer"
            )
        chance = np.random.default_rng(0)
        return chance.choice(np.array(ordinary, np.int32), 24, replace=len(ordinary) < 24)

    def __repr__(self) -> str:
        return (
            f"<TransformersModel of {type(self._model).__name__}, {self.way}, {self._tokenizer!r}>"
        )


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise LoadError(f"{folder}: no such folder; nothing is downloaded")
    if not (folder / "config.json").is_file():
        raise LoadError(f"{folder}: no model of transformers: there is no config.json")


def _load(folder: Path, dtype: Any) -> Any:
    transformers = library("transformers", extra="torch")
    try:
        with _quiet(transformers):
            model, found = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype="auto" if dtype is None else dtype,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    # What is wrong with a folder comes as any exception, of many libraries.
    except Exception as error:
        raise LoadError(f"{folder}: no causal language model: {first_line(error)}") from error
    _check_whole(folder, found)
    return model


def _check_whole(folder: Path, found: dict[str, Any]) -> None:
    """Raise if weights are not those of the folder but random numbers."""
    # Of one in another shape there is its name and both shapes.
    others = [one if isinstance(one, str) else one[0] for one in found.get("mismatched_keys", ())]
    for what, names in (("lacks", found.get("missing_keys", ())), ("has in other shapes", others)):
        if names:
            first = ", ".join(sorted(names)[:3])
            raise LoadError(
                f"{folder}: no whole causal language model: it {what} {len(names)} of the weights "
                f"that its config.json asks for, such as {first}"
            )


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without bars of progress on the terminal."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _check_model(model: Any) -> None:
    config = getattr(model, "config", None)
    if config is None or not hasattr(model, "get_input_embeddings"):
        raise ArgumentTypeError(
            f"model: a folder or a model of transformers, not {type(model).__name__}"
        )
    kind = type(model).__name__
    if getattr(config, "is_encoder_decoder", False):
        raise UnsupportedError(f"{kind} reads with an encoder: no causal language model")
    if model.get_output_embeddings() is None:
        raise UnsupportedError(f"{kind} says nothing about the next token: no language model")


def _dtype(torch: Any, dtype: Any) -> Any:
    found = vars(torch).get(dtype) if isinstance(dtype, str) else dtype
    if dtype is not None and not (isinstance(found, torch.dtype) and str(found) in TENSORS):
        raise ArgumentError(
            f"dtype={dtype!r:.100}: a type such as 'float32' or 'bfloat16' is allowed"
        )
    return found


def _device(torch: Any, device: Any) -> Any:
    """A device that is there."""
    if device is None:
        return None
    try:
        found = torch.empty(0, device=torch.device(device)).device
    # What is wrong with a name, or with a driver, comes as any exception.
    except Exception as error:
        raise ArgumentError(f"device={device!r:.100}: {first_line(error)}") from error
    if found.type == "meta":
        raise ArgumentError("device='meta': there are no numbers on it")
    return found


def _move(model: Any, device: Any, dtype: Any) -> None:
    try:
        model.to(device=device, dtype=dtype)
    except Exception as error:
        # There may be no room, or a model stays where and as it is, as quantised ones do.
        raise ArgumentError(
            f"{type(model).__name__} does not go to device={device}, dtype={dtype}: "
            f"{first_line(error)}"
        ) from error


def _ids(model: Any, name: str) -> list[int]:
    """The ids that the configurations of a model name, that of generation first."""
    generation = getattr(model, "generation_config", None)
    configs = (generation, model.config.get_text_config(decoder=True))
    return named(*(getattr(config, name, None) for config in configs))


def _positions(model: Any) -> int | None:
    """How many positions a network has; None where there is no end of them."""
    config = model.config.get_text_config(decoder=True)
    # The second is what MPT calls it.
    named = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    return next((most for most in named if isinstance(most, int) and most > 0), None)
