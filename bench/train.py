"""Training beside other libraries: processor time and peak memory, counting included.

    python bench/train.py --size 50 --vocab 32000 128000
    python bench/train.py --size 500 --vocab 32000 --only gigatoken rustbpe ffbpe
    python bench/train.py --dna

Text: English, code and 48 languages of the reference data, shuffled by a fixed rule. Where more is
wanted than there is, the documents come again and again, each time in another order and with about
one lower-case ASCII letter in 300 replaced by another (seeded), so that new pieces keep coming as
they do in real text: 500 MB have about six times the distinct pieces of 50 MB.

Every library trains in a child process of its own, on one thread, with GPT-2's pattern, since one
of them knows no other. A peer reads the documents as it can: an iterator of texts, or the file
itself. Time is the processor time of the child from its first document to the trained vocabulary,
for bytewright the mean of a run before the peers and one after; memory is the largest it ever had,
Python and libraries included. The new tokens, in order, must be those of bytewright with the same
ids for bytes; else the times of the peer are not shown. SentencePiece trains something else
(characters, no pattern) and is only timed.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from encode import corpus_documents
from record import write

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
DNA = r"[ACGT]+"
PEERS = ("gigatoken", "rustbpe", "ffbpe", "bpeasy", "tokenizers", "sentencepiece")
# Those that number bytes, and so break ties, as GPT-2 does.
AS_GPT2 = ("gigatoken", "tokenizers", "bytewright-gpt2")
BETWEEN = b"\0"
BLOCK = 1 << 18


def make_text(path: Path, megabytes: int) -> None:
    """Documents with a NUL between them."""
    corpora = ("english", "code", "multilingual")
    documents = [text for name in corpora for text in corpus_documents(name)]
    documents.sort(key=lambda text: hashlib.sha256(text).digest())
    rng = np.random.default_rng(7)
    left = megabytes * 1_000_000
    with path.open("wb") as file:
        again = False
        while left > 0:
            for at in rng.permutation(len(documents)):
                text = changed(documents[at], rng) if again else documents[at]
                file.write(text + BETWEEN)
                left -= len(text) + 1
                if left <= 0:
                    break
            again = True


def changed(text: bytes, rng: np.random.Generator) -> bytes:
    """The text with one lower-case letter in 300 replaced."""
    data = np.frombuffer(text, np.uint8).copy()
    letters = np.flatnonzero((data >= 97) & (data <= 122))
    some = rng.choice(letters, len(letters) // 300) if len(letters) else letters
    data[some] = rng.integers(97, 123, len(some))
    return data.tobytes()


def documents(path: Path) -> Iterator[bytes]:
    rest = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            *whole, rest = (rest + block).split(BETWEEN)
            yield from whole


def texts(path: Path) -> Iterator[str]:
    return (text.decode() for text in documents(path))


def tokens(name: str, path: Path, vocab: int, pattern: str) -> Iterable[bytes] | None:
    """The tokens that a library learns after the bytes, in order."""
    if name.startswith("bytewright"):
        import bytewright as bw

        order: Any = "gpt2" if name.endswith("gpt2") else "raw"
        whole = None if pattern == DNA else pattern
        tok = bw.train(documents(path), vocab, pattern=whole, byte_order=order, threads=1)
        return (tok.token_bytes(at) for at in range(256, tok.vocab_size))
    if name == "rustbpe":
        import rustbpe

        trainer = rustbpe.Tokenizer()
        trainer.train_from_iterator(texts(path), vocab, pattern=pattern)
        ranks = sorted(trainer.get_mergeable_ranks(), key=lambda item: item[1])
        return (bytes(token) for token, _ in ranks[256:])
    if name == "gigatoken":
        import gigatoken

        _, merges = gigatoken.train_bpe(path, vocab, [], separator=BETWEEN)
        return (left + right for left, right in merges)
    if name == "ffbpe":
        return ffbpe_tokens(path, vocab, pattern)
    if name == "bpeasy":
        import bpeasy

        ranks = bpeasy.train_bpe(texts(path), pattern, 1 << 16, vocab)
        return sorted(ranks, key=ranks.__getitem__)[256:]
    if name == "tokenizers":
        return tokenizers_tokens(path, vocab)
    sentencepiece_tokens(path, vocab)
    return None


def ffbpe_tokens(path: Path, vocab: int, pattern: str) -> Iterable[bytes]:
    import ffbpe

    counter = ffbpe.PreTokenizer([], pat_str=pattern).word_counter()
    counter.add_source(texts(path), max_records=4096, max_bytes=64 << 20, prefetch=1)
    trainer = ffbpe.BpeTrainer([], initial_alphabet="raw", tie_break="smallest_pair_id")
    trainer.add_word_counter(counter)
    trainer.train(vocab)
    found = trainer.validate_model().vocab
    pairs = found.items() if hasattr(found, "items") else enumerate(found)
    flat = [(one, other) if isinstance(one, int) else (other, one) for one, other in pairs]
    return [bytes(token) for _, token in sorted(flat)][256:]


def tokenizers_tokens(path: Path, vocab: int) -> Iterable[bytes]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, initial_alphabet=alphabet, show_progress=False, special_tokens=[]
    )
    tok.train_from_iterator(texts(path), trainer)
    merges = json.loads(tok.to_str())["model"]["merges"]
    from bytewright.formats.byte_level import from_stand_ins

    return from_stand_ins(["".join(pair) for pair in merges])[0]


def sentencepiece_tokens(path: Path, vocab: int) -> None:
    import sentencepiece

    lines = (line for text in texts(path) for line in text.split("\n") if line)
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines, model_prefix=f"{folder}/m", vocab_size=vocab, num_threads=1,
            model_type="bpe", byte_fallback=True, minloglevel=2, character_coverage=0.9999,
            max_sentence_length=1 << 20,
        )  # fmt: skip


def child(name: str, path: Path, vocab: int, pattern: str) -> None:
    """Train, and print the figures."""
    preload(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = tokens(name, path, vocab, pattern)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    digest = None
    if found is not None:
        digest = hashlib.sha256(b"".join(b"%d:%s" % (len(t), t) for t in found)).hexdigest()[:16]
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 1024, "idle_mb": before / 1024,
                      "digest": digest}))  # fmt: skip


def preload(name: str) -> None:
    __import__(name.removesuffix("-gpt2"))


def measured(name: str, path: Path, vocab: int, pattern: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", name, str(path), str(vocab), pattern]
    env = os.environ | {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1:] or [str(done.returncode)]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def compare(path: Path, vocab: int, pattern: str, peers: list[str], out: Path | None) -> None:
    """One cell: ours before and after the peers, each peer once."""
    ours = "bytewright"
    names = [ours, *peers, "bytewright-gpt2"] if set(peers) & {*AS_GPT2} else [ours, *peers]
    found = {name: measured(name, path, vocab, pattern) for name in names}
    again = measured(ours, path, vocab, pattern)
    mine = (found[ours]["seconds"] + again["seconds"]) / 2
    size = path.stat().st_size
    print(f"{size / 1e6:.0f} MB, {vocab} tokens", flush=True)
    for name, one in found.items():
        if "error" in one:
            print(f"  {name:16} {one['error']}", flush=True)
            continue
        base = found["bytewright-gpt2" if name in AS_GPT2 else ours]
        same = one["digest"] == base["digest"]
        verdict = "" if name == "sentencepiece" else "same tokens" if same else "OTHER TOKENS"
        if not same and verdict:
            print(f"  {name:16} {verdict}", flush=True)
            continue
        print(
            f"  {name:16} {one['seconds']:8.2f} s  {one['seconds'] / mine:6.2f}x  "
            f"{one['peak_mb']:7.0f} MB  {verdict}",
            flush=True,
        )
        if out is not None:
            write(out, {"what": "train", "bytes": size, "vocab": vocab, "library": name,
                        "pattern": "gpt2" if pattern == GPT2 else pattern, "ratio":
                        one["seconds"] / mine, "same": same, **one})  # fmt: skip


def make_dna(path: Path) -> None:
    rng = np.random.default_rng(3)
    bases = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, 5_000_000)]
    path.write_bytes(b"".join(part.tobytes() + BETWEEN for part in np.split(bases, 50)))


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        name, path, vocab, pattern = sys.argv[2:]
        return child(name, Path(path), int(vocab), pattern)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=50, help="megabytes of text")
    parser.add_argument("--vocab", type=int, nargs="+", default=[32_000])
    parser.add_argument("--only", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--dna", action="store_true", help="5 MB of DNA in pieces of 100 KB")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        if args.dna:
            make_dna(path)
            compare(path, 256 + 4_000, DNA, ["rustbpe"], args.out)
            return None
        make_text(path, args.size)
        for vocab in args.vocab:
            compare(path, vocab, GPT2, args.only, args.out)
    return None


if __name__ == "__main__":
    main()
