//! The steps against the reference libraries (recipe: `tests/data/make_normalizers.py`), and
//! what holds for every text.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    texts: BTreeMap<String, Vec<String>>,
    cases: Vec<Case>,
    sweep: Sweep,
}

#[derive(Deserialize)]
struct Case {
    steps: Vec<Step>,
    texts: String,
    outputs: Vec<Option<String>>,
}

#[derive(Deserialize)]
struct Sweep {
    block: u32,
    starts: Vec<u32>,
    hashes: BTreeMap<String, Vec<String>>,
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/normalizers.json");
    let text = std::fs::read(path).expect("the vectors are part of the checkout");
    serde_json::from_slice(&text).expect("the vectors are JSON")
}

fn normalizer(steps: &str) -> Normalizer {
    let steps: Vec<Step> = serde_json::from_str(steps).expect("steps are JSON");
    Normalizer::new(&steps).expect("steps can be prepared")
}

fn normalized(normalizer: &Normalizer, text: &[u8]) -> Vec<u8> {
    normalizer.normalize(text, true, &mut || Ok(())).expect("these steps cannot fail").into_owned()
}

#[test]
fn every_step_agrees_with_the_reference() {
    let Vectors { texts, cases, .. } = vectors();
    assert!(cases.len() > 25);
    for case in cases {
        let inputs = &texts[&case.texts];
        assert_eq!(inputs.len(), case.outputs.len());
        let normalizer = Normalizer::new(&case.steps).expect("the reference can run it");
        for (input, output) in inputs.iter().zip(&case.outputs) {
            let found = normalizer
                .normalize(input.as_bytes(), true, &mut || Ok(()))
                .expect("steps cannot fail");
            let expected = output.as_ref().unwrap_or(input);
            let shown = String::from_utf8_lossy(&found);
            assert_eq!(&shown, expected, "{:?} of {input:?}", case.steps);
            // Steps of a chain may undo each other.
            let single = case.steps.len() == 1;
            assert!(!single || matches!(found, Cow::Borrowed(_)) == output.is_none(), "{input:?}");
        }
    }
}

#[test]
fn every_code_point_agrees_with_the_reference() {
    let Sweep { block, starts, hashes } = vectors().sweep;
    assert_eq!(hashes.len(), 7);
    let named = |(name, hashes)| (normalizer(&format!(r#"[{{"type":"{name}"}}]"#)), name, hashes);
    let all: Vec<(_, String, Vec<String>)> = hashes.into_iter().map(named).collect();
    for (index, first) in starts.into_iter().enumerate() {
        let mut text = String::new();
        for char in (first..first + block).filter_map(char::from_u32) {
            text.extend(['a', char, '\u{323}', '\u{301}', char, 'b']);
        }
        for (normalizer, name, hashes) in &all {
            let found = fnv(&normalized(normalizer, text.as_bytes()));
            assert_eq!(format!("{found:016x}"), hashes[index], "{name} in U+{first:04X}..");
        }
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn a_step_with_an_unknown_name_or_shape_is_refused() {
    for steps in [
        r#"[{"type":"nfx"}]"#,
        r#"[{"type":"replace","content":"x"}]"#,
        r#"[{"type":"replace","string":"a","regex":"a","content":"x"}]"#,
        r#"[{"type":"prefix","content":" ","unless":"often","scope":"first"}]"#,
    ] {
        assert!(serde_json::from_str::<Vec<Step>>(steps).is_err(), "{steps}");
    }
    for steps in [
        r#"[{"type":"replace","string":"","content":"x"}]"#,
        r#"[{"type":"charsmap","base64":"AAAA"}]"#,
        r#"[{"type":"charsmap","base64":"!"}]"#,
    ] {
        let steps: Vec<Step> = serde_json::from_str(steps).expect("the shape is right");
        assert!(matches!(Normalizer::new(&steps), Err(crate::Error::Definition(_))));
    }
}

#[test]
fn rules_that_write_double_spaces_cannot_stand_before_their_collapse() {
    // One unit of trie without children, then the replacement of two spaces.
    let map = r#"{"type":"charsmap","base64":"BAAAAAAAAAAgIAA="}"#;
    let steps = |json: String| -> Vec<Step> { serde_json::from_str(&json).expect("JSON") };
    let refused = Normalizer::new(&steps(format!(r#"[{map},{{"type":"collapse_spaces"}}]"#)));
    assert!(matches!(refused, Err(crate::Error::Definition(_))));
    let turned = Normalizer::new(&steps(format!(r#"[{{"type":"collapse_spaces"}},{map}]"#)));
    assert!(turned.is_ok());
}

#[test]
fn a_prefix_goes_where_its_conditions_hold() {
    let prefix = |unless: &str, scope: &str| {
        normalizer(&format!(
            r#"[{{"type":"prefix","content":"_","unless":"{unless}","scope":"{scope}"}}]"#
        ))
    };
    let run = |of: &Normalizer, text: &str, at_start| {
        let found =
            of.normalize(text.as_bytes(), at_start, &mut || Ok(())).expect("steps cannot fail");
        String::from_utf8_lossy(&found).into_owned()
    };
    assert_eq!(run(&prefix("never", "every"), "_a", false), "__a");
    assert_eq!(run(&prefix("never", "first"), "a", false), "a");
    assert_eq!(run(&prefix("never", "first"), "a", true), "_a");
    assert_eq!(run(&prefix("content", "first"), "_a", true), "_a");
}

#[test]
fn sources_name_where_characters_come_from() {
    let sources = |steps: &str, text: &str| {
        let found = normalizer(steps).normalize_aligned(text.as_bytes(), true, &mut || Ok(()));
        found.expect("steps cannot fail").expect("the text changes").1
    };
    let nfc = r#"[{"type":"nfc"}]"#;
    assert_eq!(sources(nfc, "xe\u{301}y"), [0, 1, 1, 4, 5]);
    assert_eq!(sources(r#"[{"type":"nfd"}]"#, "é"), [0, 0, 0, 2]);
    // U+0323 sorts before U+0301: the mark that moved back keeps the offsets in order.
    assert_eq!(sources(nfc, "q\u{301}\u{323}"), [0, 1, 1, 1, 1, 5]);
    let chain = r#"[{"type":"strip","left":true,"right":true},{"type":"prepend","content":"▁"},
        {"type":"replace","string":"é","content":""}]"#;
    assert_eq!(sources(chain, " aéb "), [1, 1, 1, 1, 4, 6]);
}

#[test]
fn marks_without_end_take_linear_time() {
    let count = 250_000;
    let text = format!("a{}", "\u{301}\u{323}".repeat(count));
    let expected = format!("ạ{}{}", "\u{323}".repeat(count - 1), "\u{301}".repeat(count));
    let nfc = normalizer(r#"[{"type":"nfc"}]"#);
    assert_eq!(normalized(&nfc, text.as_bytes()), expected.as_bytes());
}

#[test]
fn removing_what_stands_between_invalid_bytes_makes_no_character_of_them() {
    let steps = r#"[{"type":"nmt"},{"type":"nfd"},{"type":"lowercase"}]"#;
    assert_eq!(
        normalized(&normalizer(steps), b"A\xc3\x7f\x80\xe2\x82\x01\xac"),
        b"a\xc3\x80\xe2\x82\xac"
    );
}

#[test]
fn a_replacement_never_takes_invalid_bytes() {
    let all = r#"[{"type":"replace","regex":"[^a]+","content":"b"}]"#;
    assert_eq!(normalized(&normalizer(all), b"xa\xffyy\xe2\x82"), b"ba\xffb\xe2\x82");
}

/// Steps whose result on a text is the concatenation of the results on its parts between
/// invalid bytes.
const LOCAL: &str = r#"[{"type":"nfkc"},{"type":"lowercase"},{"type":"strip_accents"},
    {"type":"nmt"},{"type":"replace","string":"ab","content":"é\u0301"},{"type":"nfd"}]"#;

static LOCAL_STEPS: LazyLock<Normalizer> = LazyLock::new(|| normalizer(LOCAL));

static ALL_STEPS: LazyLock<Normalizer> = LazyLock::new(|| {
    normalizer(&format!(
        r#"[{{"type":"prefix","content":"__","unless":"never","scope":"first"}},
        {{"type":"collapse_spaces"}},{{"type":"strip","left":true,"right":true}},{}"#,
        &LOCAL[1..]
    ))
});

static FORMS: LazyLock<Vec<Normalizer>> = LazyLock::new(|| {
    let step = |form| normalizer(&format!(r#"[{{"type":"{form}"}}]"#));
    ["nfc", "nfd", "nfkc", "nfkd"].map(step).into()
});

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        "[ab\u{300}-\u{345}é가ﬁＡİ \u{200b}]{0,6}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..4),
        "\\PC{0,4}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn sources_fit_the_text_and_never_decrease(text in any_text(), at_start: bool) {
        for normalizer in [&*LOCAL_STEPS, &*ALL_STEPS] {
            let plain = normalizer.normalize(&text, at_start, &mut || Ok(())).unwrap();
            let found = normalizer.normalize_aligned(&text, at_start, &mut || Ok(()));
            let Some((aligned, sources)) = found.unwrap()
            else {
                prop_assert_eq!(&*plain, &text[..]);
                continue;
            };
            prop_assert_eq!(&*plain, &aligned[..]);
            prop_assert_eq!(sources.len(), aligned.len() + 1);
            prop_assert_eq!(sources.last(), Some(&text.len()));
            prop_assert!(sources.is_sorted());
        }
    }

    #[test]
    fn invalid_bytes_pass_and_separate(text in any_text()) {
        let normalizer = &*LOCAL_STEPS;
        let mut expected = Vec::new();
        for chunk in text.utf8_chunks() {
            expected.extend(normalized(normalizer, chunk.valid().as_bytes()));
            expected.extend_from_slice(chunk.invalid());
        }
        prop_assert_eq!(normalized(normalizer, &text), expected);
    }

    #[test]
    fn normal_forms_leave_ascii_and_their_own_results_alone(text in any_text(), ascii in "[ -~]*") {
        for normalizer in &*FORMS {
            let same = normalizer.normalize(ascii.as_bytes(), true, &mut || Ok(())).unwrap();
            prop_assert!(matches!(same, Cow::Borrowed(_)));
            let once = normalized(normalizer, &text);
            let twice = normalizer.normalize(&once, true, &mut || Ok(())).unwrap();
            prop_assert!(matches!(twice, Cow::Borrowed(_)));
        }
    }
}
