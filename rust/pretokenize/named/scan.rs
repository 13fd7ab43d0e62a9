//! Walks a text piece by piece, part by part.

use std::marker::PhantomData;

use super::rules::{self, Numbers, Parts, Rules, piece};
use super::{falcon, window};
use crate::error::Watch;
use crate::pretokenize::Span;
use crate::pretokenize::unicode::{Classes, NUMBER, decode};
use crate::simd::{self, Kernel, Task};

/// How far ahead text is asked for: what is done with the pieces makes the processor lose sight of
/// the text that comes next.
const AHEAD: usize = 2048;

/// A piece from this size on is given out at once, so that the caller may look whether to go on.
pub const LONG: usize = if cfg!(test) { 128 } else { 1 << 16 };

/// Where a walk stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    /// Start of the next piece.
    pub at: usize,
    /// End of the part of the text that the next piece lies in, once it is known.
    pub part_end: usize,
    /// End of the piece that later steps cut further.
    pub outer_end: usize,
    /// Ends of pieces after `at` that are known: bit i is an end after byte `base + i`.
    pub ends: u64,
    pub base: usize,
    /// Where the last of them is, or `at`.
    pub after: usize,
    /// Ends of pieces after that, if they were looked for: none where none is near.
    pub ahead: Option<u64>,
}

/// Writes the next pieces, and says how many; 0 at the end of the text.
pub fn fill<R: Rules>(
    classes: &Classes,
    text: &[u8],
    cursor: &mut Cursor,
    out: &mut [Span],
    watch: &mut Watch<'_>,
) -> usize {
    let rules = PhantomData::<R>;
    simd::dispatch(Fill { rules, classes, text, cursor, out, watch })
}

struct Fill<'a, 'p, R> {
    rules: PhantomData<R>,
    classes: &'a Classes,
    text: &'a [u8],
    cursor: &'a mut Cursor,
    out: &'a mut [Span],
    watch: &'a mut Watch<'p>,
}

impl<R: Rules> Task for Fill<'_, '_, R> {
    type Output = usize;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> usize {
        let Fill { classes, text, cursor, out, watch, .. } = self;
        let mut count = 0;
        loop {
            // Looked for before the pieces of the window at hand are written: how many these are
            // nobody can guess, and while the processor goes back it has something to do.
            let ahead = match cursor.ahead {
                Some(ahead) => ahead,
                None if cursor.after < text.len() => {
                    simd::prefetch(text, cursor.after + AHEAD);
                    window::ends::<R, K>(kernel, classes, text, cursor.after)
                }
                None => 0,
            };
            count += write(cursor, &mut out[count..]);
            cursor.ahead = Some(ahead);
            if count == out.len() || cursor.at >= text.len() {
                break;
            }
            cursor.ahead = None;
            if ahead == 0 {
                let start = cursor.at;
                cursor.at = next::<R>(classes, text, cursor, watch);
                cursor.after = cursor.at;
                out[count] = Span { start, end: cursor.at };
                count += 1;
                if watch.has_stopped() || cursor.at - start >= LONG {
                    break;
                }
                continue;
            }
            (cursor.ends, cursor.base) = (ahead, cursor.at);
            cursor.after = cursor.at + 64 - ahead.leading_zeros() as usize;
        }
        count
    }
}

/// Writes the pieces of a window, as many as fit, and says how many.
#[inline(always)]
fn write(cursor: &mut Cursor, out: &mut [Span]) -> usize {
    // How many there are nobody can guess, but how many fours: what is too much is written over.
    const CHUNK: usize = 4;
    let count = out.len().min(cursor.ends.count_ones() as usize);
    let (mut ends, mut at) = (cursor.ends, cursor.at);
    let mut next = || {
        let start = at;
        at = cursor.base + ends.trailing_zeros() as usize + 1;
        ends &= ends.wrapping_sub(1);
        Span { start, end: at }
    };
    match out.get_mut(..count.next_multiple_of(CHUNK)) {
        Some(out) => {
            for chunk in out.as_chunks_mut::<CHUNK>().0 {
                chunk.fill_with(&mut next);
            }
        }
        None => out[..count].fill_with(&mut next),
    }
    cursor.ends = ends;
    cursor.at = out[..count].last().map_or(cursor.at, |last| last.end);
    count
}

/// The same for falcon's four steps.
pub fn fill_falcon(
    classes: &Classes,
    text: &[u8],
    cursor: &mut Cursor,
    out: &mut [Span],
    watch: &mut Watch<'_>,
) -> usize {
    let mut count = 0;
    for span in out {
        if cursor.at >= text.len() {
            break;
        }
        let start = cursor.at;
        if start >= cursor.part_end {
            cursor.part_end = falcon::part_end(text, start, watch);
        }
        if start >= cursor.outer_end {
            cursor.outer_end =
                piece::<super::Gpt2>(classes, &text[..cursor.part_end], start, watch);
        }
        cursor.at = falcon::inner_end(&text[..cursor.outer_end], start, watch);
        *span = Span { start, end: cursor.at };
        count += 1;
        if watch.has_stopped() || cursor.at - start >= LONG {
            break;
        }
    }
    count
}

/// End of the piece at the cursor, which stands inside the text.
#[inline]
fn next<R: Rules>(
    classes: &Classes,
    text: &[u8],
    cursor: &mut Cursor,
    watch: &mut Watch<'_>,
) -> usize {
    if R::PARTS == Parts::Whole {
        return piece::<R>(classes, text, cursor.at, watch);
    }
    if cursor.at >= cursor.part_end {
        cursor.part_end = part_end::<R>(classes, text, cursor.at, watch);
    }
    piece::<R>(classes, &text[..cursor.part_end], cursor.at, watch)
}

/// End of the part that starts at `at`.
fn part_end<R: Rules>(classes: &Classes, text: &[u8], at: usize, watch: &mut Watch<'_>) -> usize {
    let kind = |at| {
        let (class, length) = classes.at(text, at);
        (part_kind::<R>(class, text, at), length)
    };
    let (first, length) = kind(at);
    if first == Kind::Number
        && let Numbers::UpTo(most) = R::NUMBERS
    {
        return rules::run_of(classes, text, at, NUMBER, most, watch);
    }
    watch.walk(at + length, text.len(), |at| {
        let (next, length) = kind(at);
        if next == first { length } else { 0 }
    })
}

#[derive(PartialEq, Eq)]
enum Kind {
    Number,
    Cjk,
    Rest,
}

fn part_kind<R: Rules>(class: u8, text: &[u8], at: usize) -> Kind {
    if class & NUMBER != 0 || R::PARTS == Parts::Numbers && rules::is_late_number(text, at) {
        return Kind::Number;
    }
    let wide = R::PARTS == Parts::NumbersCjk && text[at] >= 0xE3;
    match decode(text, at).0 {
        Some(0x4E00..=0x9FA5 | 0x3040..=0x30FF) if wide => Kind::Cjk,
        _ => Kind::Rest,
    }
}
