"""Every example in the documents and the docstrings runs and gives what it says."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from conftest import CHECKOUT

import bytewright

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
# The maker script of the demo vocabulary needs a package that the tests do not.
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(bytewright.__path__, "bytewright.")
    if not info.name.endswith("__main__")
)


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a document in one language."""
    text = (CHECKOUT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def failures(test: doctest.DocTest) -> int:
    return doctest.DocTestRunner(optionflags=FLAGS).run(test).failed


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    assert sum(failures(test) for test in finder.find(module, name)) == 0


def test_docstring_examples_exist() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = map(importlib.import_module, MODULES)
    assert sum(len(test.examples) for m in modules for test in finder.find(m, m.__name__)) > 20


def test_readme_python_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = "\n".join(blocks("README.md", "python"))
    test = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
    assert test.examples
    assert failures(test) == 0


def sessions(block: str) -> list[tuple[str, str]]:
    """Commands after `$ ` and the output that follows each.

    >>> sessions("$ a\\nx\\n$ b\\n")
    [('a', 'x\\n'), ('b', '')]
    """
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def test_readme_console_holds(tmp_path: Path) -> None:
    scripts = sysconfig.get_path("scripts")
    env = os.environ | {"PATH": scripts + os.pathsep + os.environ["PATH"], "NO_COLOR": "1"}
    commands = [one for block in blocks("README.md", "console") for one in sessions(block)]
    assert commands
    for command, expected in commands:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
        same = doctest.OutputChecker().check_output(
            expected, done.stdout.rstrip("\n") + "\n", FLAGS
        )
        assert same or done.stdout.rstrip("\n") == expected.rstrip("\n"), (command, done.stdout)


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    script = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    start = readme.index("<!-- tests -->\n```sh\n")
    command = readme[start:].split("\n")[2]
    assert command.endswith("&& .venv/bin/pytest")
    # The script reads the command from the README: between this mark and the end of its block.
    assert "sed -n '/^<!-- tests -->$/,/^```$/p' README.md" in script
    assert '-c "$command"' in script
