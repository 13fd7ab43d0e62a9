"""Training: vocabularies from text, and changes to vocabularies that are there."""

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
    "Dead",
    "MergedVocabulary",
    "Reachability",
    "Surgery",
    "extend",
    "merge_vocabularies",
    "prune_leaves",
    "pruning_order",
    "reachability",
]
