//! The parts of vocabulary files whose loading time people wait for: tiktoken ranks, and the
//! vocabulary and merges of a `tokenizer.json`. Everything else about formats is Python.

mod model;
mod ranks;

pub use model::{Model, parse_model};
pub use ranks::{Ranks, parse_ranks};
