"""`bytewright demo`: the main job before the reader's eyes, without a download.

Python's own help and sources become a JSON Lines file, that becomes ids in Parquet, the ids are
read back and decoded, and every document is compared with what it was.
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bytewright.cli import common
from bytewright.cli.visible import Cell, paint, visible, wrapped

if TYPE_CHECKING:
    from bytewright.tokenizer import Tokenizer

SENTENCE = b"Bytes in, tokens out, and the same bytes back: \xe2\x9c\x93 \xf0\x9f\x90\x8d\xff"


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to leave the files. Default: a temporary folder.",
            readable=False,
        ),
    ] = None,
    threads: common.Threads = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
) -> None:
    """Encode real text to Parquet and get it back byte for byte. Downloads nothing."""
    from bytewright import demo as embedded

    folder = _folder(out)
    tokenizer = embedded.tokenizer()
    story = _Story(silent=as_json)
    texts = _gather(folder, story)
    parquet = _encode(folder, tokenizer, threads, story)
    ids = _read(parquet, story)
    back = _decode(tokenizer, ids, story)
    _compare(texts, back, story)
    if as_json:
        common.write_json(story.facts)
        return
    print()
    _print_tokens(tokenizer)
    print(f"\nThe Parquet files are in {parquet}")
    print(f"All {len(texts):,} documents came back byte for byte.")


class _Story:
    """What happened so far: lines for a reader, facts for a program."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.facts: dict[str, object] = {}

    def tell(self, step: str, sentence: str, facts: dict[str, object]) -> None:
        self.facts.update(facts)
        if not self.silent:
            print(f"{step:<8} {sentence}", flush=True)


def _folder(out: Path | None) -> Path:
    from bytewright.errors import ArgumentError

    if out is None:
        return Path(tempfile.mkdtemp(prefix="bytewright-demo-"))
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ArgumentError(f"{out} is not an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _gather(folder: Path, story: _Story) -> list[bytes]:
    """Write the texts of this Python as JSON Lines, one document a line."""
    from bytewright import demo as embedded
    from bytewright.errors import DataError

    texts: list[bytes] = []
    path = folder / "text.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, text in embedded.documents():
            file.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
            texts.append(text.encode())
    if not texts:
        raise DataError("this Python has neither its help topics nor its sources")
    size = sum(map(len, texts))
    story.tell(
        "gather",
        f"{len(texts):,} documents, {size / 1e6:.1f} MB: the help and the standard library of "
        f"Python {platform.python_version()}",
        {"documents": len(texts), "bytes": size, "text": str(path)},
    )
    return texts


def _encode(folder: Path, tokenizer: Tokenizer, threads: int | None, story: _Story) -> Path:
    from bytewright.corpus import encode_corpus

    parquet = folder / "ids"
    size = story.facts["bytes"]
    assert isinstance(size, int)
    start = time.perf_counter()
    manifest = encode_corpus([folder / "text.jsonl"], tokenizer, parquet, threads=threads)
    seconds = time.perf_counter() - start
    tokens = manifest.tokens
    story.tell(
        "encode",
        f"{tokens:,} tokens with the embedded vocabulary of {tokenizer.vocab_size:,}: "
        f"{size / tokens:.2f} bytes a token, {size / 1e6 / seconds:.0f} MB/s from file to file",
        {"tokens": tokens, "bytes_per_token": size / tokens, "encode_seconds": seconds},
    )
    return parquet


def _read(parquet: Path, story: _Story) -> Any:
    """The ids of every document, as they stand in the files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(parquet.rglob("*.parquet"))
    table = pa.concat_tables([pq.read_table(file) for file in files])
    size = sum(file.stat().st_size for file in files)
    story.tell(
        "read",
        f"{table.num_rows:,} rows of {', '.join(table.column_names)} from "
        f"{common.plural(len(files), 'Parquet file')} of {size / 1e6:.1f} MB",
        {"parquet": str(parquet), "rows": table.num_rows, "parquet_bytes": size},
    )
    return table


def _decode(tokenizer: Tokenizer, table: Any, story: _Story) -> list[bytes]:
    lists = table["ids"].combine_chunks()
    start = time.perf_counter()
    decoded = tokenizer.decode_batch(lists)
    seconds = time.perf_counter() - start
    back: list[bytes] = decoded.to_pylist()
    size = sum(map(len, back))
    story.tell(
        "decode",
        f"{size / 1e6:.1f} MB, {size / 1e6 / seconds:.0f} MB/s",
        {"decoded_bytes": size, "decode_seconds": seconds},
    )
    return back


def _compare(texts: Sequence[bytes], back: Sequence[bytes], story: _Story) -> None:
    from bytewright.errors import DataError

    if len(texts) != len(back):
        raise DataError(f"{len(texts)} documents went in and {len(back)} came back")
    wrong = [
        number for number, pair in enumerate(zip(texts, back, strict=True)) if pair[0] != pair[1]
    ]
    if wrong:
        raise DataError(f"{len(wrong)} of {len(texts)} documents differ, first number {wrong[0]}")
    story.tell("compare", "every byte is equal", {"equal": True})


def _print_tokens(tokenizer: Tokenizer) -> None:
    """One line of tokens, with a byte that is no text at its end."""
    tokens = [tokenizer.token_bytes(number) for number in tokenizer.encode(SENTENCE)]
    cells = [Cell((visible(token),), (n,), (True,)) for n, token in enumerate(tokens)]
    for line in wrapped(cells, 100):
        print(*paint(line, colour=common.colour_wanted()), sep="\n")
