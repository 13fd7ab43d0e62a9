//! The pairs that may be merged next, the best first.
//!
//! Highest count, then smallest left id, then smallest right id. Counts are those of the time when a
//! pair was pushed; the reader compares with the count of today and puts the pair back with that.
//! Only a pair that gained is pushed again, so no entry is ever too low.
//!
//! Most pairs are rare and never come up. So only pairs whose counts have the highest number of bits
//! wait in a heap, which is small; the others wait unordered, a list for each number of bits. A heap of
//! all pairs takes a third of the time of a whole training.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::pairs::{Pair, Pairs};

/// Pairs ahead whose counts are asked for.
const AHEAD: usize = 16;

#[derive(Debug)]
pub(super) struct Queue {
    heap: BinaryHeap<(u64, Reverse<Pair>)>,
    /// Pairs that stand less often are not wanted; at least 1.
    least: u64,
    /// Counts of at least this, which is no less than `least`, are in the heap, all others in `later`.
    floor: u64,
    /// `later[b]` has pairs whose counts had `b` bits.
    later: Vec<Vec<Pair>>,
}

impl Queue {
    /// A queue for pairs that stand at least `least` times, and once.
    pub(super) fn new(least: u64) -> Queue {
        let later = vec![Vec::new(); u64::BITS as usize + 1];
        Queue { heap: BinaryHeap::new(), least: least.max(1), floor: u64::MAX, later }
    }

    /// Takes a pair, if it stands often enough.
    pub(super) fn push(&mut self, count: u64, pair: Pair) {
        if count >= self.floor {
            self.heap.push((count, Reverse(pair)));
        } else if count >= self.least {
            self.later[bits(count)].push(pair);
        }
    }

    /// The first entry.
    pub(super) fn first(&mut self, pairs: &Pairs) -> Option<(u64, Pair)> {
        while self.heap.is_empty() {
            let most = self.later.iter().rposition(|some| !some.is_empty())?;
            self.floor = self.least.max(1 << most.saturating_sub(1));
            let some = std::mem::take(&mut self.later[most]);
            for (at, pair) in some.iter().enumerate() {
                if let Some(next) = some.get(at + AHEAD) {
                    pairs.prefetch(*next);
                }
                self.push(pairs.count(*pair), *pair);
            }
        }
        self.heap.peek().map(|(count, Reverse(pair))| (*count, *pair))
    }

    /// Gives the first entry another count; with 0 it is out.
    pub(super) fn replace_first(&mut self, count: u64) {
        let Some(mut first) = self.heap.peek_mut() else { return };
        if count >= self.floor {
            first.0 = count;
        } else {
            let (_, Reverse(pair)) = PeekMut::pop(first);
            self.push(count, pair);
        }
    }
}

/// How many bits a count has.
fn bits(count: u64) -> usize {
    (u64::BITS - count.leading_zeros()) as usize
}
