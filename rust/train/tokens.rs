//! The tokens of a training: their bytes, and which bytes are a token already.

use std::collections::HashMap;

use super::MAX_TOKEN_BYTES;
use crate::error::{Error, Result};
use crate::token::{MAX_IDS, TokenId};

/// Tokens by id; the 256 bytes come first, in the order that the training was given.
#[derive(Debug)]
pub struct Tokens {
    arena: Vec<u8>,
    /// Token `i` ends at `ends[i]` and begins where the one before ends.
    ends: Vec<usize>,
    lengths: Vec<u32>,
    by_bytes: HashMap<Box<[u8]>, TokenId>,
}

impl Tokens {
    pub(super) fn new(order: &[u8; 256]) -> Result<Tokens> {
        let mut tokens = Tokens {
            arena: Vec::new(),
            ends: Vec::new(),
            lengths: Vec::new(),
            by_bytes: HashMap::new(),
        };
        for byte in order {
            tokens.push(&[*byte]);
        }
        if tokens.by_bytes.len() < 256 {
            return Err(Error::Argument("the order of bytes must have every byte once".into()));
        }
        Ok(tokens)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never: the bytes are always there.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of a token; none for an id that no token has.
    pub fn bytes(&self, id: TokenId) -> &[u8] {
        let at = id as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).unwrap_or(&0);
        self.ends.get(at).map_or(&[], |end| &self.arena[*start..*end])
    }

    /// The token of these bytes.
    pub fn id(&self, bytes: &[u8]) -> Option<TokenId> {
        self.by_bytes.get(bytes).copied()
    }

    /// The length in bytes of every token.
    pub(super) fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The token that two tokens make, new unless their joined bytes are one already.
    pub(super) fn join(&mut self, left: TokenId, right: TokenId) -> Result<TokenId> {
        let size = self.len();
        if let Some(id) = [left, right].into_iter().find(|id| *id as usize >= size) {
            return Err(Error::UnknownToken { id: i64::from(id), size });
        }
        let joined = [self.bytes(left), self.bytes(right)].concat();
        if let Some(id) = self.id(&joined) {
            return Ok(id);
        }
        if joined.len() > MAX_TOKEN_BYTES || size >= MAX_IDS {
            return Err(Error::Argument(format!(
                "token {size} of {} bytes: at most {MAX_IDS} tokens of {MAX_TOKEN_BYTES} bytes \
                 are allowed",
                joined.len()
            )));
        }
        Ok(self.push(&joined))
    }

    fn push(&mut self, bytes: &[u8]) -> TokenId {
        let id = self.ends.len() as TokenId;
        self.arena.extend_from_slice(bytes);
        self.ends.push(self.arena.len());
        self.lengths.push(bytes.len() as u32);
        self.by_bytes.insert(bytes.into(), id);
        id
    }
}
