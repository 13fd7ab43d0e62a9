//! Guides against all short texts, matched one by one.

use super::backtrack::Backtracker;
use super::random::{Generator, Grammar, repeats_nothing};
use super::*;
use crate::regex::Guide;
use crate::regex::distance::NEVER;
use crate::regex::parse::parse;

const CHARACTERS: [&str; 7] = ["a", "b", " ", "\n", "s", "é", "中"];
const END: usize = 256;

/// Whether a pattern matches the whole of a text, if the matcher does not give up.
fn is_whole(backtracker: &Backtracker, text: &str) -> Option<bool> {
    backtracker.matches(text).map(|found| found.contains(&(0, text.len())))
}

/// All texts of up to `longest` of the characters.
fn texts(longest: usize) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut last = found.clone();
    for _ in 0..longest {
        let longer = last.iter().flat_map(|text| CHARACTERS.map(|char| text.clone() + char));
        last = longer.collect();
        found.extend(last.iter().cloned());
    }
    found
}

/// Walks along a text; `None` where it is told that no match is left.
fn walk(guide: &mut Guide, text: &str) -> Option<u32> {
    let mut place = guide.start();
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        let needs = guide.needs(place).expect("few states")[usize::from(byte)];
        if needs == NEVER {
            assert_eq!(guide.after(place, byte).expect("few states"), None);
            return None;
        }
        assert!(needs as usize >= 1, "byte {at} of {text:?}");
        place = guide.after(place, byte).expect("few states").expect("it may follow");
    }
    Some(place)
}

/// Follows whatever needs the fewest bytes, the last such outcome, up to the end.
fn shortest(guide: &mut Guide, mut place: u32) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        let needs = guide.needs(place).expect("few states");
        let (outcome, &least) = needs.iter().enumerate().rev().min_by_key(|(_, needs)| **needs)?;
        if least == NEVER {
            return None;
        }
        if outcome == END {
            return Some(text);
        }
        text.push(outcome as u8);
        place = guide.after(place, outcome as u8).expect("few states").expect("it may follow");
        let left = guide.needs(place).expect("few states").iter().min().copied();
        assert_eq!(left, Some(least - 1), "one byte less is needed after each");
    }
}

/// A guide leads to every match and to nothing else, by the shortest way.
fn check(pattern: &str, texts: &[String]) -> bool {
    let Ok(mut guide) = Guide::new(pattern) else { return false };
    let backtracker = Backtracker::new(&format!(r"\A(?:{pattern})\z"));
    let Some(whole) = texts.iter().map(|text| is_whole(&backtracker, text)).collect() else {
        return false;
    };
    let whole: Vec<bool> = whole;
    let known = || texts.iter().zip(&whole).filter(|(_, whole)| **whole).map(|(text, _)| text);
    for (text, whole) in texts.iter().zip(&whole) {
        let place = walk(&mut guide, text);
        let ends = place.is_some_and(|place| guide.needs(place).expect("few states")[END] == 0);
        assert_eq!(ends, *whole, "{pattern:?} on {text:?}");
        let Some(place) = place else { continue };
        let Some(rest) = shortest(&mut guide, place) else {
            assert_eq!((text.as_str(), known().count()), ("", 0), "{pattern:?}: there is a match");
            continue;
        };
        let rest = String::from_utf8(rest).expect("texts are UTF-8");
        let found = is_whole(&backtracker, &format!("{text}{rest}"));
        assert_ne!(found, Some(false), "{pattern:?} on {text:?} with {rest:?}");
        let others = known().filter_map(|longer| longer.strip_prefix(text.as_str()));
        let nearest = others.map(str::len).min();
        assert!(nearest.is_none_or(|bytes| rest.len() <= bytes), "{pattern:?} on {text:?}");
    }
    known().count() > 0
}

#[test]
fn guides_lead_to_every_match_and_to_nothing_else() {
    let texts = texts(3);
    let mut matched = 0;
    for seed in 0..60 {
        let grammar = Grammar { looks: seed % 3 > 0, possessive: seed % 3 == 2 };
        let mut generator = Generator { random: Random::new(seed + 1), grammar };
        let pattern = generator.alternation(2);
        if parse(&pattern).is_ok_and(|parsed| !repeats_nothing(&parsed.node)) {
            matched += usize::from(check(&pattern, &texts));
        }
    }
    assert!(matched > 20, "{matched} patterns matched something");
}

#[test]
fn look_around_closes_ways_early() {
    let texts = texts(3);
    for pattern in
        [r"a(?!b)[ab]s", r"(?:a|b)(?<=b)s*", r"a\b[ab]|a\b s", r"(?m:^a$\n?){2}", "é(?=é)|b"]
    {
        assert!(check(pattern, &texts), "{pattern:?}");
    }
    let mut guide = Guide::new("a(?=b)c").expect("a plain pattern");
    assert_eq!(shortest(&mut guide, 0), None, "nothing matches");
    let mut guide =
        Guide::new(r"[^\x00-\x{FFFF}]|\x{D7FF}|[\x{E000}é]{2}").expect("a plain pattern");
    let needs = guide.needs(0).expect("few states");
    let leads: Vec<_> = (0..END).filter(|&byte| needs[byte] != NEVER).collect();
    assert_eq!(leads, [0xC3, 0xED, 0xEE, 0xF0, 0xF1, 0xF2, 0xF3, 0xF4]);
    assert_eq!((needs[0xC3], needs[0xED], needs[0xEE], needs[0xF4]), (4, 3, 5, 4));
}

#[test]
fn a_long_repetition_is_as_long_as_it_is() {
    let mut guide = Guide::new("(?:[ab]é){1000}c").expect("a plain pattern");
    assert_eq!(guide.needs(0).expect("few states")[usize::from(b'b')], 3001);
}
