//! Every hand-written splitter against its own published pattern, run by `fancy-regex`.
//!
//! `BYTEWRIGHT_SPLITTER_CASES` sets the number of random texts per splitter, and
//! `BYTEWRIGHT_SPLITTER_TEXTS` names files, separated by colons, that are compared as well.

mod splitting;

use bytewright::pretokenize::named::{self, Splitter};
use bytewright::pretokenize::{Behavior, Pattern, Pretokenizer, Span, Step};
use splitting::oracle::Oracle;
use splitting::texts::Texts;

/// Pieces, filled through a buffer of the given size.
fn pieces(pretokenizer: &Pretokenizer, text: &[u8], buffer: usize) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut spans = vec![Span::default(); buffer];
    let mut pieces = pretokenizer.pieces(text);
    loop {
        let count = pieces.fill(&mut spans, &mut || Ok(())).expect("never stopped");
        if count == 0 {
            return out;
        }
        out.extend(spans[..count].iter().map(|span| (span.start, span.end)));
    }
}

fn cases() -> usize {
    let set = std::env::var("BYTEWRIGHT_SPLITTER_CASES").ok();
    set.map_or(9_000, |value| value.parse().expect("a number of texts"))
}

/// Compares a splitter with an oracle on `count` random texts.
fn compare(name: &str, steps: &[Step], seed: u64, count: usize) {
    let oracle = Oracle::new(steps);
    let splitter = Pretokenizer::new(steps).expect("a published pattern");
    let mut texts = Texts::new(seed);
    for case in 0..count {
        let text = texts.text();
        let expected = oracle.pieces(&text);
        let buffer = [256, 64, 7, 1][case % 4];
        let found = pieces(&splitter, text.as_bytes(), buffer);
        assert_eq!(found, expected, "{name} on {text:?}");
    }
}

fn compare_all(names: &[&str]) {
    for (seed, name) in names.iter().enumerate() {
        let steps = named::pattern(name).expect("a published name");
        compare(name, &steps, seed as u64 + 1, cases());
    }
}

#[test]
fn gpt2_and_starcoder_equal_their_patterns() {
    compare_all(&["gpt2", "starcoder"]);
}

#[test]
fn cl100k_and_gpt4_equal_their_patterns() {
    compare_all(&["cl100k", "gpt4"]);
}

#[test]
fn o200k_and_tekken_equal_their_patterns() {
    compare_all(&["o200k", "tekken"]);
}

#[test]
fn qwen_equals_its_patterns() {
    compare_all(&["qwen2", "qwen3.5"]);
}

#[test]
fn deepseek_equals_its_steps() {
    compare_all(&["deepseek-v3"]);
}

#[test]
fn falcon_equals_its_steps() {
    compare_all(&["falcon"]);
}

#[test]
fn kimi_equals_its_pattern() {
    compare_all(&["kimi-k2"]);
}

#[test]
fn every_spelling_equals_its_splitter() {
    let split = |regex: &str| {
        let pattern = Pattern::Regex(regex.to_owned());
        vec![Step::Split { pattern, behavior: Behavior::Isolated, invert: false }]
    };
    for (seed, (spelling, splitter)) in named::spellings().enumerate() {
        let steps = split(spelling);
        assert_eq!(named::recognise(&steps), Some(splitter), "{spelling}");
        compare(spelling, &steps, seed as u64 + 100, cases() / 4);
    }
}

#[test]
fn every_name_is_recognised_from_its_steps() {
    let names: Vec<&str> = named::names().collect();
    assert!(names.contains(&"cl100k"));
    for name in names {
        let steps = named::pattern(name).expect("a listed name");
        assert_eq!(named::recognise(&steps), named::by_name(name), "{name}");
    }
    let mut steps = named::pattern("starcoder").expect("a published name");
    steps[0] = Step::Digits { individual: false, stand_ins: false };
    assert_eq!(named::recognise(&steps), None);
    assert_eq!(named::by_name("falcon"), Some(Splitter::Falcon));
}

#[test]
fn broken_bytes_are_split_like_replacement_characters() {
    let all: Vec<_> = named::names().collect();
    let splitters: Vec<_> = all
        .iter()
        .map(|name| Pretokenizer::new(&named::pattern(name).expect("listed")).expect("published"))
        .collect();
    let mut texts = Texts::new(77);
    for case in 0..cases() {
        let bytes = texts.broken();
        let (shown, starts) = splitting::oracle::replaced(&bytes);
        let at = case % splitters.len();
        let found = pieces(&splitters[at], &bytes, 100);
        // Falcon cuts inside a character by its bytes, so only the tiling can be compared.
        if all[at] == "falcon" {
            let mut end = 0;
            for &(start, stop) in &found {
                assert_eq!(start, end);
                end = stop;
            }
            assert_eq!(end, bytes.len());
            continue;
        }
        let expected: Vec<_> = pieces(&splitters[at], shown.as_bytes(), 100)
            .into_iter()
            .map(|(start, end)| (starts[start], starts[end]))
            .collect();
        assert_eq!(found, expected, "{} on {bytes:x?}", all[at]);
    }
}

#[test]
fn texts_cut_at_words_keep_their_pieces() {
    for name in named::names() {
        let splitter =
            Pretokenizer::new(&named::pattern(name).expect("listed")).expect("published");
        assert!(splitter.cuts_at_words());
        let mut texts = Texts::new(5);
        for _ in 0..cases() / 20 {
            let (left, right) = (texts.text() + "a", String::from(" b") + &texts.text());
            let whole = left.clone() + &right;
            let mut expected = pieces(&splitter, left.as_bytes(), 64);
            let shift = |(start, end)| (start + left.len(), end + left.len());
            expected.extend(pieces(&splitter, right.as_bytes(), 64).into_iter().map(shift));
            assert_eq!(pieces(&splitter, whole.as_bytes(), 64), expected, "{name} on {whole:?}");
        }
    }
}

#[test]
fn named_texts_equal_the_patterns() {
    let Ok(files) = std::env::var("BYTEWRIGHT_SPLITTER_TEXTS") else {
        eprintln!("skipped: BYTEWRIGHT_SPLITTER_TEXTS names no files");
        return;
    };
    for file in files.split(':') {
        let text = std::fs::read_to_string(file).expect("a readable text");
        for splitter in ["gpt2", "starcoder", "cl100k", "gpt4", "o200k", "tekken", "qwen2"]
            .into_iter()
            .chain(["qwen3.5", "deepseek-v3", "falcon", "kimi-k2"])
        {
            let steps = named::pattern(splitter).expect("a published name");
            let (oracle, splitter) =
                (Oracle::new(&steps), (splitter, Pretokenizer::new(&steps).expect("published")));
            for document in text.split('\u{0}').filter(|document| !document.is_empty()) {
                let found = pieces(&splitter.1, document.as_bytes(), 256);
                let expected = oracle.pieces(document);
                let same = found == expected;
                let at = found.iter().zip(&expected).position(|(a, b)| a != b);
                assert!(same, "{} on {file}, piece {at:?}", splitter.0);
            }
            eprintln!("{file}: {} equal", splitter.0);
        }
    }
}
