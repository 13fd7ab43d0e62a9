//! All pieces that lie in a window of 64 bytes, by bit operations on masks of classes.
//!
//! The window starts where a piece starts, so nothing before it matters and there is no state to
//! carry. Bit i of a mask is byte i; a character's bytes all carry its class. Every rule of the
//! patterns becomes a rule about neighbours or about runs, and a run is followed to its end by the
//! carry of one addition. What the window cannot know (white space or letters that go on past its
//! end, rare characters whose rules need counting) ends it early: pieces that end before are
//! written, and the next window starts at the last of them.

use super::marks::{Masks, below};
use super::rules::{self, Contractions, Letters, Numbers, Parts, Rules, Space, Tail};
use crate::pretokenize::unicode::Classes;
use crate::simd::Kernel;

/// Ends of pieces in the window at `at < text.len()`: bit i is an end after byte i. 0 when no piece
/// ends inside it.
#[inline(always)]
pub fn ends<R: Rules, K: Kernel>(kernel: K, classes: &Classes, text: &[u8], at: usize) -> u64 {
    let mut masks = Masks::read::<R, K>(kernel, classes, text, at);
    if masks.length == 0 {
        return 0;
    }
    let parts = parts::<R>(&masks);
    take_tails::<R>(&mut masks, parts);
    let joined_to_blank = masks.blank << 1 & !parts;
    let others = masks.other & (!(masks.other << 1) | parts);
    let other_starts = others & !joined_to_blank;
    let mut starts = other_starts | number_starts::<R>(&masks, joined_to_blank);
    starts |= masks.han & !(masks.han << 1);
    starts |= space_starts::<R>(&masks, parts);
    if R::LETTERS == Letters::Spaced {
        starts |= masks.letter & !(masks.letter << 1) & !joined_to_blank;
    } else {
        starts |= letter_starts::<R>(&mut masks, parts, other_starts);
    }
    if matches!(R::LETTERS, Letters::Cased | Letters::CasedHan) {
        starts |= case_starts(&masks);
    }
    contract::<R>(&mut masks, &mut starts, other_starts, &text[at..]);
    let known = below(masks.length) & undecided_space::<R>(&masks);
    let at_end = if masks.at_end { 1 << (masks.length - 1) } else { 0 };
    (starts & known) >> 1 | at_end
}

/// Where the text is cut before the pattern runs.
#[inline(always)]
fn parts<R: Rules>(masks: &Masks) -> u64 {
    match R::PARTS {
        Parts::Whole => 0,
        Parts::Numbers => masks.number & masks.first,
        Parts::NumbersCjk => {
            let numbers = masks.number & !(masks.number << 1);
            numbers | (masks.cjk ^ masks.cjk << 1)
        }
    }
}

/// Takes line breaks (and slashes) that follow other characters out of their classes.
#[inline(always)]
fn take_tails<R: Rules>(masks: &mut Masks, parts: u64) {
    let members = match R::TAIL {
        Tail::None => return,
        Tail::Newlines => masks.newline,
        Tail::NewlinesSlash => masks.newline | masks.slash,
    };
    let first = masks.newline & masks.other << 1 & !parts;
    if first != 0 {
        let tail = members & !members.wrapping_add(first) | first;
        masks.other &= !tail;
        masks.space &= !tail;
        masks.newline &= !tail;
    }
}

/// Starts of numbers.
#[inline(always)]
fn number_starts<R: Rules>(masks: &Masks, joined_to_blank: u64) -> u64 {
    let number = masks.number;
    let runs = number & !(number << 1);
    match R::NUMBERS {
        Numbers::Spaced => runs & !joined_to_blank,
        Numbers::UpTo(1) => number & masks.first,
        Numbers::UpTo(most) if number & masks.high != 0 => counted(masks, runs, most),
        Numbers::UpTo(_) => {
            let inside = number & number << 1 & number << 2;
            let (mut starts, mut next) = (runs, runs << 3 & inside);
            while next != 0 {
                starts |= next;
                next = next << 3 & inside;
            }
            starts
        }
    }
}

/// Starts of groups of `most` numbers where some have several bytes.
fn counted(masks: &Masks, runs: u64, most: usize) -> u64 {
    let (mut left, mut starts, mut count) = (masks.number & masks.first, 0, 0);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        if runs & bit != 0 || count == most {
            starts |= bit;
            count = 0;
        }
        count += 1;
        left ^= bit;
    }
    starts
}

/// Starts of pieces of white space, and of the last white space before something else, which may
/// begin the next piece.
#[inline(always)]
fn space_starts<R: Rules>(masks: &Masks, parts: u64) -> u64 {
    let space = masks.space;
    let mut starts = space & !(space << 1);
    let mut last = space;
    if R::SPACE != Space::Plain {
        // After a line break, white space begins a piece unless another line break follows it.
        let inner = space & !masks.newline;
        let mut after = inner & masks.newline << 1;
        let mut broken = inner.wrapping_add(after) & masks.newline;
        while broken != 0 && after != 0 {
            let before = after & below(broken.trailing_zeros() as usize);
            after ^= 1 << (63 - before.leading_zeros());
            broken &= broken - 1;
        }
        starts |= after;
        last = inner;
    }
    last &= !(space >> 1 | parts >> 1) & below(masks.length - 1);
    starts | masks.first_of(last)
}

/// Starts of letters, unless the character before begins their piece.
#[inline(always)]
fn letter_starts<R: Rules>(masks: &mut Masks, parts: u64, other_starts: u64) -> u64 {
    let letters = masks.letter & (!(masks.letter << 1) | parts);
    let alone = masks.whole_of(other_starts);
    if matches!(R::LETTERS, Letters::Cased | Letters::CasedHan) {
        // A mark goes with other characters before it, except with a single one, whose letter it is.
        let absorbed = masks.mark & masks.other << 1 & !(alone << 1);
        if absorbed != 0 {
            masks.stop(absorbed.trailing_zeros() as usize);
        }
    }
    let before = masks.space & !masks.newline | alone;
    if R::LETTERS != Letters::Deepseek {
        return letters & !(before << 1);
    }
    let ascii = masks.letter & !masks.high;
    let word = letters & ascii & (alone & !masks.high) << 1;
    let rest = ascii.wrapping_add(word) & !ascii & masks.letter;
    letters & !((masks.space & !masks.newline) << 1 & !parts | word & !parts) | rest
}

/// Starts inside letters where the case asks for them: upper case after lower case, and upper case
/// at the end of letters after a character that has both.
#[inline(always)]
fn case_starts(masks: &Masks) -> u64 {
    let both = masks.letter & masks.upper & masks.lower;
    let upper = masks.letter & masks.upper & !both;
    let lower = masks.letter & masks.lower & !both;
    if both == 0 {
        return upper & lower << 1;
    }
    let after = both & lower << 1;
    let low = lower | both & !both.wrapping_add(after) | after;
    let mut starts = upper & low << 1;
    let mut open = upper & both << 1 & !starts;
    while open != 0 {
        let start = open & open.wrapping_neg();
        let end = (upper.wrapping_add(start) & !upper).trailing_zeros() as usize;
        let goes_on = end < masks.length && masks.letter >> end & 1 == 1;
        if !goes_on && (end < masks.length || masks.at_end) {
            starts |= start;
        }
        open ^= start;
    }
    starts
}

/// Applies the contractions, few and far between, one by one.
#[inline(always)]
fn contract<R: Rules>(masks: &mut Masks, starts: &mut u64, other_starts: u64, text: &[u8]) {
    let suffix = R::CONTRACTIONS == Contractions::Suffix;
    // What follows an apostrophe at the end of the window is read from the text.
    let mut left = masks.apostrophe & (masks.letter >> 1 | 1 << (masks.length - 1));
    left &= match R::CONTRACTIONS {
        Contractions::None => return,
        Contractions::Suffix => masks.letter << 1,
        _ => other_starts,
    };
    let mut last_end = 0;
    while left != 0 {
        let at = left.trailing_zeros() as usize;
        left &= left - 1;
        if suffix && at == last_end {
            continue;
        }
        let Some(end) = rules::contraction::<R>(text, at) else { continue };
        let inner = if suffix { at } else { at + 1 };
        *starts &= !below(end) | below(inner);
        if end < 64 {
            *starts |= 1 << end;
        }
        last_end = end;
        // A letter of both cases would be judged by the letters of the contraction before it.
        if suffix && end < masks.length && (masks.upper & masks.lower) >> end & 1 == 1 {
            *starts &= below(end + 1);
            masks.stop(end + 1);
            return;
        }
    }
}

/// All but the starts inside white space that may go on past the window.
#[inline(always)]
fn undecided_space<R: Rules>(masks: &Masks) -> u64 {
    let whole_at_end = R::SPACE == Space::EndLines;
    let last = masks.length - 1;
    if masks.space >> last & 1 == 0 || masks.at_end && !whole_at_end {
        return !0;
    }
    let solid = !masks.space & below(masks.length);
    below(65 - solid.leading_zeros() as usize)
}
