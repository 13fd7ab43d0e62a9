//! Text on its way to the model: added tokens taken out, the rest normalized, in two rounds.
//!
//! Some added tokens are matched in the text as it is; what lies between them is normalized, and
//! then the other added tokens are matched in that.

use std::ops::Range;

use super::Tokenizer;
use super::special::Matchers;
use crate::error::{Error, Poll, Result};
use crate::token::TokenId;

/// A stretch of the text on its way to ids.
pub(crate) enum Segment<'a> {
    /// An added token.
    Token { id: TokenId, source: Range<usize> },
    /// Text for the pre-tokenizer. Byte `i` comes from byte `origins[i]` of the input, or from byte
    /// `start + i` where nothing was normalized and so nothing is tracked.
    Text { text: &'a [u8], start: usize, origins: Option<&'a [usize]> },
}

/// A text, or what follows a cut in one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub text: &'a [u8],
    pub place: Place,
}

/// Where a stretch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the start of the text.
    Start,
    /// After a cut, where nothing is put before it.
    AfterCut,
}

/// Whether to keep track of where normalized bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origins {
    Tracked,
    Untracked,
}

impl Tokenizer {
    /// Calls `visit` with each segment of the text until it returns false. Returns whether to go
    /// on.
    pub(crate) fn each_segment(
        &self,
        stretch: Stretch<'_>,
        matchers: &Matchers,
        origins: Origins,
        poll: Poll<'_>,
        visit: &mut dyn FnMut(Segment<'_>, Poll<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let text = stretch.text;
        self.check_alphabet(text)?;
        let mut from = 0;
        for found in matchers.raw.matches(text) {
            let before = from..found.start;
            let token = Segment::Token { id: found.id, source: found.start..found.end };
            let go_on = self
                .normalized_segments(stretch, before, matchers, origins, poll, visit)?
                && visit(token, poll)?;
            if !go_on {
                return Ok(false);
            }
            from = found.end;
        }
        self.normalized_segments(stretch, from..text.len(), matchers, origins, poll, visit)
    }

    fn check_alphabet(&self, text: &[u8]) -> Result<()> {
        let Some(foreign) = &self.foreign else { return Ok(()) };
        match text.iter().position(|&byte| foreign[byte as usize]) {
            None => Ok(()),
            Some(at) => Err(Error::Argument(format!(
                "byte 0x{:02x} at offset {at} is not in the alphabet of this tokenizer",
                text[at]
            ))),
        }
    }

    /// The second round: normalized text, and the added tokens that are matched in it.
    fn normalized_segments(
        &self,
        stretch: Stretch<'_>,
        source: Range<usize>,
        matchers: &Matchers,
        origins: Origins,
        poll: Poll<'_>,
        visit: &mut dyn FnMut(Segment<'_>, Poll<'_>) -> Result<bool>,
    ) -> Result<bool> {
        if source.is_empty() {
            return Ok(true);
        }
        let part = &stretch.text[source.clone()];
        let start = source.start;
        let place = if start == 0 { stretch.place } else { Place::Start };
        let (normalizer, at_start) = match place {
            Place::Start => (&self.normalizer, start == 0),
            Place::AfterCut => (&self.inner, false),
        };
        if origins == Origins::Untracked {
            let text = &normalizer.normalize(part, at_start, poll)?;
            let normal = Normal { text, start, map: None, place, origins };
            return self.matched_segments(normal, matchers, poll, visit);
        }
        match normalizer.normalize_aligned(part, at_start, poll)? {
            Some((text, mut map)) => {
                map.iter_mut().for_each(|at| *at += start);
                let normal = Normal { text: &text, start, map: Some(&map), place, origins };
                self.matched_segments(normal, matchers, poll, visit)
            }
            None => {
                let normal = Normal { text: part, start, map: None, place, origins };
                self.matched_segments(normal, matchers, poll, visit)
            }
        }
    }

    fn matched_segments(
        &self,
        normal: Normal<'_>,
        matchers: &Matchers,
        poll: Poll<'_>,
        visit: &mut dyn FnMut(Segment<'_>, Poll<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut from = 0;
        for found in matchers.normalized.matches(normal.text) {
            let source = normal.origin(found.start)..normal.origin(found.end);
            let go_on = self.prefixed_segment(normal, from..found.start, poll, visit)?
                && visit(Segment::Token { id: found.id, source }, poll)?;
            if !go_on {
                return Ok(false);
            }
            from = found.end;
        }
        self.prefixed_segment(normal, from..normal.text.len(), poll, visit)
    }

    fn prefixed_segment(
        &self,
        normal: Normal<'_>,
        range: Range<usize>,
        poll: Poll<'_>,
        visit: &mut dyn FnMut(Segment<'_>, Poll<'_>) -> Result<bool>,
    ) -> Result<bool> {
        if range.is_empty() {
            return Ok(true);
        }
        let part = &normal.text[range.clone()];
        let start = normal.start + range.start;
        let origins = normal.map.map(|map| &map[range.start..=range.end]);
        if normal.place == Place::AfterCut && range.start == 0 {
            return visit(Segment::Text { text: part, start, origins }, poll);
        }
        if normal.origins == Origins::Untracked {
            let text = &self.prefixer.normalize(part, start == 0, poll)?;
            return visit(Segment::Text { text, start, origins }, poll);
        }
        match self.prefixer.normalize_aligned(part, start == 0, poll)? {
            Some((text, mut map)) => {
                map.iter_mut().for_each(|at| *at = normal.origin(range.start + *at));
                visit(Segment::Text { text: &text, start, origins: Some(&map) }, poll)
            }
            None => visit(Segment::Text { text: part, start, origins }, poll),
        }
    }
}

/// The normalized text between two added tokens of the first round. Byte `i` comes from byte
/// `map[i]` of the input, or from byte `start + i` where nothing was changed or nothing is tracked.
#[derive(Clone, Copy)]
struct Normal<'a> {
    text: &'a [u8],
    start: usize,
    map: Option<&'a [usize]>,
    place: Place,
    origins: Origins,
}

impl Normal<'_> {
    fn origin(&self, at: usize) -> usize {
        self.map.map_or(self.start + at, |map| map[at])
    }
}
