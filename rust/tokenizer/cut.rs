//! Where a long text may be cut, so that the ids of the parts are those of the whole.
//!
//! Between two words this is told by three bytes. Elsewhere a place must satisfy everything that
//! happens to a text: no active added token may hold the two bytes around it, normalizing must do
//! the same to both sides as to the whole, and in the normalized text a piece must end there
//! whatever follows or, where merges alone decide, no token may hold the two bytes.

use std::borrow::Cow;

use super::Tokenizer;
use super::segment::{Place, Stretch};
use super::special::Matchers;
use crate::encode::WholePieces;
use crate::error::{Poll, Result};
use crate::pretokenize::last_word_cut;

/// Bytes of a long text that are normalized at a time.
pub(super) const STRETCH: usize = 1 << 18;
/// Bytes in which a place to cut is looked for; what has none is one stretch with all that follows.
const LONGEST: usize = 1 << 25;
/// Bytes before the end of a text in which a border between merges is looked for first.
const TAIL: usize = 1 << 12;

/// The normalized end of a text: byte `i` comes from byte `origins[i]` of the text, or from byte
/// `start + i` where nothing was changed.
struct Tail<'a> {
    bytes: Cow<'a, [u8]>,
    start: usize,
    origins: Option<Vec<usize>>,
}

impl Tokenizer {
    /// Calls `visit` with one stretch of the text after the other until it returns false; a text
    /// that is not changed on its way is one stretch.
    pub(super) fn each_stretch(
        &self,
        whole: Stretch<'_>,
        matchers: &Matchers,
        poll: Poll<'_>,
        visit: &mut dyn FnMut(Stretch<'_>, usize, Poll<'_>) -> Result<bool>,
    ) -> Result<()> {
        let Stretch { text, mut place } = whole;
        let (mut at, mut size) = (0, STRETCH);
        let changes = !self.normalizer.is_identity() || !self.prefixer.is_identity();
        while changes && size <= LONGEST && text.len() - at > 2 * size {
            poll()?;
            let head = Stretch { text: &text[at..at + size], place };
            let Some(cut) = self.last_cut(head, matchers, poll)? else {
                size *= 2;
                continue;
            };
            let stretch = Stretch { text: &text[at..at + cut], place };
            if !visit(stretch, at, poll)? {
                return Ok(());
            }
            (at, place, size) = (at + cut, Place::AfterCut, STRETCH);
        }
        visit(Stretch { text: &text[at..], place }, at, poll).map(drop)
    }

    /// The last place where `head`, the beginning of a longer text, may be cut.
    fn last_cut(
        &self,
        head: Stretch<'_>,
        matchers: &Matchers,
        poll: Poll<'_>,
    ) -> Result<Option<usize>> {
        match self.cuts_at_words(matchers).then(|| last_word_cut(head.text)).flatten() {
            Some(cut) => Ok(Some(cut)),
            None => self.last_settled(head, matchers, poll),
        }
    }

    /// Whether text may be cut between a letter and the space before a letter, each side encoded
    /// by itself and the ids joined.
    pub(crate) fn cuts_at_words(&self, matchers: &Matchers) -> bool {
        let pieces_end = self.pretokenizer.cuts_at_words();
        let merges_end = self.merges_only() && self.model.separates_words();
        let local = self.inference.is_local();
        local && matchers.keep_words && self.keeps_words && (pieces_end || merges_end)
    }

    /// The last place where `head`, the beginning of a longer text, may be cut, found without
    /// looking for words.
    ///
    /// # Errors
    /// Those of `poll`.
    pub(crate) fn last_settled(
        &self,
        head: Stretch<'_>,
        matchers: &Matchers,
        poll: Poll<'_>,
    ) -> Result<Option<usize>> {
        if !self.inference.is_local() {
            return Ok(None);
        }
        let text = head.text;
        let end = match self.inner.is_identity() {
            true => text.len(),
            false => match self.inner.last_cut(text, text.len(), poll)? {
                Some(end) => end,
                None => return Ok(None),
            },
        };
        match self.merges_only() {
            true => self.last_between_merges(text, end, matchers, poll),
            false => self.last_between_pieces(head, end, matchers, poll),
        }
    }

    /// The last place up to `end` that no token can hold, where merges alone decide.
    fn last_between_merges(
        &self,
        text: &[u8],
        end: usize,
        matchers: &Matchers,
        poll: Poll<'_>,
    ) -> Result<Option<usize>> {
        let tail = self.inner.last_cut(text, end.saturating_sub(TAIL), poll)?.unwrap_or(0);
        for from in [tail, 0] {
            let tail = self.tail(text, from..end, Place::AfterCut, poll)?;
            let accept = |at: usize| {
                tail.origin(at).is_some_and(|source| {
                    self.may_cut(text, source, matchers)
                        && matchers.normalized.may_cut(&tail.bytes, at)
                })
            };
            let cut = self.model.last_cut(&tail.bytes, accept);
            if let Some(cut) = cut.and_then(|at| tail.origin(at)) {
                return Ok(Some(cut));
            }
        }
        Ok(None)
    }

    /// The last place up to `end` where a piece ends whatever follows.
    fn last_between_pieces(
        &self,
        head: Stretch<'_>,
        end: usize,
        matchers: &Matchers,
        poll: Poll<'_>,
    ) -> Result<Option<usize>> {
        let Stretch { text, place } = head;
        // What the pre-tokenizer gets begins after the last added token.
        let start = matchers.raw.matches(&text[..end]).last().map_or(0, |found| found.end);
        let place = if start > 0 { Place::Start } else { place };
        let tail = self.tail(text, start..end, place, poll)?;
        let inner = matchers.normalized.matches(&tail.bytes).last().map_or(0, |found| found.end);
        let segment = &tail.bytes[inner..];
        let prefixed = match place == Place::AfterCut && inner == 0 {
            true => Cow::Borrowed(segment),
            false => self.prefixer.normalize(segment, start + inner == 0, poll)?,
        };
        let shift = prefixed.len() - segment.len();
        let source_of = |at: usize| {
            let at = inner + at.checked_sub(shift).filter(|&at| at > 0)?;
            let source = tail.origin(at)?;
            let free = self.may_cut(text, source, matchers)
                && matchers.normalized.may_cut(&tail.bytes, at);
            free.then_some(source)
        };
        let ends = self.pretokenizer.settled_ends(&prefixed, poll)?;
        Ok(ends.into_iter().rev().find_map(source_of))
    }

    /// Whether no added token and no step of the normalizer brings both sides of `at` together.
    fn may_cut(&self, text: &[u8], at: usize, matchers: &Matchers) -> bool {
        self.inner.may_cut(text, at) && matchers.raw.may_cut(text, at)
    }

    /// What the normalizer makes of the end of a text, or of a whole one.
    fn tail<'a>(
        &self,
        text: &'a [u8],
        range: std::ops::Range<usize>,
        place: Place,
        poll: Poll<'_>,
    ) -> Result<Tail<'a>> {
        let start = range.start;
        let part = text.get(range).unwrap_or_default();
        let normalizer = if place == Place::AfterCut { &self.inner } else { &self.normalizer };
        Ok(match normalizer.normalize_aligned(part, start == 0, poll)? {
            Some((bytes, origins)) => {
                Tail { bytes: Cow::Owned(bytes), start, origins: Some(origins) }
            }
            None => Tail { bytes: Cow::Borrowed(part), start, origins: None },
        })
    }

    /// Whether merges alone decide the ids of a text, which is one piece and not looked up whole.
    fn merges_only(&self) -> bool {
        let plain = self.inference.is_plain() && self.model.whole_pieces == WholePieces::AreMerged;
        plain && self.pretokenizer.keeps_whole()
    }
}

impl Tail<'_> {
    /// Where in the text the byte `at` comes from, if the byte before it does not.
    fn origin(&self, at: usize) -> Option<usize> {
        let Some(origins) = &self.origins else { return Some(self.start + at) };
        let (before, here) = (origins.get(at.checked_sub(1)?)?, origins.get(at)?);
        (before < here).then_some(self.start + here)
    }
}

#[cfg(test)]
mod tests;
