"""Commands that make vocabularies, counts and corpora."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_cli import TEXT, Argument, command, record, result

import bytewright as bw
from bytewright import demo


def corpus(folder: Path) -> Path:
    path = folder / "corpus.jsonl"
    texts = [f"document {n}: {TEXT}" for n in range(50)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def test_count_pretokens_writes_what_the_library_counts(tmp_path: Path) -> None:
    path, out = corpus(tmp_path), tmp_path / "counts.parquet"
    expected = bw.count_pretokens(path, pattern="cl100k")
    made = record("count-pretokens", path, "--pattern", "cl100k", "-o", out)
    assert made == {
        "out": str(out), "pattern": "cl100k", "pieces": len(expected), "total": expected.total,
        "bytes": expected.total_bytes,
    }  # fmt: skip
    assert bw.PretokenCounts.load(out) == expected
    options: list[Argument] = ["--resume", tmp_path / "state", "--memory", "64M", "--threads", "2"]
    for name in ("first", "again"):
        found = tmp_path / f"{name}.parquet"
        result("count-pretokens", path, "--pattern", "cl100k", "-o", found, *options)
        assert found.read_bytes() == out.read_bytes()


def test_count_pretokens_reads_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "counts.parquet"
    shown = result("count-pretokens", "-", "--pattern", "none", "-o", out, stdin=b"\xff text\n")
    assert shown == f"{out}: 1 piece, 1 in all, 7 bytes\n"
    assert dict(bw.PretokenCounts.load(out)) == {b"\xff text\n": 1}
    done = command("count-pretokens", "-", "-o", out, stdin=b"other")
    assert (done.returncode, done.stderr.count(b"exists; --force replaces it")) == (1, 1)
    lines: list[Argument] = ["--documents", "line", "-o", out, "--force"]
    result("count-pretokens", "-", *lines, stdin=b"one\r\ntwo  \none")
    assert dict(bw.PretokenCounts.load(out)) == {b"one": 2, b"two": 1, b"  ": 1}


def test_count_pretokens_says_what_is_wrong(tmp_path: Path) -> None:
    path, out = corpus(tmp_path), tmp_path / "counts.parquet"
    wrong: list[tuple[list[Argument], int, bytes]] = [
        ([tmp_path / "absent.txt"], 1, b"absent.txt: no such file or folder"),
        ([path, "--text-field", "body"], 3, b"no field 'body'"),
        ([path, "--pattern", "o300k"], 1, b"'o300k' is not a known name"),
        ([path, "--memory", "1M"], 1, b"memory=1M is less than"),
        (["-", "--resume", tmp_path / "state"], 1, b"a checkpoint needs files"),
        ([path, "-"], 2, b"'-' goes alone"),
        ([], 2, b"INPUT"),
    ]
    for arguments, code, message in wrong:
        done = command("count-pretokens", *arguments, "-o", out)
        assert done.returncode == code
        assert message in done.stderr
        assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["count-pretokens", "none.txt", "-o", "absent/out.json"],
        ["train", "none.txt", "-n", "300", "-o", "absent/out.json"],
        ["train", "none.txt", "-n", "300", "-o", "new.json", "--checkpoint", "absent/out.json"],
        ["prune", "none.json", "-n", "1", "-o", "absent/out.json"],
        ["merge", "none.json", "none.json", "-o", "new.json", "--map", "absent/out.json"],
        ["convert", "none.json", "-o", "absent/out.json"],
    ],
)
def test_an_output_that_cannot_be_written_is_found_before_the_work(
    arguments: list[Argument], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    message = b"bytewright: cannot write absent/out.json: No such file or directory\n"
    assert (done.returncode, done.stderr) == (1, message)
    assert not list(tmp_path.iterdir())


def test_prune_takes_out_what_the_library_does(tmp_path: Path) -> None:
    out, ids, text = tmp_path / "small.json", tmp_path / "ids.json", tmp_path / "text.txt"
    tok = demo.tokenizer()
    tok.save(tmp_path / "old.json")
    last = tok.decode_bytes([8190])
    text.write_bytes(last)
    frequencies = np.bincount(tok.encode(last), minlength=tok.vocab_size)
    options: list[Argument] = ["prune", tmp_path / "old.json", "-n", "500", "-o", out, "--map", ids]
    expected = bw.prune_leaves(tok, 500)
    shown = result(*options, "--quiet")
    assert shown == f"{out}: 7,692 tokens, 500 tokens taken out\n"
    assert bw.Tokenizer.load(out).merges == expected.tokenizer.merges
    assert json.loads(ids.read_text()) == expected.new_ids.tolist()
    refused = command(*options)
    assert refused.returncode == 1
    assert b"--force" in refused.stderr
    made = record(*options, "--force", "--keep-ids", "--text", text)
    by_text = bw.prune_leaves(tok, 500, frequencies=frequencies, ids="keep")
    assert made["removed"] == [*by_text.removed]
    assert (8190 in expected.removed, 8190 in made["removed"]) == (True, False)
    assert bw.Tokenizer.load(out).encode(last) == [8190]


def test_merge_adds_the_tokens_of_a_second_vocabulary(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    a = bw.Tokenizer.from_merges([(b"h", b"e")], pattern="gpt2")
    b = bw.Tokenizer.from_merges([(b"t", b"h"), (b"th", b"e"), (b"t", b"o")], pattern="gpt2")
    a.save(first)
    b.save(second)
    out, ids = tmp_path / "both.json", tmp_path / "ids.json"
    shown = result("merge", first, second, "-o", out, "--map", ids)
    assert shown == f"{out}: 260 tokens, 3 added, 0 left out\n"
    expected = bw.merge_vocabularies(a, b)
    assert bw.Tokenizer.load(out).merges == expected.tokenizer.merges
    assert json.loads(ids.read_text()) == expected.second_ids.tolist()
    assert record("merge", first, second, "-o", out, "--force")["added"] == 3


def test_encode_corpus_then_verify_then_a_flipped_bit(tmp_path: Path) -> None:
    out = tmp_path / "ids"
    made = record("encode-corpus", corpus(tmp_path), "--out", out, "--eos", "<|endoftext|>")
    assert made["documents"] == 50
    (file,) = out.rglob("*.parquet")
    ids = pq.read_table(file)["ids"].to_pylist()
    assert [row[-1] for row in ids] == [8191] * 50
    assert demo.tokenizer().decode(ids[7][:-1]) == f"document 7: {TEXT}"
    assert record("verify", out)["ok"]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    broken = command("verify", out)
    assert broken.returncode == 3
    assert file.name in broken.stderr.decode()
    told = command("verify", out, "--json")
    assert told.returncode == 3
    assert file.name in json.loads(told.stdout)["problems"][0]


def test_encode_corpus_refuses_to_resume_another_run(tmp_path: Path) -> None:
    options: list[Argument] = ["encode-corpus", corpus(tmp_path), "--out", tmp_path / "ids"]
    assert command(*options).returncode == 0
    assert command(*options).returncode == 0
    other = command(*options, "--eos", "<|endoftext|>")
    assert other.returncode == 3
    assert b"eos" in other.stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_many_ids_are_written_as_few_are(options: list[Argument], tmp_path: Path) -> None:
    text = random.Random(3).randbytes(100_000)
    (tmp_path / "text").write_bytes(text)
    shown = result("encode", "-q", *options, tmp_path / "text")
    ids = demo.tokenizer().encode(text)
    if options:
        assert json.loads(shown) == {"ids": ids, "tokens": len(ids), "bytes": len(text)}
    else:
        assert list(map(int, shown.split())) == ids
    assert (shown[-1], shown.count("\n")) == ("\n", 1)


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("line", "message"),
    [("encode -q - <&-", "standard input is closed"), ("encode -t a >&-", "output is closed")],
)
def test_closed_streams_are_an_error_that_says_so(line: str, message: str) -> None:
    shell = f"'{sys.executable}' -m bytewright {line}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert message in done.stderr
