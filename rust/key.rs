//! Short byte strings as one machine word, and hashes of byte strings.
//!
//! A string of at most 15 bytes and its length fill 16 bytes: to compare two of them is one
//! instruction, and a table that holds them follows no pointer.

/// Longest string that is a key.
pub const MOST: usize = 15;

/// A string of at most [`MOST`] bytes: the bytes, zeros, and the length in the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Key(u128);

impl Key {
    /// A key that no string has.
    pub const NONE: Key = Key(0xff << 120);

    /// The key of a string.
    #[inline]
    pub fn new(bytes: &[u8]) -> Key {
        debug_assert!(bytes.len() <= MOST);
        Key(padded(bytes) | (bytes.len() as u128) << 120)
    }

    /// The key of `text[start..start + len]`; where 16 bytes follow, they are read at once.
    #[inline(always)]
    pub fn in_text(text: &[u8], start: usize, len: usize) -> Key {
        debug_assert!(len <= MOST);
        match text.get(start..start + 16).and_then(<[u8]>::first_chunk) {
            Some(chunk) => Key(u128::from_le_bytes(*chunk) & MASKS[len] | (len as u128) << 120),
            None => Key::at_end(&text[start..start + len]),
        }
    }

    #[cold]
    fn at_end(bytes: &[u8]) -> Key {
        Key::new(bytes)
    }

    /// The 16 bytes, of which the last is the length.
    #[inline]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// Whether all bytes are in ASCII.
    #[inline]
    pub fn is_ascii(self) -> bool {
        self.0 & 0x8080_8080_8080_8080_8080_8080_8080_8080 == 0
    }

    /// The [`hash`] of the string.
    #[inline]
    pub fn hash(self) -> u64 {
        mix(self.0)
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

/// Up to 16 bytes as a word, zeros behind them. Two overlapping reads instead of a copy whose length varies.
#[inline]
pub fn padded(bytes: &[u8]) -> u128 {
    let len = bytes.len();
    if let (Some(low), Some(high)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let high = u128::from(u64::from_le_bytes(*high)) << 64 >> (8 * (16 - len));
        return u128::from(u64::from_le_bytes(*low)) | high;
    }
    if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let high = u64::from(u32::from_le_bytes(*high)) << 32 >> (8 * (8 - len));
        return u128::from(u64::from(u32::from_le_bytes(*low)) | high);
    }
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u128::from(byte))
}

/// Hash of a byte string, 16 bytes a step.
pub fn hash(bytes: &[u8]) -> u64 {
    if bytes.len() <= MOST {
        return Key::new(bytes).hash();
    }
    let (words, rest) = bytes.as_chunks::<16>();
    let start = bytes.len() as u64;
    let step = |hash: u64, word| hash.rotate_left(29) ^ mix(word);
    let hash = words.iter().fold(start, |hash, word| step(hash, u128::from_le_bytes(*word)));
    step(hash, padded(rest))
}

/// Hash of a word.
#[inline]
pub fn mix(word: u128) -> u64 {
    let low = word as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let high = (word >> 64) as u64 ^ 0xd6e8_feb8_6659_fd93;
    fold(low, high)
}

/// High and low halves of a product, folded.
#[inline]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_holds_the_string_wherever_it_stands() {
        let text: Vec<u8> = (1..=80u8).rev().collect();
        for start in 0..text.len() {
            for len in 0..=MOST.min(text.len() - start) {
                let mut expected = [0; 16];
                expected[..len].copy_from_slice(&text[start..start + len]);
                expected[MOST] = len as u8;
                let bytes = &text[start..start + len];
                assert_eq!(Key::new(bytes).to_bytes(), expected);
                assert_eq!(Key::in_text(&text, start, len), Key::new(bytes));
                assert_eq!(hash(bytes), Key::new(bytes).hash());
            }
        }
    }

    #[test]
    fn a_key_of_bytes_above_ascii_is_not_ascii() {
        for len in 1..=MOST {
            for at in 0..len {
                let mut bytes = vec![0x7f; len];
                assert!(Key::new(&bytes).is_ascii());
                bytes[at] = 0x80;
                assert!(!Key::new(&bytes).is_ascii());
            }
        }
    }

    #[test]
    fn zeros_at_the_end_are_told_apart() {
        let zeros = [0; 40];
        let hashes: std::collections::HashSet<u64> = (0..40).map(|n| hash(&zeros[..n])).collect();
        assert_eq!(hashes.len(), 40);
        assert!((0..=MOST).all(|len| Key::new(&zeros[..len]) != Key::NONE));
    }
}
