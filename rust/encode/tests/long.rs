//! Windows give what merging the whole text at once gives, for every list of merges.

use proptest::prelude::*;

use super::super::bytes::BytePairs;
use super::super::long::{Long, Symbols, WINDOW};
use super::super::units::{ABSENT, CharTable, Unit, Units};
use super::super::words::Words;
use super::{Built, cases, merged_by_heap, rules};
use crate::merges::{Merge, Merges};
use crate::token::TokenId;

fn by_windows(merges: &Merges, symbols: Symbols<'_>, text: &[u8]) -> Vec<Unit> {
    let mut found = Vec::new();
    let mut long = Long::default();
    let emit = |id, start| found.push(Unit { id, start: start as u32 });
    long.encode(merges, symbols, text, &mut || Ok(()), emit).expect("nothing interrupts");
    found
}

/// The same, words first; the words found in one text are known in the next.
fn by_words(built: &Built, limit: u32, texts: &[&[u8]]) -> Vec<Vec<Unit>> {
    let (merges, vocab, units) = (built.table(), built.vocab(), built.units());
    let words = Words::below(&merges, &vocab, limit);
    let mut long = Long::new(1 << 14);
    let encode = |text: &&[u8]| {
        let mut found = Vec::new();
        let emit = |id, start| found.push(Unit { id, start: start as u32 });
        let symbols = Symbols { units: &units, pairs: None, words: Some((&words, &vocab)) };
        long.encode(&merges, symbols, text, &mut || Ok(()), emit).expect("nothing interrupts");
        found
    };
    texts.iter().map(encode).collect()
}

fn check(built: &Built, text: &[u8]) {
    let expected = merged_by_heap(&rules(&built.merges), built.symbols(text));
    let (merges, units) = (built.table(), built.units());
    let Units::Bytes { first, .. } = &units else { unreachable!("units are bytes") };
    let pairs = BytePairs::new(first, &merges, &built.vocab());
    for pairs in [None, Some(&pairs)] {
        let found = by_windows(&merges, Symbols { units: &units, pairs, words: None }, text);
        let differs = found.iter().zip(&expected).position(|(a, b)| a != b);
        assert!(found == expected, "token {differs:?} of {} differs", expected.len());
    }
}

/// Merges trained on the text itself, most frequent pair first.
fn trained(text: &[u8], count: usize) -> Built {
    let mut built = Built::bytes();
    let mut ids: Vec<TokenId> = text.iter().map(|&byte| Built::byte(byte)).collect();
    for _ in 0..count {
        let mut pairs = std::collections::HashMap::new();
        ids.windows(2).for_each(|pair| *pairs.entry((pair[0], pair[1])).or_insert(0) += 1);
        let Some(((left, right), _)) = pairs.into_iter().max_by_key(|&(pair, n)| (n, pair)) else {
            break;
        };
        let product = built.merge(left, right);
        let mut at = 0;
        let mut merged = Vec::new();
        while at < ids.len() {
            let joins = ids[at] == left && ids.get(at + 1) == Some(&right);
            merged.push(if joins { product } else { ids[at] });
            at += 1 + usize::from(joins);
        }
        ids = merged;
    }
    built
}

/// Texts that repeat a motif thousands of times and break it here and there, at the end above all.
fn periodic() -> impl Strategy<Value = Vec<u8>> {
    let letter = || prop::sample::select(&b"abc"[..]);
    let motif = prop::collection::vec(letter(), 1..9);
    let breaks = prop::collection::vec((any::<prop::sample::Index>(), letter()), 0..4);
    (motif, 1_000usize..9_000, breaks, prop::collection::vec(letter(), 0..4)).prop_map(
        |(motif, len, breaks, tail)| {
            let mut text: Vec<u8> = motif.iter().copied().cycle().take(len).collect();
            breaks.into_iter().for_each(|(at, letter)| text[at.index(len)] = letter);
            text.extend(tail);
            text
        },
    )
}

fn vocabularies() -> impl Strategy<Value = Built> {
    let choices = prop::collection::vec((any::<u16>(), any::<u16>()), 1..40);
    let longest = prop::sample::select(&[3usize, 6, 40, 300, 5_000][..]);
    (choices, prop::collection::vec(any::<u16>(), 1..40), any::<bool>(), longest).prop_map(
        |(choices, keys, shuffled, longest)| {
            let built = Built::bytes().grow(&b"abc".map(Built::byte), &choices, longest);
            if shuffled { built.shuffle(&keys) } else { built }
        },
    )
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn windows_do_not_show(built in vocabularies(), text in periodic()) {
        check(&built, &text);
    }

    #[test]
    fn words_do_not_show(
        choices in prop::collection::vec((any::<u16>(), any::<u16>()), 1..60),
        keys in prop::collection::vec(any::<u16>(), 1..40),
        is_shuffled in any::<bool>(),
        limit in any::<prop::sample::Index>(),
        texts in prop::collection::vec(
            prop::collection::vec(prop::sample::select(&b"abbc   .\xe3"[..]), 0..6_000), 1..4),
        word in prop::collection::vec(prop::sample::select(&b"abc"[..]), 0..100),
    ) {
        let symbols = b"abc .\xe3".map(Built::byte);
        let built = Built::bytes().grow(&symbols, &choices, 40);
        let built = if is_shuffled { built.shuffle(&keys) } else { built };
        let limit = limit.index(built.merges.len() + 1) as u32;
        let mut texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        texts.extend([&word[..], texts[0]]);
        for (text, found) in texts.iter().zip(by_words(&built, limit, &texts)) {
            let expected = merged_by_heap(&rules(&built.merges), built.symbols(text));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn windows_do_not_show_in_random_text(
        built in vocabularies(),
        text in prop::collection::vec(prop::sample::select(&b"abc"[..]), 1_000..6_000),
    ) {
        check(&built, &text);
    }
}

#[test]
fn windows_do_not_show_in_text_that_the_merges_were_trained_on() {
    for letters in [2u64, 3, 7] {
        let mut state = letters;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            b'a' + ((state >> 33) % letters) as u8
        };
        let text: Vec<u8> = (0..50_000).map(|_| letter()).collect();
        let built = trained(&text[..5_000], 150);
        check(&built, &text);
        check(&built.clone().shuffle(&[3, 1, 4, 1, 5, 9, 2, 6]), &text);
    }
}

#[test]
fn one_letter_for_thousands_of_bytes() {
    let doublings: Vec<(u16, u16)> = (0..13).map(|k| (k, k)).collect();
    let built = Built::bytes().grow(&[Built::byte(b'a')], &doublings, 1 << 13);
    for len in [WINDOW, WINDOW + 1, 8_191, 8_192, 20_000] {
        check(&built, &vec![b'a'; len]);
        check(&built.clone().shuffle(&[2, 1]), &vec![b'a'; len]);
    }
}

/// The last byte decides how everything before it pairs up, although no token is longer than two
/// bytes: each pair of neighbours ranks before the pair on its left.
#[test]
fn the_end_of_a_text_may_decide_its_beginning() {
    let mut text = Vec::new();
    let mut seen = std::collections::HashSet::new();
    // A walk over 64 letters that takes no step twice.
    let mut letter = 0u8;
    while let Some(next) =
        (0..64).map(|k| (letter + k) % 64).find(|&n| !seen.contains(&(letter, n)))
    {
        seen.insert((letter, next));
        text.push(letter);
        letter = next;
    }
    assert!(text.len() > 4_000, "{}", text.len());
    let mut built = Built::bytes();
    for pair in text.windows(2).rev() {
        built.merge(Built::byte(pair[0]), Built::byte(pair[1]));
    }
    for len in [600, 1_023, 1_024, 1_025, 2_000, 3_001, 4_000, 4_001] {
        check(&built, &text[..len]);
        check(&built, &text[text.len() - len..]);
    }
}

/// Tokens longer than a window: `b` takes every `a` before it along, one by one.
#[test]
fn a_token_may_be_longer_than_a_window() {
    const LONGEST: usize = 3_000;
    let mut built = Built::bytes();
    let a = Built::byte(b'a');
    let mut grown = Built::byte(b'b');
    for len in 2..=LONGEST {
        let product = built.tokens.len() as TokenId;
        built.tokens.push([vec![b'a'; len - 1], vec![b'b']].concat());
        built.merges.push(Merge { left: a, right: grown, product });
        grown = product;
    }
    for before in [10, 1_000, 2_999, 3_000, 10_000] {
        let text = [vec![b'a'; before], b"b".to_vec(), vec![b'a'; 5_000]].concat();
        check(&built, &text);
        check(&built, &text[..=before]);
    }
}

/// A list of merges may make one token of stretches of any length.
#[test]
fn one_product_of_many_lengths() {
    let mut built = Built::bytes();
    let (a, b) = (Built::byte(b'a'), Built::byte(b'b'));
    let x = built.intern(b"x*".to_vec());
    let merge = |left, right, product| Merge { left, right, product };
    built.merges = vec![merge(a, a, x), merge(x, b, x), merge(x, x, a), merge(b, a, b)];
    for motif in [&b"aab"[..], b"aabb", b"ab", b"a", b"aaaab"] {
        for len in [1_100, 1_101, 5_003] {
            let text: Vec<u8> = motif.iter().copied().cycle().take(len).collect();
            check(&built, &text);
        }
    }
}

#[test]
fn bytes_without_a_symbol_are_dropped_across_windows() {
    let built = Built::bytes().grow(&b"ab".map(Built::byte), &[(0, 1), (2, 2), (3, 2), (1, 1)], 9);
    let Units::Bytes { mut first, .. } = built.units() else { unreachable!("units are bytes") };
    first[usize::from(b'-')] = ABSENT;
    let units = Units::Bytes { first, last: None };
    let gap = "-".repeat(1_300);
    for text in [gap.clone(), format!("{gap}{}", "ab".repeat(700)), "a-b".repeat(900), gap + "a"] {
        let kept = built.symbols(text.as_bytes()).into_iter();
        let kept = kept.filter(|unit| unit.id != Built::byte(b'-')).collect();
        let expected = merged_by_heap(&rules(&built.merges), kept);
        assert_eq!(
            by_windows(
                &built.table(),
                Symbols { units: &units, pairs: None, words: None },
                text.as_bytes()
            ),
            expected
        );
    }
}

#[test]
fn only_the_last_byte_of_a_long_piece_is_final() {
    let mut built = Built::bytes().grow(&b"ab".map(Built::byte), &[(0, 1), (2, 2), (1, 1)], 9);
    let end = built.intern(b"b</w>".to_vec());
    let product = built.intern(b"ab</w>".to_vec());
    built.merges.insert(0, Merge { left: Built::byte(b'a'), right: end, product });
    let Units::Bytes { first, .. } = built.units() else { unreachable!("units are bytes") };
    let mut last = first.clone();
    last[usize::from(b'b')] = end;
    let units = Units::Bytes { first, last: Some(last) };
    for text in ["ab".repeat(700), "b".repeat(1_100), "ab".repeat(700) + "a"] {
        let mut symbols = built.symbols(text.as_bytes());
        if let Some(final_unit) = symbols.last_mut().filter(|unit| unit.id == Built::byte(b'b')) {
            final_unit.id = end;
        }
        let expected = merged_by_heap(&rules(&built.merges), symbols);
        assert_eq!(
            by_windows(
                &built.table(),
                Symbols { units: &units, pairs: None, words: None },
                text.as_bytes()
            ),
            expected
        );
    }
}

#[test]
fn windows_end_between_characters() {
    // Ids of bytes are fallbacks here; 256 on are the characters.
    let mut built = Built::bytes();
    let known: Vec<TokenId> =
        ["a", "é", "日"].iter().map(|c| built.intern(c.as_bytes().to_vec())).collect();
    let Units::Bytes { first: bytes, .. } = built.units() else { unreachable!("units are bytes") };
    let pairs = [(0, 1), (1, 2), (2, 2), (3, 4), (5, 0)];
    built = built.grow(&known, &pairs, 30);
    let entries = [('a', known[0]), ('é', known[1]), ('日', known[2])];
    let chars = CharTable::new(entries.into_iter());
    let units = Units::Chars { chars, bytes, unknown: ABSENT };
    let parts: [&[u8]; 7] =
        [b"a", "é".as_bytes(), "日".as_bytes(), "😀".as_bytes(), b"\xE6\x97", b"\x80", b"\xF0"];
    let mut text = Vec::new();
    let mut symbols = Vec::new();
    let mut state = 7u32;
    while text.len() < 6_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let part = parts[(state >> 16) as usize % parts.len()];
        // A stray byte may complete what stands before it: keep them apart.
        if part[0] == 0x80 && text.last().is_some_and(|&byte| byte >= 0x80) {
            continue;
        }
        let start = text.len() as u32;
        match built.tokens.iter().skip(256).take(3).position(|token| token == part) {
            Some(at) => symbols.push(Unit { id: 256 + at as u32, start }),
            None => symbols.extend(
                (0..part.len() as u32)
                    .map(|at| Unit { id: Built::byte(part[at as usize]), start: start + at }),
            ),
        }
        text.extend_from_slice(part);
    }
    let expected = merged_by_heap(&rules(&built.merges), symbols);
    assert_eq!(
        by_windows(&built.table(), Symbols { units: &units, pairs: None, words: None }, &text),
        expected
    );
}
