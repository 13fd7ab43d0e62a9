//! Matching against the reference (recipe: `tests/data/make_added_tokens.py`), and what holds
//! for every text.

use proptest::prelude::*;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
    words: Vec<(u32, u32)>,
    spaces: Vec<(u32, u32)>,
}

/// Tokens, texts, and the tokens found in each: start, end, id.
#[derive(Deserialize)]
struct Case {
    tokens: Vec<AddedToken>,
    texts: Vec<String>,
    found: Vec<Vec<(usize, usize, u32)>>,
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/added_tokens.json");
    let text = std::fs::read(path).expect("the vectors are part of the checkout");
    serde_json::from_slice(&text).expect("the vectors are JSON")
}

fn tokens_in(matcher: &Matcher, text: &[u8]) -> Vec<(usize, usize, u32)> {
    matcher.matches(text).map(|found| (found.start, found.end, found.id)).collect()
}

fn token(id: u32, content: &str) -> AddedToken {
    AddedToken {
        id,
        content: content.into(),
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: false,
        verbatim: false,
    }
}

#[test]
fn tokens_are_found_where_the_reference_finds_them() {
    let cases = vectors().cases;
    assert!(cases.len() > 50);
    for Case { tokens, texts, found } in cases {
        let matcher = Matcher::new(&tokens).expect("the reference takes these tokens");
        for (text, expected) in texts.iter().zip(found) {
            let found = tokens_in(&matcher, text.as_bytes());
            assert_eq!(found, expected, "{tokens:?} in {text:?}");
        }
    }
}

#[test]
fn every_code_point_is_a_word_or_space_as_in_the_reference() {
    let Vectors { words, spaces, .. } = vectors();
    let single = AddedToken { single_word: true, ..token(0, "ab") };
    let strip = AddedToken { lstrip: true, ..token(0, "ab") };
    let single = Matcher::new([&single]).expect("one token");
    let strip = Matcher::new([&strip]).expect("one token");
    let mut text = String::new();
    let mut words_found = Vec::new();
    let mut spaces_found = Vec::new();
    for char in '\0'..=char::MAX {
        text.clear();
        text.extend([char, 'a', 'b']);
        if single.matches(text.as_bytes()).next().is_none() {
            words_found.push(char);
        }
        if strip.matches(text.as_bytes()).next().is_some_and(|found| found.start == 0) {
            spaces_found.push(char);
        }
    }
    let listed = |ranges: &[(u32, u32)]| -> Vec<char> {
        let codes = ranges.iter().flat_map(|&(first, last)| first..=last);
        codes.filter_map(char::from_u32).collect()
    };
    assert_eq!(words_found, listed(&words));
    assert_eq!(spaces_found, listed(&spaces));
}

#[test]
fn a_token_wholly_inside_white_space_already_taken_is_dropped() {
    // The reference fails on this text.
    let tokens = [
        AddedToken { rstrip: true, ..token(0, "<x>") },
        AddedToken { lstrip: true, ..token(1, " ") },
    ];
    let matcher = Matcher::new(&tokens).expect("two tokens");
    assert_eq!(tokens_in(&matcher, b"<x>   y"), [(0, 6, 0)]);
}

#[test]
fn runs_of_tokens_that_take_white_space_along_cost_one_pass() {
    let tokens = [AddedToken { rstrip: true, lstrip: true, ..token(0, " ") }, token(1, "  x")];
    let matcher = Matcher::new(&tokens).expect("two tokens");
    let text = " ".repeat(1_000_000);
    assert_eq!(matcher.matches(text.as_bytes()).count(), 1);
    let only_right = [AddedToken { rstrip: true, ..token(0, " ") }];
    let matcher = Matcher::new(&only_right).expect("one token");
    assert_eq!(matcher.matches(text.as_bytes()).count(), text.len());
}

/// The rule of the search, said directly: leftmost, then longest, then on after it.
fn search(contents: &[String], text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let here = contents.iter().filter(|c| text[at..].starts_with(c.as_bytes()));
        match here.map(String::len).max() {
            Some(len) if len > 0 => {
                found.push((at, at + len));
                at += len;
            }
            _ => at += 1,
        }
    }
    found
}

proptest! {
    #[test]
    fn plain_tokens_are_found_leftmost_longest(
        contents in prop::collection::vec("[ab<é ]{0,4}", 0..8),
        text in prop::collection::vec(prop_oneof!["[ab<é ]{0,4}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..2)], 0..12),
    ) {
        let text = text.concat();
        let tokens: Vec<_> = (0..).zip(&contents).map(|(id, c)| token(id, c)).collect();
        let matcher = Matcher::new(&tokens).unwrap();
        let found = tokens_in(&matcher, &text);
        let spans: Vec<_> = found.iter().map(|found| (found.0, found.1)).collect();
        prop_assert_eq!(spans, search(&contents, &text));
    }
}
