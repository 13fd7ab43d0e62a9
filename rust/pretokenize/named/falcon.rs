//! Falcon's four steps: punctuation, the gpt2 pattern, digits, `[0-9][0-9][0-9]`.
//!
//! The last two see the printable stand-ins of the bytes, not the text, so they also cut inside a
//! character at the bytes whose stand-ins are numeric: ² ³ ¹ ¼ ½ ¾.

use crate::pretokenize::unicode::{Classes, PUNCTUATION};

/// End of the run of punctuation, or of anything else, that starts at `at`.
pub fn part_end(classes: &Classes, text: &[u8], at: usize) -> usize {
    let kind = |at| {
        let (class, length) = classes.at(text, at);
        (class & PUNCTUATION != 0 || u8::is_ascii_punctuation(&text[at]), length)
    };
    let (first, length) = kind(at);
    let mut end = at + length;
    while end < text.len() {
        let (next, length) = kind(end);
        if next != first {
            break;
        }
        end += length;
    }
    end
}

/// End of what the digit steps leave whole from `at` on, in the piece that ends with `text`.
pub fn inner_end(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let run = |numeric| rest.iter().take_while(|&&byte| is_numeric(byte) == numeric).count();
    if !is_numeric(rest[0]) {
        return at + run(false);
    }
    let digits = &rest[..run(true)];
    let triple = digits.windows(3).position(|three| three.iter().all(u8::is_ascii_digit));
    at + match triple {
        Some(0) => 3,
        Some(start) => start,
        None => digits.len(),
    }
}

/// Whether the stand-in of the byte is a numeric character.
fn is_numeric(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, 0xB2 | 0xB3 | 0xB9 | 0xBC..=0xBE)
}
