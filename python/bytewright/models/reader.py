"""Which way a network of `transformers` is asked, and that the way is exact.

The packed way is the fastest and asks most of a network: masks and places of its own, and keys that
depend on nothing but the tokens before. Recurrent networks, linear biases of attention, positions
that stretch with the text and windows by other rules break it. No list of names can be complete,
so each way is compared with plain forwards, one context each:

- when the model is made, on a few random contexts that share beginnings, fork, and follow on what
  an earlier call has left;
- again whenever a context is longer than any that was compared, or more tokens lie beside each
  other, other than in one line, than in any call that was: beyond 64, 128, 256 and so on, and
  beyond every window that the configuration names. The one says nothing of the other: some
  networks count how many tokens a text goes back, some how many columns.

Rows may differ by rounding alone. What is too much is measured on the model itself: a share of what
another beginning of the same length changes, the precision of its numbers, and three times what
merely reading contexts side by side does. A way that fails, in numbers or with an exception, is
given up for the next: packed, together, alone. A network whose rows depend on what comes later is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bytewright.errors import UnsupportedError
from bytewright.models.engine import first_line
from bytewright.models.keys import KeyStore
from bytewright.models.network import Network
from bytewright.models.outcomes import Outcomes
from bytewright.models.prefixes import PrefixTree

__all__ = ["Reader"]

Context = NDArray[np.int32]

# What rounding may change, as a share of what another context changes.
_SHARES: Final = {"float64": 1e-7, "float32": 1e-3}
_HALF_SHARE: Final = 0.05
_LATER_SHARE: Final = 0.3
_FIRST: Final = 64
_STRETCHING: Final = ("dynamic", "longrope")
_ORIGINAL: Final = "original_max_position_embeddings"
_LIMITS: Final = ("window", "chunk", "local", "original_max")
_PROBE_SLOTS: Final = 64


class Reader:
    """Rows of a network for contexts, with what it has read kept."""

    def __init__(
        self,
        network: Network,
        outcomes: Outcomes,
        budget: int,
        *,
        prefix: Context,
        ids: Context,
        most: int | None,
    ) -> None:
        """Try the ways on the network.

        Args:
            network: who is asked.
            outcomes: makes rows of logits.
            budget: bytes of keys and values to keep.
            prefix: ids that contexts begin with.
            ids: ids to try the network with.
            most: tokens that it can read; None where there is no end of them.
        """
        self._most = most
        self._network, self._outcomes = network, outcomes
        self._store = KeyStore(network.device)
        self._tree = PrefixTree(_PROBE_SLOTS)
        # Whether each node of the tree has its keys.
        self._whole = True
        self._why: str | None = None
        self._batched = True
        # The longest context, and the most tokens beside each other, that need no comparison.
        self._deep, self._wide = 0, 0
        self._tolerance = 0.0
        self._alone_beyond = _stretching(network.config)
        self._horizons = _windows(network.config)
        self._try(prefix, ids)
        self._found = self._why, self._batched, self._deep, self._wide
        capacity = budget // self._store.slot_bytes if self._store.layers else 0
        self._store.clear()
        self._tree = PrefixTree(int(capacity))

    @property
    def way(self) -> str:
        """Which way contexts are asked for, and why."""
        if self._why is None:
            return "packed"
        return f"{'together' if self._batched else 'alone'}: {self._why}"

    @property
    def kept(self) -> int:
        """How many tokens are kept."""
        return len(self._tree)

    @property
    def kept_bytes(self) -> int:
        """What they take."""
        return self._store.nbytes

    def clear(self) -> None:
        """Forget what was read, and what was found out since the ways were tried."""
        self._forget()
        self._why, self._batched, self._deep, self._wide = self._found

    def _forget(self) -> None:
        self._tree.clear()
        self._store.clear()
        self._whole = True

    def rows(self, contexts: Sequence[Context]) -> NDArray[Any]:
        """A row for each of some contexts, none of which is empty."""
        longest = max(map(len, contexts))
        if self._alone_beyond is not None and longest > self._alone_beyond:
            return self._plain(contexts, self._network.alone)
        if self._why is None:
            try:
                rows, wide, few = self._packed(contexts)
            # As one with a table of so many columns does, where more lie beside each other.
            except Exception as error:
                if "OutOfMemory" in type(error).__name__:
                    raise
                self._give_up(_told(error))
            else:
                if self._holds(contexts, rows, wide, few):
                    return rows
                self._give_up(f"rows differ where {max(longest, wide)} tokens are looked at")
        if self._batched:
            rows = self._plain(contexts, self._network.together)
            if self._holds(contexts, rows, 0, set()):
                return rows
            self._batched = False
        return self._plain(contexts, self._network.alone)

    def _plain(
        self, contexts: Sequence[Context], way: Callable[[Sequence[Context]], list[Any]]
    ) -> NDArray[Any]:
        rows = self._outcomes.empty(len(contexts))
        for row, logits in zip(rows, way(contexts), strict=True):
            row[:] = self._outcomes.rows(logits[None])[0]
        return rows

    def _packed(self, contexts: Sequence[Context]) -> tuple[NDArray[Any], int, set[int]]:
        """Rows, the most tokens beside each other, and contexts that lie far apart among them."""
        if not self._whole:
            # Stopped while it forgot.
            self._forget()
        self._whole = False
        try:
            plan = self._tree.plan(contexts, most=self._network.most)
            rows, wide = self._outcomes.empty(0), 0
            few = {int(plan.at.argmax())}
            for chunk in plan.chunks():
                logits = self._network.packed(chunk, self._store, self._tree.room)
                if chunk.width > wide and not chunk.is_line:
                    wide = chunk.width
                    if wide > self._wide and len(chunk.asked):
                        few.add(chunk.farthest())
                some = self._outcomes.rows(logits)
                if len(some) == len(contexts):
                    rows = some
                elif len(some):
                    rows = rows if len(rows) else self._outcomes.empty(len(contexts))
                    rows[chunk.contexts] = some
            plan.close()
            moved = self._tree.trim()
            if moved is not None:
                self._store.keep(moved)
        except BaseException:
            # Stopped halfway, also by Ctrl-C: what is kept may not be what the tree says.
            self._forget()
            raise
        self._whole = True
        return rows, wide, few

    def _holds(
        self, contexts: Sequence[Context], rows: NDArray[Any], wide: int, few: set[int]
    ) -> bool:
        """Whether rows are those of plain forwards, looked at where none like them were yet."""
        longest = max(range(len(contexts)), key=lambda at: len(contexts[at]))
        deep = len(contexts[longest])
        if deep <= self._deep and wide <= self._wide:
            return True
        for at in sorted({longest, *few}):
            plain = self._plain([contexts[at]], self._network.alone)
            if not _distance(rows[at], plain[0]) <= self._tolerance:
                return False
        self._deep = max(self._deep, self._further(deep))
        if wide > self._wide:
            self._wide = self._further(wide)
        return True

    def _further(self, number: int) -> int:
        """The number of tokens up to which a comparison at this one is enough."""
        further = _FIRST
        while further < number:
            further *= 2
        return min([further, *(to for to in self._horizons if to >= number)])

    def _give_up(self, why: str) -> None:
        self._why, self._deep = why, 0
        self._forget()

    def _try(self, prefix: Context, ids: Context) -> None:
        contexts = _probes(prefix[:4], ids, self._most)
        plain = self._plain(contexts, self._network.alone)
        changed = _change(plain[0], plain[1])
        share = _SHARES.get(str(self._network.model.dtype).removeprefix("torch."))
        allowed = (share or _HALF_SHARE) * changed + _rounding(plain, self._network.eps)
        # Forwards that differ in their last tokens alone compute what is before them alike.
        pairs = [[contexts[whole], contexts[2]] for whole in (0, 4)]
        begins = [self._plain(pair, self._network.together)[1] for pair in pairs]
        later = _distance(begins[0], begins[1])
        if later > (allowed if share else _LATER_SHARE * changed):
            raise UnsupportedError(
                f"{type(self._network.model).__name__}: what it says behind a token changes with "
                f"the tokens after it (by {later:.3g} nats): no causal language model"
            )
        noise = _distance(self._plain(contexts, self._network.together), plain)
        self._batched = noise <= allowed
        self._tolerance = max(allowed, 3 * noise if self._batched else 0.0)
        self._why = self._network.unpackable() or self._try_packed(contexts, plain)
        self._deep = self._further(max(map(len, contexts)))

    def _try_packed(self, contexts: list[Context], plain: NDArray[Any]) -> str | None:
        """Why packing does not work."""
        try:
            first, _, _ = self._packed(contexts[2:3])
            rows, wide, _ = self._packed(contexts)
        # Networks fail in their own ways on a cache and masks that they do not expect.
        except Exception as error:
            return _told(error)
        if not self._store.layers:
            return "the network keeps no keys and values"
        distance = max(_distance(rows, plain), _distance(first[0], plain[2]))
        if not distance <= self._tolerance:
            return f"rows differ by {distance:.3g} nats, {self._tolerance:.3g} would be rounding"
        self._wide = self._further(wide)
        return None


def _probes(prefix: Context, ids: Context, most: int | None) -> list[Context]:
    """A context, another of its length, its beginning, a short one, and the beginning gone on."""
    room = 12 if most is None else min(12, most - len(prefix))
    if room < 2:
        raise UnsupportedError(f"the network has {most} positions, too few to read a text")
    one, other, begun = ids[:room], ids[12 : 12 + room], room * 7 // 12
    texts = [
        one,
        np.concatenate([other[:1], one[1:3], other[3:9], one[9:]]),
        one[:begun],
        other[:2],
        np.concatenate([one[:begun], other[begun:]]),
    ]
    return [np.concatenate([prefix, text]) for text in texts]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def _distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    """How far rows are apart; infinitely, where only one has an id for impossible."""
    with np.errstate(invalid="ignore"):
        # Minus infinity on both sides is no difference.
        return float(np.where(one == other, 0, np.abs(one - other)).max())


def _change(one: NDArray[Any], other: NDArray[Any]) -> float:
    """How far rows are apart where both have ids for possible."""
    both = np.isfinite(one) & np.isfinite(other)
    return float(np.abs(one[both] - other[both]).max(initial=0))


def _rounding(rows: NDArray[Any], eps: float) -> float:
    """What rounding alone may change: of the network's logits, and of what is made of them."""
    finite = np.where(np.isfinite(rows), rows, np.nan)
    spread = np.nanmax(np.abs(finite - np.nanmedian(finite, axis=1, keepdims=True)))
    largest = np.nanmax(np.abs(finite))
    return float(2 * eps * spread + 8 * np.finfo(rows.dtype).eps * largest)


def _stretching(config: Any) -> int | None:
    """How many tokens there may be before the positions of all of them change."""
    found = [
        rope.get(_ORIGINAL)
        or getattr(config, _ORIGINAL, None)
        or getattr(config, "max_position_embeddings", None)
        for rope in _ropes(config)
        if rope.get("rope_type", rope.get("type")) in _STRETCHING
    ]
    # Where nothing says when, it may be at once.
    return min(int(original or 0) for original in found) if found else None


def _ropes(config: Any) -> list[dict[str, Any]]:
    """What the configuration says of rotations: once, or once for each type of layer."""
    given = (getattr(config, name, None) for name in ("rope_parameters", "rope_scaling"))
    whole = [one for one in given if isinstance(one, dict)]
    return [*whole, *(part for one in whole for part in one.values() if isinstance(part, dict))]


def _windows(config: Any) -> list[int]:
    """Numbers of the configuration that may limit how far back a layer looks."""
    named = [
        value
        for name, value in vars(config).items()
        if type(value) is int and value > 0 and any(word in name for word in _LIMITS)
    ]
    named += [value for rope in _ropes(config) if type(value := rope.get(_ORIGINAL)) is int]
    # A little beyond a window there is little that it hides.
    return sorted({*named, *(value + value // 4 for value in named)})
