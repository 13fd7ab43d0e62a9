//! Picky BPE: tokens that merges have used up are taken out again.
//!
//! After a pair `a b` was joined `f` times, each of `a` and `b` that is no single byte is looked at:
//! if `f / (n + f)` is above `tau`, where `n` is how often it still stands alone, hardly anything is
//! left of it. Then it is split, where it stands, into the tokens it was made of, as far as these
//! are still there. A later merge may bring it back (Chizhov et al. 2024, arXiv 2409.04599).
//!
//! The result is what happened, in order: that is how text is encoded ([`crate::events`]).

use super::chains::{Chains, Pair};
use super::extend::Changes;
use super::queue::Queue;
use super::symbols::Symbols;
use crate::error::{Error, Poll, Result};
use crate::events::Event;
use crate::merges::Merge;
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
    let mut state = State::new(chains, symbols);
    state.changes.tell_all(chains);
    state.changes.settle(&mut queue, symbols);
    while state.alive < picky.vocab_size {
        poll()?;
        if state.events.len() >= MAX_MERGES {
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
            let rest = state.counts[part as usize];
            let share = times as f64 / (rest + times) as f64;
            if part > u32::from(u8::MAX) && state.present[part as usize] && share > picky.tau {
                state.take_out(part, chains, symbols);
            }
        }
        state.changes.settle(&mut queue, symbols);
    }
    Ok(History { events: state.events, present: state.present })
}

/// What is known of each token, by id.
struct State {
    events: Vec<Event>,
    changes: Changes,
    present: Vec<bool>,
    alive: usize,
    counts: Vec<u64>,
    /// Where it was made, some entries out of date.
    places: Vec<Vec<u32>>,
    /// What it was made of when it was made last.
    parts: Vec<Pair>,
}

impl State {
    fn new(chains: &Chains, symbols: &Symbols) -> State {
        let size = symbols.size();
        let mut counts = vec![0; size];
        chains.tokens().for_each(|(id, row)| counts[id as usize] += chains.weight(row));
        State {
            events: Vec::new(),
            changes: Changes::default(),
            present: vec![true; size],
            alive: size,
            counts,
            places: vec![Vec::new(); size],
            parts: (0..size as TokenId).map(|id| (id, id)).collect(),
        }
    }

    /// Joins a pair, and says how often.
    fn join(&mut self, chains: &mut Chains, pair: Pair, product: TokenId) -> u64 {
        let at = product as usize;
        if at == self.present.len() {
            self.present.push(false);
            self.counts.push(0);
            self.places.push(Vec::new());
            self.parts.push(pair);
        }
        self.alive += usize::from(!self.present[at]);
        self.present[at] = true;
        self.parts[at] = pair;
        let weights = chains.weights();
        let (changes, places) = (&mut self.changes, &mut self.places[at]);
        let mut times = 0;
        chains.join(
            pair,
            product,
            |pair, row, change| changes.tell(pair, weights[row as usize], change),
            |place, row| {
                places.push(place);
                times += weights[row as usize];
            },
        );
        self.counts[pair.0 as usize] -= times;
        self.counts[pair.1 as usize] -= times;
        self.counts[at] += times;
        self.events.push(Event::Join(Merge { left: pair.0, right: pair.1, product }));
        times
    }

    /// Splits a token wherever it stands.
    fn take_out(&mut self, token: TokenId, chains: &mut Chains, symbols: &Symbols) {
        self.present[token as usize] = false;
        self.alive -= 1;
        let length = |&id: &TokenId| (id, symbols.get(id).len() as u32);
        let parts: Vec<_> = self.constituents(token).iter().map(length).collect();
        let places = std::mem::take(&mut self.places[token as usize]);
        let weights = chains.weights();
        let (changes, all) = (&mut self.changes, &mut self.places);
        chains.split(
            token,
            &parts,
            &places,
            |pair, row, change| changes.tell(pair, weights[row as usize], change),
            |part, place| all[part as usize].push(place),
        );
        let uses = self.counts[token as usize];
        self.counts[token as usize] = 0;
        parts.iter().for_each(|&(part, _)| self.counts[part as usize] += uses);
        self.events.push(Event::Split { token, parts });
    }

    /// The tokens that a token is made of and that are there, in order.
    fn constituents(&self, token: TokenId) -> Vec<TokenId> {
        let mut found = Vec::new();
        let (left, right) = self.parts[token as usize];
        let mut left_to_do = vec![right, left];
        while let Some(id) = left_to_do.pop() {
            if self.present[id as usize] {
                found.push(id);
            } else {
                let (left, right) = self.parts[id as usize];
                left_to_do.extend([right, left]);
            }
        }
        found
    }
}
