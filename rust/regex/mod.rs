//! Regular expressions for user patterns, in time linear in the text.
//!
//! A pattern is parsed (`parse`), freed of possessive forms (`atomic`), turned into an automaton
//! with ordered choices (`program`) over kinds of characters (`alphabet`) and run as a lazily
//! built deterministic one (`dfa`). Matches are those of a backtracking matcher (Perl's "first
//! alternative that works"), found without backtracking.
//!
//! **All matches together cost O(text)**, not only each of them: when reading beyond the ends of
//! matches has cost more than a small multiple of the text they cover, the rest of the text is
//! matched with the help of a backward pass (`oracle`). Published patterns never need it.
//!
//! Characters are well-formed UTF-8 sequences; a byte outside every such sequence is one character,
//! U+FFFD. Positions are byte positions. Unicode tables and simple case folding are those of
//! `regex-syntax`.
//!
//! Look-ahead at more than one character runs where it is all that a pattern asks for (`ahead`).
//!
//! Not here, and refused with the name of the construct: backreferences, recursion, any other
//! look-around at more than one character, `\G`, `\K`, and possessive or atomic forms that differ from the greedy
//! ones in a way no plain pattern expresses. Groups only group: nothing is captured.

mod ahead;
mod alphabet;
mod ast;
mod atomic;
mod bracket;
mod chars;
mod dfa;
mod distance;
mod escape;
mod guide;
mod look;
mod matches;
mod oracle;
mod parse;
mod program;
mod repeat;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use regex_syntax::hir::ClassUnicode;

pub use guide::{Guide, Needs, PlaceId};
pub use matches::Matches;
pub use walk::Walker;

use crate::{Error, Result};
use ahead::Reading;
use dfa::Cache;
use program::Program;

/// Caches kept for later searches; more threads than this at once make their own.
const POOLED: usize = 32;

/// A compiled pattern; cheap to share between threads.
pub struct Regex {
    pattern: String,
    program: Program,
    /// Whether matches are empty, and stand where the program has one.
    places: bool,
    pool: Mutex<Vec<Cache>>,
}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`Error::Pattern`] with the byte offset of what is wrong or cannot run in linear time.
    pub fn new(pattern: &str) -> Result<Regex> {
        let parse::Parsed { node, mut sets, .. } = parse::parse(pattern)?;
        Regex::of(pattern, node, &mut sets)
    }

    /// The matches of a pattern, as those of one, or of one that are cut by another: each match of
    /// the first is then a text for the second, and what the second matches are places to cut.
    /// Beside what [`Regex::new`] runs, look-ahead at all that follows is among them.
    ///
    /// # Errors
    /// As for [`Regex::new`].
    pub fn cutting(pattern: &str) -> Result<(Regex, Option<Regex>)> {
        let parse::Parsed { node, mut sets, .. } = parse::parse(pattern)?;
        let places = |node, sets: &mut ast::Sets| {
            Regex::of(pattern, node, sets).map(|found| Regex { places: true, ..found })
        };
        match ahead::read(&node, &mut sets) {
            None => Ok((Regex::of(pattern, node, &mut sets)?, None)),
            Some(Reading::Places(node)) => Ok((places(node, &mut sets)?, None)),
            Some(Reading::Groups(numbers, cuts)) => {
                Ok((Regex::of(pattern, numbers, &mut sets)?, Some(places(cuts, &mut sets)?)))
            }
        }
    }

    /// A pattern whose matches end where the text does.
    ///
    /// # Errors
    /// As for [`Regex::new`].
    pub fn whole(pattern: &str) -> Result<Regex> {
        let parse::Parsed { node, mut sets, .. } = parse::parse(pattern)?;
        let set = sets.intern(ClassUnicode::empty());
        let end = ast::Node::Look(ast::Look { side: ast::Side::Ahead, set, edge: true });
        let node = ast::Node::Concat(vec![node, end]);
        Regex::of(pattern, node, &mut sets)
    }

    fn of(pattern: &str, node: ast::Node, sets: &mut ast::Sets) -> Result<Regex> {
        let error = |offset, reason| Error::Pattern { pattern: pattern.to_owned(), offset, reason };
        let node = atomic::remove(node, true, sets).map_err(|refused| {
            error(
                refused.at,
                parse::unsupported(match refused.ahead {
                    true => parse::LOOK_AHEAD,
                    false => "this possessive or atomic form differs from the greedy one and",
                }),
            )
        })?;
        let program = program::compile(&node, sets).map_err(|large| error(0, large.reason()))?;
        let pool = Mutex::new(Vec::new());
        Ok(Regex { pattern: pattern.to_owned(), program, places: false, pool })
    }

    /// Where a loop begins that Oniguruma runs differently, if the pattern has one: a loop over
    /// what may match nothing before it tries to match something.
    ///
    /// # Errors
    /// [`Error::Pattern`] with the byte offset of what cannot be read.
    pub fn odd_loop(pattern: &str) -> Result<Option<usize>> {
        Ok(parse::parse(pattern)?.odd_loop)
    }

    /// A pattern that matches exactly this text.
    ///
    /// # Errors
    /// [`Error::Pattern`] when the text is too long for a pattern.
    pub fn literal(text: &str) -> Result<Regex> {
        Regex::new(&regex_syntax::escape(text))
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether matches are empty: places, where something follows.
    pub fn finds_places(&self) -> bool {
        self.places
    }

    /// Whether a match may depend on what stands before it.
    pub fn looks_behind(&self) -> bool {
        self.program.looks_behind()
    }

    /// The first match that begins at `start` or later; what lies before is seen by look-behind.
    ///
    /// For one match: the time of repeated calls is linear only through [`Regex::matches`].
    /// `None` when `start` is beyond the text.
    pub fn find_at(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        let mut matches = self.matches(text);
        matches.move_to(start);
        matches.next()
    }

    /// All matches from left to right that do not overlap.
    ///
    /// As in fancy-regex and Oniguruma's iterators, an empty match is reported except directly
    /// after the previous match, and the search goes on one character later. (Python and PCRE would
    /// rather look for a longer match in the same place.)
    pub fn matches<'r, 't>(&'r self, text: &'t [u8]) -> Matches<'r, 't> {
        Matches::new(self, text)
    }

    fn take_cache(&self) -> Cache {
        let pooled = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| Cache::new(&self.program))
    }

    fn return_cache(&self, cache: Cache) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED {
            pool.push(cache);
        }
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Regex").field(&self.pattern).finish()
    }
}
