"""The page of a text: models asked, the file written."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from bytewright import arguments
from bytewright.bytelm.arguments import text_bytes
from bytewright.bytelm.model import ByteModel
from bytewright.bytelm.page.document import Numbers, View, write_document
from bytewright.bytelm.page.survey import survey
from bytewright.bytelm.protocol import BytePredictor, check_predictor
from bytewright.errors import ArgumentError, ArgumentTypeError, BytewrightError
from bytewright.files import check_output

__all__ = ["MOST_BYTES", "PageProgress", "byte_page"]

# The file of one model has about 70 MB then; of 100 kB it has 26 MB, and opens in a second.
MOST_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class PageProgress:
    """How far a page is.

    Attributes:
        model: the name of the model that is asked.
        bytes_done: bytes that have been read, by all models together.
        bytes_total: bytes that all models together have to read.
    """

    model: str
    bytes_done: int
    bytes_total: int


def byte_page(
    models: Mapping[str, BytePredictor],
    text: str | bytes,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    progress: Callable[[PageProgress], object] | None = None,
) -> dict[str, float]:
    r"""Write a page that shows how many bits each byte of a text takes, and why.

    The file is whole in itself and opens in any browser of the last years; without scripts it
    still shows the colours. Where a model is a `ByteModel`, the page also shows where its tokenizer
    cuts the text, and at each byte the token sequences that the prediction comes from. Several
    models stand side by side, byte for byte.

    Args:
        models: models by the names that they have on the page.
        text: any bytes, at most `bytewright.bytelm.page.MOST_BYTES` (262,144).
        path: the file to write.
        title: the heading; by default what the page shows.
        progress: called after every few bytes.

    Returns:
        The bits per byte of each model, infinite where the text cannot be.

    Raises:
        ArgumentError: no model, no byte of text, or too many; a folder that is not there.
        DataError: a model gave no probabilities, or the file cannot be written.

    >>> import bytewright as bw, tempfile
    >>> tok = bw.Tokenizer.from_merges([(b"l", b"o")])
    >>> model = bw.ByteModel(bw.NgramModel.fit(tok, ["lo and lo and lo"] * 9))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bits = bw.byte_page({"lo": model}, "lo and behold", f"{folder}/page.html")
    >>> round(bits["lo"], 1)
    4.2
    """
    data = text_bytes(text)
    if not isinstance(models, Mapping):
        raise ArgumentTypeError("models: a mapping of names to models is needed")
    for name, model in models.items():
        arguments.text(name, "a name of models")
        check_predictor(model, f"models[{name!r}]")
    if title is not None:
        arguments.text(title, "title")
    arguments.function(progress, "progress")
    if not models:
        raise ArgumentError("models: a page of no model")
    if not data:
        raise ArgumentError("text: a page of no bytes")
    if len(data) > MOST_BYTES:
        raise ArgumentError(
            f"text: {len(data)} bytes, and a page takes at most {MOST_BYTES}: pass a part of it"
        )
    file = arguments.place(path)
    if not file.parent.is_dir():
        raise ArgumentError(f"path: {file.parent} is no folder")
    check_output(file)
    told = _Told(progress, len(data) * len(models))
    views = [_view(name, model, data, told) for name, model in models.items()]
    write_document(file, data, views, title or "How many bits each byte takes")
    return {view.name: view.bits_per_byte for view in views}


class _Told:
    """Tells of progress, not at every byte."""

    def __init__(self, progress: Callable[[PageProgress], object] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def one_more(self, name: str) -> None:
        self._done += 1
        if self._progress is not None and (self._done % 256 == 0 or self._done == self._total):
            self._progress(PageProgress(name, self._done, self._total))


def _view(name: str, model: BytePredictor, data: bytes, told: _Told) -> View:
    numbers = Numbers()
    for at, reading in enumerate(survey(model, data)):
        numbers.add(reading)
        if at < len(data):
            told.one_more(name)
    bits = math.fsum(numbers.bits[:-1])
    tokenizer = model.model.tokenizer if isinstance(model, ByteModel) else None
    cuts = None
    # A text that the tokenizer cannot make has no boundaries, and no chance either.
    if tokenizer is not None:
        with suppress(BytewrightError):
            cuts = tokenizer.encode_offsets(data)[1].tolist()
    return View(name, numbers, tokenizer, cuts, bits / len(data))
