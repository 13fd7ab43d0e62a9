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
use crate::simd::{huge, prefetch};

/// Pieces that are looked up together.
pub(super) const GROUP: usize = 128;
/// Longest piece that is its own key.
const INLINE: usize = 15;
const FIRST_SLOTS: usize = 1 << 12;
/// Entries that are sorted at a time: so few that Ctrl-C need not wait.
const PART: usize = 1 << 20;

/// A slot of a piece of up to 15 bytes: its bytes, zero-padded, with its length in the last byte,
/// in two words; its count, 0 where the slot is vacant; an unused word.
///
/// A slot of a longer piece: its hash, its start and length in the arena, and its count likewise.
type Slot = [u64; 4];
type Slots = huge::Table<Slot>;

/// So many slots, all vacant. They are written before they are looked at: a page that is read
/// first is made twice, once to be read and once to be written.
fn zeroed(slots: usize) -> Slots {
    huge::Table::filled(slots, Slot::default())
}

/// Pieces and their counts.
#[derive(Debug)]
pub(super) struct Table {
    short: Slots,
    short_used: usize,
    long: Slots,
    long_used: usize,
    arena: Vec<u8>,
    /// Short pieces whose slots are asked for, with their homes.
    short_ahead: Box<[([u64; 2], usize); GROUP]>,
    /// Longer ones, with their hashes.
    long_ahead: Box<[(Span, u64); GROUP]>,
    seeds: [u64; 2],
    most_bytes: usize,
}

impl Table {
    /// An empty table that takes at most about `most_bytes`.
    pub(super) fn new(most_bytes: usize) -> Table {
        let random = RandomState::new();
        Table {
            short: zeroed(FIRST_SLOTS),
            short_used: 0,
            long: zeroed(FIRST_SLOTS),
            long_used: 0,
            arena: Vec::new(),
            short_ahead: Box::new([([0; 2], 0); GROUP]),
            long_ahead: Box::new([(Span::default(), 0); GROUP]),
            seeds: [random.hash_one(1), random.hash_one(2)],
            most_bytes,
        }
    }

    /// Number of different pieces.
    pub(super) fn len(&self) -> usize {
        self.short_used + self.long_used
    }

    /// Makes room for another group of pieces; false when the table may not grow any more.
    pub(super) fn make_room(&mut self, poll: Poll<'_>) -> Result<bool> {
        // Frequent pieces come early and stand at home or near it, rare ones look further; a larger
        // table costs more than that, in time too: its memory must be had.
        let fits = |used: usize, slots: usize| 16 * (used + GROUP) <= 13 * slots;
        // Denser than that it is slower, but a run on disk costs more.
        let squeezes = |used: usize, slots: usize| 8 * (used + GROUP) <= 7 * slots;
        if self.bytes() > self.most_bytes && self.len() > 0 {
            return Ok(false);
        }
        let mut room = true;
        if !fits(self.short_used, self.short.len()) {
            if self.may_grow(2 * size_of_val(&*self.short)) {
                self.grow_short(poll)?;
            } else {
                room &= squeezes(self.short_used, self.short.len());
            }
        }
        if !fits(self.long_used, self.long.len()) {
            if self.may_grow(2 * size_of_val(&*self.long)) {
                self.grow_long(poll)?;
            } else {
                room &= squeezes(self.long_used, self.long.len());
            }
        }
        Ok(room)
    }

    /// Bytes that the table takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.short) + size_of_val(&*self.long) + self.arena.len()
    }

    fn may_grow(&self, by: usize) -> bool {
        self.bytes().saturating_add(by) <= self.most_bytes
    }

    /// Counts the pieces of a group, for which there is room.
    pub(super) fn add(&mut self, text: &[u8], spans: &[Span]) {
        let (mut short_count, mut long_count) = (0, 0);
        for &span in spans {
            let len = span.end - span.start;
            if len <= INLINE {
                let key = short_key(text, span.start, len);
                let home = self.home(key);
                prefetch(&self.short, home);
                self.short_ahead[short_count] = (key, home);
                short_count += 1;
            } else {
                let hash = self.long_hash(&text[span.start..span.end]);
                prefetch(&self.long, hash as usize & (self.long.len() - 1));
                self.long_ahead[long_count] = (span, hash);
                long_count += 1;
            }
        }
        for at in 0..short_count {
            let (key, home) = self.short_ahead[at];
            self.add_short(key, home);
        }
        for at in 0..long_count {
            let (span, hash) = self.long_ahead[at];
            self.add_long(&text[span.start..span.end], hash);
        }
    }

    #[inline]
    fn add_short(&mut self, [low, high]: [u64; 2], home: usize) {
        let slots = &mut *self.short;
        let last = slots.len() - 1;
        let mut at = home;
        loop {
            let slot = &mut slots[at & last];
            if slot[0] == low && slot[1] == high {
                slot[2] += 1;
                return;
            }
            if slot[2] == 0 {
                *slot = [low, high, 1, 0];
                self.short_used += 1;
                return;
            }
            at += 1;
        }
    }

    fn add_long(&mut self, piece: &[u8], hash: u64) {
        let last = self.long.len() - 1;
        let mut at = hash as usize;
        loop {
            let slot = &mut self.long[at & last];
            if slot[3] == 0 {
                *slot = [hash, self.arena.len() as u64, piece.len() as u64, 1];
                self.arena.extend_from_slice(piece);
                self.long_used += 1;
                return;
            }
            if slot[0] == hash && bytes_of(&self.arena, slot) == piece {
                slot[3] += 1;
                return;
            }
            at += 1;
        }
    }

    #[inline]
    fn home(&self, [low, high]: [u64; 2]) -> usize {
        let hash = fold(low ^ self.seeds[0], high ^ self.seeds[1]);
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

    fn grow_short(&mut self, poll: Poll<'_>) -> Result<()> {
        let larger = zeroed(2 * self.short.len());
        let old = std::mem::replace(&mut self.short, larger);
        let last = self.short.len() - 1;
        for part in old.chunks(PART) {
            poll()?;
            for slot in part.iter().filter(|slot| slot[2] != 0) {
                let mut at = self.home([slot[0], slot[1]]);
                while self.short[at][2] != 0 {
                    at = (at + 1) & last;
                }
                self.short[at] = *slot;
            }
        }
        Ok(())
    }

    fn grow_long(&mut self, poll: Poll<'_>) -> Result<()> {
        let larger = zeroed(2 * self.long.len());
        let old = std::mem::replace(&mut self.long, larger);
        let last = self.long.len() - 1;
        for part in old.chunks(PART) {
            poll()?;
            for slot in part.iter().filter(|slot| slot[3] != 0) {
                let mut at = slot[0] as usize & last;
                while self.long[at][3] != 0 {
                    at = (at + 1) & last;
                }
                self.long[at] = *slot;
            }
        }
        Ok(())
    }

    /// The entries in the order of their bytes, sorted where they are.
    pub(super) fn sorted(mut self, poll: Poll<'_>) -> Result<Sorted> {
        let shorts = gather(&mut self.short, |slot| slot[2] != 0, poll)?;
        let longs = gather(&mut self.long, |slot| slot[3] != 0, poll)?;
        for part in self.short[..shorts].chunks_mut(PART) {
            poll()?;
            // Of two keys that begin alike, the shorter has zeros, or else the smaller length.
            part.sort_unstable_by_key(|&[low, high, ..]| {
                u128::from(low.swap_bytes()) << 64 | u128::from(high.swap_bytes())
            });
        }
        let arena = &self.arena;
        for part in self.long[..longs].chunks_mut(PART) {
            poll()?;
            // The hash has done its work: its place takes what sorts.
            part.iter_mut().for_each(|slot| slot[0] = prefix(bytes_of(arena, slot)));
            part.sort_unstable_by(|a, b| {
                a[0].cmp(&b[0]).then_with(|| bytes_of(arena, a).cmp(bytes_of(arena, b)))
            });
        }
        Ok(Sorted { table: self, shorts, longs })
    }
}

/// The bytes of a long piece.
#[inline]
fn bytes_of<'a>(arena: &'a [u8], &[_, start, len, _]: &Slot) -> &'a [u8] {
    &arena[start as usize..(start + len) as usize]
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
fn short_key(text: &[u8], start: usize, len: usize) -> [u64; 2] {
    let word = match text[start..].first_chunk::<16>() {
        Some(bytes) => u128::from_le_bytes(*bytes),
        None => padded(&text[start..start + len]),
    };
    let key = word & MASKS[len] | (len as u128) << 120;
    [key as u64, (key >> 64) as u64]
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
            part.iter().map(|&[low, high, count, _]| {
                let bytes = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
                (Piece { bytes, len: usize::from(bytes[INLINE]) }, count)
            })
        })
    }

    /// The lists of longer pieces.
    pub(super) fn longs(&self) -> impl Iterator<Item = impl Iterator<Item = (&[u8], u64)>> {
        let arena = &self.table.arena[..];
        self.table.long[..self.longs]
            .chunks(PART)
            .map(move |part| part.iter().map(move |slot| (bytes_of(arena, slot), slot[3])))
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
