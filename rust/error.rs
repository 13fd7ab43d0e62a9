//! The one error type of the crate: what is wrong, where, and what is allowed.

use std::fmt;

/// Result of every fallible function in the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Asked from time to time whether to go on; an error ends the work.
pub type Poll<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Bytes that a scan reads between two looks at whether to go on; few in tests, so that their texts
/// are longer.
const WATCHED: usize = if cfg!(test) { 16 } else { 1 << 20 };

/// Polls for scans that have no result before their end, and keeps the error that stopped them.
///
/// A scan that was stopped returns at once with anything; whoever made the watch asks it for the
/// error before using that. So the loops over bytes carry no `Result`.
pub struct Watch<'a> {
    poll: Poll<'a>,
    ended: Result<()>,
}

impl<'a> Watch<'a> {
    /// A watch that asks `poll`.
    pub fn new(poll: Poll<'a>) -> Watch<'a> {
        Watch { poll, ended: Ok(()) }
    }

    /// Moves on from `at` as `width` says, until it says 0, the text of `len` bytes ends or `poll`
    /// fails.
    #[inline(always)]
    pub fn walk(
        &mut self,
        from: usize,
        len: usize,
        mut width: impl FnMut(usize) -> usize,
    ) -> usize {
        let mut at = from;
        loop {
            let pause = Watch::next_pause(at).min(len);
            while at < pause {
                match width(at) {
                    0 => return at,
                    width => at += width,
                }
            }
            if at >= len || !self.goes_on() {
                return at;
            }
        }
    }

    /// Where a loop that stands at `at` asks next.
    #[inline(always)]
    pub fn next_pause(at: usize) -> usize {
        at + WATCHED
    }

    /// Whether to go on; asks when a loop stands at its pause or behind it, and sets the next.
    #[inline(always)]
    pub fn passes(&mut self, at: usize, pause: &mut usize) -> bool {
        if at < *pause {
            return true;
        }
        *pause = Watch::next_pause(at);
        self.goes_on()
    }

    /// Asks whether to go on.
    #[cold]
    pub fn goes_on(&mut self) -> bool {
        if self.ended.is_ok() {
            self.ended = (self.poll)();
        }
        self.ended.is_ok()
    }

    /// Whether a scan was stopped.
    #[inline(always)]
    pub fn has_stopped(&self) -> bool {
        self.ended.is_err()
    }

    /// The error that stopped a scan.
    pub fn finish(self) -> Result<()> {
        self.ended
    }
}

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
