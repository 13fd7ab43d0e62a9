//! Characters of a byte string: well-formed UTF-8 sequences, and every other byte by itself.

/// What a byte outside every well-formed sequence counts as: U+FFFD.
const OTHER: u32 = 0xFFFD;

/// The character that starts at `at` and its length in bytes; `at` is inside `text`.
#[inline]
pub(super) fn decode(text: &[u8], at: usize) -> (u32, usize) {
    let first = text[at];
    if first < 0x80 {
        return (u32::from(first), 1);
    }
    decode_wide(&text[at..])
}

/// Decodes a character whose first byte is not ASCII.
fn decode_wide(bytes: &[u8]) -> (u32, usize) {
    let tail = |i: usize| bytes.get(i).filter(|b| **b & 0xC0 == 0x80).map(|b| u32::from(b & 0x3F));
    let first = u32::from(bytes[0]);
    let found = match first {
        0xC2..=0xDF => tail(1).map(|b| ((first & 0x1F) << 6 | b, 2)),
        0xE0..=0xEF => match (tail(1), tail(2)) {
            (Some(b), Some(c)) => Some(((first & 0x0F) << 12 | b << 6 | c, 3))
                .filter(|(code, _)| *code >= 0x800 && !(0xD800..0xE000).contains(code)),
            _ => None,
        },
        0xF0..=0xF4 => match (tail(1), tail(2), tail(3)) {
            (Some(b), Some(c), Some(d)) => Some(((first & 7) << 18 | b << 12 | c << 6 | d, 4))
                .filter(|(code, _)| (0x10000..0x110000).contains(code)),
            _ => None,
        },
        _ => None,
    };
    found.unwrap_or((OTHER, 1))
}

/// The character that ends at `end` and its length; `end` is a boundary and not 0.
///
/// UTF-8 synchronises itself: a lead byte is never inside another character, so a sequence that
/// decodes to exactly the bytes before `end` is the character that a forward pass sees there.
pub(super) fn decode_last(text: &[u8], end: usize) -> (u32, usize) {
    for width in 1..=end.min(4) {
        let start = end - width;
        if text[start] & 0xC0 == 0x80 {
            continue;
        }
        let (code, length) = decode(&text[..end], start);
        return if length == width { (code, length) } else { (OTHER, 1) };
    }
    (OTHER, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn forward(text: &[u8]) -> Vec<(u32, usize)> {
        let mut at = 0;
        let mut found = Vec::new();
        while at < text.len() {
            let (code, width) = decode(text, at);
            found.push((code, width));
            at += width;
        }
        found
    }

    fn backward(text: &[u8]) -> Vec<(u32, usize)> {
        let mut end = text.len();
        let mut found = Vec::new();
        while end > 0 {
            let (code, width) = decode_last(text, end);
            found.push((code, width));
            end -= width;
        }
        found.reverse();
        found
    }

    /// The standard library's own notion of well-formed.
    fn reference(text: &[u8]) -> Vec<(u32, usize)> {
        let mut found = Vec::new();
        for chunk in text.utf8_chunks() {
            found.extend(chunk.valid().chars().map(|c| (u32::from(c), c.len_utf8())));
            found.extend(chunk.invalid().iter().map(|_| (OTHER, 1)));
        }
        found
    }

    #[test]
    fn every_code_point_decodes_to_itself() {
        for c in ('\0'..=char::MAX).step_by(7) {
            let text = c.to_string();
            assert_eq!(forward(text.as_bytes()), [(u32::from(c), text.len())]);
            assert_eq!(backward(text.as_bytes()), [(u32::from(c), text.len())]);
        }
    }

    proptest! {
        #[test]
        fn both_directions_see_the_characters_of_the_standard_library(
            text in prop::collection::vec(
                prop::sample::select(vec![
                    0x61u8, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1,
                    0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
                ]),
                0..12,
            ),
        ) {
            prop_assert_eq!(forward(&text), reference(&text));
            prop_assert_eq!(backward(&text), reference(&text));
        }
    }
}
