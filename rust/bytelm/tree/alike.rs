//! Sequences of tokens that a model cannot tell apart from some place of the text on.
//!
//! A model that looks back `reach` ids has the same rows, ever after, for sequences that end at the
//! same place with the same last `reach` ids. So they are one node, whose weight is their sum: what
//! was a tree is a lattice, and its sum is that of the forward algorithm. A node more is made only
//! for another end, of which a place has as many as `reach` tokens can be laid before it, however
//! long the text: the cost is linear in it. A sequence of fewer ids is told by being shorter, since
//! a model may treat the start of a text in its own way.
//!
//! Only a node without a row takes others in: one with a row has handed its weight on. Nodes are
//! asked for place by place, so that without pruning none comes late; what pruning lets come late
//! is a node of its own, which changes no sum.

use super::node::Node;
use crate::bytelm::context::Context;
use crate::bytelm::masses::log_sum;
use crate::map::Map;
use crate::token::TokenId;

/// Where a sequence ends, and its last ids.
pub(super) type End = (u64, Vec<TokenId>);

/// The nodes that take in others, by how they end.
#[derive(Debug)]
pub(super) struct Alike {
    /// How many of the last ids decide; nothing is alike where all may.
    reach: Option<usize>,
    nodes: Map<End, usize>,
}

impl Alike {
    /// None yet.
    pub fn new(reach: Option<usize>) -> Alike {
        Alike { reach, nodes: Map::default() }
    }

    /// Those behind a place of the text.
    pub fn behind(place: usize, reach: Option<usize>, nodes: &[Node]) -> Alike {
        let mut alike = Alike::new(reach);
        let Some(reach) = reach else { return alike };
        for (at, node) in nodes.iter().enumerate() {
            if node.at > place && node.row.is_none() {
                alike.nodes.insert((node.at as u64, node.context.last(reach)), at);
            }
        }
        alike
    }

    /// How a sequence ends at a place, with another token behind it.
    pub fn end(&self, context: &Context, id: TokenId, place: usize) -> Option<End> {
        let reach = self.reach?;
        let mut ids = context.last(reach.saturating_sub(1));
        ids.extend((reach > 0).then_some(id));
        Some((place as u64, ids))
    }

    /// The node that ends so.
    pub fn node(&self, end: Option<&End>) -> Option<usize> {
        self.nodes.get(end?).copied()
    }

    /// Notes the node that ends so.
    pub fn note(&mut self, end: Option<End>, node: usize) {
        if let Some(end) = end {
            self.nodes.insert(end, node);
        }
    }
}

impl Node {
    /// Takes in other sequences, of a weight of which the likeliest, `context`, is a share.
    pub fn take_in(&mut self, context: Context, weight: f64, likeliest: f64) {
        let own = self.weight.unwrap_or(f64::NEG_INFINITY);
        let (mine, theirs) = (own + self.likeliest, weight + likeliest);
        let both = log_sum([own, weight].into_iter());
        if theirs > mine {
            self.context = context;
        }
        (self.weight, self.likeliest) = (Some(both), mine.max(theirs) - both);
    }
}
