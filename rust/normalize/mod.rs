//! Text normalization with alignment to the original bytes.
