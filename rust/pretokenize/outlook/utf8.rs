//! The first bytes of a character.

use std::ops::RangeInclusive;

/// What bytes are the beginning of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Of nothing.
    Wrong,
    /// Of one of these code points, of which there is one that is no surrogate.
    Part(RangeInclusive<u32>),
    /// They are this character.
    Whole(u32),
}

/// What these bytes, four at most, are the beginning of.
pub(super) fn prefix(bytes: &[u8]) -> Prefix {
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
}
