//! A text that is given: what follows it is asked for, and not how likely it is itself.
//!
//! The sequences that cover its end part late: nearly always all but their last tokens are the same,
//! since no sequence goes on from most beginnings that could have been. What they have in common is
//! a factor of every probability behind the text, so none of its rows is needed: of a text of any
//! length those of the last few tokens are.

use std::collections::BTreeSet;

use super::{Goal, Tree};
use crate::Result;

impl Tree {
    /// Drops the tokens that all sequences have in common. Probabilities are relative to theirs from
    /// now on, whatever it is, and whether it is 0 will not be known.
    pub fn assume(&mut self) {
        self.skip();
        let Some(last) = self.last_common() else { return };
        let node = &mut self.nodes[last];
        (node.parent, node.weight) = (None, Some(0.0));
        self.logprob = (0.0, usize::MAX);
        self.forget();
    }

    /// Takes the text so far for given: from now on its probability is 1.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] while rows are pending.
    pub fn take(&mut self) -> Result<()> {
        self.refuse_pending(Goal::End)?;
        self.base = self.conclude();
        self.given = true;
        Ok(())
    }

    /// The last node that is on the way to all that cover the end of the text, where its weight is
    /// not known.
    fn last_common(&self) -> Option<usize> {
        // A node comes behind the one that it goes on from.
        let mut ways: BTreeSet<usize> = self.live.iter().copied().collect();
        while ways.len() > 1 {
            let last = ways.pop_last()?;
            ways.insert(self.nodes[last].parent?);
        }
        ways.pop_last().filter(|&at| self.nodes[at].parent.is_some())
    }
}
