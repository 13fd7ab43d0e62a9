//! Encoding a text that arrives in chunks, in memory for one chunk.

use crate::error::Result;
use crate::token::TokenId;
use crate::tokenizer::{Allowed, Poll, Tokenizer};

/// Bytes that are gathered before the next ids are made.
const CHUNK: usize = 1 << 20;

/// Encodes a text that arrives in chunks; the ids are those of the whole text.
///
/// Text is encoded up to the last place where it may be cut: between an ASCII letter and a space
/// before another letter. A tokenizer for which no such place is safe (its normalizer or pattern
/// looks further) keeps the whole text until the end.
#[derive(Debug)]
pub struct StreamEncoder {
    allowed: Allowed,
    kept: Vec<u8>,
    /// Bytes of `kept` that hold no place to cut.
    searched: usize,
}

impl StreamEncoder {
    /// An encoder of one text.
    pub fn new(allowed: Allowed) -> StreamEncoder {
        StreamEncoder { allowed, kept: Vec::new(), searched: 0 }
    }

    /// Takes the next bytes and returns the ids that are certain.
    pub fn push(
        &mut self,
        tokenizer: &Tokenizer,
        data: &[u8],
        poll: Poll<'_>,
    ) -> Result<Vec<TokenId>> {
        self.kept.extend_from_slice(data);
        let matchers = tokenizer.matchers(&self.allowed)?;
        if self.kept.len() < CHUNK || !tokenizer.cuts_at_words(&matchers) {
            return Ok(Vec::new());
        }
        let Some(cut) = last_word_cut(&self.kept, self.searched) else {
            self.searched = self.kept.len().saturating_sub(2);
            return Ok(Vec::new());
        };
        let ids = tokenizer.encode(&self.kept[..cut], &self.allowed, poll)?;
        self.kept.drain(..cut);
        self.searched = 0;
        Ok(ids)
    }

    /// Returns the ids of what is left, and is ready for another text.
    pub fn finish(&mut self, tokenizer: &Tokenizer, poll: Poll<'_>) -> Result<Vec<TokenId>> {
        let kept = std::mem::take(&mut self.kept);
        self.searched = 0;
        tokenizer.encode(&kept, &self.allowed, poll)
    }
}

/// The last place of `text[from..]` between an ASCII letter and a space before an ASCII letter.
pub(crate) fn last_word_cut(text: &[u8], from: usize) -> Option<usize> {
    let is_cut =
        |w: &[u8]| w[0].is_ascii_alphabetic() && w[1] == b' ' && w[2].is_ascii_alphabetic();
    let at = text.get(from..)?.windows(3).rposition(is_cut)?;
    Some(from + at + 1)
}
