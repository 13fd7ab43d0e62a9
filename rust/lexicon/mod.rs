//! Less-is-Better: a lexicon of chunks, and text cut into as few of them as can be seen ahead.
//!
//! A chunk is taken at a time. Two ways to go on are compared: with the longest chunk that matches
//! and with the second longest, each followed by longest matches until both end at the same place.
//! Fewer chunks win; among equals, the smaller sum of ranks (Yang, Frank & van den Bosch 2020, "Less
//! is Better"). If the two do not meet within [`HORIZON`] chunks, the longest match is taken, so time
//! is linear. Every single byte is a chunk, so every text can be cut and put together again.
//!
//! `learn` makes a lexicon from text, `trie` finds chunks, `order` keeps their ranks.

mod learn;
mod order;
mod trie;

#[cfg(test)]
mod tests;

pub use learn::{Learning, Proof, learn};

use crate::error::{Error, Poll, Result};
use crate::token::{MAX_IDS, TokenId};
use trie::Trie;

/// Chunks that either way is followed before the longest match is taken.
pub const HORIZON: usize = 24;
/// Bytes of text between two looks at whether to go on.
const POLL_BYTES: usize = 1 << 16;

/// Chunks by id: the 256 bytes, then the others by rank, the best first.
#[derive(Debug)]
pub struct Lexicon {
    chunks: Vec<Vec<u8>>,
    trie: Trie,
}

impl Lexicon {
    /// The 256 bytes and these chunks, the best first.
    ///
    /// # Errors
    /// [`Error::Argument`] for a chunk of less than two bytes, one that is there twice, or too many.
    pub fn new<'a>(ranked: impl IntoIterator<Item = &'a [u8]>) -> Result<Lexicon> {
        let mut lexicon = Lexicon { chunks: Vec::new(), trie: Trie::default() };
        let bytes: Vec<[u8; 1]> = (0..=u8::MAX).map(|byte| [byte]).collect();
        let bytes = bytes.iter().map(|byte| (byte.as_slice(), 1));
        for (chunk, least) in bytes.chain(ranked.into_iter().map(|chunk| (chunk, 2))) {
            let id = lexicon.chunks.len();
            if chunk.len() < least || id >= MAX_IDS || lexicon.trie.get(chunk).is_some() {
                return Err(Error::Argument(format!(
                    "chunk {id}: {} bytes, or a chunk that is there already",
                    chunk.len()
                )));
            }
            lexicon.trie.insert(chunk, id as TokenId);
            lexicon.chunks.push(chunk.to_vec());
        }
        Ok(lexicon)
    }

    /// How many chunks there are.
    pub fn size(&self) -> usize {
        self.chunks.len()
    }

    /// The bytes of a chunk.
    ///
    /// # Errors
    /// [`Error::UnknownToken`] for an id that no chunk has.
    pub fn chunk(&self, id: i64) -> Result<&[u8]> {
        let found = usize::try_from(id).ok().and_then(|at| self.chunks.get(at));
        found.map(Vec::as_slice).ok_or(Error::UnknownToken { id, size: self.size() })
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn encode(&self, text: &[u8], poll: Poll<'_>) -> Result<Vec<TokenId>> {
        let (mut ids, mut at, mut polled) = (Vec::new(), 0, 0);
        while at < text.len() {
            let choice = choose(&self.trie, rank, &text[at..]);
            ids.push(choice.taken.0);
            at += choice.taken.1;
            if at - polled >= POLL_BYTES {
                polled = at;
                poll()?;
            }
        }
        Ok(ids)
    }
}

/// Rank of a chunk; single bytes have none and count as the best.
fn rank(id: TokenId) -> u64 {
    u64::from(id.saturating_sub(255))
}

/// A chunk and its length.
type Match = (TokenId, usize);

/// What comes next, and what else there was, if the two were compared.
struct Choice {
    taken: Match,
    left: Option<Match>,
}

/// The chunk to take at the start of `text`, which has at least one byte.
fn choose(trie: &Trie, rank: impl Fn(TokenId) -> u64, text: &[u8]) -> Choice {
    let [longest, second] = trie.longest_two(text);
    let Some(longest) = longest else { return Choice { taken: (0, 1), left: None } };
    let Some(second) = second else { return Choice { taken: longest, left: None } };
    let (mut one, mut two) = (Way::new(longest), Way::new(second));
    while one.end != two.end {
        let behind = if one.end < two.end { &mut one } else { &mut two };
        let next = trie.longest_two(&text[behind.end..])[0];
        let Some(next) = next.filter(|_| behind.len < HORIZON) else {
            return Choice { taken: longest, left: None };
        };
        behind.take(next);
    }
    let ranks = |way: &Way| way.ids[..way.len].iter().map(|&id| rank(id)).sum::<u64>();
    // Ranks are looked up only where they decide.
    let second_wins = two.len < one.len || (two.len == one.len && ranks(&two) < ranks(&one));
    match second_wins {
        true => Choice { taken: second, left: Some(longest) },
        false => Choice { taken: longest, left: Some(second) },
    }
}

/// One way to go on.
struct Way {
    end: usize,
    ids: [TokenId; HORIZON],
    len: usize,
}

impl Way {
    fn new(first: Match) -> Way {
        let mut way = Way { end: 0, ids: [0; HORIZON], len: 0 };
        way.take(first);
        way
    }

    fn take(&mut self, chunk: Match) {
        self.ids[self.len] = chunk.0;
        self.len += 1;
        self.end += chunk.1;
    }
}
