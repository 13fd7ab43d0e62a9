//! The classes of common characters beyond ASCII, told from their bytes without a table.
//!
//! Whole stretches of UTF-8 have one class: nearly all ideographs, Hangul, kana, basic Cyrillic,
//! Latin-1 letters, typographic and fullwidth punctuation. A few comparisons find all of them in
//! 64 bytes. What is not found here is left to the table.

use super::rules::{Letters, Parts, Rules};
use crate::simd::{Block, Kernel};

/// Bytes of common characters by class, and their first bytes.
#[derive(Default)]
pub struct Common {
    pub upper: u64,
    pub lower: u64,
    /// Punctuation or symbols.
    pub printed: u64,
    /// Han, or the CJK ranges of deepseek where the pattern has those.
    pub han: u64,
    pub first: u64,
}

/// The common characters that lie wholly in the block.
#[inline(always)]
pub fn find<R: Rules, K: Kernel>(kernel: K, block: &Block) -> Common {
    let mut common = Common::default();
    // A character is followed by as many bytes from 80 to BF as its lead says; one that is cut off
    // by the end of the block is not found.
    let more = kernel.between(block, 0x80, 0xBF);
    let two = kernel.between(block, 0xC3, 0xD3) & more >> 1;
    if two != 0 {
        common.add_two::<R, K>(kernel, block, two);
    }
    let three = kernel.between(block, 0xE2, 0xEF) & more >> 1 & more >> 2;
    if three != 0 {
        common.add_three::<R, K>(kernel, block, three);
    }
    common
}

impl Common {
    /// Of U+00C0 to U+04FF: Latin-1 letters and basic Cyrillic by case, others where the case does
    /// not matter.
    #[inline(always)]
    fn add_two<R: Rules, K: Kernel>(&mut self, kernel: K, block: &Block, two: u64) {
        let second = |low, high| kernel.between(block, low, high) >> 1;
        let latin = kernel.equal(block, 0xC3) & !(second(0x97, 0x97) | second(0xB7, 0xB7));
        let russian = kernel.equal(block, 0xD0);
        let more_russian = kernel.equal(block, 0xD1) & second(0x80, 0x9F);
        let upper = (latin & second(0x80, 0x9E) | russian & second(0x80, 0xAF)) & two;
        let mut lower = (latin | russian | more_russian) & two & !upper;
        if !matches!(R::LETTERS, Letters::Cased | Letters::CasedHan) {
            // U+0100 to U+027F and U+04C0 to U+04FF are letters without exception.
            let leads = kernel.between(block, 0xC4, 0xC9) | kernel.equal(block, 0xD3);
            lower |= leads & two;
        }
        self.upper |= upper | upper << 1;
        self.lower |= lower | lower << 1;
        self.first |= upper | lower;
    }

    /// Of U+2000 to U+FFFF: letters without case, and punctuation.
    #[inline(always)]
    fn add_three<R: Rules, K: Kernel>(&mut self, kernel: K, block: &Block, three: u64) {
        let second = |low, high| kernel.between(block, low, high) >> 1;
        let third = |low, high| kernel.between(block, low, high) >> 2;
        // U+4E00 to U+8FFF; the CJK ranges of deepseek end inside the next lead byte.
        let last_lead = if R::PARTS == Parts::NumbersCjk { 0xE8 } else { 0xE9 };
        let ideographs = (kernel.between(block, 0xE5, last_lead)
            | kernel.equal(block, 0xE4) & second(0xB8, 0xBF))
            & three;
        // U+B000 to U+CFFF.
        let hangul = kernel.between(block, 0xEB, 0xEC) & three;
        let (mut kana, mut printed) = (0, 0);
        let marks_of_japanese = kernel.equal(block, 0xE3) & three;
        if marks_of_japanese != 0 {
            let hiragana = second(0x81, 0x81) & !third(0x80, 0x80);
            let middle = second(0x82, 0x82) & !(third(0x97, 0x9C) | third(0xA0, 0xA0));
            let katakana = second(0x83, 0x83) & !third(0xBB, 0xBB);
            kana = marks_of_japanese & (hiragana | middle | katakana);
            let marks = second(0x80, 0x80) & (third(0x81, 0x82) | third(0x8C, 0x8F));
            printed = marks_of_japanese & marks;
        }
        // U+2010 to U+2027, and U+FF01 to U+FF0F.
        printed |= kernel.equal(block, 0xE2) & second(0x80, 0x80) & third(0x90, 0xA7) & three;
        printed |= kernel.equal(block, 0xEF) & second(0xBC, 0xBC) & third(0x81, 0x8F) & three;
        let letters = whole(ideographs | hangul | kana);
        self.upper |= letters;
        self.lower |= letters;
        self.printed |= whole(printed);
        let cjk = if R::PARTS == Parts::NumbersCjk { kana } else { 0 };
        self.han |= whole(ideographs | cjk);
        self.first |= ideographs | hangul | kana | printed;
    }
}

/// The three bytes of each character.
#[inline(always)]
fn whole(first: u64) -> u64 {
    first | first << 1 | first << 2
}

#[cfg(test)]
mod tests {
    use super::super::{Cl100k, DeepseekV3, KimiK2, O200k};
    use super::*;
    use crate::pretokenize::unicode::{HAN, LETTER, LOWER, PUNCTUATION, SYMBOL, UPPER, classes};
    use crate::simd::Portable;

    /// Checks every character that `find` knows against the table, and says how many there are.
    fn check<R: Rules>() -> usize {
        let (cased, mut known) = (matches!(R::LETTERS, Letters::Cased | Letters::CasedHan), 0);
        for code in 0x80..0x11_0000 {
            let Some(character) = char::from_u32(code) else { continue };
            let mut block = [b'a'; 64];
            character.encode_utf8(&mut block[20..]);
            let bytes = ((1 << character.len_utf8()) - 1) << 20;
            let common = find::<R, _>(Portable, &block);
            if common.first == 0 {
                assert_eq!(common.upper | common.lower | common.printed | common.han, 0);
                continue;
            }
            known += 1;
            let class = classes().of(code);
            let all = |bit| if bit { bytes } else { 0 };
            assert_eq!(common.first, 1 << 20, "{code:x}");
            assert_eq!(common.upper | common.lower, all(class & LETTER != 0), "{code:x}");
            assert_eq!(common.printed, all(class & (PUNCTUATION | SYMBOL) != 0), "{code:x}");
            if cased {
                assert_eq!(common.upper, all(class & UPPER != 0), "{code:x}");
                assert_eq!(common.lower, all(class & LOWER != 0), "{code:x}");
            }
            let han = match R::PARTS {
                Parts::NumbersCjk => matches!(code, 0x4E00..=0x9FA5 | 0x3040..=0x30FF),
                _ => class & HAN != 0,
            };
            assert_eq!(common.han, all(han), "{code:x}");
        }
        known
    }

    #[test]
    fn common_characters_have_the_class_of_the_table() {
        for known in [check::<Cl100k>(), check::<O200k>(), check::<KimiK2>(), check::<DeepseekV3>()]
        {
            assert!(known > 20_000);
        }
    }

    #[test]
    fn characters_cut_off_by_the_block_are_not_common() {
        for (text, length) in [("é", 2), ("中", 3), ("…", 3), ("あ", 3)] {
            for start in 64 - length + 1..64 {
                let mut block = [b'a'; 64];
                let inside = 64 - start;
                block[start..].copy_from_slice(&text.as_bytes()[..inside]);
                assert_eq!(find::<O200k, _>(Portable, &block).first, 0, "{text} at {start}");
            }
        }
    }
}
