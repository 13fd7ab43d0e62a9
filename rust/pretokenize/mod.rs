//! Cuts text into pieces, inside which merges happen.

/// A piece of the text: the bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}
