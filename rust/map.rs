//! A map for small keys whose order is never read.
//!
//! Its hash is the same in every run, and a few times faster than the standard one, which is made
//! against keys that somebody chose to collide. Keys here are ids, at worst slow ones.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map of ids, or of pairs of them.
pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// Hash of one or two small integers: multiply, fold.
#[derive(Debug, Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0xd6e8_feb8_6659_fd93) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}
