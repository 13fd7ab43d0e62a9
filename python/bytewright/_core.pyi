"""The compiled core: flat data in, flat arrays out. Private: use `bytewright.Tokenizer`."""

from collections.abc import Sequence
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PieceCounter",
    "Replay",
    "StreamEncoder",
    "Tokenizer",
    "Trainer",
    "WordRuns",
    "__version__",
    "cpu_features",
    "debug_build",
    "extend_merges",
    "graft_tokens",
    "jsonl_texts",
    "merge_counts",
    "merge_runs",
    "merge_runs_to_files",
    "merges_from_ranks",
    "parity_merges",
    "parse_ranks",
    "pattern_names",
    "pattern_steps",
    "picky_history",
    "sum_counts",
]

__version__: str
debug_build: bool

_Counts = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint64]]
_Allowed = Literal["none", "all"] | Sequence[str]

@final
class Tokenizer:
    def __new__(
        cls, header: str, arena: bytes, offsets: bytes, kinds: bytes, merges: bytes
    ) -> Tokenizer: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def encode(self, text: str | bytes, allowed: _Allowed) -> list[int]: ...
    def encode_array(self, text: str | bytes, allowed: _Allowed) -> NDArray[np.int32]: ...
    def encode_offsets(
        self, text: str | bytes, allowed: _Allowed, limit: int | None
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
    def encode_batch(
        self, chunks: Sequence[Any], allowed: _Allowed, threads: int | None
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
    def count(self, text: str | bytes, allowed: _Allowed, limit: int | None) -> int: ...
    def count_batch(
        self, chunks: Sequence[Any], allowed: _Allowed, threads: int | None
    ) -> NDArray[np.int64]: ...
    def pieces(self, text: str | bytes) -> NDArray[np.int64]: ...
    def decode_bytes(self, ids: Any) -> bytes: ...
    def decode_batch(
        self, values: NDArray[np.int32], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...
    def is_canonical(self, ids: Any) -> bool: ...
    def token_bytes(self, id: int) -> bytes: ...
    def token_id(self, token: bytes) -> int | None: ...
    def stream_encoder(self, allowed: _Allowed) -> StreamEncoder: ...
    def unreachable(self) -> NDArray[np.int32]: ...
    @property
    def vocab_size(self) -> int: ...

@final
class StreamEncoder:
    def push(self, data: bytes) -> NDArray[np.int32]: ...
    def finish(self) -> NDArray[np.int32]: ...

@final
class Replay:
    def __new__(
        cls,
        arena: NDArray[np.uint8],
        offsets: NDArray[np.uint64],
        counts: NDArray[np.uint64],
        order: bytes,
    ) -> Replay: ...
    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.uint64]]: ...
    def advance(
        self, merges: bytes
    ) -> tuple[
        NDArray[np.int32],
        NDArray[np.uint64],
        NDArray[np.int64],
        NDArray[np.int32],
        NDArray[np.int64],
    ]: ...

@final
class Trainer:
    def __new__(
        cls,
        arena: NDArray[np.uint8],
        offsets: NDArray[np.uint64],
        counts: NDArray[np.uint64],
        order: bytes,
        min_count: int,
        rules: str,
    ) -> Trainer: ...
    def replay(self, merges: bytes, most: int | None) -> None: ...
    def advance(self, vocab_size: int, milliseconds: int) -> bool: ...
    def steps(self, start: int) -> tuple[bytes, NDArray[np.uint64]]: ...
    def token_bytes(self, id: int) -> bytes: ...
    def count(self, left: int, right: int) -> int: ...
    @property
    def merges(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...

@final
class PieceCounter:
    def __new__(
        cls, steps: str, threads: int | None, budget: tuple[int, str] | None
    ) -> PieceCounter: ...
    def push(self, chunks: Sequence[Any]) -> int: ...
    def push_part(self, part: bytes, last: bool) -> int: ...
    def finish(self) -> _Counts: ...
    def finish_files(self, folder: str) -> None: ...
    def finish_run(self, path: str) -> None: ...
    def is_large(self) -> bool: ...

def merge_counts(lists: Sequence[_Counts]) -> _Counts: ...
def merge_runs(runs: Sequence[str]) -> _Counts: ...
def merge_runs_to_files(runs: Sequence[str], folder: str) -> None: ...
def sum_counts(chunks: Sequence[Any], counts: NDArray[np.uint64]) -> _Counts: ...
def parse_ranks(data: bytes) -> tuple[bytes, bytes, bytes]: ...
def merges_from_ranks(
    arena: bytes, offsets: bytes, order: bytes, unit: Literal["byte", "char"]
) -> bytes: ...
def jsonl_texts(
    block: bytes, field: str, first_line: int, allow_missing: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]: ...
def pattern_steps(name: str) -> str | None: ...
def pattern_names() -> list[str]: ...
def cpu_features() -> list[str]: ...
def extend_merges(
    arena: bytes,
    token_offsets: bytes,
    kinds: bytes,
    values: NDArray[np.int32],
    offsets: NDArray[np.int64],
    counts: NDArray[np.uint64],
    wanted: tuple[int, int],
    ties: str,
) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]: ...
def graft_tokens(
    arena: bytes,
    token_offsets: bytes,
    kinds: bytes,
    byte_units: NDArray[np.uint32],
    merges: bytes,
    wanted: bytes,
    wanted_offsets: bytes,
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]: ...

_Flat = tuple[NDArray[np.uint8], NDArray[np.uint64], NDArray[np.uint64]]

def parity_merges(
    languages: Sequence[tuple[_Flat, _Flat, float]],
    vocab_size: int,
    order: bytes,
    min_count: int,
    rules: str,
    turns: tuple[int, int, float],
) -> tuple[NDArray[np.uint32], NDArray[np.uint64], NDArray[np.int64]]: ...
def picky_history(
    text: _Flat, vocab_size: int, order: bytes, min_count: int, tau: float
) -> tuple[
    tuple[bytes, NDArray[np.int64], NDArray[np.bool_]], tuple[NDArray[np.uint32], NDArray[np.int64]]
]: ...

@final
class WordRuns:
    def __new__(cls, steps: str) -> WordRuns: ...
    def push(self, chunks: Sequence[Any]) -> int: ...
    def push_part(self, part: bytes, last: bool) -> int: ...
    def train(
        self, vocab_size: int, min_count: int
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint64], NDArray[np.bool_]]: ...
