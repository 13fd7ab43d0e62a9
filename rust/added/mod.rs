//! Added tokens: matching them in text.
//!
//! The rules are those of `tokenizers` 0.23. One automaton finds the leftmost and, there, the
//! longest content; contents found do not overlap, and one that is refused for not being a single
//! word still uses up its bytes. A token may then take the white space on its sides along. There are two rounds, each with a matcher of its own: tokens on the raw text
//! and, on the normalized text between them, tokens with `normalized`, whose contents the caller
//! normalizes first.
//!
//! Cost: one pass of the automaton, or of the vectorised search that stands in for it where the
//! contents share few first bytes. Absent: normalization, and any decision on which tokens are
//! looked for.

mod word;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use aho_corasick::{AhoCorasick, AhoCorasickKind, FindIter, MatchKind};
use serde::Deserialize;

use crate::utf8::{first_char, last_char, leading_whitespace, trailing_whitespace};
use crate::{Error, Result};

/// A token that is matched in the text itself, before anything is cut or merged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AddedToken {
    pub id: u32,
    pub content: String,
    /// Only between characters that are not part of words.
    pub single_word: bool,
    /// Takes the white space before it along.
    pub lstrip: bool,
    /// Takes the white space after it along.
    pub rstrip: bool,
    /// Matched in the normalized text.
    pub normalized: bool,
    /// Matched only when the caller allows it.
    pub special: bool,
    /// The content is what stands in the normalized text: SentencePiece's user-defined pieces.
    #[serde(default)]
    pub verbatim: bool,
}

/// An added token in a text, with the white space that it takes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    pub start: usize,
    pub end: usize,
    pub id: u32,
}

/// Finds a set of added tokens; immutable and shared between threads.
#[derive(Debug, Default)]
pub struct Matcher {
    automaton: Option<AhoCorasick>,
    /// The rule of every pattern of the automaton.
    rules: Vec<Rule>,
    /// Pairs of bytes that some content holds, in order.
    pairs: HashSet<[u8; 2]>,
    /// Bytes at the ends of contents that must be words.
    borders: HashSet<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    id: u32,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
}

impl Matcher {
    /// Prepares the tokens. Empty contents never match; of equal contents the last counts.
    ///
    /// # Errors
    /// Contents too large for an automaton.
    pub fn new<'t>(tokens: impl IntoIterator<Item = &'t AddedToken>) -> Result<Self> {
        let mut contents: Vec<&str> = Vec::new();
        let mut rules = Vec::new();
        let mut known = HashMap::new();
        for token in tokens.into_iter().filter(|token| !token.content.is_empty()) {
            let &AddedToken { id, single_word, lstrip, rstrip, .. } = token;
            let rule = Rule { id, single_word, lstrip, rstrip };
            let place = *known.entry(token.content.as_str()).or_insert(rules.len());
            if place < rules.len() {
                rules[place] = rule;
            } else {
                rules.push(rule);
                contents.push(&token.content);
            }
        }
        let automaton = if contents.is_empty() { None } else { Some(automaton(&contents)?) };
        let pairs = contents.iter().flat_map(|content| content.as_bytes().windows(2));
        let pairs = pairs.map(|pair| [pair[0], pair[1]]).collect();
        let words = contents.iter().zip(&rules).filter(|(_, rule)| rule.single_word);
        let ends = |content: &str| [content.bytes().next(), content.bytes().last()];
        let borders = words.flat_map(|(content, _)| ends(content)).flatten().collect();
        Ok(Self { automaton, rules, pairs, borders })
    }

    /// Whether the matches in a text are those in its two parts, whatever stands around `at`, which
    /// is inside the text.
    ///
    /// No content holds the two bytes there, so that none lies across; none that must be a word has
    /// an end there; and there is no white space that a token might take along.
    pub fn may_cut(&self, text: &[u8], at: usize) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let (before, after) = (text[at - 1], text[at]);
        let is_space = |char: Option<(char, usize)>| char.is_some_and(|(c, _)| c.is_whitespace());
        !self.pairs.contains(&[before, after])
            && !self.borders.contains(&before)
            && !self.borders.contains(&after)
            && !is_space(last_char(&text[..at]))
            && !is_space(first_char(&text[at..]))
    }

    /// Whether no text can hold a match.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The tokens in `text`, by their ends.
    ///
    /// A token may start before the one in front of it ends: inside the white space that the
    /// latter took along. There is no text between the two then, and the text goes on where the
    /// later token ends. So it is in the reference.
    pub fn matches<'m>(&'m self, text: &'m [u8]) -> Matches<'m> {
        let found = self.automaton.as_ref().map(|automaton| automaton.find_iter(text));
        Matches { rules: &self.rules, text, found, taken: 0, space_end: 0 }
    }
}

/// The tokens in a text, see [`Matcher::matches`].
pub struct Matches<'m> {
    rules: &'m [Rule],
    text: &'m [u8],
    found: Option<FindIter<'m, 'm>>,
    /// Where the last token ends.
    taken: usize,
    /// Where the white space ends that was measured last.
    space_end: usize,
}

impl Iterator for Matches<'_> {
    type Item = Match;

    fn next(&mut self) -> Option<Match> {
        loop {
            let found = self.found.as_mut()?.next()?;
            let rule = self.rules[found.pattern()];
            let (mut start, mut end) = (found.start(), found.end());
            if rule.single_word && !self.is_word(start, end) {
                continue;
            }
            if rule.lstrip {
                let free = &self.text[self.taken.min(start)..start];
                start = self.taken.max(start - trailing_whitespace(free));
            }
            if rule.rstrip {
                end = self.end_of_space(end);
            }
            // Only a token of white space can lie wholly inside what the one before took along.
            if start < end {
                self.taken = end;
                return Some(Match { start, end, id: rule.id });
            }
        }
    }
}

impl Matches<'_> {
    fn is_word(&self, start: usize, end: usize) -> bool {
        !word::ends_with_word(&self.text[..start]) && !word::starts_with_word(&self.text[end..])
    }

    /// The end of the white space at `from`, measured once for all tokens inside it.
    fn end_of_space(&mut self, from: usize) -> usize {
        if from >= self.space_end {
            self.space_end = from + leading_whitespace(&self.text[from..]);
        }
        self.space_end
    }
}

/// Above this size of the compact automaton the fast one, up to 20 times larger, is not built.
const COMPACT_LIMIT: usize = 512 << 10;

fn automaton(contents: &[&str]) -> Result<AhoCorasick> {
    let build = |kind| {
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest).kind(Some(kind)).build(contents)
    };
    let compact = build(AhoCorasickKind::ContiguousNFA).map_err(|reason| {
        let count = contents.len();
        Error::Definition(format!("{count} added tokens make no automaton: {reason}"))
    })?;
    let small = compact.memory_usage() <= COMPACT_LIMIT;
    let fast = small.then(|| build(AhoCorasickKind::DFA).ok()).flatten();
    Ok(fast.unwrap_or(compact))
}
