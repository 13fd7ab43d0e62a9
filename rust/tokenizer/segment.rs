//! Text on its way to the model: added tokens taken out, the rest normalized, in two rounds.
//!
//! Some added tokens are matched in the text as it is; what lies between them is normalized, and
//! then the other added tokens are matched in that.

use std::ops::Range;

use super::Tokenizer;
use super::special::Matchers;
use crate::error::{Error, Result};
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
        visit: &mut dyn FnMut(Segment<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let text = stretch.text;
        self.check_alphabet(text)?;
        let mut from = 0;
        for found in matchers.raw.matches(text) {
            let go_on =
                self.normalized_segments(stretch, from..found.start, matchers, origins, visit)?
                    && visit(Segment::Token { id: found.id, source: found.start..found.end })?;
            if !go_on {
                return Ok(false);
            }
            from = found.end;
        }
        self.normalized_segments(stretch, from..text.len(), matchers, origins, visit)
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
        visit: &mut dyn FnMut(Segment<'_>) -> Result<bool>,
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
        if origins == Origins::Tracked {
            let (normal, mut map) = normalizer.normalize_aligned(part, at_start)?;
            map.iter_mut().for_each(|at| *at += start);
            return self.matched_segments(&normal, start, Some(&map), place, matchers, visit);
        }
        let normal = normalizer.normalize(part, at_start)?;
        self.matched_segments(&normal, start, None, place, matchers, visit)
    }

    fn matched_segments(
        &self,
        text: &[u8],
        base: usize,
        map: Option<&[usize]>,
        place: Place,
        matchers: &Matchers,
        visit: &mut dyn FnMut(Segment<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut from = 0;
        let origin = |at: usize| map.map_or(base + at, |map| map[at]);
        for found in matchers.normalized.matches(text) {
            let source = origin(found.start)..origin(found.end);
            let before = from..found.start;
            let go_on = self.prefixed_segment(text, before, base, map, place, visit)?
                && visit(Segment::Token { id: found.id, source })?;
            if !go_on {
                return Ok(false);
            }
            from = found.end;
        }
        self.prefixed_segment(text, from..text.len(), base, map, place, visit)
    }

    fn prefixed_segment(
        &self,
        text: &[u8],
        range: Range<usize>,
        base: usize,
        map: Option<&[usize]>,
        place: Place,
        visit: &mut dyn FnMut(Segment<'_>) -> Result<bool>,
    ) -> Result<bool> {
        if range.is_empty() {
            return Ok(true);
        }
        let part = &text[range.clone()];
        let start = base + range.start;
        if place == Place::AfterCut && range.start == 0 {
            return visit(Segment::Text { text: part, start, origins: map });
        }
        let Some(map) = map else {
            let text = &self.prefixer.normalize(part, start == 0)?;
            return visit(Segment::Text { text, start, origins: None });
        };
        let (text, inner) = &self.prefixer.normalize_aligned(part, start == 0)?;
        let origins: Vec<usize> = inner.iter().map(|&at| map[range.start + at]).collect();
        visit(Segment::Text { text, start, origins: Some(&origins) })
    }
}
