"""`verify_corpus` finds every changed bit, every missing file, every file too many."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from corpus_tools import EOT, FORMATS, MERGES, small_tokenizer, write_input

import bytewright as bw

TEXTS = [None if row % 9 == 4 else "the antenna in there " * (row % 7) for row in range(60)]


@pytest.fixture(scope="module")
def tokenizer() -> bw.Tokenizer:
    return small_tokenizer()


@pytest.fixture
def corpus(request: pytest.FixtureRequest, tmp_path: Path, tokenizer: bw.Tokenizer) -> Path:
    path = write_input(tmp_path, "jsonl", TEXTS)
    bw.encode_corpus(
        path, tokenizer, tmp_path / "out", format=request.param, eos=EOT, part_bytes=2000
    )
    return tmp_path / "out"


every_format = pytest.mark.parametrize("corpus", FORMATS, indirect=True)


@every_format
@pytest.mark.parametrize("flips", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_every_flipped_bit_is_found_and_its_file_named(corpus: Path, flips: int) -> None:
    chance = random.Random(flips)
    files = sorted(path for path in corpus.iterdir() if path.is_file())
    assert bw.verify_corpus(corpus).ok
    for _ in range(flips):
        path = chance.choice(files)
        content = path.read_bytes()
        changed = bytearray(content)
        bit = chance.randrange(8 * len(content))
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        report = bw.verify_corpus(corpus)
        assert not report.ok, f"bit {bit} of {path.name}"
        assert path.name in report.problems[0]
        path.write_bytes(content)
    assert bw.verify_corpus(corpus).ok


@pytest.mark.parametrize("corpus", ["megatron"], indirect=True)
def test_every_third_byte_of_the_manifest_counts(corpus: Path) -> None:
    path = corpus / "_manifest.json"
    content = path.read_bytes()
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 1 << place // 3 % 8
        path.write_bytes(changed)
        with pytest.raises(bw.VerifyError, match=r"_manifest\.json"):
            bw.Manifest.read(corpus)


@every_format
def test_missing_cut_and_extra_files_are_named(corpus: Path) -> None:
    for path in sorted(path for path in corpus.iterdir() if path.is_file()):
        content = path.read_bytes()
        path.unlink()
        assert any(f"{path}: missing" in one for one in bw.verify_corpus(corpus).problems)
        path.write_bytes(content[:-1])
        assert any(path.name in one for one in bw.verify_corpus(corpus).problems)
        path.write_bytes(content + b"\0")
        assert any(path.name in one for one in bw.verify_corpus(corpus).problems)
        path.write_bytes(content)
    (corpus / "train-00099.parquet").write_bytes(b"x")
    report = bw.verify_corpus(corpus)
    assert report.problems == (f"{corpus / 'train-00099.parquet'}: does not belong to this corpus",)
    with pytest.raises(bw.VerifyError, match="train-00099"):
        report.raise_problems()


@every_format
def test_a_sample_is_encoded_again(corpus: Path, tokenizer: bw.Tokenizer) -> None:
    path = corpus.parent / "input.jsonl"
    for sample in (1, 10, 10_000):
        report = bw.verify_corpus(corpus, sample=sample, tokenizer=tokenizer, inputs=path)
        assert report.ok
        assert report.documents_encoded <= sample
        assert report.documents_encoded > 0
    assert report.documents_encoded == len(TEXTS)


def test_a_sample_that_differs_is_found(
    tmp_path: Path, tokenizer: bw.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)
    bw.encode_corpus(path, tokenizer, tmp_path / "out", format="bin", part_bytes=1000)
    other = small_tokenizer(MERGES[:-2])
    report = bw.verify_corpus(tmp_path / "out", sample=9, tokenizer=other, inputs=path)
    assert "cannot encode again, tokenizer: was" in report.problems[0]
    # A tokenizer that claims to be the same and is not.
    other = small_tokenizer(MERGES[:-2])
    monkeypatch.setattr(type(other), "fingerprint", tokenizer.fingerprint)
    report = bw.verify_corpus(tmp_path / "out", sample=9, tokenizer=other, inputs=path)
    assert report.problems
    assert all("encoded again" in problem for problem in report.problems)


def test_an_unfinished_folder_is_not_a_corpus(tmp_path: Path, tokenizer: bw.Tokenizer) -> None:
    path = write_input(tmp_path, "jsonl", TEXTS)

    def stop(progress: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bw.encode_corpus(path, tokenizer, tmp_path / "out", progress=stop)
    report = bw.verify_corpus(tmp_path / "out")
    assert "_manifest.json: missing" in report.problems[0]
    with pytest.raises(bw.ArgumentError, match="not a folder"):
        bw.verify_corpus(tmp_path / "nowhere")
    with pytest.raises(bw.ArgumentError, match="sample needs"):
        bw.verify_corpus(tmp_path / "out", sample=1)
