//! Steps that look at one character at a time: lower case, marks, the Nmt clean-up.

use super::edits::Edits;
use super::versions::is_mark;
use crate::error::Watch;
use crate::utf8::{ascii_prefix, valid_runs};

/// Lower case of every character by itself: without context, so the final sigma is ordinary.
pub(super) fn lowercase(edits: &mut Edits<'_, '_>) {
    for (base, run) in valid_runs(edits.text()) {
        let (mut at, mut pause) = (0, Watch::next_pause(0));
        while at < run.len() && edits.watch.passes(at, &mut pause) {
            let ascii = ascii_prefix(&run.as_bytes()[at..]);
            if run.as_bytes()[at..at + ascii].iter().any(u8::is_ascii_uppercase) {
                edits.recode(base + at..base + at + ascii, |bytes| bytes.make_ascii_lowercase());
            }
            at += ascii;
            let Some(upper) = run[at..].chars().next() else { break };
            let mut lower = [0; 12];
            let mut len = 0;
            for char in upper.to_lowercase() {
                len += char.encode_utf8(&mut lower[len..]).len();
            }
            edits.replace(base + at..base + at + upper.len_utf8(), &lower[..len]);
            at += upper.len_utf8();
        }
    }
}

/// Removes every mark (general category M).
pub(super) fn strip_accents(edits: &mut Edits<'_, '_>) {
    for (base, run) in valid_runs(edits.text()) {
        if run.is_ascii() {
            continue;
        }
        let mut pause = Watch::next_pause(0);
        for (at, char) in run.char_indices() {
            if !edits.watch.passes(at, &mut pause) {
                return;
            }
            if is_mark(char) {
                edits.cut(base + at..base + at + char.len_utf8());
            }
        }
    }
}

/// Removes control characters and makes plain spaces of separators and invisible characters.
pub(super) fn nmt(edits: &mut Edits<'_, '_>) {
    for (base, run) in valid_runs(edits.text()) {
        let mut pause = Watch::next_pause(0);
        for (at, char) in run.char_indices() {
            if !edits.watch.passes(at, &mut pause) {
                return;
            }
            let range = base + at..base + at + char.len_utf8();
            if is_nmt_control(char) {
                edits.cut(range);
            } else if is_nmt_space(char) {
                edits.replace(range, b" ");
            }
        }
    }
}

/// Whether the Nmt clean-up removes or changes the character.
pub(super) fn is_cleaned(char: char) -> bool {
    is_nmt_control(char) || is_nmt_space(char)
}

fn is_nmt_control(char: char) -> bool {
    matches!(
        u32::from(char),
        0x01..=0x08 | 0x0b | 0x0e..=0x1f | 0x7f | 0x8f | 0x9f
    )
}

fn is_nmt_space(char: char) -> bool {
    matches!(
        u32::from(char),
        0x09 | 0x0a | 0x0c | 0x0d | 0x1680 | 0x200b
            ..=0x200f | 0x2028 | 0x2029 | 0x2581 | 0xfeff | 0xfffd
    )
}
