//! The tokens before a place, as a chain that contexts share.
//!
//! Every 64th link holds the last 64 tokens once more, so that a long context is written block by
//! block, not link by link: with each byte of a text a context is written.

use std::sync::Arc;

use crate::token::TokenId;

/// Tokens in a block.
const BLOCK: usize = 64;

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
    block: Option<Block>,
}

/// The last tokens of a context, and those before them.
#[derive(Debug)]
struct Block {
    ids: Box<[TokenId]>,
    before: Context,
}

impl Context {
    /// The sequence with one more token.
    pub fn with(&self, id: TokenId) -> Context {
        let len = self.len + 1;
        let block = len.is_multiple_of(BLOCK).then(|| {
            let (mut ids, before) = self.links(BLOCK - 1);
            ids.reverse();
            ids.push(id);
            Block { ids: ids.into(), before: before.clone() }
        });
        Context { last: Some(Arc::new(Link { before: self.clone(), id, block })), len }
    }

    /// The last tokens, no more than `count`.
    pub fn last(&self, count: usize) -> Vec<TokenId> {
        let (mut ids, _) = self.links(count);
        ids.reverse();
        ids
    }

    /// No more than `count` of the last tokens, the last first, and the sequence before them.
    fn links(&self, count: usize) -> (Vec<TokenId>, &Context) {
        let (mut ids, mut at) = (Vec::new(), self);
        while let Some(link) = at.last.as_ref().filter(|_| ids.len() < count) {
            ids.push(link.id);
            at = &link.before;
        }
        (ids, at)
    }

    /// Appends the last tokens, no more than `count`, as the door has them.
    pub fn write(&self, count: usize, out: &mut Vec<i32>) {
        if count < self.len {
            return out.extend(self.last(count).into_iter().map(u32::cast_signed));
        }
        let start = out.len();
        out.resize(start + self.len, 0);
        let (single, mut at) = self.links(self.len % BLOCK);
        let (blocks, rest) = out[start..].split_at_mut(at.len);
        let write = |out: &mut i32, id: &TokenId| *out = id.cast_signed();
        rest.iter_mut().rev().zip(&single).for_each(|(out, id)| write(out, id));
        for out in blocks.rchunks_exact_mut(BLOCK) {
            let link = at.last.as_ref().expect("a context has as many links as tokens");
            let block = link.block.as_ref().expect("every 64th link has a block");
            out.iter_mut().zip(&block.ids).for_each(|(out, id)| write(out, id));
            at = &block.before;
        }
    }
}

impl Drop for Context {
    /// One link after the other: a chain is as long as the text. What a block stands behind is in
    /// the chain too, so that it never ends with the block.
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
    fn contexts_are_written_as_they_were_made() {
        let mut context = Context::default();
        for len in 0..300 {
            let mut out = vec![-1];
            context.write(usize::MAX, &mut out);
            assert_eq!(out, (-1..len).collect::<Vec<i32>>());
            context.write(70, &mut out);
            assert_eq!(
                out[1 + len as usize..],
                out[1 + 0.max(len - 70) as usize..1 + len as usize]
            );
            let last = context.last(70);
            assert_eq!(last, (0.max(len - 70)..len).map(i32::cast_unsigned).collect::<Vec<_>>());
            // A branch does not change what it left.
            let mut branch = context.with(7).with(8);
            for id in 0..80 {
                branch = branch.with(id);
            }
            context = context.with(len.cast_unsigned());
        }
    }

    #[test]
    fn long_chains_are_written_and_dropped() {
        let mut context = Context::default();
        for id in 0..1_000_000 {
            context = context.with(id);
        }
        let other = context.with(7);
        drop(context);
        let mut out = vec![-1];
        other.write(1_000_001, &mut out);
        assert_eq!((out.len(), out[1], out[2], out[1_000_001]), (1_000_002, 0, 1, 7));
        assert_eq!((other.last(2), other.last(0)), (vec![999_999, 7], vec![]));
    }
}
