"""A network of `transformers`, asked for logits in three ways that must agree.

- *alone*: one forward a context, as the definition has it.
- *together*: contexts as rows of one forward, filled up behind their ends, where a causal network
  does not look. A context that another begins with is read off that one's row. Keeps nothing.
- *packed*: the queries of a `PrefixTree` as one row, with a mask of four dimensions that shows each
  query the tokens before it, and places that count from the beginning of its context.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright.models.extras import library
from bytewright.models.keys import KeyStore
from bytewright.models.prefixes import Chunk, common

__all__ = ["Network"]

Context = NDArray[np.int32]

_FULL: Final = "full_attention"
_SLIDING: Final = "sliding_attention"


class Network:
    """A causal language model of `transformers`, on the device where it is."""

    def __init__(self, model: Any, most: int) -> None:
        self._torch = library("torch", extra="torch")
        self.model, self.most = model, most
        self.config = model.config.get_text_config(decoder=True)
        self.device = model.get_input_embeddings().weight.device
        accepted = inspect.signature(model.forward).parameters
        self._accepted = frozenset(accepted)
        self._accepts_all = any(one.kind is one.VAR_KEYWORD for one in accepted.values())
        # Networks of one's own may take only how many of the last places are kept.
        keeps = accepted.get("logits_to_keep")
        self._keeps_places = keeps is not None and keeps.annotation not in (int, "int")
        self.read = 0

    @property
    def eps(self) -> float:
        """The relative precision of the network's numbers."""
        return float(self._torch.finfo(self.model.dtype).eps)

    @property
    def attention(self) -> str:
        """How attention is computed: `sdpa` and `eager` take masks of four dimensions."""
        return str(getattr(self.config, "_attn_implementation", None))

    @property
    def layer_types(self) -> list[str]:
        """What each layer attends to."""
        types = getattr(self.config, "layer_types", None)
        if types is None:
            kind = _SLIDING if self._window is not None else _FULL
            types = [kind] * int(self.config.num_hidden_layers)
        return list(types)

    @property
    def _window(self) -> int | None:
        window = getattr(self.config, "sliding_window", None)
        return window if isinstance(window, int) and window > 0 else None

    def unpackable(self) -> str | None:
        """Why contexts cannot be packed, where the configuration says so."""
        if self.attention not in ("sdpa", "eager"):
            return f"attention {self.attention!r} takes no mask of four dimensions"
        if getattr(self.model, "_is_stateful", False):
            return "the network keeps a state, not keys and values"
        others = sorted(set(self.layer_types) - {_FULL, _SLIDING})
        if others:
            return f"layers of the type {others[0]!r}"
        if _SLIDING in self.layer_types and self._window is None:
            return "sliding layers without a window"
        return None

    def alone(self, contexts: Sequence[Context]) -> list[Any]:
        """Logits `[columns]` behind each context."""
        return [self._rows([context], [[len(context) - 1]])[0][0] for context in contexts]

    def together(self, contexts: Sequence[Context]) -> list[Any]:
        """The same, several contexts at a time."""
        order = sorted(range(len(contexts)), key=lambda at: contexts[at].tobytes())
        # Each context with those that it begins with: in this order they come right before it.
        groups: list[list[int]] = []
        for at in reversed(order):
            if groups and common(contexts[groups[-1][0]], contexts[at]) == len(contexts[at]):
                groups[-1].append(at)
            else:
                groups.append([at])
        groups.sort(key=lambda group: len(contexts[group[0]]))
        found: list[Any] = [None] * len(contexts)
        while groups:
            batch = [groups.pop()]
            room = self.most // len(contexts[batch[0][0]])
            while groups and len(batch) < room:
                batch.append(groups.pop())
            places = [[len(contexts[at]) - 1 for at in group] for group in batch]
            rows = self._rows([contexts[group[0]] for group in batch], places)
            for group, logits in zip(batch, rows, strict=True):
                for at, row in zip(group, logits, strict=True):
                    found[at] = row
        return found

    def _rows(self, contexts: Sequence[Context], places: Sequence[Sequence[int]]) -> list[Any]:
        """Logits at some places of each context, the longest of which is the first."""
        torch = self._torch
        ids = np.zeros((len(contexts), len(contexts[0])), np.int64)
        for row, context in zip(ids, contexts, strict=True):
            row[: len(context)] = context
        wanted = np.unique(np.concatenate([np.array(some) for some in places]))
        said = {
            "attention_mask": torch.ones(ids.shape, dtype=torch.long, device=self.device),
            "use_cache": False,
        }
        # What a network takes by itself alone has these for its own.
        said = {name: said[name] for name in said if self._accepts_all or name in self._accepted}
        logits = self._forward(wanted, input_ids=torch.from_numpy(ids).to(self.device), **said)
        columns = [torch.from_numpy(np.searchsorted(wanted, some)) for some in places]
        return [row[some.to(row.device)] for row, some in zip(logits, columns, strict=True)]

    def packed(self, chunk: Chunk, store: KeyStore, slots: int) -> Any:
        """Logits `[asked, columns]` of the queries that are asked for."""
        torch = self._torch
        wanted = chunk.asked if len(chunk.asked) else np.zeros(1, np.int64)
        logits = self._forward(
            wanted,
            input_ids=torch.from_numpy(chunk.tokens)[None].to(self.device),
            position_ids=torch.from_numpy(chunk.places)[None].to(self.device),
            attention_mask=self._masks(chunk),
            past_key_values=store.cache(chunk, slots, len(self.layer_types)),
            use_cache=True,
        )
        return logits[0, : len(chunk.asked)]

    def _masks(self, chunk: Chunk) -> Any:
        kinds = set(self.layer_types)
        masks = {kind: self._mask(chunk, kind) for kind in kinds}
        return masks if len(kinds) > 1 else masks[kinds.pop()]

    def _mask(self, chunk: Chunk, kind: str) -> Any:
        torch, seen = self._torch, chunk.mask
        if kind == _SLIDING and self._window is not None:
            places = np.concatenate([chunk.past_places, chunk.places])
            seen = seen & (chunk.places[:, None] - places[None, :] < self._window)
        mask = torch.from_numpy(seen)[None, None].to(self.device)
        if self.attention == "sdpa":
            return mask
        dtype = self.model.dtype
        nothing = torch.zeros((), dtype=dtype, device=self.device)
        return torch.where(mask, nothing, torch.finfo(dtype).min)

    def _forward(self, wanted: NDArray[np.int64], **arguments: Any) -> Any:
        """Logits `[rows, wanted, columns]` at these places of each row."""
        places = self._torch.from_numpy(wanted).to(self.device)
        if self._keeps_places:
            logits = self.model(**arguments, logits_to_keep=places).logits
        else:
            logits = self.model(**arguments).logits
            logits = logits[:, places.to(logits.device)]
        self.read += arguments["input_ids"].numel()
        return logits
