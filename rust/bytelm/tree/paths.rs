//! The sequences of tokens that cover a text, one by one: which, how likely, what they still owe.
//!
//! A node of the tree stands for many sequences, one for each token that fits the end of the text.
//! Listing them takes one look at each such token; after one byte these are all that begin with it.
//! Sequences that are one node, since the model cannot tell them apart, are one here: named is the
//! likeliest of them, and the share is that of all.

use std::collections::BinaryHeap;

use super::Tree;
use crate::Result;
use crate::bytelm::sorted::Place;
use crate::token::TokenId;

/// A sequence of tokens that covers a text, with those that the model cannot tell from it.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenPath {
    /// The last tokens, in order.
    pub ids: Vec<TokenId>,
    /// The bytes of the last token behind the end of the text.
    pub owed: Vec<u8>,
    /// Its share of the probability that a text begins so.
    pub share: f64,
}

/// A node and one of its tokens, ordered by how likely they are; of equals the first is the larger.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    logprob: f64,
    node: usize,
    place: Place,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> std::cmp::Ordering {
        let places = (other.node, other.place).cmp(&(self.node, self.place));
        self.logprob.total_cmp(&other.logprob).then(places)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Candidate) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

impl Tree {
    /// The likeliest sequences that cover the text, the likeliest first, each with no more than
    /// its `last` tokens. Nothing covers a text that cannot be.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] while rows are pending.
    pub fn paths(&mut self, count: usize, last: usize) -> Result<Vec<TokenPath>> {
        self.logprob()?;
        let logprob = self.logprob.0;
        if count == 0 || logprob == f64::NEG_INFINITY {
            return Ok(Vec::new());
        }
        if self.is_empty() {
            return Ok(vec![TokenPath { ids: Vec::new(), owed: Vec::new(), share: 1.0 }]);
        }
        let chosen = self.likeliest(count);
        Ok(chosen.into_iter().map(|path| self.described(path, last, logprob)).collect())
    }

    /// The likeliest of all pairs of a node and a token that fits.
    fn likeliest(&self, count: usize) -> Vec<Candidate> {
        let mut kept: BinaryHeap<std::cmp::Reverse<Candidate>> = BinaryHeap::new();
        for &node in &self.live {
            let seen = &self.nodes[node];
            let (Some(row), Some(weight)) = (&seen.row, seen.weight) else { continue };
            if seen.at == self.len {
                continue; // The token that ends here is one of another node's.
            }
            for place in seen.last().clone() {
                let logprob = weight + seen.logprob_of(&self.vocab, row, place);
                let least = kept.peek().filter(|_| kept.len() >= count);
                if logprob == f64::NEG_INFINITY || least.is_some_and(|l| logprob < l.0.logprob) {
                    continue;
                }
                kept.push(std::cmp::Reverse(Candidate { logprob, node, place }));
                if kept.len() > count {
                    kept.pop();
                }
            }
        }
        kept.into_sorted_vec().into_iter().map(|candidate| candidate.0).collect()
    }

    fn described(&self, path: Candidate, last: usize, logprob: f64) -> TokenPath {
        let (node, sorted) = (&self.nodes[path.node], &self.vocab.sorted);
        let mut ids = node.context.last(last.saturating_sub(1));
        ids.push(sorted.id(path.place));
        ids.drain(..ids.len().saturating_sub(last));
        let owed = sorted.bytes(path.place)[self.len - node.at..].to_vec();
        TokenPath { ids, owed, share: (path.logprob - logprob).exp() }
    }
}
