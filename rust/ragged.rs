//! Many sequences as two flat arrays, which is Arrow's list layout.

/// Sequence `i` is `values[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ragged<T> {
    pub values: Vec<T>,
    pub offsets: Vec<i64>,
}
