//! A thread's table of pieces and their counts.
//!
//! A piece of up to 15 bytes is its own key, inline beside its length in 16 bytes, so a hit reads
//! one half of a cache line and follows no pointer. Longer pieces live in an arena; their slots
//! hold the whole hash, so a piece is compared only where it almost surely is the one. Slots are
//! prefetched a group of pieces ahead. The hash is seeded at random: nobody can write a text that
//! makes the table slow, and no order of the table reaches a result.

use std::hash::{BuildHasher, RandomState};

use super::merge::prefix;
use crate::error::{Poll, Result};
use crate::key::fold;
use crate::pretokenize::Span;
use crate::simd::huge;
use crate::simd::prefetch;

/// Pieces that are looked up together.
pub(super) const GROUP: usize = 128;
/// Longest piece that is its own key.
const INLINE: usize = 15;
const FIRST_SLOTS: usize = 1 << 12;
/// Entries that are sorted at a time: so few that Ctrl-C need not wait.
const PART: usize = 1 << 18;

/// A piece of up to 15 bytes, zero-padded, its length in the last byte; vacant when `count` is 0.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(32))]
struct Short {
    key: u128,
    count: u64,
}

/// A longer piece: its place in the arena; vacant when `count` is 0.
#[derive(Debug, Clone, Copy, Default)]
struct Long {
    hash: u64,
    start: usize,
    len: usize,
    count: u64,
}

/// Pieces and their counts.
#[derive(Debug)]
pub(super) struct Table {
    short: huge::Table<Short>,
    short_used: usize,
    long: huge::Table<Long>,
    long_used: usize,
    arena: Vec<u8>,
    seeds: [u64; 2],
    most_bytes: usize,
}

impl Table {
    /// An empty table that takes at most about `most_bytes`.
    pub(super) fn new(most_bytes: usize) -> Table {
        let random = RandomState::new();
        Table {
            short: huge::Table::filled(FIRST_SLOTS, Short::default()),
            short_used: 0,
            long: huge::Table::filled(FIRST_SLOTS, Long::default()),
            long_used: 0,
            arena: Vec::new(),
            seeds: [random.hash_one(1), random.hash_one(2)],
            most_bytes,
        }
    }

    /// Number of different pieces.
    pub(super) fn len(&self) -> usize {
        self.short_used + self.long_used
    }

    /// Makes room for another group of pieces; false when the table may not grow any more.
    pub(super) fn make_room(&mut self) -> bool {
        let fits = |used: usize, slots: usize| 8 * (used + GROUP) <= 5 * slots;
        // Denser than that it is slower, but a run on disk costs more.
        let squeezes = |used: usize, slots: usize| 8 * (used + GROUP) <= 7 * slots;
        if self.bytes() > self.most_bytes && self.len() > 0 {
            return false;
        }
        let mut room = true;
        if !fits(self.short_used, self.short.len()) {
            if self.may_grow(2 * size_of_val(&*self.short)) {
                self.grow_short();
            } else {
                room &= squeezes(self.short_used, self.short.len());
            }
        }
        if !fits(self.long_used, self.long.len()) {
            if self.may_grow(2 * size_of_val(&*self.long)) {
                self.grow_long();
            } else {
                room &= squeezes(self.long_used, self.long.len());
            }
        }
        room
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.short) + size_of_val(&*self.long) + self.arena.len()
    }

    fn may_grow(&self, by: usize) -> bool {
        self.bytes().saturating_add(by) <= self.most_bytes
    }

    /// Counts the pieces of a group, for which there is room.
    pub(super) fn add(&mut self, text: &[u8], spans: &[Span]) {
        let mut keys = [0; GROUP];
        let mut homes = [0; GROUP];
        let mut shorts = 0;
        for span in spans {
            let len = span.end - span.start;
            if len > INLINE {
                self.add_long(&text[span.start..span.end]);
                continue;
            }
            let key = short_key(text, span.start, len);
            let home = self.home(key);
            prefetch(&self.short, home);
            keys[shorts] = key;
            homes[shorts] = home;
            shorts += 1;
        }
        for (&key, &home) in keys[..shorts].iter().zip(&homes[..shorts]) {
            self.add_short(key, home);
        }
    }

    #[inline]
    fn add_short(&mut self, key: u128, home: usize) {
        let slots = &mut *self.short;
        let last = slots.len() - 1;
        let mut at = home;
        loop {
            let slot = &mut slots[at & last];
            if slot.key == key {
                slot.count += 1;
                return;
            }
            if slot.count == 0 {
                *slot = Short { key, count: 1 };
                self.short_used += 1;
                return;
            }
            at += 1;
        }
    }

    fn add_long(&mut self, piece: &[u8]) {
        let hash = self.long_hash(piece);
        let last = self.long.len() - 1;
        let mut at = hash as usize;
        loop {
            let slot = &mut self.long[at & last];
            if slot.count == 0 {
                let (start, len) = (self.arena.len(), piece.len());
                *slot = Long { hash, start, len, count: 1 };
                self.arena.extend_from_slice(piece);
                self.long_used += 1;
                return;
            }
            let found = slot.start..slot.start + slot.len;
            if slot.hash == hash && self.arena[found] == *piece {
                slot.count += 1;
                return;
            }
            at += 1;
        }
    }

    #[inline]
    fn home(&self, key: u128) -> usize {
        let hash = fold(key as u64 ^ self.seeds[0], (key >> 64) as u64 ^ self.seeds[1]);
        hash as usize & (self.short.len() - 1)
    }

    fn long_hash(&self, piece: &[u8]) -> u64 {
        let (words, rest) = piece.as_chunks::<16>();
        let mut hash = self.seeds[1];
        for word in words {
            hash = mixed(hash, u128::from_le_bytes(*word), self.seeds);
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        mixed(hash, u128::from_le_bytes(last), self.seeds) ^ piece.len() as u64
    }

    fn grow_short(&mut self) {
        let larger = huge::Table::filled(2 * self.short.len(), Short::default());
        let old = std::mem::replace(&mut self.short, larger);
        let last = self.short.len() - 1;
        for slot in old.iter().filter(|slot| slot.count != 0) {
            let mut at = self.home(slot.key);
            while self.short[at].count != 0 {
                at = (at + 1) & last;
            }
            self.short[at] = *slot;
        }
    }

    fn grow_long(&mut self) {
        let larger = huge::Table::filled(2 * self.long.len(), Long::default());
        let old = std::mem::replace(&mut self.long, larger);
        let last = self.long.len() - 1;
        for slot in old.iter().filter(|slot| slot.count != 0) {
            let mut at = slot.hash as usize & last;
            while self.long[at].count != 0 {
                at = (at + 1) & last;
            }
            self.long[at] = *slot;
        }
    }

    /// The entries in the order of their bytes, sorted where they are.
    pub(super) fn sorted(mut self, poll: Poll<'_>) -> Result<Sorted> {
        let shorts = gather(&mut self.short, |slot| slot.count != 0, poll)?;
        let longs = gather(&mut self.long, |slot| slot.count != 0, poll)?;
        for part in self.short[..shorts].chunks_mut(PART) {
            poll()?;
            // Of two keys that begin alike, the shorter has zeros, or else the smaller length.
            part.sort_unstable_by_key(|slot| slot.key.swap_bytes());
        }
        let arena = &self.arena;
        let piece = |slot: &Long| &arena[slot.start..slot.start + slot.len];
        for part in self.long[..longs].chunks_mut(PART) {
            poll()?;
            // The hash has done its work: its place takes what sorts.
            part.iter_mut().for_each(|slot| slot.hash = prefix(piece(slot)));
            part.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| piece(a).cmp(piece(b))));
        }
        Ok(Sorted { table: self, shorts, longs })
    }
}

#[inline]
fn mixed(hash: u64, word: u128, seeds: [u64; 2]) -> u64 {
    fold(hash ^ word as u64, (word >> 64) as u64 ^ seeds[0])
}

/// Moves the items that are wanted to the front, and says how many.
fn gather<T: Copy>(items: &mut [T], wanted: impl Fn(&T) -> bool, poll: Poll<'_>) -> Result<usize> {
    let mut kept = 0;
    for at in 0..items.len() {
        if at.is_multiple_of(PART) {
            poll()?;
        }
        if wanted(&items[at]) {
            items[kept] = items[at];
            kept += 1;
        }
    }
    Ok(kept)
}

#[inline]
fn short_key(text: &[u8], start: usize, len: usize) -> u128 {
    let word = match text[start..].first_chunk::<16>() {
        Some(bytes) => u128::from_le_bytes(*bytes),
        None => padded(&text[start..start + len]),
    };
    word & MASKS[len] | (len as u128) << 120
}

const MASKS: [u128; INLINE + 1] = {
    let mut masks = [0; INLINE + 1];
    let mut len = 1;
    while len <= INLINE {
        masks[len] = u128::MAX >> (128 - 8 * len);
        len += 1;
    }
    masks
};

#[cold]
fn padded(bytes: &[u8]) -> u128 {
    let mut chunk = [0; 16];
    chunk[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(chunk)
}

/// A table whose entries stand in order, part by part, the short ones and the long ones each on
/// their own.
#[derive(Debug)]
pub(super) struct Sorted {
    table: Table,
    shorts: usize,
    longs: usize,
}

impl Sorted {
    /// The lists of short pieces.
    pub(super) fn shorts(&self) -> impl Iterator<Item = impl Iterator<Item = (Piece, u64)>> {
        self.table.short[..self.shorts].chunks(PART).map(|part| {
            part.iter().map(|slot| {
                let bytes = slot.key.to_le_bytes();
                (Piece { bytes, len: usize::from(bytes[INLINE]) }, slot.count)
            })
        })
    }

    /// The lists of longer pieces.
    pub(super) fn longs(&self) -> impl Iterator<Item = impl Iterator<Item = (&[u8], u64)>> {
        let arena = &self.table.arena[..];
        self.table.long[..self.longs].chunks(PART).map(move |part| {
            part.iter().map(move |slot| (&arena[slot.start..slot.start + slot.len], slot.count))
        })
    }
}

/// A short piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    bytes: [u8; 16],
    len: usize,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
