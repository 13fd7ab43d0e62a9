//! A language model of token ids: interpolated modified Kneser-Ney over flat sorted arrays.
//!
//! Documents are one stream of ids with the end of text between them, and before the first. An
//! n-gram is `n` neighbours of the stream that have the end of text at most as their first id,
//! where it means the beginning of a document, and as their last, where it is the outcome. A level
//! is all n-grams of one length, sorted, so what follows a context is a range of the next level and
//! a context is found by a binary search an id. Everything is `u32` in one array, which may be a
//! mapped file (`layout`).
//!
//! The probability of `w` after the context `c`, whose length is `k - 1`, is (Chen & Goodman 1999)
//!
//! ```text
//! P_k(w | c) = max(a(c w) - D_k(a(c w)), 0) / a(c) + gamma(c) P_{k-1}(w | c without its first id)
//! gamma(c) = sum over w of D_k(a(c w)) / a(c),   a(c) = sum over w of a(c w)
//! ```
//!
//! down to `P_0`, which is uniform over the outcomes. `a` is the number of occurrences for the
//! longest n-grams and those at the beginning of a document, and otherwise the number of different
//! ids that stand before. `D_k` has one value each for 1, 2 and more, from the counts of counts of
//! the level (`smooth`). A context that never occurred is passed over.
//!
//! A model that is unbounded looks for the longest end `c` of a context that ever occurred, in an
//! array of all suffixes (`suffixes`; Liu et al. 2024, Infini-gram). If it has `n >= order` ids, and
//! `T` different ids followed it `a(c)` times in all, then by the rule of Witten & Bell (1991), whose
//! weight shrinks here as the match grows,
//!
//! ```text
//! P(w | c) = (a(c w) + s P_order(w | c)) / (a(c) + s),   s = 16 T / (n + 1 - order)
//! ```
//!
//! Cost: `sort` brings the places of the stream into the order of what follows them, radix by id
//! and then by pairs of ids, and `levels` reads the n-grams off in one pass a level. Memory is 8 to 12
//! bytes an n-gram, 8 more an id without bound, and while fitting about 85 bytes an id in all. A row
//! of probabilities is one addition an id, and a logarithm for each id that ever followed the last
//! two of the context (`query`).

mod layout;
mod levels;
mod query;
mod smooth;
mod sort;
mod suffixes;

#[cfg(test)]
mod tests;

pub use layout::Layout;
pub use query::{Model, Real, Scratch, Sparse};
pub use suffixes::Followers;

use crate::error::{Error, Poll, Result};
use crate::token::{MAX_IDS, TokenId};

/// The longest n-grams that a model may be asked for.
pub const MAX_ORDER: usize = 16;

/// The least order below contexts of any length, whose followers are among those of two ids.
const LEAST_BELOW: usize = 3;

/// How long the n-grams are that a model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Its order.
    Order,
    /// Any length.
    Unbounded,
}

/// Documents, as they are gathered.
#[derive(Debug)]
pub struct Documents {
    width: usize,
    end: TokenId,
    stream: Vec<TokenId>,
}

impl Documents {
    /// No documents yet, of ids below `width`, with `end` as the end of text.
    ///
    /// # Errors
    /// [`Error::Argument`] for an end of text outside, or more ids than there may be.
    pub fn new(width: usize, end: TokenId) -> Result<Documents> {
        if end as usize >= width || width > MAX_IDS + 1 {
            return Err(Error::Argument(format!(
                "end of text {end} of {width} ids: below them, and at most {MAX_IDS}, are allowed"
            )));
        }
        Ok(Documents { width, end, stream: vec![end] })
    }

    /// Adds documents; those that are not `valid` are none. Returns the ids so far.
    ///
    /// # Errors
    /// [`Error::Argument`] for ids or offsets outside, or more ids than places have numbers.
    pub fn push(&mut self, ids: &[i32], offsets: &[i64], valid: Option<&[bool]>) -> Result<usize> {
        for (row, ends) in offsets.windows(2).enumerate() {
            if valid.is_some_and(|valid| valid.get(row) == Some(&false)) {
                continue;
            }
            let range = usize::try_from(ends[0]).ok().zip(usize::try_from(ends[1]).ok());
            let document = range.and_then(|(start, end)| ids.get(start..end)).ok_or_else(|| {
                Error::Argument(format!("document {row} points outside its {} ids", ids.len()))
            })?;
            self.add(document)?;
        }
        Ok(self.ids())
    }

    fn add(&mut self, document: &[i32]) -> Result<()> {
        if self.stream.len() + document.len() >= u32::MAX as usize {
            return Err(Error::Argument(format!(
                "more than {} ids: fit a part of the texts",
                u32::MAX
            )));
        }
        for &id in document {
            let checked = u32::try_from(id).ok().filter(|&id| (id as usize) < self.width);
            let Some(token) = checked.filter(|&id| id != self.end) else {
                return Err(Error::Argument(format!(
                    "id {id} in a document: ids below {} other than the end of text are allowed",
                    self.width
                )));
            };
            self.stream.push(token);
        }
        self.stream.push(self.end);
        Ok(())
    }

    /// Ids in all documents, their ends included.
    pub fn ids(&self) -> usize {
        self.stream.len() - 1
    }

    /// Counts all n-grams up to length `order`, and if `unbounded` makes longer ones be found.
    ///
    /// # Errors
    /// [`Error::Argument`] for an order outside, and those of `poll`.
    pub fn count(
        self,
        order: usize,
        reach: Reach,
        threads: usize,
        poll: Poll<'_>,
    ) -> Result<(Vec<u32>, Layout)> {
        if !(1..=MAX_ORDER).contains(&order) {
            return Err(Error::Argument(format!("order {order}: 1 to {MAX_ORDER} are allowed")));
        }
        if reach == Reach::Unbounded && order < LEAST_BELOW {
            return Err(Error::Argument(format!(
                "order {order} below contexts of any length: at least {LEAST_BELOW} is allowed"
            )));
        }
        let sorted = sort::sort(&self.stream, self.end, order, threads, poll)?;
        let Documents { width, end, stream } = self;
        let (mut words, mut layout) =
            levels::lay_out(&stream, width, end, &sorted.places, order, poll)?;
        if reach == Reach::Unbounded {
            let places = suffixes::sort_on(&stream, end, sorted, threads, poll)?;
            layout.stream = stream.len();
            words.extend(stream);
            words.extend(places);
        }
        Ok((words, layout))
    }
}
