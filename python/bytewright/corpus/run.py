"""A corpus, encoded: from files of text to files of ids, part by part.

A part ends at the first document that brings its text to `part_bytes` (each document weighing 8
bytes more than its text), so the parts follow from the inputs alone. A part counts when its bytes
are durable and then its record is; a killed run therefore redoes at most one part, and ends with
the same bytes as a run that was never stopped. A folder belongs to one configuration: tokenizer,
policy, format, options, inputs; going on with another one is refused by naming what differs.

Cost: one pass over the inputs, one thread reading ahead, the tokenizer's threads encoding. Memory
is some batches of text and their ids, set by `memory`, and blocks of fixed sizes; what must be held
whole is said in `readers`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bytewright import _core, arguments, files
from bytewright.corpus.documents import Cursor
from bytewright.corpus.durable import FolderLock
from bytewright.corpus.flat import FlatStore
from bytewright.corpus.inputs import find_sources
from bytewright.corpus.job import Job, Progress
from bytewright.corpus.manifest import (
    MANIFEST,
    WORK,
    Manifest,
    Part,
    compare,
    configure,
    read_record,
)
from bytewright.corpus.policy import (
    CorpusTokenizer,
    Format,
    Policy,
    check_corpus_tokenizer,
    choose_dtype,
)
from bytewright.corpus.readers import Documents, Reading, read_documents
from bytewright.corpus.rows import RowStore
from bytewright.corpus.stores import Store
from bytewright.errors import ArgumentError, ResumeError
from bytewright.sizes import byte_size, whole

__all__ = ["encode_corpus"]

_FORMATS = ("parquet", "arrow", "megatron", "bin", "npy")
_MEMORY = 64 << 20


def encode_corpus(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    tokenizer: CorpusTokenizer,
    out_dir: str | os.PathLike[str],
    *,
    format: Format = "parquet",
    text_field: str = "text",
    id_field: str | None = None,
    documents: Documents = "auto",
    bos: int | str | None = None,
    eos: int | str | None = None,
    dtype: str | None = None,
    name: str = "train",
    resume: bool = True,
    threads: int | None = None,
    part_bytes: int | str = 256 << 20,
    memory: int | str = 512 << 20,
    progress: Callable[[Progress], object] | None = None,
) -> Manifest:
    """Encode files of text into a folder of ids that survives being killed.

    Calling it again with the same arguments goes on where it stopped; on a finished folder it
    returns the manifest at once.

    Args:
        inputs: paths, globs and folders: text, JSON Lines, Parquet, Arrow, each also `.gz`, `.zst`.
            At least one file there must be; it may be empty.
        tokenizer: a `Tokenizer`.
        out_dir: the folder to fill; created if absent.
        format: `"parquet"` or `"arrow"` (a file a part, a row a document), `"megatron"`
            (`.bin` and `.idx`), `"bin"` (nanoGPT: ids and nothing else) or `"npy"`.
        text_field: field or column that holds the text.
        id_field: field or column that names a document; Parquet and Arrow keep it as `id`.
        documents: what a document of a text file is: `"file"` (also `"auto"`) or `"line"`.
        bos: what goes before each document: nothing, an id, the text of a special token, or
            `"template"`, what the vocabulary's format itself puts there.
        eos: likewise, after each document.
        dtype: width of a stored id; by default what the format's readers expect.
        name: name of the files, without ending.
        resume: go on with what a folder holds; if False, a folder that holds a run is refused.
        threads: threads for encoding; by default the tokenizer's choice.
        part_bytes: bytes of text in a part.
        memory: what the texts that are encoded together, their ids and what is made of them on the
            way may take, at least 64 MiB: a 32nd of it is gathered as text. Besides it there are
            the interpreter and its libraries, the tokenizer, and up to some 250 MB that do not
            depend on it: blocks that are read ahead, pieces of a long document, a group of rows
            that is being written. A line of JSON and a cell of a column are held whole, some
            times over.
        progress: called after each batch.

    Returns:
        The manifest, also stored in the folder.

    Raises:
        ArgumentError: an argument that no run can have.
        ArgumentTypeError: an argument of another type.
        DataError: an input cannot be read, or the output cannot be written.
        ResumeError: the folder belongs to another run; the message names what differs.
        LockedError: another process is writing to the folder.
    """
    arguments.word(format, "format", _FORMATS)
    arguments.word(documents, "documents", ("auto", "file", "line"))
    named = "" if id_field is None else id_field
    for what, text in {"text_field": text_field, "id_field": named, "name": name}.items():
        arguments.text(text, what)
    arguments.function(progress, "progress")
    arguments.flag(resume, "resume")
    threads = None if threads is None else whole(threads, "threads", least=1)
    part_bytes, memory = byte_size(part_bytes, "part_bytes"), byte_size(memory, "memory")
    if part_bytes < 1:
        raise ArgumentError(f"part_bytes={part_bytes} is not positive")
    if memory < _MEMORY:
        raise ArgumentError(f"memory={memory} is less than the {_MEMORY} bytes that a run needs")
    if not name or name[0] in "._" or "\0" in name or "/" in name or os.sep in name:
        raise ArgumentError(f"name={name!r} is not a file name that readers of a folder look at")
    check_corpus_tokenizer(tokenizer)
    folder = arguments.place(out_dir, "out_dir")
    policy = Policy.resolve(tokenizer, bos, eos)
    width = choose_dtype(format, dtype, tokenizer.vocab_size)
    _claim(folder)
    with FolderLock(folder / WORK / "lock"):
        sources = find_sources(inputs, exclude=folder)
        config = {
            "bytewright": _core.__version__,
            "tokenizer": tokenizer.fingerprint,
            "policy": {"bos": list(policy.bos), "eos": list(policy.eos)},
            "format": format,
            "dtype": width,
            "name": name,
            "text_field": text_field,
            "id_field": id_field,
            "documents": "file" if documents == "auto" else documents,
            "part_bytes": part_bytes,
            "inputs": [source.identity() for source in sources],
        }
        if (folder / MANIFEST).exists():
            return _finished(folder, config, resume=resume)
        configure(folder, config, sources, resume=resume)
        store = _store(folder, format, name, width, named=id_field is not None)
        parts = _recorded(folder / WORK)
        store.resume(parts)
        reading = Reading(text_field, id_field, documents)
        job = Job(tokenizer, policy, store, folder / WORK, config, sources, threads, progress)
        job.run(parts, read_documents(sources, reading, _end(parts)), part_bytes, memory)
        manifest = Manifest(config, tuple(parts), store.finish(parts))
        manifest.write(folder)
        _tidy(folder / WORK)
        return manifest


def _claim(folder: Path) -> None:
    """Make the folder ours, or refuse one that holds something else."""
    with files.writing(folder):
        if folder.exists() and not folder.is_dir():
            raise ArgumentError(f"{folder} is no folder: the output is one, or is made one")
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / WORK).is_dir():
            foreign = sorted(entry.name for entry in folder.iterdir())
            if foreign and MANIFEST not in foreign:
                raise ArgumentError(
                    f"{folder} is not empty and holds no encoded corpus (it has {foreign[0]!r}); "
                    "give a folder of its own"
                )
            (folder / WORK).mkdir(exist_ok=True)
            files.sync_folder(folder)


def _store(folder: Path, format: Format, name: str, width: str, *, named: bool) -> Store:
    if format == "parquet" or format == "arrow":
        return RowStore(folder, name, format, named=named)
    return FlatStore(folder, name, format, width)


def _finished(folder: Path, config: dict[str, Any], *, resume: bool) -> Manifest:
    manifest = Manifest.read(folder)
    # A newer version of the package does not unmake a finished folder.
    stored = {**manifest.config, "bytewright": config["bytewright"]}
    compare(folder, stored, config, resume=resume)
    for file, size in manifest.sizes().items():
        path = folder / file
        if not path.exists() or path.stat().st_size != size:
            raise ResumeError(f"{path}: the folder is finished, but this file is missing or cut")
    _tidy(folder / WORK)
    return manifest


def _recorded(work: Path) -> list[Part]:
    parts: list[Part] = []
    while (part := read_record(work, len(parts))) is not None:
        if part.start != _end(parts):
            raise ResumeError(f"{work}: part {len(parts)} does not begin where the one before ends")
        parts.append(part)
    return parts


def _end(parts: list[Part]) -> Cursor:
    return parts[-1].end if parts else Cursor()


def _tidy(work: Path) -> None:
    """Leave only the lock; harmless to repeat, and to be killed in."""
    for entry in work.iterdir():
        if entry.name != "lock":
            with files.writing(entry), suppress(FileNotFoundError):
                entry.unlink()
