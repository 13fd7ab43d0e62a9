//! Kinds of characters: two characters are of one kind when no set of the pattern tells them apart.
//!
//! The matcher reads kinds, of which a pattern has few. A table gives the kind of an ASCII byte, a
//! two-level table (pages of 256 code points, uniform pages shared) that of any other character.

use std::collections::HashMap;

use regex_syntax::hir::ClassUnicode;

use super::chars;

const PAGE: usize = 256;
const CODE_POINTS: usize = 0x11_0000;

/// Most kinds that a pattern may have; rows of the matcher's tables are as long.
pub(super) const MAX_KINDS: usize = 1024;

/// The kinds of one pattern; the edge of the text counts as one more kind, the last.
#[derive(Debug)]
pub(super) struct Alphabet {
    ascii: [u16; 128],
    page_of: Vec<u16>,
    pages: Vec<[u16; PAGE]>,
    kinds: usize,
}

/// The kinds, and for each set and each kind whether the set holds it; `None` when too many.
pub(super) fn partition(sets: &[&ClassUnicode]) -> Option<(Alphabet, Vec<Vec<bool>>)> {
    let mut builder = Builder::new();
    let words = sets.len().div_ceil(64).max(1);
    let mut events = Vec::new();
    for (index, set) in sets.iter().enumerate() {
        for range in set.iter() {
            events.push((range.start() as usize, index));
            events.push((range.end() as usize + 1, index));
        }
    }
    events.sort_unstable();
    let mut kinds: HashMap<Vec<u64>, u16> = HashMap::new();
    let mut members: Vec<Vec<u64>> = Vec::new();
    let mut signature = vec![0u64; words];
    let mut start = 0;
    let mut events = events.into_iter().peekable();
    while start < CODE_POINTS {
        while let Some((_, set)) = events.next_if(|(at, _)| *at <= start) {
            signature[set / 64] ^= 1 << (set % 64);
        }
        let end = events.peek().map_or(CODE_POINTS, |(at, _)| (*at).min(CODE_POINTS));
        let kind = match kinds.get(&signature) {
            Some(kind) => *kind,
            None => {
                let kind =
                    u16::try_from(members.len()).ok().filter(|_| members.len() < MAX_KINDS)?;
                kinds.insert(signature.clone(), kind);
                members.push(signature.clone());
                kind
            }
        };
        builder.fill(start, end, kind);
        start = end;
    }
    let table = (0..sets.len())
        .map(|set| members.iter().map(|m| m[set / 64] >> (set % 64) & 1 == 1).collect())
        .collect();
    Some((builder.finish(members.len()), table))
}

impl Alphabet {
    /// The number of kinds, without the edge.
    pub fn kinds(&self) -> usize {
        self.kinds
    }

    /// The kind of the edge of the text.
    #[inline]
    pub fn edge(&self) -> usize {
        self.kinds
    }

    /// The kind and the length of the character at `at`; the edge, of length 0, at the end.
    #[inline]
    pub fn at(&self, text: &[u8], at: usize) -> (usize, usize) {
        match text.get(at) {
            None => (self.edge(), 0),
            Some(byte) if *byte < 0x80 => (usize::from(self.ascii[usize::from(*byte)]), 1),
            Some(_) => {
                let (code, width) = chars::decode(text, at);
                (self.kind(code), width)
            }
        }
    }

    /// The kind and the length of the character that ends at `end`; the edge, of length 0, at 0.
    pub fn before(&self, text: &[u8], end: usize) -> (usize, usize) {
        if end == 0 {
            return (self.edge(), 0);
        }
        let (code, width) = chars::decode_last(text, end);
        (self.kind(code), width)
    }

    /// The kind of a code point.
    #[inline]
    pub fn kind(&self, code: u32) -> usize {
        let code = code as usize;
        usize::from(self.pages[usize::from(self.page_of[code / PAGE])][code % PAGE])
    }
}

struct Builder {
    page_of: Vec<u16>,
    pages: Vec<[u16; PAGE]>,
    uniform: HashMap<u16, u16>,
    current: [u16; PAGE],
}

impl Builder {
    fn new() -> Builder {
        Builder {
            page_of: Vec::with_capacity(CODE_POINTS / PAGE),
            pages: Vec::new(),
            uniform: HashMap::new(),
            current: [0; PAGE],
        }
    }

    /// Gives the code points `start..end` their kind; calls follow each other without a gap.
    fn fill(&mut self, start: usize, end: usize, kind: u16) {
        let mut start = start;
        while start < end {
            let whole = if start.is_multiple_of(PAGE) { (end - start) / PAGE } else { 0 };
            if whole > 0 {
                let page = self.uniform_page(kind);
                self.page_of.resize(self.page_of.len() + whole, page);
                start += whole * PAGE;
                continue;
            }
            let stop = end.min((start / PAGE + 1) * PAGE);
            self.current[start % PAGE..=(stop - 1) % PAGE].fill(kind);
            if stop.is_multiple_of(PAGE) {
                let page = self.push_page(self.current);
                self.page_of.push(page);
            }
            start = stop;
        }
    }

    fn uniform_page(&mut self, kind: u16) -> u16 {
        if let Some(page) = self.uniform.get(&kind) {
            return *page;
        }
        let page = self.push_page([kind; PAGE]);
        self.uniform.insert(kind, page);
        page
    }

    fn push_page(&mut self, page: [u16; PAGE]) -> u16 {
        self.pages.push(page);
        u16::try_from(self.pages.len() - 1).expect("there are 4352 pages at most")
    }

    fn finish(self, kinds: usize) -> Alphabet {
        let first = &self.pages[usize::from(self.page_of[0])];
        let ascii = std::array::from_fn(|byte| first[byte]);
        Alphabet { ascii, page_of: self.page_of, pages: self.pages, kinds }
    }
}
