"""The embedded language model: n-grams over token ids, fitted to text in seconds.

Interpolated modified Kneser-Ney (Chen & Goodman 1999): the probability of an id after the last
`order - 1` ids is its count, discounted, and what the discounts leave is shared out by the
probability after one id less, down to an equal share for every id. So every id has a probability
above 0 after every context, and a row sums to 1; `rust/ngram` has the formulas.

**Without an order** (`order=None`) the longest end of the context that ever occurred, however
long, foretells what comes, as in Infini-gram (Liu et al. 2024), smoothed by the rule of Witten &
Bell with the model of order 5: if it has `n >= 5` ids, and `T` different ids followed it `c` times
in all, of which `c(w)` times `w`, then

    P(w) = (c(w) + s P_5(w)) / (c + s),   s = 16 T / (n - 4)

**Outcomes.** Every id that stands for text, and the end of text. Special tokens other than the end
of text, and ids that no token has, are no outcomes (minus infinity), unless the tokenizer itself
put them into the texts.

**Documents.** Each text is a document: its beginning is a context of its own, its end an outcome. A
context that holds the end of text begins anew behind it.

Cost: 10 MB of English, which is 2.3 million ids, take half a second and 200 MB on one core, and
the model 67 MB; without an order 85 MB. A row is one addition for each id of the vocabulary, and a
logarithm for each id that was ever seen behind the last two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from bytewright import _core
from bytewright.arguments import function, integer, place
from bytewright.arrays import as_lists, decoded
from bytewright.definition import SPECIAL
from bytewright.errors import ArgumentError, ArgumentTypeError, DataError
from bytewright.models import ngram_file
from bytewright.models.contexts import as_context, as_contexts, flat
from bytewright.models.protocol import check_tokenizer
from bytewright.sizes import whole
from bytewright.tokenizer import Tokenizer

__all__ = ["END_OF_TEXT", "UNBOUNDED", "FitProgress", "Match", "NgramModel"]

END_OF_TEXT: Final = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|eos|>",
    "<EOS>",
    "[EOS]",
    "<｜end▁of▁sentence｜>",
)
"""Special tokens that end a text, the first that a tokenizer has being taken."""

UNBOUNDED: Final = 5
"""The order of the model that one without an order falls back on."""

# Text that is gathered before it is encoded.
_GATHERED: Final = 8 << 20


@dataclass(frozen=True)
class FitProgress:
    """How far fitting is.

    Attributes:
        documents: documents encoded.
        ids: ids in them, an end of text for each among them.
    """

    documents: int
    ids: int


@dataclass(frozen=True, eq=False)
class Match:
    """What followed the longest end of a context that ever occurred.

    Attributes:
        length: ids of it, the beginning of a document counting as one; 0 if nothing occurred.
        ids: different ids that followed, ascending, the end of text among them.
        counts: how often each did.
    """

    length: int
    ids: NDArray[np.int32]
    counts: NDArray[np.uint32]


class NgramModel:
    """An n-gram model over token ids. Immutable; it pickles, and threads may share it.

    Made by `fit` from text, or by `load` from a file.

    >>> from bytewright import demo
    >>> tok = demo.tokenizer()
    >>> model = NgramModel.fit(tok, ["the cat sat", "the cat ran", "the dog ran"], order=3)
    >>> row = model.logprobs([tok.encode_array("the cat")])[0]
    >>> [tok.token_bytes(int(id)) for id in np.argsort(row)[:-3:-1]]
    [b' r', b' s']
    >>> model
    <NgramModel of order 3, 3 documents, 18 ids, width 8192>
    """

    __slots__ = ("_core", "_header", "_reach", "_tokenizer", "_words")

    def __init__(
        self, tokenizer: Tokenizer, header: dict[str, Any], words: NDArray[np.uint32]
    ) -> None:
        """Take what `fit` and `load` make; users have these."""
        excluded = np.ones(header["width"], np.bool_)
        kinds = np.frombuffer(tokenizer.definition.kinds, np.uint8)
        excluded[: len(kinds)] = (kinds == 0) | (kinds & SPECIAL != 0)
        self._tokenizer, self._header, self._words = tokenizer, header, words
        self._core = _core.Ngram(
            words, header["sizes"], header["stream"], header["eos_id"], excluded
        )
        self._reach = _longest(header, words) if header["stream"] else len(header["sizes"])

    @classmethod
    def fit(
        cls,
        tokenizer: Tokenizer,
        texts: Any,
        *,
        order: int | None = 5,
        eos: str | None = None,
        threads: int | None = None,
        progress: Callable[[FitProgress], object] | None = None,
    ) -> Self:
        """Count the n-grams of texts.

        Args:
            tokenizer: makes the ids; special tokens in the texts are ordinary text.
            texts: documents: an iterable of `str`, `bytes` and None, which is no document, or
                anything that `Tokenizer.encode_batch` takes. It is read once, some at a time.
            order: the longest n-grams, 1 to 16: an id is foretold from `order - 1` ids. None for
                contexts of any length.
            eos: the special token that ends a text; unless given, the first of `END_OF_TEXT` that
                the tokenizer has, and without any an id of its own behind the vocabulary.
            threads: threads to use; all that the machine has unless given. They change nothing in
                the result.
            progress: called after every batch.

        Raises:
            ArgumentError: an order outside, something that is no text, a special token that the
                tokenizer has not got, or more than 2**32 ids.

        >>> tok = Tokenizer.from_merges([], alphabet=b"ab")
        >>> model = NgramModel.fit(tok, ["abab", "ab"], order=2)
        >>> model.eos_id, model.logprobs([[0]]).shape
        (2, (1, 3))
        """
        check_tokenizer(tokenizer)
        threads = None if threads is None else whole(threads, "threads", least=1)
        function(progress, "progress")
        order = None if order is None else integer(order, "order")
        if order is not None and not 1 <= order <= 16:
            raise ArgumentError(f"order={order}: 1 to 16 are allowed, and None")
        eos_id = _end_of_text(tokenizer, eos)
        width = max(tokenizer.vocab_size, eos_id + 1)
        counted = _core.NgramDocuments(width, eos_id)
        documents = ids = 0
        for batch in _batches(texts):
            lists = tokenizer.encode_batch(batch, threads=threads)
            ids = counted.push(*as_lists(lists))
            documents += len(lists) - lists.null_count
            if progress is not None:
                progress(FitProgress(documents, ids))
        longest = UNBOUNDED if order is None else order
        words, sizes, stream = counted.count(longest, order is None, threads)
        words.flags.writeable = False
        header = {
            "documents": documents,
            "eos_id": eos_id,
            "fingerprint": tokenizer.fingerprint,
            "ids": ids,
            "sizes": sizes,
            "stream": stream,
            "width": width,
        }
        return cls(tokenizer, header, words)

    @classmethod
    def load(cls, path: str | os.PathLike[str], tokenizer: Tokenizer) -> Self:
        """Map a file that `save` has written; processes that map it share the memory.

        The file is read as long as the model is there. `save` puts a new one in its place, and the
        old one stays with those who have it; what writes into a file that is mapped (`cp` onto it)
        changes their model or ends their process.

        Args:
            path: the file.
            tokenizer: the tokenizer that the model was fitted with.

        Raises:
            DataError: not a readable n-gram model; the message says why.
            ArgumentError: the model belongs to another tokenizer.
        """
        check_tokenizer(tokenizer)
        path = place(path)
        header, words = ngram_file.read(path)
        if header["fingerprint"] != tokenizer.fingerprint:
            raise ArgumentError(
                f"{path} was fitted with another tokenizer: its fingerprint is "
                f"{header['fingerprint']}, this one's is {tokenizer.fingerprint}"
            )
        # The end of text is a token, or the id behind the last: no other makes rows wider.
        size, end = tokenizer.vocab_size, header["eos_id"]
        if end > size or header["width"] != max(size, end + 1):
            raise DataError(
                f"{path}: damaged: rows of {header['width']} ids, and {end} as the end of text"
            )
        try:
            return cls(tokenizer, header, words)
        except (DataError, OverflowError) as error:
            raise DataError(f"{path}: damaged: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file; equal models give equal files.

        Raises:
            DataError: the file cannot be written.
        """
        ngram_file.write(place(path), self._header, self._words)

    def logprobs(
        self,
        contexts: Sequence[NDArray[np.int32]],
        *,
        dtype: DTypeLike = np.float32,
        threads: int | None = None,
    ) -> NDArray[np.float32] | NDArray[np.float64]:
        """Log-probabilities, in nats, of every next id after each context.

        Args:
            contexts: ids from the beginning of a document on, arrays or lists; the last `reach` of
                each decide.
            dtype: float32 or float64; in float64 the probabilities of a row sum to 1 within 1e-12.
            threads: threads to use; all that the machine has unless given.

        Returns:
            An array `[len(contexts), width]`.

        Raises:
            UnknownTokenError: an id outside the model.
            ArgumentError: contexts that are no ids; another type.

        >>> tok = Tokenizer.from_merges([], alphabet=b"ab")
        >>> model = NgramModel.fit(tok, ["abab", "ab"], order=2)
        >>> rows = np.exp(model.logprobs([[], [0]], dtype=np.float64))
        >>> rows.sum(axis=1).round(12).tolist(), int(rows[1].argmax())
        ([1.0, 1.0], 1)
        """
        threads = None if threads is None else whole(threads, "threads", least=1)
        wide = _wide(dtype)
        ids, offsets = flat(as_contexts(contexts), self.width)
        if wide:
            long = np.empty((len(offsets) - 1, self.width), np.float64)
            self._core.fill_float64(ids, offsets, long, threads)
            return long
        short = np.empty((len(offsets) - 1, self.width), np.float32)
        self._core.fill_float32(ids, offsets, short, threads)
        return short

    def match(self, context: NDArray[np.int32]) -> Match:
        """The longest end of a context that occurred in the texts, and what followed it there.

        Raises:
            ArgumentError: the model was fitted with an order; a context that is no ids.
            UnknownTokenError: an id outside the model.

        >>> tok = Tokenizer.from_merges([], alphabet=b"abc")
        >>> model = NgramModel.fit(tok, ["abab", "cab"], order=None)
        >>> found = model.match(tok.encode_array("bbab"))
        >>> found.length, found.ids.tolist(), found.counts.tolist()
        (3, [3], [1])
        """
        if self.order is not None:
            raise ArgumentError(
                "a model with an order knows no longer matches: fit with order=None"
            )
        ids, _ = flat([as_context("context", context)], self.width)
        nothing = 0, np.zeros(0, np.int32), np.zeros(0, np.uint32)
        return Match(*(self._core.matches(ids) or nothing))

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids the model knows."""
        return self._tokenizer

    @property
    def eos_id(self) -> int:
        """The id of the end of text."""
        return int(self._header["eos_id"])

    @property
    def width(self) -> int:
        """How wide a row is: the vocabulary, and the end of text where that has no token."""
        return int(self._header["width"])

    @property
    def order(self) -> int | None:
        """The longest n-grams; None where they have any length."""
        return None if self._header["stream"] else len(self._header["sizes"]) + 1

    @property
    def reach(self) -> int:
        """How many of the last ids of a context decide.

        `order - 1`; without an order one more than the longest document has, since nothing longer
        ever occurred.
        """
        return self._reach

    @property
    def documents(self) -> int:
        """Documents that the model was fitted to."""
        return int(self._header["documents"])

    @property
    def ids(self) -> int:
        """Ids in these documents, an end of text for each among them."""
        return int(self._header["ids"])

    @property
    def nbytes(self) -> int:
        """Bytes of the n-grams, in memory or mapped."""
        return self._words.nbytes

    def __reduce__(
        self,
    ) -> tuple[type[Self], tuple[Tokenizer, dict[str, Any], NDArray[np.uint32]]]:
        return type(self), (self._tokenizer, self._header, self._words)

    def __repr__(self) -> str:
        return (
            f"<NgramModel of order {self.order}, {self.documents} documents, {self.ids} ids, "
            f"width {self.width}>"
        )


def _longest(header: dict[str, Any], words: NDArray[np.uint32]) -> int:
    """Ids of the longest document, its end among them."""
    # The stream begins with an end, and the places behind it are as many.
    stream = words[len(words) - 2 * header["stream"] :][: header["stream"]]
    return int(np.diff(np.flatnonzero(stream == header["eos_id"])).max(initial=1))


def _end_of_text(tokenizer: Tokenizer, eos: str | None) -> int:
    special = tokenizer.special_tokens
    if eos is not None and (not isinstance(eos, str) or eos not in special):
        raise ArgumentError(
            f"eos={eos!r:.100} is no special token; there are {sorted(special)[:20]}"
        )
    names = END_OF_TEXT if eos is None else (eos,)
    return next((special[name] for name in names if name in special), tokenizer.vocab_size)


def _wide(dtype: DTypeLike) -> bool:
    """Whether a type is float64, and not float32."""
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError):
        kind = np.dtype(np.void)
    if kind not in (np.float32, np.float64):
        raise ArgumentError(f"dtype={dtype!r:.100}: float32 and float64 are allowed")
    return kind == np.float64


def _batches(texts: Any) -> Iterator[Any]:
    """Some texts at a time: slices of Arrow arrays, or lists of objects."""
    if isinstance(texts, str | bytes | bytearray | memoryview):
        raise ArgumentError("texts is one text: pass a sequence of them")
    if not isinstance(texts, pa.Array | pa.ChunkedArray):
        if hasattr(texts, "__arrow_c_array__"):
            texts = pa.array(texts)
        elif hasattr(texts, "__arrow_c_stream__"):
            texts = pa.chunked_array(texts)
        elif isinstance(texts, Iterable):
            yield from _gathered(texts)
            return
        else:
            raise ArgumentTypeError(f"texts must be an iterable, not {type(texts).__name__}")
    for chunk in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        rows = max(1, len(chunk) * _GATHERED // max(1, chunk.nbytes))
        for start in range(0, len(chunk), rows):
            yield decoded(chunk.slice(start, rows))


def _gathered(texts: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    size = 0
    for text in texts:
        batch.append(text)
        # What is no text is told by the tokenizer.
        size += len(text) + 64 if isinstance(text, str | bytes) else 64
        if size >= _GATHERED:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
