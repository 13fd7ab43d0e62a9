"""Training: vocabularies from text, and changes to vocabularies that are there.

    sources  ──corpus readers──▶  documents  ──pattern──▶  pieces  ──tables──▶  PretokenCounts

`sources` says what a source of text is, `counting` counts its pieces, `counts` is the result.
"""

from bytewright.training.boundless import train_boundless
from bytewright.training.counting import CountProgress, count_pretokens
from bytewright.training.counts import PretokenCounts
from bytewright.training.picky import train_picky
from bytewright.training.surgery import (
    Dead,
    MergedVocabulary,
    Reachability,
    Surgery,
    extend,
    merge_vocabularies,
    prune_leaves,
    pruning_order,
    reachability,
)

__all__ = [
    "CountProgress",
    "Dead",
    "MergedVocabulary",
    "PretokenCounts",
    "Reachability",
    "Surgery",
    "count_pretokens",
    "extend",
    "merge_vocabularies",
    "prune_leaves",
    "pruning_order",
    "reachability",
    "train_boundless",
    "train_picky",
]
