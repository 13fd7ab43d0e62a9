//! The classes of common characters beyond ASCII, told from their bytes without a table.
//!
//! Whole stretches of UTF-8 have one class: nearly all ideographs, Hangul, kana, basic Cyrillic,
//! Greek, Hebrew, Arabic, Thai, Devanagari and Khmer, letters of Latin-1 and of Vietnamese,
//! typographic and fullwidth punctuation. A few comparisons find all of them in 64 bytes. What is not found here is
//! left to the table.

use super::rules::{Letters, Parts, Rules};
use crate::simd::{Block, Kernel};

/// Bytes of common characters by class, and their first bytes.
#[derive(Default)]
pub struct Common {
    pub upper: u64,
    pub lower: u64,
    pub mark: u64,
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
    let two = kernel.between(block, 0xC3, 0xD9) & more >> 1;
    if two != 0 {
        common.add_two::<R, K>(kernel, block, two);
    }
    let three = kernel.between(block, 0xE0, 0xEF) & more >> 1 & more >> 2;
    if three != 0 {
        common.add_three::<R, K>(kernel, block, three);
    }
    common
}

impl Common {
    /// Of U+00C0 to U+067F: Latin-1 letters and basic Cyrillic by case, Hebrew and Arabic, others
    /// where the case does not matter.
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
            let greek = kernel.between(block, 0xCE, 0xCF) & two;
            if greek != 0 {
                let capital = kernel.equal(block, 0xCE);
                let others = second(0x80, 0x8D) | second(0xA2, 0xA2);
                lower |= greek & !(capital & others | !capital & second(0xB6, 0xB6));
            }
        }
        let without_case = Self::semitic(kernel, block, two);
        self.upper |= whole_of_two(upper | without_case);
        self.lower |= whole_of_two(lower | without_case);
        self.first |= upper | lower | without_case;
    }

    /// U+05D0 to U+05EA and U+0620 to U+064A.
    #[inline(always)]
    fn semitic<K: Kernel>(kernel: K, block: &Block, two: u64) -> u64 {
        let leads = kernel.between(block, 0xD7, 0xD9) & two;
        if leads == 0 {
            return 0;
        }
        let second = |low, high| kernel.between(block, low, high) >> 1;
        let hebrew = kernel.equal(block, 0xD7) & second(0x90, 0xAA);
        let arabic = kernel.equal(block, 0xD8) & second(0xA0, 0xBF);
        leads & (hebrew | arabic | kernel.equal(block, 0xD9) & second(0x80, 0x8A))
    }

    /// Of U+0800 to U+FFFF: letters without case, those where the case does not matter, and
    /// punctuation.
    #[inline(always)]
    fn add_three<R: Rules, K: Kernel>(&mut self, kernel: K, block: &Block, three: u64) {
        let second = |low, high| kernel.between(block, low, high) >> 1;
        let third = |low, high| kernel.between(block, low, high) >> 2;
        // U+4E00 to U+8FFF; the CJK ranges of deepseek end inside the next lead byte.
        let last_lead = if R::PARTS == Parts::NumbersCjk { 0xE8 } else { 0xE9 };
        let ideographs = (kernel.between(block, 0xE5, last_lead)
            | kernel.equal(block, 0xE4) & second(0xB8, 0xBF))
            & three;
        // U+AC00 to U+D77F.
        let mut hangul = kernel.between(block, 0xEA, 0xED) & three;
        if hangul != 0 {
            hangul &= !(kernel.equal(block, 0xEA) & second(0x80, 0xAF));
            hangul &= !(kernel.equal(block, 0xED) & second(0x9E, 0xBF));
        }
        let south = kernel.between(block, 0xE0, 0xE1) & three;
        let (mut letters, mut marks) = (ideographs | hangul, 0);
        if K::QUICK && south != 0 {
            let (found, after) = southern(kernel, block);
            letters |= found & south;
            marks = after & south;
            if !matches!(R::LETTERS, Letters::Cased | Letters::CasedHan) {
                // U+1E00 to U+1EFF.
                letters |= kernel.equal(block, 0xE1) & second(0xB8, 0xBB) & south;
            }
        }
        let (mut kana, mut printed) = (0, 0);
        let japanese = kernel.equal(block, 0xE3) & three;
        if japanese != 0 {
            let hiragana = second(0x81, 0x81) & !third(0x80, 0x80);
            let middle = second(0x82, 0x82) & !(third(0x97, 0x9C) | third(0xA0, 0xA0));
            let katakana = second(0x83, 0x83) & !third(0xBB, 0xBB);
            kana = japanese & (hiragana | middle | katakana);
            let signs = second(0x80, 0x80) & (third(0x81, 0x82) | third(0x8C, 0x8F));
            printed = japanese & signs;
        }
        // U+2010 to U+2027, and U+FF01 to U+FF0F.
        printed |= kernel.equal(block, 0xE2) & second(0x80, 0x80) & third(0x90, 0xA7) & three;
        printed |= kernel.equal(block, 0xEF) & second(0xBC, 0xBC) & third(0x81, 0x8F) & three;
        letters |= kana;
        self.first |= letters | marks | printed;
        self.mark |= whole(marks);
        let letters = whole(letters);
        self.upper |= letters;
        self.lower |= letters;
        self.printed |= whole(printed);
        let cjk = if R::PARTS == Parts::NumbersCjk { kana } else { 0 };
        self.han |= whole(ideographs | cjk);
    }
}

/// First bytes of letters and of marks: of Thai, U+0E01 to U+0E4E, of Devanagari, U+0900 to U+0963, and
/// of Khmer, U+1780 to U+17D3.
#[inline(always)]
fn southern<K: Kernel>(kernel: K, block: &Block) -> (u64, u64) {
    let second = |byte| kernel.equal(block, byte) >> 1;
    let third = |low, high| kernel.between(block, low, high) >> 2;
    let first = kernel.equal(block, 0xE0);
    let (thai, thai_later) = (first & second(0xB8), first & second(0xB9));
    let mut letters =
        thai & (third(0x81, 0xB0) | third(0xB2, 0xB3)) | thai_later & third(0x80, 0x86);
    let mut marks = thai & (third(0xB1, 0xB1) | third(0xB4, 0xBA)) | thai_later & third(0x87, 0x8E);
    let (hindi, hindi_later) = (first & second(0xA4), first & second(0xA5));
    if hindi != 0 {
        let letter = third(0x84, 0xB9) | third(0xBD, 0xBD);
        letters |= hindi & letter;
        marks |= hindi & !letter;
        let letter = third(0x90, 0x90) | third(0x98, 0xA1);
        letters |= hindi_later & letter;
        marks |= hindi_later & third(0x80, 0xA3) & !letter;
    }
    let khmer = kernel.equal(block, 0xE1) & (second(0x9E) | second(0x9F));
    if khmer != 0 {
        let letter = second(0x9E) & third(0x80, 0xB3);
        letters |= khmer & letter;
        marks |= khmer & !letter & (second(0x9E) | third(0x80, 0x93));
    }
    (letters, marks)
}

/// The two bytes of each character.
#[inline(always)]
fn whole_of_two(first: u64) -> u64 {
    first | first << 1
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
    use crate::pretokenize::unicode::{
        HAN, LETTER, LOWER, MARK, PUNCTUATION, SYMBOL, UPPER, classes,
    };
    use crate::simd::{Portable, Task, dispatch};
    use std::marker::PhantomData;

    /// `find`, with the best kernel that the processor has.
    struct Find<'a, R>(&'a Block, PhantomData<R>);

    impl<R: Rules> Task for Find<'_, R> {
        type Output = Common;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Common {
            find::<R, K>(kernel, self.0)
        }
    }

    /// Checks every character that `find` knows against the table, and says how many there are.
    fn check<R: Rules>(find: impl Fn(&Block) -> Common) -> usize {
        let (cased, mut known) = (matches!(R::LETTERS, Letters::Cased | Letters::CasedHan), 0);
        for code in 0x80..0x11_0000 {
            let Some(character) = char::from_u32(code) else { continue };
            let mut block = [b'a'; 64];
            character.encode_utf8(&mut block[20..]);
            let bytes = ((1 << character.len_utf8()) - 1) << 20;
            let common = find(&block);
            if common.first == 0 {
                assert_eq!(
                    common.upper | common.lower | common.mark | common.printed | common.han,
                    0
                );
                continue;
            }
            known += 1;
            let class = classes().of(code);
            let all = |bit| if bit { bytes } else { 0 };
            assert_eq!(common.first, 1 << 20, "{code:x}");
            assert_eq!(common.upper | common.lower, all(class & LETTER != 0), "{code:x}");
            assert_eq!(common.mark, all(class & MARK != 0), "{code:x}");
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
        fn both<R: Rules>() -> usize {
            let best = check::<R>(|block| dispatch(Find(block, PhantomData::<R>)));
            best.min(check::<R>(|block| find::<R, _>(Portable, block)))
        }
        for known in [both::<Cl100k>(), both::<O200k>(), both::<KimiK2>(), both::<DeepseekV3>()] {
            assert!(known > 20_000);
        }
    }

    #[test]
    fn characters_cut_off_by_the_block_are_not_common() {
        let twos = ["é", "λ", "ع"].map(|text| (text, 2));
        let threes = ["中", "…", "あ", "ก", "ि"].map(|text| (text, 3));
        for (text, length) in twos.into_iter().chain(threes) {
            for start in 64 - length + 1..64 {
                let mut block = [b'a'; 64];
                let inside = 64 - start;
                block[start..].copy_from_slice(&text.as_bytes()[..inside]);
                assert_eq!(find::<Cl100k, _>(Portable, &block).first, 0, "{text} at {start}");
                let best = dispatch(Find(&block, PhantomData::<Cl100k>));
                assert_eq!(best.first, 0, "{text} at {start}");
            }
        }
    }
}
