"""`bytewright bytes` says what the library says."""

from __future__ import annotations

import base64
import contextlib
import importlib
import inspect
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_cli import Argument, command, record, result

import bytewright as bw
from bytewright import demo
from bytewright.bytelm import decompress
from bytewright.cli import main
from bytewright.cli.app import GROUPS
from bytewright.cli.visible import visible

pytestmark = pytest.mark.timeout(120)
TEXTS = ["the cat sat down\n", "the cat ran away\n", "naïve 中文\n"] * 5


@pytest.fixture(scope="module")
def ngrams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ngrams") / "cats.ngram"
    bw.NgramModel.fit(demo.tokenizer(), TEXTS).save(path)
    return path


def model(path: Path) -> bw.ByteModel:
    return bw.ByteModel(bw.NgramModel.load(path, demo.tokenizer()))


def test_fit_makes_the_model_that_the_library_makes(tmp_path: Path) -> None:
    tok, out, file = demo.tokenizer(), tmp_path / "out.ngram", tmp_path / "texts.txt"
    file.write_bytes("".join(TEXTS).encode() + b"\xff")

    def fitted(*arguments: Argument, stdin: bytes = b"") -> bytes:
        told = record("bytes", "fit", *arguments, "-o", out, "--force", stdin=stdin)
        assert told["bytes"] == out.stat().st_size
        return out.read_bytes()

    def expected(texts: list[bytes], **options: Any) -> bytes:
        bw.NgramModel.fit(tok, texts, **options).save(tmp_path / "same")
        return (tmp_path / "same").read_bytes()

    data, long = file.read_bytes(), tmp_path / "long.txt"
    assert fitted(file) == fitted("-", stdin=data) == expected([data])
    lines = ("--documents", "line", "--order", "3")
    assert (
        fitted(file, *lines)
        == fitted("-", *lines, stdin=data)
        == expected(data.splitlines(), order=3)
    )
    assert fitted(file, "--order", "any") == expected([data], order=None)
    long.write_bytes(b"a cat " * 1_500_000)  # Read in pieces, and one document all the same.
    assert fitted(long) == expected([long.read_bytes()])
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"body": "a cat"}\n{"body": null}\n{"body": "a dog"}\n')
    assert fitted(rows, "--text-field", "body") == expected([b"a cat", b"a dog"])
    tok.save(tmp_path / "tok.json")
    again = ("--tokenizer", tmp_path / "tok.json", "--eos", "<|endoftext|>")
    assert fitted(rows, "--text-field", "body", *again) == out.read_bytes()
    assert result("bytes", "next", "a d", "--model", out, *again[:2], "--top", "1").endswith(
        "  o\n"
    )
    said = result("bytes", "fit", file, "-o", out, "--force")
    assert said.startswith(f"{out}: 1 document, ")
    kept = command("bytes", "fit", file, "-o", out)
    assert (kept.returncode, b"--force" in kept.stderr) == (1, True)


def test_next_lists_what_the_model_expects(ngrams: Path) -> None:
    state = model(ngrams).start("the cat ")
    found = state.next()
    told = record("bytes", "next", "the cat ", "--model", ngrams, "-n", "3")
    assert told["logprob"] == pytest.approx(state.logprob)
    assert told["bytes"] == 8
    assert [(one["byte"], one["probability"]) for one in told["next"]] == [
        (outcome, pytest.approx(p)) for outcome, p in found.top(3)
    ]
    lines = result("bytes", "next", "-", "--model", ngrams, "--top", "1", stdin=b"the cat s")
    assert lines.split() == [f"{model(ngrams).start('the cat s').next().top(1)[0][1]:.6f}", "a"]
    whole = result("bytes", "next", TEXTS[0], "--model", ngrams, "--top", "1")
    assert "end of text" in whole


def test_score_adds_up(ngrams: Path) -> None:
    data = TEXTS[2].encode()
    scores = -model(ngrams).score(data) / math.log(2)
    told = record("bytes", "score", "-", "--model", ngrams, stdin=data)
    assert told["each"] == pytest.approx(scores.tolist())
    assert told["bits"] == pytest.approx(scores.sum())
    assert told["bits_per_byte"] == pytest.approx(scores.mean())
    ended = record("bytes", "score", "-", "--model", ngrams, "--end", stdin=data)
    expected = -model(ngrams).logprob(data, end=True) / math.log(2)
    assert ended["bits"] == pytest.approx(expected)
    assert ended["end"] == pytest.approx(expected - sum(ended["each"]))
    arguments = ("bytes", "score", "-", "--model", ngrams, "--each", "--end")
    *each, end, said = result(*arguments, stdin=data).splitlines()
    assert len(each) == len(data)
    assert end == f"{ended['end']:>9.4f}  end of text"
    assert said.startswith(f"{ended['bits']:.2f} bits")
    lines = result("bytes", "score", "-", "--model", ngrams, "--each", stdin=data).splitlines()
    assert len(lines) == len(data) + 1
    assert lines[7].endswith("<E4>")
    assert lines[-1].startswith(f"{scores.sum():.2f} bits, {len(data)} bytes, ")


def test_sample_draws_what_the_function_draws(ngrams: Path) -> None:
    arguments: tuple[Argument, ...] = ("bytes", "sample", "the c", "--model", ngrams)
    options = ("--seed", "3", "--temperature", "0.8", "--top-p", "0.9", "-n", "30")
    expected = model(ngrams).sample("the c", max_bytes=30, seed=3, temperature=0.8, top_p=0.9)
    assert command(*arguments, *options).stdout == expected
    told = record(*arguments, *options)
    assert base64.b64decode(told["base64"]) == expected
    assert result(*arguments, "--temperature", "0", "--stop", "t d", "--stop", "zz") == "at sa"
    strict = command(*arguments, "--seed", "1", "--utf8", "strict", "--temperature", "9").stdout
    assert strict == model(ngrams).sample(
        "the c", max_bytes=200, seed=1, utf8="strict", temperature=9.0
    )
    strict.decode()
    wanted = ("--regex", r"[a-z]+ \w{3} (?:ran|sat)", "--seed", "5")
    matched = command(*arguments, *wanted).stdout
    constraint = bw.RegexConstraint(wanted[1])
    assert matched == model(ngrams).sample(
        "the c", max_bytes=200, seed=5, constraint=constraint, ends="match"
    )
    assert re.fullmatch(wanted[1].encode(), matched)
    assert command(*arguments, *wanted, "--ends", "text").stdout == model(ngrams).sample(
        "the c", max_bytes=200, seed=5, constraint=constraint
    )


@pytest.mark.skipif(os.name == "nt", reason="needs a terminal of its own")
def test_a_long_text_tells_a_terminal_how_far_it_is(ngrams: Path) -> None:
    import pty

    arguments = ["bytes", "sample", "the ", "-n", "400", "--seed", "1", "--model", str(ngrams)]
    piped = command(*arguments)
    assert (piped.returncode, piped.stderr) == (0, b"")
    for more, expected in ([], True), (["--quiet"], False):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "bytewright", *arguments, *more],
            stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # So a terminal ends.
            while data := os.read(ours, 1 << 16):
                shown += data
        os.close(ours)
        assert process.communicate()[0] == piped.stdout
        assert (b"drawn" in shown) == expected, shown


def test_a_page_says_what_score_says(ngrams: Path, tmp_path: Path) -> None:
    data, out = TEXTS[2].encode(), tmp_path / "page.html"
    told = record("bytes", "page", "-", "--model", ngrams, "-o", out, "--title", "<i>", stdin=data)
    bits = float(-model(ngrams).score(data).mean() / math.log(2))
    assert told == {
        "output": str(out),
        "bytes": len(data),
        "bits_per_byte": {"cats": pytest.approx(bits)},
    }
    assert "<h1>&lt;i&gt;</h1>" in out.read_text()
    kept = command("bytes", "page", "a", "--model", ngrams, "-o", out)
    assert (kept.returncode, b"--force" in kept.stderr) == (1, True)
    said = result("bytes", "page", "a cat", "--model", ngrams, "-o", out, "--force").splitlines()
    assert said[0].startswith("cats: ")
    assert said[1].startswith(f"{out}: 5 bytes, ")
    for wrong, message in [
        (("--model", ngrams) * 3, "given twice"),
        (("--tokenizer", "a", "--tokenizer", "b"), "2 --tokenizer for 0 models"),
    ]:
        done = command("bytes", "page", "a", *wrong, "-o", tmp_path / "new.html")
        assert done.returncode == 1
        assert message in done.stderr.decode()


def test_a_text_may_be_a_file(ngrams: Path, tmp_path: Path) -> None:
    file, options = tmp_path / "text", ("--model", ngrams, "-o", tmp_path / "page.html", "--force")
    file.write_bytes(TEXTS[2].encode())
    for name, more in [("next", options[:2]), ("score", options[:2]), ("page", options)]:
        given = result("bytes", name, "-", *more, stdin=file.read_bytes())
        assert result("bytes", name, "--file", file, *more) == given
        for wrong in [(), ("a", "-f", file)]:
            done = command("bytes", name, *wrong, *more)
            assert (done.returncode, b"give a text or --file FILE" in done.stderr) == (2, True)


def test_a_text_that_cannot_be_is_explained(ngrams: Path, tmp_path: Path) -> None:
    data, options = b"the \xff cat", ("--model", ngrams)
    said = "byte 5 of 9, <FF>, cannot be: this is no UTF-8, which only --semantics all takes"
    for name in ("next", "sample"):
        done = command("bytes", name, "-", *options, stdin=data)
        assert (done.returncode, done.stderr.decode()) == (3, f"bytewright: {said}\n")
    for name, more in [("score", ()), ("page", ("-o", tmp_path / "page.html"))]:
        done = command("bytes", name, "-", *options, *more, stdin=data)
        assert (done.returncode, done.stderr.decode()) == (0, f"bytewright: {said}\n")
        assert b"inf bits a byte" in done.stdout
    done = command("bytes", "score", "-", *options, "--semantics", "all", stdin=data)
    assert (done.returncode, done.stderr, b"inf" in done.stdout) == (0, b"", False)
    done = command("bytes", "infill", "-", "cat", *options, stdin=data)
    assert (done.returncode, done.stderr.decode()) == (3, f"bytewright: {said}\n")
    # An unfinished character is no such byte.
    done = command("bytes", "next", "-", *options, stdin="the 中".encode()[:-1])
    assert done.returncode == 0


def test_what_follows_a_long_text_does_not_take_its_probability(
    ngrams: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "the cat sat down\nthe cat "
    expected = result("bytes", "next", text, "--model", ngrams)
    monkeypatch.setattr(bw.ByteModel, "start", None)
    assert main(["bytes", "next", text, "--model", str(ngrams)]) == 0
    assert capsys.readouterr().out == expected


def test_the_embedded_texts_and_another_vocabulary(tmp_path: Path) -> None:
    told = command("bytes", "next", "import sy", "-n", "1")
    assert told.stdout.endswith(b"  s\n")
    assert b"another with --model FILE" in told.stderr
    demo.tokenizer().save(tmp_path / "other.json")
    other = bw.Tokenizer.load(tmp_path / "other.json")
    bw.NgramModel.fit(other, TEXTS).save(tmp_path / "other.ngram")
    arguments = ("--model", tmp_path / "other.ngram", "--tokenizer", tmp_path / "other.json")
    expected = bw.ByteModel(bw.NgramModel.load(tmp_path / "other.ngram", other), semantics="local")
    score = record("bytes", "score", "a cat", *arguments, "--semantics", "local")
    assert score["bits"] == pytest.approx(-expected.logprob("a cat") / math.log(2))


def test_a_file_is_written_where_a_file_can_be(ngrams: Path, tmp_path: Path) -> None:
    for out, message in [("-", "not standard output"), (str(tmp_path), "is a folder")]:
        done = command("bytes", "page", "a cat", "--model", ngrams, "-o", out)
        assert (done.returncode, message in done.stderr.decode()) == (1, True)
    done = command("bytes", "compress", "-", "-o", tmp_path, "--model", ngrams, stdin=b"a")
    assert (done.returncode, b"is a folder" in done.stderr) == (1, True)
    done = command("count-pretokens", "-", "-o", "-", stdin=b"a")
    assert (done.returncode, b"not standard output" in done.stderr) == (1, True)


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="standard output has no name here")
def test_a_pipe_is_no_file_that_would_be_lost(ngrams: Path) -> None:
    given = ("-", "--model", ngrams, "--quiet")
    small = command("bytes", "compress", *given, "-o", "-", stdin=b"a cat").stdout
    done = command("bytes", "compress", *given, "-o", "/dev/stdout", stdin=b"a cat")
    assert (done.returncode, done.stdout.startswith(small)) == (0, True)
    done = command("bytes", "page", *given, "-o", "/dev/stdout", stdin=b"a cat")
    assert (done.returncode, done.stdout.startswith(b"<!doctype html>")) == (0, True)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are UTF-8 here")
def test_a_model_may_have_a_name_that_is_no_text(ngrams: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff.ngram")
    odd.write_bytes(ngrams.read_bytes())
    told = record("bytes", "page", "a cat", "--model", odd, "-o", tmp_path / "page.html")
    assert list(told["bits_per_byte"]) == ["odd\\xff"]
    assert "odd\\xff" in (tmp_path / "page.html").read_text()


def test_ranks_without_a_pattern_are_told_the_way_around(tmp_path: Path) -> None:
    ranks, whole = tmp_path / "own.tiktoken", tmp_path / "own.json"
    bw.train(TEXTS, 270, pattern="gpt2").save(ranks)
    for more in [("next", "a"), ("fit", "-", "-o", str(tmp_path / "new"))]:
        done = command("bytes", *more, "--tokenizer", ranks)
        assert (done.returncode, b"`bytewright convert --pattern`" in done.stderr) == (1, True)
    assert command("convert", ranks, "-o", whole, "--pattern", "gpt2").returncode == 0
    assert command("bytes", "next", "a", "--tokenizer", whole).returncode == 0


def test_infill_draws_what_the_library_draws(ngrams: Path, tmp_path: Path) -> None:
    arguments: tuple[Argument, ...] = ("bytes", "infill", "--model", ngrams, "-n", "12")
    expected = model(ngrams).infill("the c", "own", max_bytes=12, seed=3)
    assert result(*arguments, "the c", "own", "--seed", "3") == expected.decode()
    names = [tmp_path / "before", tmp_path / "behind"]
    names[0].write_bytes(b"the c")
    names[1].write_bytes(b"own")
    assert result(*arguments, *names, "--files", "--seed", "3") == expected.decode()
    told = record(*arguments, "the c", "-", "--seed", "3", "--top", "2", stdin=b"own")
    assert base64.b64decode(told["base64"]) == expected
    found = model(ngrams).infill_candidates("the c", "own", max_bytes=12, seed=3)
    assert told["logprob"] == pytest.approx(found.logprob)
    assert told["certified"] == pytest.approx(found.certified)
    assert [one["share"] for one in told["candidates"]] == pytest.approx(found.shares[:2].tolist())
    lines = result(*arguments, "the c", "own", "--seed", "3", "--top", "1").splitlines()
    assert lines == [f"{found.shares[0]:>9.6f}  {visible(found.middles[0])}"]
    letters = result(*arguments, "the c", "own", "--seed", "3", "--regex", "[a-z ]{7}")
    matching = model(ngrams).infill(
        "the c", "own", max_bytes=12, seed=3, constraint=bw.RegexConstraint("[a-z ]{7}")
    )
    assert letters == matching.decode()
    assert len(letters) == 7
    likeliest = result(*arguments, "the c", " down", "--temperature", "0", "--stop", "cat")
    assert "cat" not in likeliest
    wanted = model(ngrams).infill("the c", " down", max_bytes=12, temperature=0, stop="cat")
    assert likeliest == wanted.decode()


def test_a_compressed_file_comes_back(ngrams: Path, tmp_path: Path) -> None:
    data = "".join(TEXTS).encode() + b"\xff\x00"
    names = [tmp_path / name for name in ("text", "small", "again")]
    names[0].write_bytes(data)
    facts = record("bytes", "compress", names[0], "-o", names[1], "--model", ngrams)
    small = names[1].read_bytes()
    assert (facts["bytes"], facts["compressed"]) == (len(data), len(small))
    assert decompress(model(ngrams), small[20:]) == data
    told = result("bytes", "decompress", names[1], "-o", names[2], "--model", ngrams)
    assert names[2].read_bytes() == data
    assert told.startswith(f"{names[2]}: {len(data)} bytes, {len(small)} compressed, ")
    kept = command("bytes", "compress", "-", "-o", names[1], "--model", ngrams, stdin=b"")
    assert (kept.returncode, names[1].read_bytes()) == (1, small)
    names[1].write_bytes(small[:17] + bytes([small[17] ^ 1]) + small[18:])
    wrong = command("bytes", "decompress", names[1], "-o", tmp_path / "no", "--model", ngrams)
    assert (wrong.returncode, (tmp_path / "no").exists()) == (3, False)
    assert b"checksum does not hold" in wrong.stderr
    wrong = command("bytes", "decompress", names[0], "-o", tmp_path / "no", "--model", ngrams)
    assert (wrong.returncode, b"not what" in wrong.stderr) == (3, True)


def test_what_is_compressed_goes_through_pipes(ngrams: Path) -> None:
    data = "".join(TEXTS).encode()
    small = command("bytes", "compress", "-", "-o", "-", "--model", ngrams, stdin=data)
    assert (small.returncode, len(small.stdout) < len(data)) == (0, True)
    again = command("bytes", "decompress", "-", "-o", "-", "--model", ngrams, stdin=small.stdout)
    assert (again.returncode, again.stdout) == (0, data)
    assert b"compressed" in small.stderr
    both = command("bytes", "compress", "-", "-o", "-", "--json", "--model", ngrams, stdin=data)
    assert (both.returncode, both.stdout) == (1, b"")


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["next", "a", "--model", "absent.ngram"], 1, "absent.ngram"),
        (["next", "a", "--model", "README.md"], 3, "not an n-gram model"),
        (["next", "--file", "absent.txt"], 1, "absent.txt"),
        (["next", "a", "--tokenizer", "absent.json"], 1, "absent.json"),
        (["score", "", "--model", "CATS"], 1, "no byte"),
        (["sample", "--model", "CATS", "--temperature", "-1"], 1, "temperature=-1"),
        (["sample", "--model", "CATS", "-n", "-1"], 2, "--max-bytes"),
        (["sample", "--model", "CATS", "--regex", "(a)\\1"], 1, "backreference"),
        (["sample", "--model", "CATS", "--ends", "match"], 2, "--regex"),
        (["next", "a", "--semantics", "some"], 2, "--semantics"),
        (["next"], 2, "give a text or --file FILE"),
        (["fit", "absent", "-o", "new"], 1, "absent"),
        (["fit", "absent*", "-o", "new"], 1, "absent"),
        (["fit", "-", "-o", "absent/new"], 1, "absent"),
        (["fit", "README.parquet", "-o", "new"], 3, "README.parquet"),
        (["compress", "absent", "-o", "new"], 1, "absent"),
        (["fit", "a", "-", "-o", "new"], 2, "goes alone"),
        (["fit", "-", "-o", "new", "--order", "17"], 1, "--order 17: 1 to 16"),
        (["fit", "-", "-o", "new", "--order", "³"], 1, "--order ³: 1 to 16"),
        (["fit", "-"], 2, "--output"),
        (["infill", "a"], 2, "SUFFIX"),
        (["infill", "-", "-", "--model", "CATS"], 1, "both"),
        (["infill", "a", "b", "--budget", "0"], 2, "--budget"),
        (["infill", "absent", "b", "--files", "--model", "CATS"], 1, "absent"),
        (["nothing"], 2, "nothing"),
    ],
)
def test_an_error_has_its_own_code(
    arguments: list[str], code: int, named: str, ngrams: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("README.md", "README.parquet"):
        (tmp_path / name).write_text("PAR1, and no more of it PAR1")
    given = [str(ngrams) if one == "CATS" else one for one in arguments]
    done = command("bytes", *given, "--quiet", "--json")
    assert done.returncode == code, done.stderr
    told = json.loads(done.stderr)
    assert told["exit_code"] == code
    assert named in told["message"]


def test_every_command_of_the_group_explains_itself_and_speaks_json() -> None:
    _, commands = GROUPS["bytes"]
    for name, module in commands.items():
        function = getattr(importlib.import_module(f"bytewright.cli.{module}"), f"bytes_{name}")
        assert {"as_json", "quiet"} <= set(inspect.signature(function).parameters)
        assert inspect.getdoc(function)
    shown = command("bytes")
    assert shown.returncode == 2
    assert all(name in shown.stdout.decode() for name in commands)


def test_too_little_memory_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def starved(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(bw.ByteModel, "given", starved)
    assert main(["bytes", "next", "a", "--quiet"]) == 1
    assert capsys.readouterr().err == "bytewright: there is not enough memory for that\n"
