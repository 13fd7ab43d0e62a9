"""What every test file may use: the `--long` switch, random examples, the shared reference data.

The reference data is a folder beside the checkout (or named by `BYTEWRIGHT_SHARED`). It is not
part of the project, so a test that reads it skips, and says so, where there is none.
"""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import zstandard

CHECKOUT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")


def pytest_configure(config: pytest.Config) -> None:
    """Draws the same examples at each run, and new ones with `--long`; no example is timed.

    Jobs in the background of a shell ignore Ctrl-C, and so would the programs that tests start and
    send one to.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    drawn_anew = config.getoption("--long")
    hypothesis.settings.register_profile("tests", derandomize=not drawn_anew, deadline=None)
    hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes minutes: run with --long")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


def shared_path() -> Path | None:
    """The folder of reference data, or None where there is none."""
    folder = Path(os.environ.get("BYTEWRIGHT_SHARED") or CHECKOUT.parent / "shared")
    return folder if (folder / "data" / "MANIFEST.tsv").is_file() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data; without it the test is skipped."""
    folder = shared_path()
    if folder is None:
        pytest.skip("no reference data: ../shared is absent and BYTEWRIGHT_SHARED names none")
    return folder


def read_zst(path: Path) -> bytes:
    """The whole content of a Zstandard file."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        return reader.read()


def read_jsonl_zst(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a compressed JSON Lines file, one at a time."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        for line in io.TextIOWrapper(reader, encoding="utf-8", newline="\n"):
            yield json.loads(line)
