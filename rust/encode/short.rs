//! Merging short sequences, several of them abreast.
//!
//! What takes the time is not comparing but waiting: nearly every pair that is looked up comes from
//! another line of a table that no near cache holds, and the pair after a merge is known only once
//! the merge is. So a sequence is merged in steps, each of which ends by asking for the lines that
//! the next one reads, and while they come, other sequences take their steps. A step has no branch
//! that depends on what merges, since a wrong guess costs as much as the rest of it.

use crate::merges::{Merges, NO_RANK, Pairs};
use crate::simd::{Kernel, Task, dispatch};
use crate::token::TokenId;

use super::bytes::{BytePairs, Pair};

/// Longest sequence merged by scanning, which for such lengths beats any structure.
pub(crate) const SHORT: usize = 64;
/// Slots that nearly all sequences do with; the others are only scanned where they are needed.
const FEW: usize = 32;
/// Sequences that are merged abreast.
pub(crate) const ABREAST: usize = 16;

/// Bits of a key that hold the slot.
const SLOT_BITS: u32 = SHORT.trailing_zeros();
/// Keys from this one on are of pairs that do not merge. Keys are signed, which vector units compare
/// best.
const NO_PAIR: i32 = (NO_RANK << SLOT_BITS).cast_signed();

/// A sequence of at most [`SHORT`] symbols that is being merged.
///
/// The key of a pair is its rank and, below it, its slot, so that the least key is the leftmost
/// pair of lowest rank. Symbols stay where they are, and bits say in which slots there still is one.
#[derive(Debug, Clone)]
pub(crate) struct Short {
    ids: [TokenId; SHORT],
    keys: [i32; SHORT],
    live: u64,
    /// Slots of symbols whose pair with the next one is still to be looked up, before the first step.
    unread: u64,
    /// Before the other steps: the slot of the new symbol.
    slot: usize,
    /// Whether more than [`FEW`] slots are in use.
    is_many: bool,
}

impl Default for Short {
    fn default() -> Short {
        Short {
            ids: [0; SHORT],
            keys: [NO_PAIR; SHORT],
            live: 0,
            unread: 0,
            slot: 0,
            is_many: false,
        }
    }
}

/// The key of a pair, from its rank.
#[inline(always)]
fn key(rank: u32, slot: usize) -> i32 {
    (rank << SLOT_BITS | slot as u32).cast_signed()
}

/// The lowest `len` bits.
#[inline(always)]
fn below(len: usize) -> u64 {
    if len < SHORT { (1 << len) - 1 } else { !0 }
}

impl Short {
    /// Takes the symbols that `fill` writes and counts.
    #[inline(always)]
    pub(crate) fn set(&mut self, fill: impl FnOnce(&mut [TokenId; SHORT]) -> usize) {
        let len = fill(&mut self.ids);
        self.keys = [NO_PAIR; SHORT];
        self.live = below(len);
        self.unread = self.live >> 1;
        self.is_many = len > FEW;
    }

    /// Takes the symbols of at most [`SHORT`] bytes, and merges what merges first.
    #[inline(always)]
    fn set_bytes(&mut self, merges: &Merges, table: &BytePairs, piece: &[u8]) {
        // The pair of a slot and the one before it; before and after all there is none.
        let mut pairs = [Pair::NONE; SHORT + 2];
        for (slot, &byte) in piece.iter().enumerate().take(SHORT) {
            self.ids[slot] = table.symbol(byte);
        }
        for (pair, bytes) in pairs[1..].iter_mut().zip(piece.windows(2)) {
            *pair = table.pair(bytes[0], bytes[1]);
        }
        self.is_many = piece.len() > FEW;
        let mut first = first_of(&pairs, 0);
        if self.is_many {
            first |= first_of(&pairs, FEW);
        }
        self.live = below(piece.len()) & !(first << 1);
        let single = self.live & !first;
        let known = single & single >> 1;
        self.set_keys(&pairs, 0, known);
        if self.is_many {
            self.set_keys(&pairs, FEW, known);
        }
        let last = !1u64.rotate_right(1).unbounded_shr(self.live.leading_zeros());
        self.unread = self.live & !known & last;
        while first != 0 {
            let slot = first.trailing_zeros() as usize % SHORT;
            self.ids[slot] = merges.product(pairs[slot + 1].rank());
            first &= first - 1;
        }
    }

    /// Sets the keys of a part of the slots: of pairs that are known, and of none.
    #[inline(always)]
    fn set_keys(&mut self, pairs: &[Pair; SHORT + 2], from: usize, known: u64) {
        for slot in from..from + FEW {
            let key = key(pairs[slot + 1].rank(), slot);
            self.keys[slot] = if known >> slot & 1 != 0 { key } else { NO_PAIR };
        }
    }

    /// The symbols, once merging is done.
    pub(crate) fn ids(&self) -> impl Iterator<Item = TokenId> {
        let mut live = self.live;
        std::iter::from_fn(move || {
            let slot = (live != 0).then_some(live.trailing_zeros() as usize % SHORT)?;
            live &= live - 1;
            Some(self.ids[slot])
        })
    }

    /// The slot of the symbol after that of a slot, or [`SHORT`].
    #[inline(always)]
    fn after(&self, slot: usize) -> usize {
        (self.live & !1 << slot).trailing_zeros() as usize
    }

    /// The slot of the symbol before that of a slot; the last slot of all, which is never that of the
    /// left half of a pair, when there is none.
    #[inline(always)]
    fn before(&self, slot: usize) -> usize {
        63 - ((self.live & below(slot)).leading_zeros() as usize & 63)
    }

    /// Asks for the pairs that [`Short::begin`] looks up.
    #[inline(always)]
    fn ask(&self, merges: &Merges) {
        let mut unread = self.unread;
        while unread != 0 {
            let slot = unread.trailing_zeros() as usize % SHORT;
            merges.prefetch(self.ids[slot], self.ids[self.after(slot) % SHORT]);
            unread &= unread - 1;
        }
    }

    /// Looks up the pairs that there are at first, and makes the first step.
    #[inline(always)]
    fn begin<K: Kernel>(&mut self, kernel: K, merges: &Merges) -> bool {
        while self.unread != 0 {
            let slot = self.unread.trailing_zeros() as usize % SHORT;
            let rank = merges.find(kernel, self.ids[slot], self.ids[self.after(slot) % SHORT]);
            self.keys[slot] = key(rank, slot);
            self.unread &= self.unread - 1;
        }
        self.merge(merges)
    }

    /// Looks up the pairs of a new symbol, and merges one pair; false when there is none.
    #[inline(always)]
    fn step<K: Kernel>(&mut self, kernel: K, merges: &Merges) -> bool {
        let slot = self.slot % SHORT;
        let (before, after) = (self.before(slot), self.after(slot));
        let right = merges.find(kernel, self.ids[slot], self.ids[after % SHORT]);
        let left = merges.find(kernel, self.ids[before], self.ids[slot]);
        self.keys[slot] = if after < SHORT { key(right, slot) } else { NO_PAIR };
        self.keys[before] = if before < slot { key(left, before) } else { NO_PAIR };
        self.merge(merges)
    }

    /// Merges the pair of least key, and asks for those of the new symbol.
    #[inline(always)]
    fn merge(&mut self, merges: &Merges) -> bool {
        let least = |keys: &[i32]| keys.iter().copied().fold(NO_PAIR, i32::min);
        let (few, more) = self.keys.split_at(FEW);
        let mut best = least(few);
        if self.is_many {
            best = best.min(least(more));
        }
        if best >= NO_PAIR {
            return false;
        }
        let slot = best as usize % SHORT;
        let dead = self.after(slot) % SHORT;
        self.live &= !(1 << dead);
        self.ids[slot] = merges.product(best.cast_unsigned() >> SLOT_BITS);
        self.keys[dead] = NO_PAIR;
        self.slot = slot;
        merges.prefetch(self.ids[slot], self.ids[self.after(slot) % SHORT]);
        merges.prefetch(self.ids[self.before(slot)], self.ids[slot]);
        true
    }
}

/// Which pairs of a part of the slots merge first.
#[inline(always)]
fn first_of(pairs: &[Pair; SHORT + 2], from: usize) -> u64 {
    (from..from + FEW).fold(0, |first, slot| {
        let is_first = pairs[slot + 1].is_first(pairs[slot], pairs[slot + 2]);
        first | u64::from(is_first) << slot
    })
}

/// Merges each of these sequences, turn by turn.
pub(crate) fn merge_abreast(merges: &Merges, sequences: &mut [Short]) {
    dispatch(Abreast { merges, bytes: None, sequences });
}

/// Merges each of these pieces, of at most [`SHORT`] bytes, in a sequence of its own.
pub(crate) fn merge_bytes_abreast(
    merges: &Merges,
    table: &BytePairs,
    pieces: &[&[u8]],
    sequences: &mut [Short],
) {
    dispatch(Abreast { merges, bytes: Some((table, pieces)), sequences });
}

/// Compiled for the vector instructions that the processor has: most of the work is comparing.
struct Abreast<'a> {
    merges: &'a Merges,
    bytes: Option<(&'a BytePairs, &'a [&'a [u8]])>,
    sequences: &'a mut [Short],
}

impl Task for Abreast<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        let Abreast { merges, bytes, sequences } = self;
        if let Some((table, pieces)) = bytes {
            for (sequence, piece) in sequences.iter_mut().zip(pieces) {
                sequence.set_bytes(merges, table, piece);
                sequence.ask(merges);
            }
        } else {
            sequences.iter().for_each(|sequence| sequence.ask(merges));
        }
        for sequences in sequences.chunks_mut(ABREAST) {
            let mut at_work = [0; ABREAST];
            let mut working = 0;
            for (at, sequence) in sequences.iter_mut().enumerate() {
                at_work[working] = at;
                working += usize::from(sequence.begin(kernel, merges));
            }
            while working > 0 {
                let mut going_on = 0;
                for turn in 0..working {
                    let at = at_work[turn];
                    at_work[going_on] = at;
                    going_on += usize::from(sequences[at].step(kernel, merges));
                }
                working = going_on;
            }
        }
    }
}

/// Merges `ids[..len]` in place and returns the new length; `len` is at most [`SHORT`].
pub(crate) fn merge_short(merges: &Merges, ids: &mut [TokenId; SHORT], len: usize) -> usize {
    let mut short = Short::default();
    short.set(|slots| {
        slots[..len].copy_from_slice(&ids[..len]);
        len
    });
    merge_abreast(merges, std::slice::from_mut(&mut short));
    let merged = short.ids();
    ids.iter_mut().zip(merged).map(|(slot, id)| *slot = id).count()
}
