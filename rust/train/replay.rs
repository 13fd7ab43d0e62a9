//! Any list of merges applied to any text, and what each does to the counts of pairs.
//!
//! Hayase et al. 2024 ("Data Mixture Inference", arXiv 2407.16607) infer what a tokenizer was trained
//! on from how often each pair stands in samples at each step. The counts before the first step and
//! the changes of each step give the counts of every pair at every step. Steps are given out in
//! chunks, so that memory is that of the text and one chunk.

use super::{Pieces, Settings, Step, Trainer};
use crate::error::{Error, Poll, Result};
use crate::token::TokenId;

/// Merges in the order in which they are to be made.
#[derive(Debug)]
pub struct Replay {
    trainer: Trainer,
}

/// What some steps did.
#[derive(Debug, Default)]
pub struct Changes {
    pub steps: Vec<Step>,
    /// Step `i` changed the pairs `ends[i - 1]..ends[i]`, from 0 for the first.
    pub ends: Vec<u64>,
    /// Left and right id; each pair once a step, in ascending order.
    pub pairs: Vec<(TokenId, TokenId)>,
    /// How much more often the pair stands after the step than before.
    pub deltas: Vec<i64>,
}

impl Replay {
    /// Lays out the text; `order` is that of [`Settings`].
    ///
    /// # Errors
    /// As [`Trainer::new`]; a text of more than 2^63 bytes, whose changes 64 bits do not hold.
    pub fn new(pieces: Pieces<'_>, order: [u8; 256], poll: Poll<'_>) -> Result<Replay> {
        // No pair stands that often, so none is queued.
        let settings = Settings { order, min_count: u64::MAX, ..Settings::default() };
        let trainer = Trainer::new(pieces, &settings, poll)?;
        if trainer.length() > i64::MAX as u64 {
            return Err(Error::Argument(format!(
                "a text of {} bytes: at most {} can be replayed",
                trainer.length(),
                i64::MAX
            )));
        }
        Ok(Replay { trainer })
    }

    /// The text and its pairs as they are now.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// Makes some merges.
    ///
    /// # Errors
    /// As [`Trainer::merge`].
    pub fn advance(&mut self, merges: &[[TokenId; 2]], poll: Poll<'_>) -> Result<Changes> {
        let mut changes = Changes::default();
        let mut seen = Vec::new();
        for [left, right] in merges {
            seen.clear();
            let mut see = |pair, delta| seen.push((pair, delta));
            changes.steps.push(self.trainer.merge_telling(*left, *right, &mut see, poll)?);
            changes.sum(&mut seen);
            poll()?;
        }
        Ok(changes)
    }
}

impl Changes {
    /// Adds the changes of a step, a sum for each pair.
    fn sum(&mut self, seen: &mut [((TokenId, TokenId), i64)]) {
        seen.sort_unstable();
        for same in seen.chunk_by(|one, other| one.0 == other.0) {
            let delta: i64 = same.iter().map(|change| change.1).sum();
            if delta != 0 {
                self.pairs.push(same[0].0);
                self.deltas.push(delta);
            }
        }
        self.ends.push(self.pairs.len() as u64);
    }
}
