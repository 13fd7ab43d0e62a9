//! Look-ahead at all that follows, against `fancy-regex`, which goes back, and its work.

use super::*;

/// Where the engine matches.
fn cut(pattern: &str, text: &str) -> Vec<(usize, usize)> {
    let (found, cuts) = Regex::cutting(pattern).expect("a pattern of this test");
    let Some(cuts) = cuts else { return ours(&found, text) };
    let mut all = Vec::new();
    for (start, end) in ours(&found, text) {
        let places = ours(&cuts, &text[start..end]).into_iter().map(|(at, _)| start + at);
        let mut from = start;
        for at in places.filter(|&at| at > start).chain([end]) {
            all.push((from, at));
            from = at;
        }
    }
    all
}

#[test]
fn groups_from_the_right_are_those_of_the_reference() {
    let mut random = Random::new(11);
    for pattern in [
        r"(?=(\d{3})+(?!\d))",
        r"(?=(?:[0-9][0-9][0-9])+(?![0-9]))",
        r"\B(?=(\d{3})+\b)",
        r"(?<=\d)(?=(?<group>\d{2})+$)",
        r"(?=ab+c)",
        r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
        r"\d{1,3}(?=(\d\d\d)*(?:\D|$))",
        r"\d{1,1}(?=\d*(?!\d))",
        r"[0-9]{1,2}(?=(?:[0-9]{2})*?(?:$|[^0-9]))|[^0-9 ]+",
        r" ?\p{L}+| ?\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))|\s+(?!\S)|\s+",
    ] {
        let fancy = fancy_regex::Regex::new(pattern).expect("a pattern of this test");
        for _ in 0..400 {
            let length = random.below(24);
            let characters = ["1", "2", "7", "0", "3", "a", "b", "c", " ", "٣", "½"];
            let text: String = (0..length).map(|_| *random.pick(&characters)).collect();
            assert_eq!(
                Some(cut(pattern, &text)),
                reference(&fancy, &text),
                "{pattern:?}: {text:?}"
            );
        }
        let long = format!("{}a{}", "1".repeat(1100), "1".repeat(700));
        if let Some(expected) = reference(&fancy, &long) {
            assert_eq!(cut(pattern, &long), expected, "{pattern:?}");
        }
    }
}

#[test]
fn what_no_rewriting_expresses_is_refused() {
    for pattern in [
        r"\d{1,3}(?=(?:\d{3})*\b)",
        r"\d{1,3}(?=(?:\d{3})+(?!\d))",
        r"\d{1,3}(?=(?:\d{2})*(?!\d))",
        r"\d{1,3}(?=(?:\d{3})*(?!\p{N}))",
        r"\d{2,3}(?=(?:\d{3})*(?!\d))",
        r"\d{1,3}?(?=(?:\d{3})*(?!\d))",
        r"\d{1,3}(?=(?:\d{3})*(?!\d))|\w+",
        r"\d{1,3}(?=(?:\d{3})*(?!\d))|x?",
        r"x\d{1,3}(?=(?:\d{3})*(?!\d))",
        r"(?=(?:\d{3})+(?!\d))|x",
        r"(?=(?:\d{3})+(?!\d))\d",
        r"(?=ab)(?=ac)",
    ] {
        let refused = Regex::cutting(pattern).expect_err(pattern).to_string();
        assert!(refused.contains("look-ahead at more than one character"), "{refused}");
    }
}

#[test]
fn work_grows_linearly_with_a_number() {
    let (places, _) = Regex::cutting(r"(?=(\d{3})+(?!\d))").expect("it looks ahead alone");
    let work = |length| {
        let text = "1".repeat(length);
        let mut matches = places.matches(text.as_bytes());
        assert_eq!(matches.by_ref().count(), length / 3);
        matches.work()
    };
    let (small, large) = (work(20_000), work(200_000));
    assert!(large < 11 * small && large < 16 * 200_000, "{small} then {large}");
}
