//! Pairs of bytes, and which of them merge whatever stands beside them.
//!
//! A sequence of bytes begins with pairs of single bytes. Their ranks are a table of their own, whose
//! lines for a language or two stay in the near caches. Beside the rank stands what competes for the
//! two bytes: `right`, the least rank of any merge of the first byte, as it is, with a token that
//! begins with the second; and `left`, the least rank of any merge of a token that ends with the first
//! byte with the second, as it is.
//!
//! Let `a b c d` be bytes, `r` the rank of `b c`, and `r` less than the `left` of `a b` and than the
//! `right` of `c d`. Until rank `r`, nothing takes `b`: what ends in `a` would, by a merge that ranks
//! later, or `c`, which is still single; for nothing takes `c` either, as what begins with `d` ranks
//! later. So at rank `r` both are there, and merge; no other merge of this rank overlaps them, as its
//! pair would be one of these. If also no merge of rank `r` or less has the product for a part, then it
//! makes no difference to any other merge whether this one is made at its time or first. So all such
//! pairs of a piece are merged at once, before anything is looked up, and they are about half of all
//! merges, be it letters of two bytes or syllables of English.
//!
//! What a token ends and begins with is read off the vocabulary, so it must spell what its merges make
//! of single bytes. Where it does not, no pair is merged so.

use crate::merges::{Merges, NO_RANK, Pairs};
use crate::simd::Portable;
use crate::token::TokenId;
use crate::vocab::Vocab;

use super::units::Unit;

/// Bits of a bound. It is a rank without the last two bits, which errs towards not merging.
const BOUND_BITS: u32 = 20;
const DROPPED: u32 = 2;
/// The bound that nothing competes; no rank is as high.
const FREE: u32 = (1 << BOUND_BITS) - 1;
const LEFT: u32 = 22;
const RIGHT: u32 = LEFT + BOUND_BITS;
/// The bit of a product that is not to be made early.
const LATE: u32 = RIGHT + BOUND_BITS;

/// What a pair of bytes is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair(u64);

impl Pair {
    /// What stands where there is no pair: it does not merge, and competes with nothing.
    pub(crate) const NONE: Pair = Pair::new(NO_RANK, FREE, FREE, true);

    const fn new(rank: u32, left: u32, right: u32, late: bool) -> Pair {
        let bounds = (left as u64) << LEFT | (right as u64) << RIGHT;
        Pair(rank as u64 | bounds | (late as u64) << LATE)
    }

    /// The rank, or [`NO_RANK`].
    #[inline(always)]
    pub(crate) fn rank(self) -> u32 {
        self.0 as u32 & NO_RANK
    }

    #[inline(always)]
    fn left(self) -> u32 {
        (self.0 >> LEFT) as u32 & FREE
    }

    #[inline(always)]
    fn right(self) -> u32 {
        (self.0 >> RIGHT) as u32 & FREE
    }

    /// Whether the pair merges, whatever stands before the pair before it and after the pair after it.
    #[inline(always)]
    pub(crate) fn is_first(self, before: Pair, after: Pair) -> bool {
        let late = (self.0 >> LATE) as u32;
        let bound = self.rank() >> DROPPED | late << BOUND_BITS;
        bound < before.left() && bound < after.right()
    }
}

/// The pairs of all bytes, where every byte is a symbol.
#[derive(Debug)]
pub(crate) struct BytePairs {
    first: Box<[TokenId; 256]>,
    pairs: Box<[Pair; 1 << 16]>,
}

impl BytePairs {
    /// The table for the symbols of the 256 bytes.
    pub(crate) fn new(first: &[TokenId; 256], merges: &Merges, vocab: &Vocab) -> BytePairs {
        let mut pairs: Box<[Pair; 1 << 16]> = vec![Pair::NONE; 1 << 16]
            .into_boxed_slice()
            .try_into()
            .expect("as many as there are pairs");
        let bounds = Bounds::new(first, merges, vocab);
        for (at, pair) in pairs.iter_mut().enumerate() {
            let rank = merges.find(Portable, first[at >> 8], first[at & 255]);
            *pair = bounds.as_ref().map_or(Pair::new(rank, FREE, FREE, true), |bounds| {
                let part = if rank == NO_RANK {
                    FREE
                } else {
                    bounds.parts[merges.product(rank) as usize]
                };
                let late = rank >> DROPPED >= part;
                Pair::new(rank, bounds.left[at], bounds.right[at], late)
            });
        }
        BytePairs { first: Box::new(*first), pairs }
    }

    /// The symbol of a byte.
    #[inline(always)]
    pub(crate) fn symbol(&self, byte: u8) -> TokenId {
        self.first[usize::from(byte)]
    }

    /// Appends the symbols of a text, those that merge first merged.
    pub(crate) fn append(&self, merges: &Merges, text: &[u8], out: &mut Vec<Unit>) {
        let pair =
            |at: usize| text.get(at..at + 2).map_or(Pair::NONE, |two| self.pair(two[0], two[1]));
        let (mut at, mut before, mut here) = (0, Pair::NONE, pair(0));
        while at < text.len() {
            let after = pair(at + 1);
            let start = at as u32;
            if here.is_first(before, after) {
                out.push(Unit { id: merges.product(here.rank()), start });
                (before, here) = (after, pair(at + 2));
                at += 2;
            } else {
                out.push(Unit { id: self.symbol(text[at]), start });
                (before, here) = (here, after);
                at += 1;
            }
        }
    }

    /// The pair of two bytes.
    #[inline(always)]
    pub(crate) fn pair(&self, a: u8, b: u8) -> Pair {
        self.pairs[usize::from(a) << 8 | usize::from(b)]
    }
}

/// The least ranks of what competes.
struct Bounds {
    left: Vec<u32>,
    right: Vec<u32>,
    /// By id: the least rank of any merge that it is a part of.
    parts: Vec<u32>,
}

impl Bounds {
    fn new(first: &[TokenId; 256], merges: &Merges, vocab: &Vocab) -> Option<Bounds> {
        let mut bounds = Bounds {
            left: vec![FREE; 1 << 16],
            right: vec![FREE; 1 << 16],
            parts: vec![FREE; vocab.len()],
        };
        let ends: Vec<Option<(u8, u8)>> = (0..vocab.len() as TokenId)
            .map(|id| {
                let bytes = vocab.token_bytes(id).ok()?;
                Some((*bytes.first()?, *bytes.last()?))
            })
            .collect();
        // The byte of each id that is a single one.
        let mut bytes = vec![None; vocab.len()];
        for (byte, &id) in (0..=255u8).zip(first) {
            if bytes[id as usize].replace(byte).is_some() || vocab.token_bytes(id) != Ok(&[byte]) {
                return None;
            }
        }
        for (left, right, rank) in merges.pairs() {
            let product = merges.product(rank) as usize;
            let (first_of, last_of) = (ends[left as usize]?, ends[right as usize]?);
            if ends[product] != Some((first_of.0, last_of.1)) {
                return None;
            }
            let rank = rank >> DROPPED;
            let least = |bound: &mut u32| *bound = rank.min(*bound);
            if let Some(byte) = bytes[left as usize] {
                least(&mut bounds.right[usize::from(byte) << 8 | usize::from(last_of.0)]);
            }
            if let Some(byte) = bytes[right as usize] {
                least(&mut bounds.left[usize::from(first_of.1) << 8 | usize::from(byte)]);
            }
            least(&mut bounds.parts[left as usize]);
            least(&mut bounds.parts[right as usize]);
        }
        Some(bounds)
    }
}
