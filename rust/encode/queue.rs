//! Pieces that wait to be merged together, and the ids between which theirs belong.
//!
//! Ids of pieces that the cache has are set down at once, side by side; a piece that it has not got
//! leaves only a note of where it stands between them. When enough of them have come together they
//! are merged abreast, and then all ids go to the output in their order.

use std::ops::Range;

use super::cache::{Asked, NARROW, ROOM, STRIDE, copy};
use crate::pretokenize::Span;
use crate::token::TokenId;

/// Ids that are set down before all go to the output.
const STAGE: usize = 2048;
/// Room beyond that for one more piece that is remembered as a whole, and for copying too much.
const SLACK: usize = 128;

/// A stretch of text whose ids are to be found.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub span: Span,
    pub asked: Asked,
    /// Whether it is to be remembered.
    pub keep: bool,
    /// Where its ids are, once found.
    pub ids: Range<usize>,
}

/// A place among the ids set down.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    item: usize,
    /// Ids that this place and those before it add.
    shift: usize,
}

/// A piece whose ids are those of its parts, to be remembered as a whole.
#[derive(Debug, Clone, Copy)]
struct Whole {
    span: Span,
    asked: Asked,
    start: Edge,
    end: Edge,
}

/// A border between ids: how many are set down and how many places there are before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    at: usize,
    places: usize,
}

/// What is set down, and what waits.
#[derive(Debug)]
pub(crate) struct Queue {
    pub items: Vec<Item>,
    /// The ids of the items.
    pub found: Vec<TokenId>,
    set: Vec<TokenId>,
    len: usize,
    places: Vec<Place>,
    wholes: Vec<Whole>,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            items: Vec::new(),
            found: Vec::new(),
            set: vec![0; STAGE + SLACK],
            len: 0,
            places: Vec::new(),
            wholes: Vec::new(),
        }
    }
}

impl Queue {
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.found.clear();
        self.len = 0;
        self.places.clear();
        self.wholes.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0 && self.places.is_empty()
    }

    /// Whether it is time to settle: `most` pieces wait, or there is little room left.
    #[inline]
    pub(crate) fn is_full(&self, most: usize) -> bool {
        self.places.len() >= most || self.len >= STAGE
    }

    /// Sets down `ids[..count]`.
    #[inline(always)]
    pub(crate) fn set_some(&mut self, ids: &[TokenId; ROOM], count: usize) {
        self.set[self.len..self.len + ROOM].copy_from_slice(ids);
        self.len += count;
    }

    /// Sets down the ids that `write` writes and counts.
    pub(crate) fn set(
        &mut self,
        write: impl FnOnce(&mut [TokenId]) -> Option<usize>,
    ) -> Option<usize> {
        let count = write(&mut self.set[self.len..])?;
        self.len += count;
        Some(count)
    }

    /// Notes that the ids of a piece belong here, which is of at most [`NARROW`] bytes and to be
    /// remembered.
    #[inline]
    pub(crate) fn push_narrow(&mut self, span: Span, asked: Asked) {
        let same = |item: &Item| item.keep && item.asked.key == asked.key;
        let item = self.items.iter().position(same).unwrap_or_else(|| {
            self.items.push(Item { span, asked, keep: true, ids: 0..0 });
            self.items.len() - 1
        });
        self.places.push(Place { at: self.len, item, shift: 0 });
    }

    /// Notes that the ids of a piece belong here, and whether it is to be remembered.
    pub(crate) fn push(&mut self, span: Span, asked: Asked, keep: bool) {
        if keep && span.end - span.start <= NARROW {
            return self.push_narrow(span, asked);
        }
        self.places.push(Place { at: self.len, item: self.items.len(), shift: 0 });
        self.items.push(Item { span, asked, keep, ids: 0..0 });
    }

    /// The border that is reached.
    pub(crate) fn edge(&self) -> Edge {
        Edge { at: self.len, places: self.places.len() }
    }

    /// Notes that a piece is to be remembered with the ids from `start` to here.
    pub(crate) fn push_whole(&mut self, span: Span, asked: Asked, start: Edge) {
        self.wholes.push(Whole { span, asked, start, end: self.edge() });
    }

    /// Appends all ids in their order, once those of the items are found.
    pub(crate) fn flow(&mut self, out: &mut Vec<TokenId>) {
        let added: usize = self.places.iter().map(|place| self.items[place.item].ids.len()).sum();
        let start = out.len();
        out.resize(start + self.len + added + STRIDE, 0);
        self.found.resize(self.found.len() + STRIDE, 0);
        let (mut from, mut to) = (0, start);
        for place in &mut self.places {
            copy(&self.set, from, out, to, place.at - from);
            to += place.at - from;
            from = place.at;
            let ids = self.items[place.item].ids.clone();
            copy(&self.found, ids.start, out, to, ids.len());
            to += ids.len();
            place.shift = to - start - from;
        }
        copy(&self.set, from, out, to, self.len - from);
        out.truncate(to + self.len - from);
    }

    /// The pieces to remember and where among the ids appended by [`Queue::flow`] theirs are.
    pub(crate) fn wholes(&self) -> impl Iterator<Item = (Span, Asked, Range<usize>)> {
        let shifted = |edge: Edge| {
            edge.at + edge.places.checked_sub(1).map_or(0, |last| self.places[last].shift)
        };
        self.wholes
            .iter()
            .map(move |whole| (whole.span, whole.asked, shifted(whole.start)..shifted(whole.end)))
    }
}
