//! Supertokens: texts cut into random chunks of several words, counted.
//!
//! A text is cut by the coarse steps, and each stretch by the fine ones into words. A chunk is as
//! many words as the dice say; it never crosses a coarse cut. The dice are thrown anew for each text,
//! from its bytes and the seed, so the counts do not depend on the order of the texts.

use std::collections::BTreeMap;

use super::arriving::Arriving;
use crate::error::{Poll, Result};
use crate::pretokenize::{Pretokenizer, Span, Step};
use crate::random::Random;

/// Counts chunks of texts.
#[derive(Debug)]
pub struct Chunker {
    coarse: Pretokenizer,
    fine: Pretokenizer,
    /// `shares[i]`: the probability of at most `i + 1` words.
    shares: Vec<f64>,
    seed: u64,
    arriving: Arriving,
    counts: BTreeMap<Vec<u8>, u64>,
    total: u64,
}

impl Chunker {
    /// A counter of chunks; `weights[i]` is how often chunks of `i + 1` words come, in proportion.
    ///
    /// # Errors
    /// [`crate::Error::Pattern`] for a pattern that is wrong or cannot run in linear time.
    pub fn new(coarse: &[Step], fine: &[Step], weights: &[f64], seed: u64) -> Result<Chunker> {
        let sum: f64 = weights.iter().sum();
        let shares = weights.iter().scan(0.0, |below, weight| {
            *below += weight / sum;
            Some(*below)
        });
        Ok(Chunker {
            coarse: Pretokenizer::new(coarse)?,
            fine: Pretokenizer::new(fine)?,
            shares: shares.collect(),
            seed,
            arriving: Arriving::default(),
            counts: BTreeMap::new(),
            total: 0,
        })
    }

    /// Chunks so far, equal ones included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Chunks and how often each stands in the texts, in the order of their bytes.
    pub fn counts(&self) -> &BTreeMap<Vec<u8>, u64> {
        &self.counts
    }

    /// Adds a text.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn push(&mut self, text: &[u8], poll: Poll<'_>) -> Result<()> {
        let mut random = Random::of_text(self.seed, text);
        let coarse = self.coarse.clone();
        let fine = self.fine.clone();
        each_span(&coarse, text, poll, |stretch, poll| {
            let stretch = &text[stretch.start..stretch.end];
            let (mut start, mut left) = (0, self.words(&mut random));
            each_span(&fine, stretch, poll, |word, _| {
                left -= 1;
                if left == 0 {
                    self.count(&stretch[start..word.end]);
                    (start, left) = (word.end, self.words(&mut random));
                }
                Ok(())
            })?;
            self.count(&stretch[start..]);
            Ok(())
        })
    }

    /// Adds a part of a text that arrives in several.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn push_part(&mut self, part: &[u8], last: bool, poll: Poll<'_>) -> Result<()> {
        self.arriving.add(part, last).map_or(Ok(()), |text| self.push(&text, poll))
    }

    /// How many words the next chunk has.
    fn words(&self, random: &mut Random) -> usize {
        let thrown = random.unit();
        let below = self.shares.iter().take_while(|&&share| share <= thrown).count();
        below.min(self.shares.len().saturating_sub(1)) + 1
    }

    fn count(&mut self, chunk: &[u8]) {
        if chunk.is_empty() {
            return;
        }
        self.total += 1;
        match self.counts.get_mut(chunk) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(chunk.to_vec(), 1);
            }
        }
    }
}

/// Calls `visit` with all pieces of a text, one after the other.
fn each_span(
    pretokenizer: &Pretokenizer,
    text: &[u8],
    poll: Poll<'_>,
    mut visit: impl FnMut(Span, Poll<'_>) -> Result<()>,
) -> Result<()> {
    let mut pieces = pretokenizer.pieces(text);
    let mut buffer = [Span::default(); 64];
    loop {
        let filled = pieces.fill(&mut buffer, poll)?;
        if filled == 0 {
            return Ok(());
        }
        buffer[..filled].iter().try_for_each(|&span| visit(span, poll))?;
        poll()?;
    }
}
