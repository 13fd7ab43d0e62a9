//! The engine against `regex-automata`, against `fancy-regex`, which backtracks, against a slow
//! backtracking matcher, and its work against the length of the text.

mod ahead;
mod backtrack;
mod growth;
mod guide;
mod published;
mod random;
mod refusals;

use super::Regex;

/// A small deterministic generator (xorshift64*), so that a failure can be repeated.
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits") % bound
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

fn ours(regex: &Regex, text: &str) -> Vec<(usize, usize)> {
    regex.matches(text.as_bytes()).map(|span| (span.start, span.end)).collect()
}

/// The reference's matches, or `None` where it gives up.
fn reference(regex: &fancy_regex::Regex, text: &str) -> Option<Vec<(usize, usize)>> {
    regex.find_iter(text).map(|found| found.ok().map(|m| (m.start(), m.end()))).collect()
}

#[test]
fn a_regex_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let regex = Regex::new(r"\w+|\s").expect("a plain pattern");
    shared(&regex);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(ours(&regex, "ab c"), [(0, 2), (2, 3), (3, 4)]));
        }
    });
}

#[test]
fn find_at_sees_what_lies_before() {
    let regex = Regex::new(r"(?<=a)b|c").expect("a plain pattern");
    let found = |start| regex.find_at(b"abc", start).map(|span| (span.start, span.end));
    assert_eq!(found(0), Some((1, 2)));
    assert_eq!(found(1), Some((1, 2)));
    assert_eq!(found(2), Some((2, 3)));
    assert_eq!(found(3), None);
    assert_eq!(found(9), None);
}

#[test]
fn a_byte_outside_utf8_is_a_replacement_character() {
    let regex = Regex::new(r"\w+|[^\w]").expect("a plain pattern");
    let text = b"a\xFF\xC3\xA9\xE2\x82b\xED\xA0\x80";
    let found: Vec<_> = regex.matches(text).map(|span| (span.start, span.end)).collect();
    assert_eq!(found, [(0, 1), (1, 2), (2, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9), (9, 10)]);
    let regex = Regex::new(r"\x{FFFD}+").expect("a plain pattern");
    let found: Vec<_> = regex.matches(text).map(|span| (span.start, span.end)).collect();
    assert_eq!(found, [(1, 2), (4, 6), (7, 10)]);
}

#[test]
fn emptying_the_cache_changes_nothing() {
    // Which of the last 14 letters were `a` makes 2^14 states, far more than the cache holds.
    let pattern = format!("(?:a|b)*a{}c|a|b|c", "(?:a|b)".repeat(13));
    let regex = Regex::new(&pattern).expect("a plain pattern");
    let fancy = fancy_regex::Regex::new(&pattern).expect("a plain pattern");
    let mut random = Random::new(3);
    let letters: String = (0..30_000).map(|_| *random.pick(&['a', 'b'])).collect();
    let text = format!("{letters}c{letters}");
    assert_eq!(Some(ours(&regex, &text)), reference(&fancy, &text));
}
