//! The pattern as a tree, and the sets of characters it speaks of.

use std::collections::HashMap;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// Index of a set of characters in [`Sets`].
pub(super) type SetId = usize;

/// One pattern; every `at` is a byte offset of the pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Empty,
    /// One character of a set.
    Class(SetId),
    Look(Look),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
    /// The inner pattern matches as if nothing followed it.
    Atomic {
        node: Box<Node>,
        at: usize,
    },
    /// The inner pattern, of more than one character, matches here.
    Ahead {
        node: Box<Node>,
        at: usize,
    },
}

/// A condition on the next or the previous character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub side: Side,
    pub set: SetId,
    /// Whether the edge of the text (no character there) satisfies it.
    pub edge: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Ahead,
    Behind,
}

impl Node {
    /// Whether the pattern can match without consuming anything.
    pub fn is_nullable(&self) -> bool {
        match self {
            Node::Empty | Node::Look(_) | Node::Ahead { .. } => true,
            Node::Class(_) => false,
            Node::Concat(nodes) => nodes.iter().all(Node::is_nullable),
            Node::Alternate(nodes) => nodes.iter().any(Node::is_nullable),
            Node::Repeat { node, min, .. } => *min == 0 || node.is_nullable(),
            Node::Atomic { node, .. } => node.is_nullable(),
        }
    }

    /// Whether the empty match, where there is one, is the last that is tried.
    pub fn prefers_width(&self) -> bool {
        if !self.is_nullable() {
            return true;
        }
        match self {
            Node::Empty | Node::Look(_) | Node::Ahead { .. } | Node::Class(_) => true,
            Node::Concat(nodes) => nodes.iter().all(Node::prefers_width),
            Node::Alternate(nodes) => {
                let mut rest = nodes.iter().skip_while(|node| !node.is_nullable());
                rest.next().is_none_or(Node::prefers_width)
                    && rest.all(|node| node.fixed_length() == Some(0))
            }
            Node::Repeat { node, min, max, greedy } => {
                *max == Some(0) || ((*greedy || *max == Some(*min)) && node.prefers_width())
            }
            Node::Atomic { node, .. } => node.prefers_width(),
        }
    }

    /// Whether the pattern can match without consuming anything, whatever stands around.
    pub fn may_be_nothing(&self) -> bool {
        match self {
            Node::Empty => true,
            Node::Class(_) | Node::Look(_) | Node::Ahead { .. } | Node::Atomic { .. } => false,
            Node::Concat(nodes) => nodes.iter().all(Node::may_be_nothing),
            Node::Alternate(nodes) => nodes.iter().any(Node::may_be_nothing),
            Node::Repeat { node, min, .. } => *min == 0 || node.may_be_nothing(),
        }
    }

    /// The number of characters of every match, where all matches have the same.
    pub fn fixed_length(&self) -> Option<u64> {
        match self {
            Node::Empty | Node::Look(_) | Node::Ahead { .. } => Some(0),
            Node::Class(_) => Some(1),
            Node::Concat(nodes) => {
                nodes.iter().try_fold(0u64, |sum, node| sum.checked_add(node.fixed_length()?))
            }
            Node::Alternate(nodes) => {
                let first = nodes.first()?.fixed_length()?;
                nodes.iter().all(|node| node.fixed_length() == Some(first)).then_some(first)
            }
            Node::Repeat { node, min, max, .. } => {
                let length = node.fixed_length()?;
                (*max == Some(*min) || length == 0).then(|| length.checked_mul(u64::from(*min)))?
            }
            Node::Atomic { node, .. } => node.fixed_length(),
        }
    }
}

/// The distinct sets of characters of one pattern.
#[derive(Debug, Default)]
pub(super) struct Sets {
    sets: Vec<ClassUnicode>,
    ids: HashMap<Vec<(char, char)>, SetId>,
}

impl Sets {
    pub fn intern(&mut self, set: ClassUnicode) -> SetId {
        let key: Vec<_> = set.iter().map(|range| (range.start(), range.end())).collect();
        *self.ids.entry(key).or_insert_with(|| {
            self.sets.push(set);
            self.sets.len() - 1
        })
    }

    /// The number of sets; their indices are below it.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    pub fn get(&self, id: SetId) -> &ClassUnicode {
        &self.sets[id]
    }

    pub fn negated(&mut self, id: SetId) -> SetId {
        let mut set = self.sets[id].clone();
        set.negate();
        self.intern(set)
    }
}

/// All characters.
pub(super) fn every_character() -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)])
}

/// One character.
pub(super) fn one_character(c: char) -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new(c, c)])
}
