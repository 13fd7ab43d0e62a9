"""Training: vocabularies from text, and changes to vocabularies that are there.

    sources  ──corpus readers──▶  documents  ──pattern──▶  pieces  ──tables──▶  PretokenCounts

                 PretokenCounts  ──constraints, loop──▶  merges  ──start──▶  Tokenizer

`sources` says what a source of text is, `feeding` brings its documents to a counter, `counting`
counts their pieces (in parts that survive a kill: `checkpoint`), `counts` is the result (mapped
from files where it is large: `stored`); `mixture` weighs several. `constraints` are what a token
may be, `loop` drives the core, `start` says where training begins and what the ids are in the end;
`train` is all of it. `replay` tells what merges do to the counts of pairs.

`stages` is the order in which things are learned: in two with `superword`, by turns of languages
with `parity`. `picky` and `boundless` are trainings of their own, whose tokenizers encode by other
rules than merges by rank, and so is `compression`; `assemble` builds these. `supertokens` counts
random chunks instead of pieces, `lexicon` learns chunks without merges. `surgery` changes
tokenizers that are there.
"""

from bytewright.training.boundless import train_boundless
from bytewright.training.compression import train_compression_aware
from bytewright.training.constraints import (
    Digits,
    ForbiddenSubstrings,
    MaxBytes,
    MaxChars,
    MaxWords,
    Morphology,
    NoLeadingDependentSign,
    ScriptBoundaries,
)
from bytewright.training.counting import count_pretokens
from bytewright.training.counts import PretokenCounts
from bytewright.training.feeding import CountProgress
from bytewright.training.lexicon import Lexicon, train_lexicon
from bytewright.training.loop import TrainProgress
from bytewright.training.parity import Parity
from bytewright.training.picky import train_picky
from bytewright.training.replay import Replay, ReplayChunk, replay
from bytewright.training.supertokens import count_chunks
from bytewright.training.superword import Superword
from bytewright.training.surgery import (
    Dead,
    MergedVocabulary,
    Reachability,
    Surgery,
    extend,
    merge_vocabularies,
    pad_to_power_of_two,
    prune_leaves,
    pruning_order,
    reachability,
)
from bytewright.training.train import train

__all__ = [
    "CountProgress",
    "Dead",
    "Digits",
    "ForbiddenSubstrings",
    "Lexicon",
    "MaxBytes",
    "MaxChars",
    "MaxWords",
    "MergedVocabulary",
    "Morphology",
    "NoLeadingDependentSign",
    "Parity",
    "PretokenCounts",
    "Reachability",
    "Replay",
    "ReplayChunk",
    "ScriptBoundaries",
    "Superword",
    "Surgery",
    "TrainProgress",
    "count_chunks",
    "count_pretokens",
    "extend",
    "merge_vocabularies",
    "pad_to_power_of_two",
    "prune_leaves",
    "pruning_order",
    "reachability",
    "replay",
    "train",
    "train_boundless",
    "train_compression_aware",
    "train_lexicon",
    "train_picky",
]
