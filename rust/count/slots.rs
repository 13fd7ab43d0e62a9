//! Slots of four words, all zero at first, each on one cache line.
//!
//! Zeros come from the system when a page is first used, so even a large table is made at once.
//! Large pages under them were tried and stalled for up to a second while the system made room.

use std::ops::{Deref, DerefMut};

/// Words of a slot.
pub(super) const WORDS: usize = 4;
const LINE: usize = 64;

/// A table of slots.
#[derive(Debug)]
pub(super) struct Slots {
    words: Vec<u64>,
    /// The word where the first line begins.
    start: usize,
}

impl Slots {
    /// So many slots, all zero.
    pub(super) fn zeroed(len: usize) -> Slots {
        let mut words = vec![0; len * WORDS + LINE / size_of::<u64>()];
        let address = words.as_ptr() as usize;
        let start = (address.next_multiple_of(LINE) - address) / size_of::<u64>();
        words.truncate(start + len * WORDS);
        Slots { words, start }
    }
}

impl Deref for Slots {
    type Target = [[u64; WORDS]];

    #[inline]
    fn deref(&self) -> &[[u64; WORDS]] {
        self.words[self.start..].as_chunks().0
    }
}

impl DerefMut for Slots {
    #[inline]
    fn deref_mut(&mut self) -> &mut [[u64; WORDS]] {
        self.words[self.start..].as_chunks_mut().0
    }
}
