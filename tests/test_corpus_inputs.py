"""Which files a corpus is, and what is said about one that cannot be read."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from corpus_tools import pack, read_rows, small_tokenizer, stored_ids, write_input
from hypothesis import given
from hypothesis import strategies as st

import bytewright as bw
from bytewright.corpus import inputs, readers, streams
from bytewright.corpus.documents import whole_texts
from bytewright.corpus.readers import Reading, all_documents


@pytest.fixture(scope="module")
def tokenizer() -> bw.Tokenizer:
    return small_tokenizer()


def names(manifest: bw.Manifest) -> list[str]:
    return [one["name"] for one in manifest.config["inputs"]]


def tree(folder: Path, *files: str) -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_a_folder_is_all_its_files_in_byte_order(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    tree(tmp_path / "in", "b.txt", "a/z.txt", "a.txt", "B.txt", "é.txt", ".hidden", "_x/y.txt")
    manifest = bw.encode_corpus(tmp_path / "in", tokenizer, tmp_path / "out", format="bin")
    assert names(manifest) == ["B.txt", "a.txt", "a/z.txt", "b.txt", "é.txt"]
    flat = b"".join(name.encode() for name in names(manifest))
    assert tokenizer.decode_bytes(stored_ids(tmp_path / "out", "bin")) == flat


def test_order_is_as_given_and_a_glob_is_sorted(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    tree(tmp_path, "c.txt", "a.md", "b.md")
    given: list[str | Path] = [tmp_path / "c.txt", str(tmp_path / "*.md")]
    assert names(bw.encode_corpus(given, tokenizer, tmp_path / "out")) == ["c.txt", "a.md", "b.md"]


def test_the_output_folder_is_no_input(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    tree(tmp_path, "a.txt", "b.txt")
    first = bw.encode_corpus(tmp_path, tokenizer, tmp_path / "out")
    assert names(first) == ["a.txt", "b.txt"]
    assert bw.encode_corpus(tmp_path, tokenizer, tmp_path / "out") == first


@pytest.mark.skipif(sys.platform != "linux", reason="names there are UTF-8")
@pytest.mark.parametrize("kind", ["txt", "txt.zst", "jsonl", "jsonl.gz", "parquet", "arrow.zst"])
@pytest.mark.parametrize("how", ["file", "folder", "glob"])
def test_a_name_that_is_no_utf8_is_read(
    tmp_path: Path, tokenizer: bw.Tokenizer, kind: str, how: str
) -> None:
    folder = tmp_path / os.fsdecode(b"\xe9")
    folder.mkdir()
    path = folder / os.fsdecode(b"bad\xff." + kind.encode())
    text = kind.startswith("txt")
    if text:
        path.write_bytes(pack(b"the text", kind))
    else:
        write_input(tmp_path, kind, ["the text"]).rename(path)
    places: dict[str, str | Path] = {"file": path, "folder": folder, "glob": f"{folder}/bad*"}
    given = places[how]
    out = tmp_path / "out"
    manifest = bw.encode_corpus(given, tokenizer, out, format="arrow", id_field="id")
    assert names(manifest) == [rf"bad\xff.{kind}"] == names(bw.Manifest.read(out))
    assert stored_ids(out, "arrow") == [tokenizer.encode("the text")]
    assert read_rows(out, "arrow")["id"].to_pylist() == [names(manifest)[0] if text else "d0"]
    odd = out.rename(tmp_path / os.fsdecode(b"out\xff"))
    assert bw.verify_corpus(odd, sample=1, tokenizer=tokenizer, inputs=given).ok
    counts = bw.count_pretokens([given], pattern="gpt2", checkpoint=tmp_path / os.fsdecode(b"\xfe"))
    assert counts == bw.count_pretokens([given], pattern="gpt2", memory="64M")
    assert dict(counts) == {b"the": 1, b" text": 1}
    assert bw.train([given], 257).merges == bw.train([b"the text"], 257).merges


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_to_folders_are_followed_and_each_folder_is_read_once(
    tmp_path: Path, tokenizer: bw.Tokenizer
) -> None:
    tree(tmp_path, "in/m/a.txt", "in/b.txt", "else/c.txt", "else/deep/d.txt", "else/_no/e.txt")
    tree(tmp_path, "far/f.txt", "hidden/g.txt")
    for link, target in {
        "in/z": "else", "in/y": "else", "else/far": "far", "far/round": "in", "in/self": "in",
        "else/up": "else", "in/k": "in/m", "in/.hidden": "hidden", "far/deep": "else/deep",
    }.items():  # fmt: skip
        (tmp_path / link).symlink_to(tmp_path / target)
    assert bw.count_pretokens([tmp_path / "in"], pattern=None).total == 5
    manifest = bw.encode_corpus(tmp_path / "in", tokenizer, tmp_path / "in/out")
    assert names(manifest) == ["b.txt", "m/a.txt", "y/c.txt", "y/deep/d.txt", "y/far/f.txt"]
    # The output folder is no input behind a link either.
    (tmp_path / "in/results").symlink_to(tmp_path / "in/out")
    assert bw.encode_corpus(tmp_path / "in", tokenizer, tmp_path / "in/out") == manifest


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize("given", ["in", "in/*", "in/a.txt"])
def test_a_link_to_nothing_is_named(tmp_path: Path, tokenizer: bw.Tokenizer, given: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").symlink_to("a.txt")
    with pytest.raises(bw.DataError, match=r"in/(a\.txt|\*)"):
        bw.encode_corpus(str(tmp_path / given), tokenizer, tmp_path / "out")


def test_a_moved_corpus_gives_the_same_manifest(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    tree(tmp_path / "here", "x/a.txt", "y/b.txt")
    tree(tmp_path / "deep/er/there", "x/a.txt", "y/b.txt")
    for name in ("here", "deep/er/there"):
        paths = [tmp_path / name / "x", tmp_path / name / "y/b.txt"]
        bw.encode_corpus(paths, tokenizer, tmp_path / f"out-{name[:4]}")
    here, there = (bw.Manifest.read(tmp_path / f"out-{name}") for name in ("here", "deep"))
    assert here.to_bytes().replace(b"here", b"") == there.to_bytes().replace(b"here", b"")


def test_a_file_given_twice_is_refused(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    tree(tmp_path / "in", "a.txt", "b.txt")
    with pytest.raises(bw.ArgumentError, match=r"b\.txt is given twice"):
        bw.encode_corpus([tmp_path / "in", tmp_path / "in" / "b.txt"], tokenizer, tmp_path / "out")


def test_inputs_without_a_file_are_refused_and_an_empty_file_is_not(
    tmp_path: Path, tokenizer: bw.Tokenizer
) -> None:
    tree(tmp_path / "in", ".hidden", "_x/y.txt")
    out = tmp_path / "out"
    with pytest.raises(bw.ArgumentError, match="none is given"):
        bw.encode_corpus([], tokenizer, out)
    for nothing, message in {"in": "no file in this folder", "in/*.txt": "no file matches"}.items():
        for call in (
            lambda given: bw.encode_corpus(given, tokenizer, out),
            lambda given: bw.count_pretokens(given, pattern=None),
            lambda given: bw.train(given, 300),
        ):
            with pytest.raises(bw.DataError, match=message):
                call(tmp_path / nothing)
    assert not (out / "_manifest.json").exists()
    (tmp_path / "in/empty.txt").touch()
    manifest = bw.encode_corpus(tmp_path / "in", tokenizer, out, documents="line")
    assert (names(manifest), manifest.documents) == (["empty.txt"], 0)
    assert bw.verify_corpus(out).ok


def test_many_members_of_gzip_and_zstd_are_one_text(
    tmp_path: Path, tokenizer: bw.Tokenizer
) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"the ") + gzip.compress(b"antenna "))
    (tmp_path / "b.txt.zst").write_bytes(zstandard.compress(b"in ") + zstandard.compress(b"there"))
    bw.encode_corpus(tmp_path / "*.txt.*", tokenizer, tmp_path / "out", format="bin")
    ids = stored_ids(tmp_path / "out", "bin")
    assert tokenizer.decode_bytes(ids) == b"the antenna in there"


def drained(source: Any, size: int) -> bytes:
    found = b"".join(iter(lambda: source.read(size), b""))
    assert source.read(size) == b""
    return found


@pytest.mark.parametrize("packed", [1, 7, 64 << 10])
@given(
    st.lists(st.tuples(st.binary(max_size=9) | st.just(b"ab" * 99), st.integers(0, 9)), min_size=1),
    st.integers(1, 99),
    st.floats(0, 1),
)
def test_gzip_is_read_as_python_reads_it(
    packed: int, members: list[tuple[bytes, int]], size: int, share: float
) -> None:
    """Members with zeros behind them, whole and cut off anywhere, in steps of any size."""
    whole = b"".join(gzip.compress(text) + b"\0" * zeros for text, zeros in members)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_PACKED", packed)
        for data in (whole, whole[: int(share * len(whole))] or whole[:1]):
            source = streams._unpacked(io.BytesIO(data), "gzip")
            try:
                expected = gzip.GzipFile(fileobj=io.BytesIO(data)).read()
            except (EOFError, gzip.BadGzipFile):
                with pytest.raises(OSError, match="Truncated"):
                    drained(source, size)
            else:
                assert drained(source, size) == expected


def skippable(size: int) -> bytes:
    return struct.pack("<II", 0x184D2A5F, size) + b"x" * size


def test_zstd_is_read_as_its_reference_reads_it(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    """Frames, empty ones and ones that are to be skipped, wherever they stand."""
    frames = [
        skippable(0), zstandard.compress(b"the "), skippable(200_000), zstandard.compress(b""),
        zstandard.compress(b"antenna"), skippable(3),
    ]  # fmt: skip
    data = b"".join(frames)
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    (tmp_path / "a.txt.zst").write_bytes(data)
    bw.encode_corpus(tmp_path / "a.txt.zst", tokenizer, tmp_path / "out", format="bin")
    assert tokenizer.decode_bytes(stored_ids(tmp_path / "out", "bin")) == reader.read()


def test_zeros_behind_gzip_are_no_text(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    lines, table = tmp_path / "a.jsonl.gz", tmp_path / "b.parquet.gz"
    lines.write_bytes(gz(LINES) + bytes(100_000) + gz(LINES) + bytes(512))
    table.write_bytes(gz(parquet(pa.table({"text": ["the"]}))) + bytes(512))
    manifest = bw.encode_corpus([lines, table], tokenizer, tmp_path / "out")
    assert manifest.documents == 2001
    with lines.open("ab") as file:
        file.write(b"no member")
    with pytest.raises(bw.DataError, match="incorrect header check"):
        bw.encode_corpus(lines, tokenizer, tmp_path / "again")


def test_a_large_file_is_known_by_samples_and_time(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "_WHOLE", 100)
    monkeypatch.setattr(inputs, "_SAMPLES", 4)
    monkeypatch.setattr(inputs, "_SAMPLE", 8)
    path = tmp_path / "in.txt"
    path.write_bytes(b"the " * 100)
    found = [inputs.find_sources(path, exclude=tmp_path)[0]]
    for offset in (0, 131, 262, 399):
        content = bytearray(b"the " * 100)
        content[offset] ^= 1
        path.write_bytes(content)
        found.append(inputs.find_sources(path, exclude=tmp_path)[0])
    assert len({one.sha256 for one in found}) == 5
    assert found[0].identity()["sampled"] is True


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


LINES = b"".join(json.dumps({"text": f"the {row}"}).encode() + b"\n" for row in range(1000))
WRONG = pa.table({"body": ["a"], "text": [1]})
BAD: dict[str, tuple[str, bytes, str]] = {
    "cut gzip": ("a.jsonl.gz", gz(LINES)[:-9], "Truncated compressed stream"),
    "damaged gzip": ("a.txt.gz", gz(LINES)[:-6] + b"\0" + gz(LINES)[-5:], "incorrect data check"),
    "no gzip": ("a.jsonl.gz", LINES, "incorrect header check"),
    "cut zstd": ("a.jsonl.zst", zstandard.compress(LINES)[:-9], "Truncated compressed stream"),
    "bad JSON": ("a.jsonl", LINES + b'{"text": "a"\n' + LINES, r"line 1001\b"),
    "JSON cut off": ("a.jsonl", LINES[:-4], r"line 1000\b"),
    "no object": ("a.jsonl", LINES + b"[1]\n", r"line 1001\b"),
    "no field": ("a.jsonl", LINES + b'\n\n{"body": "a"}\n', r"line 1003\b.*text"),
    "no string": ("a.jsonl", LINES + b'{"text": 7}\n', r"line 1001\b"),
    "JSON not UTF-8": ("a.jsonl", LINES + b'{"text": "\xff"}\n', r"line 1001\b"),
    "no column": ("a.parquet", parquet(WRONG.drop(["text"])), "no column 'text'; it has body"),
    "no text column": ("a.parquet", parquet(WRONG), "column 'text' is int64"),
    "no text in arrow": ("a.arrow", arrow(WRONG), "column 'text' is int64"),
    "parquet garbage": ("a.parquet", b"PAR1" + b"x" * 100 + b"PAR1", "arquet"),
    "empty parquet": ("a.parquet", b"", "arquet"),
    "cut parquet": ("a.parquet", parquet(WRONG)[:-20], "arquet"),
    "arrow garbage": ("a.arrow", b"ARROW1\0\0" + b"x" * 100, "a.arrow"),
    "no arrow": ("a.feather", b"hello, world", "a.feather"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_input_is_named_with_the_place(
    tmp_path: Path, tokenizer: bw.Tokenizer, case: str
) -> None:
    name, content, message = BAD[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(bw.DataError, match=message) as caught:
        bw.encode_corpus(path, tokenizer, tmp_path / "out")
    assert str(path) in str(caught.value)
    assert not list((tmp_path / "out").glob("*.parquet"))
    assert not (tmp_path / "out" / "_manifest.json").exists()


def test_a_damaged_page_names_its_row_group(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    table = pa.table({"text": [os.urandom(500).hex() for _ in range(40)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10, use_dictionary=False)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    chunk = pq.read_metadata(tmp_path / "a.parquet").row_group(2).column(0)
    content[chunk.data_page_offset : chunk.data_page_offset + 60] = b"\xff" * 60
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(bw.DataError, match=r"a\.parquet, row 0 of row group 2"):
        bw.encode_corpus(tmp_path / "a.parquet", tokenizer, tmp_path / "out")


@pytest.mark.parametrize("given", ["missing.txt", "missing/", "*.none"])
def test_a_missing_input_is_named(tmp_path: Path, tokenizer: bw.Tokenizer, given: str) -> None:
    with pytest.raises(bw.DataError, match=given.strip("*/")):
        bw.encode_corpus(f"{tmp_path}/{given}", tokenizer, tmp_path / "out")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
@pytest.mark.parametrize("what", ["in", "in/a.txt"])
def test_an_unreadable_input_is_named(tmp_path: Path, tokenizer: bw.Tokenizer, what: str) -> None:
    tree(tmp_path / "in", "a.txt")
    (tmp_path / what).chmod(0)
    try:
        with pytest.raises(bw.DataError, match=f"cannot read .*{what}"):
            bw.encode_corpus(tmp_path / "in", tokenizer, tmp_path / "out")
    finally:
        (tmp_path / what).chmod(0o700)


def test_a_file_that_changes_under_the_run_is_refused(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_input(tmp_path, "jsonl", ["the"])
    find = inputs.find_sources

    def then_append(*args: Any, **options: Any) -> Any:
        found = find(*args, **options)
        with path.open("a") as file:
            file.write('{"text": "an"}\n')
        return found

    monkeypatch.setattr("bytewright.corpus.run.find_sources", then_append)
    with pytest.raises(bw.DataError, match=r"input\.jsonl: changed"):
        bw.encode_corpus(path, tokenizer, tmp_path / "out")


def test_a_json_line_has_a_limit(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_LINE_LIMIT", 1000)
    monkeypatch.setattr(streams, "BLOCK", 64)
    monkeypatch.setattr(streams, "LONG", 128)
    path = write_input(tmp_path, "jsonl", ["the", "x" * 700, "y" * 1000])
    with pytest.raises(bw.DataError, match=r"input\.jsonl, line 3 \(byte \d+\): longer than 1000"):
        bw.encode_corpus(path, tokenizer, tmp_path / "out")


def test_arguments_are_checked_before_the_folder_is_made(
    tmp_path: Path, tokenizer: bw.Tokenizer
) -> None:
    path = write_input(tmp_path, "jsonl", ["the"])
    bad: list[dict[str, Any]] = [
        {"format": "csv"},
        {"documents": "word"},
        {"part_bytes": 0},
        {"memory": 1},
        {"name": "a/b"},
        {"name": ".a"},
        {"dtype": "int64"},
    ]
    for options in bad:
        with pytest.raises(bw.ArgumentError, match=str(next(iter(options.values())))):
            bw.encode_corpus(path, tokenizer, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path = write_input(tmp_path, "jsonl", ["the"])
    tree(tmp_path / "out", "thesis.tex")
    with pytest.raises(bw.ArgumentError, match=r"not empty.*thesis\.tex"):
        bw.encode_corpus(path, tokenizer, tmp_path / "out")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_json_names_are_texts_numbers_and_booleans(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    named = {
        '"a\\u00e9"': "aé", "7": "7", "-1.50": "-1.50", "1e999": "1e999", "true": "true",
        "false": "false", "null": None, "12345678901234567890123": "12345678901234567890123",
    }  # fmt: skip
    # What stands in other fields is not looked at, whatever the names are.
    deep = "[" * 5000 + "]" * 5000
    rest = b'"a":"\xff\\ud800","b":' + deep.encode() + b',"text":'
    lines = [b'{"id":%s,%s"a"}\n' % (name.encode(), rest) for name in named]
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join([*lines, b"{%snull}\n" % rest]))
    bw.encode_corpus(path, tokenizer, tmp_path / "out", id_field="id")
    rows = read_rows(tmp_path / "out", "parquet")
    assert rows["id"].to_pylist() == [*named.values(), None]
    assert rows["ids"].is_null().to_pylist() == [*[False] * len(named), True]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ('"\\ud800"', r"line 3: .*lone surrogate"),
        ("{}", r"line 3: .*expected a string, a number or a boolean in the field \"id\""),
        ("[1]", r"line 3: .*expected a string, a number or a boolean in the field \"id\""),
    ],
)
def test_a_json_name_of_another_kind_is_refused_with_its_line(
    tmp_path: Path, tokenizer: bw.Tokenizer, name: str, message: str
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(f'\n{{"id":"a","text":"a"}}\n{{"id":{name},"text":"a"}}\n')
    with pytest.raises(bw.DataError, match=message):
        bw.encode_corpus(path, tokenizer, tmp_path / "out", id_field="id")


def test_the_output_is_a_folder_and_the_tokenizer_one(
    tmp_path: Path, tokenizer: bw.Tokenizer
) -> None:
    text = tmp_path / "a.txt"
    text.write_bytes(b"one")
    with pytest.raises(bw.ArgumentError, match=r"a\.txt is no folder"):
        bw.encode_corpus(text, tokenizer, text)
    swapped: Any = [text]
    with pytest.raises(bw.ArgumentTypeError, match="a Tokenizer is needed, not list"):
        bw.encode_corpus(text, swapped, tmp_path / "out")
    half: Any = SimpleNamespace(encode_batch=tokenizer.encode_batch)
    with pytest.raises(bw.ArgumentTypeError, match="not SimpleNamespace without fingerprint, "):
        bw.encode_corpus(text, half, tmp_path / "out")
    assert text.read_bytes() == b"one"
    assert not (tmp_path / "out").exists()


def test_texts_are_whole_however_they_are_read(tmp_path: Path) -> None:
    long, short = b"0123456789" * 1_000_000, [b"a", b"", b"b\xff"]
    (tmp_path / "long.txt").write_bytes(long)
    for number, text in enumerate(short):
        (tmp_path / f"short{number}.txt").write_bytes(text)
    total, items = all_documents([tmp_path], Reading("text", None, "file"))
    texts, told = zip(*whole_texts(items), strict=True)
    assert [one for some in texts for one in some] == [long, *short]
    assert texts.count([]) > 0, "a long one comes in pieces"
    assert (max(told), total) == (len(long) + 3, len(long) + 3)
    assert list(told) == sorted(told)
