//! The one error type of the crate: what is wrong, where, and what is allowed.

use std::fmt;

/// Result of every fallible function in the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Asked from time to time whether to go on; an error ends the work.
pub type Poll<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Why a request could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A tokenizer definition contradicts itself.
    Definition(String),
    /// A regular expression that the linear-time engine cannot run.
    Pattern { pattern: String, offset: usize, reason: String },
    /// A token id outside the vocabulary, or a hole in it.
    UnknownToken { id: i64, size: usize },
    /// An argument that no input of this kind may have.
    Argument(String),
    /// Input data that cannot be read, with its place in the input.
    Data(String),
    /// The caller asked for the work to stop.
    Interrupted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Definition(reason) | Error::Argument(reason) | Error::Data(reason) => {
                f.write_str(reason)
            }
            Error::Pattern { pattern, offset, reason } => {
                let shown: String = pattern.chars().take(200).collect();
                write!(f, "pattern {shown:?}, byte {offset}: {reason}")
            }
            Error::UnknownToken { id, size } => {
                write!(f, "token id {id} is outside the vocabulary of {size} tokens")
            }
            Error::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}
