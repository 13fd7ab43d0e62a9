//! Encoding a text that arrives in chunks, in memory for one chunk.

use crate::error::{Poll, Result};
use crate::token::TokenId;
use crate::tokenizer::{Allowed, Matchers, Place, Stretch, Tokenizer, last_word_cut};

/// Bytes that are gathered before the next ids are made.
const CHUNK: usize = 1 << 20;

/// Encodes a text that arrives in chunks; the ids are those of the whole text.
///
/// Text is encoded up to the last place where it may be cut: between an ASCII letter and a space
/// before another letter or, failing that, after the last piece that is settled. A tokenizer for
/// which no such place is safe (its normalizer or pattern looks further) keeps the whole text
/// until the end, and so does a text of one endless piece.
#[derive(Debug)]
pub struct StreamEncoder {
    allowed: Allowed,
    kept: Vec<u8>,
    place: Place,
    /// Bytes at the start of what is kept that hold no border of two words.
    searched: usize,
    /// Bytes to gather before the next try; it doubles when there was no place to cut.
    wanted: usize,
}

impl StreamEncoder {
    /// An encoder of one text.
    pub fn new(allowed: Allowed) -> StreamEncoder {
        StreamEncoder { allowed, kept: Vec::new(), place: Place::Start, searched: 0, wanted: CHUNK }
    }

    /// Takes the next bytes and returns the ids that are certain.
    pub fn push(
        &mut self,
        tokenizer: &Tokenizer,
        data: &[u8],
        poll: Poll<'_>,
    ) -> Result<Vec<TokenId>> {
        let matchers = tokenizer.matchers(&self.allowed)?;
        let mut ids = Vec::new();
        for part in data.chunks(CHUNK) {
            poll()?;
            self.kept.extend_from_slice(part);
            if self.kept.len() >= self.wanted {
                self.encode_settled(tokenizer, &matchers, &mut ids, poll)?;
            }
        }
        Ok(ids)
    }

    /// Appends the ids of what is kept, up to the last place where it may be cut.
    fn encode_settled(
        &mut self,
        tokenizer: &Tokenizer,
        matchers: &Matchers,
        ids: &mut Vec<TokenId>,
        poll: Poll<'_>,
    ) -> Result<()> {
        let Some(cut) = self.last_cut(tokenizer, matchers) else {
            self.wanted = 2 * self.kept.len();
            return Ok(());
        };
        let stretch = Stretch { text: &self.kept[..cut], place: self.place };
        ids.extend(tokenizer.encode_stretch(stretch, matchers, poll)?);
        self.kept.drain(..cut);
        self.place = Place::AfterCut;
        self.searched = 0;
        self.wanted = CHUNK.max(2 * self.kept.len());
        Ok(())
    }

    fn last_cut(&mut self, tokenizer: &Tokenizer, matchers: &Matchers) -> Option<usize> {
        if tokenizer.cuts_at_words(matchers) {
            // A border may lie between the last characters of then and the first of now.
            let from = self.searched.saturating_sub(2);
            if let Some(cut) = last_word_cut(&self.kept[from..]) {
                return Some(from + cut);
            }
            self.searched = self.kept.len();
        }
        tokenizer.last_settled(&self.kept, matchers)
    }

    /// Returns the ids of what is left, and is ready for another text.
    pub fn finish(&mut self, tokenizer: &Tokenizer, poll: Poll<'_>) -> Result<Vec<TokenId>> {
        let last = std::mem::replace(self, StreamEncoder::new(self.allowed.clone()));
        let matchers = tokenizer.matchers(&last.allowed)?;
        let stretch = Stretch { text: &last.kept, place: last.place };
        tokenizer.encode_stretch(stretch, &matchers, poll)
    }
}

#[cfg(test)]
mod tests {
    use super::last_word_cut;

    #[test]
    fn the_last_border_of_two_words_is_found() {
        let cases: [(&[u8], Option<usize>); 9] = [
            (b"", None),
            (b"a ", None),
            (b" a", None),
            (b"a b", Some(1)),
            (b"one two three", Some(7)),
            (b"one two  three. four", Some(3)),
            (b"1 a", None),
            (b"a 1", None),
            ("é aé b".as_bytes(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(last_word_cut(text), expected, "{text:?}");
        }
    }
}
