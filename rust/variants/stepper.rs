//! Training one step at a time, where something else than the count chooses among the best pairs.

use super::chains::{Chains, Pair};
use super::extend::Changes;
use super::queue::{Queue, Ties};
use super::symbols::Symbols;
use crate::error::Result;
use crate::token::TokenId;
use crate::train::Pieces;

/// A training over bytes that waits to be told what to join.
#[derive(Debug)]
pub struct Stepper {
    chains: Chains,
    symbols: Symbols,
    queue: Queue,
    changes: Changes,
}

impl Stepper {
    /// Lays out pieces.
    ///
    /// # Errors
    /// As [`Chains::of_bytes`].
    pub fn new(pieces: Pieces<'_>) -> Result<Stepper> {
        let chains = Chains::of_bytes(pieces, TokenId::from)?;
        let (symbols, mut queue) = (Symbols::bytes(), Queue::new(Ties::SmallestIds));
        let mut changes = Changes::default();
        changes.tell_all(&chains);
        changes.settle(&mut queue, &symbols);
        Ok(Stepper { chains, symbols, queue, changes })
    }

    /// The most frequent pairs in order, at most `most`, none that occurs less than `min_count` times.
    pub fn candidates(&mut self, most: usize, min_count: u64) -> Vec<(Pair, u64)> {
        self.queue.firsts(most, min_count, &self.symbols)
    }

    /// Joins a pair wherever it stands; none where the token would pass a limit, and then the pair
    /// comes up no more.
    pub fn join(&mut self, pair: Pair) -> Option<TokenId> {
        let size = self.symbols.size();
        if pair.0.max(pair.1) as usize >= size {
            return None;
        }
        let Some(product) = self.symbols.join(pair.0, pair.1) else {
            self.queue.ban(pair);
            return None;
        };
        self.changes.join(&mut self.chains, pair, product.id());
        self.changes.settle(&mut self.queue, &self.symbols);
        Some(product.id())
    }

    /// The bytes of a token.
    pub fn token(&self, id: TokenId) -> Option<&[u8]> {
        ((id as usize) < self.symbols.size()).then(|| self.symbols.get(id))
    }

    /// How many tokens there are.
    pub fn size(&self) -> usize {
        self.symbols.size()
    }
}
