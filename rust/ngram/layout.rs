//! Where things are in the one array of a model.
//!
//! ```text
//! level 1: counts [width], starts [width + 1] by id
//! level k: ids [n], counts [n], starts [n + 1] of what follows in level k + 1
//! ```
//!
//! The last level has no starts. A level's n-grams are sorted by their ids; the last of them stands
//! in `ids`, the others are those of the parent, whose range of `starts` holds the n-gram.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::ngram::MAX_ORDER;
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
        self.width + starts + self.sizes.iter().map(|size| 3 * size + 1).sum::<usize>() - last
    }

    /// The levels, the shortest n-grams first; the first has no ids, as it has every id.
    ///
    /// # Errors
    /// [`Error::Data`] if the array has another size.
    pub fn levels<'a>(&self, mut words: &'a [u32]) -> Result<Vec<Level<'a>>> {
        let huge = |size: usize| size > u32::MAX as usize;
        let deep = self.order() > MAX_ORDER || self.sizes.iter().any(|&size| huge(size));
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

    /// Looks at everything that a query relies on.
    ///
    /// # Errors
    /// [`Error::Data`] says what is damaged.
    pub fn check(&self, words: &[u32]) -> Result<()> {
        if self.end as usize >= self.width {
            return Err(damaged("its end of text"));
        }
        let levels = self.levels(words)?;
        for (level, next) in levels.iter().zip(levels.iter().skip(1)) {
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
        Ok(())
    }
}

fn damaged(what: &str) -> Error {
    Error::Data(format!("a damaged n-gram model: {what}"))
}
