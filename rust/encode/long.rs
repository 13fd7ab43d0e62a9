//! Long pieces, window by window: linear time and memory for one window, exact.
//!
//! Why it is exact. Greedy merging looks only at adjacent symbols, so as long as no merge crosses a
//! border, what happens on one side of it is what would happen on that side alone. Two facts follow.
//! If two neighbouring tokens are next to each other in the encoding of *some* text, then merging
//! their bytes alone gives these two tokens again. And a sequence in which this holds for every
//! pair of neighbours is the encoding of its text: the first merge to cross a border would also
//! have crossed it in the two neighbours alone. So encodings of two overlapping windows may be
//! joined at any token that both contain: every pair of neighbours of the result stands in one of
//! the two. When the windows disagree on that token, the first was too short: windows are doubled.

use super::merge::Tree;
use super::units::{Unit, Units};
use crate::error::{Poll, Result};
use crate::merges::Merges;
use crate::token::TokenId;

/// Bytes of a first window; its scratch fits the first-level cache.
pub(crate) const WINDOW: usize = 512;

/// Windows between two looks at whether to go on.
const ROUNDS: usize = 64;

/// Scratch for long pieces.
#[derive(Debug, Default)]
pub(crate) struct Long {
    tree: Tree,
    units: Vec<Unit>,
    /// Tokens of the window before, not yet confirmed by the next.
    pending: Vec<Unit>,
}

/// A token that ends what one window settles and must come first in the next.
#[derive(Clone, Copy, Default)]
struct Joint {
    at: usize,
    id: Option<TokenId>,
}

impl Long {
    /// Calls `emit` with each token of `piece`, in order, and the offset where it begins.
    ///
    /// # Errors
    /// Those of `poll`.
    pub(crate) fn encode(
        &mut self,
        merges: &Merges,
        units: &Units,
        piece: &[u8],
        poll: Poll<'_>,
        mut emit: impl FnMut(TokenId, usize),
    ) -> Result<()> {
        let (mut before, mut joint) = (Joint::default(), Joint::default());
        let mut window = WINDOW;
        self.pending.clear();
        for round in 1usize.. {
            if round.is_multiple_of(ROUNDS) {
                poll()?;
            }
            let end = units.boundary(piece, piece.len().min(joint.at.saturating_add(window)));
            self.units.clear();
            units.append(&piece[joint.at..end], end == piece.len(), &mut self.units);
            self.tree.merge(merges, &mut self.units);
            if joint.id.is_some() && joint.id != self.units.first().map(|u| u.id) {
                self.pending.clear();
                joint = before;
                window = window.saturating_mul(2);
                continue;
            }
            let settled = match end == piece.len() {
                true => self.units.len(),
                false => match self.last_settled(end - joint.at) {
                    Some(last) => last + 1,
                    None => {
                        window = window.saturating_mul(2);
                        continue;
                    }
                },
            };
            self.pending.drain(..).for_each(|u| emit(u.id, before.at + u.start as usize));
            let fresh = usize::from(joint.id.is_some()).min(settled);
            self.pending.extend_from_slice(&self.units[fresh..settled]);
            before = joint;
            if end == piece.len() {
                self.pending.drain(..).for_each(|u| emit(u.id, before.at + u.start as usize));
                break;
            }
            let last = self.units[settled - 1];
            joint = Joint { at: joint.at + last.start as usize, id: Some(last.id) };
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
