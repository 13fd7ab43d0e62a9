//! Continued BPE: more merges for a vocabulary that is there (arXiv 2512.03989).
//!
//! The rows are pieces of text as the old vocabulary encodes them. The pair that occurs most often
//! is joined, and again, as in training, so every new token is reachable and every old one keeps its
//! id and its place among the merges.

use super::chains::{Chains, Change, Pair};
use super::queue::Queue;
use super::symbols::Symbols;
use crate::error::{Poll, Result};
use crate::map::Map;
use crate::merges::Merge;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// New tokens.
    pub tokens: usize,
    /// A pair that occurs less often is not joined.
    pub min_count: u64,
}

/// New merges, in order, and how often each pair occurred.
#[derive(Debug, Default)]
pub struct Extension {
    pub merges: Vec<Merge>,
    pub counts: Vec<u64>,
}

/// Continues the merges of a vocabulary on `chains`.
///
/// # Errors
/// Those of `poll`.
pub fn extend(
    chains: &mut Chains,
    symbols: &mut Symbols,
    mut queue: Queue,
    wanted: Wanted,
    poll: Poll<'_>,
) -> Result<Extension> {
    let mut changes = Changes::default();
    changes.tell_all(chains);
    changes.settle(&mut queue, symbols);
    let mut made = Extension::default();
    let goal = symbols.size() + wanted.tokens;
    while symbols.size() < goal {
        poll()?;
        let Some((pair, count)) = queue.best(symbols).filter(|best| best.1 >= wanted.min_count)
        else {
            break;
        };
        let Some(product) = symbols.join(pair.0, pair.1) else {
            queue.ban(pair);
            continue;
        };
        changes.join(chains, pair, product.id());
        changes.settle(&mut queue, symbols);
        made.merges.push(Merge { left: pair.0, right: pair.1, product: product.id() });
        made.counts.push(count);
    }
    Ok(made)
}

/// Changes of counts that one step brings, summed before the queue hears of them.
#[derive(Debug, Default)]
pub(super) struct Changes(Map<Pair, u64>);

impl Changes {
    /// All pairs of a text.
    pub(super) fn tell_all(&mut self, chains: &Chains) {
        chains.pairs().for_each(|(pair, row)| self.tell(pair, chains.weight(row), Change::New));
    }

    /// One more or one less occurrence of a pair, of some weight.
    pub(super) fn tell(&mut self, pair: Pair, weight: u64, change: Change) {
        let sum = self.0.entry(pair).or_default();
        *sum = match change {
            Change::New => sum.wrapping_add(weight),
            Change::Gone => sum.wrapping_sub(weight),
        };
    }

    /// Joins a pair and notes what changes.
    pub(super) fn join(&mut self, chains: &mut Chains, pair: Pair, product: u32) {
        let weights = chains.weights();
        chains.join(
            pair,
            product,
            |pair, row, change| self.tell(pair, weights[row as usize], change),
            |_, _| {},
        );
    }

    /// Hands the sums to the queue. Their order has no effect on what comes out of it.
    pub(super) fn settle(&mut self, queue: &mut Queue, symbols: &Symbols) {
        for (pair, change) in self.0.drain().filter(|&(_, change)| change != 0) {
            queue.add(pair, change, symbols);
        }
    }
}
