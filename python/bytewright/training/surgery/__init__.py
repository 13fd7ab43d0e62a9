"""Vocabulary surgery: what can be done to a tokenizer that is there, one operation a file.

`continued` adds tokens by going on with the training, `prune` takes leaves out, `union` joins two
vocabularies, `reach` reports the tokens that no text becomes, `pad` fills up to a power of two;
`edit` changes the tables.
"""

from bytewright.training.surgery.continued import extend
from bytewright.training.surgery.edit import Surgery
from bytewright.training.surgery.pad import pad_to_power_of_two
from bytewright.training.surgery.prune import prune_leaves, pruning_order
from bytewright.training.surgery.reach import Dead, Reachability, reachability
from bytewright.training.surgery.union import MergedVocabulary, merge_vocabularies

__all__ = [
    "Dead",
    "MergedVocabulary",
    "Reachability",
    "Surgery",
    "extend",
    "merge_vocabularies",
    "pad_to_power_of_two",
    "prune_leaves",
    "pruning_order",
    "reachability",
]
