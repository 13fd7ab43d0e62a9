"""Is an encoded folder still what was written?

Every byte is under a checksum: the manifest under its own, each part and each index under one in
the manifest, a `.npy` header is computed anew. So each changed bit is found, each missing file and
each file that does not belong there is named. Cost: one read of the folder, memory of one block.

With `sample`, documents are also encoded again, one at a time and not in batches, from the inputs
that the manifest names, and compared with what is stored.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bytewright import arguments
from bytewright.corpus.documents import Item, Piece
from bytewright.corpus.durable import sha256_range
from bytewright.corpus.flat import npy_header
from bytewright.corpus.inputs import find_sources
from bytewright.corpus.manifest import MANIFEST, WORK, Manifest, Part, difference
from bytewright.corpus.megatron import check_index
from bytewright.corpus.policy import CorpusTokenizer, Policy, check_corpus_tokenizer
from bytewright.corpus.readers import Reading, read_documents
from bytewright.errors import ArgumentError, DataError, VerifyError
from bytewright.sizes import whole

__all__ = ["VerifyReport", "verify_corpus"]


@dataclass(frozen=True)
class VerifyReport:
    """What `verify_corpus` found.

    Attributes:
        problems: one sentence each, naming the file; empty when all is well.
        parts: parts checked.
        documents: documents that the manifest counts.
        tokens: ids that the manifest counts.
        bytes_checked: bytes read and hashed.
        documents_encoded: documents encoded again.
    """

    problems: tuple[str, ...]
    parts: int
    documents: int
    tokens: int
    bytes_checked: int
    documents_encoded: int

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def raise_problems(self) -> None:
        """Raise a `VerifyError` with the problems, if there are any."""
        if self.problems:
            raise VerifyError("\n".join(self.problems))


def verify_corpus(
    out_dir: str | os.PathLike[str],
    *,
    sample: int = 0,
    tokenizer: CorpusTokenizer | None = None,
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
) -> VerifyReport:
    """Check every byte of an encoded folder against its manifest.

    Args:
        out_dir: a folder that `encode_corpus` finished.
        sample: how many documents to encode again, spread over the parts; needs the next two.
        tokenizer: the tokenizer of the run.
        inputs: the inputs of the run, as they were given to it.

    Returns:
        A report; `report.ok` is the answer, `report.problems` the reasons.

    Raises:
        ArgumentError: `out_dir` is no folder, or `sample` without tokenizer and inputs.
    """
    folder = arguments.place(out_dir, "out_dir")
    sample = whole(sample, "sample")
    if tokenizer is not None:
        check_corpus_tokenizer(tokenizer)
    if not folder.is_dir():
        raise ArgumentError(f"{folder} is not a folder")
    if sample and (tokenizer is None or inputs is None):
        raise ArgumentError("sample needs the tokenizer and the inputs of the run")
    try:
        manifest = Manifest.read(folder)
    except DataError as error:
        return VerifyReport((str(error),), 0, 0, 0, 0, 0)
    problems = [*_missing_or_extra(folder, manifest), *_damaged(folder, manifest)]
    encoded = 0
    if sample and not problems and tokenizer is not None and inputs is not None:
        encoded, found = _encode_again(folder, manifest, tokenizer, inputs, sample)
        problems += found
    return VerifyReport(
        tuple(problems),
        len(manifest.parts),
        manifest.documents,
        manifest.tokens,
        sum(manifest.sizes().values()),
        encoded,
    )


def _missing_or_extra(folder: Path, manifest: Manifest) -> Iterator[str]:
    sizes = manifest.sizes()
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file():
            yield f"{path}: missing"
        elif path.stat().st_size != size:
            yield f"{path}: {path.stat().st_size} bytes, but {size} were written"
    for entry in sorted(folder.iterdir()):
        if entry.name not in sizes and entry.name not in (MANIFEST, WORK):
            yield f"{entry}: does not belong to this corpus"


def _damaged(folder: Path, manifest: Manifest) -> Iterator[str]:
    for number, part in enumerate(manifest.parts):
        path = folder / part.file
        if path.is_file():
            found = _sha256(path, part.offset, part.size)
            if found != part.sha256:
                yield (
                    f"{path}: part {number} (bytes {part.offset} to {part.offset + part.size}) "
                    f"is damaged: sha256 {found}, was {part.sha256}"
                )
    for name, file in manifest.files.items():
        path = folder / name
        if path.is_file():
            found = _sha256(path, 0, None)
            if found != file["sha256"]:
                yield f"{path}: damaged: sha256 {found}, was {file['sha256']}"
    yield from _bad_frame(folder, manifest)


def _sha256(path: Path, start: int, size: int | None) -> str:
    try:
        return sha256_range(path, start, size)
    except OSError as error:
        return f"unreadable ({error.strerror})"


def _bad_frame(folder: Path, manifest: Manifest) -> Iterator[str]:
    """What parts do not cover: the header of `.npy`, the sum of Megatron's lengths."""
    if not manifest.parts:
        return
    path = folder / manifest.parts[0].file
    if manifest.format == "npy" and path.is_file():
        expected = npy_header(np.dtype(str(manifest.config["dtype"])).str, manifest.tokens)
        with path.open("rb") as file:
            if file.read(len(expected)) != expected:
                yield f"{path}: the NumPy header is damaged"
    if manifest.format == "megatron" and path.is_file() and path.with_suffix(".idx").is_file():
        try:
            check_index(path.with_name(next(iter(manifest.files))), path)
        except VerifyError as error:
            yield str(error)


def _encode_again(
    folder: Path,
    manifest: Manifest,
    tokenizer: CorpusTokenizer,
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    sample: int,
) -> tuple[int, list[str]]:
    config = manifest.config
    sources = find_sources(inputs, exclude=folder)
    now = {
        **config,
        "tokenizer": tokenizer.fingerprint,
        "inputs": [source.identity() for source in sources],
    }
    if lines := difference(config, now):
        return 0, [f"{folder}: cannot encode again, {line}" for line in lines]
    policy = Policy(tuple(config["policy"]["bos"]), tuple(config["policy"]["eos"]))
    how = Reading(config["text_field"], None, config["documents"])
    count = min(sample, len(manifest.parts))
    chosen = [manifest.parts[len(manifest.parts) * index // count] for index in range(count)]
    encoded = 0
    problems: list[str] = []
    for index, part in enumerate(chosen):
        wanted = min(part.documents, sample // count + (index < sample % count))
        items = read_documents(sources, how, part.start)
        expected = _ids(tokenizer, policy, items, wanted)
        stored = _stored(folder / part.file, part, manifest, len(expected))
        if not np.array_equal(stored, expected):
            place = _first_difference(stored, expected)
            problems.append(
                f"{folder / part.file}: encoded again, id {place} of the part at byte "
                f"{part.offset} differs"
            )
        encoded += wanted
    return encoded, problems


def _ids(
    tokenizer: CorpusTokenizer, policy: Policy, items: Iterator[Item], wanted: int
) -> NDArray[np.int32]:
    """The ids of the next `wanted` documents, each encoded alone."""
    out: list[Any] = [np.empty(0, np.int32)]
    for item in items:
        if not wanted:
            break
        if isinstance(item, Piece):
            if item.first:
                stream = tokenizer.stream_encoder()
                out.append(np.array(policy.bos, np.int32))
            out.append(stream.push(bytes(item.data)))
            if item.last:
                out += [stream.finish(), np.array(policy.eos, np.int32)]
                wanted -= 1
            continue
        for row in range(min(wanted, len(item.texts))):
            one = policy.apply(tokenizer.encode_batch(item.texts.slice(row, 1), threads=1), None)
            out.append(one.values)
            wanted -= 1
    return np.concatenate(out)


def _stored(path: Path, part: Part, manifest: Manifest, count: int) -> NDArray[np.int32]:
    """The first `count` ids of a part."""
    if manifest.format == "parquet":
        table = pq.ParquetFile(path, page_checksum_verification=True)
        groups = table.iter_batches(4096, columns=["ids"])
    elif manifest.format == "arrow":
        reader = pa.ipc.open_file(pa.memory_map(os.fsencode(path)))
        groups = (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        dtype = np.dtype(str(manifest.config["dtype"]))
        return np.fromfile(path, dtype, count, offset=part.offset).astype(np.int32)
    out = [np.empty(0, np.int32)]
    found = 0
    for batch in groups:
        if found >= count:
            break
        out.append(np.asarray(batch.column("ids").flatten()))
        found += len(out[-1])
    return np.concatenate(out)[:count]


def _first_difference(stored: NDArray[np.int32], expected: NDArray[np.int32]) -> int:
    size = min(len(stored), len(expected))
    differs = np.flatnonzero(stored[:size] != expected[:size])
    return int(differs[0]) if len(differs) else size
