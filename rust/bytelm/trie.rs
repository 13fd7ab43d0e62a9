//! The tokens as a trie: for tokens that begin alike, which bytes come next and which tokens have
//! them. Nodes are numbered level by level, so that the children of one are neighbours and to read
//! them is to read memory in order.

use std::ops::Range;

use super::sorted::Place;
use crate::simd::prefetch;

/// A node: the tokens that begin with its bytes.
pub(super) type Branch = u32;

/// The node of no bytes.
pub(super) const ROOT: Branch = 0;

/// No node: no token begins so.
pub(super) const NOTHING: Branch = u32::MAX;

/// The bytes of a vocabulary's tokens, as a trie.
#[derive(Debug)]
pub(super) struct Trie {
    /// The last byte of each node; that of the root means nothing.
    bytes: Vec<u8>,
    /// The nodes, and one behind the last, with which the last one's children end.
    nodes: Vec<Node>,
}

/// Nodes in a cache line, and lines that are loaded before they are needed: memory then goes on by
/// itself.
const LINE: usize = 64 / size_of::<Node>();
const LINES: usize = 4;

/// What is asked of a node is in one place: it is seldom in the cache.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Where its tokens begin, and where they end.
    start: Place,
    end: Place,
    /// Where those end that have its bytes and no more.
    exact: Place,
    /// Where its children begin; they end where those of the next one begin.
    children: Branch,
}

impl Trie {
    /// The trie of tokens in the order of their bytes; `shared` says of each how many bytes it
    /// shares with the one before.
    pub fn new<'a>(shared: &[usize], bytes: impl Fn(Place) -> &'a [u8]) -> Trie {
        let node = |start, end| Node { start, end, exact: start, children: 0 };
        let mut trie = Trie { bytes: vec![0], nodes: vec![node(0, shared.len() as Place)] };
        let (mut level, mut depth) = (0..1, 0);
        while !level.is_empty() {
            for at in level.clone() {
                let children = trie.nodes.len() as Branch;
                let found = &mut trie.nodes[at];
                found.children = children;
                while found.exact < found.end && bytes(found.exact).len() == depth {
                    found.exact += 1;
                }
                let Node { end, exact: mut at, .. } = *found;
                while at < end {
                    let start = at;
                    at += 1;
                    while at < end && shared[at as usize] > depth {
                        at += 1;
                    }
                    trie.bytes.push(bytes(start)[depth]);
                    trie.nodes.push(node(start, at));
                }
            }
            (level, depth) = (level.end..trie.nodes.len(), depth + 1);
        }
        let children = trie.nodes.len() as Branch;
        trie.nodes.push(Node { children, ..node(0, 0) });
        trie
    }

    /// The tokens of a node.
    pub fn run(&self, node: Branch) -> Range<Place> {
        self.nodes.get(node as usize).map_or(0..0, |node| node.start..node.end)
    }

    /// The node one byte on; [`NOTHING`] when no token goes on so.
    pub fn child(&self, node: Branch, byte: u8) -> Branch {
        let children = self.children(node);
        match self.bytes(children.clone()).binary_search(&byte) {
            Ok(at) => children.start + at as Branch,
            Err(_) => NOTHING,
        }
    }

    /// The nodes one byte on, by their bytes.
    pub fn children(&self, node: Branch) -> Range<Branch> {
        match node {
            NOTHING => 0..0,
            _ => self.nodes[node as usize].children..self.nodes[node as usize + 1].children,
        }
    }

    /// Starts loading what will be asked of the children of a node.
    pub fn fetch(&self, node: Branch) {
        let children = self.children(node);
        prefetch(&self.bytes, children.start as usize);
        for at in children.step_by(LINE).take(LINES) {
            prefetch(&self.nodes, at as usize);
        }
    }

    /// The tokens that have the bytes of a node and no more.
    pub fn exact(&self, node: Branch) -> Range<Place> {
        self.nodes.get(node as usize).map_or(0..0, |node| node.start..node.exact)
    }

    /// The last byte of a node.
    pub fn byte(&self, node: Branch) -> u8 {
        self.bytes[node as usize]
    }

    /// The last bytes of nodes.
    pub fn bytes(&self, nodes: Range<Branch>) -> &[u8] {
        &self.bytes[nodes.start as usize..nodes.end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_what_tokens_begin_with() {
        let tokens: [&[u8]; 9] =
            [b"a", b"ab", b"ab", b"abc", b"abd", b"b", b"bcc", b"\xFF", b"\xFF\0"];
        let shared = |at: usize| {
            let before = if at == 0 { &[][..] } else { tokens[at - 1] };
            tokens[at].iter().zip(before).take_while(|(a, b)| a == b).count()
        };
        let shared: Vec<usize> = (0..tokens.len()).map(shared).collect();
        let trie = Trie::new(&shared, |place| tokens[place as usize]);
        let mut strings: Vec<Vec<u8>> = vec![Vec::new()];
        let mut at = 0;
        while at < strings.len() && strings[at].len() < 4 {
            let longer = [b'a', b'b', b'c', b'd', 0, 0xFF];
            strings.extend(longer.map(|byte| [&strings[at][..], &[byte]].concat()));
            at += 1;
        }
        for string in strings {
            let node = string.iter().fold(ROOT, |node, &byte| trie.child(node, byte));
            let is = |test: &dyn Fn(&[u8]) -> bool| -> Vec<Place> {
                (0..9).filter(|&place| test(tokens[place as usize])).collect()
            };
            let run: Vec<Place> = trie.run(node).collect();
            assert_eq!(run, is(&|token| token.starts_with(&string)));
            let exact: Vec<Place> = trie.exact(node).collect();
            assert_eq!(exact, is(&|token| token == string));
        }
    }
}
