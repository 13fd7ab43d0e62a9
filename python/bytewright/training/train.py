"""Training: text or counts in, a tokenizer out.

    sources ──mixture──▶ counts ──constraints──▶ pieces ──loop──▶ merges ──start──▶ Tokenizer

Byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909), exact and greedy: at each step the
most frequent pair of adjacent tokens becomes a token; ties go to the smaller left id, then to the
smaller right id. Nothing but the counts decides, so the result is the same for any number of
threads, any division of the text into files and any order of them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bytewright.arguments import function, items, place, text, word
from bytewright.corpus.readers import Documents
from bytewright.definition import MAX_IDS
from bytewright.errors import ArgumentError, ArgumentTypeError
from bytewright.files import check_output
from bytewright.sizes import whole
from bytewright.specials import special_texts
from bytewright.tokenizer import Tokenizer
from bytewright.training.constraints import (
    Constraint,
    MaxBytes,
    checked,
    varied_pattern,
)
from bytewright.training.counts import PretokenCounts, pattern_of
from bytewright.training.feeding import CountProgress
from bytewright.training.loop import Learned, TrainProgress
from bytewright.training.mixture import Reading
from bytewright.training.parity import Parity
from bytewright.training.stages import Task, learn_by_parity, learn_superwords, learn_words
from bytewright.training.start import ByteOrder, Continued, Fresh
from bytewright.training.superword import Superword

__all__ = ["train"]

_DEFAULT_PATTERN = "o200k"


def train(
    sources_or_counts: Any,
    vocab_size: int,
    *,
    pattern: str | None = _DEFAULT_PATTERN,
    special_tokens: Iterable[str] = (),
    min_frequency: int = 1,
    byte_order: ByteOrder = "raw",
    max_token_bytes: int | None = None,
    constraints: Iterable[Constraint] | Constraint = (),
    initial_merges: Tokenizer | Iterable[tuple[bytes, bytes]] | None = None,
    superword: Superword | None = None,
    parity: Parity | None = None,
    weights: Mapping[str, Any] | None = None,
    text_field: str = "text",
    documents: Documents = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    memory: int | str | None = None,
    progress: Callable[[CountProgress | TrainProgress], object] | None = None,
) -> Tokenizer:
    """Learn a byte-level BPE tokenizer.

    Args:
        sources_or_counts: what `count_pretokens` takes, or its result; or a mapping of names to
            these, for `weights`.
        vocab_size: tokens there shall be, the 256 bytes and the special tokens among them.
        pattern: the name of a published pattern, or a regex, or None: each document is one piece.
            Counts bring theirs.
        special_tokens: texts that get ids of their own; they are not looked for in the text.
        min_frequency: pairs that stand less often are not merged; 0 is as good as 1.
        byte_order: `"raw"`: bytes are ids 0 to 255, then merges, then special tokens. `"gpt2"`:
            special tokens, then bytes in the order of GPT-2's printable stand-ins, then merges,
            which gives the merges of `tokenizers`. Ties go by these ids.
        max_token_bytes: the longest token that may be made; 65536 at most.
        constraints: what a token may be, as values of `bytewright.training.constraints`.
        initial_merges: merges to begin with, or a tokenizer to go on from: its ids stay, and its
            pattern holds. They are made whether or not the text has them.
        superword: for tokens of several words, learned in a second stage.
        parity: for languages that pay alike for the same text; sources are then given by language.
        weights: for named sources: by how much each counts, integers or fractions; 1 unless given.
        text_field: field or column that holds the text.
        documents: what a document of a text file is, as in `count_pretokens`.
        checkpoint: a file for the merges so far, written every few seconds. If it is there,
            training goes on from it, to the same result; that of another training is refused, and
            so is one that is damaged. It never gets shorter.
        threads: threads for counting.
        memory: about how much memory counting may use, as in `count_pretokens`.
        progress: called with a `CountProgress` while text is counted, then with a `TrainProgress`
            several times a second.

    Returns:
        The tokenizer. If the text has no more pairs to merge it is smaller than asked for, and a
        warning says so.

    Raises:
        ArgumentError: an argument that no call can have.
        DataError: an input cannot be read, or the checkpoint cannot be written.
        PatternError: a pattern that the engine cannot run.
        ResumeError: the checkpoint belongs to another training, or is damaged.

    >>> tok = train(["low lower lowest", "new newer newest"], 262, pattern="gpt2")
    >>> [tok.token_bytes(id) for id in range(256, 262)]
    [b'we', b'lo', b'ne', b' lo', b' ne', b'st']

    Tokens of several words, and languages in turn:

    >>> texts = ["by the way, by the sea"] * 3
    >>> tok = train(texts, 268, pattern="gpt2", superword=Superword(transition=8))
    >>> tok.token_bytes(266), train(texts, 264, pattern="gpt2").merges == tok.merges[:8]
    (b'by the', True)
    >>> parity = Parity({"en": ["low tide"], "nl": ["laag water"]})
    >>> tok = train({"en": ["low tide"] * 9, "nl": ["laag water"]}, 260, parity=parity)
    >>> [tok.token_bytes(id) for id in range(256, 260)]
    [b' w', b'aa', b' t', b'at']
    """
    if not isinstance(superword, Superword | None) or not isinstance(parity, Parity | None):
        raise ArgumentTypeError("superword and parity are a Superword and a Parity, or None")
    if superword is not None and parity is not None:
        raise ArgumentError("superword and parity cannot be combined")
    function(progress, "progress")
    if checkpoint is not None:
        check_output(place(checkpoint, "checkpoint"))
    limits = () if max_token_bytes is None else (MaxBytes(max_token_bytes),)
    rules = checked([*checked(constraints), *limits])
    special = special_texts(special_tokens)
    start = _start(initial_merges, byte_order, special, sources_or_counts, pattern, rules)
    wanted = _wanted(vocab_size, start)
    reading = Reading(start.pattern, text_field, documents, threads, progress, memory)
    least = max(1, whole(min_frequency, "min_frequency"))
    task = Task(sources_or_counts, weights, reading, rules, start, wanted, least, checkpoint)
    if superword is not None:
        learned, start = learn_superwords(task, superword)
    elif parity is not None:
        learned = learn_by_parity(task, parity)
    else:
        learned = learn_words(task)
    _warn_if_short(learned, wanted, min_frequency)
    return start.tokenizer(learned)


def _start(
    initial: Any,
    byte_order: ByteOrder,
    special: tuple[str, ...],
    sources: Any,
    pattern: str | None,
    rules: Sequence[Constraint],
) -> Fresh | Continued:
    word(byte_order, "byte_order", ("raw", "gpt2"))
    if pattern is not None:
        text(pattern, "pattern")
    if isinstance(initial, Tokenizer):
        return _continued(initial, special, pattern, rules)
    if pattern == _DEFAULT_PATTERN and isinstance(sources, PretokenCounts):
        pattern = sources.pattern
        if varied_pattern(rules, pattern) != pattern:
            raise ArgumentError(
                "these pieces are cut already: count them with the pattern that Digits gives, "
                f"{varied_pattern(rules, pattern)!r}, and leave Digits out"
            )
    cut = pattern_of(varied_pattern(rules, pattern))
    merges = () if initial is None else items(initial, "initial_merges")
    return Fresh(byte_order, cut, special, tuple(merges))


def _continued(
    old: Tokenizer, special: tuple[str, ...], pattern: str | None, rules: Sequence[Constraint]
) -> Continued:
    start = Continued(old, special)
    cut = start.pattern
    if pattern not in (_DEFAULT_PATTERN, cut) or varied_pattern(rules, cut) != cut:
        raise ArgumentError(
            f"a tokenizer that is gone on from keeps its pattern, {cut!r}: give no other, and no "
            "Digits"
        )
    return start


def _wanted(vocab_size: int, start: Fresh | Continued) -> int:
    """The tokens that the core is to know."""
    least = 256 + start.others
    vocab_size = whole(vocab_size, "vocab_size")
    if not least <= vocab_size <= MAX_IDS:
        raise ArgumentError(
            f"vocab_size={vocab_size}: from {least}, for the bytes and the tokens that are given, "
            f"to {MAX_IDS} is allowed"
        )
    return vocab_size - start.others


def _warn_if_short(learned: Learned, wanted: int, min_frequency: int) -> None:
    missing = wanted - learned.vocab_size
    if missing > 0:
        warnings.warn(
            f"the text has pairs for {len(learned.merges)} merges only, with min_frequency="
            f"{min_frequency} and the given constraints: the vocabulary is {missing} tokens "
            "smaller than asked for",
            stacklevel=3,
        )
