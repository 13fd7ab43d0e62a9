//! Which rows are needed: all that count, or, with pruning, as few as the bound allows.
//!
//! A node without a row adds at most its weight to any probability while its tokens, or those of
//! sequences behind it, fit the text. Rows are asked for, the heaviest first, until what is left is a
//! small enough share at every place that is to be known.

use super::{Goal, Tree};
use crate::bytelm::Semantics;
use crate::bytelm::masses::log_sum;

impl Tree {
    /// The nodes whose rows are needed.
    ///
    /// Feeding these may show that others are needed; when there are none, all is known.
    pub fn pending(&self, goal: Goal) -> Vec<usize> {
        let mut needed = self.needed(goal);
        if self.reach.is_some() {
            // All that a node takes in comes before it has a row.
            let first = needed.iter().map(|&at| self.nodes[at].at).min();
            needed.retain(|&at| Some(self.nodes[at].at) == first);
        }
        needed
    }

    fn needed(&self, goal: Goal) -> Vec<usize> {
        let ancestors = self.unweighed_ancestors();
        if self.epsilon > 0.0 {
            let ancestors = (0..self.nodes.len()).filter(|&at| ancestors[at]);
            let ancestors: Vec<usize> =
                ancestors.filter(|&at| self.nodes[at].row.is_none()).collect();
            return if ancestors.is_empty() { self.too_heavy(goal) } else { ancestors };
        }
        let every = goal == Goal::Every || self.vocab.semantics == Semantics::All;
        let counts = |at: &usize| {
            let node = &self.nodes[*at];
            let wanted = node.row.is_none() && node.weight != Some(f64::NEG_INFINITY);
            let ends = node.lives() && (node.at < self.len || goal == Goal::Next);
            let settles = every && node.fits_until().is_some_and(|reach| reach > self.settled);
            wanted && (ends || settles || ancestors[*at])
        };
        (0..self.nodes.len()).filter(counts).collect()
    }

    /// The nodes without a weight on the way to those that cover the end of the text.
    fn unweighed_ancestors(&self) -> Vec<bool> {
        let mut found = vec![false; self.nodes.len()];
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            if let Some(parent) = node.parent
                && (node.lives() || found[at])
            {
                found[parent] = true;
            }
        }
        found
    }

    /// How much of what is not known reaches each place from the settled one on, by node: its
    /// weight and up to where; the end of the text counts as one place more.
    pub(super) fn waiting(&self, goal: Goal) -> Vec<(usize, f64, usize)> {
        let beyond = self.len + 1;
        let mut reaches = vec![0; self.nodes.len()];
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            if node.row.is_some() {
                continue;
            }
            let own = match node.fits_until() {
                // Sequences that are not followed yet may go on anywhere.
                _ if self.vocab.semantics == Semantics::All => beyond,
                _ if node.lives() => beyond,
                reach => reach.unwrap_or(0),
            };
            reaches[at] = own.max(reaches[at]);
            if let Some(parent) = node.parent {
                reaches[parent] = reaches[parent].max(reaches[at]);
            }
        }
        let last = if goal == Goal::Next { beyond } else { self.len };
        let waits = |at: &usize| {
            let node = &self.nodes[*at];
            node.row.is_none() && node.weight.is_some_and(|weight| weight > f64::NEG_INFINITY)
        };
        let nodes = (0..self.nodes.len()).filter(waits);
        nodes
            .map(|at| (at, self.nodes[at].weight.unwrap_or(0.0), reaches[at].min(last)))
            .filter(|&(at, _, reach)| reach > self.nodes[at].at && reach > self.settled)
            .collect()
    }

    /// The heaviest nodes without a row, until what is left changes nothing by more than epsilon,
    /// if their rows say that they fit the text: else there are others to ask for when they are
    /// there. Where all sequences count, next to nothing of a node that waits fits a text that went
    /// on, and to hope so would be to ask for one after the other.
    fn too_heavy(&self, goal: Goal) -> Vec<usize> {
        let hopes = if self.vocab.semantics == Semantics::All { 0.0 } else { 1.0 };
        let mut waiting = self.waiting(goal);
        waiting.sort_by(|a, b| b.1.total_cmp(&a.1));
        let first = if goal == Goal::Every { self.settled + 1 } else { self.len };
        let places = first..=self.len + usize::from(goal == Goal::Next);
        let mut chosen = vec![false; waiting.len()];
        for place in places {
            let known = if place > self.len { self.following() } else { self.known(place) };
            let here =
                |&(at, _, reach): &(usize, f64, usize)| self.nodes[at].at < place && reach >= place;
            // Linear numbers relative to what is known, or to the heaviest.
            let scale = waiting.iter().find(|node| here(node)).map_or(known, |n| n.1.max(known));
            let sum = |known: f64| (known - scale).exp();
            let (mut left, mut asked) = (0.0, sum(known));
            for (node, chosen) in waiting.iter().zip(&chosen).filter(|(node, _)| here(node)) {
                match *chosen {
                    true => asked += hopes * sum(node.1),
                    false => left += sum(node.1),
                }
            }
            for (node, chosen) in waiting.iter().zip(&mut chosen) {
                if left <= self.epsilon * (left + asked) {
                    break;
                }
                if here(node) && !*chosen {
                    *chosen = true;
                    left = (left - sum(node.1)).max(0.0);
                    asked += hopes * sum(node.1);
                }
            }
        }
        waiting.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(node, _)| node.0).collect()
    }

    /// The logarithm of what is known of the probability of the text up to a place.
    pub(super) fn known(&self, place: usize) -> f64 {
        match place {
            0 => 0.0,
            _ => log_sum(self.nodes.iter().filter_map(|node| node.share(place))),
        }
    }

    /// The logarithm of what is known of the probability that the text goes on, or ends.
    pub(super) fn following(&self) -> f64 {
        let sorted = &self.vocab.sorted;
        let terms = self.nodes.iter().filter(|node| node.lives()).filter_map(|node| {
            let (row, weight) = (node.row.as_ref()?, node.weight?);
            let mass = match row.first().filter(|_| node.at == self.len) {
                Some(first) => log_sum([first.log_sum(), row.end()].into_iter()),
                None => {
                    let exact = sorted.trie().exact(node.fits);
                    let mask =
                        node.mask.as_deref().filter(|_| self.vocab.semantics != Semantics::Fast);
                    let mass = row.mass(sorted, &(exact.end..node.last().end), mask);
                    let end = if node.at == self.len { row.end() } else { f64::NEG_INFINITY };
                    log_sum([mass, end].into_iter())
                }
            };
            Some(weight + mass)
        });
        let terms: Vec<f64> = terms.collect();
        log_sum(terms.into_iter())
    }
}
