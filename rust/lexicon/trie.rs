//! Chunks by their bytes: the longest that a text begins with.

use super::Match;
use crate::map::Map;
use crate::token::TokenId;

/// No chunk ends here.
const NONE: TokenId = TokenId::MAX;

/// A tree of bytes; a node is a number, the root is 0.
#[derive(Debug)]
pub(super) struct Trie {
    first: Box<[u32; 256]>,
    children: Map<(u32, u8), u32>,
    ends: Vec<TokenId>,
}

impl Default for Trie {
    fn default() -> Trie {
        Trie { first: Box::new([0; 256]), children: Map::default(), ends: vec![NONE] }
    }
}

impl Trie {
    pub(super) fn insert(&mut self, chunk: &[u8], id: TokenId) {
        let mut node = 0;
        for &byte in chunk {
            node = match self.child(node, byte) {
                Some(next) => next,
                None => self.grow(node, byte),
            };
        }
        self.ends[node as usize] = id;
    }

    /// Takes a chunk out; its nodes stay, for it may come back.
    pub(super) fn remove(&mut self, chunk: &[u8]) {
        if let Some(node) = self.find(chunk) {
            self.ends[node as usize] = NONE;
        }
    }

    pub(super) fn get(&self, chunk: &[u8]) -> Option<TokenId> {
        let id = self.ends[self.find(chunk)? as usize];
        (id != NONE).then_some(id)
    }

    /// The longest and the second longest chunk that `text` begins with.
    pub(super) fn longest_two(&self, text: &[u8]) -> [Option<Match>; 2] {
        let (mut found, mut node) = ([None, None], 0);
        for (at, &byte) in text.iter().enumerate() {
            let Some(next) = self.child(node, byte) else { break };
            node = next;
            let id = self.ends[node as usize];
            if id != NONE {
                found = [Some((id, at + 1)), found[0]];
            }
        }
        found
    }

    fn find(&self, chunk: &[u8]) -> Option<u32> {
        chunk.iter().try_fold(0, |node, &byte| self.child(node, byte))
    }

    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        match node {
            0 => Some(self.first[byte as usize]).filter(|&child| child != 0),
            _ => self.children.get(&(node, byte)).copied(),
        }
    }

    fn grow(&mut self, node: u32, byte: u8) -> u32 {
        let new = self.ends.len() as u32;
        self.ends.push(NONE);
        match node {
            0 => self.first[byte as usize] = new,
            _ => {
                self.children.insert((node, byte), new);
            }
        }
        new
    }
}
