//! Added tokens that are text: contents that are found in a text before anything else sees it.
//!
//! The leftmost content is found and, there, the longest; what lies between is a text of its own to
//! the pre-tokenizer. So a sequence of tokens holds an added token where its content is found, and
//! nowhere else may a content be found: an attempt at one that began in other text, or that goes on
//! behind a shorter content, must come to nothing. Attempts are places in a trie of the contents.
//!
//! Contents are found in two rounds, those of the second in what lies between those of the first. To
//! the first, the tokens of the second are text like any other; to the second, those of the first
//! are ends of the text.

use std::collections::HashMap;
use std::ops::Range;

use super::bits::Bits;
use super::sorted::{Place, Sorted};
use super::trie::{self, Branch};
use crate::added::AddedToken;

/// The number of a set of attempts that must come to nothing.
pub(super) type Owed = u32;

/// No attempts.
pub(super) const NOTHING: Owed = 0;

/// A place in the tries of the contents; the first two are their roots, a round each.
type Step = u32;

/// The contents of one tokenizer; grows with what it is asked.
#[derive(Debug)]
pub(super) struct Added {
    /// For each step, the bytes that go on and where they lead.
    next: Vec<Vec<(u8, Step)>>,
    /// Whether a content ends at a step.
    whole: Vec<bool>,
    /// The round of a step: that of its root.
    round: Vec<u32>,
    /// The tokens, and where their contents end.
    tokens: HashMap<Place, Step>,
    /// The tokens of the model that hold no content.
    plain: Bits,
    /// Sets of attempts, each in ascending order.
    sets: Vec<Vec<Step>>,
    ids: HashMap<Vec<Step>, Owed>,
}

impl Added {
    /// The added tokens that are found in every text, where nothing else decides where they are.
    /// `None` when there are none.
    pub fn new(added: &[AddedToken], sorted: &Sorted) -> Option<Added> {
        let bare = |token: &&AddedToken| {
            let sides = token.single_word || token.lstrip || token.rstrip;
            !(token.special || sides || token.content.is_empty())
        };
        let mut found = Added {
            next: vec![Vec::new(); 2],
            whole: vec![false; 2],
            round: vec![0, 1],
            tokens: HashMap::new(),
            plain: Bits::none(sorted.len()),
            sets: vec![Vec::new()],
            ids: HashMap::from([(Vec::new(), NOTHING)]),
        };
        for token in added.iter().filter(bare) {
            let end = found.content(u32::from(token.normalized), token.content.as_bytes());
            if let Some(place) = sorted.place(token.id) {
                found.tokens.insert(place, end);
            }
        }
        if found.next.len() == 2 {
            return None;
        }
        for place in sorted.all() {
            if found.walk(&[], sorted.bytes(place), None).is_some() {
                found.plain.insert(place);
            }
        }
        Some(found)
    }

    /// Adds a content and says where it ends.
    fn content(&mut self, round: u32, bytes: &[u8]) -> Step {
        let mut at = round;
        for &byte in bytes {
            at = match self.step(at, byte) {
                Some(next) => next,
                None => {
                    let new = self.next.len() as Step;
                    self.next[at as usize].push((byte, new));
                    self.next.push(Vec::new());
                    self.whole.push(false);
                    self.round.push(round);
                    new
                }
            };
        }
        self.whole[at as usize] = true;
        at
    }

    fn step(&self, at: Step, byte: u8) -> Option<Step> {
        self.next[at as usize].iter().find(|next| next.0 == byte).map(|next| next.1)
    }

    /// The attempts after more bytes: those of a token that was found in a round, or of other text.
    /// `None` when one of them finds a content.
    fn walk(&self, attempts: &[Step], bytes: &[u8], found: Option<u32>) -> Option<Vec<Step>> {
        let goes_on = |at: &Step| found != Some(0) || self.round[*at as usize] == 0;
        let mut attempts: Vec<Step> = attempts.iter().copied().filter(goes_on).collect();
        let roots = [0, 1].into_iter().filter(|&round| found.is_none_or(|found| round < found));
        for &byte in bytes {
            let before = attempts.into_iter().chain(roots.clone());
            attempts = before.filter_map(|at| self.step(at, byte)).collect();
            if attempts.iter().any(|&at| self.whole[at as usize]) {
                return None;
            }
        }
        attempts.sort_unstable();
        attempts.dedup();
        Some(attempts)
    }

    /// Whether a token is found before anything else sees the text.
    pub fn is_added(&self, token: Place) -> bool {
        self.tokens.contains_key(&token)
    }

    /// What is owed after a token that may follow.
    pub fn after(&mut self, sorted: &Sorted, owed: Owed, token: Place) -> Owed {
        let end = self.tokens.get(&token).copied();
        let before = &self.sets[owed as usize];
        let round = end.map(|end| self.round[end as usize]);
        let mut found = self.walk(before, sorted.bytes(token), round).unwrap_or_default();
        // A longer content that begins where this one does would have been found instead.
        found.extend(end.filter(|&end| !self.next[end as usize].is_empty()));
        found.sort_unstable();
        found.dedup();
        if let Some(&known) = self.ids.get(&found) {
            return known;
        }
        let id = self.sets.len() as Owed;
        self.sets.push(found.clone());
        self.ids.insert(found, id);
        id
    }

    /// Takes out of the tokens of the model those with which a content would be found, and adds the
    /// added tokens if the text before them may end.
    pub fn restrict(&self, tokens: &mut Bits, sorted: &Sorted, owed: Owed, ends: bool) {
        tokens.keep(&self.plain);
        let attempts = &self.sets[owed as usize];
        self.each_finding(attempts, sorted, |run| run.for_each(|place| tokens.remove(place)));
        for (&place, &end) in self.tokens.iter().filter(|_| ends) {
            let round = self.round[end as usize];
            if self.walk(attempts, sorted.bytes(place), Some(round)).is_some() {
                tokens.insert(place);
            }
        }
    }

    /// Calls `visit` with the tokens whose bytes make one of the attempts find its content.
    fn each_finding(
        &self,
        attempts: &[Step],
        sorted: &Sorted,
        mut visit: impl FnMut(Range<Place>),
    ) {
        let trie = sorted.trie();
        let mut waiting: Vec<(Step, Branch)> =
            attempts.iter().map(|&at| (at, trie::ROOT)).collect();
        while let Some((at, node)) = waiting.pop() {
            for &(byte, next) in &self.next[at as usize] {
                match trie.child(node, byte) {
                    trie::NOTHING => {}
                    child if self.whole[next as usize] => visit(trie.run(child)),
                    child => waiting.push((next, child)),
                }
            }
        }
    }
}
