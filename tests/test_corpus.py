"""Documents go in from every kind of file and come out of every format, none lost or doubled."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from corpus_tools import (
    EOT,
    FORMATS,
    KINDS,
    expected_ids,
    pack,
    read_rows,
    small_tokenizer,
    snapshot,
    stored_ids,
    write_input,
)

import bytewright as bw
from bytewright.corpus import columnar, documents, readers, rows, streams

TEXTS: list[str | None] = [
    None if row % 9 == 4 else "the antenna in the thé, then " * (row % 5) + str(row) * (row % 2)
    for row in range(40)
]

TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
]


@pytest.fixture(scope="module")
def tokenizer() -> bw.Tokenizer:
    return small_tokenizer()


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of small parts would spend the time of these tests waiting for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def shrink(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Make blocks so small that every boundary case appears in a small file."""
    for module in (columnar, readers, streams):
        monkeypatch.setattr(module, "BLOCK", block)
    for module in (documents, streams):
        monkeypatch.setattr(module, "LONG", 2 * block)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", FORMATS)
def test_documents_come_back(
    tmp_path: Path, tokenizer: bw.Tokenizer, format: Any, kind: str
) -> None:
    path = write_input(tmp_path, kind, TEXTS)
    manifest = bw.encode_corpus(path, tokenizer, tmp_path / "out", format=format, part_bytes=400)
    assert stored_ids(tmp_path / "out", format) == expected_ids(tokenizer, TEXTS, format)
    assert manifest.documents == len(TEXTS)
    assert manifest.nulls == TEXTS.count(None)
    assert manifest.text_bytes == sum(len((text or "").encode()) for text in TEXTS)
    assert len(manifest.parts) > 2
    assert bw.verify_corpus(tmp_path / "out").ok


@pytest.mark.parametrize("kind", [*KINDS, "lines"])
@pytest.mark.parametrize("block", [1, 2, 3, 17, 64, 1000])
def test_block_size_changes_nothing_in_the_output(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch, kind: str, block: int
) -> None:
    options: dict[str, Any] = {"id_field": "id", "part_bytes": 100, "documents": "line"}
    if kind == "lines":
        path = tmp_path / "input.txt"
        path.write_bytes(
            b"the antenna\r\n\r\n\n\xff thin\r\r\nin" + b"then" * 50 + b"\r\n" * 3 + b"an"
        )
    else:
        path = write_input(tmp_path, kind, TEXTS)
    bw.encode_corpus(path, tokenizer, tmp_path / "whole", **options)
    shrink(monkeypatch, block)
    bw.encode_corpus(path, tokenizer, tmp_path / "small", **options)
    whole, small = (read_rows(tmp_path / name, "parquet") for name in ("whole", "small"))
    assert whole.equals(small)
    parts = [bw.Manifest.read(tmp_path / name).parts for name in ("whole", "small")]
    assert [part.documents for part in parts[0]] == [part.documents for part in parts[1]]


@pytest.mark.parametrize("format", FORMATS)
def test_threads_and_memory_change_no_byte(
    tmp_path: Path, tokenizer: bw.Tokenizer, format: Any
) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS * 50)
    for name, threads, memory in (("a", 1, 64 << 20), ("b", 4, 1 << 30), ("c", None, 64 << 20)):
        bw.encode_corpus(
            path,
            tokenizer,
            tmp_path / name,
            format=format,
            threads=threads,
            memory=memory,
            part_bytes=9000,
        )
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b") == snapshot(tmp_path / "c")


@pytest.mark.parametrize("format", FORMATS)
def test_bos_and_eos_are_added_when_asked_and_never_else(
    tmp_path: Path, tokenizer: bw.Tokenizer, format: Any
) -> None:
    path = write_input(tmp_path, "jsonl", ["the", "", None, "an"])
    end = tokenizer.special_tokens[EOT]
    bw.encode_corpus(path, tokenizer, tmp_path / "out", format=format, bos=65, eos=EOT)
    bare = [tokenizer.encode(text) for text in ("the", "", "an")]
    around = [[65, *ids, end] for ids in bare]
    want: dict[str, Any] = {
        "parquet": [around[0], around[1], None, around[2]],
        "megatron": [around[0], around[1], [], around[2]],
        "bin": [token for ids in around for token in ids],
    }
    want |= {"arrow": want["parquet"], "npy": want["bin"]}
    assert stored_ids(tmp_path / "out", format) == want[format]
    manifest = bw.Manifest.read(tmp_path / "out")
    assert manifest.config["policy"] == {"bos": [65], "eos": [end]}
    assert manifest.tokens == sum(len(ids) for ids in around)


def test_bos_must_be_an_id_or_a_special_token(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path = write_input(tmp_path, "jsonl", ["the"])
    for bad in (-1, tokenizer.vocab_size, "<s>"):
        with pytest.raises(bw.ArgumentError, match="bos="):
            bw.encode_corpus(path, tokenizer, tmp_path / "out", bos=bad)
    with pytest.raises(bw.ArgumentTypeError, match="bos must be an id"):
        bw.encode_corpus(path, tokenizer, tmp_path / "out", bos=True)


@pytest.mark.parametrize("block", [1, 5, 1000])
@pytest.mark.parametrize("format", FORMATS)
def test_a_text_file_is_one_document_of_any_bytes(
    tmp_path: Path,
    tokenizer: bw.Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    format: Any,
    block: int,
) -> None:
    contents = {
        "a.txt": b"the \xff\xfe an",
        "b.md": b"",
        "c.py": b"then\r\nin the\n" * 9,
        "d": b"a",
    }
    for name, content in contents.items():
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    (tmp_path / "in" / "e.txt.gz").write_bytes(pack(b"an antenna", ".gz"))
    shrink(monkeypatch, block)
    bw.encode_corpus(tmp_path / "in", tokenizer, tmp_path / "out", format=format, part_bytes=30)
    texts = [*contents.values(), b"an antenna"]
    assert stored_ids(tmp_path / "out", format) == expected_ids(tokenizer, texts, format)


def test_lines_end_with_lf_or_cr_lf(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    content = b"one\r\n\n\r\ntwo\r\r\n\rthree\n\xff"
    (tmp_path / "in.txt").write_bytes(content)
    bw.encode_corpus(
        tmp_path / "in.txt", tokenizer, tmp_path / "out", documents="line", id_field="id"
    )
    table = read_rows(tmp_path / "out", "parquet")
    want = [b"one", b"", b"", b"two\r", b"\rthree", b"\xff"]
    assert [tokenizer.decode_bytes(ids) for ids in table["ids"].to_pylist()] == want
    assert table["id"].to_pylist() == [f"in.txt:{line}" for line in range(1, 7)]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("given", ["empty jsonl", "blank jsonl", "no rows", "empty gz"])
def test_nothing_in_is_a_valid_corpus_of_nothing(
    tmp_path: Path, tokenizer: bw.Tokenizer, format: Any, given: str
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n \n" if given == "blank jsonl" else b"")
    if given == "no rows":
        path = write_input(tmp_path, "parquet", [])
    if given == "empty gz":
        path = tmp_path / "in.jsonl.gz"
        path.write_bytes(b"")
    manifest = bw.encode_corpus(path, tokenizer, tmp_path / "out", format=format, eos=EOT)
    assert (manifest.documents, manifest.tokens, len(manifest.parts)) == (0, 0, 1)
    assert len(stored_ids(tmp_path / "out", format)) == 0
    assert bw.verify_corpus(tmp_path / "out").ok


def test_rows_say_what_they_are(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path = write_input(tmp_path, "parquet", TEXTS)
    bw.encode_corpus(path, tokenizer, tmp_path / "out", id_field="id", eos=EOT)
    table = read_rows(tmp_path / "out", "parquet")
    assert table["id"].to_pylist() == [f"d{row}" for row in range(len(TEXTS))]
    lists = table["ids"].to_pylist()
    assert table["n_tokens"].to_pylist() == [None if ids is None else len(ids) for ids in lists]
    assert set(table["chunk"].to_pylist()) == {0}
    assert table.schema.field("ids").type == pa.list_(pa.int32())
    about = json.loads(
        pq.read_schema(tmp_path / "out" / "train-00000.parquet").metadata[b"bytewright"]
    )
    assert about["tokenizer"] == tokenizer.fingerprint
    assert about["policy"] == {"bos": [], "eos": [tokenizer.special_tokens[EOT]]}


def test_a_reader_of_folders_sees_only_the_parts(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    bw.encode_corpus(path, tokenizer, tmp_path / "out", part_bytes=400)
    assert pyarrow.dataset.dataset(tmp_path / "out").count_rows() == len(TEXTS)


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_a_document_beyond_a_row_is_cut_into_chunks(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    monkeypatch.setattr(rows, "MAX_ROW", 10)
    texts = ["an", "x" * 10, "y" * 25, "", "z" * 40]
    path = write_input(tmp_path, "jsonl", texts)
    bw.encode_corpus(path, tokenizer, tmp_path / "batch", format=format, id_field="id")
    shrink(monkeypatch, 8)
    bw.encode_corpus(path, tokenizer, tmp_path / "pieces", format=format, id_field="id")
    table = read_rows(tmp_path / "batch", format)
    assert table.equals(read_rows(tmp_path / "pieces", format))
    assert table["chunk"].to_pylist() == [0, 0, 0, 1, 2, 0, 0, 1, 2, 3]
    joined: dict[str, list[int]] = {}
    for row in table.to_pylist():
        joined.setdefault(row["id"], []).extend(row["ids"])
    assert list(joined.values()) == [tokenizer.encode(text) for text in texts]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_row_groups_follow_from_the_documents(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    monkeypatch.setattr(rows, "_GROUP_TOKENS", 50)
    monkeypatch.setattr(rows, "_GROUP_ROWS", 6)
    path = write_input(tmp_path, "jsonl", TEXTS)
    bw.encode_corpus(path, tokenizer, tmp_path / "whole", format=format)
    shrink(monkeypatch, 40)
    bw.encode_corpus(path, tokenizer, tmp_path / "small", format=format)
    files = [tmp_path / name / f"train-00000.{format}" for name in ("whole", "small")]
    assert files[0].read_bytes() == files[1].read_bytes()
    if format == "parquet":
        metadata = pq.read_metadata(files[0])
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        assert max(sizes) <= 6
        assert len(sizes) > 6


def test_a_huge_document_needs_no_memory_of_its_size(
    tmp_path: Path, tokenizer: bw.Tokenizer
) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        for _ in range(48):
            file.write(b"the antenna in there " * 50_000)
    tracemalloc.start()
    manifest = bw.encode_corpus(
        tmp_path / "huge.txt", tokenizer, tmp_path / "out", format="bin", part_bytes=1
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (manifest.documents, manifest.text_bytes) == (1, 48 * 50_000 * 21)
    assert peak < manifest.text_bytes
    stored = np.fromfile(tmp_path / "out" / "train.bin", "<u2")
    assert len(stored) == manifest.tokens
    # The text repeats, so all but its very beginning and end must repeat too.
    period = tokenizer.encode(" the antenna in there")
    assert tokenizer.decode_bytes(stored[:1000].tolist()).startswith(b"the antenna in there the")
    middle = stored[1000:-1000].tolist()
    shift = next(i for i in range(len(period)) if middle[i : i + len(period)] == period)
    whole = (len(middle) - shift) // len(period) * len(period)
    assert middle[shift : shift + whole] == period * (whole // len(period))


def test_progress_counts_to_the_end(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    paths = [
        write_input(tmp_path, kind, TEXTS) for kind in ("jsonl", "parquet", "arrow", "jsonl.gz")
    ]
    seen: list[Any] = []
    manifest = bw.encode_corpus(
        paths, tokenizer, tmp_path / "out", part_bytes=300, progress=seen.append
    )
    total = sum(path.stat().st_size for path in paths)
    assert [one.bytes_done for one in seen] == sorted(one.bytes_done for one in seen)
    assert {one.bytes_total for one in seen} == {total}
    assert seen[-1].bytes_done == total
    assert (seen[-1].documents, seen[-1].tokens) == (manifest.documents, manifest.tokens)
    assert seen[-1].part == len(manifest.parts) - 1


def test_dtype_follows_the_format_and_must_fit(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    chosen: list[tuple[Any, str]] = [("bin", "uint32"), ("npy", "int32"), ("megatron", "int32")]
    for format, dtype in chosen:
        out = tmp_path / f"{format}-{dtype}"
        bw.encode_corpus(path, tokenizer, out, format=format, dtype=dtype)
        if format == "bin":
            flat = np.fromfile(out / "train.bin", "<u4").tolist()
            assert flat == expected_ids(tokenizer, TEXTS, "bin")
        else:
            assert stored_ids(out, format) == expected_ids(tokenizer, TEXTS, format)
    with pytest.raises(bw.ArgumentError, match="'uint32' is not one of format 'megatron'"):
        bw.encode_corpus(path, tokenizer, tmp_path / "no", format="megatron", dtype="uint32")


def test_npy_is_what_numpy_would_write(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    bw.encode_corpus(path, tokenizer, tmp_path / "out", format="npy", part_bytes=300)
    mapped = np.load(tmp_path / "out" / "train.npy", mmap_mode="r")
    assert mapped.tolist() == expected_ids(tokenizer, TEXTS, "npy")
    np.save(tmp_path / "numpy.npy", np.asarray(mapped))
    assert (tmp_path / "numpy.npy").read_bytes() == (tmp_path / "out" / "train.npy").read_bytes()


def test_ids_of_documents_may_be_numbers(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    (tmp_path / "in.jsonl").write_text('{"text":"a","n":7}\n{"text":"b"}\n{"n":"x","text":null}\n')
    bw.encode_corpus(tmp_path / "in.jsonl", tokenizer, tmp_path / "out", id_field="n")
    assert read_rows(tmp_path / "out", "parquet")["id"].to_pylist() == ["7", None, "x"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dictionary", [False, True])
def test_any_column_of_text_is_read(
    tmp_path: Path, tokenizer: bw.Tokenizer, kind: pa.DataType, dictionary: bool
) -> None:
    if dictionary and kind in (pa.string_view(), pa.binary_view()):
        pytest.skip("pyarrow encodes no dictionary of views")
    column = pa.array(TEXTS, pa.string()).cast(kind)
    table = pa.table({"text": column.dictionary_encode() if dictionary else column})
    with pa.ipc.new_file(tmp_path / "in.arrow", table.schema) as writer:
        writer.write_table(table)
    bw.encode_corpus(tmp_path / "in.arrow", tokenizer, tmp_path / "out")
    assert stored_ids(tmp_path / "out", "parquet") == expected_ids(tokenizer, TEXTS, "parquet")
