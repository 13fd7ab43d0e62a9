"""Threads, forks, processes, Ctrl-C: one tokenizer serves them all, and long calls can end."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_vocabularies import tokenizer_json

import bytewright as bw

SENTENCE = "low tide and high tide, 12 times a day; déjà-vu 東京 💧 <end>\n"
TEXTS = [SENTENCE * n + str(n) for n in range(1, 60)]


def made() -> bw.Tokenizer:
    merges = [(b"l", b"o"), (b"lo", b"w"), (b" ", b"t"), (b"i", b"d"), (b"id", b"e")]
    return bw.Tokenizer.from_merges(
        [*merges, (b" t", b"ide")], pattern="gpt2", special_tokens=["<end>"]
    )


def everything(tok: bw.Tokenizer, text: str) -> tuple[Any, ...]:
    """The results of every call that keeps something in the tokenizer, in comparable form."""
    ids = tok.encode(text)
    array, offsets = tok.encode_offsets(text, allowed_special="all")
    encoder = tok.stream_encoder(allowed_special={"<end>"})
    stream = [*encoder.push(text.encode()), *encoder.finish()]
    return (
        ids, array.tolist(), offsets.tolist(), stream, tok.count(text), tok.decode(ids),
        tok.encode_batch([text, None, text[3:]], threads=2).to_pylist(),
        tok.count_batch([text, text[3:]], threads=2).tolist(),
        tok.is_canonical(ids), tok.fingerprint, tok.merges, dict(tok.special_tokens),
    )  # fmt: skip


def test_sixteen_threads_get_what_one_gets() -> None:
    expected = [everything(made(), text) for text in TEXTS]
    tok = made()
    ready = threading.Barrier(16)

    def work(start: int) -> list[tuple[Any, ...]]:
        ready.wait()
        order = [(start + i) % len(TEXTS) for i in range(len(TEXTS))]
        found = {at: everything(tok, TEXTS[at]) for at in order}
        return [found[at] for at in range(len(TEXTS))]

    with ThreadPoolExecutor(16) as pool:
        assert all(found == expected for found in pool.map(work, range(16)))


def test_threads_may_share_a_stream_encoder() -> None:
    tok = made()
    encoder = tok.stream_encoder()
    part = b"x" * 4096
    with ThreadPoolExecutor(8) as pool:
        ids = [i for pushed in pool.map(encoder.push, [part] * 64) for i in pushed]
    assert tok.decode_bytes([*ids, *encoder.finish()]) == part * 64


def wakes_during(call: Callable[[], object]) -> int:
    """How often another thread got to run while `call` did."""
    running, stop = threading.Event(), threading.Event()
    wakes = 0

    def tick() -> None:
        nonlocal wakes
        while not stop.is_set():
            time.sleep(0.001)
            wakes += running.is_set()

    other = threading.Thread(target=tick)
    other.start()
    try:
        running.set()
        call()
        running.clear()
        return wakes
    finally:
        stop.set()
        other.join()


LONG_CALLS: dict[str, Callable[[bw.Tokenizer, bytes, NDArray[np.int32]], object]] = {
    "encode_array": lambda tok, text, ids: tok.encode_array(text),
    "encode_offsets": lambda tok, text, ids: tok.encode_offsets(text),
    "encode_batch": lambda tok, text, ids: tok.encode_batch([text], threads=1),
    "count": lambda tok, text, ids: tok.count(text),
    "stream_encoder": lambda tok, text, ids: tok.stream_encoder().push(text),
    "decode_bytes": lambda tok, text, ids: tok.decode_bytes(ids),
    "is_canonical": lambda tok, text, ids: tok.is_canonical(ids),
}


@pytest.mark.parametrize("name", LONG_CALLS)
def test_other_threads_run_during_a_long_call(name: str) -> None:
    tok = made()
    text = (SENTENCE * 20).encode()
    ids = tok.encode_array(text)
    # A call that kept the interpreter would let the other thread in twice, before and after it.
    for repeat in (1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16):
        call = partial(LONG_CALLS[name], tok, text * repeat, np.tile(ids, repeat))
        wakes = wakes_during(call)
        if wakes > 5:
            break
    assert wakes > 5


def test_the_core_does_not_need_the_global_lock() -> None:
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this Python always has its global lock")
    # Importing a module that needs the lock would have turned it on again.
    assert not sys._is_gil_enabled()  # type: ignore[attr-defined, unused-ignore]


# Processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_after_use_works() -> None:
    tok = made()
    expected = [everything(tok, text) for text in TEXTS[:9]]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tok.encode, TEXTS))
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks in programs with threads, which have all ended here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)
            same = [everything(tok, text) for text in TEXTS[:9]] == expected
            os.write(writer, b"same" if same else b"other")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"same"
    os.waitpid(child, 0)
    assert [everything(tok, text) for text in TEXTS[:9]] == expected


def in_child(tok: bw.Tokenizer, text: str) -> tuple[Any, ...]:
    return everything(tok, text)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_other_processes_get_the_same(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    tok = made()
    expected = [everything(tok, text) for text in TEXTS[:4]]
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(in_child, [(tok, text) for text in TEXTS[:4]])
    assert found == expected


def test_a_pickle_made_while_others_encode_is_whole() -> None:
    tok = made()
    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(tok.encode, text) for text in TEXTS]
        pickles = {pickle.dumps(tok) for _ in range(20)}
        assert all(future.result() for future in work)
    assert len(pickles) == 1
    assert pickle.loads(pickles.pop()) == tok


# Ctrl-C

INTERRUPTED = """
import sys, time
import numpy as np, pyarrow as pa
import bytewright as bw

case, size = sys.argv[1], int(sys.argv[2])
tok = bw.Tokenizer.from_merges(
    [(b"l", b"o"), (b"lo", b"w"), (b"a", b"a"), (b"aa", b"aa")],
    pattern=None if case.startswith("piece") else "gpt2",
    special_tokens=["<end>"],
)
size_of = lambda *starts: size if case.startswith(starts) else 0
sentence = b"low tide and high tide, 12 times a day; d\\xc3\\xa9j\\xc3\\xa0-vu\\n"
text = b"".join(b"%d %s" % (i, sentence) for i in range(20_000))
text *= size_of("encode", "count", "stream") // len(text) + 1
noise = np.random.default_rng(0).integers(97, 101, size_of("piece"), dtype=np.uint8).tobytes()
ids = np.resize(np.array([257, 32, 116], dtype=np.int32), size_of("decode") // 2)
calls = {
    "encode": lambda: tok.encode(text),
    "encode_array": lambda: tok.encode_array(text),
    "encode_str": lambda: tok.encode_array(string),
    "encode_special": lambda: tok.encode_array(text, allowed_special="all"),
    "encode_offsets": lambda: tok.encode_offsets(text),
    "encode_batch_1": lambda: tok.encode_batch([text], threads=1),
    "encode_batch_2": lambda: tok.encode_batch([text], threads=2),
    "encode_rows": lambda: tok.encode_batch(rows, threads=2),
    "count": lambda: tok.count(text),
    "count_batch": lambda: tok.count_batch([text, text], threads=2),
    "stream": lambda: tok.stream_encoder().push(text),
    "piece_array": lambda: tok.encode_array(noise),
    "piece_offsets": lambda: tok.encode_offsets(noise),
    "piece_batch": lambda: tok.encode_batch([noise], threads=2),
    "piece_same": lambda: tok.encode_array(same),
    "decode": lambda: tok.decode_bytes(ids),
    "decode_wide": lambda: tok.decode_bytes(wide),
    "decode_list": lambda: tok.decode_bytes(listed),
    "decode_batch": lambda: tok.decode_batch(lists),
    "decode_canonical": lambda: tok.is_canonical(ids),
    "encode_truncate": lambda: tok.truncate(text, len(text) // 4),
}
string = text.decode() if case == "encode_str" else ""
rows = [text[i : i + 97] for i in range(0, len(text), 97)] if case == "encode_rows" else []
same = b"a" * size if case == "piece_same" else b""
wide = ids.astype(np.int64) if case == "decode_wide" else None
listed = ids[: size // 8].tolist() if case == "decode_list" else None
lists = pa.LargeListArray.from_arrays(np.arange(0, len(ids) + 1, 50), ids[: len(ids) // 50 * 50])
done = 0
try:
    print("ready", flush=True)
    while True:
        calls[case]()
        done += 1
except KeyboardInterrupt:
    ended = time.monotonic()
assert tok.encode("low") == [257]
assert tok.encode_batch(["low"] * 3, threads=2).to_pylist() == [[257]] * 3
assert tok.decode([257]) == "low"
print(ended, done, flush=True)
"""

CASES = [
    "encode", "encode_array", "encode_str", "encode_special", "encode_offsets", "encode_batch_1",
    "encode_batch_2", "encode_rows", "count", "count_batch", "stream", "piece_array",
    "piece_offsets", "piece_batch", "piece_same", "decode", "decode_wide", "decode_list",
    "decode_batch", "decode_canonical", "encode_truncate",
]  # fmt: skip


# What no place cuts: one piece, one match, one cluster of marks.
ENDLESS = """
import sys, time
import bytewright as bw

case, size, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
call, pattern, text = case.split()
text = {"letters": b"a", "spaces": b" ", "marks": "\u0323\u0301".encode()}[text]
text *= size // len(text)
if pattern == "nfc":
    tok = bw.Tokenizer.load(path)
else:
    tok = bw.Tokenizer.from_merges([(b"a", b"a"), (b" ", b" ")], pattern=pattern)
calls = {
    "encode": lambda: tok.encode_array(text),
    "offsets": lambda: tok.encode_offsets(text),
    "count": lambda: tok.count(text),
    "pretokens": lambda: bw.count_pretokens([text], pattern=pattern),
}
done = 0
try:
    print("ready", flush=True)
    while True:
        calls[call]()
        done += 1
except KeyboardInterrupt:
    ended = time.monotonic()
assert tok.decode(tok.encode("aaa")) == "aaa"
print(ended, done, flush=True)
"""

ENDLESS_CASES = [
    "encode gpt2 letters", "count deepseek-v3 spaces", "pretokens falcon letters",
    r"count [^b]+ letters", "offsets a*b|a letters", r"count (?<=x)y letters",
    "encode nfc marks", "offsets nfc marks",
]  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
@pytest.mark.parametrize("case", ENDLESS_CASES)
def test_control_c_ends_a_call_on_an_endless_piece(
    case: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    size = (210 if pytestconfig.getoption("--long") else 40) << 20
    vocabulary = tmp_path / "tokenizer.json"
    vocabulary.write_text(json.dumps(tokenizer_json(normalizer={"type": "NFC"})))
    delay, done = interrupted(ENDLESS, case, str(size), str(vocabulary))
    print(f"{case}: {delay * 1000:.0f} ms after Ctrl-C, {done} calls before")
    assert delay < 5


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
@pytest.mark.parametrize("case", CASES)
def test_control_c_ends_a_long_call(case: str, pytestconfig: pytest.Config) -> None:
    size = (210 if pytestconfig.getoption("--long") else 60) << 20
    delay, done = interrupted(INTERRUPTED, case, str(size))
    print(f"{case}: {delay * 1000:.0f} ms after Ctrl-C, {done} calls before")
    assert delay < 5


# A pattern of which every byte makes another of 2^18 sets of ways to cut.
BYTES = """
import sys, time
import numpy as np
import bytewright as bw

size = int(sys.argv[1])
pattern = r"(?:a|b)*a(?:a|b){18}|[\\s\\S]"
tok = bw.Tokenizer.from_merges([(b"a", b"b"), (b"b", b"a")], alphabet=b"ab", pattern=pattern)
text = np.random.default_rng(0).integers(97, 99, size, dtype=np.uint8).tobytes()
rows = lambda contexts: np.zeros((len(contexts), tok.vocab_size))
state = bw.ByteModel(bw.CallableModel(tok, rows, eos_id=None)).start(b"ab")
logprob, done = state.logprob, 0
try:
    print("ready", flush=True)
    state.advance(text)
    done = 1
except KeyboardInterrupt:
    ended = time.monotonic()
assert len(state) == 2 and state.logprob == logprob
state.advance(b"ab")
print(ended, done, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
def test_control_c_ends_a_text_that_is_read_for_a_model() -> None:
    delay, _ = interrupted(BYTES, str(200_000))
    print(f"{delay * 1000:.0f} ms after Ctrl-C")
    assert delay < 5


# One thread trains, which looks for Ctrl-C, and another asks how far it is.
WATCHED = """
import threading
import numpy as np
from bytewright import _core

words = [b"%d %d" % (i, i * i) for i in range(200_000)]
offsets = np.cumsum([0, *map(len, words)]).astype(np.uint64)
flat = np.frombuffer(b"".join(words), np.uint8), offsets, np.ones(len(words), np.uint64)
trainer = _core.Trainer(flat, bytes(range(256)), 1, "[]")
training = threading.Thread(target=lambda: trainer.advance(100_000, 1_000))
training.start()
while training.is_alive():
    made = trainer.merges
print(trainer.merges >= made > 0)
"""


def test_what_a_thread_works_on_can_be_asked_by_others() -> None:
    command = [sys.executable, "-c", WATCHED]
    package = str(Path(bw.__file__).parent.parent)
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def interrupted(script: str, *arguments: str) -> tuple[float, int]:
    """Seconds from a Ctrl-C to the end of the script's call, and how many calls came before."""
    package = str(Path(bw.__file__).parent.parent)
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    child = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.15)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        answer, errors = child.communicate(timeout=120)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0, errors
    assert "panicked" not in errors
    ended, done = answer.split()
    return float(ended) - sent, int(done)
