"""Whole corpora: files of text in, files of ids out, and the proof that they are still intact.

    inputs  ──readers──▶  documents  ──tokenizer──▶  ids  ──rows | flat──▶  parts  ──▶  manifest

`run` and `job` do the work, `verify` checks it. `inputs` finds files, `streams`, `readers` and
`columnar` take documents from them, `policy` puts BOS and EOS around, `rows` (Parquet, Arrow),
`flat` (`.bin`, `.npy`) and `megatron` (`.idx`) store ids, `durable` makes files whole or absent.
"""

from bytewright.corpus.job import Progress
from bytewright.corpus.manifest import Manifest, Part
from bytewright.corpus.run import encode_corpus
from bytewright.corpus.verify import VerifyReport, verify_corpus

__all__ = ["Manifest", "Part", "Progress", "VerifyReport", "encode_corpus", "verify_corpus"]
