//! Byte-level BPE: exact encoding and decoding of any byte string.

pub mod added;
pub mod batch;
pub mod bytelm;
pub mod count;
pub mod encode;
pub mod error;
pub mod events;
pub mod formats;
pub mod header;
pub mod jsonl;
pub mod key;
pub mod lexicon;
pub mod map;
pub mod merges;
pub mod ngram;
pub mod normalize;
pub mod parallel;
pub mod pretokenize;
pub mod ragged;
pub mod random;
pub mod regex;
pub mod simd;
pub mod stream;
pub mod token;
pub mod tokenizer;
pub mod train;
pub mod utf8;
pub mod variants;
pub mod vocab;

#[cfg(feature = "python")]
mod py;

pub use error::{Error, Result};
pub use tokenizer::Tokenizer;
