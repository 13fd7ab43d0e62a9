//! Training that does more than join the most frequent pair.
//!
//! `chains` is the text as linked rows, `queue` tells the next pair, `symbols` holds the tokens; the
//! other files are one rule each. They take rows of ids with counts and give merges, and know
//! neither texts nor formats.

mod arriving;
pub mod boundless;
mod chains;
pub mod chunks;
pub mod extend;
mod graft;
pub mod parity;
pub mod picky;
mod queue;
pub mod runs;
pub mod stepper;
mod symbols;
mod tracked;

#[cfg(test)]
mod tests;

pub use chains::Chains;
pub use graft::{Graft, graft};
pub use queue::{Queue, Ties};
pub use symbols::Symbols;
