//! The automaton, one character at a time, for who asks what a text may still become.

use super::Regex;
use super::dfa::{Cache, DEAD};
use super::distance::Distances;
use crate::{Error, Result};

/// Bytes of states after which no more are made.
const MOST_BYTES: usize = 512 << 20;

/// The states of one pattern that were met so far; they keep their numbers.
#[derive(Debug)]
pub struct Walker {
    cache: Cache,
}

impl Regex {
    /// A walker that has met no state.
    pub fn walker(&self) -> Walker {
        Walker { cache: Cache::lasting(&self.program) }
    }

    /// The kind of a character: the pattern does not tell two of one kind apart.
    pub fn kind(&self, code: u32) -> usize {
        self.program.alphabet.kind(code)
    }

    /// The kind of the edge of the text, one more than any other.
    pub fn edge(&self) -> usize {
        self.program.alphabet.edge()
    }

    /// What look-behind knows after a character of this kind.
    pub fn facts_after(&self, kind: usize) -> u16 {
        self.program.facts_after(kind)
    }
}

impl Walker {
    /// The state before the first character of a match, when `facts` hold of the one before it.
    pub fn start(&mut self, regex: &Regex, facts: u16) -> u32 {
        self.cache.start(&regex.program, facts)
    }

    /// Whether a match ends before a character of this kind, and the state after the character, if
    /// a better match may still come. Of all ends that are told, the last is that of the match.
    ///
    /// # Errors
    /// [`Error::Argument`] when the pattern has too many states.
    pub fn step(&mut self, regex: &Regex, state: u32, kind: usize) -> Result<(bool, Option<u32>)> {
        if self.cache.bytes() > MOST_BYTES {
            return Err(self.too_many(regex));
        }
        let (matched, next) = self.cache.step(&regex.program, state, kind);
        Ok((matched, (next != DEAD).then_some(next)))
    }

    /// The least number of bytes from a state to the end of a match.
    pub(super) fn distance(&self, distances: &Distances, state: u32) -> u32 {
        distances.of(self.cache.facts(state), self.cache.threads(state))
    }

    /// The error for a pattern that has too many states.
    pub(super) fn too_many(&self, regex: &Regex) -> Error {
        let pattern: String = regex.as_str().chars().take(200).collect();
        Error::Argument(format!(
            "the pattern {pattern:?} has too many states to look ahead of a text"
        ))
    }
}
