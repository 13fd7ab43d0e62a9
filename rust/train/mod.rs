//! Training: the exact merges of byte-pair encoding (Gage 1994; Sennrich et al. 2016).
//!
//! Input is flat: distinct pieces of text and how often each occurs. At each step the pair of
//! adjacent tokens with the highest count becomes a token; a tie goes to the smaller left id, then
//! to the smaller right id. Occurrences are replaced from left to right without overlap. A pair
//! whose joined bytes are a token already adds no token: it becomes that one. Counts are `u64`, and
//! the result depends on the counts alone, not on the order of the pieces.
//!
//! A merge costs its occurrences. The text is one array of cells in which a merge writes at most
//! four ([`cells`]); a pair knows the places where it once stood ([`pairs`]); what a merge does to
//! its neighbours is summed by neighbour first, so that the table of pairs is touched once for each
//! ([`around`]); the best pair comes from a heap whose entries may be stale ([`queue`]). Pieces may
//! have any length. Memory is linear: four bytes a byte of distinct text, four for each place of a
//! pair, 24 for each pair.
//!
//! Where something else than the count decides, step by hand: [`Trainer::best`] says which pair is
//! next, [`Trainer::count`] how often a pair stands now, and [`Trainer::merge`] makes any pair a
//! token, whether it was best or not.

mod around;
mod cells;
mod pairs;
mod queue;
pub mod replay;
mod rules;
mod tokens;

#[cfg(test)]
mod tests;

use crate::error::{Error, Poll, Result};
use crate::token::{MAX_IDS, TokenId};

use around::{Around, Change};
use cells::Cells;
pub use cells::Pieces;
use pairs::Pairs;
use queue::Queue;
pub use rules::Rule;
pub use tokens::Tokens;

/// A token may have this many bytes, no more; formats and the encoder rely on it.
pub const MAX_TOKEN_BYTES: usize = 1 << 16;

/// Places of no use that are no reason to close up the others.
const SLACK: usize = 4 << 20;

/// What training goes by, besides the text.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `order[i]` is the byte whose id is `i`: every byte once. Ties go by these ids.
    pub order: [u8; 256],
    /// Pairs that stand less often than this are not merged; at least 1.
    pub min_count: u64,
    /// A pair that any of these forbids is not merged.
    pub rules: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { order: std::array::from_fn(|at| at as u8), min_count: 1, rules: Vec::new() }
    }
}

/// A pair of adjacent tokens, and how often it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub left: TokenId,
    pub right: TokenId,
    pub count: u64,
}

/// A merge that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub left: TokenId,
    pub right: TokenId,
    pub product: TokenId,
    /// How often the pair stood in the text before.
    pub count: u64,
}

/// A training that can be stepped.
#[derive(Debug)]
pub struct Trainer {
    cells: Cells,
    tokens: Tokens,
    pairs: Pairs,
    queue: Queue,
    around: Around,
    rules: Vec<Rule>,
    /// Tokens that the text has now, each piece as often as it occurs.
    length: u64,
    /// A merge was interrupted half way.
    torn: bool,
}

impl Trainer {
    /// Lays out the pieces and counts the pairs of their bytes.
    ///
    /// # Errors
    /// Offsets or counts that do not fit each other, more than 2^30 bytes of distinct pieces,
    /// counts whose sum over all bytes passes 2^64, an order that is none.
    pub fn new(pieces: Pieces<'_>, settings: &Settings, poll: Poll<'_>) -> Result<Trainer> {
        let tokens = Tokens::new(&settings.order)?;
        let mut cells = Cells::new(pieces, &tokens, poll)?;
        let length = cells.length();
        let found = cells.byte_pairs(poll)?;
        let mut pairs = Pairs::new(found.arena);
        let mut queue = Queue::new(settings.min_count);
        for (pair, count, places) in found.pairs {
            pairs.add(pair, count, places);
            queue.push(count, pair);
        }
        let (around, rules) = (Around::default(), settings.rules.clone());
        Ok(Trainer { cells, tokens, pairs, queue, around, rules, length, torn: false })
    }

    /// The pair that the next merge of greedy training takes, if any pair may be merged.
    pub fn best(&mut self) -> Option<Candidate> {
        loop {
            let (count, pair) = self.queue.first(&self.pairs)?;
            let now = self.pairs.count(pair);
            if now != count {
                self.queue.replace_first(now);
            } else if self.allows(pair) {
                return Some(Candidate { left: pair.0, right: pair.1, count });
            } else {
                self.queue.replace_first(0);
            }
        }
    }

    /// How often a pair stands in the text now.
    pub fn count(&self, left: TokenId, right: TokenId) -> u64 {
        self.pairs.count((left, right))
    }

    /// Makes a pair a token, wherever it stands.
    ///
    /// # Errors
    /// An id that no token has, a product that is too long, more ids than are allowed; whatever
    /// `poll` returns, and then the trainer is of no further use.
    pub fn merge(&mut self, left: TokenId, right: TokenId, poll: Poll<'_>) -> Result<Step> {
        self.merged(left, right, &mut |_| (), poll)
    }

    /// The same, and says of each pair how much more often it stands; a pair may be said twice.
    pub(crate) fn merge_telling(
        &mut self,
        left: TokenId,
        right: TokenId,
        told: &mut impl FnMut((TokenId, TokenId), i64),
        poll: Poll<'_>,
    ) -> Result<Step> {
        let mut tell = |change| match change {
            Change::Less(pair, count) => told(pair, -count.cast_signed()),
            Change::More(pair, count, _) => told(pair, count.cast_signed()),
        };
        let step = self.merged(left, right, &mut tell, poll)?;
        told((left, right), -step.count.cast_signed());
        Ok(step)
    }

    fn merged(
        &mut self,
        left: TokenId,
        right: TokenId,
        changed: &mut impl FnMut(Change),
        poll: Poll<'_>,
    ) -> Result<Step> {
        if self.torn {
            return Err(Error::Argument("this training was interrupted inside a merge".into()));
        }
        let product = self.tokens.join(left, right)?;
        let pair = (left, right);
        self.pairs.tidy(SLACK);
        let (count, places) = self.pairs.remove(pair);
        self.torn = true;
        let merging = cells::Merging { pair, product, lengths: self.tokens.lengths() };
        self.around.begin(self.tokens.len());
        let places = self.pairs.places(&places);
        self.length -= self.cells.merge(&merging, places, &mut self.around, poll)?;
        let (pairs, queue) = (&mut self.pairs, &mut self.queue);
        self.around.finish(pair, product, pairs, &mut |change| {
            if let Change::More(pair, _, now) = change {
                queue.push(now, pair);
            }
            changed(change);
        });
        self.torn = false;
        Ok(Step { left, right, product, count })
    }

    /// All pairs that stand in the text, by ascending ids.
    pub fn pairs(&self) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = self.pairs.standing().collect();
        found.sort_unstable_by_key(|pair| (pair.left, pair.right));
        found
    }

    /// The tokens so far, the bytes first.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// How many tokens the text has now, each piece as often as it occurs.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn allows(&self, pair: (TokenId, TokenId)) -> bool {
        let (left, right) = (self.tokens.bytes(pair.0), self.tokens.bytes(pair.1));
        left.len() + right.len() <= MAX_TOKEN_BYTES
            && (self.rules.is_empty() || rules::allow(&self.rules, left, right))
    }
}

/// Greedy training until there are `vocab_size` tokens or no pair is left.
///
/// # Errors
/// As [`Trainer::new`] and [`Trainer::merge`].
pub fn train(
    pieces: Pieces<'_>,
    vocab_size: usize,
    settings: &Settings,
    poll: Poll<'_>,
) -> Result<Vec<Step>> {
    if vocab_size > MAX_IDS {
        return Err(Error::Argument(format!(
            "a vocabulary of {vocab_size} tokens: at most {MAX_IDS} are allowed"
        )));
    }
    let mut trainer = Trainer::new(pieces, settings, poll)?;
    let mut steps = Vec::new();
    while trainer.tokens().len() < vocab_size {
        let Some(best) = trainer.best() else { break };
        steps.push(trainer.merge(best.left, best.right, poll)?);
        poll()?;
    }
    Ok(steps)
}
