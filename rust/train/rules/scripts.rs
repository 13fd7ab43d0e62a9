//! The script of a character: Unicode's property Script, from `regex_syntax`'s tables.
//!
//! Common and Inherited (digits, punctuation, combining marks that go with any letter) belong to
//! every script, and so do code points that are not assigned and bytes that are no UTF-8.

use std::sync::OnceLock;

use regex_syntax::hir::{Class, HirKind};

use super::begun;

/// Shared by all scripts.
const SHARED: u8 = 0;

/// The scripts of Unicode; the first two are shared. A name that the tables do not know is left out.
const NAMES: &str = "Common Inherited Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan \
    Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid \
    Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Coptic Cuneiform \
    Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan \
    Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek \
    Gujarati Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew \
    Hiragana Imperial_Aramaic Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada \
    Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin \
    Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean \
    Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive \
    Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari \
    New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal Old_Hungarian \
    Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic \
    Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician \
    Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala \
    Sogdian Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le \
    Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Todhri \
    Toto Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square";

/// First and last code point, and the script.
type Range = (u32, u32, u8);

/// Whether the characters of a token, and one that its last bytes begin, may be of one script.
pub(super) fn one_at_most(token: &[u8]) -> bool {
    let mut found = SHARED;
    for char in token.utf8_chunks().flat_map(|chunk| chunk.valid().chars()) {
        let script = script(u32::from(char));
        if script != SHARED && found != SHARED && script != found {
            return false;
        }
        found = if script == SHARED { found } else { script };
    }
    match begun(token) {
        Some((first, last)) if found != SHARED => {
            overlapping(first, last).any(|range| range.2 == found || range.2 == SHARED)
        }
        _ => true,
    }
}

fn script(code: u32) -> u8 {
    overlapping(code, code).next().map_or(SHARED, |range| range.2)
}

/// The ranges that have a code point from `first` to `last`.
fn overlapping(first: u32, last: u32) -> impl Iterator<Item = &'static Range> {
    let table = table();
    let start = table.partition_point(|range| range.1 < first);
    table[start..].iter().take_while(move |range| range.0 <= last)
}

fn table() -> &'static [Range] {
    static TABLE: OnceLock<Vec<Range>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let names = NAMES.split_ascii_whitespace().enumerate();
        let number = |at: usize| (at as u8).saturating_sub(1);
        let mut ranges: Vec<Range> = names
            .flat_map(|(at, name)| ranges_of(name).into_iter().map(move |r| (r.0, r.1, number(at))))
            .collect();
        ranges.sort_unstable();
        ranges
    })
}

fn ranges_of(name: &str) -> Vec<(u32, u32)> {
    let Ok(parsed) = regex_syntax::parse(&format!(r"\p{{Script={name}}}")) else {
        return Vec::new();
    };
    match parsed.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().map(|range| (u32::from(range.start()), u32::from(range.end()))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_has_one_script() {
        let table = table();
        assert!(table.windows(2).all(|w| w[0].1 < w[1].0), "ranges do not overlap");
        let letters = regex_syntax::parse(r"\p{L}").expect("a known class");
        let HirKind::Class(Class::Unicode(class)) = letters.kind() else { panic!("a class") };
        for range in class.iter() {
            for char in range.start()..=range.end() {
                let code = u32::from(char);
                assert!(overlapping(code, code).next().is_some(), "{code:x}");
            }
        }
    }

    #[test]
    fn every_name_is_known() {
        assert!(NAMES.split_ascii_whitespace().all(|name| !ranges_of(name).is_empty()));
    }
}
