//! Picky BPE: tokens that merges have used up are taken out again.
//!
//! After a pair `a b` was joined `f` times, each of `a` and `b` that is no single byte is looked at:
//! if `f / (n + f)` is above `tau`, where `n` is how often it still stands alone, hardly anything is
//! left of it. Then it is split, where it stands, into the tokens it was made of, as far as these
//! are still there. A later merge may bring it back (Chizhov et al. 2024, arXiv 2409.04599).
//!
//! The result is what happened, in order: that is how text is encoded ([`crate::events`]).

use super::chains::{Chains, Pair};
use super::queue::Queue;
use super::symbols::Symbols;
use super::tracked::Tracked;
use crate::error::{Error, Poll, Result};
use crate::events::Event;
use crate::token::{MAX_MERGES, TokenId};

/// When to take out and when to stop.
#[derive(Debug, Clone, Copy)]
pub struct Picky {
    /// Tokens that the vocabulary has in the end, the bytes among them.
    pub vocab_size: usize,
    /// The share of a token's uses that one merge must take for it to go.
    pub tau: f64,
    /// A pair that occurs less often is not joined.
    pub min_count: u64,
}

/// What happened, and which of the tokens are there in the end.
#[derive(Debug, Default)]
pub struct History {
    pub events: Vec<Event>,
    pub present: Vec<bool>,
}

/// Trains on `chains` of bytes; `symbols` are the 256 bytes, in the order of their ids.
///
/// # Errors
/// Those of `poll`; more events than an encoder holds.
pub fn train_picky(
    chains: &mut Chains,
    symbols: &mut Symbols,
    mut queue: Queue,
    picky: Picky,
    poll: Poll<'_>,
) -> Result<History> {
    let parts = (0..symbols.size() as TokenId).map(|id| (id, id)).collect();
    let mut state = State { tracked: Tracked::new(chains, symbols), parts };
    state.tracked.changes.settle(&mut queue, symbols);
    while state.tracked.alive < picky.vocab_size {
        poll()?;
        if state.tracked.events.len() >= MAX_MERGES {
            return Err(Error::Argument(format!("more than {MAX_MERGES} merges and removals")));
        }
        let best = queue.best(symbols).filter(|best| best.1 >= picky.min_count);
        let Some((pair, _)) = best else { break };
        let Some(product) = symbols.join(pair.0, pair.1) else {
            queue.ban(pair);
            continue;
        };
        let times = state.join(chains, pair, product.id());
        for part in if pair.0 == pair.1 { vec![pair.0] } else { vec![pair.0, pair.1] } {
            let rest = state.tracked.counts[part as usize];
            let share = times as f64 / (rest + times) as f64;
            let there = state.tracked.present[part as usize];
            if part > u32::from(u8::MAX) && there && share > picky.tau {
                state.take_out(part, chains, symbols);
            }
        }
        state.tracked.changes.settle(&mut queue, symbols);
    }
    let Tracked { events, present, .. } = state.tracked;
    Ok(History { events, present })
}

/// The tokens, and what each was made of when it was made last.
struct State {
    tracked: Tracked,
    parts: Vec<Pair>,
}

impl State {
    /// Joins a pair, and says how often.
    fn join(&mut self, chains: &mut Chains, pair: Pair, product: TokenId) -> u64 {
        match self.parts.get_mut(product as usize) {
            Some(parts) => *parts = pair,
            None => self.parts.push(pair),
        }
        self.tracked.join(chains, pair, product, |_| ())
    }

    /// Splits a token wherever it stands.
    fn take_out(&mut self, token: TokenId, chains: &mut Chains, symbols: &Symbols) {
        let length = |&id: &TokenId| (id, symbols.get(id).len() as u32);
        let parts = self.constituents(token).iter().map(length).collect();
        self.tracked.split(chains, token, parts, |_| ());
    }

    /// The tokens that a token which goes is made of and that are there, in order.
    fn constituents(&self, token: TokenId) -> Vec<TokenId> {
        let mut found = Vec::new();
        let (left, right) = self.parts[token as usize];
        let mut left_to_do = vec![right, left];
        while let Some(id) = left_to_do.pop() {
            if self.tracked.present[id as usize] {
                found.push(id);
            } else {
                let (left, right) = self.parts[id as usize];
                left_to_do.extend([right, left]);
            }
        }
        found
    }
}
