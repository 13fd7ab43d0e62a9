//! The merge table: which pairs of tokens join, in what order, into what.
//!
//! A pair and its rank share one 64-bit entry, and eight entries a cache line, which are compared all
//! at once: what costs most beside waiting for the line is guessing wrong which entry it is, or that
//! there is none. The last entry of a line is none but says whether pairs of it had to go to the
//! next, which is rare. A table of bits in front of it all, to answer for pairs that do not merge,
//! was tried and gained nothing: its own miss comes before that of the pairs that do.

use crate::error::{Error, Result};
use crate::simd::{Kernel, huge, prefetch};
use crate::token::{MAX_IDS, MAX_MERGES, TokenId};

/// A merge: the pair and the token that it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    pub left: TokenId,
    pub right: TokenId,
    pub product: TokenId,
}

/// Rank of a pair that does not merge: later than every other.
pub const NEVER: u32 = u32::MAX;

const RANK_BITS: u32 = 22;
const ID_BITS: u32 = 21;

/// All bits of a rank: a pair that does not merge, as it stands in the table.
pub(crate) const NO_RANK: u32 = (1 << RANK_BITS) - 1;

/// Entries of a line, the last of which is no pair.
const LINE: usize = 8;
const LAST: usize = LINE - 1;
/// Pairs that a line has on average at most: then one in a hundred has too many.
const PAIRS_A_LINE: f64 = 3.2;

/// No pair. No id has all bits, so neither this nor the next is the entry of one, and both say
/// [`NO_RANK`].
const VACANT: u64 = u64::MAX;
/// The last entry of a line from which pairs went to the next.
const FULL: u64 = !(1 << RANK_BITS);

/// Eight entries.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; LINE]);

/// Anything that says which pairs merge: a table, or a rule.
pub(crate) trait Pairs {
    /// The rank of a pair, or [`NEVER`].
    fn rank<K: Kernel>(&self, kernel: K, left: TokenId, right: TokenId) -> u32;
    /// What the merge of this rank makes.
    fn product(&self, rank: u32) -> TokenId;
}

/// Pairs to ranks, ranks to products.
#[derive(Debug)]
pub struct Merges {
    table: huge::Table<Line>,
    shift: u32,
    products: Vec<TokenId>,
    /// `product - rank`, while it is the same for all: then no product need be read.
    step: Option<u32>,
}

impl Merges {
    /// Merges in rank order; of equal pairs the first counts. Ids must be below `vocab_size`.
    pub fn new(merges: &[Merge], vocab_size: usize) -> Result<Merges> {
        if merges.len() > MAX_MERGES || vocab_size > MAX_IDS {
            return Err(Error::Definition(format!(
                "{} merges over {vocab_size} ids: at most {MAX_MERGES} and {MAX_IDS} are allowed",
                merges.len()
            )));
        }
        let mut table = Merges::with_capacity(merges.len());
        for (at, &merge) in merges.iter().enumerate() {
            let largest = merge.left.max(merge.right).max(merge.product);
            if largest as usize >= vocab_size {
                return Err(Error::Definition(format!(
                    "merge {at} names token id {largest}, outside the vocabulary of {vocab_size}"
                )));
            }
            table.push(merge);
        }
        Ok(table)
    }

    /// An empty table for `count` merges.
    pub(crate) fn with_capacity(count: usize) -> Merges {
        let lines = ((count as f64 / PAIRS_A_LINE).ceil() as usize).next_power_of_two().max(2);
        Merges {
            table: huge::Table::filled(lines, Line([VACANT; LINE])),
            shift: 64 - lines.trailing_zeros(),
            products: Vec::with_capacity(count),
            step: None,
        }
    }

    /// Adds the next merge; a pair that is there already keeps its rank.
    pub(crate) fn push(&mut self, merge: Merge) {
        let rank = self.products.len() as u64;
        let step = merge.product.wrapping_sub(rank as u32);
        self.step = if rank == 0 { Some(step) } else { self.step.filter(|&same| same == step) };
        self.products.push(merge.product);
        let key = pair_key(merge.left, merge.right);
        let mut at = self.home(key);
        loop {
            let entries = &mut self.table[at].0;
            for entry in &mut entries[..LAST] {
                if *entry >> RANK_BITS == key {
                    return;
                }
                if *entry == VACANT {
                    *entry = key << RANK_BITS | rank;
                    return;
                }
            }
            entries[LAST] = FULL;
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    /// Number of merges.
    pub fn len(&self) -> usize {
        self.products.len()
    }

    /// Whether nothing merges.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// The rank of a pair, or [`NO_RANK`].
    #[inline(always)]
    pub(crate) fn find<K: Kernel>(&self, kernel: K, left: TokenId, right: TokenId) -> u32 {
        let key = pair_key(left, right);
        let mut at = self.home(key);
        loop {
            let entries = &self.table[at].0;
            let same = kernel.matches(entries, !u64::from(NO_RANK), key << RANK_BITS);
            let entry = entries[(same | 1 << LAST).trailing_zeros() as usize % LINE];
            if entry != FULL {
                return entry as u32 & NO_RANK;
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    /// Starts loading what is read to find a pair.
    #[inline(always)]
    pub(crate) fn prefetch(&self, left: TokenId, right: TokenId) {
        prefetch(&self.table, self.home(pair_key(left, right)));
    }

    /// All pairs that merge and their ranks, in no order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (TokenId, TokenId, u32)> {
        let entries = self.table.iter().flat_map(|line| &line.0[..LAST]);
        let id = |bits: u64| bits as TokenId & ((1 << ID_BITS) - 1);
        entries.filter(|&&entry| entry != VACANT).map(move |&entry| {
            let key = entry >> RANK_BITS;
            (id(key >> ID_BITS), id(key), entry as u32 & NO_RANK)
        })
    }

    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

impl Pairs for Merges {
    #[inline(always)]
    fn rank<K: Kernel>(&self, kernel: K, left: TokenId, right: TokenId) -> u32 {
        match self.find(kernel, left, right) {
            NO_RANK => NEVER,
            rank => rank,
        }
    }

    #[inline(always)]
    fn product(&self, rank: u32) -> TokenId {
        match self.step {
            Some(step) => rank.wrapping_add(step),
            None => self.products[rank as usize],
        }
    }
}

#[inline(always)]
fn pair_key(left: TokenId, right: TokenId) -> u64 {
    u64::from(left) << ID_BITS | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;

    fn merge(left: TokenId, right: TokenId, product: TokenId) -> Merge {
        Merge { left, right, product }
    }

    #[test]
    fn of_equal_pairs_the_first_counts() {
        let list = [merge(0, 1, 2), merge(1, 0, 3), merge(0, 1, 4), merge(0, 0, 5)];
        let table = Merges::new(&list, 6).expect("ids of the vocabulary");
        let ranks = [(0, 1), (1, 0), (0, 0), (1, 1)].map(|(a, b)| table.rank(Portable, a, b));
        assert_eq!(ranks, [0, 1, 3, NEVER]);
        assert_eq!([0, 1, 3].map(|rank| table.product(rank)), [2, 3, 5]);
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn products_are_told_whether_or_not_they_follow_the_ranks() {
        for step in [0, 1, 7] {
            let product = |rank: u32| 10 + rank + if rank > 500 { step } else { 0 };
            let list: Vec<Merge> =
                (0..1_000).map(|rank| merge(rank, rank / 3, product(rank))).collect();
            let table = Merges::new(&list, 2_000).expect("ids of the vocabulary");
            for (rank, merge) in list.iter().enumerate() {
                assert_eq!(table.rank(Portable, merge.left, merge.right), rank as u32);
                assert_eq!(table.product(rank as u32), merge.product);
            }
        }
    }

    #[test]
    fn products_may_have_smaller_ids_than_their_ranks() {
        let list: Vec<Merge> = (0..20).map(|id| merge(id, id, id.saturating_sub(5))).collect();
        let last: Vec<Merge> = list[6..].to_vec();
        for list in [list, last] {
            let table = Merges::new(&list, 20).expect("ids of the vocabulary");
            for (rank, merge) in list.iter().enumerate() {
                assert_eq!(table.product(rank as u32), merge.product);
            }
        }
    }

    #[test]
    fn ids_outside_the_vocabulary_are_errors() {
        for list in [[merge(3, 0, 0)], [merge(0, 3, 0)], [merge(0, 0, 3)]] {
            assert!(Merges::new(&list, 3).is_err());
            assert!(Merges::new(&list, 4).is_ok());
        }
        assert!(Merges::new(&[], MAX_IDS + 1).is_err());
        let empty = Merges::new(&[], 0).expect("nothing is a table too");
        assert_eq!(empty.rank(Portable, 0, 0), NEVER);
    }

    #[test]
    fn the_largest_ids_have_ranks() {
        let most = MAX_IDS as TokenId - 1;
        let list = [merge(most, most, most), merge(most, 0, 0), merge(0, most, 1)];
        let table = Merges::new(&list, MAX_IDS).expect("ids of the vocabulary");
        let ranks =
            [(most, most), (most, 0), (0, most), (0, 0)].map(|(a, b)| table.rank(Portable, a, b));
        assert_eq!(ranks, [0, 1, 2, NEVER]);
    }
}
