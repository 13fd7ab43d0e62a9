//! Random patterns on random texts.

use super::backtrack::Backtracker;
use super::*;
use crate::regex::ast::Node;
use crate::regex::parse::parse;

const LETTERS: &[&str] =
    &["a", "b", "c", "A", " ", r"\n", "é", "1", "'", "s", r"\x{17F}", "ß", "K"];
const CLASSES: &[&str] = &[
    r"\p{L}",
    r"\p{N}",
    r"\s",
    r"\S",
    r"\w",
    r"\W",
    r"\d",
    "[ab]",
    "[^a]",
    r"[^\s\p{L}\p{N}]",
    r"[\r\n]",
    "[a-c&&[^b]]",
    r"[^\S\n]",
    ".",
    "(?s:.)",
    "(?i:s)",
    "(?i:[a-k])",
    r"\P{L}",
    r"[\p{Lu}\p{M}]",
    "[]a]",
    "[a-]",
    r"(?i:\p{Lu})",
    "(?i:[^k])",
    r"\h",
];
const LOOKS: &[&str] = &[
    r"(?!\S)",
    "(?=a)",
    r"(?=\s|$)",
    "(?![ab])",
    "(?<=a)",
    "(?<!b)",
    r"(?<=^|\s)",
    "$",
    "^",
    r"\b",
    r"\B",
    r"\A",
    r"\z",
    "(?m:^)",
    "(?m:$)",
    "(?!b+)",
    "(?=a*)",
];
const QUANTIFIERS: &[&str] =
    &["?", "*", "+", "{2}", "{1,3}", "{0,2}", "{2,}", "??", "*?", "+?", "{1,2}?"];
const CHARACTERS: &[&str] = &[
    "a", "b", "c", "a", "b", " ", "\n", "\r", "A", "é", "1", "'", "s", "ſ", "ß", "k", "K", "-",
    "中", "😀", "\u{301}",
];

/// Around each alternative: nothing in the engine's pattern, a capturing group in that of
/// `regex-automata`. Otherwise it would take a common beginning out of alternatives, even of
/// varying length (`.{1,2}?b|.{1,2}?` becomes `.{1,2}?(?:b|)`), which changes what matches.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// What a generated pattern may contain.
#[derive(Clone, Copy)]
pub(super) struct Grammar {
    pub looks: bool,
    pub possessive: bool,
}

pub(super) struct Generator {
    pub random: Random,
    pub grammar: Grammar,
}

impl Generator {
    pub fn alternation(&mut self, depth: usize) -> String {
        self.marked_alternation(depth).replace([OPEN, CLOSE], "")
    }

    fn marked_alternation(&mut self, depth: usize) -> String {
        let count = 1 + self.random.below(3);
        let branch = |_| format!("{OPEN}{}{CLOSE}", self.sequence(depth));
        let branches: Vec<_> = (0..count).map(branch).collect();
        branches.join("|")
    }

    fn sequence(&mut self, depth: usize) -> String {
        (0..self.random.below(4)).map(|_| self.piece(depth)).collect()
    }

    fn piece(&mut self, depth: usize) -> String {
        if self.grammar.looks && self.random.below(6) == 0 {
            return (*self.random.pick(LOOKS)).to_owned();
        }
        let (atom, single) = match self.random.below(if depth == 0 { 7 } else { 10 }) {
            0..4 => ((*self.random.pick(LETTERS)).to_owned(), true),
            4..7 => ((*self.random.pick(CLASSES)).to_owned(), true),
            7 => (format!("(?i:{})", self.marked_alternation(depth - 1)), false),
            8 => (format!("({})", self.marked_alternation(depth - 1)), false),
            _ => (format!("(?:{})", self.marked_alternation(depth - 1)), false),
        };
        if self.grammar.possessive && self.random.below(4) == 0 {
            if !single && self.random.below(2) == 0 {
                return format!("(?>{atom})");
            }
            return atom + *self.random.pick(&["?+", "*+", "++", "{1,3}+", "{2,}+"]);
        }
        match self.random.below(2) {
            0 => atom,
            _ => atom + *self.random.pick(QUANTIFIERS),
        }
    }

    fn text(&mut self) -> String {
        let length = self.random.below(14);
        let few = self.random.below(3) == 0;
        let characters = if few { &CHARACTERS[..4] } else { CHARACTERS };
        (0..length).map(|_| *self.random.pick(characters)).collect()
    }
}

/// Whether something that can be empty is repeated. Libraries disagree on what the empty turn of
/// such a loop means; the engine does as `regex-automata`, and only it is asked.
pub(super) fn repeats_nothing(node: &Node) -> bool {
    match node {
        Node::Empty | Node::Class(_) | Node::Look(_) => false,
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().any(repeats_nothing),
        Node::Repeat { node, max, .. } => {
            (*max != Some(1) && node.is_nullable()) || repeats_nothing(node)
        }
        Node::Atomic { node, .. } | Node::Ahead { node, .. } => repeats_nothing(node),
    }
}

/// Pairs of a pattern and a text that were compared, and patterns that the engine refused.
#[derive(Default)]
struct Compared {
    pairs: usize,
    patterns: usize,
    refused: usize,
    /// Pairs on which the backtracking matcher agrees with the engine and the other library does
    /// not (`fancy-regex` 0.20 finds `x` with `x+b?x+` in `axa`).
    contested: usize,
}

impl Compared {
    /// The engine's form of a generated pattern, unless it is refused.
    fn compile(&mut self, pattern: &str) -> Option<Regex> {
        self.patterns += 1;
        match Regex::new(pattern) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let reason = error.to_string();
                self.refused += usize::from(!reason.contains("without width"));
                None
            }
        }
    }
}

/// The engine's matches when it reads no character in vain.
fn with_oracle(regex: &Regex, text: &str) -> Vec<(usize, usize)> {
    let mut matches = regex.matches(text.as_bytes());
    matches.force_oracle();
    matches.map(|span| (span.start, span.end)).collect()
}

/// Compares patterns without look-around with `regex-automata`.
fn compare_plain(seed: u64, patterns: usize, texts: usize) -> Compared {
    let grammar = Grammar { looks: false, possessive: false };
    let mut generator = Generator { random: Random::new(seed), grammar };
    let mut compared = Compared::default();
    while compared.patterns < patterns {
        let generated = generator.marked_alternation(2);
        let pattern = generated.replace([OPEN, CLOSE], "");
        let captured = generated.replace(OPEN, "(").replace(CLOSE, ")");
        let Ok(expected) = regex_automata::meta::Regex::new(&captured) else { continue };
        let Some(regex) = compared.compile(&pattern) else { continue };
        for _ in 0..texts {
            let text = generator.text();
            let expected: Vec<_> =
                expected.find_iter(&text).map(|found| (found.start(), found.end())).collect();
            assert_eq!(ours(&regex, &text), expected, "pattern {pattern:?} on {text:?}");
            assert_eq!(with_oracle(&regex, &text), expected, "pattern {pattern:?} on {text:?}");
            compared.pairs += 1;
        }
    }
    compared
}

/// Compares patterns with the backtracking matcher, and counts where `fancy-regex` differs.
fn compare(seed: u64, patterns: usize, texts: usize, grammar: Grammar) -> Compared {
    let mut generator = Generator { random: Random::new(seed), grammar };
    let mut compared = Compared::default();
    while compared.patterns < patterns {
        let pattern = generator.alternation(2);
        let Ok(fancy) = fancy_regex::Regex::new(&pattern) else { continue };
        if parse(&pattern).is_ok_and(|parsed| repeats_nothing(&parsed.node)) {
            continue;
        }
        let Some(regex) = compared.compile(&pattern) else { continue };
        let backtracker = Backtracker::new(&pattern);
        for _ in 0..texts {
            let text = generator.text();
            let found = ours(&regex, &text);
            let Some(expected) = backtracker.matches(&text) else { continue };
            assert_eq!(found, expected, "pattern {pattern:?} on {text:?}");
            assert_eq!(with_oracle(&regex, &text), expected, "pattern {pattern:?} on {text:?}");
            compared.pairs += 1;
            let other = reference(&fancy, &text);
            compared.contested += usize::from(other.is_some_and(|other| other != found));
        }
    }
    compared
}

/// The number of patterns of a test, more when `BYTEWRIGHT_LONG` is set.
fn patterns(usual: usize) -> usize {
    if std::env::var_os("BYTEWRIGHT_LONG").is_some() { usual * 30 } else { usual }
}

#[test]
fn random_plain_patterns_match_as_in_the_reference() {
    let compared = compare_plain(1, patterns(4000), 30);
    assert!(compared.pairs >= 100_000, "{} pairs", compared.pairs);
    assert_eq!(compared.refused, 0, "the grammar is inside what the engine supports");
}

#[test]
fn random_patterns_with_look_around_match_as_in_the_reference() {
    let grammar = Grammar { looks: true, possessive: false };
    let compared = compare(2, patterns(4000), 30, grammar);
    assert!(compared.pairs >= 100_000, "{} pairs", compared.pairs);
    assert!(compared.refused * 10 < compared.patterns, "{} refused", compared.refused);
    assert!(compared.contested * 200 < compared.pairs, "{} contested", compared.contested);
}

#[test]
fn random_possessive_patterns_match_as_in_the_reference_or_are_refused() {
    let grammar = Grammar { looks: true, possessive: true };
    let compared = compare(3, patterns(4000), 20, grammar);
    assert!(compared.pairs >= 40_000, "{} pairs", compared.pairs);
    assert!(compared.refused * 2 < compared.patterns, "{} refused", compared.refused);
    assert!(compared.contested * 200 < compared.pairs, "{} contested", compared.contested);
}
