//! Steps against the pieces of `tokenizers`, recorded by `tests/data/pretokenizer_steps.py`.

use serde::Deserialize;

use super::*;

fn fill(cursor: &mut Cursor<'_>, out: &mut [Span]) -> usize {
    cursor.fill(out, &mut Watch::new(&mut || Ok(())))
}

#[derive(Deserialize)]
struct Recorded {
    numeric: Vec<(u32, u32)>,
    punctuation: Vec<(u32, u32)>,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    steps: Vec<Step>,
    cases: Vec<(String, Vec<usize>)>,
}

fn recorded() -> Recorded {
    let json = include_str!("../../../tests/data/pretokenizer_steps.json");
    serde_json::from_str(json).expect("the recorded file")
}

/// The bounds of all pieces, filled through a buffer of the given size.
fn bounds(steps: &Steps, text: &[u8], buffer: usize) -> Vec<usize> {
    let mut cursor = steps.cursor(text);
    let mut spans = vec![Span::default(); buffer];
    let mut found = Vec::new();
    loop {
        let count = fill(&mut cursor, &mut spans);
        if count == 0 {
            return found;
        }
        found.extend(spans[..count].iter().flat_map(|span| [span.start, span.end]));
    }
}

#[test]
fn steps_cut_as_tokenizers_does() {
    let mut cases = 0;
    for Group { steps, cases: texts } in recorded().groups {
        let compiled = Steps::new(&steps).expect("a supported step");
        for (text, expected) in texts {
            let found = bounds(&compiled, text.as_bytes(), 1 + cases % 5);
            assert_eq!(found, expected, "{steps:?} on {text:?}");
            cases += 1;
        }
    }
    assert!(cases > 1000, "{cases} cases");
}

/// The runs of characters that a step isolates, as first and last code point.
fn isolated(step: Step) -> Vec<(u32, u32)> {
    let steps = Steps::new(&[step]).expect("a supported step");
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for c in '\0'..=char::MAX {
        if bounds(&steps, format!("a{c}a").as_bytes(), 8).len() == 2 {
            continue;
        }
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == u32::from(c) => *last += 1,
            _ => runs.push((u32::from(c), u32::from(c))),
        }
    }
    runs
}

#[test]
fn numbers_and_punctuation_are_those_of_tokenizers_on_every_code_point() {
    let recorded = recorded();
    let digits = Step::Digits { individual: true, stand_ins: false };
    assert_eq!(isolated(digits), recorded.numeric);
    let punctuation = Step::Punctuation { behavior: Behavior::Isolated };
    assert_eq!(isolated(punctuation), recorded.punctuation);
}

#[test]
fn stand_ins_are_numeric_where_their_character_is() {
    let steps = Steps::new(&[Step::Digits { individual: true, stand_ins: true }])
        .expect("a supported step");
    for byte in 0..=u8::MAX {
        let printable = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let isolated = bounds(&steps, &[b'a', byte, b'a'], 8).len() == 6;
        assert_eq!(isolated, printable && char::from(byte).is_numeric(), "byte {byte:#X}");
    }
    let grouped = Steps::new(&[Step::Digits { individual: false, stand_ins: true }])
        .expect("a supported step");
    assert_eq!(bounds(&grouped, "a12²".as_bytes(), 8), [0, 1, 1, 3, 3, 4, 4, 5]);
}

#[test]
fn no_steps_give_the_text_and_no_text_gives_nothing() {
    let none = Steps::new(&[]).expect("no step is supported");
    assert_eq!(bounds(&none, b"a b", 3), [0, 3]);
    assert!(bounds(&none, b"", 3).is_empty());
    let space = Steps::new(&[Step::WhitespaceSplit]).expect("a supported step");
    assert!(bounds(&space, b"", 3).is_empty());
    assert!(bounds(&space, b" \n ", 3).is_empty());
    let mut cursor = space.cursor(b"a");
    assert_eq!(fill(&mut cursor, &mut []), 0);
    assert_eq!(fill(&mut cursor, &mut [Span::default()]), 1);
}

#[test]
fn bytes_outside_utf8_are_pieces_like_others() {
    let steps = Steps::new(&[Step::Whitespace]).expect("a supported step");
    assert_eq!(bounds(&steps, b"a\xFF\xFE b\xC3", 8), [0, 1, 1, 3, 4, 5, 5, 6]);
}

#[test]
fn a_pattern_that_cannot_run_is_an_error() {
    let pattern = Pattern::Regex(r"(a)\1".to_owned());
    let step = Step::Split { pattern, behavior: Behavior::Isolated, invert: false };
    assert!(matches!(Steps::new(&[step]), Err(crate::Error::Pattern { offset: 3, .. })));
}
