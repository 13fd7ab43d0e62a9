"""The Parquet file of counts, with what Parquet has against damage.

Pages carry checksums, which are verified where they are there: files of other engines may have
none. What no page covers, the numbers of rows and the metadata, is said more than once in a file
and must agree. What is left is the few bits that say whether there is metadata at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bytewright.errors import DataError
from bytewright.files import reading

__all__ = ["opened", "read"]


def opened(file: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of tables of this schema."""
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )


def read(path: Path) -> tuple[pa.Table, Mapping[bytes, bytes]]:
    """The table of a file, or of a folder of files, and what is said beside it.

    Raises:
        DataError: no readable Parquet file, or one that contradicts itself.
    """
    with reading(path):
        path.stat()
    try:
        table = pq.read_table(path, memory_map=True, page_checksum_verification=True)
        told: Mapping[bytes, bytes] = table.schema.metadata or {}
        if path.is_file():
            whole = pq.read_metadata(path, memory_map=True)
            _check_rows(path, whole, len(table))
            # The schema is stored in it too, and its copy of this may be damaged.
            told = whole.metadata or {}
        # Decoded where they are asked for.
        _ = table.schema.names
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError(f"{path}: {error}") from error
    if b"bytewright.steps" in told and b"bytewright.pattern" not in told:
        raise DataError(f"{path}: damaged metadata: a pattern without its name")
    return table, told


def _check_rows(path: Path, whole: pq.FileMetaData, rows: int) -> None:
    """Compare the numbers of rows: of the file, of its groups, of their columns."""
    groups = [whole.row_group(at) for at in range(whole.num_row_groups)]
    agree = whole.num_rows == rows == sum(group.num_rows for group in groups)
    for group in groups:
        columns = map(group.column, range(group.num_columns))
        flat = [one for one in columns if one.path_in_schema in ("piece", "count")]
        agree &= all(one.num_values == group.num_rows for one in flat)
    if not agree:
        raise DataError(f"{path}: damaged: it contradicts itself about its {whole.num_rows} rows")
