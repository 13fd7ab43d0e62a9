"""Counted pieces are those of a plain counter, however the text arrives and whoever counted it."""

from __future__ import annotations

import copy
import io
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import regex  # type: ignore[import-untyped]
from corpus_tools import write_input

import bytewright as bw
from bytewright.formats.patterns import pattern_steps

WORDS = ["to", "be", "or", "not", " to", "'s", "12345", "naïve", "क्षत्रिय", "漢字仮名", "\n\n", "  "]


def regex_of(pattern: str) -> str:
    (step,) = pattern_steps(pattern)
    return str(step["regex"])


def naive(texts: Iterable[str | None], pattern: str | None) -> dict[bytes, int]:
    """The definition: every match of the pattern in every text, counted."""
    found: Counter[bytes] = Counter()
    for text in texts:
        pieces = [text or ""] if pattern is None else regex.findall(regex_of(pattern), text or "")
        found.update(piece.encode() for piece in pieces if piece)
    return dict(found)


def some_texts(rows: int = 300, seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    return [
        "".join(chance.choice(WORDS) + " " * (chance.random() < 0.7) for _ in range(row % 37))
        for row in range(rows)
    ]


TEXTS = some_texts()


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "gpt4", "o200k", "qwen2", None])
@pytest.mark.parametrize("threads", [1, 2])
def test_counts_are_those_of_the_definition(pattern: str | None, threads: int) -> None:
    counts = bw.count_pretokens(TEXTS, pattern=pattern, threads=threads)
    assert dict(counts) == naive(TEXTS, pattern)
    assert [piece for piece, _ in counts] == sorted(piece for piece, _ in counts)


def test_a_regex_and_its_name_are_one_pattern() -> None:
    by_name = bw.count_pretokens(TEXTS, pattern="gpt2")
    assert bw.count_pretokens(TEXTS, pattern=regex_of("gpt2")) == by_name
    own = bw.count_pretokens(TEXTS, pattern=r"\w|\W")
    assert own.pattern == r"\w|\W"
    assert own != by_name


SOURCES: dict[str, Callable[[Path, list[str | None]], Any]] = {
    "list": lambda folder, texts: texts,
    "generator": lambda folder, texts: iter(texts),
    "bytes": lambda folder, texts: [text and text.encode() for text in texts],
    "array": lambda folder, texts: pa.array(texts),
    "large array": lambda folder, texts: pa.array(texts, pa.large_binary()),
    "chunks": lambda folder, texts: pa.chunked_array([pa.array(texts[:50]), pa.array(texts[50:])]),
    "dictionary": lambda folder, texts: pa.array(texts).dictionary_encode(),
    "arrays": lambda folder, texts: [pa.array(texts[:50]), pa.array(texts[50:], pa.large_string())],
    "table": lambda folder, texts: pa.table({"id": range(len(texts)), "text": texts}),
    "jsonl": lambda folder, texts: write_input(folder, "jsonl", texts),
    "jsonl.gz": lambda folder, texts: str(write_input(folder, "jsonl.gz", texts)),
    "jsonl.zst": lambda folder, texts: [str(write_input(folder, "jsonl.zst", texts))],
    "parquet": lambda folder, texts: [write_input(folder, "parquet", texts)],
    "folder": lambda folder, texts: write_input(folder, "parquet", texts).parent,
    "glob": lambda folder, texts: f"{write_input(folder, 'jsonl', texts).parent}/*",
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("threads", [1, 2])
def test_every_source_gives_the_same(tmp_path: Path, source: str, threads: int) -> None:
    texts: list[str | None] = [*TEXTS[:100], None, *TEXTS[100:]]
    counts = bw.count_pretokens(SOURCES[source](tmp_path, texts), pattern="cl100k", threads=threads)
    assert dict(counts) == naive(texts, "cl100k")


def test_a_text_file_is_one_document_or_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(b"one  \ntwo\r\n\nthree  ")
    whole = dict(bw.count_pretokens(path, pattern="cl100k"))
    assert whole == naive(["one  \ntwo\r\n\nthree  "], "cl100k")
    lines = dict(bw.count_pretokens([path], pattern="cl100k", documents="line"))
    assert lines == naive(["one  ", "two", "", "three  "], "cl100k")
    for documents, expected in [("file", whole), ("line", lines)]:
        with path.open("rb") as file:
            counts = bw.count_pretokens(file, pattern="cl100k", documents=documents)  # type: ignore[arg-type]
        assert dict(counts) == expected


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])
def test_a_long_document_is_counted_as_one(tmp_path: Path, pattern: str) -> None:
    text = "".join(some_texts(1200, seed=2)) * 20 + "漢字" * 500_000 + " " * 3_000_000
    assert len(text.encode()) > 2 * (4 << 20)
    path = tmp_path / "long.txt"
    path.write_text(text, encoding="utf-8")
    expected = naive([text], pattern)
    assert dict(bw.count_pretokens([text], pattern=pattern)) == expected
    assert dict(bw.count_pretokens(path, pattern=pattern)) == expected


def test_a_document_of_one_endless_piece_is_one_piece() -> None:
    piece = b"acgt" * 2_500_000
    for pattern in ("gpt2", r"\w+", None):
        assert dict(bw.count_pretokens([piece, piece], pattern=pattern)) == {piece: 2}


def test_bytes_that_are_not_utf8_are_counted() -> None:
    text = b"one \xff\xfe one\x80 \xf0\x9f one"
    counts = bw.count_pretokens([text], pattern="gpt2")
    assert b"".join(piece * count for piece, count in counts).count(b"\xff") == 1
    assert counts.total_bytes == len(text)
    assert counts[b" one"] == 2
    assert dict(bw.count_pretokens([text], pattern=None)) == {text: 1}


@pytest.mark.parametrize("nothing", [[], [""], [None], iter(()), pa.array([], pa.string())])
def test_nothing_has_no_pieces(nothing: Any) -> None:
    counts = bw.count_pretokens(nothing, pattern="gpt2")
    assert len(counts) == counts.total == counts.total_bytes == 0
    assert counts.most_common() == []


PARTS = [1, 2, 7, 64]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("parts", PARTS)
def test_no_partition_changes_the_saved_bytes(tmp_path: Path, parts: int, threads: int) -> None:
    bw.count_pretokens(TEXTS, pattern="o200k", threads=1).save(tmp_path / "whole.parquet")
    expected = (tmp_path / "whole.parquet").read_bytes()
    texts = TEXTS.copy()
    random.Random(parts).shuffle(texts)
    paths = []
    for part in range(parts):
        (tmp_path / f"{part}").mkdir()
        paths.append(write_input(tmp_path / f"{part}", "jsonl", texts[part::parts]))
    bw.count_pretokens(paths, pattern="o200k", threads=threads).save(tmp_path / "once.parquet")
    apart = [bw.count_pretokens(path, pattern="o200k", threads=threads) for path in paths]
    bw.PretokenCounts.merge(apart).save(tmp_path / "merged.parquet")
    for index, one in enumerate(apart):
        one.save(tmp_path / f"{index}.parquet")
    loaded = [bw.PretokenCounts.load(tmp_path / f"{index}.parquet") for index in range(parts)]
    sum(loaded).save(tmp_path / "summed.parquet")  # type: ignore[union-attr]
    for name in ("once", "merged", "summed"):
        assert (tmp_path / f"{name}.parquet").read_bytes() == expected, name


@pytest.fixture(scope="module")
def counts() -> bw.PretokenCounts:
    return bw.count_pretokens(TEXTS, pattern="gpt2")


def test_a_saved_file_is_plain_parquet(tmp_path: Path, counts: bw.PretokenCounts) -> None:
    counts.save(tmp_path / "counts.parquet")
    table = pq.read_table(tmp_path / "counts.parquet")
    assert table.schema.types == [pa.binary(), pa.int64()]
    assert table.schema.names == ["piece", "count"]
    assert dict(zip(*table.to_pydict().values(), strict=True)) == naive(TEXTS, "gpt2")
    assert table.schema.metadata[b"bytewright.version"] == bw.__version__.encode()
    assert table.schema.metadata[b"bytewright.pattern"] == b'"gpt2"'
    assert [path.name for path in tmp_path.iterdir()] == ["counts.parquet"]


def test_counts_survive_every_way_out_and_in(tmp_path: Path, counts: bw.PretokenCounts) -> None:
    counts.save(tmp_path / "counts.parquet")
    again = [
        bw.PretokenCounts.load(tmp_path / "counts.parquet"),
        bw.PretokenCounts.from_arrow(counts.to_arrow(), pattern="gpt2"),
        bw.PretokenCounts.from_arrow(counts.to_arrow().to_batches()[0], pattern="gpt2"),
        bw.PretokenCounts.from_dict(dict(counts), pattern="gpt2"),
        pickle.loads(pickle.dumps(counts)),
        copy.deepcopy(counts),
    ]
    assert all(one == counts for one in again)
    assert counts != bw.PretokenCounts.from_arrow(counts.to_arrow(), pattern=None)
    assert counts != 7


def test_views_hold_the_pieces(counts: bw.PretokenCounts) -> None:
    arena, offsets, numbers = counts.pieces
    assert [array.dtype.name for array in counts.pieces] == ["uint8", "int64", "uint64"]
    pieces = [arena[a:b].tobytes() for a, b in pairwise(offsets)]
    assert list(zip(pieces, numbers.tolist(), strict=True)) == list(counts)
    assert not any(array.flags.writeable for array in counts.pieces)


ENGINES: dict[str, Callable[[list[str], list[int]], pa.Table]] = {
    "int32": lambda p, n: pa.table({"piece": p, "count": pa.array(n, pa.int32())}),
    "uint64": lambda p, n: pa.table({"count": pa.array(n, pa.uint64()), "piece": p}),
    "decimal": lambda p, n: pa.table(
        {"piece": p, "count": pa.array([Decimal(x) for x in n], pa.decimal128(38, 0))}
    ),
    "large": lambda p, n: pa.table({"piece": pa.array(p, pa.large_string()), "count": n}),
    "binary": lambda p, n: pa.table({"piece": pa.array(p, pa.binary()), "count": n, "more": n}),
    "view": lambda p, n: pa.table({"piece": pa.array(p, pa.string_view()), "count": n}),
    "dictionary": lambda p, n: pa.table({"piece": pa.array(p).dictionary_encode(), "count": n}),
    "chunks": lambda p, n: pa.concat_tables(
        [pa.table({"piece": p[:9], "count": n[:9]}), pa.table({"piece": p[9:], "count": n[9:]})]
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_another_engine_counted_is_taken(engine: str, counts: bw.PretokenCounts) -> None:
    rows = [(piece.decode(), 1) for piece, count in counts for _ in range(count)]
    random.Random(3).shuffle(rows)
    rows += [("absent", 0), ("", 5)]
    table = ENGINES[engine]([piece for piece, _ in rows], [count for _, count in rows])
    assert bw.PretokenCounts.from_arrow(table, pattern="gpt2") == counts


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "null piece": ({"piece": ["a", None], "count": [1, 1]}, "row 1: the piece is null"),
    "null count": ({"piece": ["a", "b"], "count": [None, 1]}, "row 0: the count is null"),
    "negative": ({"piece": ["a", "b"], "count": [1, -2]}, "row 1: a count of -2"),
    "large": ({"piece": ["a"], "count": pa.array([2**63], pa.uint64())}, "row 0: a count of 9223"),
    "sum": ({"piece": ["a", "a"], "count": [2**63 - 1, 1]}, 'the count of "a" is more than'),
    "float": ({"piece": ["a"], "count": [1.0]}, "'count' is double"),
    "column": ({"piece": ["a"], "n": [1]}, "no column 'count'; there are piece, n"),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_what_holds_no_counts_is_refused(refused: str) -> None:
    columns, message = REFUSED[refused]
    with pytest.raises(bw.DataError, match=message):
        bw.PretokenCounts.from_arrow(pa.table(columns), pattern=None)


def test_counts_of_64_bits_add_up_or_fail() -> None:
    large = bw.PretokenCounts.from_dict({"a": 2**62, "b": 2**33}, pattern=None)
    assert large.total == 2**62 + 2**33
    assert (large + bw.PretokenCounts.from_dict({"b": 1}, pattern=None))[b"b"] == 2**33 + 1
    with pytest.raises(bw.DataError, match="more than 9223372036854775807"):
        large + large
    with pytest.raises(bw.DataError, match="more than 9223372036854775807"):
        large.scaled(2)
    wide = bw.PretokenCounts.from_dict({b"%d" % n: 2**62 for n in range(10)}, pattern=None)
    assert wide.total == wide.total_bytes == 10 * 2**62


def test_counts_of_two_patterns_do_not_add_up(counts: bw.PretokenCounts) -> None:
    other = bw.count_pretokens(TEXTS, pattern="o200k")
    with pytest.raises(bw.ArgumentError, match="different patterns: 'gpt2' and 'o200k'"):
        counts + other
    with pytest.raises(TypeError):
        counts + 1


def test_counts_can_be_looked_at(counts: bw.PretokenCounts) -> None:
    expected = naive(TEXTS, "gpt2")
    assert len(counts) == len(expected)
    assert counts.total == sum(expected.values())
    assert counts.total_bytes == sum(len(piece) * n for piece, n in expected.items())
    ranked = sorted(expected.items(), key=lambda item: (-item[1], item[0]))
    assert counts.most_common() == ranked
    assert counts.most_common(3) == ranked[:3]
    assert all(counts[piece] == n for piece, n in expected.items())
    assert counts["absent"] == 0
    assert b" be" in counts
    assert "absent" not in counts
    assert 7 not in counts
    assert (
        repr(counts)
        == f"PretokenCounts({len(counts)} pieces, {counts.total} in all, pattern='gpt2')"
    )
    with pytest.raises(TypeError):
        hash(counts)


def test_counts_are_filtered_and_weighted(counts: bw.PretokenCounts) -> None:
    expected = naive(TEXTS, "gpt2")
    often = {piece: n for piece, n in expected.items() if n >= 100}
    assert 0 < len(often) < len(expected)
    assert dict(counts.filtered(min_count=100)) == often
    assert counts.filtered(min_count=1) == counts
    assert dict(counts.scaled(3)) == {piece: 3 * n for piece, n in expected.items()}
    assert counts.scaled(3) == sum([counts, counts, counts])
    with pytest.raises(bw.ArgumentError, match="factor=0"):
        counts.scaled(0)


def test_a_file_of_another_pattern_is_refused(tmp_path: Path, counts: bw.PretokenCounts) -> None:
    path = tmp_path / "counts.parquet"
    counts.save(path)
    assert bw.PretokenCounts.load(path, pattern=regex_of("gpt2")) == counts
    with pytest.raises(bw.ArgumentError, match="counted with the pattern 'gpt2', not 'o200k'"):
        bw.PretokenCounts.load(path, pattern="o200k")
    pq.write_table(counts.to_arrow(), path)
    assert bw.PretokenCounts.load(path, pattern="gpt2") == counts
    path.write_bytes(b"no parquet")
    with pytest.raises(bw.DataError, match=r"counts\.parquet"):
        bw.PretokenCounts.load(path)
    with pytest.raises(bw.DataError, match="absent"):
        bw.PretokenCounts.load(tmp_path / "absent.parquet")
    with pytest.raises(bw.DataError, match="absent"):
        counts.save(tmp_path / "absent" / "counts.parquet")


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("text")
    there = str(tmp_path / "there.txt")
    refused: list[tuple[Any, type[Exception], str]] = [
        (7, bw.ArgumentTypeError, "int is no source"),
        (b"text", bw.ArgumentTypeError, "put it into a list"),
        ([7], bw.ArgumentTypeError, "int is no text"),
        (["a", 7], bw.ArgumentTypeError, "int is no text"),
        ([there, "a text"], bw.ArgumentError, "a text is not the name of a file"),
        ([tmp_path / "there.txt", b"text"], bw.ArgumentError, "bytes is not the name"),
        ("absent.txt", bw.DataError, "absent.txt: no such file"),
        (["absent.txt"], bw.DataError, "absent.txt: no such file"),
        ([tmp_path / "absent"], bw.DataError, "absent: no such file"),
        (pa.array([1, 2]), bw.ArgumentError, "int64"),
        (pa.table({"a": ["b"]}), bw.DataError, "'text'"),
        (io.StringIO("text"), bw.ArgumentTypeError, "binary mode"),
        (["a\ud800"], bw.ArgumentError, "lone surrogate"),
    ]
    for sources, error, message in refused:
        with pytest.raises(error, match=message):
            bw.count_pretokens(sources, pattern="gpt2")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    whole = write_input(tmp_path, "jsonl.gz", [*TEXTS]).read_bytes()
    wrong: dict[str, tuple[bytes, str]] = {
        "cut.jsonl.gz": (whole[: len(whole) // 2], r"cut\.jsonl\.gz"),
        "no.parquet": (b"PAR1 this is not", r"no\.parquet"),
        "bad.jsonl": (b'{"text": "one"}\n{"text": two}\n', r"bad\.jsonl, line 2"),
        "other.jsonl": (b'{"body": "one"}\n', r"other\.jsonl, line 1: no field 'text'"),
        "number.jsonl": (b'{"text": 1}\n', r"number\.jsonl, line 1"),
    }
    for name, (content, message) in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(bw.DataError, match=message):
            bw.count_pretokens(tmp_path / name, pattern="gpt2")


def test_an_error_of_the_source_comes_out_as_it_is() -> None:
    def texts() -> Iterator[str]:
        yield "one"
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        bw.count_pretokens(texts(), pattern="gpt2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"documents": "word"}, "documents='word'"),
        ({"threads": 0}, "threads=0"),
        ({"pattern": "gpt22"}, "'gpt22' is not a known name"),
        ({"pattern": ""}, "a name or a regular expression"),
        ({"pattern": "("}, "pattern"),
    ],
)
def test_arguments_that_no_call_has_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((bw.ArgumentError, bw.PatternError), match=message):
        bw.count_pretokens(["text"], **({"pattern": "gpt2"} | options))


def test_progress_is_told(tmp_path: Path) -> None:
    path = write_input(tmp_path, "jsonl", list(TEXTS))
    seen: list[bw.CountProgress] = []
    counts = bw.count_pretokens(path, pattern="gpt2", progress=seen.append)
    last = seen[-1]
    assert (last.documents, last.pieces) == (len(TEXTS), counts.total)
    assert last.bytes_done == last.bytes_total == path.stat().st_size
    bw.count_pretokens(TEXTS, pattern="gpt2", progress=seen.append)
    assert seen[-1].bytes_total is None
    assert seen[-1].bytes_done == sum(map(len, TEXTS))
