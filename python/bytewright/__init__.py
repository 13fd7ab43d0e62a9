"""Byte-exact tokenization: any byte-level BPE, encoded exactly, from any corpus."""

import warnings

from bytewright import _core
from bytewright.corpus import (
    Manifest,
    Part,
    Progress,
    VerifyReport,
    encode_corpus,
    verify_corpus,
)
from bytewright.errors import (
    ArgumentError,
    ArgumentTypeError,
    BytewrightError,
    DataError,
    LoadError,
    LockedError,
    PatternError,
    ResumeError,
    UnknownTokenError,
    UnsupportedError,
    VerifyError,
)
from bytewright.tokenizer import StreamDecoder, StreamEncoder, Tokenizer
from bytewright.training import (
    CountProgress,
    Dead,
    MergedVocabulary,
    PretokenCounts,
    Reachability,
    Surgery,
    count_pretokens,
    extend,
    merge_vocabularies,
    prune_leaves,
    reachability,
    train_boundless,
    train_picky,
)

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "BytewrightError",
    "CountProgress",
    "DataError",
    "Dead",
    "LoadError",
    "LockedError",
    "Manifest",
    "MergedVocabulary",
    "Part",
    "PatternError",
    "PretokenCounts",
    "Progress",
    "Reachability",
    "ResumeError",
    "StreamDecoder",
    "StreamEncoder",
    "Surgery",
    "Tokenizer",
    "UnknownTokenError",
    "UnsupportedError",
    "VerifyError",
    "VerifyReport",
    "__version__",
    "count_pretokens",
    "encode_corpus",
    "extend",
    "merge_vocabularies",
    "prune_leaves",
    "reachability",
    "train_boundless",
    "train_picky",
    "verify_corpus",
]

__version__ = _core.__version__

if _core.debug_build:
    warnings.warn(
        "bytewright's core was built without optimisation and is many times slower than it "
        "should be: build with `maturin develop --release` or install a wheel",
        RuntimeWarning,
        stacklevel=2,
    )
