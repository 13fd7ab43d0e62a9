//! Masks of the classes in a window of 64 bytes.

use super::common;
use super::rules::{
    Contractions, Letters, Parts, Rules, Tail, is_late_number, is_letter, is_other,
};
use crate::pretokenize::unicode::{
    Classes, HAN, LETTER, LOWER, MARK, NUMBER, SPACE, UPPER, decode,
};
use crate::simd::{Block, Kernel};

/// Classes of the bytes of a window; bits from `length` on are 0.
pub struct Masks {
    /// What may stand in a piece of letters.
    pub letter: u64,
    /// What may stand in a piece of other characters.
    pub other: u64,
    pub upper: u64,
    pub lower: u64,
    pub mark: u64,
    pub number: u64,
    pub space: u64,
    /// Line breaks of the patterns, CR and LF.
    pub newline: u64,
    /// U+0020.
    pub blank: u64,
    pub apostrophe: u64,
    pub slash: u64,
    /// Han characters, where the pattern knows them.
    pub han: u64,
    /// Characters of `[一-龥぀-ゟ゠-ヿ]`, where the pattern knows them.
    pub cjk: u64,
    /// Bytes that are not ASCII.
    pub high: u64,
    /// First bytes of characters.
    pub first: u64,
    /// Bytes that the masks speak of.
    pub length: usize,
    /// Whether the text ends there.
    pub at_end: bool,
}

/// The lowest `count <= 64` bits; all for more.
#[inline(always)]
pub fn below(count: usize) -> u64 {
    if count >= 64 { !0 } else { !(!0 << count) }
}

impl Masks {
    /// The masks of the text from `at` on, where it does not end yet.
    #[inline(always)]
    pub fn read<R: Rules, K: Kernel>(kernel: K, classes: &Classes, text: &[u8], at: usize) -> Self {
        let rest = &text[at..];
        if let Some(block) = rest.first_chunk() {
            return Self::of_block::<R, K>(kernel, classes, block, rest, 64);
        }
        let mut block = [0; 64];
        block[..rest.len()].copy_from_slice(rest);
        Self::of_block::<R, K>(kernel, classes, &block, rest, rest.len())
    }

    #[inline(always)]
    fn of_block<R: Rules, K: Kernel>(
        kernel: K,
        classes: &Classes,
        block: &Block,
        rest: &[u8],
        length: usize,
    ) -> Self {
        let suffix = R::CONTRACTIONS == Contractions::Suffix;
        let slash = R::TAIL == Tail::NewlinesSlash;
        let upper = kernel.between(block, b'A', b'Z');
        let lower = kernel.between(block, b'a', b'z');
        let number = kernel.between(block, b'0', b'9');
        let blank = kernel.equal(block, b' ');
        let space = kernel.between(block, b'\t', b'\r') | blank;
        let apostrophe = R::CONTRACTIONS != Contractions::None || suffix;
        let mut masks = Masks {
            letter: upper | lower,
            other: 0,
            upper,
            lower,
            mark: 0,
            number,
            space,
            newline: kernel.equal(block, b'\n') | kernel.equal(block, b'\r'),
            blank,
            apostrophe: if apostrophe { kernel.equal(block, b'\'') } else { 0 },
            slash: if slash { kernel.equal(block, b'/') } else { 0 },
            han: 0,
            cjk: 0,
            high: kernel.high(block),
            first: !0,
            length,
            at_end: length == rest.len(),
        };
        masks.other = below(length) & !(masks.letter | number | space);
        if R::LETTERS == Letters::Deepseek {
            let printed = kernel.between(block, b'!', b'~');
            let control = masks.other & !printed & !masks.high;
            masks.other &= printed;
            if control != 0 {
                masks.stop(control.trailing_zeros() as usize);
            }
        }
        if masks.high != 0 {
            masks.widen::<R, K>(kernel, classes, block, rest);
        }
        masks
    }

    /// Adds the characters that are not ASCII: the common ones by their bytes, the others one by
    /// one.
    #[inline(always)]
    fn widen<R: Rules, K: Kernel>(
        &mut self,
        kernel: K,
        classes: &Classes,
        block: &Block,
        rest: &[u8],
    ) {
        let common = common::find::<R, K>(kernel, block);
        self.first = !self.high | common.first;
        self.add::<R>([common.upper, common.lower, common.mark, 0, 0, common.printed, common.han]);
        let known = common.upper | common.lower | common.mark | common.printed;
        let others = self.high & below(self.length) & !known;
        if others != 0 {
            self.add_others::<R, K>(kernel, classes, rest, others);
        }
    }

    #[inline(always)]
    fn add_others<R: Rules, K: Kernel>(
        &mut self,
        kernel: K,
        classes: &Classes,
        rest: &[u8],
        others: u64,
    ) {
        let (mut lanes, mut left) = ([0u8; 68], others);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            let (mut class, length) = classes.beyond_ascii(rest, at);
            if R::PARTS == Parts::NumbersCjk {
                class = with_cjk(class, rest, at);
            }
            let late = R::PARTS == Parts::Numbers && is_late_number(rest, at);
            if at + length > self.length || is_rare::<R>(class) || late {
                self.stop(at);
                break;
            }
            // Four bytes at once: those of the next character are written after it, and the bytes
            // of others are masked out.
            lanes[at..at + 4].copy_from_slice(&[class; 4]);
            self.first |= 1 << at;
            left &= !below(at + length);
        }
        let lanes = lanes.first_chunk().expect("68 bytes hold 64");
        let [upper, lower, mark, number, space, punctuation, symbol, han] =
            kernel.bits(lanes).map(|mask| mask & others);
        self.add::<R>([upper, lower, mark, number, space, punctuation | symbol, han]);
    }

    #[inline(always)]
    fn add<R: Rules>(&mut self, classes: [u64; 7]) {
        let [upper, lower, mark, number, space, printed, han] = classes;
        let known = below(self.length);
        let han_apart = R::LETTERS == Letters::CasedHan;
        let mut letter = upper | lower | if is_letter::<R>(MARK) { mark } else { 0 };
        if han_apart {
            self.han |= han & known;
            letter &= !han;
        }
        if R::PARTS == Parts::NumbersCjk {
            self.cjk |= han & known;
        }
        self.letter |= letter & known;
        self.upper |= (upper | mark) & known;
        self.lower |= (lower | mark) & known;
        self.mark |= mark & known;
        self.number |= number & known;
        self.space |= space & known;
        let not_other = letter | number | space | if han_apart { han } else { 0 };
        self.other &= !not_other;
        if R::LETTERS == Letters::Deepseek {
            self.other |= printed;
        }
        self.other &= known;
    }

    /// Ends the window before byte `at`.
    #[inline(always)]
    pub fn stop(&mut self, at: usize) {
        if at < self.length {
            self.length = at;
            self.at_end = false;
        }
    }

    /// First bytes of the characters of white space whose last bytes are given.
    #[inline(always)]
    pub fn first_of(&self, last: u64) -> u64 {
        if last & self.high == 0 {
            return last;
        }
        // No white space has more than three bytes.
        let second = (last & !self.first) >> 1;
        let third = (second & !self.first) >> 1;
        (last | second | third) & self.first
    }

    /// All bytes of the characters whose first bytes are given.
    #[inline(always)]
    pub fn whole_of(&self, first: u64) -> u64 {
        if first & self.high == 0 {
            return first;
        }
        let more = !self.first;
        let second = first << 1 & more;
        let third = second << 1 & more;
        first | second | third | third << 1 & more
    }
}

/// Characters that the masks have no rule for.
#[inline(always)]
fn is_rare<R: Rules>(class: u8) -> bool {
    match R::LETTERS {
        Letters::CasedHan => class & HAN != 0 && class & LETTER == 0,
        Letters::Deepseek => !is_other::<R>(class) && class & !HAN & KNOWN == 0,
        _ => false,
    }
}

const KNOWN: u8 = UPPER | LOWER | MARK | NUMBER | SPACE;

/// The class with its Han bit for the CJK ranges of deepseek instead.
#[inline(always)]
fn with_cjk(class: u8, text: &[u8], at: usize) -> u8 {
    match decode(text, at).0 {
        Some(0x4E00..=0x9FA5 | 0x3040..=0x30FF) => class | HAN,
        _ => class & !HAN,
    }
}
