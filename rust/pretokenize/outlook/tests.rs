//! Beside the definition: a text is cut so when some text that follows makes the pre-tokenizer do it.

use std::collections::HashSet;

use super::super::{Behavior, Pattern, Pretokenizer, Span, Step, named};
use super::*;

fn split(regex: &str, behavior: Behavior, invert: bool) -> Step {
    Step::Split { pattern: Pattern::Regex(regex.to_owned()), behavior, invert }
}

/// Every string over the alphabet of at most so many characters.
fn strings(alphabet: &[char], most: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..most {
        let to = all.len();
        for at in from..to {
            all.extend(alphabet.iter().map(|c| format!("{}{c}", all[at])).collect::<Vec<_>>());
        }
        from = to;
    }
    all
}

/// The ends of pieces up to the end of `text`, for every text that may follow it.
fn by_definition(pretokenizer: &Pretokenizer, text: &str, tails: &[String]) -> HashSet<Vec<usize>> {
    let ends = |tail: &String| {
        let whole = format!("{text}{tail}");
        let mut spans = vec![Span::default(); whole.len() + 1];
        let mut pieces = pretokenizer.pieces(whole.as_bytes());
        let mut filled = 0;
        loop {
            let more = pieces.fill(&mut spans[filled..], &mut || Ok(())).expect("never stopped");
            if more == 0 {
                break;
            }
            filled += more;
        }
        let ends = spans[..filled].iter().map(|span| span.end);
        ends.filter(|&end| end <= text.len()).collect()
    };
    tails.iter().map(ends).collect()
}

/// The same by the outlook, for each way to choose places.
fn by_outlook(outlook: &mut Outlook, text: &str) -> HashSet<Vec<usize>> {
    let mut ways = vec![(Vec::new(), outlook.start())];
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        let mut longer = Vec::new();
        for (cuts, set) in ways {
            let next = outlook.step(set, byte).expect("few states");
            if next == EMPTY {
                continue;
            }
            let turned = outlook.turn(next).expect("few states");
            let ends = at + 1 == text.len() && outlook.ends(next).expect("few states");
            if turned != EMPTY || ends {
                longer.push(([&cuts[..], &[at + 1]].concat(), turned));
            }
            longer.push((cuts, next));
        }
        ways = longer;
    }
    // Where the last piece goes on, some character must be able to follow inside of it.
    let goes_on = |outlook: &mut Outlook, set| {
        let any = |outlook: &mut Outlook, set| {
            (0..=255).any(|byte| outlook.step(set, byte).expect("few states") != EMPTY)
        };
        any(outlook, set)
    };
    let ended = |ends: &Vec<usize>| ends.last() == Some(&text.len()) || text.is_empty();
    ways.into_iter()
        .filter(|(ends, set)| ended(ends) || goes_on(outlook, *set))
        .map(|(ends, _)| ends)
        .collect()
}

fn compare(steps: &[Step], alphabet: &[char], length: usize, tail: usize) {
    compare_before(steps, alphabet, length, &strings(alphabet, tail));
}

fn compare_before(steps: &[Step], alphabet: &[char], length: usize, tails: &[String]) {
    let pretokenizer = Pretokenizer::new(steps).expect("a sound pattern");
    let mut outlook = Outlook::new(steps, |_| true).expect("a sound pattern");
    for text in strings(alphabet, length) {
        assert_eq!(
            by_outlook(&mut outlook, &text),
            by_definition(&pretokenizer, &text, tails),
            "{steps:?} on {text:?}"
        );
    }
}

#[test]
fn published_patterns_look_ahead_as_they_do() {
    for name in named::names() {
        let steps = named::pattern(name).expect("a listed name");
        let tails =
            strings(&['a', 's', 'A', '\'', ' ', '\n', '1', '.', '/', '日', '\u{301}', '\0'], 3);
        compare_before(&steps, &['a', ' ', '\n', '1', '\''], 3, &tails);
        compare_before(&steps, &['A', 's', '\'', '.', '/'], 3, &tails);
        compare_before(&steps, &['é', '\u{301}', ' ', '日', '7'], 3, &tails);
    }
}

#[test]
fn digits_in_stand_ins_cut_characters() {
    // Of "ò" and "Ų" the last byte has a digit for a stand-in, of "츀" the middle one has.
    let falcon = named::pattern("falcon").expect("a listed name");
    let tails = strings(&['a', 'ò', '1', '!', ' '], 3);
    compare_before(&falcon, &['ò', '1', 'é', '!', 'a'], 3, &tails);
    let three = strings(&['1', 'é', ' '], 4);
    compare_before(&falcon, &['1', 'Ų', '츀', ' '], 3, &three);
    let digits = |individual| Step::Digits { individual, stand_ins: true };
    let pairs = |behavior| split("[0-9][0-9]", behavior, false);
    for step in [
        vec![digits(true)],
        vec![digits(false), pairs(Behavior::MergedWithNext)],
        vec![split("ò1", Behavior::Contiguous, false), digits(true), pairs(Behavior::Isolated)],
        vec![split("1+(?!ò)|ò", Behavior::MergedWithPrevious, true), digits(false)],
    ] {
        compare(&step, &['ò', '1', 'é', '츀'], 3, 3);
    }
}

#[test]
fn more_than_digits_in_parts_of_characters_is_refused() {
    let digits = Step::Digits { individual: false, stand_ins: true };
    for regex in [r"\w", "a|é", "[^b]", "a*", r"b(?!\d)", "(?<!a)b?"] {
        let steps = [digits.clone(), split(regex, Behavior::Isolated, false)];
        let error = Outlook::new(&steps, |_| true).expect_err(regex);
        assert!(error.to_string().contains("cut characters apart"), "{error}");
    }
}

#[test]
fn digits_from_the_right_depend_on_all_that_follow() {
    let tails = strings(&['1', 'x', ' ', '!'], 4);
    let grouped = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))";
    for regex in [
        r"(?=(\d{3})+(?!\d))",
        r"\B(?=(\d\d)+(?!\d))",
        r"(?=(\d{3})+\b)",
        r"(?=\d\d(x|$))",
        grouped,
        &format!(r" ?x| ?{grouped}| +(?!\S)| "),
        &format!(r"[^x\p{{N}}]|x+|{grouped}"),
    ] {
        compare_before(&[split(regex, Behavior::Isolated, false)], &['1', 'x', ' '], 4, &tails);
        let rest = split(r"[x\p{N}]+| +", Behavior::MergedWithNext, false);
        let steps = [split(regex, Behavior::Isolated, true), rest];
        compare_before(&steps, &['1', 'x', ' '], 3, &tails);
    }
    let places = split(r"(?=(\d\d)+(?!\d))", Behavior::MergedWithPrevious, false);
    let steps = [places, split("x", Behavior::MergedWithNext, false)];
    compare_before(&steps, &['1', 'x'], 4, &tails);
    let groups = split(r"\d\d?\d?$|\d+?(?=x)|x", Behavior::Isolated, false);
    compare(&[groups], &['1', 'x'], 4, 4);
}

#[test]
fn every_behaviour_cuts_as_it_does() {
    use Behavior::{Contiguous, Isolated, MergedWithNext, MergedWithPrevious};
    let regexes = ["ab?", "a*", "aa|b(?=a)", "(?<=a)b", "a+(?!b)|b", "(?:ab)+|a", "$|b", "a|(?!a)"];
    for regex in regexes {
        for behavior in [Isolated, Contiguous, MergedWithNext, MergedWithPrevious] {
            for invert in [false, true] {
                compare(&[split(regex, behavior, invert)], &['a', 'b', 'c'], 4, 4);
            }
        }
    }
}

#[test]
fn steps_in_sequence_see_each_piece_as_a_text() {
    use Behavior::{Contiguous, Isolated, MergedWithNext, MergedWithPrevious};
    let first = ["b", "a+b?", r"a(?!b)|c+"];
    let second = [r"(?:aa)+|a$", "c(?=b)|a+", "(?<=a)b|c"];
    for first in first {
        for second in second {
            for (one, other) in [
                (Isolated, Isolated),
                (MergedWithNext, Contiguous),
                (Contiguous, MergedWithPrevious),
            ] {
                let steps = [split(first, one, false), split(second, other, true)];
                compare(&steps, &['a', 'b', 'c'], 4, 3);
            }
        }
    }
}

#[test]
fn more_steps_than_can_be_followed_are_refused() {
    for count in [4, 9, 13, 40, 500] {
        let letters = ('a'..='z').cycle().take(count);
        let step = |letter: char| split(&letter.to_string(), Behavior::Isolated, false);
        let steps: Vec<Step> = letters.map(step).collect();
        let walked = Outlook::new(&steps, |_| true).and_then(|mut outlook| {
            let begun = outlook.step(outlook.start(), b'x')?;
            outlook.turn(begun)
        });
        match count {
            4 => assert!(walked.is_ok_and(|turned| turned != EMPTY)),
            _ => assert!(walked.is_err_and(|error| error.to_string().contains("16384 ways"))),
        }
    }
}

#[test]
fn a_token_holds_nothing_that_is_removed() {
    let steps = [Step::WhitespaceSplit];
    let mut outlook = Outlook::new(&steps, |_| true).expect("a sound pattern");
    let start = outlook.start();
    assert_eq!(outlook.step(start, b' '), Ok(EMPTY));
    let letter = outlook.step(start, b'a').expect("few states");
    assert_ne!(outlook.turn(letter), Ok(EMPTY));
    assert_eq!(outlook.ends(letter), Ok(true));
}

#[test]
fn without_steps_all_bytes_are_one_piece() {
    let mut outlook = Outlook::new(&[], |_| true).expect("nothing to compile");
    let start = outlook.start();
    for byte in 0..=255 {
        assert_eq!(outlook.step(start, byte), Ok(start));
    }
    assert_eq!((outlook.turn(start), outlook.ends(start)), (Ok(EMPTY), Ok(true)));
}

#[test]
fn what_is_not_utf8_ends_all_ways() {
    let steps = named::pattern("gpt2").expect("a listed name");
    let mut outlook = Outlook::new(&steps, |_| true).expect("a sound pattern");
    let start = outlook.start();
    for bytes in [&b"\x80"[..], b"\xC0", b"\xE0\x9F", b"\xED\xA0", b"\xF4\x90", b"\xF5", b"a\xFF"] {
        let end = bytes.iter().fold(start, |set, &byte| outlook.step(set, byte).expect("few"));
        assert_eq!(end, EMPTY, "{bytes:?}");
    }
}
