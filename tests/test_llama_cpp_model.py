"""Models of llama.cpp: rows are those of its own evaluation, one context at a time."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus_tools import EOT, small_tokenizer
from numpy.typing import NDArray
from tiny_gguf import write_gguf

import bytewright as bw
from bytewright.bytelm import compress, decompress

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None,
        reason="needs llama-cpp-python: pip install 'bytewright[llama-cpp]'",
    ),
    pytest.mark.filterwarnings("ignore"),
]

TOK = small_tokenizer()
END = TOK.special_tokens[EOT]
POSITIONS = 256
# Keys and values are float16 unless asked otherwise: a digit more or less may tip them over.
FLOAT32, TOLERANCE = 0, 2e-5


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, TOK, positions=POSITIONS)
    return path


@pytest.fixture(scope="module")
def llama(file: Path) -> Any:
    return importlib.import_module("llama_cpp").Llama(
        str(file), n_ctx=POSITIONS, logits_all=True, verbose=False, n_threads=1, n_threads_batch=1,
        type_k=FLOAT32, type_v=FLOAT32,
    )  # fmt: skip


def plain(llama: Any, contexts: Sequence[Any], prefix: Sequence[int] = (END,)) -> NDArray[Any]:
    rows = []
    for ids in contexts:
        llama.reset()
        llama.eval([*prefix, *map(int, ids)])
        rows.append(llama.scores[llama.n_tokens - 1].astype(np.float64))
    logits = np.array(rows)
    found: NDArray[Any] = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return found


def made(model: Any, **arguments: Any) -> Any:
    """A model that takes lists, which the types do not."""
    return bw.LlamaCppModel(model, **arguments)


def forking(chance: np.random.Generator, longest: int) -> list[NDArray[np.int32]]:
    """Contexts of which many begin alike."""
    lines = [chance.integers(0, END, longest).astype(np.int32) for _ in range(3)]
    forks = [np.concatenate([lines[0][:at], lines[1 + at % 2][: at % 4]]) for at in range(longest)]
    return [*forks, lines[0], np.zeros(0, np.int32), lines[0]]


@pytest.mark.parametrize(("branches", "batch"), [(64, 512), (3, 20), (1, 7), (255, 9)])
def test_rows_are_those_of_the_engine(llama: Any, branches: int, batch: int) -> None:
    model = made(llama, branches=branches, batch=batch)
    chance = np.random.default_rng(3)
    for longest in (1, 4, 30, 90, 230, 20):
        contexts = forking(chance, longest)
        rows = model.logprobs(contexts)
        assert (rows.dtype, rows.shape) == (np.float32, (len(contexts), TOK.vocab_size))
        assert np.abs(rows - plain(llama, contexts)).max() < TOLERANCE


def test_what_was_read_is_not_read_again(llama: Any) -> None:
    model = made(llama)
    line = np.arange(40, dtype=np.int32)
    model.logprobs([line[:30]])
    assert model.tokens_read == 31
    model.logprobs([line[:32], np.append(line[:31], 99), line[:31]])
    assert model.tokens_read == 31 + 3
    # No contexts are no work, and forget nothing.
    assert model.logprobs([]).shape == (0, TOK.vocab_size)
    model.logprobs([np.append(line[:31], 99)])
    assert model.tokens_read == 31 + 3 + 1


def test_a_byte_model_of_it_is_that_of_the_engine(llama: Any) -> None:
    ours = bw.ByteModel(made(llama))
    theirs = bw.ByteModel(
        bw.CallableModel(TOK, lambda contexts: plain(llama, contexts), eos_id=END)
    )
    text = "the antenna in there, naïve"
    assert np.abs(ours.score(text) - theirs.score(text)).max() < 1e-4
    one, other = ours.start("the an"), theirs.start("the an")
    for byte in b"tenna":
        assert np.abs(one.next().probs - other.next().probs).max() < 1e-5
        one.fork().advance(b"zz").next()
        one.advance(bytes([byte]))
        other.advance(bytes([byte]))


def test_a_file_is_a_model(file: Path, llama: Any, capfd: pytest.CaptureFixture[str]) -> None:
    model = made(file)
    assert capfd.readouterr() == ("", "")
    assert bool(isinstance(model, bw.TokenModel))
    assert model.tokenizer.encode("the antenna") == TOK.encode("the antenna")
    assert (model.eos_id, model.prefix.tolist()) == (END, [END])
    contexts = forking(np.random.default_rng(8), 40)
    assert np.abs(model.logprobs(contexts) - plain(llama, contexts)).max() < 0.05
    model.logprobs([[0] * (POSITIONS - 1)])
    with pytest.raises(bw.ArgumentError, match="the model has 256 positions"):
        model.logprobs([[0] * POSITIONS])


def test_ends_and_prefix_may_be_given(llama: Any) -> None:
    model = made(llama, eos_id=[END, 7], prefix=[3, 4])
    row, alone = np.exp(model.logprobs([[1]])[0]), np.exp(plain(llama, [[1]], [3, 4])[0])
    assert row[END] == pytest.approx(alone[END] + alone[7], rel=1e-4)
    assert row[7] == 0
    assert made(llama, eos_id=[]).eos_id is None


def test_what_cannot_be_is_said(tmp_path: Path, llama: Any) -> None:
    with pytest.raises(bw.LoadError, match="no such file; nothing is downloaded"):
        made("no.gguf")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF and more")
    with pytest.raises(bw.LoadError, match=r"no model that llama\.cpp can run"):
        made(tmp_path / "bad.gguf")
    with pytest.raises(bw.ArgumentTypeError, match="a GGUF file or a Llama, not list"):
        made([])
    model = made(llama, prefix=[])
    with pytest.raises(bw.ArgumentError, match="context 0 is empty, and so is the prefix"):
        model.logprobs([[]])
    with pytest.raises(bw.UnknownTokenError, match="token id 999 at place 1 of context 0"):
        model.logprobs([[0, 999]])
    cases: list[tuple[dict[str, Any], str]] = [
        ({"batch": 0}, "batch=0"),
        ({"positions": 0}, "positions=0"),
        ({"eos_id": 5000}, "eos_id: id 5000 is outside"),
        ({"tokenizer": bw.Tokenizer.from_merges([], special_tokens=list("abcdefgh"))}, "264 ids"),
    ]
    for wrong, message in cases:
        with pytest.raises(bw.ArgumentError, match=message):
            made(llama, **wrong)


def test_an_adapter_is_refused(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama, "lora_path", "some.gguf")
    with pytest.raises(bw.UnsupportedError, match=r"a Llama with the adapter some\.gguf"):
        made(llama)


@pytest.mark.parametrize("positions", [1, 8, 100])
def test_little_room_is_enough(file: Path, llama: Any, positions: int) -> None:
    model = made(file, positions=positions, branches=200)
    contexts = [row for row in forking(np.random.default_rng(2), 99) if len(row) < positions]
    assert np.abs(model.logprobs(contexts) - plain(llama, contexts)).max() < 0.05
    with pytest.raises(bw.ArgumentError, match=f"the model has {positions} positions"):
        model.logprobs([[0] * positions])


def test_a_stopped_call_leaves_nothing_wrong(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(llama, batch=80)
    contexts = forking(np.random.default_rng(9), 60)
    model.logprobs(contexts[:9])
    decode, calls = model._decode, 0

    def stopping(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        decode(*arguments)

    monkeypatch.setattr(model, "_decode", stopping)
    with pytest.raises(KeyboardInterrupt):
        model.logprobs(contexts)
    assert np.abs(model.logprobs(contexts) - plain(llama, contexts)).max() < TOLERANCE


def test_a_model_ends_with_its_file_in_any_order(file: Path) -> None:
    script = (
        "import sys, bytewright as bw, llama_cpp\n"
        "llama = llama_cpp.Llama(sys.argv[1], verbose=False, n_threads=1)\n"
        "models = [bw.LlamaCppModel(llama), bw.LlamaCppModel(sys.argv[1])]\n"
        "for model in models: model.logprobs([[1]])\n"
        "llama.close()\n"
        "try:\n"
        "    models[0].logprobs([[1]])\n"
        "except bw.ArgumentError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(file)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "the Llama has been closed\n"), done.stderr


def test_what_was_asked_before_changes_no_bits(file: Path) -> None:
    model, text = bw.LlamaCppModel(file), b"the antenna in there and then the antenna" * 2
    small = compress(bw.ByteModel(bw.LlamaCppModel(file)), text)
    contexts = [np.array(TOK.encode(text[:at]), np.int32) for at in (60, 20, 40)]
    model.logprobs(contexts)
    assert compress(bw.ByteModel(model), text) == small
    bw.ByteModel(model).score(text[:50])
    assert decompress(bw.ByteModel(model), small) == text
    model.clear()
    fresh = bw.LlamaCppModel(file)
    for ids in contexts:
        assert np.array_equal(model.logprobs([ids]), fresh.logprobs([ids]))
