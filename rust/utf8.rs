//! The characters of a byte string that need not be UTF-8.
//!
//! A maximal well-formed sequence is one character; every byte outside such a sequence is a
//! character of its own, which is no letter, mark, number or white space.

use std::str;

/// The character at the start of `text` and its length in bytes; `None` when the text is empty
/// or starts with a byte that belongs to no well-formed sequence.
pub fn first_char(text: &[u8]) -> Option<(char, usize)> {
    let window = &text[..text.len().min(4)];
    let found = window.utf8_chunks().next()?.valid().chars().next()?;
    Some((found, found.len_utf8()))
}

/// The character at the end of `text` and its length in bytes; `None` when the text is empty or
/// ends with a byte that belongs to no well-formed sequence.
pub fn last_char(text: &[u8]) -> Option<(char, usize)> {
    (1..=text.len().min(4)).find_map(|width| {
        let mut chars = str::from_utf8(&text[text.len() - width..]).ok()?.chars();
        let found = chars.next()?;
        chars.next().is_none().then_some((found, width))
    })
}

/// Length of the white space that `text` starts with.
pub fn leading_whitespace(text: &[u8]) -> usize {
    let mut len = 0;
    while let Some((_, width)) = first_char(&text[len..]).filter(|(c, _)| c.is_whitespace()) {
        len += width;
    }
    len
}

/// Length of the white space that `text` ends with.
pub fn trailing_whitespace(text: &[u8]) -> usize {
    let mut end = text.len();
    while let Some((_, width)) = last_char(&text[..end]).filter(|(c, _)| c.is_whitespace()) {
        end -= width;
    }
    text.len() - end
}

/// The well-formed stretches of `text` with the offset where each begins; the bytes between
/// them are not UTF-8.
pub fn valid_runs(text: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.utf8_chunks().filter_map(move |chunk| {
        let start = at;
        at += chunk.valid().len() + chunk.invalid().len();
        (!chunk.valid().is_empty()).then_some((start, chunk.valid()))
    })
}

/// Length of the ASCII prefix of `text`; whole blocks are tested at once.
pub fn ascii_prefix(text: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks = text.chunks_exact(BLOCK);
    let clean = blocks.take_while(|block| block.iter().fold(0, |all, &byte| all | byte) < 0x80);
    let start = clean.count() * BLOCK;
    let tail = &text[start..];
    start + tail.iter().position(|&byte| byte >= 0x80).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_truncated_sequence_is_no_character() {
        assert_eq!(first_char(b"\xe2\x82"), None);
        assert_eq!(last_char(b"a\xe2\x82"), None);
        assert_eq!(last_char("a€".as_bytes()), Some(('€', 3)));
    }

    proptest! {
        #[test]
        fn runs_and_ends_agree_with_the_standard_library(text: Vec<u8>) {
            let runs: Vec<_> = valid_runs(&text).collect();
            let joined: String = runs.iter().map(|(_, run)| *run).collect();
            prop_assert_eq!(joined, String::from_utf8_lossy(&text).replace('\u{fffd}', ""));
            for (start, run) in runs {
                prop_assert_eq!(&text[start..start + run.len()], run.as_bytes());
                prop_assert_eq!(first_char(&text[start..]).map(|c| c.0), run.chars().next());
                prop_assert_eq!(
                    last_char(&text[..start + run.len()]).map(|c| c.0),
                    run.chars().next_back()
                );
            }
        }

        #[test]
        fn white_space_is_what_trimming_removes(text in "[ \t\n\u{85}\u{a0}\u{3000}a]{0,6}", cut in 0usize..3) {
            let bytes = [text.as_bytes(), &b"\xe3\x80"[..cut.min(2)]].concat();
            let start = leading_whitespace(&bytes);
            prop_assert_eq!(start, text.len() - text.trim_start().len());
            let end = if cut == 0 { text.len() - text.trim_end().len() } else { 0 };
            prop_assert_eq!(trailing_whitespace(&bytes), end);
        }

        #[test]
        fn ascii_prefix_ends_at_the_first_high_byte(clean in "[ -~]{0,200}", rest: Vec<u8>) {
            let text = [clean.as_bytes(), &rest].concat();
            let expected = text.iter().position(|b| !b.is_ascii()).unwrap_or(text.len());
            prop_assert_eq!(ascii_prefix(&text), expected);
        }
    }
}
