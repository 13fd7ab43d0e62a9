//! Merging short sequences, several of them abreast.
//!
//! What takes the time is not comparing but waiting: nearly every pair that is looked up comes from
//! another line of a table that no near cache holds, and the pair after a merge is known only once
//! the merge is. So a sequence is merged in steps, each of which ends by asking for the lines that
//! the next one reads, and while they come, other sequences take their steps.

use crate::merges::{NEVER, Pairs};
use crate::simd::{Kernel, Task, dispatch};
use crate::token::TokenId;

/// Longest sequence merged by scanning, which for such lengths beats any structure.
pub(crate) const SHORT: usize = 32;
/// Sequences that are merged abreast.
pub(crate) const ABREAST: usize = 16;

/// Bits of a key that hold the slot.
const SLOT_BITS: u32 = SHORT.trailing_zeros();
/// Keys compared at a time.
const LANES: usize = 8;
/// The key of a pair that does not merge. Keys are signed, which vector units compare best.
const NO_PAIR: i32 = i32::MAX;

/// A sequence of at most [`SHORT`] symbols that is being merged.
///
/// The key of a pair is its rank and, below it, its slot, so that the least key is the leftmost
/// pair of lowest rank. Symbols stay where they are and are linked; nothing is shifted.
#[derive(Debug, Clone)]
pub(crate) struct Short {
    ids: [TokenId; SHORT],
    keys: [i32; SHORT],
    next: [u8; SHORT],
    previous: [u8; SHORT],
    /// How many symbols there were, and how many there are.
    len: usize,
    left: usize,
    unread: Unread,
}

/// Pairs that are still to be looked up.
#[derive(Debug, Clone, Copy)]
enum Unread {
    None,
    All,
    /// Those of a slot that has a new symbol, and of the slot before it.
    Around(u8, u8),
}

/// Slots before anything is merged.
const NEXT: [u8; SHORT] = slots(1);
const PREVIOUS: [u8; SHORT] = slots(u8::MAX);

const fn slots(shift: u8) -> [u8; SHORT] {
    let mut slots = [0; SHORT];
    let mut at = 0;
    while at < SHORT {
        slots[at] = (at as u8).wrapping_add(shift);
        at += 1;
    }
    slots
}

/// Pairs of single bytes, which every sequence of bytes begins with: a table of its own, whose lines
/// for a language or two stay in the nearest cache.
#[derive(Debug)]
pub(crate) struct BytePairs {
    first: Box<[TokenId; 256]>,
    /// Keys without a slot, by the two bytes.
    keys: Box<[i32; 1 << 16]>,
}

impl BytePairs {
    /// The table for symbols of which every byte has one.
    pub(crate) fn new(first: &[TokenId; 256], merges: &impl Pairs) -> BytePairs {
        let mut keys = vec![NO_PAIR; 1 << 16];
        for (at, entry) in keys.iter_mut().enumerate() {
            *entry = key(merges.rank(first[at >> 8], first[at & 255]), 0);
        }
        let keys = keys.into_boxed_slice().try_into().expect("as many as there are pairs");
        BytePairs { first: Box::new(*first), keys }
    }
}

/// The key of a pair, from its rank.
#[inline(always)]
fn key(rank: u32, slot: usize) -> i32 {
    match rank {
        NEVER => NO_PAIR,
        rank => (rank << SLOT_BITS | slot as u32).cast_signed(),
    }
}

impl Default for Short {
    fn default() -> Short {
        Short {
            ids: [0; SHORT],
            keys: [NO_PAIR; SHORT],
            next: [0; SHORT],
            previous: [0; SHORT],
            len: 0,
            left: 0,
            unread: Unread::None,
        }
    }
}

impl Short {
    /// Takes the symbols that `fill` writes and counts, and asks for all their pairs.
    #[inline]
    pub(crate) fn set(
        &mut self,
        merges: &impl Pairs,
        fill: impl FnOnce(&mut [TokenId; SHORT]) -> usize,
    ) {
        let len = fill(&mut self.ids);
        self.reset(len, Unread::All);
        for pair in self.ids[..len].windows(2) {
            merges.prefetch(pair[0], pair[1]);
        }
    }

    /// Takes the symbols of at most [`SHORT`] bytes.
    #[inline]
    pub(crate) fn set_bytes(&mut self, pairs: &BytePairs, piece: &[u8]) {
        self.reset(piece.len(), Unread::None);
        for (id, &byte) in self.ids.iter_mut().zip(piece) {
            *id = pairs.first[usize::from(byte)];
        }
        for (slot, pair) in piece.windows(2).enumerate() {
            let at = usize::from(pair[0]) << 8 | usize::from(pair[1]);
            // No pair at all stays so: its bits are all ones.
            self.keys[slot] = pairs.keys[at] | slot as i32;
        }
    }

    #[inline]
    fn reset(&mut self, len: usize, unread: Unread) {
        self.keys = [NO_PAIR; SHORT];
        self.next = NEXT;
        self.previous = PREVIOUS;
        (self.len, self.left) = (len, len);
        self.unread = unread;
    }

    /// The symbols, once merging is done.
    pub(crate) fn ids(&self) -> &[TokenId] {
        &self.ids[..self.left]
    }

    /// Looks up the pair of a symbol and the one after it.
    #[inline(always)]
    fn read(&mut self, merges: &impl Pairs, slot: usize, after: usize) {
        self.keys[slot] = key(merges.rank(self.ids[slot], self.ids[after]), slot);
    }

    #[inline(always)]
    fn read_all(&mut self, merges: &impl Pairs) {
        match self.unread {
            Unread::None => {}
            Unread::All => (1..self.len).for_each(|after| self.read(merges, after - 1, after)),
            Unread::Around(slot, before) => {
                let (slot, before) = (usize::from(slot), usize::from(before));
                let after = usize::from(self.next[slot]);
                if after < self.len {
                    self.read(merges, slot, after);
                }
                if slot > 0 {
                    self.read(merges, before, slot);
                }
            }
        }
    }

    /// Merges one pair; false when there is none, and then the symbols are in order.
    #[inline(always)]
    fn step(&mut self, merges: &impl Pairs) -> bool {
        self.read_all(merges);
        let (blocks, _) = self.keys.as_chunks::<LANES>();
        let least = |block: &[i32; LANES]| block.iter().copied().fold(NO_PAIR, i32::min);
        let best = blocks[..self.len.div_ceil(LANES)].iter().map(least).fold(NO_PAIR, i32::min);
        if best == NO_PAIR {
            self.close();
            return false;
        }
        let slot = best as usize & (SHORT - 1);
        self.ids[slot] = merges.product(best.cast_unsigned() >> SLOT_BITS);
        self.left -= 1;
        let dead = usize::from(self.next[slot]);
        let after = usize::from(self.next[dead & (SHORT - 1)]);
        self.next[slot] = after as u8;
        self.keys[dead & (SHORT - 1)] = NO_PAIR;
        self.keys[slot] = NO_PAIR;
        if after < self.len {
            self.previous[after] = slot as u8;
            merges.prefetch(self.ids[slot], self.ids[after]);
        }
        let before = self.previous[slot];
        if slot > 0 {
            merges.prefetch(self.ids[usize::from(before)], self.ids[slot]);
        }
        self.unread = Unread::Around(slot as u8, before);
        true
    }

    /// Brings the symbols that are left together.
    fn close(&mut self) {
        let mut from = 0;
        for to in 0..self.left {
            self.ids[to] = self.ids[from];
            from = usize::from(self.next[from]);
        }
    }
}

/// Merges each of these sequences, turn by turn.
pub(crate) fn merge_abreast(merges: &impl Pairs, sequences: &mut [Short]) {
    dispatch(Abreast { merges, sequences });
}

/// Compiled for the vector instructions that the processor has: half of the work is minima.
struct Abreast<'a, P> {
    merges: &'a P,
    sequences: &'a mut [Short],
}

impl<P: Pairs> Task for Abreast<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, _kernel: K) {
        let Abreast { merges, sequences } = self;
        for sequences in sequences.chunks_mut(ABREAST) {
            let mut at_work = [0; ABREAST];
            at_work.iter_mut().enumerate().for_each(|(at, turn)| *turn = at);
            let mut working = sequences.len();
            while working > 0 {
                let mut turn = 0;
                while turn < working {
                    if sequences[at_work[turn]].step(merges) {
                        turn += 1;
                    } else {
                        working -= 1;
                        at_work[turn] = at_work[working];
                    }
                }
            }
        }
    }
}

/// Merges `ids[..len]` in place and returns the new length; `len` is at most [`SHORT`].
pub(crate) fn merge_short(merges: &impl Pairs, ids: &mut [TokenId; SHORT], len: usize) -> usize {
    let mut short = Short::default();
    short.set(merges, |slots| {
        slots[..len].copy_from_slice(&ids[..len]);
        len
    });
    while short.step(merges) {}
    ids[..short.left].copy_from_slice(short.ids());
    short.left
}
