//! Tokens that come and go: how often each stands in the text, where, and what happened so far.

use super::chains::{Chains, Pair};
use super::extend::Changes;
use super::symbols::Symbols;
use crate::events::Event;
use crate::merges::Merge;
use crate::token::TokenId;

/// What is known of each token, by id.
#[derive(Debug)]
pub(super) struct Tracked {
    /// What happened, in order.
    pub(super) events: Vec<Event>,
    pub(super) changes: Changes,
    /// Whether it is there.
    pub(super) present: Vec<bool>,
    /// How many are there.
    pub(super) alive: usize,
    /// How often it stands in the text.
    pub(super) counts: Vec<u64>,
    /// Where it was made, some entries out of date.
    places: Vec<Vec<u32>>,
}

impl Tracked {
    /// The tokens of a text, all of them there; their pairs are noted as changes.
    pub(super) fn new(chains: &Chains, symbols: &Symbols) -> Tracked {
        let size = symbols.size();
        let mut counts = vec![0; size];
        chains.tokens().for_each(|(id, row)| counts[id as usize] += chains.weight(row));
        let mut changes = Changes::default();
        changes.tell_all(chains);
        Tracked {
            events: Vec::new(),
            changes,
            present: vec![true; size],
            alive: size,
            counts,
            places: vec![Vec::new(); size],
        }
    }

    /// A token is there now, perhaps again.
    pub(super) fn appear(&mut self, token: TokenId) {
        let size = self.present.len().max(token as usize + 1);
        self.present.resize(size, false);
        self.counts.resize(size, 0);
        self.places.resize(size, Vec::new());
        self.alive += usize::from(!self.present[token as usize]);
        self.present[token as usize] = true;
    }

    /// Joins a pair, and says how often; calls `made` with the row of each product.
    pub(super) fn join(
        &mut self,
        chains: &mut Chains,
        pair: Pair,
        product: TokenId,
        mut made: impl FnMut(u32),
    ) -> u64 {
        self.appear(product);
        let weights = chains.weights();
        let (changes, places) = (&mut self.changes, &mut self.places[product as usize]);
        let mut times = 0;
        chains.join(
            pair,
            product,
            |pair, row, change| changes.tell(pair, weights[row as usize], change),
            |place, row| {
                places.push(place);
                times += weights[row as usize];
                made(row);
            },
        );
        self.counts[pair.0 as usize] -= times;
        self.counts[pair.1 as usize] -= times;
        self.counts[product as usize] += times;
        self.events.push(Event::Join(Merge { left: pair.0, right: pair.1, product }));
        times
    }

    /// Splits a token wherever it stands, and it is gone; calls `made` with the row of each part, in
    /// order.
    pub(super) fn split(
        &mut self,
        chains: &mut Chains,
        token: TokenId,
        parts: Vec<(TokenId, u32)>,
        mut made: impl FnMut(u32),
    ) {
        self.present[token as usize] = false;
        self.alive -= 1;
        let places = std::mem::take(&mut self.places[token as usize]);
        let weights = chains.weights();
        let (changes, all) = (&mut self.changes, &mut self.places);
        chains.split(
            token,
            &parts,
            &places,
            |pair, row, change| changes.tell(pair, weights[row as usize], change),
            |part, place, row| {
                all[part as usize].push(place);
                made(row);
            },
        );
        let uses = self.counts[token as usize];
        self.counts[token as usize] = 0;
        parts.iter().for_each(|&(part, _)| self.counts[part as usize] += uses);
        self.events.push(Event::Split { token, parts });
    }
}
