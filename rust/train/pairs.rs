//! Pairs of tokens: how often each stands in the text, and where.
//!
//! One open-addressing table. The places of all pairs lie in one arena that grows at its end and is
//! closed up when most of it is of no use; a single place is kept in the entry itself. Places ascend
//! and may be stale: whoever reads them checks the text. A pair that stands nowhere has no places, and
//! is forgotten when the table grows.

use super::Candidate;
use crate::simd::{huge, prefetch};
use crate::token::TokenId;

/// Left and right id.
pub(super) type Pair = (TokenId, TokenId);

/// No pair: both ids would be larger than any.
const VACANT: u64 = u64::MAX;
/// Lists that are joined may need more room than there is to be; then the arena is closed up earlier.
const MOST_PLACES: usize = 3 << 30;
const FIRST_SLOTS: usize = 1 << 12;

/// Where a pair stood when it was found: `len` places from `start` in the arena, or the one place
/// `start` itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    start: u32,
    len: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    count: u64,
    places: Places,
}

const EMPTY: Entry = Entry { key: VACANT, count: 0, places: Places { start: 0, len: 0 } };

#[derive(Debug)]
pub(super) struct Pairs {
    table: huge::Table<Entry>,
    shift: u32,
    used: usize,
    arena: Vec<u32>,
    /// Places in the arena that no pair has any more.
    unused: usize,
}

impl Places {
    /// The `len` places from `start` in an arena.
    pub(super) fn in_arena(arena: &[u32], start: u32, len: u32) -> Places {
        let start = if len == 1 { arena[start as usize] } else { start };
        Places { start, len }
    }
}

impl Pairs {
    /// No pairs yet, but places of those that will be added first.
    pub(super) fn new(arena: Vec<u32>) -> Pairs {
        Pairs { arena, ..Pairs::with_slots(FIRST_SLOTS) }
    }

    fn with_slots(slots: usize) -> Pairs {
        let table = huge::Table::filled(slots, EMPTY);
        Pairs { table, shift: 64 - slots.trailing_zeros(), used: 0, arena: Vec::new(), unused: 0 }
    }

    /// How often a pair stands in the text.
    #[inline]
    pub(super) fn count(&self, pair: Pair) -> u64 {
        self.table[self.slot(key(pair))].count
    }

    /// The pairs that stand somewhere, in no order that means anything.
    pub(super) fn standing(&self) -> impl Iterator<Item = Candidate> {
        let half = |key: u64, shift: u32| (key >> shift) as u32;
        self.table.iter().filter(|entry| entry.count > 0).map(move |entry| Candidate {
            left: half(entry.key, 32),
            right: half(entry.key, 0),
            count: entry.count,
        })
    }

    /// Starts loading what is known of a pair.
    #[inline]
    pub(super) fn prefetch(&self, pair: Pair) {
        prefetch(&self.table, home(key(pair), self.shift));
    }

    /// The pair stands `count` times less.
    #[inline]
    pub(super) fn subtract(&mut self, pair: Pair, count: u64) {
        let slot = self.slot(key(pair));
        let entry = &mut self.table[slot];
        entry.count = entry.count.saturating_sub(count);
        if entry.count == 0 {
            let places = std::mem::take(&mut entry.places);
            self.leave(places);
        }
    }

    /// The pair stands `count` times more, at these places too; returns how often it stands now.
    #[inline]
    pub(super) fn add(&mut self, pair: Pair, count: u64, places: Places) -> u64 {
        let key = key(pair);
        let slot = self.slot(key);
        let old = self.table[slot];
        if old.key == VACANT {
            self.table[slot] = Entry { key, count, places };
            self.used += 1;
            if self.used * 4 > self.table.len() * 3 {
                self.grow();
            }
            return count;
        }
        let places = self.united(old.places, places);
        self.table[slot] = Entry { key, count: old.count + count, places };
        old.count + count
    }

    /// Forgets a pair; returns how often it stood, and where.
    pub(super) fn remove(&mut self, pair: Pair) -> (u64, Places) {
        let slot = self.slot(key(pair));
        let entry = &mut self.table[slot];
        let found = (std::mem::take(&mut entry.count), std::mem::take(&mut entry.places));
        self.leave(found.1);
        found
    }

    /// Closes the gaps of the arena if they are more than what is left and `slack`. Places that are
    /// in no entry are then lost.
    pub(super) fn tidy(&mut self, slack: usize) {
        let full = self.arena.len() > MOST_PLACES;
        if !full && (self.unused <= slack || 2 * self.unused <= self.arena.len()) {
            return;
        }
        let listed = |entry: &Entry| entry.places.len > 1;
        // Where a list begins and its slot, in one word, which sorts without a look at the table.
        let word =
            |(slot, entry): (usize, &Entry)| u64::from(entry.places.start) << 32 | slot as u64;
        let entries = self.table.iter().enumerate().filter(|(_, entry)| listed(entry));
        let mut lists: Vec<u64> = entries.map(word).collect();
        lists.sort_unstable();
        let mut end = 0;
        for list in lists {
            let slot = list as u32;
            let places = &mut self.table[slot as usize].places;
            let (start, len) = (places.start as usize, places.len as usize);
            self.arena.copy_within(start..start + len, end);
            places.start = end as u32;
            end += len;
        }
        self.arena.truncate(end);
        self.arena.shrink_to_fit();
        self.unused = 0;
    }

    /// Room in the arena that is of no use any more.
    fn leave(&mut self, places: Places) {
        if places.len > 1 {
            self.unused += places.len as usize;
        }
    }

    /// Room for `len` places, each to be put.
    pub(super) fn reserve(&mut self, len: u32) -> Places {
        let start = self.arena.len() as u32;
        if len > 1 {
            self.arena.resize(self.arena.len() + len as usize, 0);
        }
        Places { start, len }
    }

    /// Writes the place number `index` of reserved room.
    #[inline]
    pub(super) fn put(&mut self, places: &mut Places, index: u32, place: u32) {
        if places.len == 1 {
            places.start = place;
        } else {
            self.arena[(places.start + index) as usize] = place;
        }
    }

    /// The places themselves, ascending.
    pub(super) fn places<'a>(&'a self, places: &'a Places) -> &'a [u32] {
        match places.len {
            1 => std::slice::from_ref(&places.start),
            len => &self.arena[places.start as usize..][..len as usize],
        }
    }

    /// Both lists as one. Only a token that was made before, by another merge, gets here.
    fn united(&mut self, one: Places, other: Places) -> Places {
        if one.len == 0 || other.len == 0 {
            return if one.len == 0 { other } else { one };
        }
        self.leave(one);
        self.leave(other);
        let mut all = [self.places(&one), self.places(&other)].concat();
        all.sort_unstable();
        all.dedup();
        let mut united = self.reserve(all.len() as u32);
        for (index, place) in (0..).zip(all) {
            self.put(&mut united, index, place);
        }
        united
    }

    #[inline]
    fn slot(&self, key: u64) -> usize {
        let mut slot = home(key, self.shift);
        while self.table[slot].key != key && self.table[slot].key != VACANT {
            slot = (slot + 1) & (self.table.len() - 1);
        }
        slot
    }

    /// A larger table, unless leaving out the pairs that stand nowhere makes room enough.
    fn grow(&mut self) {
        let alive = self.table.iter().filter(|entry| entry.count > 0).count();
        let slots = (2 * alive).next_power_of_two().max(FIRST_SLOTS);
        let mut larger = Pairs::with_slots(slots);
        for entry in self.table.iter().filter(|entry| entry.count > 0) {
            let slot = larger.slot(entry.key);
            larger.table[slot] = *entry;
        }
        larger.used = alive;
        larger.arena = std::mem::take(&mut self.arena);
        larger.unused = self.unused;
        *self = larger;
    }
}

#[inline]
fn key(pair: Pair) -> u64 {
    u64::from(pair.0) << 32 | u64::from(pair.1)
}

#[inline]
fn home(key: u64, shift: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize
}
