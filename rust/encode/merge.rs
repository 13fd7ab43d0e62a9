//! Merging one long sequence of symbols: always the pair of lowest rank, leftmost first.
//!
//! The pair ranks are the leaves of a 16-ary tournament tree of minima: a merge recomputes one block a
//! level, so `n` symbols cost `n log n` and no allocation beyond the scratch. [`super::long`] bounds
//! `n`; [`super::short`] merges what is so short that scanning is faster.

use crate::merges::{NEVER, Pairs};
use crate::simd::{Kernel, Task, dispatch};

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
    fn run<K: Kernel>(self, _kernel: K) {
        self.tree.run(self.merges, self.units);
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
    fn run(&mut self, merges: &impl Pairs, units: &mut Vec<Unit>) {
        let len = units.len();
        self.reset(merges, units);
        while let Some((at, rank)) = self.minimum() {
            units[at].id = merges.product(rank);
            let dead = self.next[at] as usize;
            let after = self.next[dead] as usize;
            self.next[at] = after as u32;
            self.set(dead, NEVER);
            let rank = if after < len {
                self.previous[after] = at as u32;
                merges.rank(units[at].id, units[after].id)
            } else {
                NEVER
            };
            self.set(at, rank);
            if at > 0 {
                let before = self.previous[at] as usize;
                self.set(before, merges.rank(units[before].id, units[at].id));
            }
        }
        self.compact(units);
    }

    #[inline(always)]
    fn reset(&mut self, merges: &impl Pairs, units: &[Unit]) {
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
        ranks.extend(units.windows(2).map(|pair| merges.rank(pair[0].id, pair[1].id)));
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

#[inline(always)]
fn block_minimum(block: &[u32; FAN]) -> u32 {
    block.iter().copied().fold(NEVER, u32::min)
}
