//! How a lexicon is learned: it reads text and keeps what serves.
//!
//! A step reads one sentence. Where the longest and the second longest match are compared, the first
//! chunk of the way that wins moves up in rank by `1 + rank * delta`, that of the other moves down as
//! far. Two neighbouring chunks become a new chunk with probability `alpha`, at the end of the list
//! and on probation: unless it wins within `life` steps it is forgotten. In each step, `tail` of the
//! list's length is put on probation from its end. Single bytes stay for ever and have no rank.
//!
//! With [`Proof::InOtherContext`], a new chunk remembers its neighbours, and winning ends its probation
//! only between others. Where one of them is the same, or one is the end (on the left) or the
//! beginning (on the right) of the other, the chunk may be a part of something longer: chunk and
//! neighbour together become a new chunk, and the probation goes on.

use std::collections::VecDeque;

use super::order::Order;
use super::trie::Trie;
use super::{Choice, choose};
use crate::error::{Poll, Result};
use crate::random::Random;
use crate::token::TokenId;

/// How fast a lexicon changes.
#[derive(Debug, Clone, Copy)]
pub struct Learning {
    /// Probability that two neighbouring chunks become one.
    pub alpha: f64,
    /// Share of its rank by which a chunk moves.
    pub delta: f64,
    /// Steps that a chunk on probation has to prove itself.
    pub life: u64,
    /// How it does.
    pub proof: Proof,
    /// Share of the list that is put on probation in a step.
    pub tail: f64,
    /// Bytes that a chunk may have.
    pub longest: usize,
    /// Times that the text is read.
    pub epochs: usize,
    /// Where the random numbers begin.
    pub seed: u64,
}

/// What ends the probation of a new chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It wins.
    Anywhere,
    /// It wins between other neighbours than those that it was learned between.
    InOtherContext,
}

/// The chunks learned from sentences, the best first, bytes aside.
///
/// # Errors
/// Those of `poll`.
pub fn learn(sentences: &[&[u8]], learning: &Learning, poll: Poll<'_>) -> Result<Vec<Vec<u8>>> {
    let mut learner = Learner::new(*learning);
    for _ in 0..learning.epochs {
        for sentence in sentences {
            learner.read(sentence);
            poll()?;
        }
    }
    Ok(learner.order.iter().map(|item| learner.chunks[item as usize].clone()).collect())
}

/// The chunks before and after a chunk; nothing where a sentence begins or ends.
type Context = (Vec<u8>, Vec<u8>);

/// A chunk that was taken, and the two before it.
struct Taken<'a> {
    before: &'a [u8],
    last: &'a [u8],
    chunk: &'a [u8],
    /// The sentence behind them.
    rest: &'a [u8],
}

struct Learner {
    learning: Learning,
    trie: Trie,
    /// Every chunk that ever was; ids are places here, the bytes first.
    chunks: Vec<Vec<u8>>,
    order: Order,
    /// The step at whose end a chunk on probation is forgotten.
    ends: Vec<Option<u64>>,
    /// Chunks on probation by that step, some entries out of date.
    due: VecDeque<(u64, TokenId)>,
    /// The neighbours that a new chunk was learned between.
    contexts: Vec<Option<Box<Context>>>,
    /// What part of a chunk is still to be put on probation.
    credit: f64,
    step: u64,
    random: Random,
}

impl Learner {
    fn new(learning: Learning) -> Learner {
        let mut trie = Trie::default();
        let chunks: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        for (id, chunk) in chunks.iter().enumerate() {
            trie.insert(chunk, id as TokenId);
        }
        Learner {
            learning,
            trie,
            ends: vec![None; chunks.len()],
            contexts: vec![None; chunks.len()],
            chunks,
            order: Order::default(),
            due: VecDeque::new(),
            credit: 0.0,
            step: 0,
            random: Random::new(learning.seed),
        }
    }

    fn read(&mut self, sentence: &[u8]) {
        let (mut at, mut last, mut before): (usize, usize, usize) = (0, 0, 0);
        while at < sentence.len() {
            let order = &self.order;
            let rank = |id| if order.contains(id) { order.rank(id) as u64 + 1 } else { 0 };
            let Choice { taken, left } = choose(&self.trie, rank, &sentence[at..]);
            let (head, rest) = sentence.split_at(at + taken.1);
            let now = Taken {
                before: &head[at - last - before..at - last],
                last: &head[at - last..at],
                chunk: &head[at..],
                rest,
            };
            if let Some(left) = left {
                self.prove(taken.0, &now);
                self.reward(taken.0);
                self.punish(left.0);
            }
            if last > 0 && self.random.unit() < self.learning.alpha {
                let next = self.longest(rest);
                self.memorise(&head[at - last..], now.before, &rest[..next]);
            }
            at += taken.1;
            (before, last) = (last, taken.1);
        }
        self.forget();
        self.step += 1;
    }

    /// Ends the probation of a chunk that has won, if nothing speaks against it.
    fn prove(&mut self, id: TokenId, now: &Taken<'_>) {
        let Some(context) = &self.contexts[id as usize] else {
            self.ends[id as usize] = None;
            return;
        };
        let (next, rest) = now.rest.split_at(self.longest(now.rest));
        let after = &rest[..self.longest(rest)];
        let (old_last, old_next) = &**context;
        if [now.last, next, old_last, old_next].iter().all(|chunk| chunk.is_empty()) {
            return;
        }
        let is_same = |new: &[u8], old: &[u8], holds: fn(&[u8], &[u8]) -> bool| {
            !new.is_empty() && !old.is_empty() && (holds(new, old) || holds(old, new))
        };
        let left = is_same(now.last, old_last, |longer, end| longer.ends_with(end));
        let right = is_same(next, old_next, |longer, start| longer.starts_with(start));
        if left {
            self.memorise(&[now.last, now.chunk].concat(), now.before, next);
        }
        if right {
            self.memorise(&[now.chunk, next].concat(), now.last, after);
        }
        if !left && !right {
            self.ends[id as usize] = None;
            self.contexts[id as usize] = None;
        }
    }

    /// How long the longest chunk is that a text begins with.
    fn longest(&self, text: &[u8]) -> usize {
        self.trie.longest_two(text)[0].map_or(0, |(_, length)| length)
    }

    fn reward(&mut self, id: TokenId) {
        self.shift(id, |rank, far| rank.saturating_sub(far));
    }

    fn punish(&mut self, id: TokenId) {
        self.shift(id, |rank, far| rank + far);
    }

    fn shift(&mut self, id: TokenId, to: impl Fn(usize, usize) -> usize) {
        if self.order.contains(id) {
            let rank = self.order.rank(id);
            let far = (rank as f64 * self.learning.delta) as usize + 1;
            self.order.relocate(id, to(rank, far));
        }
    }

    /// Adds a chunk, unless it is there or too long; `last` and `next` are its neighbours.
    fn memorise(&mut self, chunk: &[u8], last: &[u8], next: &[u8]) {
        if chunk.len() > self.learning.longest || self.trie.get(chunk).is_some() {
            return;
        }
        let id = self.chunks.len() as TokenId;
        self.chunks.push(chunk.to_vec());
        self.ends.push(None);
        self.contexts.push(match self.learning.proof {
            Proof::Anywhere => None,
            Proof::InOtherContext => Some(Box::new((last.to_vec(), next.to_vec()))),
        });
        self.trie.insert(chunk, id);
        self.order.push(id);
        self.probation(id);
    }

    fn probation(&mut self, id: TokenId) {
        let end = self.step + self.learning.life;
        self.ends[id as usize] = Some(end);
        self.due.push_back((end, id));
    }

    /// Puts the tail on probation, and drops what has not proved itself.
    fn forget(&mut self) {
        self.credit += self.learning.tail * self.order.len() as f64;
        let many = self.credit as usize;
        self.credit -= many as f64;
        let tail: Vec<u32> = self.order.iter().rev().take(many).collect();
        for id in tail {
            if self.ends[id as usize].is_none() {
                self.probation(id);
            }
        }
        while let Some(&(end, id)) = self.due.front()
            && end <= self.step
        {
            self.due.pop_front();
            if self.ends[id as usize] == Some(end) {
                self.ends[id as usize] = None;
                self.contexts[id as usize] = None;
                self.order.remove(id);
                self.trie.remove(&self.chunks[id as usize]);
            }
        }
    }
}
