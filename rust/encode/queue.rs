//! Pieces that wait to be merged together, and the ids between which theirs belong.
//!
//! Ids of pieces that the cache has are set down at once, side by side; a piece that it has not got
//! leaves only a note of where it stands between them. When enough of them have come together they
//! are merged abreast, and then all ids go to the output in their order.

use std::ops::Range;

use super::cache::{Asked, Cache, NARROW, ROOM, STRIDE, Slot, copy};
use crate::key::Key;
use crate::pretokenize::Span;
use crate::token::TokenId;

/// Ids that are set down before all go to the output.
const STAGE: usize = 2048;
/// Room beyond that for the ids of one more piece that the cache has, and for copying too much.
const SLACK: usize = 64 + STRIDE;

/// Whether a piece is looked at for places to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Never,
    Perhaps,
}

/// A stretch of text whose ids are to be found.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub span: Span,
    pub asked: Asked,
    pub cut: Cut,
    /// Whether it is to be remembered.
    pub keep: bool,
    /// Where its ids are, once found.
    pub ids: Range<usize>,
}

impl Item {
    pub(crate) fn new(span: Span, asked: Asked, cut: Cut, keep: bool) -> Item {
        Item { span, asked, cut, keep, ids: 0..0 }
    }
}

/// A place among the ids set down.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    item: usize,
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
    /// For the hash of each item that is remembered, one bit of 64.
    seen: u64,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            items: Vec::new(),
            found: Vec::new(),
            set: vec![0; STAGE + SLACK],
            len: 0,
            places: Vec::new(),
            seen: 0,
        }
    }
}

impl Queue {
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.found.clear();
        self.len = 0;
        self.places.clear();
        self.seen = 0;
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

    /// Sets down one id.
    pub(crate) fn set_one(&mut self, id: TokenId) {
        self.set[self.len] = id;
        self.len += 1;
    }

    /// Sets down the ids of a slot that holds more than [`ROOM`].
    pub(crate) fn set_packed(&mut self, cache: &Cache, slot: &Slot<Key, ROOM>) {
        self.len += cache.write(slot, &mut self.set[self.len..]);
    }

    /// Sets down the ids of a piece of more than [`NARROW`] bytes; false when the cache has not got
    /// it.
    pub(crate) fn set_longer(&mut self, cache: &Cache, piece: &[u8], asked: Asked) -> bool {
        let count = cache.get_longer(piece, asked, &mut self.set[self.len..]);
        self.len += count.unwrap_or(0);
        count.is_some()
    }

    /// Notes that the ids of a piece belong here, which has at most [`NARROW`] bytes, is not cut and
    /// is to be remembered.
    #[inline]
    pub(crate) fn push_narrow(&mut self, span: Span, asked: Asked) {
        self.push_once(Item::new(span, asked, Cut::Never, true));
    }

    /// Notes that the ids of a piece belong here.
    pub(crate) fn push(&mut self, item: Item) {
        if item.keep && item.span.end - item.span.start <= NARROW {
            return self.push_once(item);
        }
        self.places.push(Place { at: self.len, item: self.items.len() });
        self.items.push(item);
    }

    #[inline]
    fn push_once(&mut self, item: Item) {
        let same = |other: &Item| other.keep && other.asked.key == item.asked.key;
        let bit = 1 << (item.asked.hash >> 58);
        let found = (self.seen & bit != 0).then(|| self.items.iter().position(same)).flatten();
        self.seen |= bit;
        let at = found.unwrap_or(self.items.len());
        self.places.push(Place { at: self.len, item: at });
        if at == self.items.len() {
            self.items.push(item);
        }
    }

    /// Appends all ids in their order, once those of the items are found.
    pub(crate) fn flow(&mut self, out: &mut Vec<TokenId>) {
        let added: usize = self.places.iter().map(|place| self.items[place.item].ids.len()).sum();
        let mut to = out.len();
        out.resize(to + self.len + added + STRIDE, 0);
        self.found.resize(self.found.len() + STRIDE, 0);
        let mut from = 0;
        for place in &self.places {
            copy(&self.set, from, out, to, place.at - from);
            to += place.at - from;
            from = place.at;
            let ids = &self.items[place.item].ids;
            copy(&self.found, ids.start, out, to, ids.len());
            to += ids.len();
        }
        copy(&self.set, from, out, to, self.len - from);
        out.truncate(to + self.len - from);
    }
}
