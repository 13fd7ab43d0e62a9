//! The characters of a byte string that need not be UTF-8.
//!
//! A maximal well-formed sequence is one character; every byte outside such a sequence is a
//! character of its own, which is no letter, mark, number or white space.

use std::ops::RangeInclusive;
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

/// What bytes are the beginning of.
#[derive(Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Of nothing.
    Wrong,
    /// Of one of these code points, of which there is one that is no surrogate.
    Part(RangeInclusive<u32>),
    /// They are this character.
    Whole(u32),
}

/// What these bytes, four at most, are the beginning of.
pub fn prefix(bytes: &[u8]) -> Prefix {
    let (width, lead) = match bytes.first() {
        Some(&byte @ 0..=0x7F) => (1, u32::from(byte)),
        Some(&byte @ 0xC2..=0xDF) => (2, u32::from(byte & 0x1F)),
        Some(&byte @ 0xE0..=0xEF) => (3, u32::from(byte & 0x0F)),
        Some(&byte @ 0xF0..=0xF4) => (4, u32::from(byte & 0x07)),
        _ => return Prefix::Wrong,
    };
    if bytes.len() > width || bytes[1..].iter().any(|byte| byte & 0xC0 != 0x80) {
        return Prefix::Wrong;
    }
    let known = bytes[1..].iter().fold(lead, |code, byte| code << 6 | u32::from(byte & 0x3F));
    let open = 6 * (width - bytes.len());
    let low = (known << open).max([0, 0x80, 0x800, 0x1_0000][width - 1]);
    let high = ((known << open) + ((1 << open) - 1)).min(0x10_FFFF);
    let surrogates = low >= 0xD800 && high <= 0xDFFF;
    match low <= high && !surrogates {
        true if open == 0 => Prefix::Whole(low),
        true => Prefix::Part(low..=high),
        false => Prefix::Wrong,
    }
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

    #[test]
    fn a_prefix_is_what_some_character_begins_with() {
        let mut begins = std::collections::HashMap::<Vec<u8>, (u32, u32)>::new();
        for code in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let mut buffer = [0; 4];
            let bytes = code.encode_utf8(&mut buffer).as_bytes();
            assert_eq!(prefix(bytes), Prefix::Whole(u32::from(code)));
            for end in 1..bytes.len() {
                let code = u32::from(code);
                let range = begins.entry(bytes[..end].to_vec()).or_insert((code, code));
                range.1 = code;
            }
        }
        let strings = |bytes: Vec<u8>| (0..=255).map(move |byte| [&bytes[..], &[byte]].concat());
        let singles: Vec<_> = strings(Vec::new()).collect();
        let pairs = singles.iter().cloned().flat_map(strings);
        for bytes in pairs.chain(singles.clone()) {
            let whole = std::str::from_utf8(&bytes).is_ok_and(|text| text.chars().count() == 1);
            match prefix(&bytes) {
                Prefix::Part(codes) => {
                    let (low, high) = begins[&bytes];
                    assert!(*codes.start() <= low && *codes.end() >= high);
                }
                Prefix::Whole(_) => assert!(whole),
                Prefix::Wrong => assert!(!whole && !begins.contains_key(&bytes)),
            }
        }
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
