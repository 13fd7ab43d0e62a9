//! The contexts that cover the end of a text, and the probabilities that follow from them.
//!
//! A node is a sequence of tokens that ends at some place of the text, with the run of tokens that
//! fit the bytes after that place. A byte narrows every run; a token that ends at the byte begins a
//! new node. A node whose run is empty is gone: nodes are at most as old as the longest token.
//! Where all sequences count, those that the model cannot tell apart are one node ([`alike`]).
//!
//! With pruning, a row is not asked for while what its node could add stays below a share of what
//! is known. A node that waits is not lost: as the text goes on it dies, or it becomes large enough
//! to be asked for. So the bound on the error holds at every step and does not add up.

mod alike;
mod feed;
mod given;
mod node;
mod outcomes;
mod paths;
mod pending;

use std::ops::Range;
use std::sync::Arc;
use std::sync::TryLockError::WouldBlock;

use crate::bytelm::context::Context;
use crate::bytelm::sorted::Place;
use crate::bytelm::{ByteVocab, Semantics};
use crate::error::Poll;
use crate::{Error, Result};
use alike::Alike;
use node::{Node, Stand};

pub use outcomes::Distribution;
pub use paths::TokenPath;

/// More nodes than this at a time are not followed.
const MOST_NODES: usize = 1 << 22;

/// What is to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The probability of the text.
    End,
    /// That, and those of what may follow.
    Next,
    /// The probabilities of the text up to every place since the last that was settled.
    Every,
}

/// The cover of a text; a clone is another text that begins alike.
#[derive(Debug, Clone)]
pub struct Tree {
    vocab: Arc<ByteVocab>,
    epsilon: f64,
    /// How many of the last ids decide, where all sequences count and the model says so.
    reach: Option<usize>,
    nodes: Vec<Node>,
    /// The nodes whose tokens fit the end of the text, in ascending order.
    live: Vec<usize>,
    /// Bytes of the text, with those that stand before it.
    len: usize,
    /// Bytes that the tokenizer puts before the text.
    lead: usize,
    /// The logarithm of the probability of what stands before every text, or of what is given.
    base: f64,
    /// Whether some text is.
    given: bool,
    /// Up to where probabilities are known.
    settled: usize,
    /// The logarithm of the probability of the first bytes, and how many they are.
    logprob: (f64, usize),
    /// The text from the oldest node that has no row on.
    tail: Vec<u8>,
}

impl Tree {
    /// The cover of no bytes. What could change the next byte's probabilities by less than the
    /// share `epsilon` is not asked for. Of a context no more than the last `reach` ids decide. A
    /// text that goes on with another is given nothing that the tokenizer puts before texts, but the
    /// bytes of a character that the other ends with.
    ///
    /// # Errors
    /// [`Error::Argument`] when `epsilon` is not in `0.0..1.0`.
    pub fn new(
        vocab: Arc<ByteVocab>,
        epsilon: f64,
        reach: Option<usize>,
        goes_on: Option<&[u8]>,
    ) -> Result<Tree> {
        if !(0.0..1.0).contains(&epsilon) {
            return Err(Error::Argument(format!(
                "epsilon={epsilon} is not in 0.0 <= epsilon < 1.0"
            )));
        }
        let start = match (vocab.viability(), goes_on) {
            (Some(mut viability), None) => Some(viability.start()),
            (Some(mut viability), Some(character)) => Some(viability.start_behind(character)?),
            (None, _) => None,
        };
        let stand = start.map_or(Stand::Anywhere, Stand::At);
        let root = Node::new(&vocab, Context::default(), 0, stand);
        let nodes = vec![Node { weight: Some(0.0), ..root }];
        let (live, tail) = (vec![0], Vec::new());
        let put = vocab.lead.filter(|_| goes_on.is_none());
        // Elsewhere hardly two sequences end at one place.
        let reach = reach.filter(|_| vocab.semantics == Semantics::All);
        let (logprob, base) = ((0.0, 0), 0.0);
        let (len, lead, settled, given) = (0, usize::from(put.is_some()), 0, false);
        let mut tree = Tree {
            vocab,
            epsilon,
            reach,
            nodes,
            live,
            len,
            lead,
            base,
            given,
            settled,
            logprob,
            tail,
        };
        if let Some(byte) = put {
            tree.read(byte)?;
        }
        Ok(tree)
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.len - self.lead
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether another tree of the vocabulary is being read, for which this one would wait.
    pub fn would_wait(&self) -> bool {
        let viability = self.vocab.viability.as_ref();
        viability.is_some_and(|viability| matches!(viability.try_lock(), Err(WouldBlock)))
    }

    /// Goes on by more bytes: by all of them or, where there is an error, by none.
    ///
    /// # Errors
    /// [`Error::Argument`] when too many sequences cover the text; what `poll` says.
    pub fn advance(&mut self, bytes: &[u8], poll: Poll<'_>) -> Result<()> {
        let before = (bytes.len() > 1).then(|| self.clone());
        let read = bytes.iter().try_for_each(|&byte| {
            poll()?;
            self.read(byte)
        });
        if let (Err(_), Some(before)) = (&read, before) {
            *self = before;
        }
        read
    }

    /// Goes on by a byte. All that can fail comes before anything changes.
    fn read(&mut self, byte: u8) -> Result<()> {
        self.refuse_more(0)?;
        let vocab = Arc::clone(&self.vocab);
        // No longer than for a byte: others may wait for it.
        if let Some(mut viability) = vocab.viability() {
            for &at in &self.live {
                self.nodes[at].look(&vocab, &mut viability)?;
            }
        }
        self.len += 1;
        self.tail.push(byte);
        let before = self.nodes.len();
        let mut alike = Alike::new(self.reach);
        for at in std::mem::take(&mut self.live) {
            self.nodes[at].narrow(&vocab, byte);
            if !self.nodes[at].lives() {
                continue;
            }
            self.live.push(at);
            // Where all sequences count there are too many to follow those without a row.
            if vocab.semantics != Semantics::All || self.nodes[at].row.is_some() {
                self.branch(at, self.nodes[at].depth(), &mut alike);
            }
        }
        self.live.extend(before..self.nodes.len());
        Ok(())
    }

    /// Refuses more nodes, where there are too many with so many more.
    fn refuse_more(&self, more: usize) -> Result<()> {
        if self.nodes.len() + more < MOST_NODES {
            return Ok(());
        }
        Err(Error::Argument(format!(
            "more than {MOST_NODES} sequences of tokens cover the text at byte {}: pass epsilon, or \
             other semantics than 'all'",
            self.len()
        )))
    }

    /// Forgets what only the probabilities of shorter texts would need.
    pub fn skip(&mut self) {
        self.settled = self.len;
        self.forget();
    }

    /// The tokens of a node that end so many bytes behind it.
    fn exact(&self, at: usize, depth: usize) -> Range<Place> {
        let (node, sorted) = (&self.nodes[at], &self.vocab.sorted);
        match depth == node.depth() {
            true => sorted.trie().exact(node.fits),
            false => sorted.exact(&node.ranges[depth - node.from], depth),
        }
    }

    /// Begins nodes behind those tokens of a node that end so many bytes behind it.
    fn branch(&mut self, at: usize, depth: usize, alike: &mut Alike) {
        let vocab = Arc::clone(&self.vocab);
        for token in self.exact(at, depth) {
            let node = &self.nodes[at];
            if !node.may_follow(&vocab, token) {
                continue;
            }
            let weight = match (&node.row, node.weight) {
                (Some(row), Some(weight)) => Some(weight + row.token(&vocab.sorted, token)),
                _ => None,
            };
            if weight == Some(f64::NEG_INFINITY) {
                continue;
            }
            let (id, place) = (vocab.sorted.id(token), node.at + depth);
            let (end, likeliest) = (alike.end(&node.context, id, place), node.likeliest);
            if let (Some(twin), Some(weight)) = (alike.node(end.as_ref()), weight) {
                let context = node.context.with(id);
                self.nodes[twin].take_in(context, weight, likeliest);
                continue;
            }
            alike.note(end, self.nodes.len());
            let mut child = Node::new(&vocab, node.context.with(id), place, node.stand.behind());
            child.parent = weight.is_none().then_some(at);
            (child.token, child.weight, child.likeliest) = (token, weight, likeliest);
            for &byte in &self.tail[self.tail.len() - (self.len - place)..] {
                child.narrow(&vocab, byte);
            }
            self.nodes.push(child);
        }
    }

    /// Appends the last tokens of a node, no more than `count`, as the door has them.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such node.
    pub fn write_context(&self, node: usize, count: usize, out: &mut Vec<i32>) -> Result<()> {
        let no_node = || Error::Argument(format!("no node {node} of {}", self.nodes.len()));
        self.nodes.get(node).ok_or_else(no_node)?.context.write(count, out);
        Ok(())
    }

    /// The logarithms of the probabilities of the text up to each place that was not settled, each
    /// too small by no larger a share than pruning may leave out. What is known stays so.
    ///
    /// # Errors
    /// [`Error::Argument`] while rows are pending.
    pub fn settle(&mut self) -> Result<Vec<f64>> {
        self.refuse_pending(Goal::Every)?;
        let first = self.settled.max(self.lead) + 1;
        let settled: Vec<f64> = (first..=self.len).map(|place| self.known(place)).collect();
        if let Some(&logprob) = settled.last() {
            self.logprob = (logprob, self.len);
        }
        self.skip();
        Ok(settled.into_iter().map(|known| self.based(known)).collect())
    }

    /// Drops the rows of sequences that end where the text does: those who ask again what follows
    /// give them again. Of other rows what may still follow is kept.
    pub fn release(&mut self) {
        for node in &mut self.nodes {
            match node.at == self.len {
                true => node.release(),
                false => node.hold_least(&self.vocab),
            }
        }
    }

    /// Drops what is behind.
    fn forget(&mut self) {
        let mut kept = vec![false; self.nodes.len()];
        let is_all = self.vocab.semantics == Semantics::All;
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            let waits = is_all && node.row.is_none() && node.weight != Some(f64::NEG_INFINITY);
            kept[at] |= node.lives() || waits;
            if let Some(parent) = node.parent.filter(|_| kept[at]) {
                kept[parent] = true;
            }
        }
        let mut moved = Vec::with_capacity(kept.len());
        let mut count = 0;
        for &kept in &kept {
            moved.push(count);
            count += usize::from(kept);
        }
        let mut kept = kept.into_iter();
        self.nodes.retain_mut(|node| {
            node.parent = node.parent.map(|parent| moved[parent]);
            if node.row.is_some() {
                node.forget(&self.vocab);
            }
            kept.next().unwrap_or(true)
        });
        // Only where nodes begin behind others once these have a row is the text read again.
        let waiting = self.nodes.iter().filter(|node| is_all && node.row.is_none());
        let oldest = waiting.map(|node| node.at).min().unwrap_or(self.len);
        self.tail.drain(..self.tail.len() - (self.len - oldest));
        self.live = (0..self.nodes.len()).filter(|&at| self.nodes[at].lives()).collect();
    }

    /// The logarithm of the probability that a text begins with this one.
    ///
    /// # Errors
    /// [`Error::Argument`] while rows are pending.
    pub fn logprob(&mut self) -> Result<f64> {
        self.refuse_pending(Goal::End)?;
        let known = self.conclude();
        Ok(self.based(known))
    }

    /// The logarithm of a probability given what stands before every text.
    fn based(&self, known: f64) -> f64 {
        if known == f64::NEG_INFINITY { known } else { known - self.base }
    }

    /// The same, once its rows are there.
    fn conclude(&mut self) -> f64 {
        if self.logprob.1 != self.len {
            self.logprob = (self.known(self.len), self.len);
        }
        self.skip();
        self.logprob.0
    }

    fn refuse_pending(&self, goal: Goal) -> Result<()> {
        match self.pending(goal).len() {
            0 => Ok(()),
            count => Err(Error::Argument(format!("{count} contexts wait for rows"))),
        }
    }
}

/// The share of the first in both together, of logarithms.
fn share_of(part: f64, rest: f64) -> f64 {
    if part == f64::NEG_INFINITY { 0.0 } else { 1.0 / (1.0 + (rest - part).exp()) }
}
