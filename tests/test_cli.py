"""The command line: what it prints, where it prints it, and the code it ends with."""

from __future__ import annotations

import base64
import errno
import inspect
import json
import os
import random
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tiktoken

import bytewright as bw
from bytewright import demo
from bytewright.cli import main
from bytewright.cli.app import COMMANDS, build
from bytewright.cli.outcome import code_of
from bytewright.cli.visible import visible

TEXT = "Unbelievable: naïve 中文 text,\r\n\tand  1234 🐍s.\n"


Argument = str | Path


def command(
    *arguments: Argument, stdin: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the installed command and give back everything it did."""
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return subprocess.run(
        [sys.executable, "-m", "bytewright", *map(str, arguments)],
        input=stdin, env=clean | (env or {}), capture_output=True, timeout=300, check=False,
    )  # fmt: skip


def result(*arguments: Argument, stdin: bytes = b"") -> str:
    """Standard output of a command that must succeed."""
    done = command(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def record(*arguments: Argument, stdin: bytes = b"") -> Any:
    return json.loads(result(*arguments, "--json", "--quiet", stdin=stdin))


@pytest.fixture
def byte_ranks(tmp_path: Path) -> Path:
    """A vocabulary of the 256 bytes and nothing else."""
    path = tmp_path / "bytes.tiktoken"
    path.write_bytes(b"".join(base64.b64encode(bytes([b])) + b" %d\n" % b for b in range(256)))
    return path


def reference() -> tiktoken.Encoding:
    """The demo vocabulary as tiktoken runs it."""
    from bytewright.demo.make import O200K

    lines = (line.split() for line in demo.path().read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    return tiktoken.Encoding(
        "demo", pat_str=O200K, mergeable_ranks=ranks, special_tokens=demo.SPECIAL
    )


def test_the_embedded_vocabulary_is_what_tiktoken_makes_of_it() -> None:
    theirs, ours = reference(), demo.tokenizer()
    texts = [text[:20_000] for _, text in demo.documents()][::20]
    assert len(texts) > 10
    for text in [TEXT, *texts]:
        assert ours.encode(text) == theirs.encode_ordinary(text)
    assert ours.vocab_size == theirs.n_vocab == demo.VOCAB_SIZE


def test_the_embedded_vocabulary_has_every_byte_and_one_special_token() -> None:
    tok = demo.tokenizer()
    assert [tok.token_id(bytes([byte])) for byte in range(256)] == list(range(256))
    assert tok.encode("<|endoftext|>", allowed_special="all") == [demo.VOCAB_SIZE - 1]
    assert demo.path().stat().st_size < 150_000


def test_count_agrees_with_encode_for_each_file_and_in_all(tmp_path: Path) -> None:
    files = {tmp_path / "a.txt": TEXT.encode(), tmp_path / "b.bin": b"\xff\xfe" + TEXT.encode() * 9}
    for path, data in files.items():
        path.write_bytes(data)
    expected = [len(demo.tokenizer().encode(data)) for data in files.values()]
    rows = [line.split() for line in result("count", *files).splitlines()]
    assert [int(row[0]) for row in rows] == [*expected, sum(expected)]
    assert [int(row[1]) for row in rows[:2]] == [len(data) for data in files.values()]
    assert [row[2] for row in rows] == [*map(str, files), "total"]


def test_count_reads_standard_input_in_blocks_without_changing_the_count() -> None:
    data = (TEXT * 60_000).encode()
    assert len(data) > 2 * (1 << 20)
    assert record("count", "-", stdin=data)["total"]["tokens"] == demo.tokenizer().count(data)


def test_count_stops_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(TEXT)
    (tmp_path / "b").write_text(TEXT)
    exact = demo.tokenizer().count(TEXT)
    under = record("count", tmp_path / "a", "--limit", str(exact))
    assert under["total"] == {
        "name": "total",
        "tokens": exact,
        "bytes": len(TEXT.encode()),
        "over": False,
    }
    over = record("count", tmp_path / "a", tmp_path / "b", "--limit", str(exact - 1))
    assert len(over["files"]) == 1
    assert over["total"]["over"]
    assert f">{exact - 1}" in result("count", tmp_path / "a", "--limit", str(exact - 1))


@pytest.mark.parametrize(
    "data", [b"", b"\n", bytes(range(256)), TEXT.encode(), random.Random(1).randbytes(5000)]
)
def test_decode_inverts_encode(data: bytes) -> None:
    ids = command("encode", stdin=data)
    back = command("decode", stdin=ids.stdout)
    assert back.stdout == data
    assert ids.stdout.split() == [b"%d" % i for i in demo.tokenizer().encode(data)]


def test_decode_inverts_encode_line_by_line() -> None:
    data = b"first\n\n\xff third\r\nlast\n"
    ids = command("encode", "--lines", stdin=data)
    assert ids.stdout.count(b"\n") == 4
    assert command("decode", "--lines", stdin=ids.stdout).stdout == data


def test_decode_reads_what_encode_writes_as_json() -> None:
    ids = command("encode", "--json", "--text", TEXT)
    assert json.loads(ids.stdout)["bytes"] == len(TEXT.encode())
    assert command("decode", stdin=ids.stdout).stdout.decode() == TEXT
    assert base64.b64decode(record("decode", stdin=ids.stdout)["base64"]).decode() == TEXT
    assert command("decode", "72", "105").stdout == b"Hi"
    assert command("decode", stdin=b"[72, 105]").stdout == b"Hi"


def test_special_tokens_are_text_unless_named() -> None:
    text = "a<|endoftext|>"
    assert "8191" not in result("encode", "-t", text)
    for name in ("all", "<|endoftext|>"):
        assert result("encode", "-t", text, "--special", name).split()[-1] == "8191"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b" a\tb\r\n", "·a→b␍↵"),
        ("é中🐍".encode(), "é中🐍"),
        ("中".encode()[:2], "<E4><B8>"),
        (b"\x1b[31m\x00\x7f\xff", "<1B>[31m<00><7F><FF>"),
        ("\u200d\u00a0\u202e".encode(), "<U+200D><U+00A0><U+202E>"),
        ("\u0301".encode(), "◌\u0301"),
    ],
)
def test_nothing_invisible_reaches_the_terminal(data: bytes, shown: str) -> None:
    assert visible(data) == shown


def test_show_puts_a_bar_at_every_boundary() -> None:
    theirs = reference()
    tokens = [
        theirs.decode_single_token_bytes(i) for i in theirs.encode_ordinary("Hello, wide world")
    ]
    first, summary = result("show", "--quiet", "Hello, wide world").splitlines()
    assert first == "|".join(map(visible, tokens))
    assert summary.startswith(f"{len(tokens)} tokens, 17 bytes")


def test_show_writes_ids_below_their_tokens() -> None:
    tokens, ids, _ = result("show", "-q", "--ids", "Hello world").splitlines()
    assert [int(cell) for cell in ids.split("|")] == demo.tokenizer().encode("Hello world")
    bars = [[at for at, char in enumerate(row) if char == "|"] for row in (tokens, ids)]
    assert bars[0] == bars[1]


def test_show_aligns_two_vocabularies_on_bytes(byte_ranks: Path) -> None:
    text = "Unbelievable 中 text"
    out = result("show", "-m", demo.path(), "-m", byte_ranks, "--pattern", "o200k", text)
    row_a, row_b = (line[3:] for line in out.splitlines()[3:5])
    assert row_a.replace("|", "").replace(" ", "") == row_b.replace("|", "").replace(" ", "")
    assert row_b.count("|") == len(text.encode()) - 1
    starts = demo.tokenizer().encode_offsets(text)[1].tolist()[1:-1]
    bars = [at for at, char in enumerate(row_b) if char == "|"]
    assert [n + 1 for n, at in enumerate(bars) if row_a[at] == "|"] == starts


def test_show_tells_only_differences(byte_ranks: Path) -> None:
    options: list[Argument] = ["-m", demo.path(), "-m", byte_ranks, "--pattern", "o200k"]
    out = result("show", *options, "--differences", "! the").splitlines()
    assert out[0].startswith("byte ")
    assert out[-1].startswith("1 difference")
    same = result(
        "show", "-m", byte_ranks, "-m", byte_ranks, "--pattern", "o200k", "--differences", "the"
    )
    assert same.startswith("0 differences")


def test_show_colours_only_where_it_may() -> None:
    plain = command("show", "two words")
    assert b"\x1b" not in plain.stdout
    coloured = command("show", "two words", env={"FORCE_COLOR": "1"})
    assert b"\x1b[" in coloured.stdout
    never = command("show", "two words", env={"FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert never.stdout == plain.stdout


def test_show_gives_offsets_as_json() -> None:
    tokens = record("show", TEXT)["vocabularies"][0]["tokens"]
    assert [token["id"] for token in tokens] == demo.tokenizer().encode(TEXT)
    assert tokens[-1]["end"] == len(TEXT.encode())


def test_convert_makes_a_file_that_behaves_the_same(tmp_path: Path) -> None:
    made = tmp_path / "tokenizer.json"
    ranks = tmp_path / "back.tiktoken"
    source = demo.path()
    out = result("convert", source, "-o", made, "--pattern", "o200k")
    assert "1000 of 1000 strings have equal ids" in out
    assert record("convert", made, "-o", ranks)["different"] == 0
    assert ranks.read_bytes() == source.read_bytes()
    assert bw.Tokenizer.load(made).encode(TEXT) == demo.tokenizer().encode(TEXT)


def test_convert_keeps_an_existing_file_unless_forced(tmp_path: Path) -> None:
    made = tmp_path / "tokenizer.json"
    made.write_text("precious")
    options: list[Argument] = ["convert", demo.path(), "-o", made, "--pattern", "o200k"]
    refused = command(*options)
    assert refused.returncode == 1
    assert b"--force" in refused.stderr
    assert made.read_text() == "precious"
    assert command(*options, "--force").returncode == 0


def test_inspect_describes_a_vocabulary() -> None:
    tok = demo.tokenizer()
    found = record("inspect")
    assert found["size"] == 8192
    assert found["holes"] == 0
    assert found["special_tokens"] == {"<|endoftext|>": 8191}
    assert found["fingerprint"] == tok.fingerprint
    assert found["merges"] == 8192 - 256 - 1
    assert tok.fingerprint in result("inspect")
    assert found["unreachable"] == []


def test_inspect_says_why_tokens_are_unreachable(tmp_path: Path) -> None:
    merges = [(b"h", b"e"), (b"t", b"h"), (b"th", b"e"), (b"e", b"!"), (b"h", b"!")]
    tok = bw.Tokenizer.from_merges(merges, pattern="gpt2")
    tok.save(tmp_path / "t.json")
    found = bw.reachability(tok).by_reason
    assert record("inspect", tmp_path / "t.json")["unreachable"] == ["2 pattern", "1 shadowed"]
    assert found == {"pattern": 2, "shadowed": 1}


def test_inspect_finds_a_token_by_id_and_by_text() -> None:
    by_text = record("inspect", "--token", " the")
    assert by_text["id"] == demo.tokenizer().token_id(b" the")
    assert by_text["encodes_as"] == [by_text["id"]]
    assert record("inspect", "--token", str(by_text["id"])) == by_text
    unknown = command("inspect", "--token", "no such token")
    assert unknown.returncode == 1
    assert b"no\xc2\xb7such\xc2\xb7token" in unknown.stderr


def test_demo_brings_every_document_back(tmp_path: Path) -> None:
    out = tmp_path / "made"
    lines = result("demo", "--out", out).splitlines()
    documents = sum(1 for _ in demo.documents())
    assert lines[-1] == f"All {documents:,} documents came back byte for byte."
    rows = [pq.read_metadata(file).num_rows for file in (out / "ids").rglob("*.parquet")]
    assert sum(rows) == documents
    again = command("demo", "--out", out)
    assert again.returncode == 1
    assert b"not an empty folder" in again.stderr


def test_demo_fails_when_a_byte_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bytewright.cli import demonstrate

    texts = [("topic:one", "some text"), ("topic:two", "another")]
    monkeypatch.setattr(demo, "documents", lambda: iter(texts))
    monkeypatch.setattr(demonstrate, "_decode", lambda *_: [b"some text", b"anothe"])
    assert main(["demo", "--out", str(tmp_path / "made")]) == 3
    captured = capsys.readouterr()
    assert "1 of 2 documents differ" in captured.err
    assert "came back" not in captured.out


def test_doctor_finds_a_working_core() -> None:
    found = record("doctor")
    assert found["self_test"] == {"strings": 1000, "wrong": 0}
    assert found["debug_build"] is False
    assert found["versions"]["bytewright"] == bw.__version__
    assert "1000 of 1000 strings came back" in result("doctor")


WRONG: list[tuple[Sequence[str], bytes, int, str]] = [
    (["count", "absent.txt"], b"", 1, "absent.txt"),
    (["count", "-m", "absent.json"], b"", 1, "absent.json"),
    (["verify", "absent"], b"", 1, "absent"),
    (["encode-corpus", "absent", "-o", "out"], b"", 1, "absent"),
    (["encode-corpus", ".", "-o", "out"], b"", 1, "no file in this folder"),
    (["count-pretokens", "absent", "-o", "out.parquet"], b"", 1, "absent"),
    (["train", "absent.txt", "-n", "300", "-o", "out.json"], b"", 1, "absent.txt"),
    (["train", "--counts", "absent", "-n", "300", "-o", "out.json"], b"", 1, "absent"),
    (["encode", "-m", "_broken.json"], b"", 1, "_broken.json"),
    (["encode", "-t", "a", "--special", "<|nope|>"], b"", 1, "<|nope|>"),
    (["encode", "--pattern", "gpt2", "-t", "a"], b"", 1, "--pattern"),
    (["count", "--limit", "-1"], b"", 2, "--limit"),
    (["count", "--unknown"], b"", 2, "--unknown"),
    (["unknown"], b"", 2, "unknown"),
    (["convert", "a.json"], b"", 2, "--output"),
    (["decode"], b"1 two 3", 3, "'two'"),
    (["decode"], b"1\n999999", 3, "999999"),
    (["decode"], b'{"nothing": 1}', 3, "line 1"),
]


@pytest.mark.parametrize(("arguments", "stdin", "code", "named"), WRONG)
def test_an_error_is_one_line_with_its_own_code(
    arguments: Sequence[str], stdin: bytes, code: int, named: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "_broken.json").write_text('{"model": ')
    plain = command(*arguments, "--quiet", stdin=stdin)
    assert plain.returncode == code, plain.stderr.decode()
    assert plain.stderr.decode().count("\n") == 1
    assert plain.stderr.startswith(b"bytewright: ")
    assert named in plain.stderr.decode()
    as_json = command(*arguments, "--quiet", "--json", stdin=stdin)
    assert as_json.returncode == code
    told = json.loads(as_json.stderr)
    assert told["exit_code"] == code
    assert named in told["message"]


@pytest.mark.parametrize(
    ("kind", "cause", "code"),
    [
        (bw.DataError, PermissionError(errno.EACCES, "not allowed"), 1),
        (bw.DataError, OSError("damaged, says pyarrow"), 3),
        (bw.DataError, None, 3),
        # These say more than that a file cannot be had.
        (bw.LockedError, BlockingIOError(errno.EAGAIN, "locked"), 3),
        (bw.VerifyError, FileNotFoundError(errno.ENOENT, "no manifest"), 3),
    ],
)
def test_files_that_cannot_be_had_are_wrong_arguments(
    kind: type[Exception], cause: Exception | None, code: int
) -> None:
    error = kind("some file")
    error.__cause__ = cause
    assert code_of(error) == code


def test_a_file_that_cannot_be_read_is_left_to_the_command() -> None:
    """The parser would ask the system first, and end with a code of its own."""
    asked = []
    groups = [group.typer_instance for group in build().registered_groups]
    for app in (build(), *filter(None, groups)):
        for info in app.registered_commands:
            assert info.callback is not None
            parameters = inspect.signature(info.callback, eval_str=True).parameters
            for name, parameter in parameters.items():
                kind = getattr(parameter.annotation, "__origin__", None)
                if "Path" in str(kind):
                    asked.append(name)
                    assert not parameter.annotation.__metadata__[0].readable, (info.name, name)
    assert len(asked) > 20


def test_a_closed_pipe_ends_quietly() -> None:
    encode = f"{sys.executable} -m bytewright encode --lines --quiet"
    script = f"{encode} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], input=b"line\n" * 200_000, capture_output=True, check=False
    )
    assert done.stdout.splitlines()[1] == b"0"
    assert done.stderr == b""


def test_interrupt_ends_with_130() -> None:
    script = (
        "import sys; from bytewright.cli import main;"
        "print(flush=True); sys.exit(main(['count', '-q']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    assert process.stdin is not None
    process.stdin.write(b"a" * (4 << 20))  # returns once the command reads, so it is under way
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"bytewright: stopped\n"


def interrupted(program: str, module: str) -> subprocess.CompletedProcess[bytes]:
    """Import the package as a program does, with Ctrl-C once it imports a module."""
    script = f"""
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv = [{program!r}, "doctor", "-q"]
from bytewright.cli import main
main()
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is no signal there")
@pytest.mark.parametrize("module", ["numpy", "bytewright.ensemble", "bytewright.cli.app"])
def test_an_interrupt_while_the_command_is_imported_ends_as_later(module: str) -> None:
    for program in ("/usr/bin/bytewright", "bytewright.exe"):
        done = interrupted(program, module)
        assert (done.returncode, done.stderr) == (130, b"bytewright: stopped\n")
    # Others that import the package get what Python makes of it.
    done = interrupted("/usr/bin/their-program", module)
    assert b"KeyboardInterrupt" in done.stderr
    assert done.returncode == -signal.SIGINT


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is no signal there")
def test_an_interrupt_of_the_module_ends_as_later(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = command("count", "-q", env={"PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (130, b"bytewright: stopped\n")


def test_without_a_command_there_is_help() -> None:
    done = command()
    assert done.returncode == 2
    assert b"encode-corpus" in done.stdout
    assert done.stderr == b""


def test_every_command_explains_itself_and_speaks_json() -> None:
    commands = build().registered_commands
    assert [info.name for info in commands] == list(COMMANDS)
    for info in commands:
        assert info.callback is not None
        assert {"as_json", "quiet"} <= set(inspect.signature(info.callback).parameters)
        assert inspect.getdoc(info.callback)
    assert "--json" in result("count", "--help")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys, bytewright.cli.app as app; app.build();"
        "print([m for m in ('rich', 'tokenizers', 'tiktoken', 'tempfile_') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_command_is_installed() -> None:
    assert (Path(sysconfig.get_path("scripts")) / "bytewright").exists()
