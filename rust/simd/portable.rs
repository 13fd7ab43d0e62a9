//! The kernel in plain Rust: eight bytes at a time in a 64-bit word.

use super::{Block, Kernel};

/// Runs everywhere.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

impl Kernel for Portable {
    const QUICK: bool = false;

    #[inline(always)]
    fn between(self, block: &Block, low: u8, high: u8) -> u64 {
        // Adding to seven bits sets the eighth from a bound on, without a carry to the next byte.
        let from = ONES * u64::from(0x80 - (low & 0x7F));
        let above = ONES * u64::from(0x7F - (high & 0x7F));
        let side = if low < 0x80 { HIGHS } else { 0 };
        eighths(block, |word| {
            let seven = word & !HIGHS;
            (seven + from) & !(seven + above) & (word ^ side)
        })
    }

    #[inline(always)]
    fn high(self, block: &Block) -> u64 {
        eighths(block, |word| word)
    }

    #[inline(always)]
    fn bits(self, block: &Block) -> [u64; 8] {
        std::array::from_fn(|bit| eighths(block, |word| word << (7 - bit)))
    }

    #[inline(always)]
    fn gather(self, values: &[f32], places: &[u32; 16]) -> [f32; 16] {
        places.map(|place| values[place as usize])
    }

    #[inline(always)]
    fn matches(self, words: &[u64; 8], mask: u64, value: u64) -> u32 {
        let same = |word: &u64| u32::from(word & mask == value);
        words.iter().rev().fold(0, |found, word| found << 1 | same(word))
    }
}

/// The eighth bits of all bytes, after a change to each word.
#[inline(always)]
fn eighths(block: &Block, change: impl Fn(u64) -> u64) -> u64 {
    let mut mask = 0;
    for (index, bytes) in block.as_chunks::<8>().0.iter().enumerate() {
        let highs = (change(u64::from_le_bytes(*bytes)) & HIGHS) >> 7;
        // The product moves bit 8i to bit 56 + i; no two terms meet.
        mask |= (highs.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_masks_say_what_each_byte_is() {
        for shift in 0..=255u8 {
            let block: Block =
                std::array::from_fn(|i| (i as u8).wrapping_mul(5).wrapping_add(shift));
            let naive = |test: &dyn Fn(u8) -> bool| {
                block.iter().enumerate().fold(0, |mask, (i, &b)| mask | u64::from(test(b)) << i)
            };
            for (low, high) in [
                (0, 0),
                (9, 13),
                (b'a', b'z'),
                (b' ', b' '),
                (0x21, 0x7F),
                (0, 0x7F),
                (0x80, 0xBF),
                (0xE5, 0xE9),
                (0xFF, 0xFF),
            ] {
                let expected = naive(&|byte| (low..=high).contains(&byte));
                assert_eq!(Portable.between(&block, low, high), expected, "{low:x} {high:x}");
            }
            assert_eq!(Portable.high(&block), naive(&|byte| byte >= 0x80));
            let bits = Portable.bits(&block);
            for (bit, mask) in bits.into_iter().enumerate() {
                assert_eq!(mask, naive(&|byte| byte >> bit & 1 == 1));
            }
        }
    }
    #[test]
    fn words_match_in_the_bits_of_the_mask() {
        for found in 0..256u64 {
            let word = |at: usize| (7 + (!found >> at & 1)) << 22 | 1 << at;
            let words: [u64; 8] = std::array::from_fn(word);
            assert_eq!(u64::from(Portable.matches(&words, !0 << 22, 7 << 22)), found);
            assert_eq!(Portable.matches(&words, !0, words[3]), 1 << 3);
        }
    }
}
