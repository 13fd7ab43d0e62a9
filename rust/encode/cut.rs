//! Where no merge can cross: long pieces fall apart into short ones that the cache knows.
//!
//! A merge across the border between two characters makes a token that contains both sides of that
//! border. So where no token of the vocabulary has these two characters side by side, the piece may
//! be cut, and the ids of the parts joined. Scripts without spaces, whose pieces are whole phrases
//! that never come again, become words of one to three characters that do.
//!
//! The test is a bit table of byte pairs, which is exact, and behind it a bit table of hashed
//! character pairs, which errs towards not cutting. Tokens that hold only a part of a character
//! beside the border say less about it: their byte pair is never cut.

use crate::error::{Poll, Result};
use crate::pretokenize::Span;
use crate::token::Kind;
use crate::vocab::Vocab;

/// Bits in the character table for each pair of characters in the vocabulary.
const BITS_A_PAIR: usize = 16;

/// Bytes that are searched in vain between two looks at whether to go on.
const POLL_BYTES: usize = 1 << 20;

/// Which borders between characters lie inside some token.
#[derive(Debug)]
pub(crate) struct Cuts {
    bytes: BytePairs,
    partial: BytePairs,
    chars: Vec<u64>,
    shift: u32,
}

impl Cuts {
    /// Reads the borders off the model's tokens.
    pub(crate) fn new(vocab: &Vocab) -> Cuts {
        let mut bytes = BytePairs::default();
        let mut partial = BytePairs::default();
        let mut pairs = Vec::new();
        for id in (0..vocab.len() as u32).filter(|&id| vocab.kind(id).has(Kind::MODEL)) {
            let token = vocab.token_bytes(id).unwrap_or_default();
            for at in 1..token.len() {
                bytes.set(token[at - 1], token[at]);
                if is_continuation(token[at]) || token[at - 1] < 0x80 && token[at] < 0x80 {
                    continue;
                }
                match char_before(token, at).zip(char_after(token, at)) {
                    Some((left, right)) => pairs.push(pair_hash(left, right)),
                    None => partial.set(token[at - 1], token[at]),
                }
            }
        }
        let bits = (BITS_A_PAIR * pairs.len()).next_power_of_two().max(64);
        let mut cuts =
            Cuts { bytes, partial, chars: vec![0; bits / 64], shift: 64 - bits.trailing_zeros() };
        for pair in pairs {
            let bit = cuts.bit(pair);
            cuts.chars[bit / 64] |= 1 << (bit % 64);
        }
        cuts
    }

    /// The end of the first part of `text[span]`: the next border that may be cut, or the end.
    ///
    /// # Errors
    /// Those of `poll`.
    #[inline]
    pub(crate) fn first_part(&self, text: &[u8], span: Span, poll: Poll<'_>) -> Result<usize> {
        let piece = &text[..span.end];
        let mut at = span.start;
        let mut left = None;
        loop {
            let stop = span.end.min(at.saturating_add(POLL_BYTES));
            while at < stop {
                let (char, len) = char_at(piece, at);
                if at > span.start && !self.joins(piece, at, left, char) {
                    return Ok(at);
                }
                left = char;
                at += len;
            }
            if at >= span.end {
                return Ok(span.end);
            }
            poll()?;
        }
    }

    /// Whether some token may contain the border at `at`.
    #[inline]
    fn joins(&self, text: &[u8], at: usize, left: Option<u32>, right: Option<u32>) -> bool {
        let (a, b) = (text[at - 1], text[at]);
        if !self.bytes.has(a, b) {
            return is_continuation(b);
        }
        if a < 0x80 && b < 0x80 || self.partial.has(a, b) {
            return true;
        }
        match left.zip(right) {
            Some((left, right)) => {
                let bit = self.bit(pair_hash(left, right));
                self.chars[bit / 64] >> (bit % 64) & 1 != 0
            }
            None => true,
        }
    }

    /// Whether no token has this byte right before that.
    pub(crate) fn separates(&self, before: u8, after: u8) -> bool {
        !self.bytes.has(before, after)
    }

    /// The last place in `text` where two bytes stand that no token has in this order, outside
    /// characters, and that is accepted.
    pub(crate) fn last(&self, text: &[u8], accept: impl Fn(usize) -> bool) -> Option<usize> {
        let apart = |&at: &usize| {
            !is_continuation(text[at]) && self.separates(text[at - 1], text[at]) && accept(at)
        };
        (1..text.len()).rev().find(apart)
    }

    #[inline]
    fn bit(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }
}

#[derive(Debug)]
struct BytePairs(Box<[u64; 1024]>);

impl Default for BytePairs {
    fn default() -> Self {
        BytePairs(Box::new([0; 1024]))
    }
}

impl BytePairs {
    fn set(&mut self, a: u8, b: u8) {
        self.0[usize::from(a) << 2 | usize::from(b) >> 6] |= 1 << (b & 63);
    }

    #[inline]
    fn has(&self, a: u8, b: u8) -> bool {
        self.0[usize::from(a) << 2 | usize::from(b) >> 6] >> (b & 63) & 1 != 0
    }
}

#[inline]
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[inline]
fn pair_hash(left: u32, right: u32) -> u64 {
    (u64::from(left) << 32 | u64::from(right)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The bytes of the character at `at` as a number, when all of them are there, and the distance to
/// the next place where a character may begin. Overlong and surrogate forms count as characters
/// here, in tokens and in text alike, which is all that the comparison needs.
#[inline]
fn char_at(text: &[u8], at: usize) -> (Option<u32>, usize) {
    let lead = text[at];
    if lead < 0x80 {
        return (Some(u32::from(lead)), 1);
    }
    let len = match lead {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        _ => return (None, 1),
    };
    let Some(rest) = text.get(at + 1..at + len) else { return (None, 1) };
    let mut char = u32::from(lead);
    for &byte in rest {
        if !is_continuation(byte) {
            return (None, 1);
        }
        char = char << 8 | u32::from(byte);
    }
    (Some(char), len)
}

fn char_after(token: &[u8], at: usize) -> Option<u32> {
    char_at(token, at).0
}

fn char_before(token: &[u8], at: usize) -> Option<u32> {
    let start = (at.saturating_sub(4)..at).rev().find(|&start| !is_continuation(token[start]))?;
    let (char, len) = char_at(token, start);
    char.filter(|_| start + len == at)
}
