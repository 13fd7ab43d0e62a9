//! Long pieces, window by window: linear time, scratch for one window and the tokens, exact.
//!
//! Why it is exact. Greedy merging looks only at adjacent symbols, so as long as no merge crosses a
//! border, what happens on one side of it is what would happen on that side alone. Two facts follow.
//! If two neighbouring tokens are next to each other in the encoding of *some* text, then merging
//! their bytes alone gives these two tokens again. And a sequence in which this holds for every
//! pair of neighbours is the encoding of its text: the first merge to cross a border would also
//! have crossed it in the two neighbours alone. So encodings of two overlapping windows may be
//! joined at any token that both contain: every pair of neighbours of the result stands in one of
//! the two. When the windows disagree on that token, the earlier was too short: the windows grow, and
//! the tokens as far back as the new length are made again. How far a byte acts to its left depends
//! on the merges alone and has no bound, so no token leaves before the last window agrees.

use std::ops::Range;

use super::bytes::BytePairs;
use super::merge::Tree;
use super::units::{Unit, Units};
use super::words::{Room, Words};
use crate::error::{Poll, Result};
use crate::merges::Merges;
use crate::token::TokenId;
use crate::vocab::Vocab;

/// Bytes of a first window; its scratch fits the first-level cache.
pub(crate) const WINDOW: usize = 512;

/// The same where words come first, which are a fifth as many symbols.
const WORDS_WINDOW: usize = 2048;

/// Bytes of a window that is not made longer for speed.
const MOST: usize = 1 << 13;

/// Windows between two looks at whether to go on.
const ROUNDS: usize = 64;

/// What pieces are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbols<'a> {
    pub units: &'a Units,
    /// The same, where every byte is a symbol, with what merges first.
    pub pairs: Option<&'a BytePairs>,
    /// What words become before any of them join, with the tokens that this makes.
    pub words: Option<(&'a Words, &'a Vocab)>,
}

/// Scratch for long pieces.
#[derive(Debug, Default)]
pub(crate) struct Long {
    tree: Tree,
    words: Room,
    units: Vec<Unit>,
    /// What the windows so far have settled; offsets count from the joint of their window.
    tokens: Vec<Unit>,
    /// Where these windows begin.
    joints: Vec<Joint>,
}

/// A token that ends what one window settles and must come first in the next.
#[derive(Debug, Clone, Copy, Default)]
struct Joint {
    at: usize,
    /// The token and where the one after it begins.
    token: Option<(TokenId, u32)>,
    /// Number of tokens up to and with this one.
    known: usize,
}

impl Long {
    /// Scratch that remembers words in about `bytes`.
    pub(crate) fn new(bytes: usize) -> Long {
        Long { words: Room::new(bytes), ..Long::default() }
    }

    /// Calls `emit` with each token of `piece`, in order, and the offset where it begins.
    ///
    /// # Errors
    /// Those of `poll`.
    pub(crate) fn encode(
        &mut self,
        merges: &Merges,
        symbols: Symbols<'_>,
        piece: &[u8],
        poll: Poll<'_>,
        emit: impl FnMut(TokenId, usize),
    ) -> Result<()> {
        let units = symbols.units;
        let mut joint = Joint::default();
        let mut window = if symbols.words.is_some() { WORDS_WINDOW } else { WINDOW };
        self.tokens.clear();
        self.joints.clear();
        for round in 1usize.. {
            if round.is_multiple_of(ROUNDS) {
                poll()?;
            }
            let end = units.boundary(piece, piece.len().min(joint.at.saturating_add(window)));
            self.units.clear();
            let text = &piece[joint.at..end];
            match (symbols.words, symbols.pairs) {
                (Some((words, vocab)), _) => {
                    self.words.append(words, merges, units, vocab, text, &mut self.units);
                }
                (None, Some(pairs)) => pairs.append(merges, text, &mut self.units),
                (None, None) => units.append(text, end == piece.len(), &mut self.units),
            }
            self.tree.merge(merges, &mut self.units);
            if joint.token.is_some() && joint.token != self.token(0) {
                window = window.saturating_mul(2);
                joint = self.step_back(joint.at.saturating_sub(window));
                continue;
            }
            let fresh = usize::from(joint.token.is_some());
            if end == piece.len() {
                self.settle(joint, fresh..self.units.len());
                break;
            }
            let Some(last) = self.last_settled(end - joint.at) else {
                window = window.saturating_mul(2);
                continue;
            };
            self.settle(joint, fresh..last + 1);
            let advance = self.units[last].start as usize;
            let at = joint.at + advance;
            joint = Joint { at, token: self.token(last), known: self.tokens.len() };
            // Where tokens are so long that much is merged twice, windows become longer.
            if 5 * advance < 3 * window && window < MOST {
                window *= 2;
            }
        }
        self.emit_all(poll, emit)
    }

    /// The token at `index` of the window and its distance to the next, unless it is the last.
    fn token(&self, index: usize) -> Option<(TokenId, u32)> {
        let (this, next) = (self.units.get(index)?, self.units.get(index + 1)?);
        Some((this.id, next.start - this.start))
    }

    fn settle(&mut self, joint: Joint, tokens: Range<usize>) {
        self.tokens.extend_from_slice(&self.units[tokens]);
        self.joints.push(joint);
    }

    /// Takes back the windows that reach past `at`, but for the one that holds it, and returns the
    /// joint where that one begins.
    fn step_back(&mut self, at: usize) -> Joint {
        let kept = self.joints.partition_point(|joint| joint.at <= at).saturating_sub(1);
        let joint = self.joints[kept];
        self.joints.truncate(kept);
        self.tokens.truncate(joint.known);
        joint
    }

    fn emit_all(&self, poll: Poll<'_>, mut emit: impl FnMut(TokenId, usize)) -> Result<()> {
        for (index, joint) in self.joints.iter().enumerate() {
            if index % ROUNDS == ROUNDS - 1 {
                poll()?;
            }
            let end = self.joints.get(index + 1).map_or(self.tokens.len(), |next| next.known);
            for unit in &self.tokens[joint.known..end] {
                emit(unit.id, joint.at + unit.start as usize);
            }
        }
        Ok(())
    }

    /// The last token that ends well before the end of the window, other than the first.
    fn last_settled(&self, len: usize) -> Option<usize> {
        let margin = len - len / 8;
        let last = self.units.partition_point(|u| (u.start as usize) < margin).checked_sub(2)?;
        (self.units[last].start > 0).then_some(last)
    }
}
