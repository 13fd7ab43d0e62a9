"""Damage to files of counts, and to Parquet files that are read as a corpus, is told."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_tools import small_tokenizer, write_input

import bytewright as bw

COUNTS = bw.PretokenCounts.from_dict(
    {f"word {at % 97} {at}": at + 1 for at in range(300)}, pattern="gpt2"
)


def test_no_bit_of_a_file_of_counts_changes_them_unseen(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    COUNTS.save(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    bits = range(8 * len(content))
    told = 0
    for bit in bits if request.config.getoption("--long") else random.Random(1).sample(bits, 900):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path = tmp_path / "damaged"
        path.write_bytes(damaged)
        try:
            found = bw.PretokenCounts.load(path)
        except bw.DataError:
            told += 1
            continue
        assert dict(found) == dict(COUNTS)
        # A file without any metadata is one that another engine wrote.
        assert found.pattern == "gpt2" or not pq.read_metadata(path).metadata
    assert told > 100


def test_files_without_checksums_are_read(tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    pq.write_table(COUNTS.to_arrow(), path)
    assert bw.PretokenCounts.load(path, pattern="gpt2") == COUNTS
    columns = {"spread": pa.array([[1, 2]] * 300), **dict(COUNTS.to_arrow().to_pydict())}
    pq.write_table(pa.table(columns), path, row_group_size=7)
    assert bw.PretokenCounts.load(path, pattern="gpt2") == COUNTS


def test_rows_that_another_engine_took_out_are_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    COUNTS.save(path)
    pq.write_table(pq.read_table(path, filters=[("count", ">", 100)]), path)
    assert bw.PretokenCounts.load(path) == COUNTS.filtered(min_count=101)


@pytest.mark.parametrize("checked", [True, False])
def test_a_damaged_page_of_a_corpus_is_told(tmp_path: Path, checked: bool) -> None:
    """As far as its pages have checksums; the output's have, besides those of the manifest."""
    tokenizer, path = small_tokenizer(), tmp_path / "in.parquet"
    table = pa.table({"text": ["the antenna"] * 9})
    options = {"use_dictionary": False, "compression": "none", "write_page_checksum": checked}
    pq.write_table(table, path, write_statistics=False, **options)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"antenna", b"antenne", 1))
    if checked:
        with pytest.raises(bw.DataError, match="CRC checksum"):
            bw.encode_corpus(path, tokenizer, tmp_path / "out")
    else:
        assert bw.encode_corpus(path, tokenizer, tmp_path / "out").documents == 9


def test_the_pages_of_an_encoded_corpus_have_checksums(tmp_path: Path) -> None:
    source = write_input(tmp_path, "jsonl", ["the antenna in there"] * 99)
    bw.encode_corpus(source, small_tokenizer(), tmp_path / "out")
    [part] = (tmp_path / "out").glob("*.parquet")
    content = bytearray(part.read_bytes())
    start = pq.read_metadata(part).row_group(0).column(0).data_page_offset
    content[start + 60] ^= 1
    part.write_bytes(content)
    with pytest.raises((OSError, pa.ArrowException), match="CRC checksum"):
        pq.read_table(part, page_checksum_verification=True)
