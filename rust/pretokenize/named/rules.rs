//! One piece at a time: what the alternatives of the published patterns mean, in plain loops.
//!
//! The published patterns are variations of one: contractions, letters, numbers, everything else,
//! white space, tried in this order at the end of the last piece. `Rules` says which variation.
//! None of them looks behind, so a piece depends only on its start; and each loop here runs at
//! most a constant number of times over a byte, so splitting is linear in the text.

use crate::error::Watch;
use crate::pretokenize::unicode::{Classes, HAN, LETTER, LOWER, MARK, NUMBER, PUNCTUATION};
use crate::pretokenize::unicode::{SPACE, SYMBOL, UPPER, decode};

/// Where `'s 't 're 've 'm 'll 'd` stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Contractions {
    None,
    /// A piece of their own, in lower case.
    Plain,
    /// A piece of their own, in any case.
    Folded,
    /// At the end of a piece of letters, in any case.
    Suffix,
}

/// What a piece of letters is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// ` ?\p{L}+`
    Spaced,
    /// `[^\r\n\p{L}\p{N}]?\p{L}+`
    Prefixed,
    /// `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+`
    Marked,
    /// `[^\r\n\p{L}\p{N}]?` and `[U]*[l]+|[U]+[l]*` with U = Lu Lt Lm Lo M, l = Ll Lm Lo M.
    Cased,
    /// `\p{Han}+`, and the cased form without Han.
    CasedHan,
    /// ASCII punctuation with ASCII letters; `[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`.
    Deepseek,
}

/// What a piece of numbers is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// ` ?\p{N}+`
    Spaced,
    /// `\p{N}{1,n}`
    UpTo(usize),
}

/// What may follow the other characters in their piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    None,
    /// `[\r\n]*`
    Newlines,
    /// `[\r\n/]*`
    NewlinesSlash,
}

/// How white space is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// `\s+(?!\S)|\s+`
    Plain,
    /// `\s*[\r\n]+` before it.
    Lines,
    /// `\s++$` before both.
    EndLines,
}

/// Where a text is cut before the pattern runs; each part is a text of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    Whole,
    /// Numbers are taken out first.
    Numbers,
    /// Numbers are taken out first, then runs of `[一-龥぀-ゟ゠-ヿ]`.
    NumbersCjk,
}

/// One variation of the published pattern.
pub trait Rules {
    const CONTRACTIONS: Contractions;
    const LETTERS: Letters;
    const NUMBERS: Numbers;
    const TAIL: Tail;
    const SPACE: Space;
    const PARTS: Parts = Parts::Whole;
}

/// End of the piece that starts at `at < text.len()`; the text ends where its part ends.
#[inline]
pub fn piece<R: Rules>(classes: &Classes, text: &[u8], at: usize, watch: &mut Watch<'_>) -> usize {
    let leading = matches!(R::CONTRACTIONS, Contractions::Plain | Contractions::Folded);
    if leading && let Some(end) = contraction::<R>(text, at) {
        return end;
    }
    let (class, length) = classes.at(text, at);
    if let Some(end) = word::<R>(classes, text, at, class, length, watch) {
        return end;
    }
    if class & NUMBER != 0
        && let Numbers::UpTo(most) = R::NUMBERS
    {
        return run_of(classes, text, at, NUMBER, most, watch);
    }
    if let Some(end) = other::<R>(classes, text, at, watch) {
        return end;
    }
    if class & SPACE != 0 {
        return white_space::<R>(classes, text, at, watch);
    }
    unmatched(classes, text, at + length, watch)
}

/// A piece of letters, and of numbers where they too follow a space.
#[inline(always)]
fn word<R: Rules>(
    classes: &Classes,
    text: &[u8],
    at: usize,
    class: u8,
    length: usize,
    watch: &mut Watch<'_>,
) -> Option<usize> {
    let first = text[at];
    if R::LETTERS == Letters::Spaced {
        let start = at + usize::from(first == b' ');
        let class = if start == at { class } else { classes.at(text, start.min(text.len() - 1)).0 };
        let kind = class & (LETTER | NUMBER);
        let is_word = start < text.len() && kind & (LETTER | spaced_numbers::<R>()) != 0;
        let run = if class & LETTER != 0 { LETTER } else { NUMBER };
        return is_word.then(|| run_of(classes, text, start, run, usize::MAX, watch));
    }
    if R::LETTERS == Letters::CasedHan && class & HAN != 0 {
        return Some(run_of(classes, text, at, HAN, usize::MAX, watch));
    }
    if R::LETTERS == Letters::Deepseek && first.is_ascii_punctuation() {
        let letter = |at: usize| usize::from(text[at].is_ascii_alphabetic());
        let end = watch.walk(at + 1, text.len(), letter);
        return (end > at + 1).then_some(end);
    }
    if is_letter::<R>(class) {
        return Some(letters::<R>(classes, text, at, watch));
    }
    let start = at + length;
    let no_prefix = if R::LETTERS == Letters::Deepseek { PUNCTUATION | SYMBOL } else { NUMBER };
    if class & no_prefix != 0 || is_newline(first) || start == text.len() {
        return None;
    }
    let follows = is_letter::<R>(classes.at(text, start).0);
    follows.then(|| letters::<R>(classes, text, start, watch))
}

/// End of the letters that start at `start`, where one stands, with their contraction.
#[inline(always)]
fn letters<R: Rules>(classes: &Classes, text: &[u8], start: usize, watch: &mut Watch<'_>) -> usize {
    let end = match R::LETTERS {
        Letters::Spaced | Letters::Prefixed => {
            run_of(classes, text, start, LETTER, usize::MAX, watch)
        }
        Letters::Marked | Letters::Deepseek => {
            run_of(classes, text, start, LETTER | MARK, usize::MAX, watch)
        }
        Letters::Cased | Letters::CasedHan => cased::<R>(classes, text, start, watch),
    };
    if R::CONTRACTIONS == Contractions::Suffix {
        return contraction::<R>(text, end).unwrap_or(end);
    }
    end
}

/// `[U]*[l]+|[U]+[l]*` from a letter or mark on.
///
/// The greedy `[U]*` takes all that can be upper case. When no lower-case letter follows, it must
/// give back up to the last character that is in both classes; when there is none, the second
/// alternative takes what the first had.
#[inline(always)]
fn cased<R: Rules>(classes: &Classes, text: &[u8], start: usize, watch: &mut Watch<'_>) -> usize {
    let mut last_both = None;
    let upper_end = watch.walk(start, text.len(), |at| {
        let (class, length) = classes.at(text, at);
        if !is_letter::<R>(class) || class & (UPPER | MARK) == 0 {
            return 0;
        }
        if class & (LOWER | MARK) != 0 {
            last_both = Some(at + length);
        }
        length
    });
    let end = watch.walk(upper_end, text.len(), |at| {
        let (class, length) = classes.at(text, at);
        let stays = is_letter::<R>(class) && class & (LOWER | MARK) != 0;
        if stays { length } else { 0 }
    });
    if end > upper_end { end } else { last_both.unwrap_or(upper_end) }
}

/// ` ?[^\s\p{L}\p{N}]+` with its tail.
#[inline(always)]
fn other<R: Rules>(
    classes: &Classes,
    text: &[u8],
    at: usize,
    watch: &mut Watch<'_>,
) -> Option<usize> {
    let start = at + usize::from(text[at] == b' ');
    let end = watch.walk(start, text.len(), |at| {
        let (class, length) = classes.at(text, at);
        if is_other::<R>(class) { length } else { 0 }
    });
    if end == start {
        return None;
    }
    let tail = |at: usize| match R::TAIL {
        Tail::None => false,
        Tail::Newlines => is_newline(text[at]),
        Tail::NewlinesSlash => is_newline(text[at]) || text[at] == b'/',
    };
    Some(watch.walk(end, text.len(), |at| usize::from(tail(at))))
}

/// White space that no other piece took: up to the last line break, else up to the last character.
#[inline(always)]
fn white_space<R: Rules>(
    classes: &Classes,
    text: &[u8],
    at: usize,
    watch: &mut Watch<'_>,
) -> usize {
    let (mut last, mut line_end) = (at, None);
    let end = watch.walk(at, text.len(), |end| {
        let (class, length) = classes.at(text, end);
        if class & SPACE == 0 {
            return 0;
        }
        last = end;
        if is_newline(text[last]) {
            line_end = Some(end + length);
        }
        length
    });
    let at_end = end == text.len();
    match line_end {
        _ if at_end && R::SPACE == Space::EndLines => end,
        Some(line_end) if R::SPACE != Space::Plain => line_end,
        _ if at_end || last == at => end,
        _ => last,
    }
}

/// Characters that no alternative takes stay together up to the next match.
fn unmatched(classes: &Classes, text: &[u8], from: usize, watch: &mut Watch<'_>) -> usize {
    watch.walk(from, text.len(), |end| {
        let (class, length) = classes.at(text, end);
        let next = end + length;
        let before_letter = || next < text.len() && classes.at(text, next).0 & (LETTER | MARK) != 0;
        if class & !HAN != 0 || before_letter() { 0 } else { length }
    })
}

/// End of up to `most` characters that have one of the bits, from `at` on.
#[inline(always)]
pub fn run_of(
    classes: &Classes,
    text: &[u8],
    at: usize,
    bits: u8,
    most: usize,
    watch: &mut Watch<'_>,
) -> usize {
    let mut left = most;
    watch.walk(at, text.len(), |end| {
        let (class, length) = classes.at(text, end);
        if class & bits == 0 || left == 0 {
            return 0;
        }
        left -= 1;
        length
    })
}

/// End of the contraction that starts at `at`, if one does.
///
/// Of the letters s t m d r e v l only s has a case variant outside ASCII: U+017F, long s.
#[inline(always)]
pub fn contraction<R: Rules>(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'\'') {
        return None;
    }
    let folded = R::CONTRACTIONS != Contractions::Plain;
    let fold = |byte: u8| if folded { byte | 0x20 } else { byte };
    match text[at + 1..] {
        [a, ..] if matches!(fold(a), b's' | b't' | b'm' | b'd') => Some(at + 2),
        [a, b, ..] if matches!(&[fold(a), fold(b)], b"re" | b"ve" | b"ll") => Some(at + 3),
        [0xC5, 0xBF, ..] if folded => Some(at + 3),
        _ => None,
    }
}

/// Whether the character may stand in a piece of letters.
#[inline(always)]
pub fn is_letter<R: Rules>(class: u8) -> bool {
    match R::LETTERS {
        Letters::Spaced | Letters::Prefixed => class & LETTER != 0,
        Letters::Marked | Letters::Cased | Letters::Deepseek => class & (LETTER | MARK) != 0,
        Letters::CasedHan => class & (LETTER | MARK) != 0 && class & HAN == 0,
    }
}

/// Whether the character may stand in a piece of other characters.
#[inline(always)]
pub fn is_other<R: Rules>(class: u8) -> bool {
    match R::LETTERS {
        Letters::Deepseek => class & (PUNCTUATION | SYMBOL) != 0,
        Letters::Marked => class & (SPACE | LETTER | NUMBER | MARK) == 0,
        _ => class & (SPACE | LETTER | NUMBER) == 0,
    }
}

#[inline(always)]
fn spaced_numbers<R: Rules>() -> u8 {
    if R::NUMBERS == Numbers::Spaced { NUMBER } else { 0 }
}

#[inline(always)]
pub fn is_newline(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// Whether the character is numeric for `tokenizers`' digits step, whose Unicode 17 is newer than
/// the table: see [`crate::pretokenize::steps::NUMERIC`].
#[inline(always)]
pub fn is_late_number(text: &[u8], at: usize) -> bool {
    text[at] == 0xF0
        && matches!(decode(text, at).0, Some(0x1_1DE0..=0x1_1DE9 | 0x1_6FF4..=0x1_6FF6))
}
