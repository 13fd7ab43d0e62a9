//! The tokens that a training knows, by id and by bytes.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::token::{MAX_IDS, TokenId};

/// Longest token, as in a definition.
const MAX_TOKEN_BYTES: usize = 1 << 16;

/// Tokens as one arena and offsets, and the way back.
#[derive(Debug, Default)]
pub struct Symbols {
    arena: Vec<u8>,
    ends: Vec<usize>,
    ids: HashMap<Vec<u8>, TokenId>,
}

impl Symbols {
    /// The 256 bytes.
    pub fn bytes() -> Symbols {
        let mut symbols = Symbols::default();
        (0..=u8::MAX).for_each(|byte| symbols.push(&[byte], true));
        symbols
    }

    /// Adds the next token; one that is not `found` has an id and no way back to it.
    pub fn push(&mut self, bytes: &[u8], found: bool) {
        let id = self.size() as TokenId;
        self.arena.extend_from_slice(bytes);
        self.ends.push(self.arena.len());
        if found {
            self.ids.entry(bytes.to_vec()).or_insert(id);
        }
    }

    /// How many tokens there are.
    pub fn size(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, id: TokenId) -> &[u8] {
        let at = id as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.arena[start..self.ends[at]]
    }

    /// The token that two tokens make: one that is there, or a new one, and which it is. None where
    /// a limit is passed.
    pub fn join(&mut self, left: TokenId, right: TokenId) -> Option<Product> {
        let bytes = self.joined(left, right);
        if let Some(&id) = self.ids.get(&bytes) {
            return Some(Product::Known(id));
        }
        if bytes.len() > MAX_TOKEN_BYTES || self.size() >= MAX_IDS {
            return None;
        }
        let id = self.size() as TokenId;
        self.push(&bytes, true);
        Some(Product::New(id))
    }

    /// The bytes of two tokens, one after the other.
    pub fn joined(&self, left: TokenId, right: TokenId) -> Vec<u8> {
        [self.get(left), self.get(right)].concat()
    }

    /// The token of these bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<TokenId> {
        self.ids.get(bytes).copied()
    }

    /// Order of two tokens by their bytes.
    pub fn compare(&self, a: TokenId, b: TokenId) -> Ordering {
        self.get(a).cmp(self.get(b))
    }

    /// Order of two tokens by GPT-2's printable stand-ins of their bytes.
    pub fn compare_stand_ins(&self, a: TokenId, b: TokenId) -> Ordering {
        let stand_ins = |id| self.get(id).iter().map(|&byte| stand_in(byte));
        stand_ins(a).cmp(stand_ins(b))
    }
}

/// A token made by joining two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    Known(TokenId),
    New(TokenId),
}

impl Product {
    pub fn id(self) -> TokenId {
        match self {
            Product::Known(id) | Product::New(id) => id,
        }
    }
}

/// The code point that stands for a byte in GPT-2's files: printable Latin-1 is itself, the other
/// bytes follow, in order, from 256.
fn stand_in(byte: u8) -> u16 {
    let code = u16::from(byte);
    match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0..=0x20 => 256 + code,
        0x7f..=0xa0 => 256 + 33 + code - 0x7f,
        0xad => 256 + 33 + 34,
    }
}
