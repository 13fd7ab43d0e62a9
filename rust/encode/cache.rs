//! The piece cache: text repeats itself, so most pieces are looked up, not merged.
//!
//! A key is the piece itself, inline beside its length, so a hit compares a few machine words
//! and never follows a pointer. Three tables: pieces of up to 15 bytes with up to 3 ids in half a
//! cache line, pieces of up to 31 bytes with up to 7 ids in one, and pieces of up to 63 bytes with up
//! to 15 ids in two. More ids than that live in an arena. The cache is bounded in bytes; when a table is full a new piece replaces the one at its
//! home slot, which keeps every probe chain intact. Large pages under the slots, and slots filled
//! ahead with the short tokens of the vocabulary, were tried: what they gain later they cost in the
//! first megabytes.

use crate::simd::prefetch;
use crate::token::TokenId;
use crate::vocab::fold;

/// Longest piece with a place in the first table.
pub(crate) const NARROW: usize = 15;
/// Longest piece with a place in the second table.
pub(crate) const WIDE: usize = 31;
/// Longest piece with a place in the third.
pub(crate) const BROAD: usize = 63;

/// What the slots of a new table take: little, so that a first call is not slow.
const FIRST_BYTES: usize = 1 << 17;

/// A key: the bytes of a piece, zero-padded, and its length in the last byte.
pub(crate) trait Key: Copy + PartialEq + Default {
    fn hash(self) -> u64;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NarrowKey(u128);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct WideKey(u128, u128);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BroadKey([u128; 4]);

impl BroadKey {
    /// The key of a piece of more than [`WIDE`] bytes and at most [`BROAD`].
    pub(crate) fn new(piece: &[u8]) -> BroadKey {
        let mut words = [0; 4];
        for (word_at, chunk) in words.iter_mut().zip(piece.chunks(16)) {
            *word_at = if chunk.len() == 16 { word(chunk) } else { padded(chunk) };
        }
        words[3] |= (piece.len() as u128) << 120;
        BroadKey(words)
    }
}

impl NarrowKey {
    /// The key of `text[start..start + len]`, `len` at most [`NARROW`].
    #[inline]
    pub(crate) fn new(text: &[u8], start: usize, len: usize) -> NarrowKey {
        let word = match text.get(start..start + 16) {
            Some(bytes) => word(bytes),
            None => padded(&text[start..start + len]),
        };
        NarrowKey(word & MASKS[len] | (len as u128) << 120)
    }
}

impl WideKey {
    /// The key of `text[start..start + len]`, `len` above [`NARROW`] and at most [`WIDE`].
    #[inline]
    pub(crate) fn new(text: &[u8], start: usize, len: usize) -> WideKey {
        let low = word(&text[start..start + 16]);
        let rest = len - 16;
        let high = match text.get(start + 16..start + 32) {
            Some(bytes) => word(bytes),
            None => padded(&text[start + 16..start + len]),
        };
        WideKey(low, high & MASKS[rest] | (len as u128) << 120)
    }
}

impl Key for BroadKey {
    #[inline]
    fn hash(self) -> u64 {
        self.0.iter().fold(0, |hash: u64, &word| hash.rotate_left(29) ^ mix(word))
    }
}

const MASKS: [u128; 16] = {
    let mut masks = [0; 16];
    let mut len = 1;
    while len < 16 {
        masks[len] = u128::MAX >> (128 - 8 * len);
        len += 1;
    }
    masks
};

#[inline]
fn word(bytes: &[u8]) -> u128 {
    bytes.first_chunk::<16>().map_or(0, |chunk| u128::from_le_bytes(*chunk))
}

#[cold]
fn padded(bytes: &[u8]) -> u128 {
    let mut chunk = [0; 16];
    chunk[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(chunk)
}

#[inline]
fn mix(word: u128) -> u64 {
    fold(word as u64 ^ 0x9e37_79b9_7f4a_7c15, (word >> 64) as u64 ^ 0xd6e8_feb8_6659_fd93)
}

impl Key for NarrowKey {
    #[inline]
    fn hash(self) -> u64 {
        mix(self.0)
    }
}

impl Key for WideKey {
    #[inline]
    fn hash(self) -> u64 {
        mix(self.0).rotate_left(29) ^ mix(self.1)
    }
}

/// One slot: `ids[..count]`, or `ids[0]` as the place in the arena when `count` is above `IDS`.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Slot<K, const IDS: usize> {
    key: K,
    ids: [TokenId; IDS],
    count: u32,
}

/// One table of the cache.
#[derive(Debug)]
pub(crate) struct Table<K, const IDS: usize> {
    slots: Vec<Slot<K, IDS>>,
    used: usize,
    max_slots: usize,
    arena: Vec<TokenId>,
    max_arena: usize,
}

impl<K: Key, const IDS: usize> Table<K, IDS> {
    /// A table whose slots never take more than `bytes`, nor what does not fit them more than
    /// `arena_bytes`.
    pub(crate) fn new(bytes: usize, arena_bytes: usize) -> Table<K, IDS> {
        // With fewer slots than this, the last vacant one, where a search ends, could be taken.
        const LEAST: usize = 16;
        let fit = (bytes / size_of::<Slot<K, IDS>>()).max(LEAST);
        let max_slots = 1 << fit.ilog2();
        Table {
            slots: vacant((FIRST_BYTES / size_of::<Slot<K, IDS>>()).min(max_slots)),
            used: 0,
            max_slots,
            arena: Vec::new(),
            max_arena: arena_bytes / size_of::<TokenId>(),
        }
    }

    /// Starts loading the home slot of a key into the nearest cache.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        prefetch(&self.slots, self.home(hash));
    }

    /// The ids of a piece, if it is here.
    #[inline]
    pub(crate) fn get(&self, key: K, hash: u64) -> Option<Cached<'_, IDS>> {
        let mut at = self.home(hash);
        loop {
            let slot = &self.slots[at];
            if slot.count == 0 {
                return None;
            }
            if slot.key == key {
                return Some(Cached { ids: &slot.ids, count: slot.count as usize });
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// The ids of a hit.
    pub(crate) fn ids<'a>(&'a self, hit: &Cached<'a, IDS>) -> &'a [TokenId] {
        match hit.count {
            count if count <= IDS => &hit.ids[..count],
            count => {
                let start = hit.ids[0] as usize;
                &self.arena[start..start + count]
            }
        }
    }

    /// Remembers a piece that is not here. One without ids is not worth it.
    pub(crate) fn insert(&mut self, key: K, hash: u64, ids: &[TokenId]) {
        if ids.is_empty() {
            return;
        }
        let mut slot = Slot { key, ids: [0; IDS], count: ids.len() as u32 };
        if ids.len() <= IDS {
            slot.ids[..ids.len()].copy_from_slice(ids);
        } else if self.arena.len() + ids.len() <= self.max_arena {
            slot.ids[0] = self.arena.len() as u32;
            self.arena.extend_from_slice(ids);
        } else {
            return;
        }
        if self.is_full() && self.slots.len() < self.max_slots {
            self.grow();
        }
        let mut at = self.home(hash);
        if !self.is_full() {
            while self.slots[at].count != 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.used += 1;
        } else if self.slots[at].count == 0 {
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
        let larger = vacant(2 * self.slots.len());
        let old = std::mem::replace(&mut self.slots, larger);
        for &slot in old.iter().filter(|slot| slot.count != 0) {
            let mut at = self.home(slot.key.hash());
            while self.slots[at].count != 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = slot;
        }
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }
}

fn vacant<K: Key, const IDS: usize>(len: usize) -> Vec<Slot<K, IDS>> {
    vec![Slot { key: K::default(), ids: [0; IDS], count: 0 }; len]
}

/// A hit.
pub(crate) struct Cached<'a, const IDS: usize> {
    pub ids: &'a [TokenId; IDS],
    pub count: usize,
}
