//! Rows of tokens in which pairs are joined in place, each join at the cost of its occurrences.
//!
//! A token stands in the slot of its first unit and knows its neighbours' slots, so joining and
//! splitting move nothing, and the order of slots stays the order of the text. Where a pair occurs
//! is a list that may be out of date: an entry is checked when it is read. Memory is about 16 bytes
//! a unit and 4 more for every pair that ever was.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::map::Map;
use crate::token::TokenId;
use crate::train::Pieces;

/// Two tokens, one after the other.
pub type Pair = (TokenId, TokenId);

/// No neighbour.
const NONE: u32 = u32::MAX;
/// The slot is inside a token.
const INSIDE: TokenId = TokenId::MAX;

/// Rows of tokens; row `i` counts `weights[i]` times.
#[derive(Debug, Default)]
pub struct Chains {
    ids: Vec<TokenId>,
    before: Vec<u32>,
    after: Vec<u32>,
    rows: Vec<u32>,
    weights: Arc<[u64]>,
    places: Map<Pair, Vec<u32>>,
    /// Ids from here on are no tokens: pairs with them are neither told nor remembered.
    opaque: TokenId,
}

/// What one join or split did to the pairs of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Gone,
    New,
}

impl Chains {
    /// Pieces, byte by byte; `id` is the token of a byte.
    ///
    /// # Errors
    /// [`Error::Argument`] for offsets that do not fit, else as [`Chains::new`].
    pub fn of_bytes(pieces: Pieces<'_>, id: impl Fn(u8) -> TokenId) -> Result<Chains> {
        let values: Vec<TokenId> = pieces.arena.iter().map(|&byte| id(byte)).collect();
        let ends: Vec<usize> = pieces.offsets.iter().map(|&end| end as usize).collect();
        let fits =
            ends.first() == Some(&0) && ends.is_sorted() && ends.last() == Some(&values.len());
        if !fits || ends.len() != pieces.counts.len() + 1 {
            return Err(Error::Argument("pieces, offsets and counts do not fit".into()));
        }
        Chains::new(&values, &ends, pieces.counts)
    }

    /// The rows `values[offsets[i]..offsets[i + 1]]`.
    ///
    /// # Errors
    /// [`Error::Argument`] for more units than 32 bits count, or weights that exceed 64 bits in sum.
    pub fn new(values: &[TokenId], offsets: &[usize], weights: &[u64]) -> Result<Chains> {
        Chains::with_opaque(values, offsets, weights, INSIDE)
    }

    /// The same, where ids from `opaque` on are no tokens yet: pairs with them do not exist.
    ///
    /// # Errors
    /// As [`Chains::new`].
    pub fn with_opaque(
        values: &[TokenId],
        offsets: &[usize],
        weights: &[u64],
        opaque: TokenId,
    ) -> Result<Chains> {
        if values.len() >= NONE as usize {
            return Err(Error::Argument(format!(
                "{} units of text: at most {NONE} can be trained on at once",
                values.len()
            )));
        }
        let spans = || offsets.windows(2).map(|ends| ends[0]..ends[1]);
        let total = spans().zip(weights).try_fold(0u64, |sum, (span, &weight)| {
            weight.checked_mul(span.len() as u64).and_then(|more| sum.checked_add(more))
        });
        if total.is_none() {
            return Err(Error::Argument("the counts exceed 64 bits in sum".into()));
        }
        let mut chains = Chains {
            ids: values.to_vec(),
            before: vec![NONE; values.len()],
            after: vec![NONE; values.len()],
            rows: vec![0; values.len()],
            weights: weights.into(),
            places: Map::default(),
            opaque,
        };
        for (row, span) in spans().enumerate() {
            for at in span.clone() {
                chains.rows[at] = row as u32;
                if at + 1 < span.end {
                    chains.after[at] = at as u32 + 1;
                    chains.before[at + 1] = at as u32;
                    let pair = (values[at], values[at + 1]);
                    if pair.0 < opaque && pair.1 < opaque {
                        chains.places.entry(pair).or_default().push(at as u32);
                    }
                }
            }
        }
        Ok(chains)
    }

    /// How often a row counts.
    pub fn weight(&self, row: u32) -> u64 {
        self.weights[row as usize]
    }

    /// How often each row counts.
    pub fn weights(&self) -> Arc<[u64]> {
        self.weights.clone()
    }

    /// Every pair with the row that it stands in, an entry for each occurrence.
    pub fn pairs(&self) -> impl Iterator<Item = (Pair, u32)> {
        (0..self.ids.len()).filter_map(|at| {
            let after = self.after[at];
            let pair = (self.ids[at], *self.ids.get(after as usize)?);
            (pair.0 < self.opaque && pair.1 < self.opaque).then_some((pair, self.rows[at]))
        })
    }

    /// The tokens of every row, in order, each with its row.
    pub fn tokens(&self) -> impl Iterator<Item = (TokenId, u32)> {
        let all = self.ids.iter().copied().zip(self.rows.iter().copied());
        all.filter(|&(id, _)| id != INSIDE)
    }

    /// Joins the pair wherever it stands, from left to right, and tells which pairs went and came.
    /// Calls `joined` with each slot of the product and its row.
    pub fn join(
        &mut self,
        pair: Pair,
        product: TokenId,
        mut change: impl FnMut(Pair, u32, Change),
        mut joined: impl FnMut(u32, u32),
    ) {
        let (left, right) = pair;
        let mut places = self.places.remove(&pair).unwrap_or_default();
        if left == right {
            // Only here can occurrences overlap, and then the order counts.
            places.sort_unstable();
        }
        for at in places {
            let second = self.after[at as usize];
            if self.ids[at as usize] != left || self.token(second) != Some(right) {
                continue;
            }
            let row = self.rows[at as usize];
            let (first, last) = (self.before[at as usize], self.after[second as usize]);
            change(pair, row, Change::Gone);
            if let Some(id) = self.token(first) {
                change((id, left), row, Change::Gone);
                change((id, product), row, Change::New);
                self.places.entry((id, product)).or_default().push(first);
            }
            if let Some(id) = self.token(last) {
                change((right, id), row, Change::Gone);
                change((product, id), row, Change::New);
                self.places.entry((product, id)).or_default().push(at);
            }
            if last != NONE {
                self.before[last as usize] = at;
            }
            self.ids[at as usize] = product;
            self.ids[second as usize] = INSIDE;
            self.after[at as usize] = last;
            joined(at, row);
        }
    }

    /// Splits `token` at the slots `places` where it still stands, into parts of known lengths in
    /// units, and tells which pairs went and came. Calls `made` with each part, its slot and its row.
    pub fn split(
        &mut self,
        token: TokenId,
        parts: &[(TokenId, u32)],
        places: &[u32],
        mut change: impl FnMut(Pair, u32, Change),
        mut made: impl FnMut(TokenId, u32, u32),
    ) {
        for &start in places {
            if self.ids[start as usize] != token {
                continue;
            }
            let row = self.rows[start as usize];
            let (first, last) = (self.before[start as usize], self.after[start as usize]);
            if let Some(id) = self.token(first).filter(|_| token < self.opaque) {
                change((id, token), row, Change::Gone);
            }
            if let Some(id) = self.token(last).filter(|_| token < self.opaque) {
                change((token, id), row, Change::Gone);
            }
            let (mut at, mut left) = (start, first);
            for &(part, len) in parts {
                self.ids[at as usize] = part;
                self.before[at as usize] = left;
                if left != NONE {
                    self.after[left as usize] = at;
                }
                made(part, at, row);
                self.link(left, row, &mut change);
                (left, at) = (at, at + len);
            }
            self.after[left as usize] = last;
            if last != NONE {
                self.before[last as usize] = left;
            }
            self.link(left, row, &mut change);
        }
    }

    /// Tells of the pair that begins at a slot, if one does.
    fn link(&mut self, at: u32, row: u32, change: &mut impl FnMut(Pair, u32, Change)) {
        let Some(left) = self.token(at) else { return };
        let Some(right) = self.token(self.after[at as usize]) else { return };
        change((left, right), row, Change::New);
        self.places.entry((left, right)).or_default().push(at);
    }

    fn token(&self, at: u32) -> Option<TokenId> {
        self.ids.get(at as usize).copied().filter(|&id| id < self.opaque)
    }
}
