//! Where things are in the one array of a model.
//!
//! ```text
//! level 1: counts [width], starts [width + 1] by id
//! level k: ids [n], counts [n], starts [n + 1] of what follows in level k + 1
//! stream [m], places [m]
//! ```
//!
//! The last level has no starts. A level's n-grams are sorted by their ids; the last of them stands
//! in `ids`, the others are those of the parent, whose range of `starts` holds the n-gram. Stream
//! and places are there where n-grams of all lengths are asked for.

use std::ops::Range;

use crate::error::{Error, Poll, Result};
use crate::ngram::suffixes::Suffixes;
use crate::ngram::{LEAST_BELOW, MAX_ORDER};
use crate::token::TokenId;

/// The sizes that say where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// How many outcomes have an id.
    pub width: usize,
    /// The end of text.
    pub end: TokenId,
    /// N-grams of each length from 2 on.
    pub sizes: Vec<usize>,
    /// Ids of the stream, if the model has it; else 0.
    pub stream: usize,
}

/// One level of n-grams.
#[derive(Debug, Clone, Copy)]
pub struct Level<'a> {
    pub ids: &'a [u32],
    pub counts: &'a [u32],
    /// Where each n-gram's followers begin in the next level, and where the last one's end; empty
    /// in the last level.
    pub starts: &'a [u32],
}

impl Level<'_> {
    /// The followers of an n-gram, as a range of the next level.
    pub fn followers(&self, node: usize) -> Range<usize> {
        self.starts[node] as usize..self.starts[node + 1] as usize
    }
}

impl Layout {
    /// The longest n-grams.
    pub fn order(&self) -> usize {
        self.sizes.len() + 1
    }

    /// Words that the array must have.
    pub fn words(&self) -> usize {
        let last = self.sizes.last().map_or(0, |size| size + 1);
        let starts = if self.sizes.is_empty() { 0 } else { self.width + 1 };
        let levels = self.sizes.iter().map(|size| 3 * size + 1).sum::<usize>() - last;
        self.width + starts + levels + 2 * self.stream
    }

    /// The levels, the shortest n-grams first; the first has no ids, as it has every id.
    ///
    /// # Errors
    /// [`Error::Data`] if the array has another size.
    pub fn levels<'a>(&self, mut words: &'a [u32]) -> Result<Vec<Level<'a>>> {
        let huge = |size: usize| size > u32::MAX as usize;
        let deep = self.order() > MAX_ORDER || self.sizes.iter().any(|&size| huge(size));
        let deep = deep || huge(self.stream);
        if deep || words.len() != self.words() {
            return Err(damaged("its size"));
        }
        let mut take = |len: usize| {
            let (taken, rest) = words.split_at(len);
            words = rest;
            taken
        };
        let mut levels = Vec::with_capacity(self.order());
        for (at, &size) in [self.width].iter().chain(&self.sizes).enumerate() {
            let ids = take(if at == 0 { 0 } else { size });
            let counts = take(size);
            let starts = take(if at == self.sizes.len() { 0 } else { size + 1 });
            levels.push(Level { ids, counts, starts });
        }
        Ok(levels)
    }

    /// The stream and its places, of an array of the right size.
    pub fn suffixes<'a>(&self, words: &'a [u32]) -> Suffixes<'a> {
        let (stream, places) = words[words.len() - 2 * self.stream..].split_at(self.stream);
        Suffixes { stream, places }
    }

    /// Looks at what a query relies on, except that what follows an n-gram also follows every end of
    /// it: queries see that for themselves.
    ///
    /// # Errors
    /// [`Error::Data`] says what is damaged; those of `poll`.
    pub fn check(&self, words: &[u32], poll: Poll<'_>) -> Result<()> {
        if self.end as usize >= self.width {
            return Err(damaged("its end of text"));
        }
        let levels = self.levels(words)?;
        for (level, next) in levels.iter().zip(levels.iter().skip(1)) {
            poll()?;
            let ends = (level.starts.first(), level.starts.last());
            let whole = ends == (Some(&0), Some(&(next.ids.len() as u32)));
            if !whole || !level.starts.is_sorted() {
                return Err(damaged("where its n-grams begin"));
            }
            let mut ranges = level.starts.windows(2).map(|ends| ends[0] as usize..ends[1] as usize);
            if !ranges.all(|range| next.ids[range].is_sorted_by(|left, right| left < right)) {
                return Err(damaged("the order of its n-grams"));
            }
            if next.ids.iter().any(|&id| id as usize >= self.width) {
                return Err(damaged("an id"));
            }
            if next.counts.contains(&0) {
                return Err(damaged("a count"));
            }
        }
        let Suffixes { stream, places } = self.suffixes(words);
        if self.stream > 0 && self.order() < LEAST_BELOW {
            return Err(damaged("its order"));
        }
        if stream.iter().any(|&id| id as usize >= self.width)
            || places.iter().any(|&place| place as usize >= self.stream)
        {
            return Err(damaged("its stream"));
        }
        Ok(())
    }
}

/// The error of an array that contradicts itself.
pub fn damaged(what: &str) -> Error {
    Error::Data(format!("a damaged n-gram model: {what}"))
}
