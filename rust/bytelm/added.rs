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
//!
//! A token may take the white space on a side along. Then none of it is left there, and since there
//! may have been some, no attempt lasts across. Where the tokenizer puts a space before text behind
//! an added token, such text begins with one. A token that is found by other bytes than its own, as
//! when a normalizer changes them, is in no text that its bytes spell.

use std::collections::HashMap;
use std::ops::Range;

use super::begin::Begin;
use super::bits::Bits;
use super::sorted::{Place, Sorted};
use super::trie::{self, Branch};
use crate::added::AddedToken;
use crate::tokenizer::Opening;
use crate::{Error, Result};

/// The number of a state of what must not be found, and what must.
pub(super) type Owed = u32;

/// Nothing was found or begun.
pub(super) const NOTHING: Owed = 0;

/// A place in one of the tries.
type Step = u32;

/// The round in which a content is found.
type Round = usize;

/// The roots of the contents of each round.
const CONTENTS: [Step; 2] = [0, 1];

/// The roots of the white space that may not follow a token of each round.
const SPACES: [Step; 2] = [2, 3];

/// The same behind the space that is put before text.
const SPACES_BEHIND_ONE: [Step; 2] = [4, 5];

/// The contents of one tokenizer; grows with what it is asked.
#[derive(Debug)]
pub(super) struct Added {
    /// For each step, the bytes that go on and where they lead.
    next: Vec<Vec<(u8, Step)>>,
    /// Whether a content ends at a step, or a character of white space.
    whole: Vec<bool>,
    /// Of which root a step is.
    root: Vec<Step>,
    tokens: HashMap<Place, Found>,
    /// The tokens of the model that hold no content.
    plain: Bits,
    /// What is put before text behind tokens of each round.
    openings: [Opening; 2],
    /// Whether some token takes white space before it along.
    looks_back: bool,
    states: Vec<State>,
    ids: HashMap<State, Owed>,
}

/// How a token is found.
#[derive(Debug, Clone, Copy)]
struct Found {
    round: Round,
    /// Where its content ends.
    end: Step,
    lstrip: bool,
    rstrip: bool,
    /// Whether it is nothing but white space.
    blank: bool,
}

/// What is known behind a sequence of tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct State {
    /// Attempts that must come to nothing, in ascending order.
    attempts: Vec<Step>,
    /// The white space that the text ends with, and whether a token of which round does, where
    /// some token looks back.
    space: Space,
    token: Option<Round>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Space {
    #[default]
    None,
    /// A character of white space may have begun.
    Begun(Step),
    Whole,
}

impl Added {
    /// The added tokens of a tokenizer that are found in every text. `None` when there are none.
    ///
    /// # Errors
    /// [`Error::Argument`] for a token that is only found where no word goes on beside it.
    pub fn new(
        added: &[AddedToken],
        openings: [Opening; 2],
        sorted: &Sorted,
    ) -> Result<Option<Added>> {
        let roots = [CONTENTS, SPACES, SPACES_BEHIND_ONE].concat();
        let mut found = Added {
            next: vec![Vec::new(); roots.len()],
            whole: vec![false; roots.len()],
            root: roots,
            tokens: HashMap::new(),
            plain: Bits::none(sorted.len()),
            openings,
            looks_back: added.iter().any(|token| token.lstrip),
            states: vec![State::default()],
            ids: HashMap::from([(State::default(), NOTHING)]),
        };
        let mut last = HashMap::new();
        for token in added.iter().filter(|token| !token.content.is_empty()) {
            if token.single_word {
                return Err(Error::Argument(format!(
                    "the added token {:?} is only found where no word goes on beside it, which \
                     depends on text on both sides: only semantics 'all' can be asked for",
                    token.content
                )));
            }
            let end = found.insert(CONTENTS[usize::from(token.normalized)], token.content.bytes());
            // Of equal contents the last counts.
            last.insert(end, token);
        }
        if last.is_empty() {
            return Ok(None);
        }
        for (end, token) in last {
            let spelled = |&place: &Place| sorted.bytes(place) == token.content.as_bytes();
            if let Some(place) = sorted.place(token.id).filter(spelled) {
                let &AddedToken { lstrip, rstrip, .. } = token;
                let blank = token.content.chars().all(char::is_whitespace);
                let round = usize::from(token.normalized);
                found.tokens.insert(place, Found { round, end, lstrip, rstrip, blank });
            }
        }
        for space in ('\0'..=char::MAX).filter(|c| c.is_whitespace()) {
            for root in SPACES {
                found.insert(root, space.encode_utf8(&mut [0; 4]).bytes());
            }
        }
        for round in 0..SPACES.len() {
            found.next[SPACES_BEHIND_ONE[round] as usize].push((b' ', SPACES[round]));
        }
        for place in sorted.all() {
            if found.walk(&[], sorted.bytes(place), None).is_some() {
                found.plain.insert(place);
            }
        }
        Ok(Some(found))
    }

    /// Adds what must not be found and says where it ends.
    fn insert(&mut self, root: Step, bytes: impl Iterator<Item = u8>) -> Step {
        let mut at = root;
        for byte in bytes {
            at = match self.step(at, byte) {
                Some(next) => next,
                None => {
                    let new = self.next.len() as Step;
                    self.next[at as usize].push((byte, new));
                    self.next.push(Vec::new());
                    self.whole.push(false);
                    self.root.push(root);
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

    /// The attempts after more bytes: those of a token that was found, or of other text. `None` when
    /// one of them finds what it looks for.
    fn walk(&self, attempts: &[Step], bytes: &[u8], found: Option<Found>) -> Option<Vec<Step>> {
        let lasts = |at: &Step| found.is_none_or(|found| self.lasts_until(*at, found));
        let mut attempts: Vec<Step> = attempts.iter().copied().filter(lasts).collect();
        let before = found.map_or(CONTENTS.len(), |found| found.round);
        for &byte in bytes {
            let going = attempts.into_iter().chain(CONTENTS[..before].iter().copied());
            attempts = going.filter_map(|at| self.step(at, byte)).collect();
            if attempts.iter().any(|&at| self.whole[at as usize]) {
                return None;
            }
        }
        attempts.sort_unstable();
        attempts.dedup();
        Some(attempts)
    }

    /// Whether an attempt goes on into a token that is found.
    fn lasts_until(&self, attempt: Step, found: Found) -> bool {
        match CONTENTS.iter().position(|&root| root == self.root[attempt as usize]) {
            Some(round) => round <= found.round && !found.lstrip,
            // White space behind a token of the first round is taken along before the second.
            None => self.is_space(attempt, 0) && found.round == 1,
        }
    }

    /// Whether an attempt is one at white space behind a token of a round.
    fn is_space(&self, attempt: Step, round: Round) -> bool {
        [SPACES[round], SPACES_BEHIND_ONE[round]].contains(&self.root[attempt as usize])
    }

    /// How text begins behind a token, if that is found before anything else sees the text.
    pub fn begin_behind(&self, token: Place) -> Option<Begin> {
        self.tokens.get(&token).map(|&found| self.begin(found))
    }

    fn begin(&self, found: Found) -> Begin {
        match self.openings[found.round] {
            // A space that was there has been taken along.
            Opening::Space if found.rstrip => Begin::of(Opening::Another),
            opening => Begin::of(opening),
        }
    }

    /// What is owed after a token that may follow.
    pub fn after(&mut self, sorted: &Sorted, owed: Owed, token: Place) -> Owed {
        let found = self.tokens.get(&token).copied();
        let (before, bytes) = (&self.states[owed as usize], sorted.bytes(token));
        let mut after = State {
            attempts: self.walk(&before.attempts, bytes, found).unwrap_or_default(),
            ..State::default()
        };
        if self.looks_back {
            after.space = bytes.iter().fold(before.space, |space, &byte| self.space(space, byte));
            after.token = found.map(|found| found.round);
        }
        if let Some(found) = found.filter(|found| found.rstrip) {
            let begins = self.begin(found) != Begin::Anyhow;
            let spaces = if begins { SPACES_BEHIND_ONE } else { SPACES };
            after.attempts = vec![spaces[found.round]];
        } else if let Some(end) = found.map(|found| found.end)
            && !self.next[end as usize].is_empty()
        {
            // A longer content that begins where this one does would have been found instead.
            after.attempts.push(end);
            after.attempts.sort_unstable();
            after.attempts.dedup();
        }
        self.id(after)
    }

    fn id(&mut self, state: State) -> Owed {
        if let Some(&known) = self.ids.get(&state) {
            return known;
        }
        let id = self.states.len() as Owed;
        self.states.push(state.clone());
        self.ids.insert(state, id);
        id
    }

    /// The white space that a text ends with after another byte.
    fn space(&self, before: Space, byte: u8) -> Space {
        let begun = match before {
            Space::Begun(at) => self.step(at, byte),
            _ => None,
        };
        match begun.or_else(|| self.step(SPACES[0], byte)) {
            Some(at) if self.whole[at as usize] => Space::Whole,
            Some(at) => Space::Begun(at),
            None => Space::None,
        }
    }

    /// Takes out of the tokens of the model those with which a content would be found, and adds the
    /// added tokens if the text before them may end.
    pub fn restrict(
        &self,
        tokens: &mut Bits,
        sorted: &Sorted,
        (owed, begin): (Owed, Begin),
        ends: bool,
    ) {
        tokens.keep(&self.plain);
        let state = &self.states[owed as usize];
        self.each_finding(&state.attempts, sorted, |run| run.for_each(|p| tokens.remove(p)));
        for (&place, &found) in self.tokens.iter().filter(|_| ends) {
            let finds_other = || self.walk(&state.attempts, sorted.bytes(place), Some(found));
            if self.may_follow(state, begin, found) && finds_other().is_some() {
                tokens.insert(place);
            }
        }
    }

    /// Whether the sides of an added token allow that it follows.
    fn may_follow(&self, state: &State, begin: Begin, found: Found) -> bool {
        // Behind a token of the same round, or an earlier one, nothing is left to be taken along.
        let fenced = state.token.is_some_and(|round| round <= found.round);
        let takes_text = found.lstrip && state.space == Space::Whole && !fenced;
        // White space inside of what the token before took along is nothing more.
        let taken = |&at: &Step| self.is_space(at, found.round);
        let is_taken = found.lstrip && found.blank && state.attempts.iter().any(taken);
        let is_text = begin == Begin::WithSpaceAndMore && found.round == 1;
        !(takes_text || is_taken || is_text)
    }

    /// Calls `visit` with the tokens whose bytes make one of the attempts find what it looks for.
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
