//! The pairs that may be merged next, the best first.
//!
//! Highest count, then smallest left id, then smallest right id. Counts are those of the time when a
//! pair was pushed; the reader compares with the count of today and puts the pair back with that.
//! Only a pair that gained is pushed again, so no entry is ever too low.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::pairs::Pair;

#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Queue {
    pub(super) fn push(&mut self, count: u64, pair: Pair) {
        self.heap.push((count, Reverse(pair)));
    }

    /// The first entry.
    pub(super) fn first(&self) -> Option<(u64, Pair)> {
        self.heap.peek().map(|(count, Reverse(pair))| (*count, *pair))
    }

    /// Gives the first entry another count, or takes it out.
    pub(super) fn replace_first(&mut self, count: Option<u64>) {
        if let Some(mut first) = self.heap.peek_mut() {
            match count {
                Some(count) => first.0 = count,
                None => drop(PeekMut::pop(first)),
            }
        }
    }
}
