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
    Counter::new(&steps, threads, None).expect("the steps are valid")
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
            let filled = pieces.fill(&mut spans, &mut || Ok(())).expect("never stopped");
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
    for word in 0..60_000_u32 {
        text.extend_from_slice(format!("word{} Of the  text\n", word % 5003).as_bytes());
    }
    text.extend_from_slice(&b" ".repeat(1 << 20));
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
fn more_rows_than_are_sorted_at_a_time_are_summed() {
    let names: Vec<String> =
        (0..700_000_u64).map(|row| (row * row % 500_009).to_string()).collect();
    let rows: Vec<_> =
        names.iter().zip(0..).map(|(name, row)| (name.as_bytes(), row % 3)).collect();
    let mut expected = BTreeMap::new();
    for &(name, count) in rows.iter().filter(|(_, count)| *count > 0) {
        *expected.entry(name.to_vec()).or_insert(0) += count;
    }
    let counts = sum_rows(&rows, &mut go_on).expect("the sums are small");
    assert_eq!(as_map(&counts), expected);
    let in_order: Vec<_> = entries(&counts).collect();
    assert_eq!(sum_rows(&in_order, &mut go_on).as_ref(), Ok(&counts));
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

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("bytewright-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files takes a folder");
        Folder(path)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(&self.0).expect("the folder is there").count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Texts of many different pieces, short and long.
fn many_pieces() -> Vec<Vec<u8>> {
    let mut word = 1_u64;
    let text = |_| {
        let mut text = Vec::new();
        for _ in 0..1000 {
            word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
            let name = format!(" {:x}", word >> (20 + word % 20));
            text.extend_from_slice(name.repeat(1 + (word % 3) as usize).as_bytes());
        }
        text
    };
    (0..200).map(text).collect()
}

#[test]
fn a_budget_changes_nothing_but_memory() {
    let texts = many_pieces();
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let folder = Folder::new("budget");
    for steps in [steps("gpt2"), Vec::new()] {
        let mut unbounded = Counter::new(&steps, 1, None).expect("valid");
        unbounded.push(&texts, &mut go_on).expect("nothing fails");
        assert!(!unbounded.is_large());
        let expected = unbounded.finish(&mut go_on).expect("nothing fails");
        // So little that even one text is too much, and room for some.
        for (bytes, threads) in [(0, 1), (1 << 20, 1), (1 << 25, 2)] {
            let budget = Some(Budget { bytes, folder: folder.0.clone() });
            let mut counter = Counter::new(&steps, threads, budget).expect("valid");
            let mut runs = 0;
            for batch in texts.chunks(20) {
                counter.push(batch, &mut go_on).expect("nothing fails");
                runs = runs.max(folder.files());
            }
            assert!(bytes > 1 << 20 || runs > 1, "{runs} runs within {bytes} bytes");
            assert_eq!(counter.is_large(), runs > 0);
            assert_eq!(counter.finish(&mut go_on).as_ref(), Ok(&expected));
            assert_eq!(folder.files(), 0);
        }
    }
}

#[test]
fn runs_and_files_hold_what_was_counted() {
    let texts = many_pieces();
    let folder = Folder::new("runs");
    let mut whole = counter(Some("gpt2"), 1);
    let mut runs = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        whole.push(&[text], &mut go_on).expect("nothing fails");
        let mut part = counter(Some("gpt2"), 1);
        part.push(&[text], &mut go_on).expect("nothing fails");
        runs.push(folder.0.join(format!("part-{number}")));
        part.finish_run(&runs[number], &mut go_on).expect("the folder can be written");
    }
    let expected = whole.finish(&mut go_on).expect("nothing fails");
    // More runs than are open at a time, and fewer.
    assert_eq!(merge_runs(&runs, &mut go_on).as_ref(), Ok(&expected));
    assert_eq!(folder.files(), runs.len());
    let some = merge_runs(&runs[..3], &mut go_on).expect("the runs are whole");
    assert!(some.counts.len() < expected.counts.len());
    let flat = Folder::new("flat");
    merge_runs_to_files(&runs, &flat.0, &mut go_on).expect("the folder can be written");
    let words = |name: &str| {
        let bytes = std::fs::read(flat.0.join(name)).expect("the file is there");
        bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect::<Vec<_>>()
    };
    let [arena, offsets, counts] = FLAT_FILES;
    let arena = std::fs::read(flat.0.join(arena)).expect("the file is there");
    let offsets = words(offsets).into_iter().map(|end| end as i64).collect();
    let pieces = Ragged { values: arena, offsets };
    assert_eq!(Counts { pieces, counts: words(counts) }, expected);
}

#[test]
fn a_damaged_run_is_an_error() {
    let folder = Folder::new("damage");
    let path = folder.0.join("run");
    let absent = merge_runs(std::slice::from_ref(&path), &mut go_on);
    assert!(matches!(absent, Err(Error::Data(_))), "{absent:?}");
    let mut counter = counter(None, 1);
    counter.push(&[b"a piece", &[7; 300]], &mut go_on).expect("nothing fails");
    counter.finish_run(&path, &mut go_on).expect("the folder can be written");
    let whole = std::fs::read(&path).expect("the run is there");
    for end in 1..whole.len() {
        std::fs::write(&path, &whole[..end]).expect("the folder can be written");
        let told = merge_runs(std::slice::from_ref(&path), &mut go_on);
        // Cut between two entries, a run is a shorter run.
        assert!(end == 303 || matches!(told, Err(Error::Data(_))), "{end}: {told:?}");
    }
    std::fs::write(&path, [0xff; 40]).expect("the folder can be written");
    assert!(matches!(merge_runs(&[path], &mut go_on), Err(Error::Data(_))));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let folder = std::env::temp_dir().join("bytewright-no-such-folder");
    let budget = Some(Budget { bytes: 0, folder: folder.clone() });
    let mut counter = Counter::new(&steps("gpt2"), 1, budget).expect("valid");
    let texts = many_pieces();
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let told = counter.push(&texts, &mut go_on);
    let Err(Error::Data(message)) = told else { panic!("{told:?}") };
    assert!(message.contains("no-such-folder"), "{message}");
}
