//! Which pair is next: a heap whose entries may be out of date, checked when they come up.

use super::chains::Pair;
use super::symbols::Symbols;
use crate::map::Map;
use crate::token::TokenId;

/// Which of two pairs with equal counts comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// The smaller left id, then the smaller right id.
    SmallestIds,
    /// The smaller left string, then the smaller right one, bytes in their order.
    SmallestBytes,
    /// The same, bytes in the order of GPT-2's printable stand-ins.
    SmallestStandIns,
    /// The larger left string, then the larger right one.
    LargestBytes,
}

/// Counts of pairs, and the pairs by count.
#[derive(Debug)]
pub struct Queue {
    ties: Ties,
    counts: Map<Pair, u64>,
    /// Pairs that never come up.
    banned: Map<Pair, ()>,
    heap: Vec<(u64, Pair)>,
}

impl Queue {
    pub fn new(ties: Ties) -> Queue {
        Queue { ties, counts: Map::default(), banned: Map::default(), heap: Vec::new() }
    }

    /// How often a pair occurs.
    pub fn count(&self, pair: Pair) -> u64 {
        self.counts.get(&pair).copied().unwrap_or(0)
    }

    /// Adds to the count of a pair; a negative change is one modulo 2^64.
    pub fn add(&mut self, pair: Pair, change: u64, symbols: &Symbols) {
        if self.banned.contains_key(&pair) {
            return;
        }
        let count = self.counts.entry(pair).or_default();
        *count = count.wrapping_add(change);
        let now = *count;
        if now == 0 {
            self.counts.remove(&pair);
        } else if change.cast_signed() > 0 {
            self.push((now, pair), symbols);
        }
    }

    /// Drops a pair for ever, however often it occurs.
    pub fn ban(&mut self, pair: Pair) {
        self.counts.remove(&pair);
        self.banned.insert(pair, ());
    }

    /// The pair that is next and its count; it stays in the queue.
    pub fn best(&mut self, symbols: &Symbols) -> Option<(Pair, u64)> {
        while let Some(&(count, pair)) = self.heap.first() {
            let now = self.count(pair);
            if now == count {
                return Some((pair, count));
            }
            self.pop(symbols);
            if 0 < now && now < count {
                self.push((now, pair), symbols);
            }
        }
        None
    }

    /// The first pairs in order, each with its count; they stay in the queue.
    pub fn firsts(&mut self, most: usize, min_count: u64, symbols: &Symbols) -> Vec<(Pair, u64)> {
        let mut found: Vec<(Pair, u64)> = Vec::new();
        while found.len() < most
            && let Some(best) = self.best(symbols).filter(|best| best.1 >= min_count)
        {
            self.pop(symbols);
            // A pair may be in the heap twice, with equal counts.
            if found.last() != Some(&best) {
                found.push(best);
            }
        }
        found.iter().for_each(|&(pair, count)| self.push((count, pair), symbols));
        found
    }

    fn push(&mut self, entry: (u64, Pair), symbols: &Symbols) {
        self.heap.push(entry);
        let mut at = self.heap.len() - 1;
        while at > 0 {
            let up = (at - 1) / 2;
            if !self.precedes(self.heap[at], self.heap[up], symbols) {
                break;
            }
            self.heap.swap(at, up);
            at = up;
        }
    }

    fn pop(&mut self, symbols: &Symbols) {
        if self.heap.is_empty() {
            return;
        }
        self.heap.swap_remove(0);
        let mut at = 0;
        loop {
            let children = (2 * at + 1..self.heap.len().min(2 * at + 3)).map(|c| (c, self.heap[c]));
            let first = |a: (usize, (u64, Pair)), b: (usize, (u64, Pair))| {
                if self.precedes(b.1, a.1, symbols) { b } else { a }
            };
            match children.reduce(first) {
                Some((child, entry)) if self.precedes(entry, self.heap[at], symbols) => {
                    self.heap.swap(at, child);
                    at = child;
                }
                _ => return,
            }
        }
    }

    fn precedes(&self, a: (u64, Pair), b: (u64, Pair), symbols: &Symbols) -> bool {
        if a.0 != b.0 {
            return a.0 > b.0;
        }
        let order = |compare: fn(&Symbols, TokenId, TokenId) -> std::cmp::Ordering| {
            compare(symbols, a.1.0, b.1.0).then_with(|| compare(symbols, a.1.1, b.1.1))
        };
        match self.ties {
            Ties::SmallestIds => a.1 < b.1,
            Ties::SmallestBytes => order(Symbols::compare).is_lt(),
            Ties::SmallestStandIns => order(Symbols::compare_stand_ins).is_lt(),
            Ties::LargestBytes => order(Symbols::compare).is_gt(),
        }
    }
}
