use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::Error;
use crate::pretokenize::named;

fn steps(name: &str) -> Vec<Step> {
    named::pattern(name).expect("a published pattern")
}

fn counter(pattern: Option<&str>, threads: usize) -> Counter {
    let steps = pattern.map(steps).unwrap_or_default();
    Counter::new(&steps, threads).expect("the steps are valid")
}

fn go_on() -> Result<()> {
    Ok(())
}

/// The pieces and counts, by a map.
fn naive(pattern: Option<&str>, texts: &[&[u8]]) -> BTreeMap<Vec<u8>, u64> {
    let pretokenizer = Pretokenizer::new(&pattern.map(steps).unwrap_or_default()).expect("valid");
    let mut counts = BTreeMap::new();
    for text in texts {
        let mut pieces = pretokenizer.pieces(text);
        let mut spans = [Span::default(); 7];
        loop {
            let filled = pieces.fill(&mut spans);
            if filled == 0 {
                break;
            }
            for span in &spans[..filled] {
                *counts.entry(text[span.start..span.end].to_vec()).or_default() += 1;
            }
        }
    }
    counts
}

fn as_map(counts: &Counts) -> BTreeMap<Vec<u8>, u64> {
    let entries: Vec<_> = entries(counts).collect();
    assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0), "the pieces are in order");
    entries.into_iter().map(|(piece, count)| (piece.to_vec(), count)).collect()
}

fn entries(counts: &Counts) -> impl Iterator<Item = (&[u8], u64)> {
    let pieces = counts.pieces.offsets.windows(2);
    let pieces = pieces.map(|pair| &counts.pieces.values[pair[0] as usize..pair[1] as usize]);
    pieces.zip(counts.counts.iter().copied())
}

fn rows(counts: &Counts) -> Rows<'_> {
    Rows { values: &counts.pieces.values, offsets: &counts.pieces.offsets, counts: &counts.counts }
}

/// Texts with pieces of every length around the limits of the tables.
fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        "[ab]{1,3} ",
        "[a-c]{13,18} ",
        "[ab]{30,34}",
        "[ \n]{1,20}",
        "(ü|क्ष|漢){1,9}",
        "[0-9]{1,9}"
    ]
    .prop_map(String::into_bytes);
    let any = prop::collection::vec(any::<u8>(), 0..20);
    let text = prop::collection::vec(prop_oneof![9 => piece, 1 => any], 0..40);
    prop::collection::vec(text.prop_map(|pieces| pieces.concat()), 0..8)
}

proptest! {
    #[test]
    fn counts_are_those_of_a_map(texts in texts(), threads in 1usize..4, whole: bool) {
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let pattern = (!whole).then_some("cl100k");
        let mut counter = counter(pattern, threads);
        for half in texts.chunks(texts.len() / 2 + 1) {
            counter.push(half, &mut go_on).expect("nothing fails");
        }
        let expected = naive(pattern, &texts);
        prop_assert_eq!(counter.pieces(), expected.values().sum::<u64>());
        let counts = counter.finish(&mut go_on).expect("nothing fails");
        prop_assert_eq!(as_map(&counts), expected);
        prop_assert_eq!(counter.finish(&mut go_on), Ok(Counts::default()));
    }

    #[test]
    fn sums_and_merges_are_those_of_a_map(
        lists in prop::collection::vec(prop::collection::vec(("[ab\0]{0,20}", 0u64..5), 0..20), 1..5)
    ) {
        let mut expected = BTreeMap::new();
        let mut merged = Vec::new();
        for list in &lists {
            let rows: Vec<_> = list.iter().map(|(piece, n)| (piece.as_bytes(), *n)).collect();
            let mut summed = BTreeMap::new();
            for &(piece, n) in rows.iter().filter(|(piece, n)| *n > 0 && !piece.is_empty()) {
                *summed.entry(piece.to_vec()).or_insert(0) += n;
                *expected.entry(piece.to_vec()).or_insert(0) += n;
            }
            let counts = sum_rows(&rows, &mut go_on).expect("the sums are small");
            prop_assert_eq!(as_map(&counts), summed);
            merged.push(counts);
        }
        let lists: Vec<_> = merged.iter().map(rows).collect();
        let counts = merge_counts(&lists, &mut go_on).expect("the sums are small");
        prop_assert_eq!(as_map(&counts), expected);
    }
}

/// English words, then white space, then something that no cut is known in.
fn long_text() -> Vec<u8> {
    let mut text = Vec::new();
    for word in 0..200_000_u32 {
        text.extend_from_slice(format!("word{} Of the  text\n", word % 5003).as_bytes());
    }
    text.extend_from_slice(&b" ".repeat(3 << 20));
    text.extend_from_slice("漢字".repeat(1 << 20).as_bytes());
    text
}

#[test]
fn a_long_text_is_cut_without_a_trace() {
    let text = long_text();
    for pattern in [Some("o200k"), Some("gpt2"), None] {
        let expected = naive(pattern, &[&text]);
        for threads in [1, 3] {
            let mut whole = counter(pattern, threads);
            whole.push(&[&text], &mut go_on).expect("nothing fails");
            let whole = whole.finish(&mut go_on).expect("nothing fails");
            assert_eq!(as_map(&whole), expected);
            let mut parts = counter(pattern, threads);
            for part in text.chunks(1_000_003) {
                parts.push_part(part, &mut go_on).expect("nothing fails");
            }
            parts.end_text(&mut go_on).expect("nothing fails");
            assert_eq!(parts.finish(&mut go_on), Ok(whole));
        }
    }
}

#[test]
fn a_count_that_does_not_fit_is_an_error() {
    let told = sum_rows(&[(b"a", MOST), (b"b", 1), (b"a", 1)], &mut go_on);
    let Err(Error::Data(message)) = told else { panic!("{told:?}") };
    assert!(message.contains("\"a\""), "{message}");
    let most = sum_rows(&[(b"a", MOST)], &mut go_on).expect("the largest count is one");
    assert_eq!(most.counts, [MOST]);
    let told = merge_counts(&[rows(&most), rows(&most)], &mut go_on);
    assert!(matches!(told, Err(Error::Data(_))), "{told:?}");
    assert!(matches!(sum_rows(&[(b"a", u64::MAX)], &mut go_on), Err(Error::Data(_))));
}

#[test]
fn lists_that_are_no_counts_are_refused() {
    let values = b"abc";
    for (offsets, counts) in [
        (&[0, 1][..], &[1, 1][..]),
        (&[0, 1, 0], &[1, 1]),
        (&[0, 9, 1], &[1, 1]),
        (&[0, 1, 4], &[1, 1]),
        (&[-1, 1, 2], &[1, 1]),
        (&[0, 2, 1], &[1, 1]),
        (&[1, 1, 2], &[1, 1]),
        (&[0, 1, 2], &[1, 0]),
        (&[0, 1, 2], &[1, u64::MAX]),
        (&[], &[]),
    ] {
        let told = merge_counts(&[Rows { values, offsets, counts }], &mut go_on);
        assert!(matches!(told, Err(Error::Argument(_))), "{offsets:?} {counts:?}: {told:?}");
    }
}

#[test]
fn work_stops_when_it_is_asked_to() {
    let text = b"some words ".repeat(1 << 20);
    for threads in [1, 2] {
        let mut counter = counter(Some("gpt2"), threads);
        let told = counter.push(&[&text], &mut || Err(Error::Interrupted));
        assert_eq!(told, Err(Error::Interrupted));
    }
}
