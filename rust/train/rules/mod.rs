//! What may not become a token.
//!
//! A rule looks at the bytes of a pair, never at the text, so a pair that is forbidden once is
//! forbidden for ever, and greedy training with rules is exact: it is greedy training over the pairs
//! that are left. A pair is asked about when it would be next, not earlier.
//!
//! A token may hold parts of characters. Rules about characters speak of those that a token holds
//! whole, and of those that its last bytes may begin; where its first bytes end a character that
//! another token begins, nothing can be known of that, so such rules let it hold nothing else.

mod scripts;
mod signs;

use memchr::memmem;
use serde::{Deserialize, Serialize};

/// A rule that a merge must keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Rule {
    /// A token has at most this many bytes.
    MaxBytes { most: usize },
    /// A token touches at most this many characters, whole or in part.
    MaxChars { most: usize },
    /// A token has at most this many words: stretches without a space.
    MaxWords { most: usize },
    /// No token has one of these byte strings inside.
    Forbidden { substrings: Vec<Vec<u8>> },
    /// A token has characters of one script at most, besides those that every script shares.
    OneScript,
    /// No token begins with a dependent vowel sign or a virama.
    NoLeadingSign,
    /// A token is a character, or begins one, that shares all bytes but the last with such a sign.
    BesideSign,
}

/// Whether all rules allow a token of these parts.
pub(super) fn allow(rules: &[Rule], left: &[u8], right: &[u8]) -> bool {
    let token = [left, right].concat();
    rules.iter().all(|rule| rule.allows(&token))
}

impl Rule {
    fn allows(&self, token: &[u8]) -> bool {
        match self {
            Rule::MaxBytes { most } => token.len() <= *most,
            Rule::MaxChars { most } => chars_touched(token) <= *most,
            Rule::MaxWords { most } => words(token) <= *most,
            Rule::Forbidden { substrings } => {
                !substrings.iter().any(|part| memmem::find(token, part).is_some())
            }
            Rule::OneScript => keeps_characters(token) && scripts::one_at_most(token),
            Rule::BesideSign => signs::beside(token),
            Rule::NoLeadingSign => keeps_characters(token) && !signs::leads(token),
        }
    }
}

/// A byte of UTF-8 that does not begin a character.
fn continues(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

fn chars_touched(token: &[u8]) -> usize {
    let begun = token.iter().filter(|byte| !continues(**byte)).count();
    begun + usize::from(token.first().is_some_and(|byte| continues(*byte)))
}

fn words(token: &[u8]) -> usize {
    token.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count()
}

/// Whether a token that begins inside a character ends in it too.
fn keeps_characters(token: &[u8]) -> bool {
    token.first().is_none_or(|first| !continues(*first))
        || token.iter().all(|byte| continues(*byte))
}

/// The code points of the characters that the last bytes of a token may begin, where they do not
/// end one.
fn begun(token: &[u8]) -> Option<(u32, u32)> {
    let lead = token.iter().rposition(|byte| !continues(*byte))?;
    let (width, bits, least) = match token[lead] {
        byte @ 0xc2..=0xdf => (2, u32::from(byte & 0x1f), 0x80),
        byte @ 0xe0..=0xef => (3, u32::from(byte & 0x0f), 0x800),
        byte @ 0xf0..=0xf4 => (4, u32::from(byte & 0x07), 0x1_0000),
        _ => return None,
    };
    let given = token.len() - lead;
    if given >= width {
        return None;
    }
    let code = token[lead + 1..].iter().fold(bits, |code, byte| code << 6 | u32::from(byte & 0x3f));
    let open = 6 * (width - given) as u32;
    let (first, last) = (code << open, (code << open) | ((1 << open) - 1));
    Some((first.max(least), last.min(0x10_ffff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rule: &Rule, tokens: &[&[u8]]) -> Vec<bool> {
        tokens.iter().map(|token| rule.allows(token)).collect()
    }

    #[test]
    fn characters_count_whole_or_in_part() {
        let tokens: [&[u8]; 6] =
            [b"ab", b"abc", "éé".as_bytes(), b"\xa9ab", b"ab\xc3", "日本".as_bytes()];
        let expected = [true, false, true, false, false, true];
        assert_eq!(allowed(&Rule::MaxChars { most: 2 }, &tokens), expected);
    }

    #[test]
    fn words_are_what_lies_between_spaces() {
        let tokens: [&[u8]; 5] = [b" a b", b"a  b ", b" a b c", b"   ", b"a\nb\nc"];
        let expected = [true, true, false, true, true];
        assert_eq!(allowed(&Rule::MaxWords { most: 2 }, &tokens), expected);
    }

    #[test]
    fn forbidden_strings_are_found_anywhere() {
        let rule = Rule::Forbidden { substrings: vec![b": ".to_vec(), b"\xff".to_vec()] };
        let tokens: [&[u8]; 5] = [b": ", b"a: b", b":a ", b"a:", b"x\xff"];
        assert_eq!(allowed(&rule, &tokens), [false, false, true, true, false]);
    }

    #[test]
    fn an_unfinished_character_is_a_range() {
        assert_eq!(begun(b"a\xd0"), Some((0x400, 0x43f)));
        assert_eq!(begun(b"\xe0"), Some((0x800, 0xfff)));
        assert_eq!(begun(b"\xe0\xa4"), Some((0x900, 0x93f)));
        assert_eq!(begun(b"\xf4"), Some((0x10_0000, 0x10_ffff)));
        for whole in [&b""[..], b"a", "é".as_bytes(), "日".as_bytes(), b"\x80", b"\xff", b"\xc0"]
        {
            assert_eq!(begun(whole), None);
        }
    }

    #[test]
    fn scripts_do_not_mix() {
        let tokens = ["aб", "ab ", "日本", "日ほ", " б1.", "a1б", "e\u{301}", "б\u{301}"];
        let expected = [false, true, true, false, true, false, true, true];
        let tokens: Vec<&[u8]> = tokens.iter().map(|token| token.as_bytes()).collect();
        assert_eq!(allowed(&Rule::OneScript, &tokens), expected);
        // The byte d0 begins Cyrillic letters only; e2 begins punctuation, which all scripts share.
        let parts: [&[u8]; 6] = [b"a\xd0", b"\xd0", b"a\xe2", b"\xb1a", b"\x80\xb1", b" \xd0"];
        assert_eq!(allowed(&Rule::OneScript, &parts), [false, true, true, false, true, true]);
    }

    #[test]
    fn signs_do_not_lead() {
        let tokens = ["की", "ी", "ीक", "्", "ക്", "്", "க", "ெ", "कि "];
        let expected = [true, false, false, false, true, false, true, false, true];
        let tokens: Vec<&[u8]> = tokens.iter().map(|token| token.as_bytes()).collect();
        assert_eq!(allowed(&Rule::NoLeadingSign, &tokens), expected);
        let beside: [&[u8]; 7] =
            [b"\xe0\xa4", b"\xe0", "क".as_bytes(), "अक".as_bytes(), "日".as_bytes(), b"\xa4", b"a"];
        let expected = [true, true, true, false, false, false, false];
        assert_eq!(allowed(&Rule::BesideSign, &beside), expected);
        // Bytes that only begin a sign are no sign yet; those that end one have nothing behind.
        let parts: [&[u8]; 3] = [b"\xe0\xa5", b"\xa5\x80", b"\x80\xe0"];
        assert_eq!(allowed(&Rule::NoLeadingSign, &parts), [true, true, false]);
    }
}
