//! A rewriting of a text as a list of replaced ranges, with the source of every byte on request.

use std::iter::repeat_n;
use std::ops::Range;

use crate::error::{Poll, Result, Watch};

/// Collects the edits that one step makes, from left to right.
///
/// Nothing is copied before the first edit that changes a byte.
pub(super) struct Edits<'t, 'p> {
    /// Asked by every loop over the text; the error comes out at the end.
    pub watch: Watch<'p>,
    text: &'t [u8],
    taken: usize,
    out: Vec<u8>,
    sources: Option<Vec<usize>>,
    lead: Option<usize>,
    edited: bool,
}

/// What a step made of a text that it changed.
pub(super) struct Edited {
    pub bytes: Vec<u8>,
    /// For every byte the offset where its source begins, and the length of the input; only
    /// when sources were asked for.
    pub sources: Option<Vec<usize>>,
    /// Where the source of the first byte begins.
    pub lead: usize,
}

impl<'t, 'p> Edits<'t, 'p> {
    pub fn new(text: &'t [u8], poll: Poll<'p>) -> Self {
        let watch = Watch::new(poll);
        Self { watch, text, taken: 0, out: Vec::new(), sources: None, lead: None, edited: false }
    }

    /// As `new`, and the source of every byte is recorded.
    pub fn with_sources(text: &'t [u8], poll: Poll<'p>) -> Self {
        Self { sources: Some(Vec::new()), ..Self::new(text, poll) }
    }

    pub fn text(&self) -> &'t [u8] {
        self.text
    }

    /// Whether the source of every byte is recorded.
    pub fn are_tracked(&self) -> bool {
        self.sources.is_some()
    }

    /// Puts `with` in place of `range`; every new byte comes from the start of the range.
    pub fn replace(&mut self, range: Range<usize>, with: &[u8]) {
        if self.text[range.clone()] == *with {
            return;
        }
        self.begin(range.clone(), with.len());
        self.out.extend_from_slice(with);
        if let Some(sources) = &mut self.sources {
            sources.extend(repeat_n(range.start, with.len()));
        }
    }

    /// Removes `range`.
    pub fn cut(&mut self, range: Range<usize>) {
        self.replace(range, b"");
    }

    /// Puts `with` in place of `range`; `sources[i]` is where the source of byte `i` begins.
    pub fn splice(&mut self, range: Range<usize>, with: &[u8], sources: &[usize]) {
        if self.text[range.clone()] == *with {
            return;
        }
        self.begin(range, with.len());
        self.out.extend_from_slice(with);
        if let Some(all) = &mut self.sources {
            all.extend_from_slice(sources);
        }
    }

    /// Changes the bytes of `range` in place, byte for byte.
    pub fn recode(&mut self, range: Range<usize>, change: impl FnOnce(&mut [u8])) {
        self.begin(range.clone(), range.len());
        let start = self.out.len();
        self.out.extend_from_slice(&self.text[range.clone()]);
        change(&mut self.out[start..]);
        if let Some(sources) = &mut self.sources {
            sources.extend(range);
        }
    }

    /// The new text, or `None` when no edit changed anything.
    ///
    /// # Errors
    /// Those of `poll`, wherever it was asked.
    pub fn finish(mut self) -> Result<Option<Edited>> {
        if !self.edited {
            return self.watch.finish().map(|()| None);
        }
        self.keep_until(self.text.len());
        self.watch.finish()?;
        if let Some(sources) = &mut self.sources {
            sources.push(self.text.len());
        }
        let lead = self.lead.unwrap_or(self.text.len());
        Ok(Some(Edited { bytes: self.out, sources: self.sources, lead }))
    }

    fn begin(&mut self, range: Range<usize>, len: usize) {
        if !self.edited {
            self.edited = true;
            self.out.reserve(self.text.len() + len);
        }
        self.keep_until(range.start);
        if len > 0 {
            self.lead.get_or_insert(range.start);
        }
        self.taken = range.end;
    }

    fn keep_until(&mut self, end: usize) {
        let kept = self.taken..end;
        if kept.is_empty() {
            return;
        }
        self.lead.get_or_insert(kept.start);
        self.taken = end;
        let (mut at, mut pause) = (kept.start, Watch::next_pause(kept.start));
        while at < end && self.watch.passes(at, &mut pause) {
            let part = at..pause.min(end);
            self.out.extend_from_slice(&self.text[part.clone()]);
            at = part.end;
            if let Some(sources) = &mut self.sources {
                sources.extend(part);
            }
        }
    }
}

impl Edited {
    /// Both steps as one: `next` was made from the bytes of this one.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn followed_by(self, mut next: Edited, poll: Poll<'_>) -> Result<Edited> {
        const AT_ONCE: usize = 1 << 18;
        if let Some((first, second)) = self.sources.zip(next.sources.as_mut()) {
            for part in second.chunks_mut(AT_ONCE) {
                part.iter_mut().for_each(|source| *source = first[*source]);
                poll()?;
            }
        }
        Ok(next)
    }
}
