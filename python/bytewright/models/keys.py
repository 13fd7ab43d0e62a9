"""Keys and values of a transformer by slot: what it keeps of the tokens it has read.

A layer's keys are one tensor `[slots, heads, width]`, its values another, of the shapes and types
that the layer first gives. A forward gets a cache whose layers look up the slots that it looks back
at, write the new tokens into theirs, and keep nothing else.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bytewright.models.extras import library
from bytewright.models.prefixes import Chunk

__all__ = ["KeyStore"]


class KeyStore:
    """Keys and values of the nodes of a `PrefixTree`."""

    def __init__(self, device: Any) -> None:
        self._torch = library("torch", extra="torch")
        self._device = device
        self._layers: dict[int, list[Any]] = {}
        self._slots = 0

    @property
    def layers(self) -> int:
        """How many layers have given keys so far."""
        return len(self._layers)

    @property
    def slot_bytes(self) -> int:
        """Bytes that a slot takes in all layers."""
        tensors = (tensor for pair in self._layers.values() for tensor in pair)
        return sum(tensor[:1].numel() * tensor.element_size() for tensor in tensors)

    @property
    def nbytes(self) -> int:
        """Bytes of all slots."""
        tensors = (tensor for pair in self._layers.values() for tensor in pair)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def clear(self) -> None:
        """Let go of everything."""
        self._layers.clear()
        self._slots = 0

    def cache(self, chunk: Chunk, slots: int, layers: int) -> Any:
        """A cache for one forward, which must be done before another is asked for.

        Args:
            chunk: what is read.
            slots: slots that there must be.
            layers: layers of the network.
        """
        cache_utils = library("transformers.cache_utils", extra="torch")
        if slots > self._slots:
            self._grow(slots)
        past, new = self._index(chunk.past), self._index(chunk.slots)
        cache = cache_utils.DynamicCache()
        cache.layers = [cache_utils.DynamicLayer() for _ in range(layers)]
        # A layer that nobody counted would look back at nothing.
        cache.layer_class_to_replicate = None
        for number, layer in enumerate(cache.layers):
            layer.update = partial(self._update, number, past, new)
            layer.get_seq_length = partial(len, chunk.past)
        return cache

    def keep(self, slots: NDArray[np.int64]) -> None:
        """Move these slots to the front and let go of the others."""
        index = self._index(slots)
        for pair in self._layers.values():
            pair[:] = [self._look_up(tensor, index) for tensor in pair]
        self._slots = len(slots)

    def _index(self, slots: NDArray[np.int64]) -> Any:
        return self._torch.from_numpy(slots).to(self._device)

    def _grow(self, slots: int) -> None:
        for pair in self._layers.values():
            pair[:] = [self._longer(tensor, slots) for tensor in pair]
        self._slots = slots

    def _longer(self, tensor: Any, slots: int) -> Any:
        longer = tensor.new_empty((slots, *tensor.shape[1:]))
        longer[: len(tensor)] = tensor
        return longer

    @staticmethod
    def _look_up(tensor: Any, index: Any) -> Any:
        return tensor.index_select(0, index.to(tensor.device))

    def _update(
        self, number: int, past: Any, new: Any, keys: Any, values: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """What a layer's attention sees: `[1, heads, n, width]` of new ones in, all out."""
        given = [tensor[0].transpose(0, 1) for tensor in (keys, values)]
        if number not in self._layers:
            self._layers[number] = [
                tensor.new_empty((self._slots, *tensor.shape[1:])) for tensor in given
            ]
        seen = []
        for held, tensor in zip(self._layers[number], given, strict=True):
            held[new.to(held.device)] = tensor[: len(new)]
            both = self._torch.cat([self._look_up(held, past), tensor])
            seen.append(both.transpose(0, 1)[None])
        return seen[0], seen[1]
