//! Falcon's four steps: punctuation, the gpt2 pattern, digits, `[0-9][0-9][0-9]`.
//!
//! The last two see the printable stand-ins of the bytes, not the text, so they also cut inside a
//! character at the bytes whose stand-ins are numeric: ² ³ ¹ ¼ ½ ¾.

use std::sync::OnceLock;

use crate::error::Watch;
use crate::pretokenize::steps::PUNCTUATION;
use crate::pretokenize::unicode::{decode, holds, ranges};

/// End of the run of punctuation, or of anything else, that starts at `at`.
pub fn part_end(text: &[u8], at: usize, watch: &mut Watch<'_>) -> usize {
    static RANGES: OnceLock<Vec<(u32, u32)>> = OnceLock::new();
    let ranges = RANGES.get_or_init(|| ranges(PUNCTUATION));
    let kind = |at: usize| match text[at] {
        byte @ ..0x80 => (byte.is_ascii_punctuation(), 1),
        _ => {
            let (code, length) = decode(text, at);
            (code.is_some_and(|code| holds(ranges, code)), length)
        }
    };
    let (first, length) = kind(at);
    watch.walk(at + length, text.len(), |at| {
        let (next, length) = kind(at);
        if next == first { length } else { 0 }
    })
}

/// End of what the digit steps leave whole from `at` on, in the piece that ends with `text`.
pub fn inner_end(text: &[u8], at: usize, watch: &mut Watch<'_>) -> usize {
    let rest = &text[at..];
    if !is_numeric(rest[0]) {
        return watch.walk(at, text.len(), |at| usize::from(!is_numeric(text[at])));
    }
    // A run of digits comes here once for every three of them, so it must not be scanned whole.
    if rest.len() >= 3 && rest[..3].iter().all(u8::is_ascii_digit) {
        return at + 3;
    }
    let end = watch.walk(at, text.len(), |at| usize::from(is_numeric(text[at])));
    let starts_triple =
        |at: usize| at + 3 <= end && text[at..at + 3].iter().all(u8::is_ascii_digit);
    watch.walk(at, end, |at| usize::from(!starts_triple(at)))
}

/// Whether the stand-in of the byte is a numeric character.
fn is_numeric(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, 0xB2 | 0xB3 | 0xB9 | 0xBC..=0xBE)
}
