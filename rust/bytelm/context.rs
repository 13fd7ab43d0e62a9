//! The tokens before a place, as a chain that contexts share.

use std::sync::Arc;

use crate::token::TokenId;

/// A sequence of tokens; empty, or a shorter one and a token.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    last: Option<Arc<Link>>,
    len: usize,
}

#[derive(Debug)]
struct Link {
    before: Context,
    id: TokenId,
}

impl Context {
    /// The sequence with one more token.
    pub fn with(&self, id: TokenId) -> Context {
        Context { last: Some(Arc::new(Link { before: self.clone(), id })), len: self.len + 1 }
    }

    /// The last tokens, no more than `count`.
    pub fn last(&self, count: usize) -> Vec<TokenId> {
        let mut out = Vec::new();
        let mut at = self;
        while let Some(link) = at.last.as_ref().filter(|_| out.len() < count) {
            out.push(link.id);
            at = &link.before;
        }
        out.reverse();
        out
    }

    /// Appends the tokens, as the door has them.
    pub fn write(&self, out: &mut Vec<i32>) {
        let start = out.len();
        let mut at = self;
        while let Some(link) = &at.last {
            out.push(link.id.cast_signed());
            at = &link.before;
        }
        out[start..].reverse();
    }
}

impl Drop for Context {
    /// One link after the other: a chain is as long as the text.
    fn drop(&mut self) {
        let mut last = self.last.take();
        while let Some(mut link) = last.and_then(Arc::into_inner) {
            last = link.before.last.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_chains_are_written_and_dropped() {
        let mut context = Context::default();
        for id in 0..1_000_000 {
            context = context.with(id);
        }
        let other = context.with(7);
        drop(context);
        let mut out = vec![-1];
        other.write(&mut out);
        assert_eq!((out.len(), out[1], out[2], out[1_000_001]), (1_000_002, 0, 1, 7));
        assert_eq!((other.last(2), other.last(0)), (vec![999_999, 7], vec![]));
    }
}
