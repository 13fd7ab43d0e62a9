//! The piece cache: text repeats itself, so most pieces are looked up, not merged.
//!
//! A key is the piece itself, inline beside its length, so a hit compares a few machine words and
//! never follows a pointer. Three tables: pieces of up to 15 bytes with 3 ids in half a cache line,
//! pieces of up to 31 bytes with 7 ids in one, and pieces of up to 63 bytes with 15 ids in two. Some
//! more ids fit when they are packed; still more live in an arena. The cache is bounded in bytes;
//! when a table is full a new piece replaces the one at its home slot, which keeps every probe chain
//! intact. Slots filled ahead with the short tokens of the vocabulary were tried: what they gain later
//! they cost in the first megabytes.

use crate::key::{self, Key, mix, padded};
use crate::pretokenize::Span;
use crate::simd::{huge, prefetch};
use crate::token::TokenId;

/// Longest piece with a place in the first table.
pub(crate) const NARROW: usize = key::MOST;
/// Longest piece with a place in the second table.
pub(crate) const WIDE: usize = 31;
/// Longest piece with a place in the third.
pub(crate) const BROAD: usize = 63;
/// Ids with a place of their own in the first table.
pub(crate) const ROOM: usize = 3;
/// Ids copied at a time.
pub(crate) const STRIDE: usize = 8;

/// What the slots of a new table take: little, so that a first call is not slow.
const FIRST_BYTES: usize = 1 << 17;

/// Tables of so many bytes lie on large pages, and grow where they are: new ones for every length would
/// each have to be cleared by the system, which for large pages takes as long as filling them. Smaller
/// ones, which are all that short texts need, do without, as one such page would make a first call
/// slow.
const LARGE: usize = 1 << 21;

/// A key: the bytes of a piece, zero-padded, and its length in the last byte.
pub(crate) trait Hashed: Copy + PartialEq + Default {
    fn hash(self) -> u64;
}

impl Hashed for Key {
    #[inline]
    fn hash(self) -> u64 {
        Key::hash(self)
    }
}

/// The key of a piece of at most `16 * WORDS - 1` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LongKey<const WORDS: usize>([u128; WORDS]);

impl<const WORDS: usize> Default for LongKey<WORDS> {
    fn default() -> Self {
        LongKey([0; WORDS])
    }
}

impl<const WORDS: usize> LongKey<WORDS> {
    fn new(piece: &[u8]) -> Self {
        let mut words = [0; WORDS];
        let (full, rest) = piece.as_chunks::<16>();
        for (word, chunk) in words.iter_mut().zip(full) {
            *word = u128::from_le_bytes(*chunk);
        }
        words[full.len()] = padded(rest);
        words[WORDS - 1] |= (piece.len() as u128) << 120;
        LongKey(words)
    }
}

impl<const WORDS: usize> Hashed for LongKey<WORDS> {
    #[inline]
    fn hash(self) -> u64 {
        self.0.iter().fold(0, |hash: u64, &word| hash.rotate_left(29) ^ mix(word))
    }
}

/// The three tables.
#[derive(Debug)]
pub(crate) struct Cache {
    narrow: Table<Key, ROOM>,
    wide: Table<LongKey<2>, 7>,
    broad: Table<LongKey<4>, 15>,
}

/// What a piece is looked up by: its key, if it is short, and the hash of its key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub key: Key,
    pub hash: u64,
}

impl Cache {
    /// Tables that together take at most about `bytes`.
    pub(crate) fn new(bytes: usize) -> Cache {
        Cache {
            narrow: Table::new(bytes / 2, bytes / 16),
            wide: Table::new(bytes / 4, bytes / 32),
            broad: Table::new(bytes / 8, bytes / 32),
        }
    }

    /// Starts loading where the ids of a piece are, if it may be here.
    #[inline(always)]
    pub(crate) fn ask(&self, text: &[u8], span: Span) -> Asked {
        match span.end - span.start {
            len if len <= NARROW => {
                let key = Key::in_text(text, span.start, len);
                let hash = key.hash();
                self.narrow.prefetch(hash);
                Asked { key, hash }
            }
            len if len <= BROAD => {
                let hash = self.ask_longer(&text[span.start..span.end]);
                Asked { key: Key::NONE, hash }
            }
            _ => Asked { key: Key::NONE, hash: 0 },
        }
    }

    #[inline(never)]
    fn ask_longer(&self, piece: &[u8]) -> u64 {
        if piece.len() <= WIDE {
            let hash = LongKey::<2>::new(piece).hash();
            self.wide.prefetch(hash);
            hash
        } else {
            let hash = LongKey::<4>::new(piece).hash();
            self.broad.prefetch(hash);
            hash
        }
    }

    /// The slot of a piece of at most [`NARROW`] bytes, if it is here.
    #[inline(always)]
    pub(crate) fn get(&self, asked: Asked) -> Option<&Slot<Key, ROOM>> {
        self.narrow.get(asked.key, asked.hash)
    }

    /// Writes the ids of a slot and says how many. `room` must hold as many ids as the piece has
    /// bytes and [`STRIDE`] more.
    pub(crate) fn write(&self, slot: &Slot<Key, ROOM>, room: &mut [TokenId]) -> usize {
        self.narrow.write(slot, room)
    }

    /// Writes the ids of a piece of more than [`NARROW`] bytes and at most [`BROAD`], if it is here,
    /// and says how many.
    pub(crate) fn get_longer(
        &self,
        piece: &[u8],
        asked: Asked,
        room: &mut [TokenId],
    ) -> Option<usize> {
        match piece.len() {
            len if len <= WIDE => {
                let slot = self.wide.get(LongKey::new(piece), asked.hash)?;
                Some(self.wide.write(slot, room))
            }
            _ => {
                let slot = self.broad.get(LongKey::new(piece), asked.hash)?;
                Some(self.broad.write(slot, room))
            }
        }
    }

    /// Remembers a piece of at most [`BROAD`] bytes.
    pub(crate) fn insert(&mut self, piece: &[u8], asked: Asked, ids: &[TokenId]) {
        match piece.len() {
            len if len <= NARROW => self.narrow.insert(asked.key, asked.hash, ids),
            len if len <= WIDE => self.wide.insert(LongKey::new(piece), asked.hash, ids),
            _ => self.broad.insert(LongKey::new(piece), asked.hash, ids),
        }
    }
}

/// One slot. Up to `IDS` ids stand in `ids`. A few more stand there and in `last` as 24 bits each,
/// one after the other; still more are in the arena, at the place that `ids[0]` says. The lowest 8
/// bits of `last` are how many there are, and 0 says that the slot is vacant.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct Slot<K, const IDS: usize> {
    key: K,
    pub ids: [TokenId; IDS],
    last: u32,
}

/// Bits of an id beside others.
const PACKED: usize = 24;
const PACKED_MASK: u32 = (1 << PACKED) - 1;

impl<K, const IDS: usize> Slot<K, IDS> {
    fn vacant() -> Self
    where
        K: Default,
    {
        Slot { key: K::default(), ids: [0; IDS], last: 0 }
    }

    /// Ids that fit when they are packed.
    const MOST: usize = IDS * 32 / PACKED + 1;

    /// How many ids there are.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        (self.last & 0xff) as usize
    }

    fn pack(&mut self, ids: &[TokenId]) {
        for (at, &id) in ids.iter().enumerate() {
            let (word, shift) = (PACKED * at / 32, PACKED * at % 32);
            if at + 1 == Self::MOST {
                self.last |= id << 8;
                return;
            }
            self.ids[word] |= id << shift;
            if shift + PACKED > 32 {
                self.ids[word + 1] |= id >> (32 - shift);
            }
        }
    }

    #[inline(always)]
    fn packed(&self, at: usize) -> TokenId {
        let (word, shift) = (PACKED * at / 32, PACKED * at % 32);
        if at + 1 == Self::MOST {
            return self.last >> 8;
        }
        let above = if shift + PACKED > 32 { self.ids[word + 1] } else { 0 };
        ((u64::from(above) << 32 | u64::from(self.ids[word])) >> shift) as u32 & PACKED_MASK
    }
}

/// One table of the cache.
#[derive(Debug)]
struct Table<K, const IDS: usize> {
    slots: huge::Table<Slot<K, IDS>>,
    used: usize,
    max_slots: usize,
    arena: Vec<TokenId>,
    max_arena: usize,
}

impl<K: Hashed, const IDS: usize> Table<K, IDS> {
    /// Slots of which the first is a home: as many as fit a cache line.
    const IN_LINE: usize = if size_of::<Slot<K, IDS>>() <= 32 { 2 } else { 1 };

    /// A table whose slots never take more than `bytes`, nor what does not fit them more than
    /// `arena_bytes`.
    fn new(bytes: usize, arena_bytes: usize) -> Table<K, IDS> {
        // With fewer slots than this, the last vacant one, where a search ends, could be taken.
        const LEAST: usize = 16;
        let fit = (bytes / size_of::<Slot<K, IDS>>()).max(LEAST);
        let max_slots = 1 << fit.ilog2();
        let [first, small] =
            [FIRST_BYTES, LARGE / 2].map(|bytes| max_slots.min(bytes / size_of::<Slot<K, IDS>>()));
        Table {
            slots: huge::Table::growing(first, small, Slot::vacant()),
            used: 0,
            max_slots,
            arena: Vec::new(),
            max_arena: arena_bytes / size_of::<TokenId>(),
        }
    }

    /// Starts loading the home slot of a key into the nearest cache.
    #[inline]
    fn prefetch(&self, hash: u64) {
        prefetch(&self.slots, self.home(hash));
    }

    /// The slot of a piece, if it is here.
    #[inline(always)]
    fn get(&self, key: K, hash: u64) -> Option<&Slot<K, IDS>> {
        let mut at = self.home(hash);
        loop {
            // Of two slots in one line, which it is takes no guess. A vacant slot has the key of no
            // piece, and the second is not taken before the first.
            let last = at + Self::IN_LINE - 1;
            let slot = &self.slots[if self.slots[last].key == key { last } else { at }];
            if slot.key == key {
                return Some(slot);
            }
            if self.slots[last].count() == 0 {
                return None;
            }
            at = (at + Self::IN_LINE) & (self.slots.len() - 1);
        }
    }

    /// Writes the ids of a slot, and up to [`STRIDE`] more, and says how many they are.
    fn write(&self, slot: &Slot<K, IDS>, room: &mut [TokenId]) -> usize {
        let count = slot.count();
        if count <= IDS {
            room[..IDS].copy_from_slice(&slot.ids);
        } else if count <= Slot::<K, IDS>::MOST {
            room.iter_mut().zip(0..count).for_each(|(id, at)| *id = slot.packed(at));
        } else {
            copy(&self.arena, slot.ids[0] as usize, room, 0, count);
        }
        count
    }

    /// Remembers a piece. One without ids is not worth it.
    fn insert(&mut self, key: K, hash: u64, ids: &[TokenId]) {
        if ids.is_empty() {
            return;
        }
        let mut at = self.home(hash);
        while self.slots[at].count() != 0 {
            if self.slots[at].key == key {
                return;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        let mut slot = Slot { key, ids: [0; IDS], last: ids.len() as u32 };
        if ids.len() <= IDS {
            slot.ids[..ids.len()].copy_from_slice(ids);
        } else if ids.len() <= Slot::<K, IDS>::MOST {
            slot.pack(ids);
        } else if self.arena.len() + ids.len() + STRIDE <= self.max_arena {
            slot.ids[0] = self.arena.len() as u32;
            self.arena.extend_from_slice(ids);
            self.arena.resize(self.arena.len().next_multiple_of(STRIDE), 0);
        } else {
            return;
        }
        if self.is_full() && self.slots.len() < self.max_slots {
            self.grow();
            at = self.vacant_from(self.home(hash));
        }
        if !self.is_full() {
            self.used += 1;
        } else if self.slots[self.home(hash)].count() != 0 {
            at = self.home(hash);
        } else {
            if 8 * self.used > 7 * self.slots.len() {
                return;
            }
            self.used += 1;
        }
        self.slots[at] = slot;
    }

    /// Five eighths: denser tables stay longer in the processor's caches, and probes stay short.
    fn is_full(&self) -> bool {
        8 * self.used >= 5 * self.slots.len()
    }

    fn grow(&mut self) {
        let (old, new) = (self.slots.len(), 2 * self.slots.len());
        if new <= self.slots.room() {
            self.slots.grow(new, Slot::vacant());
            return self.spread(old);
        }
        let larger = huge::Table::growing(new, self.max_slots, Slot::vacant());
        let all = std::mem::replace(&mut self.slots, larger);
        all.iter().filter(|slot| slot.count() != 0).for_each(|&slot| self.put(slot));
    }

    /// Brings the slots of what was a table of `old` slots to their places. A slot stays or moves up by
    /// `old`, give or take what it was off its home. Walked in the order of probing from a vacant
    /// slot on, none lands where one is still to be walked: what was before it has moved.
    fn spread(&mut self, old: usize) {
        let vacant = self.slots[..old].iter().position(|slot| slot.count() == 0).unwrap_or(0);
        for at in (vacant + 1..old).chain(0..vacant) {
            if self.slots[at].count() != 0 {
                let slot = std::mem::replace(&mut self.slots[at], Slot::vacant());
                self.put(slot);
            }
        }
    }

    fn put(&mut self, slot: Slot<K, IDS>) {
        let to = self.vacant_from(self.home(slot.key.hash()));
        self.slots[to] = slot;
    }

    /// The first vacant slot from one on.
    #[inline]
    fn vacant_from(&self, mut at: usize) -> usize {
        while self.slots[at].count() != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - Self::IN_LINE)
    }
}

/// Copies `count` ids, and up to [`STRIDE`] more: a fixed number at a time is faster, as most
/// copies are short.
#[inline]
pub(crate) fn copy(from: &[TokenId], start: usize, to: &mut [TokenId], at: usize, count: usize) {
    let mut done = 0;
    loop {
        let (read, write) = (start + done, at + done);
        to[write..write + STRIDE].copy_from_slice(&from[read..read + STRIDE]);
        done += STRIDE;
        if done >= count {
            return;
        }
    }
}
