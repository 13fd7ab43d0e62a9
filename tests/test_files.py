"""Files are whole or absent, whatever goes wrong on the way."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

import bytewright as bw
from bytewright.files import check_output, saved, whole_file


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_leaves_what_was_there(
    tmp_path: Path, error: type[BaseException], old: bytes | None
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)

    def broken_off() -> None:
        with whole_file(path) as file:
            file.write(b"new")
            file.flush()
            assert (path.read_bytes() if path.exists() else None) == old
            raise error

    with pytest.raises(error):
        broken_off()
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [old] * (old is not None)
    with whole_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="no such bits")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_a_file_that_is_replaced_hands_on_who_may_read_it(tmp_path: Path, mode: int) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(mode)
    link.symlink_to(path)
    for name in (path, link):
        with saved(name) as file:
            file.write(b"new")
            aside = [one for one in tmp_path.iterdir() if one not in (path, link)]
            assert [one.stat().st_mode & 0o777 for one in aside] == [mode]
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", mode)
    usual = tmp_path / "usual"
    usual.write_bytes(b"")
    with saved(tmp_path / "another") as file:
        file.write(b"new")
    assert (tmp_path / "another").stat().st_mode == usual.stat().st_mode


def test_what_the_system_says_names_the_file(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "file"
    # Nothing was finished, so there is nothing to go on with.
    message = r"cannot write .*absent.file: No such file or directory$"
    with pytest.raises(bw.DataError, match=message), saved(absent):
        raise AssertionError
    with pytest.raises(bw.DataError, match="cannot write"), saved(tmp_path):
        raise AssertionError


@pytest.mark.parametrize("name", ["", "absent/file", "file/file", "n" * 256])
def test_what_cannot_be_written_is_found_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"old")
    path = tmp_path / name

    def fail(*_: object) -> None:
        raise AssertionError("the work began")

    endless = iter(fail, 0)
    with pytest.raises(bw.DataError, match=r"cannot write [^;]*$"):
        check_output(path)
    with pytest.raises(bw.DataError, match=r"cannot write [^;]*$"):
        bw.train(endless, 300, checkpoint=path)
    if name not in ("", "absent/file"):
        for job in (
            lambda: bw.count_pretokens([tmp_path / "none"], pattern=None, checkpoint=path),
            lambda: bw.encode_corpus([tmp_path / "none"], bw.Tokenizer.from_merges([]), path),
        ):
            with pytest.raises(bw.DataError, match=r"cannot write [^;]*$"):
                job()
    check_output(tmp_path / "file")
    check_output(tmp_path / ("n" * 255))
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_found_before_the_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(bw.DataError, match=r"Permission denied$"):
        check_output(tmp_path / "new")
    tmp_path.chmod(0o700)


def test_a_vocabulary_that_cannot_be_written_is_told_as_every_file_is(tmp_path: Path) -> None:
    tokenizer = bw.Tokenizer.from_merges([])
    for path in (tmp_path / "absent/new.json", tmp_path / "absent/new.tiktoken"):
        with pytest.raises(bw.DataError, match=r"cannot write .*: No such file or directory$"):
            tokenizer.save(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here is always full")
@pytest.mark.parametrize("name", ["new.json", "new.tiktoken"])
def test_a_full_disk_is_told_with_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(bw.DataError, match=rf"cannot write .*{name}: No space left on device$"):
        bw.Tokenizer.from_merges([]).save(tmp_path / name)


def test_who_writes_the_same_file_writes_aside_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with whole_file(path) as one, whole_file(path) as other:
        one.write(b"one, which is longer")
        other.write(b"other")
    assert path.read_bytes() == b"one, which is longer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with saved(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files have no names here")
def test_a_pipe_without_a_name_is_written(tmp_path: Path) -> None:
    """`/dev/stdout` and what a shell makes of `>(command)` are links to what has no name."""
    ends = os.pipe()
    (tmp_path / "link").symlink_to(f"/proc/self/fd/{ends[1]}")
    with saved(tmp_path / "link") as file:
        file.write(b"along")
    os.close(ends[1])
    with open(ends[0], "rb") as file:
        assert file.read() == b"along"


@pytest.mark.skipif(sys.platform == "win32", reason="no links and no pipes")
def test_links_stay_and_pipes_are_written(tmp_path: Path) -> None:
    link, target, pipe = (tmp_path / name for name in ("link", "target", "pipe"))
    link.symlink_to(target)
    with saved(link) as file:
        file.write(b"through")
    assert link.is_symlink()
    assert target.read_bytes() == b"through"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    with saved(pipe) as file:
        file.write(b"along")
    reader.join()
    assert found == [b"along"]
    assert pipe.is_fifo()
