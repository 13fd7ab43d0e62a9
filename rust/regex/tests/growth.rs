//! Total work of all matches of a text, counted in characters read.

use super::*;

/// Characters read, forwards and backwards, to find all matches.
fn work(pattern: &str, text: &str) -> u64 {
    let regex = Regex::new(pattern).expect("a pattern of this test");
    let mut matches = regex.matches(text.as_bytes());
    while matches.next().is_some() {}
    matches.work()
}

/// Patterns and texts on which restarting at each match is quadratic.
const HOSTILE: &[(&str, &str)] = &[
    ("a*b|a", "a"),
    (r"\s*[\r\n]+|x", " "),
    (r"\s*[\r\n]+|\s", " "),
    ("a*b", "a"),
    ("(?:a|b)*c|a|b", "ab"),
    ("[a-z]*1|.", "word"),
    ("a+?b|a", "a"),
    ("(?<=a)a*b|a", "a"),
    (r"(?<=\w|^)\w*!|\w", "abé"),
    ("(?:aa)*b|a", "a"),
    ("a*(?=b)|a", "a"),
    ("é*b|é", "é"),
    ("(?s:.)*z|(?s:.)", "a b\n"),
];

#[test]
fn work_grows_linearly_on_hostile_patterns() {
    for (pattern, unit) in HOSTILE {
        let small = work(pattern, &unit.repeat(20_000));
        let large = work(pattern, &unit.repeat(200_000));
        assert!(large < 11 * small, "{pattern:?}: {small} then {large}");
        let length = 200_000 * unit.len() as u64;
        assert!(large < 16 * length + 4096, "{pattern:?}: {large} for {length} bytes");
    }
}

#[test]
fn published_patterns_never_look_back() {
    for pattern in published::PATTERNS {
        for unit in [
            "a",
            " ",
            "\n",
            " \n",
            "\n ",
            "a ",
            "A",
            "aA",
            "1",
            "!",
            "é",
            "中",
            "'s",
            "  x",
            "\r\n\r\n   ",
        ] {
            let text = unit.repeat(20_000 / unit.len());
            let regex = Regex::new(pattern).expect("a published pattern");
            let mut matches = regex.matches(text.as_bytes());
            while matches.next().is_some() {}
            assert!(!matches.needed_oracle(), "{pattern:?} on {unit:?}");
            let (work, length) = (matches.work(), text.len() as u64);
            assert!(work < 5 * length, "{pattern:?} on {unit:?}: {work} for {length} bytes");
        }
    }
}

#[test]
fn matches_with_the_backward_pass_are_those_without() {
    let mut random = Random::new(11);
    for (pattern, unit) in HOSTILE {
        let ours_regex = Regex::new(pattern).expect("a pattern of this test");
        let theirs = fancy_regex::Regex::new(pattern).expect("the reference reads the pattern");
        for round in 0..6 {
            let mut text = unit.repeat(700 + 1700 * (round % 3));
            for _ in 0..round * 3 {
                let at = random.below(text.len());
                if text.is_char_boundary(at) {
                    text.insert_str(
                        at,
                        random.pick::<&str>(&["b", "c", "1", "!", "\n", "z", "é", "x", "😀"]),
                    );
                }
            }
            let mut matches = ours_regex.matches(text.as_bytes());
            let found: Vec<_> = matches.by_ref().map(|span| (span.start, span.end)).collect();
            assert!(round > 0 || matches.needed_oracle(), "{pattern:?} should need the oracle");
            if let Some(expected) = reference(&theirs, &text) {
                assert!(found == expected, "{pattern:?} in round {round}");
            }
        }
    }
}
