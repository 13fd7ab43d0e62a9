//! Merging one long sequence of symbols: always the pair of lowest rank, leftmost first.
//!
//! The pair ranks are the leaves of a 16-ary tournament tree of minima: a merge recomputes one block a
//! level, so `n` symbols cost `n log n` and no allocation beyond the scratch. Where a pair repeats,
//! all of it is merged in one walk. [`super::long`] bounds `n`; [`super::short`] merges what is so
//! short that scanning is faster.

use crate::merges::{NEVER, Pairs};
use crate::simd::{Kernel, Task, dispatch};
use crate::token::TokenId;

use super::units::Unit;

const FAN: usize = 16;
/// A level this short is scanned whole.
const TOP: usize = 64;

/// Scratch for merging long sequences; kept between calls for its allocations.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    next: Vec<u32>,
    previous: Vec<u32>,
    /// `levels[0]` holds the rank of the pair that starts at each slot, `levels[k]` the minimum of
    /// each block of 16 entries of the level below.
    levels: Vec<Vec<u32>>,
}

/// Merging by the tree, compiled for the vector instructions that the processor has: finding minima
/// is most of it.
struct MergeTree<'a, P> {
    tree: &'a mut Tree,
    merges: &'a P,
    units: &'a mut Vec<Unit>,
}

impl<P: Pairs> Task for MergeTree<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        self.tree.run(kernel, self.merges, self.units);
    }
}

impl Tree {
    /// Merges `units` in place. A merged symbol keeps the start of its left part.
    pub(crate) fn merge<P: Pairs>(&mut self, merges: &P, units: &mut Vec<Unit>) {
        if units.len() > 1 {
            dispatch(MergeTree { tree: self, merges, units });
        }
    }

    #[inline(always)]
    fn run<K: Kernel>(&mut self, kernel: K, merges: &impl Pairs, units: &mut Vec<Unit>) {
        let len = units.len();
        self.reset(kernel, merges, units);
        let mut last = NEVER;
        while let Some((at, rank)) = self.minimum() {
            if rank == last {
                self.merge_all(kernel, merges, units, at, rank);
                last = NEVER;
                continue;
            }
            last = rank;
            units[at].id = merges.product(rank);
            let dead = self.next[at] as usize;
            let after = self.next[dead] as usize;
            self.next[at] = after as u32;
            self.set(dead, NEVER);
            let rank = if after < len {
                self.previous[after] = at as u32;
                merges.rank(kernel, units[at].id, units[after].id)
            } else {
                NEVER
            };
            self.set(at, rank);
            if at > 0 {
                let before = self.previous[at] as usize;
                self.set(before, merges.rank(kernel, units[before].id, units[at].id));
            }
        }
        self.compact(units);
    }

    /// Merges the pair of this rank from `at`, its leftmost place, to the right, and brings the
    /// minima up to date once for all of them.
    ///
    /// This is what taking the minimum again and again does for as long as no new pair has this
    /// rank or a lower one: the pairs to the left rank higher, so that the next one is the next to
    /// the right. The first merge that makes such a pair is the last.
    #[inline(always)]
    fn merge_all<K: Kernel>(
        &mut self,
        kernel: K,
        merges: &impl Pairs,
        units: &mut [Unit],
        at: usize,
        rank: u32,
    ) {
        let len = units.len();
        let product = merges.product(rank);
        // Neighbours repeat where pairs do.
        let (mut lefts, mut rights) = (Known::default(), Known::default());
        let first = self.previous.get(at).map_or(0, |&before| before.min(at as u32) as usize);
        let mut here = at;
        loop {
            units[here].id = product;
            let dead = self.next[here] as usize;
            let after = self.next[dead] as usize;
            self.next[here] = after as u32;
            self.levels[0][dead] = NEVER;
            let mut right = NEVER;
            if after < len {
                self.previous[after] = here as u32;
                right = rights.rank(units[after].id, |id| merges.rank(kernel, product, id));
            }
            self.levels[0][here] = right;
            let mut left = NEVER;
            if here > 0 {
                let before = self.previous[here] as usize;
                left = lefts.rank(units[before].id, |id| merges.rank(kernel, id, product));
                self.levels[0][before] = left;
            }
            let lowest = left.min(right);
            match self.next_of(rank, after).filter(|_| lowest > rank) {
                Some(next) => here = next,
                None => return self.renew(first, dead),
            }
        }
    }

    /// The first slot from `from` on with this rank; the minima from there on are up to date.
    #[inline(always)]
    fn next_of(&self, rank: u32, from: usize) -> Option<usize> {
        let of = |&entry: &u32| entry == rank;
        let border = from.next_multiple_of(FAN);
        let ranks = &self.levels[0];
        if let Some(at) = ranks.get(from..border)?.iter().position(of) {
            return Some(from + at);
        }
        let Some(minima) = self.levels.get(1) else {
            return ranks[border..].iter().position(of).map(|at| border + at);
        };
        let block = border / FAN + minima.get(border / FAN..)?.iter().position(of)?;
        let at = ranks[block * FAN..].iter().position(of)?;
        Some(block * FAN + at)
    }

    /// Computes the minima above the slots `first..=last` anew.
    #[inline(always)]
    fn renew(&mut self, mut first: usize, mut last: usize) {
        for level in 1..self.levels.len() {
            (first, last) = (first / FAN, last / FAN);
            let (below, above) = self.levels.split_at_mut(level);
            let blocks = &below[level - 1].as_chunks::<FAN>().0[first..=last];
            for (minimum, block) in above[0][first..=last].iter_mut().zip(blocks) {
                *minimum = block_minimum(block);
            }
        }
    }

    #[inline(always)]
    fn reset<K: Kernel>(&mut self, kernel: K, merges: &impl Pairs, units: &[Unit]) {
        let len = units.len() as u32;
        self.next.clear();
        self.next.extend(1..=len);
        self.previous.clear();
        self.previous.extend((0..len).map(|at| at.wrapping_sub(1)));
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        let ranks = &mut self.levels[0];
        ranks.clear();
        ranks.extend(units.windows(2).map(|pair| merges.rank(kernel, pair[0].id, pair[1].id)));
        ranks.resize(units.len().next_multiple_of(FAN), NEVER);
        let mut level = 0;
        while self.levels[level].len() > TOP {
            if self.levels.len() == level + 1 {
                self.levels.push(Vec::new());
            }
            let (below, above) = self.levels.split_at_mut(level + 1);
            above[0].clear();
            above[0].extend(below[level].as_chunks::<FAN>().0.iter().map(block_minimum));
            let padded = above[0].len().next_multiple_of(FAN);
            above[0].resize(padded, NEVER);
            level += 1;
        }
        self.levels.truncate(level + 1);
    }

    /// The leftmost slot of lowest rank.
    #[inline(always)]
    fn minimum(&self) -> Option<(usize, u32)> {
        let top = self.levels.last()?;
        let rank = top.iter().copied().min().filter(|&rank| rank != NEVER)?;
        let mut at = top.iter().position(|&entry| entry == rank)?;
        for level in self.levels.iter().rev().skip(1) {
            let block = &level[at * FAN..at * FAN + FAN];
            at = at * FAN + block.iter().position(|&entry| entry == rank)?;
        }
        Some((at, rank))
    }

    /// Sets the rank of a slot. The minimum of a block is scanned for only when it may have risen.
    #[inline(always)]
    fn set(&mut self, slot: usize, rank: u32) {
        let mut at = slot;
        let mut value = rank;
        for level in 0..self.levels.len() {
            let old = std::mem::replace(&mut self.levels[level][at], value);
            at /= FAN;
            let Some(parent) = self.levels.get(level + 1).map(|above| above[at]) else { return };
            if value > parent {
                if old != parent {
                    return;
                }
                value = block_minimum(&self.levels[level].as_chunks::<FAN>().0[at]);
            }
            if value == parent {
                return;
            }
        }
    }

    fn compact(&self, units: &mut Vec<Unit>) {
        let (mut from, mut to) = (0, 0);
        while from < units.len() {
            units[to] = units[from];
            to += 1;
            from = self.next[from] as usize;
        }
        units.truncate(to);
    }
}

/// The rank of one symbol with a fixed other one, for as long as it comes again.
#[derive(Default)]
struct Known {
    last: Option<(TokenId, u32)>,
}

impl Known {
    #[inline(always)]
    fn rank(&mut self, id: TokenId, find: impl FnOnce(TokenId) -> u32) -> u32 {
        match self.last {
            Some((known, rank)) if known == id => rank,
            _ => {
                let rank = find(id);
                self.last = Some((id, rank));
                rank
            }
        }
    }
}

#[inline(always)]
fn block_minimum(block: &[u32; FAN]) -> u32 {
    block.iter().copied().fold(NEVER, u32::min)
}
