"""What a finished folder says about itself, and what an unfinished one remembers.

`_manifest.json` is written last; a folder without it is not finished. Its name starts with `_`
because readers of a folder (pyarrow, Spark, DuckDB) leave such files out. It holds nothing that two
runs over the same inputs could differ in: no time, no host, no absolute path. Its text is canonical
(sorted keys, one layout) and carries its own SHA-256, so every changed bit shows.

Until then `.bytewright/` holds `config.json` (what the run is), one record a finished part, and the
files being written. Afterwards it holds only the empty lock file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bytewright import arguments
from bytewright.corpus.documents import Cursor
from bytewright.corpus.durable import move, write_atomic
from bytewright.corpus.inputs import Source
from bytewright.errors import ResumeError, VerifyError
from bytewright.files import reading

__all__ = [
    "MANIFEST",
    "WORK",
    "Manifest",
    "Part",
    "compare",
    "configure",
    "difference",
    "read_record",
    "read_sealed",
    "seal",
    "write_record",
]

MANIFEST = "_manifest.json"
WORK = ".bytewright"
_CONFIG = "config.json"
_VERSION = 1
_SHOWN = 12


@dataclass(frozen=True)
class Part:
    """A run of documents and where their ids are.

    Attributes:
        file: name in the folder.
        offset: first byte of the part in the file.
        size: bytes of the part.
        sha256: of those bytes.
        documents: documents in the part, null ones included.
        nulls: documents that were null.
        rows: rows or sequences written; more than documents when a document was cut.
        tokens: ids written, BOS and EOS included.
        text_bytes: bytes of text.
        start: where in the inputs the part begins.
        end: where in the inputs it ends.
    """

    file: str
    offset: int
    size: int
    sha256: str
    documents: int
    nulls: int
    rows: int
    tokens: int
    text_bytes: int
    start: Cursor
    end: Cursor

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Part:
        """The inverse of `dataclasses.asdict`."""
        cursors = {name: Cursor.from_json(value[name]) for name in ("start", "end")}
        return cls(**{**value, **cursors})


@dataclass(frozen=True)
class Manifest:
    """What was encoded, how, and the checksum of every byte of it.

    Attributes:
        config: tokenizer fingerprint, policy, format and inputs, as stored.
        parts: the parts in order.
        files: size and SHA-256 of files that no part covers (Megatron's index), by name.
    """

    config: Mapping[str, Any]
    parts: tuple[Part, ...]
    files: Mapping[str, Mapping[str, Any]]

    @property
    def documents(self) -> int:
        """Documents, null and empty ones included."""
        return sum(part.documents for part in self.parts)

    @property
    def nulls(self) -> int:
        """Documents that were null."""
        return sum(part.nulls for part in self.parts)

    @property
    def tokens(self) -> int:
        """Ids written, BOS and EOS included."""
        return sum(part.tokens for part in self.parts)

    @property
    def text_bytes(self) -> int:
        """Bytes of text encoded."""
        return sum(part.text_bytes for part in self.parts)

    @property
    def format(self) -> str:
        """The output format."""
        return str(self.config["format"])

    def sizes(self) -> dict[str, int]:
        """The size of every file of the data set, a header included.

        >>> Manifest({"format": "bin"}, (), {"train.idx": {"size": 42}}).sizes()
        {'train.idx': 42}
        """
        parts = {part.file: part.offset + part.size for part in self.parts}
        return parts | {name: int(file["size"]) for name, file in sorted(self.files.items())}

    def to_bytes(self) -> bytes:
        """The canonical text of the manifest."""
        return seal(
            {
                "version": _VERSION,
                "config": self.config,
                "documents": self.documents,
                "nulls": self.nulls,
                "tokens": self.tokens,
                "text_bytes": self.text_bytes,
                "parts": [asdict(part) for part in self.parts],
                "files": self.files,
            }
        )

    def write(self, folder: Path) -> None:
        """Write it durably; from now on the folder is finished."""
        folder = arguments.place(folder, "folder")
        aside = folder / WORK / MANIFEST
        write_atomic(aside, self.to_bytes())
        move(aside, folder / MANIFEST)

    @classmethod
    def read(cls, folder: str | Path) -> Manifest:
        """Read the manifest of a finished folder.

        Raises:
            VerifyError: there is none, or it is not what was written.
        """
        path = arguments.place(folder, "folder") / MANIFEST
        value = read_sealed(path)
        try:
            manifest = cls(
                value["config"],
                tuple(Part.from_json(part) for part in value["parts"]),
                value["files"],
            )
        except (KeyError, TypeError) as error:
            raise VerifyError(f"{path}: not a manifest of this version: {error}") from error
        if manifest.to_bytes() != path.read_bytes():
            raise VerifyError(f"{path}: its sums are not those of its parts")
        return manifest


def write_record(work: Path, number: int, part: Part) -> None:
    """Remember a finished part."""
    write_atomic(work / f"part-{number:05}.json", seal({"part": asdict(part)}))


def read_record(work: Path, number: int) -> Part | None:
    """A part remembered as finished, or None."""
    path = work / f"part-{number:05}.json"
    if not path.exists():
        return None
    try:
        return Part.from_json(read_sealed(path)["part"])
    except (VerifyError, KeyError, TypeError) as error:
        raise ResumeError(f"{path}: a damaged record; delete the folder to start again") from error


def configure(
    folder: Path, config: dict[str, Any], sources: Sequence[Source], *, resume: bool = True
) -> None:
    """Write down what the run is, or compare with what an earlier run wrote."""
    path = folder / WORK / _CONFIG
    # The times of large files are compared while the run is unfinished, but never published.
    times = {source.name: source.modified_ns for source in sources if source.sampled}
    now = {**config, "modified_ns": times}
    if path.exists():
        compare(folder, read_sealed(path), now, resume=resume)
    else:
        write_atomic(path, seal(now), then="")


def compare(folder: Path, old: dict[str, Any], new: dict[str, Any], *, resume: bool) -> None:
    """Refuse to go on with a folder of another run; what differs is named."""
    if not resume:
        raise ResumeError(f"{folder} already holds a run; delete it, or go on with resume=True")
    if lines := difference(old, new):
        raise ResumeError(f"{folder} belongs to another run:\n  " + "\n  ".join(lines))


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line for each field that differs, with both values.

    >>> difference({"policy": {"eos": [0]}}, {"policy": {"eos": []}})
    ['policy.eos: was [0], now []']
    """
    before, after = dict(_fields("", old)), dict(_fields("", new))
    names = list(dict.fromkeys([*before, *after]))
    lines = [
        f"{name}: was {_show(before, name)}, now {_show(after, name)}"
        for name in names
        if _show(before, name) != _show(after, name)
    ]
    more = len(lines) - _SHOWN
    return lines if more <= 0 else [*lines[:_SHOWN], f"and {more} more"]


def _show(fields: Mapping[str, Any], name: str) -> str:
    return json.dumps(fields[name]) if name in fields else "absent"


def _fields(prefix: str, value: Any) -> list[tuple[str, Any]]:
    # The depth is that of our own configuration, three levels, so this recursion ends.
    if isinstance(value, Mapping):
        dot = f"{prefix}." if prefix else ""
        return [field for key in value for field in _fields(f"{dot}{key}", value[key])]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [
            field for index, one in enumerate(value) for field in _fields(f"{prefix}[{index}]", one)
        ]
    return [(prefix, value)]


def _canonical(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("ascii")


def seal(value: Mapping[str, Any]) -> bytes:
    """Canonical text of a value, with its own checksum in it."""
    digest = hashlib.sha256(_canonical(value)).hexdigest()
    return _canonical({**value, "sha256": digest})


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `seal` made; any changed bit is a `VerifyError`."""
    with reading(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise VerifyError(f"{path}: missing, so the folder is not finished") from error
    try:
        value = json.loads(content)
        rest = {key: value[key] for key in value if key != "sha256"}
        sound = seal(rest) == content
    except (ValueError, TypeError, AttributeError) as error:
        raise VerifyError(f"{path}: damaged: {error}") from error
    if not sound:
        raise VerifyError(f"{path}: damaged: its text does not have the checksum it states")
    return rest
