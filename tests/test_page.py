"""The page shows what the models say, and nothing of what it shows is ever run."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shutil
import subprocess
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

import bytewright as bw
from bytewright.bytelm.page import MOST_BYTES
from bytewright.bytelm.page.cells import Cell, cells
from bytewright.bytelm.page.document import EDGES

HOSTILE = '</script><script>document.title="run"</script><!--'
TEXT = f"the cat\tsat 中文é {HOSTILE} &amp;\r\nthe  cat\n".encode()
CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), ""
)
Row = list[Any]


def cats(semantics: Any = "valid", pattern: str | None = "gpt2") -> bw.ByteModel:
    merges = [(b"t", b"h"), (b"th", b"e"), (b"a", b"t"), (b" ", b"c"), (b"\xb8", b"\xad")]
    tok = bw.Tokenizer.from_merges(merges, pattern=pattern, special_tokens=[HOSTILE])
    texts = ["the cat sat\n", "the cat ran\n", "naïve 中文é\n", HOSTILE] * 5
    return bw.ByteModel(bw.NgramModel.fit(tok, texts), semantics=semantics)


class Page(HTMLParser):
    """What a browser finds in a page, by the standard library's parser."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.cells: list[list[tuple[dict[str, str | None], str]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.style = self.policy = self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        about = next(body for given, body in self.scripts if given.get("id") == "about")
        self.about = json.loads(about)
        self.views = [self._view(body) for given, body in self.scripts if given.get("class")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.attributes += attrs
        self._open.append(tag)
        classes = (given.get("class") or "").split()
        if "text" in classes:
            self.cells.append([])
        if tag == "b":
            self.cells[-1].append((given, ""))
        if tag == "script":
            self.scripts.append((given, ""))
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._open.append("/" + tag)

    def handle_data(self, data: str) -> None:
        tag = self._open[-1] if self._open else ""
        if tag == "b":
            self.cells[-1][-1] = (self.cells[-1][-1][0], data)
        elif tag == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif tag == "style":
            self.style += data
        else:
            self.text += data

    def _view(self, body: str) -> tuple[dict[str, Any], list[Row]]:
        head, *lines = map(json.loads, body.split("\n"))
        assert all(len(line) == self.about["line"] for line in lines[:-1])
        return head, [record for line in lines for record in line]


def page(path: Path, models: dict[str, Any], text: str | bytes = TEXT, **options: Any) -> Page:
    bw.byte_page(models, text, path / "page.html", **options)
    return Page(path / "page.html")


def shares(numbers: list[int | None]) -> list[float]:
    return [0.0 if one is None else 2 ** (-one / 1000) for one in numbers]


@pytest.mark.parametrize("semantics", ["valid", "all"])
def test_the_numbers_are_those_of_the_model(tmp_path: Path, semantics: Any) -> None:
    model = cats(semantics)
    bits = bw.byte_page({"cats": model}, TEXT, tmp_path / "page.html")
    found = Page(tmp_path / "page.html")
    [(head, records)] = found.views
    assert base64.b64decode(found.about["text"]) == TEXT
    assert head["name"] == "cats"
    tok = model.model.tokenizer
    tokens = [token for token, _ in head["tokens"]]
    assert [digits for _, digits in head["tokens"]] == [tok.token_bytes(at).hex() for at in tokens]
    scores = -model.score(TEXT) / math.log(2)
    assert bits == {"cats": pytest.approx(scores.mean())}
    state = model.start()
    for at, (took, rank, entropy, lost, bound, outcomes, paths) in enumerate(records):
        expected = state.next()
        actual = TEXT[at] if at < len(TEXT) else 256
        if at < len(TEXT):
            assert took == pytest.approx(1000 * scores[at], abs=0.6)
        likelier = [other for other, _ in expected.top(257)].index(actual)
        assert rank == likelier
        assert entropy == pytest.approx(1000 * expected.entropy, abs=0.6)
        assert (lost, bound) == (round(1e6 * expected.lost_mass), 0)
        assert outcomes[::2] == [outcome for outcome, _ in expected.top(10)]
        tops = [p for _, p in expected.top(10)]
        assert shares(outcomes[1::2]) == pytest.approx(tops, rel=1e-3)
        for (share, owed, *ids), path in zip(paths, state.paths(6, last=4), strict=False):
            assert shares([share]) == pytest.approx([path.share], rel=1e-3)
            assert (owed, tuple(tokens[one] for one in ids)) == (len(path.pending), path.ids)
        assert paths
        if at < len(TEXT):
            state.advance(TEXT[at : at + 1])
    assert len(records) == len(TEXT) + 1
    levels = "".join(given.get("data-h") or given["class"][1] for given, _ in found.cells[0])  # type: ignore[index]
    edges = [sum(one >= edge for edge in EDGES) for one in scores]
    assert levels[:-1] == "".join(map(str, edges))


def test_a_page_takes_a_few_hundred_bytes_for_each_of_the_text(tmp_path: Path) -> None:
    logs = np.log(np.random.default_rng(1).dirichlet(np.ones(257)))

    class Same(bw.BytePredictor):
        """What holds nothing for itself, but gives another array each time."""

        logprob = 0.0

        def start(self, prefix: str | bytes = b"") -> Same:
            return self

        def fork(self) -> Same:
            return self

        def advance(self, data: bytes) -> Same:
            return self

        def next(self) -> bw.ByteDistribution:
            return bw.ByteDistribution(logs.copy(), 0.0, 0.0)

    peaks = []
    for size in (500, 2500):
        tracemalloc.start()
        bw.byte_page({"same": Same()}, b"a" * size, tmp_path / "page.html")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 2000 < 1000


def test_characters_and_boundaries_are_shown(tmp_path: Path) -> None:
    found = page(tmp_path, {"cats": cats()}, "a 中\t".encode() + b"\xff\x00\n")
    shown = [text for _, text in found.cells[0]]
    assert shown == ["a", "·", "中", "→", "FF", "00", "↵", "end"]
    at, starts = 0, set()
    for given, _ in found.cells[0][:-1]:
        inside = (given.get("data-cut") or "").split(",")
        starts |= {at} if "cut" in (given["class"] or "") else set()
        starts |= {at + int(one) for one in inside if one}
        at += len(given.get("data-h") or "0")
    tok = cats().model.tokenizer
    offsets = tok.encode_offsets("a 中\t".encode() + b"\xff\x00\n")[1]
    assert starts == set(offsets[:-1].tolist())


def test_what_comes_from_outside_is_never_markup(tmp_path: Path) -> None:
    name = f'"{HOSTILE}'
    found = page(tmp_path, {name: cats(), "b": cats()}, title=HOSTILE)
    assert [given.get("type") for given, _ in found.scripts] == ["application/json"] * 3 + [None]
    # The only script and the only style are those that the page's own policy names.
    for kind, body in [("script", found.scripts[-1][1]), ("style", found.style)]:
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in found.policy
    assert found.policy.startswith("default-src 'none';")
    assert "unsafe" not in found.policy
    names = {given for given, _ in found.attributes}
    assert not {one for one in names if one.startswith("on") or one in ("style", "src", "href")}
    assert "http:" not in found.style + found.scripts[-1][1]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", found.scripts[-1][1]
    )
    assert found.views[0][0]["name"] == name
    # The title, the heading, the table and the model's own heading.
    assert found.text.count(HOSTILE) == 4
    shown = "".join(text for _, text in found.cells[0])
    assert HOSTILE in shown


def test_models_stand_side_by_side_byte_for_byte(tmp_path: Path) -> None:
    one = bw.ByteModel(bw.NgramModel.fit(bw.Tokenizer.from_merges([]), ["the cat"] * 9))
    both = bw.Ensemble([cats("all"), one])
    told: list[Any] = []
    found = page(tmp_path, {"tokens": cats(), "bytes": one, "both": both}, progress=told.append)
    assert [head["name"] for head, _ in found.views] == ["tokens", "bytes", "both"]
    assert {len(records) for _, records in found.views} == {len(TEXT) + 1}
    texts = [[text for _, text in view] for view in found.cells]
    assert texts[0] == texts[1] == texts[2]
    # An ensemble has no tokens: no boundaries, and no sequences of them.
    assert not [given for given, _ in found.cells[2] if "cut" in (given["class"] or "")]
    assert all(record[-1] == [] for record in found.views[2][1])
    assert (told[-1].bytes_done, told[-1].model) == (3 * len(TEXT), "both")


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    tok = bw.Tokenizer.from_merges([], alphabet=b"ab", special_tokens=["<eos>"])
    model = bw.ByteModel(bw.CallableModel(tok, lambda c: np.zeros((len(c), 3)), eos_id=2))
    bits = bw.byte_page({"ab": model}, "abcab", tmp_path / "page.html")
    assert bits == {"ab": math.inf}
    found = Page(tmp_path / "page.html")
    records = found.views[0][1]
    assert [record[0] if record else "-" for record in records] == [1585, 1585, None, "-", "-", "-"]
    assert "∞" in found.text
    bits = bw.byte_page({"ab": model}, "ab", tmp_path / "page.html")
    assert bits["ab"] == pytest.approx(math.log2(3))


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for models, text, message in [
        ({}, "a", "no model"),
        ({"a": cats()}, "", "no bytes"),
        ({"a": cats()}, "a" * (MOST_BYTES + 1), "262145 bytes"),
        ({"a": cats()}, "\ud800", "lone surrogate"),
    ]:
        with pytest.raises(bw.ArgumentError, match=message):
            bw.byte_page(models, text, path)
    with pytest.raises(TypeError, match="mapping"):
        bw.byte_page([cats()], "a", path)  # type: ignore[arg-type]
    with pytest.raises(bw.ArgumentError, match="is no folder"):
        bw.byte_page({"a": cats()}, "a", tmp_path / "absent" / "page.html")
    with pytest.raises(bw.DataError, match="cannot write"):
        bw.byte_page({"a": cats()}, "a", tmp_path)
    assert list(tmp_path.iterdir()) == []


@drawn(st.binary(max_size=60) | st.text(max_size=40).map(lambda t: t.encode(errors="ignore")))
def test_cells_are_the_text(data: bytes) -> None:
    found = list(cells(data))
    ends = [cell.start + cell.size for cell in found]
    assert [cell.start for cell in found] == [0, *ends][: len(found)]
    assert (ends[-1:] or [0]) == [len(data)]
    for cell in found:
        part = data[cell.start : cell.start + cell.size]
        if cell.kind == "plain":
            assert cell.shown.removeprefix("◌").encode() == part
        if cell.kind == "raw":
            assert cell.shown == part.hex().upper()
        assert cell.shown.isprintable() or cell.kind == "plain"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e\u0301a", ["e\u0301", "a"]),
        ("\u0301", ["◌\u0301"]),
        ("👩‍👩‍👧🇩🇪🇫🇷👍🏽", ["👩‍👩‍👧", "🇩🇪", "🇫🇷", "👍🏽"]),
        ("क्षत", ["क्ष", "त"]),
        ("a\u200db", ["a\u200d", "b"]),
        ("\u202eab", ["U+202E", "a", "b"]),
        ("\r\n\u00a0", ["␍", "↵", "U+00A0"]),
        ("a" + "\u0301" * 20, ["a" + "\u0301" * 15, "◌" + "\u0301" * 5]),
    ],
)
def test_characters_that_belong_together_are_one_cell(text: str, expected: list[str]) -> None:
    assert [cell.shown for cell in cells(text.encode())] == expected


def test_right_to_left_letters_are_known() -> None:
    assert [cell.rightward for cell in cells("aب ".encode())] == [False, True, False]
    assert list(cells(b"\xd8")) == [Cell(0, 1, "D8", "raw")]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of #rrggbb."""
    linear = []
    for at in (1, 3, 5):
        value = int(colour[at : at + 2], 16) / 255
        linear.append(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_levels_differ_by_lightness_and_letters_can_be_read(tmp_path: Path) -> None:
    style = page(tmp_path, {"cats": cats()}, "a").style
    schemes = style.split("@media (prefers-color-scheme: dark)")[:2]
    for scheme, sign in zip(schemes, (-1, 1), strict=True):
        block = scheme[: scheme.index(".h0") if sign == 1 else None]
        grounds = [luminance(one) for one in re.findall(r"--h\d: (#\w{6});", block)]
        inks = [luminance("#" + 2 * one) for one in re.findall(r"--i\d: #(\w{3});", block)]
        assert len(grounds) == len(inks) == len(EDGES) + 1
        steps = np.diff([sign * one for one in grounds])
        assert (steps > 0).all()
        for ground, ink in zip(grounds, inks, strict=True):
            light, dark = max(ground, ink), min(ground, ink)
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def dumped(path: Path, fragment: str, profile: Path) -> tuple[str, str]:
    """The document after its scripts have run, and what the browser had to say."""
    done = subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--user-data-dir={profile}", "--window-size=2400,900", "--virtual-time-budget=4000",
            "--dump-dom", f"{path.as_uri()}{fragment}",
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


STEPS = """
const text = document.querySelector(".text"), panel = document.getElementById("panel");
const log = [];
const note = () => log.push(panel.querySelector("strong").textContent);
const key = (key) => text.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const cells = [...text.querySelectorAll("b")];
const point = (type, cell, share) => {
  const box = cell.getBoundingClientRect();
  const at = { bubbles: true, clientX: box.left + share * box.width, clientY: box.top + 5 };
  cell.dispatchEvent(new PointerEvent(type, at));
};
// A window without a display may have no focus to give.
text.dispatchEvent(new FocusEvent("focus")); note();
for (const name of ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home", "ArrowDown"]) {
  key(name);
  note();
}
point("pointermove", cells[4], 0.5); note();
key("Escape");
point("pointermove", cells[4], 0.5); note();
const wide = cells.find((cell) => cell.textContent === "中");
for (const share of [0.1, 0.5, 0.9]) { point("pointermove", wide, share); note(); }
point("click", cells[1], 0.5); note();
point("pointermove", cells[4], 0.5); note();
const off = document.getElementById("cuts"); off.click();
log.push(text.classList.contains("cuts"));
const told = { id: "log", textContent: JSON.stringify(log) };
document.body.append(Object.assign(document.createElement("pre"), told));
"""


@pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium")
def test_a_browser_shows_it_under_its_own_policy(tmp_path: Path) -> None:
    model = cats()
    page(tmp_path, {f"cats {HOSTILE}": model, "all": cats("all")}, title=HOSTILE)
    dom, said = dumped(tmp_path / "page.html", "#6", tmp_path / "profile")
    assert "CONSOLE" not in said, said
    assert "<title>run</title>" not in dom
    panel = dom[dom.index('<aside id="panel"') : dom.index("</aside>")]
    assert f"<strong>Byte 6 of {len(TEXT)}: </strong>" in panel
    assert panel.count("<h3>") == 2
    expected = model.start(TEXT[:5]).next().top(1)[0]
    assert f'<th scope="row">{chr(expected[0])}</th>' in panel
    values = [float(one) for one in re.findall(r'<meter value="([^"]+)"', panel)]
    assert values[0] == pytest.approx(expected[1], rel=1e-3)
    assert '<span class="token"' in panel


@pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium")
def test_bytes_are_reached_by_pointer_and_keyboard(tmp_path: Path) -> None:
    page(tmp_path, {"cats": cats()})
    path = tmp_path / "page.html"
    # The page's policy lets no other script in: this copy has none.
    source = re.sub(r'<meta http-equiv="Content-Sec[^>]*>', "", path.read_text(encoding="utf-8"))
    path.write_text(source.replace("</body>", f"<script>{STEPS}</script></body>"), encoding="utf-8")
    dom, said = dumped(path, "", tmp_path / "profile")
    assert "CONSOLE" not in said, said
    match = re.search(r'<pre id="log">(.*?)</pre>', dom)
    assert match is not None
    *log, cuts = json.loads(match[1])
    wide, size = TEXT.index("中".encode()), len(TEXT)
    below = TEXT.index(b"\n") + 1
    numbers = [1, 2, 3, 2, None, 1, below + 1, below + 1, 5, wide + 1, wide + 2, wide + 3, 2, 2]
    assert log == [f"Byte {n} of {size}: " if n else "End of the text" for n in numbers]
    assert cuts is False
