"""Models of other libraries: whatever is given for an argument works or is refused by name."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_vllm_model
from test_arguments import FEW, MANY
from tiny_networks import TOK, needs_torch, network

import bytewright as bw

pytestmark = pytest.mark.filterwarnings("ignore")
needs_llama = pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None,
    reason="needs llama-cpp-python: pip install 'bytewright[llama-cpp]'",
)
vllm = test_vllm_model.vllm  # A fixture, which stands in for the library.

Made = Callable[..., Any]


@pytest.fixture(scope="module")
def of_transformers() -> Made:
    known: dict[str, Any] = {"model": network("gpt2"), "tokenizer": TOK}
    return lambda **given: bw.TransformersModel(**known | given)


@pytest.fixture(scope="module")
def of_llama(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    importlib.import_module("tiny_gguf").write_gguf(path, TOK, positions=64)
    llama = importlib.import_module("llama_cpp").Llama(
        str(path), n_ctx=64, verbose=False, n_threads=1, n_threads_batch=1
    )

    def made(**given: Any) -> Any:
        known: dict[str, Any] = {"model": path if "gpu_layers" in given else llama}
        return bw.LlamaCppModel(**known | given)

    return made


@pytest.fixture
def of_vllm(vllm: None) -> Made:
    engine = test_vllm_model.LLM("some", max_logprobs=-1)
    known: dict[str, Any] = {"model": engine, "tokenizer": TOK}
    return lambda **given: bw.VllmModel(**known | given)


def models_made(made: Made, arguments: Iterable[str]) -> list[Any]:
    """Models with one argument replaced, as far as they are made; they are asked for a row."""
    found, wrong = [], []
    for argument in arguments:
        for value in (*FEW, *MANY):
            try:
                model = made(**{argument: value})
                assert model.logprobs([[1]]).shape == (1, TOK.vocab_size)
                found.append(model)
            except bw.BytewrightError:
                pass
            except Exception as error:
                wrong.append(f"{argument}={value!r:.40}: {error!r:.100}")
    assert not wrong, "\n".join(wrong)
    return found


@needs_torch
def test_no_argument_of_a_transformers_model_is_an_error_of_python(
    of_transformers: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # Some of the wrong values are names of files.
    names = ["model", "tokenizer", "device", "dtype", "eos_id", "prefix", "memory", "batch"]
    made = models_made(of_transformers, names)
    # A wrong argument is no property of the network.
    assert {model.way for model in made} == {"packed"}
    assert len(made) > 9
    cases: list[tuple[dict[str, Any], str]] = [
        ({"batch": 1.5}, "batch must be an int, not float"),
        ({"device": "bogus"}, "device='bogus'"),
        ({"device": "meta"}, "device='meta': there are no numbers"),
        ({"dtype": "Tensor"}, "dtype='Tensor': a type such as 'float32'"),
        ({"dtype": "float8_e4m3fn"}, "dtype='float8_e4m3fn'"),
        ({"eos_id": 1.5}, "eos_id: ids must be a sequence, not float"),
        ({"prefix": "ab"}, "prefix: ids must be integers, not str"),
    ]
    for wrong, message in cases:
        with pytest.raises(bw.BytewrightError, match=message):
            of_transformers(**wrong)


@needs_llama
def test_no_argument_of_a_llama_cpp_model_is_an_error_of_python(
    of_llama: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["model", "tokenizer", "eos_id", "prefix", "batch", "branches", "gpu_layers"]
    assert len(models_made(of_llama, [*names, "positions"])) > 9
    cases: list[tuple[dict[str, Any], str]] = [
        ({"batch": "a"}, "batch must be an int, not str"),
        ({"branches": 1.5}, "branches must be an int, not float"),
        # The engine would take the last bits, and end the process.
        ({"positions": 2**32 + 5}, "positions=4294967301: at most"),
        ({"gpu_layers": -2}, "gpu_layers=-2"),
    ]
    for wrong, message in cases:
        with pytest.raises(bw.BytewrightError, match=message):
            of_llama(**wrong)


def test_no_argument_of_a_vllm_model_is_an_error_of_python(
    of_vllm: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["model", "tokenizer", "eos_id", "prefix"]
    assert len(models_made(of_vllm, names)) > 5
    model = of_vllm(eos_id=np.int64(4), prefix=np.array([3, 2]))
    assert (model.eos_id, model.prefix.tolist()) == (4, [3, 2])
    with pytest.raises(bw.ArgumentError, match=r"eos_id: ids must be integers, not str"):
        of_vllm(eos_id="x")


WRONG_IDS: list[dict[str, Any]] = [
    {"eos_id": -1},
    {"eos_id": [1, -1]},
    {"eos_id": "a"},
    {"prefix": [-1]},
    {"prefix": [1.5]},
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vllm", "VllmModel"),
        pytest.param("transformers", "TransformersModel", marks=needs_torch),
        pytest.param("llama_cpp", "LlamaCppModel", marks=needs_llama),
    ],
)
def test_what_no_model_has_is_refused_before_one_is_loaded(
    name: str, kind: str, vllm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}")
    loading = importlib.import_module(f"bytewright.models.{name}")
    monkeypatch.setattr(loading, "_load", lambda *_: 1 / 0)
    for wrong in WRONG_IDS:
        with pytest.raises((bw.ArgumentError, bw.ArgumentTypeError), match=f"^{next(iter(wrong))}"):
            getattr(bw, kind)(tmp_path, **wrong)
    if name != "llama_cpp":
        with pytest.raises(bw.LoadError, match="tokenizer"):
            getattr(bw, kind)(tmp_path)
