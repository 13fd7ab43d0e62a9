//! Byte-level BPE: exact encoding and decoding of any byte string.

pub mod added;
pub mod error;
pub mod normalize;
pub mod pretokenize;
pub mod regex;
pub mod simd;

pub use error::{Error, Result};
