//! Encoding a text that arrives in chunks, in memory for one chunk.

use crate::error::{Poll, Result};
use crate::pretokenize::last_word_cut;
use crate::token::TokenId;
use crate::tokenizer::{Allowed, Matchers, Place, Stretch, Tokenizer};

/// Bytes that are gathered before the next ids are made.
const CHUNK: usize = 1 << 20;

/// Encodes a text that arrives in chunks; the ids are those of the whole text.
///
/// Text is encoded up to the last place where it may be cut: between an ASCII letter and a space
/// before another letter or, failing that, after the last piece that is settled. A tokenizer that
/// has no such place (its normalizer or pattern looks further) keeps the whole text until the end,
/// and so does a text of one endless piece.
#[derive(Debug)]
pub struct StreamEncoder {
    allowed: Allowed,
    place: Place,
    kept: Vec<u8>,
    /// Bytes at the start of what is kept whose ids are made.
    done: usize,
    /// Bytes after those that hold no border of two words.
    searched: usize,
    /// Bytes to gather before the next try; it doubles when there was no place to cut.
    wanted: usize,
    /// Ids that are made and not yet given out.
    made: Vec<TokenId>,
}

impl StreamEncoder {
    /// An encoder of one text.
    pub fn new(allowed: Allowed) -> StreamEncoder {
        StreamEncoder {
            allowed,
            place: Place::Start,
            kept: Vec::new(),
            done: 0,
            searched: 0,
            wanted: CHUNK,
            made: Vec::new(),
        }
    }

    /// Takes the next bytes and returns the ids that are certain. They are taken even when `poll`
    /// ends the work: the next call goes on with them.
    pub fn push(
        &mut self,
        tokenizer: &Tokenizer,
        data: &[u8],
        poll: Poll<'_>,
    ) -> Result<Vec<TokenId>> {
        self.kept.extend_from_slice(data);
        let matchers = tokenizer.matchers(&self.allowed)?;
        while self.kept.len() - self.done >= self.wanted {
            self.advance(tokenizer, &matchers, poll)?;
            poll()?;
        }
        self.kept.drain(..self.done);
        self.done = 0;
        Ok(std::mem::take(&mut self.made))
    }

    /// Makes the ids up to the last place in the wanted bytes where they may be cut.
    fn advance(
        &mut self,
        tokenizer: &Tokenizer,
        matchers: &Matchers,
        poll: Poll<'_>,
    ) -> Result<()> {
        let head = &self.kept[self.done..self.done + self.wanted];
        let mut word = None;
        if tokenizer.cuts_at_words(matchers) {
            // A border may lie between the last characters of then and the first of now.
            let from = self.searched.saturating_sub(2);
            word = last_word_cut(&head[from..]).map(|cut| from + cut);
            self.searched = head.len();
        }
        let head = Stretch { text: head, place: self.place };
        let cut = match word {
            Some(word) => Some(word),
            None => tokenizer.last_settled(head, matchers, poll)?,
        };
        let Some(cut) = cut else {
            self.wanted *= 2;
            return Ok(());
        };
        let stretch = Stretch { text: &head.text[..cut], ..head };
        let ids = tokenizer.encode_stretch(stretch, matchers, poll)?;
        self.made.extend(ids);
        self.done += cut;
        self.place = Place::AfterCut;
        self.searched = 0;
        self.wanted = CHUNK;
        Ok(())
    }

    /// Returns the ids of what is left, and is ready for another text.
    pub fn finish(&mut self, tokenizer: &Tokenizer, poll: Poll<'_>) -> Result<Vec<TokenId>> {
        let mut last = std::mem::replace(self, StreamEncoder::new(self.allowed.clone()));
        let matchers = tokenizer.matchers(&last.allowed)?;
        let stretch = Stretch { text: &last.kept[last.done..], place: last.place };
        last.made.extend(tokenizer.encode_stretch(stretch, &matchers, poll)?);
        Ok(last.made)
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
