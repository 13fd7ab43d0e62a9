"""The floors of ARCHITECTURE.md hold: nothing imports upwards or sideways.

The blocks marked `floors rust` and `floors python` are the rule; this file only reads them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CHECKOUT

RUST = CHECKOUT / "rust"
PYTHON = CHECKOUT / "python" / "bytewright"


def floors(language: str) -> dict[str, int]:
    """Floor of every room, the lowest being 0."""
    text = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = re.search(rf"^```floors {language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block is not None, f"ARCHITECTURE.md has no floors for {language}"
    return {
        room: floor for floor, line in enumerate(block[1].splitlines()) for room in line.split()
    }


def violations(uses: dict[str, set[str]], heights: dict[str, int]) -> Iterator[str]:
    """Say which room uses one that is not below it, and which room has no floor."""
    for room, used in sorted(uses.items()):
        for other in sorted(used | {room}):
            if other not in heights:
                yield f"{other} (used in {room}) stands on no floor"
            elif other != room and heights.get(room, 0) <= heights[other]:
                yield f"{room} uses {other}, which is not below it"


def code(source: str) -> str:
    """Rust source without comments and without the content of strings.

    >>> code('let a = "crate::x"; // crate::y')
    'let a = ""; '
    """
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?\'(?:\\[^\n]{1,9}?|[^\'\\\n])\'',
        re.DOTALL,
    )
    return token.sub(lambda m: "" if m[0].startswith("/") else '""', source)


def rust_files() -> list[Path]:
    return sorted(file for file in RUST.rglob("*.rs") if file != RUST / "lib.rs")


def rust_uses(source: str, reexports: dict[str, str]) -> set[str]:
    """Rooms named by the `crate::` paths of a file.

    >>> sorted(rust_uses("use crate::{a::X, b::{self, Y}, Z}; crate::c::f()", {"Z": "d"}))
    ['a', 'b', 'c', 'd']
    """
    names: set[str] = set()
    for start in re.finditer(r"\bcrate::", code(source)):
        rest = code(source)[start.end() :]
        names.update(group_heads(rest) if rest.startswith("{") else re.findall(r"^\w+", rest))
    return {reexports.get(name, name) for name in names}


def group_heads(text: str) -> set[str]:
    """First names inside a brace group, nested groups aside."""
    heads, depth, want = set(), 0, True
    for part in re.findall(r"\w+|[{},]|::", text):
        depth += (part == "{") - (part == "}")
        if depth == 0:
            break
        if depth == 1 and want and re.fullmatch(r"\w+", part):
            heads.add(part)
        want = depth == 1 and part in "{,"
    return heads


def rust_reexports() -> dict[str, str]:
    """Names that lib.rs lifts to the root of the crate, with the room they come from."""
    found: dict[str, str] = {}
    for room, names in re.findall(
        r"pub use (\w+)::(\{[^}]*\}|\w+);", code((RUST / "lib.rs").read_text(encoding="utf-8"))
    ):
        found.update(dict.fromkeys(re.findall(r"\w+", names), room))
    return found


def room_of(file: Path, root: Path) -> str:
    """Folder or file name directly under the root."""
    return file.relative_to(root).parts[0].removesuffix(".rs").removesuffix(".py")


def test_rust_rooms_use_only_rooms_below() -> None:
    reexports = rust_reexports()
    uses: dict[str, set[str]] = {}
    for file in rust_files():
        found = rust_uses(file.read_text(encoding="utf-8"), reexports)
        uses.setdefault(room_of(file, RUST), set()).update(found)
    assert list(violations(uses, floors("rust"))) == []


def test_rust_rooms_reach_each_other_by_crate_paths_only() -> None:
    for file in rust_files():
        inside = file.relative_to(RUST).with_suffix("").parts
        depth = len(inside) - (inside[-1] == "mod")
        outside_tests = code(file.read_text(encoding="utf-8")).split("#[cfg(test)]\nmod ")[0]
        climbs = re.findall(r"(?:super::)+", outside_tests)
        assert all(climb.count("super") < depth for climb in climbs), file


def python_uses(tree: ast.AST, module: tuple[str, ...], rooms: set[str]) -> set[str]:
    """Rooms of the package that a file imports; `bytewright` itself is the public door."""
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(module[: len(module) - node.level]) if node.level else []
            origin = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            lifted = [f".{alias.name}" if alias.name in rooms else "" for alias in node.names]
            targets = [origin + end for end in lifted] if origin == "bytewright" else [origin]
        else:
            continue
        found = (target.split(".") for target in targets)
        used.update(parts[min(1, len(parts) - 1)] for parts in found if parts[0] == "bytewright")
    return used


def python_rooms() -> set[str]:
    inside = {room_of(file, PYTHON) for file in PYTHON.rglob("*.py")}
    return (inside | {"_core"}) - {"__init__", "__main__"}


def test_python_rooms_use_only_rooms_below() -> None:
    rooms = python_rooms()
    uses: dict[str, set[str]] = {}
    for file in sorted(PYTHON.rglob("*.py")):
        parts = ("bytewright", *file.relative_to(PYTHON).with_suffix("").parts)
        if parts[1:] in {("__init__",), ("__main__",)}:
            continue
        found = python_uses(ast.parse(file.read_text(encoding="utf-8")), parts, rooms)
        uses.setdefault(parts[1], set()).update(found)
    assert list(violations(uses, floors("python"))) == []


@pytest.mark.parametrize("language", ["rust", "python"])
def test_every_floor_has_its_room(language: str) -> None:
    rooms = python_rooms() if language == "python" else {room_of(f, RUST) for f in rust_files()}
    assert sorted(set(floors(language)) - rooms) == []


@pytest.mark.parametrize(
    ("uses", "message"),
    [
        ({"low": {"high"}}, "low uses high, which is not below it"),
        ({"left": {"right"}}, "left uses right, which is not below it"),
        ({"high": {"unknown"}}, "unknown (used in high) stands on no floor"),
    ],
)
def test_a_wrong_import_is_named(uses: dict[str, set[str]], message: str) -> None:
    assert list(violations(uses, {"low": 0, "left": 1, "right": 1, "high": 2})) == [message]


def test_python_imports_are_read_in_every_form() -> None:
    source = (
        "import bytewright.a\nfrom bytewright import b, Name\nfrom bytewright.c.x import y\n"
        "from ..d import z\nfrom . import own\nimport json\n"
    )
    module = ("bytewright", "formats", "gguf")
    rooms = {"a", "b", "c", "d", "formats"}
    assert python_uses(ast.parse(source), module, rooms) == rooms | {"bytewright"}


def test_rust_imports_are_read_in_every_form() -> None:
    source = (
        "//! crate::comment\nuse crate::a::X;\nuse crate::{b, c::{self, d::E}, Top};\n"
        "fn f<'a>(x: &'a str) -> char { crate::e::g(\"crate::text\"); '\"' }\n"
        'pub(crate) const R: &str = r#"crate::raw "quoted""#; crate::f::h();'
    )
    assert rust_uses(source, {"Top": "t"}) == {"a", "b", "c", "e", "f", "t"}
