//! How a lexicon is learned: it reads text and keeps what serves.
//!
//! A step reads one sentence. Where the longest and the second longest match are compared, the first
//! chunk of the way that wins moves up in rank by `1 + rank * delta`, that of the other moves down as
//! far. Two neighbouring chunks become a new chunk with probability `alpha`, at the end of the list
//! and on probation: unless it wins within `life` steps it is forgotten. In each step, `tail` of the
//! list's length is put on probation from its end. Single bytes stay for ever and have no rank.

use std::collections::VecDeque;

use super::order::Order;
use super::trie::Trie;
use super::{Choice, Match, choose};
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
    /// Share of the list that is put on probation in a step.
    pub tail: f64,
    /// Bytes that a chunk may have.
    pub longest: usize,
    /// Times that the text is read.
    pub epochs: usize,
    /// Where the random numbers begin.
    pub seed: u64,
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
            chunks,
            order: Order::default(),
            due: VecDeque::new(),
            credit: 0.0,
            step: 0,
            random: Random::new(learning.seed),
        }
    }

    fn read(&mut self, sentence: &[u8]) {
        let (mut at, mut last): (usize, Option<Match>) = (0, None);
        while at < sentence.len() {
            let order = &self.order;
            let rank = |id| if order.contains(id) { order.rank(id) as u64 + 1 } else { 0 };
            let Choice { taken, left } = choose(&self.trie, rank, &sentence[at..]);
            if let Some(left) = left {
                self.reward(taken.0);
                self.punish(left.0);
            }
            if let Some(last) = last
                && self.random.unit() < self.learning.alpha
            {
                self.memorise(&sentence[at - last.1..at + taken.1]);
            }
            at += taken.1;
            last = Some(taken);
        }
        self.forget();
        self.step += 1;
    }

    fn reward(&mut self, id: TokenId) {
        self.ends[id as usize] = None;
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

    /// Adds a chunk, unless it is there or too long.
    fn memorise(&mut self, chunk: &[u8]) {
        if chunk.len() > self.learning.longest || self.trie.get(chunk).is_some() {
            return;
        }
        let id = self.chunks.len() as TokenId;
        self.chunks.push(chunk.to_vec());
        self.ends.push(None);
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
                self.order.remove(id);
                self.trie.remove(&self.chunks[id as usize]);
            }
        }
    }
}
