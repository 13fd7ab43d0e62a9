//! The definition of a match, as slow readable code: try every choice in order until one works.

use crate::regex::alphabet::{Alphabet, partition};
use crate::regex::ast::{Node, Side};
use crate::regex::parse::{Parsed, parse};

/// Choices tried for one match before giving up.
const MAX_STEPS: usize = 20_000;

/// A pattern as parsed, possessive forms included; nothing that can be empty may loop in it.
pub(super) struct Backtracker {
    node: Node,
    alphabet: Alphabet,
    members: Vec<Vec<bool>>,
}

/// What to do after a part has matched up to a position; true when the rest matches.
type Rest<'a> = &'a mut dyn FnMut(usize, &mut usize) -> bool;

impl Backtracker {
    pub fn new(pattern: &str) -> Backtracker {
        let Parsed { node, sets, .. } = parse(pattern).expect("the engine read the pattern");
        let all: Vec<_> = (0..sets.len()).map(|id| sets.get(id)).collect();
        let (alphabet, members) = partition(&all).expect("a short pattern has few kinds");
        Backtracker { node, alphabet, members }
    }

    /// All matches, or `None` when one takes too many steps.
    pub fn matches(&self, text: &str) -> Option<Vec<(usize, usize)>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at <= text.len() {
            let mut steps = 0;
            let mut end = None;
            self.part(&self.node, text, at, &mut steps, &mut |position, _| {
                end = Some(position);
                true
            });
            if steps > MAX_STEPS {
                return None;
            }
            let next = at + self.alphabet.at(text.as_bytes(), at).1.max(1);
            let end = end.filter(|end| *end > at || found.last().is_none_or(|(_, e)| *e != at));
            found.extend(end.map(|end| (at, end)));
            at = end.filter(|end| *end > at).unwrap_or(next);
        }
        Some(found)
    }

    fn part(&self, node: &Node, text: &str, at: usize, steps: &mut usize, rest: Rest) -> bool {
        *steps += 1;
        if *steps > MAX_STEPS {
            return true;
        }
        match node {
            Node::Empty => rest(at, steps),
            Node::Class(set) => {
                let (kind, width) = self.alphabet.at(text.as_bytes(), at);
                width > 0 && self.members[*set][kind] && rest(at + width, steps)
            }
            Node::Look(look) => {
                let (kind, width) = match look.side {
                    Side::Ahead => self.alphabet.at(text.as_bytes(), at),
                    Side::Behind => self.alphabet.before(text.as_bytes(), at),
                };
                let holds = if width == 0 { look.edge } else { self.members[look.set][kind] };
                holds && rest(at, steps)
            }
            Node::Concat(nodes) => self.sequence(nodes, text, at, steps, rest),
            Node::Alternate(nodes) => {
                nodes.iter().any(|node| self.part(node, text, at, steps, rest))
            }
            Node::Repeat { node, min, max, greedy } => {
                self.repeat(node, (*min, *max, *greedy), text, at, steps, rest)
            }
            Node::Ahead { node, .. } => {
                self.part(node, text, at, steps, &mut |_, _| true) && rest(at, steps)
            }
            Node::Atomic { node, .. } => {
                let mut end = None;
                self.part(node, text, at, steps, &mut |position, _| {
                    end = Some(position);
                    true
                });
                end.is_some_and(|end| rest(end, steps))
            }
        }
    }

    fn sequence(
        &self,
        nodes: &[Node],
        text: &str,
        at: usize,
        steps: &mut usize,
        rest: Rest,
    ) -> bool {
        match nodes.split_first() {
            None => rest(at, steps),
            Some((first, others)) => self.part(first, text, at, steps, &mut |position, steps| {
                self.sequence(others, text, position, steps, rest)
            }),
        }
    }

    fn repeat(
        &self,
        node: &Node,
        (min, max, greedy): (u32, Option<u32>, bool),
        text: &str,
        at: usize,
        steps: &mut usize,
        rest: Rest,
    ) -> bool {
        let less = (min.saturating_sub(1), max.map(|max| max.saturating_sub(1)), greedy);
        let once_more = |steps: &mut usize, rest: Rest| {
            max != Some(0)
                && self.part(node, text, at, steps, &mut |position, steps| {
                    self.repeat(node, less, text, position, steps, rest)
                })
        };
        if min > 0 {
            return once_more(steps, rest);
        }
        match greedy {
            true => once_more(steps, rest) || rest(at, steps),
            false => rest(at, steps) || once_more(steps, rest),
        }
    }
}
