//! Dependent vowel signs and viramas of the scripts that write them behind a consonant.

use super::{begun, continues};
use crate::utf8::first_char;

/// Ranges of code points, by Unicode's Indic_Syllabic_Category: Vowel_Dependent, Virama,
/// Pure_Killer and Invisible_Stacker. Vowels that stand before the consonant in memory too, as some of
/// Thai and Lao do, are not among them: such a vowel does begin a syllable.
const SIGNS: [(u32, u32); 75] = [
    // Devanagari
    (0x93a, 0x93b),
    (0x93e, 0x94f),
    (0x955, 0x957),
    (0x962, 0x963),
    // Bengali
    (0x9be, 0x9c4),
    (0x9c7, 0x9c8),
    (0x9cb, 0x9cd),
    (0x9d7, 0x9d7),
    (0x9e2, 0x9e3),
    // Gurmukhi
    (0xa3e, 0xa42),
    (0xa47, 0xa48),
    (0xa4b, 0xa4d),
    // Gujarati
    (0xabe, 0xac5),
    (0xac7, 0xac9),
    (0xacb, 0xacd),
    (0xae2, 0xae3),
    // Oriya
    (0xb3e, 0xb44),
    (0xb47, 0xb48),
    (0xb4b, 0xb4d),
    (0xb55, 0xb57),
    (0xb62, 0xb63),
    // Tamil
    (0xbbe, 0xbc2),
    (0xbc6, 0xbc8),
    (0xbca, 0xbcd),
    (0xbd7, 0xbd7),
    // Telugu
    (0xc3e, 0xc44),
    (0xc46, 0xc48),
    (0xc4a, 0xc4d),
    (0xc55, 0xc56),
    (0xc62, 0xc63),
    // Kannada
    (0xcbe, 0xcc4),
    (0xcc6, 0xcc8),
    (0xcca, 0xccd),
    (0xcd5, 0xcd6),
    (0xce2, 0xce3),
    // Malayalam
    (0xd3b, 0xd3c),
    (0xd3e, 0xd44),
    (0xd46, 0xd48),
    (0xd4a, 0xd4d),
    (0xd57, 0xd57),
    (0xd62, 0xd63),
    // Sinhala
    (0xdca, 0xdca),
    (0xdcf, 0xdd4),
    (0xdd6, 0xdd6),
    (0xdd8, 0xddf),
    (0xdf2, 0xdf3),
    // Thai, Lao
    (0xe30, 0xe3a),
    (0xe45, 0xe45),
    (0xeb0, 0xeb9),
    (0xeba, 0xebb),
    // Tibetan
    (0xf71, 0xf7d),
    (0xf80, 0xf81),
    (0xf84, 0xf84),
    // Myanmar
    (0x102b, 0x1035),
    (0x1039, 0x103a),
    (0x1056, 0x1059),
    (0x1062, 0x1062),
    (0x1067, 0x1068),
    (0x1071, 0x1074),
    (0x1083, 0x1086),
    (0x109c, 0x109d),
    // Khmer
    (0x17b6, 0x17c5),
    (0x17c8, 0x17c8),
    (0x17d1, 0x17d2),
    // Balinese, Javanese, Sundanese
    (0x1b35, 0x1b44),
    (0x1ba4, 0x1bab),
    (0xa9b4, 0xa9bc),
    (0xa9c0, 0xa9c0),
    // Syloti Nagri, Meetei Mayek
    (0xa802, 0xa802),
    (0xa806, 0xa806),
    (0xa823, 0xa827),
    (0xaaeb, 0xaaef),
    (0xaaf6, 0xaaf6),
    (0xabe3, 0xabea),
    (0xabed, 0xabed),
];

/// Whether the first character is one of them.
pub(super) fn leads(token: &[u8]) -> bool {
    first_char(token).is_some_and(|(char, _)| is_sign(u32::from(char)))
}

/// Whether a token is one character, whole or begun, that a sign differs from in the last byte only.
pub(super) fn beside(token: &[u8]) -> bool {
    match (first_char(token), begun(token)) {
        (Some((char, width)), _) if width == token.len() => {
            let first = u32::from(char) & !0x3f;
            token.len() > 1 && has_sign(first, first | 0x3f)
        }
        (None, Some((first, last))) => {
            token[1..].iter().all(|byte| continues(*byte)) && has_sign(first, last)
        }
        _ => false,
    }
}

fn has_sign(first: u32, last: u32) -> bool {
    SIGNS.iter().any(|range| range.0 <= last && first <= range.1)
}

fn is_sign(code: u32) -> bool {
    SIGNS.iter().any(|(first, last)| (*first..=*last).contains(&code))
}
