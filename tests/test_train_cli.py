"""`bytewright train` does what the function does, and says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from test_train import TEXTS

import bytewright as bw

pytestmark = pytest.mark.timeout(300)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bytewright", "train", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_trains_what_the_function_does(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(TEXTS))
    bw.count_pretokens([tmp_path / "text.txt"], pattern="gpt2").save(tmp_path / "counts.parquet")
    out = tmp_path / "tokenizer.json"
    done = run(
        tmp_path / "text.txt", "-o", out, "-n", "300", "--pattern", "gpt2", "--special", "<s>"
    )
    assert (done.returncode, done.stdout) == (0, f"{out}: 300 tokens, 43 merges\n")
    text = ["\n".join(TEXTS)]
    expected = bw.train(text, 300, pattern="gpt2", special_tokens=["<s>"])
    assert bw.Tokenizer.load(out).merges == expected.merges
    options = ["--max-token-chars", "3", "--forbid", "wa", "--one-script", "--digits", "single"]
    done = run(tmp_path / "text.txt", "-o", out, "-n", "290", *options)
    assert (done.returncode, done.stderr) == (
        1, f"bytewright: {out} exists; --force replaces it\n"
    )  # fmt: skip
    assert run(tmp_path / "text.txt", "-o", out, "-n", "290", *options, "--force").returncode == 0
    tok = bw.Tokenizer.load(out)
    assert max(len(tok.token_bytes(at).decode(errors="replace")) for at in range(290)) == 3
    assert tok.encode("12") == [49, 50]
    done = run("--counts", tmp_path / "counts.parquet", "-o", out, "-n", "280", "--json", "--force")
    facts = json.loads(done.stdout)
    assert facts["fingerprint"] == bw.train(text, 280, pattern="gpt2").fingerprint
    grown = tmp_path / "grown.json"
    assert run(tmp_path / "text.txt", "-o", grown, "-n", "310", "--continue", out).returncode == 0
    assert bw.Tokenizer.load(grown).merges == bw.train(text, 310, pattern="gpt2").merges
    assert not list(tmp_path.glob("*.training"))


def test_the_command_reads_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "tokenizer.json"
    text = "\n".join(TEXTS)
    command = [sys.executable, "-m", "bytewright", "train", "-n", "300", "-o", str(out), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert bw.Tokenizer.load(out).merges == bw.train([text], 300).merges
    done = subprocess.run([*command, "more.txt", "--force"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("'-' goes alone")) == (2, 1)


def test_the_command_says_when_the_text_is_too_small(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("ab")
    done = run(tmp_path / "text.txt", "-o", tmp_path / "out.tiktoken", "-n", "300")
    assert done.returncode == 0
    assert "43 tokens smaller than asked for" in done.stderr
    assert run("-o", tmp_path / "out.tiktoken", "-n", "300").returncode == 2


def test_a_name_that_says_no_format_is_refused_before_the_work(tmp_path: Path) -> None:
    done = run(tmp_path / "no such text.txt", "-o", tmp_path / "out.bin", "-n", "300")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "only .json and .tiktoken can be written" in done.stderr


def test_the_command_learns_tokens_of_several_words(tmp_path: Path) -> None:
    text, out = "by the way, by the sea\n" * 3, tmp_path / "tokenizer.json"
    (tmp_path / "text.txt").write_text(text)
    options = (tmp_path / "text.txt", "-o", out, "-n", "272", "--pattern", "gpt2")
    for words in (4, 2):
        limit = [] if words == 4 else ["--max-words", str(words)]
        done = run(*options, "--superword-transition", "8", "--force", *limit)
        assert done.returncode == 0, done.stderr
        superword = bw.Superword(8, max_words=words)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            expected = bw.train([text], 272, pattern="gpt2", superword=superword)
        assert bw.Tokenizer.load(out).merges == expected.merges
    (tmp_path / "text.txt").unlink()
    done = run(*options, "--force")
    assert done.returncode == 1
    assert "no such file" in done.stderr


def test_the_command_takes_languages_in_turn(tmp_path: Path) -> None:
    texts = {"en": ["low tide\n" * 9, "low"], "nl": ["laag water"]}
    development = {"en": ["low tide"], "nl": ["laag water"]}
    inputs, parity = [], []
    for language in texts:
        for at, text in enumerate(texts[language]):
            (tmp_path / f"{language}{at}.txt").write_text(text)
            inputs.append(f"{language}={tmp_path}/{language}{at}.txt")
        (tmp_path / f"{language}.dev").write_text(development[language][0])
        parity += ["--parity", f"{language}={tmp_path}/{language}.dev"]
    out = tmp_path / "tokenizer.json"
    for shared in (0, 2):
        done = run(
            *inputs, "-o", out, "-n", "264", *parity, "--shared-merges", str(shared), "--force"
        )
        assert done.returncode == 0, done.stderr
        turns = bw.Parity(development, shared_merges=shared)
        expected = bw.train(texts, 264, parity=turns)
        assert bw.Tokenizer.load(out).merges == expected.merges


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["absent.txt"], 1, "absent.txt: no such file or folder\n"),
        (["text.txt", "--max-words", "2"], 2, "--superword-transition"),
        (["text.txt", "--shared-merges", "2"], 2, "--parity"),
        (["text.txt", "--parity", "en=text.txt"], 2, "'text.txt' is not LANGUAGE=FILE"),
        (["en=text.txt", "--parity", "nl=text.txt"], 1, "must be of the same languages"),
        (["--counts", "c.parquet", "--parity", "nl=text.txt"], 2, "by language"),
        (["text.txt", "--superword-transition", "9999"], 1, "transition=9999"),
    ],
)
def test_the_command_says_what_does_not_go_together(
    options: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("some text")
    done = run(*options, "-o", "out.json", "-n", "260")
    assert done.returncode == code
    assert message in done.stderr
