"""What ARCHITECTURE.md says is absent is absent, and the package ships what it promises."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CHECKOUT
from test_floors import PYTHON, RUST, code, room_of

import bytewright

NETWORK = {"http", "requests", "socket", "ssl", "urllib", "ftplib", "httpx", "aiohttp"}
CODE_IN_DATA = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}


def rust_code(*, tests: bool = True) -> Iterator[tuple[Path, str]]:
    for file in sorted(RUST.rglob("*.rs")):
        text = code(file.read_text(encoding="utf-8"))
        in_tests = "tests" in file.relative_to(RUST).with_suffix("").parts
        if tests:
            yield file, text
        elif not in_tests:
            yield file, text.split("#[cfg(test)]\nmod ")[0]


def python_trees() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(PYTHON.rglob("*.py")):
        yield file, ast.parse(file.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> set[str]:
    """Top names of the modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def test_unsafe_is_absent_outside_simd() -> None:
    rooms = {
        room_of(file, RUST)
        for file, text in rust_code()
        if re.search(r"\bunsafe\s*(\{|fn|impl)", text)
    }
    assert rooms <= {"simd"}


def test_pyo3_is_absent_outside_py() -> None:
    rooms = {
        room_of(file, RUST) for file, text in rust_code() if re.search(r"\b(pyo3|numpy)::", text)
    }
    assert rooms <= {"py"}


@pytest.mark.parametrize("word", [r"\.unwrap\(\)", r"\bmacro_rules!", r"\b(todo|unimplemented)!"])
def test_shortcuts_are_absent_outside_rust_tests(word: str) -> None:
    assert [file.name for file, text in rust_code(tests=False) if re.search(word, text)] == []


def test_print_is_absent_outside_cli() -> None:
    for file, tree in python_trees():
        called = {
            getattr(node.func, "id", "") for node in ast.walk(tree) if isinstance(node, ast.Call)
        }
        assert room_of(file, PYTHON) == "cli" or "print" not in called, file


def test_network_and_code_loading_are_absent() -> None:
    for file, tree in python_trees():
        assert not imports(tree) & (NETWORK | CODE_IN_DATA), file
        called = {
            getattr(node.func, "id", "") for node in ast.walk(tree) if isinstance(node, ast.Call)
        }
        assert not called & {"eval", "exec"}, file


def test_all_lists_every_public_name() -> None:
    public = {
        name
        for name, value in vars(bytewright).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    listed = set(bytewright.__all__)
    # Rooms may be listed beside the names; a name that is not listed may not be there.
    assert public <= listed
    assert all(hasattr(bytewright, name) for name in listed)
    assert list(bytewright.__all__) == sorted(bytewright.__all__)


def public_objects() -> Iterator[tuple[str, object]]:
    for name in bytewright.__all__:
        value = getattr(bytewright, name)
        if not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        yield name, value
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and (
                    callable(member) or isinstance(member, property)
                ):
                    yield f"{name}.{attribute}", member


def test_every_public_object_has_a_docstring() -> None:
    assert [name for name, value in public_objects() if not inspect.getdoc(value)] == []


def test_every_module_has_a_docstring() -> None:
    for info in pkgutil.walk_packages(bytewright.__path__, "bytewright."):
        if not info.name.endswith(("__main__", "._core")):
            assert importlib.import_module(info.name).__doc__, info.name


def test_types_are_shipped() -> None:
    package = Path(bytewright.__file__).parent
    assert [name for name in ("py.typed", "_core.pyi") if not (package / name).is_file()] == []


def test_wheel_works_from_python_311_on() -> None:
    wheel = importlib.metadata.distribution("bytewright").read_text("WHEEL") or ""
    tags = re.findall(r"^Tag: (\S+)", wheel, re.MULTILINE)
    assert tags
    assert all(tag.startswith("cp311-abi3-") for tag in tags)


def test_version_is_told_once() -> None:
    version = re.search(r'^version = "(.+)"', (CHECKOUT / "Cargo.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert bytewright.__version__ == version[1] == importlib.metadata.version("bytewright")


def test_changelog_knows_the_version() -> None:
    assert f"## [{bytewright.__version__}]" in (CHECKOUT / "CHANGELOG.md").read_text(
        encoding="utf-8"
    )


def test_a_debug_build_says_so_when_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bytewright._core.debug_build", True)
    with pytest.warns(RuntimeWarning, match="without optimisation"):
        importlib.reload(bytewright)


def test_the_installed_core_is_a_release_build() -> None:
    from bytewright import _core

    assert _core.debug_build is False


def test_libraries_of_some_models_are_imported_where_they_are_used() -> None:
    script = (
        "import sys\n"
        "import bytewright as bw\n"
        "print({'torch', 'transformers', 'llama_cpp', 'vllm'} & set(sys.modules))\n"
        "sys.modules['torch'] = None\n"
        "try:\n"
        "    bw.TransformersModel('folder')\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "set()",
        "MissingExtraError torch is missing: pip install 'bytewright[torch]'",
    ]
