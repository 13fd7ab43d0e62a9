//! The class of every code point, and reading characters from bytes that may be no UTF-8.
//!
//! Classes are bit sets, taken from `regex_syntax`'s Unicode tables, so that hand-written splitters
//! and regular expressions agree on every character. The table has two levels of 64 code points,
//! the granule of a UTF-8 continuation byte, with a flat front for code points below 0x800.

use std::collections::HashMap;
use std::sync::OnceLock;

use regex_syntax::hir::{Class, HirKind};

/// Upper-case side of cased patterns: Lu, Lt, Lm, Lo.
pub const UPPER: u8 = 1;
/// Lower-case side of cased patterns: Ll, Lm, Lo.
pub const LOWER: u8 = 2;
/// Any letter, `\p{L}`.
pub const LETTER: u8 = UPPER | LOWER;
/// `\p{M}`.
pub const MARK: u8 = 4;
/// `\p{N}`.
pub const NUMBER: u8 = 8;
/// White space, `\s`.
pub const SPACE: u8 = 16;
/// `\p{P}`.
pub const PUNCTUATION: u8 = 32;
/// `\p{S}`.
pub const SYMBOL: u8 = 64;
/// `\p{Han}`, which holds letters, numbers, symbols and marks.
pub const HAN: u8 = 128;

/// Class of a byte that is no part of well-formed UTF-8: that of U+FFFD, which stands for it.
pub const BROKEN: u8 = SYMBOL;

/// The bits of each property; what has none (controls, private use, unassigned) is class 0.
const PROPERTIES: [(&str, u8); 11] = [
    (r"\p{Lu}", UPPER),
    (r"\p{Lt}", UPPER),
    (r"\p{Ll}", LOWER),
    (r"\p{Lm}", LETTER),
    (r"\p{Lo}", LETTER),
    (r"\p{M}", MARK),
    (r"\p{N}", NUMBER),
    (r"\s", SPACE),
    (r"\p{P}", PUNCTUATION),
    (r"\p{S}", SYMBOL),
    (r"\p{Han}", HAN),
];

const CODE_POINTS: usize = 0x11_0000;
const BLOCK: usize = 64;

/// Class of every code point.
pub struct Classes {
    low: [u8; 0x800],
    index: Vec<u16>,
    blocks: Vec<[u8; BLOCK]>,
}

/// The table, built on first use.
pub fn classes() -> &'static Classes {
    static TABLE: OnceLock<Classes> = OnceLock::new();
    TABLE.get_or_init(Classes::build)
}

impl Classes {
    fn build() -> Self {
        let mut flat = vec![0u8; CODE_POINTS];
        for (property, bits) in PROPERTIES {
            mark(&mut flat, property, bits);
        }
        let mut low = [0; 0x800];
        low.copy_from_slice(&flat[..0x800]);
        let (mut blocks, mut seen) = (Vec::new(), HashMap::new());
        let index = flat.as_chunks::<BLOCK>().0.iter().map(|block| {
            *seen.entry(*block).or_insert_with(|| {
                blocks.push(*block);
                u16::try_from(blocks.len() - 1).expect("0x110000 / 64 blocks fit in 16 bits")
            })
        });
        let index = index.collect();
        Classes { low, index, blocks }
    }

    /// Class of an ASCII byte; 0 for the others.
    #[inline(always)]
    pub fn ascii(&self, byte: u8) -> u8 {
        if byte < 0x80 { self.low[usize::from(byte)] } else { 0 }
    }

    /// Class of a code point; 0 for a number that is none.
    #[inline(always)]
    pub fn of(&self, code: u32) -> u8 {
        let code = code as usize;
        match self.index.get(code / BLOCK) {
            Some(&block) => self.blocks[usize::from(block)][code % BLOCK],
            None => 0,
        }
    }

    /// Class and length of the character at `at`, which must be inside the text.
    ///
    /// A byte that is no part of well-formed UTF-8 is a character of class `BROKEN`.
    #[inline(always)]
    pub fn at(&self, text: &[u8], at: usize) -> (u8, usize) {
        let lead = text[at];
        if lead < 0x80 {
            return (self.low[usize::from(lead)], 1);
        }
        self.wide(text, at)
    }

    #[inline]
    fn wide(&self, text: &[u8], at: usize) -> (u8, usize) {
        self.beyond_ascii(text, at)
    }

    /// The same where the byte at `at` is not ASCII, for a loop over such characters.
    #[inline(always)]
    pub fn beyond_ascii(&self, text: &[u8], at: usize) -> (u8, usize) {
        if let Some(chunk) = text[at..].first_chunk() {
            let word = u32::from_le_bytes(*chunk);
            let low = |shift: u32| word >> shift & 0x3F;
            if word & 0x00C0_C0F0 == 0x0080_80E0 {
                let code = (word & 0x0F) << 12 | low(8) << 6 | low(16);
                if code >= 0x800 && code & 0xF800 != 0xD800 {
                    return (self.of(code), 3);
                }
            } else if word & 0xC0E0 == 0x80C0 && word & 0x1E != 0 {
                return (self.low[((word & 0x1F) << 6 | low(8)) as usize], 2);
            }
        }
        match decode(text, at) {
            (Some(code), 2) => (self.low[code as usize & 0x7FF], 2),
            (Some(code), length) => (self.of(code), length),
            (None, length) => (BROKEN, length),
        }
    }
}

/// Code point and length of the character at `at`; `None` and 1 for a byte that is not part of
/// well-formed UTF-8 (Unicode 15, table 3-7).
#[inline(always)]
pub fn decode(text: &[u8], at: usize) -> (Option<u32>, usize) {
    let low = |byte: u8| u32::from(byte & 0x3F);
    let broken = (None, 1);
    match text[at..] {
        [a @ ..0x80, ..] => (Some(u32::from(a)), 1),
        [a @ 0xC2..0xE0, b @ 0x80..0xC0, ..] => (Some(u32::from(a & 0x1F) << 6 | low(b)), 2),
        [a @ 0xE0..0xF0, b @ 0x80..0xC0, c @ 0x80..0xC0, ..] => {
            let code = u32::from(a & 0x0F) << 12 | low(b) << 6 | low(c);
            let valid = code >= 0x800 && !(0xD800..0xE000).contains(&code);
            if valid { (Some(code), 3) } else { broken }
        }
        [a @ 0xF0..0xF5, b @ 0x80..0xC0, c @ 0x80..0xC0, d @ 0x80..0xC0, ..] => {
            let code = u32::from(a & 0x07) << 18 | low(b) << 12 | low(c) << 6 | low(d);
            if (0x1_0000..0x11_0000).contains(&code) { (Some(code), 4) } else { broken }
        }
        _ => broken,
    }
}

fn mark(flat: &mut [u8], property: &'static str, bits: u8) {
    for (start, end) in ranges(property) {
        for cell in &mut flat[start as usize..=end as usize] {
            *cell |= bits;
        }
    }
}

/// Code points of a class that stands in this crate, as sorted ranges with both ends.
pub fn ranges(class: &'static str) -> Vec<(u32, u32)> {
    let hir = regex_syntax::parse(class).expect("a class that the crate's tests have parsed");
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether one of the sorted ranges holds the code point.
pub fn holds(ranges: &[(u32, u32)], code: u32) -> bool {
    let after = ranges.partition_point(|&(start, _)| start <= code);
    after > 0 && code <= ranges[after - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_agrees_with_the_standard_library_on_every_code_point() {
        let table = classes();
        for code in 0..CODE_POINTS as u32 {
            let Some(char) = char::from_u32(code) else { continue };
            let mut buffer = [0; 4];
            let bytes = char.encode_utf8(&mut buffer).as_bytes();
            assert_eq!(decode(bytes, 0), (Some(code), bytes.len()));
            assert_eq!(table.at(bytes, 0), (table.of(code), bytes.len()));
            let followed = [bytes, b"\xBF\xBF\xBF"].concat();
            assert_eq!(table.at(&followed, 0), (table.of(code), bytes.len()));
            let class = table.of(code);
            assert_eq!(class & SPACE != 0, char.is_whitespace(), "{code:x}");
        }
        assert_eq!((table.at(b"\x80", 0), table.of(0xFFFD)), ((BROKEN, 1), BROKEN));
    }

    #[test]
    fn every_broken_byte_is_a_character_of_its_own() {
        let mut bytes = vec![0u8; 5];
        let mut state = 1u64;
        for _ in 0..200_000 {
            for byte in &mut bytes {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let kinds = [0x00, 0x80, 0xA0, 0xC0, 0xE0, 0xED, 0xF0, 0xF4];
                *byte = kinds[(state >> 61) as usize] | (state >> 40) as u8 & 0x1F;
            }
            let mut at = 0;
            let mut lengths = Vec::new();
            for chunk in bytes.utf8_chunks() {
                lengths.extend(chunk.valid().chars().map(|c| (Some(c as u32), c.len_utf8())));
                lengths.extend(chunk.invalid().iter().map(|_| (None, 1)));
            }
            for length in lengths {
                assert_eq!(decode(&bytes, at), length, "{bytes:x?} at {at}");
                let class = length.0.map_or(BROKEN, |code| classes().of(code));
                assert_eq!(classes().at(&bytes, at), (class, length.1), "{bytes:x?} at {at}");
                at += length.1;
            }
        }
    }
}
