//! Look-ahead at any number of characters, where a pattern is all that it asks for.
//!
//! Numbers are cut into groups from the right by looking at all of their digits. Two spellings of
//! that need no look-ahead inside of a match, and run in linear time:
//!
//! - `(?=(\d{3})+(?!\d))` finds places: a pattern without width matches nothing wherever what it looks
//!   at matches. Conditions on one character may stand beside it, as in `\B(?=(\d{3})+\b)`.
//! - `\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))`, alone or among alternatives, takes the first group of a
//!   number. Where nothing else in the pattern matches such a digit or nothing at all, every number
//!   is taken, from its first digit on: there is one number of digits, of one to three, that leaves
//!   groups of three, and nothing else may take the next. So its matches are those of `\p{N}+`, cut
//!   before each place inside of them from which groups of three go on to their end.

use super::ast::{Look, Node, SetId, Sets, Side};
use super::look;

/// A pattern without [`Node::Ahead`] that says the same.
pub(super) enum Reading {
    /// Matches are empty and stand wherever this matches.
    Places(Node),
    /// The matches of the first, each cut wherever the second matches in it, as a text of its own.
    Groups(Node, Node),
}

/// What a pattern that looks ahead asks for; `None` when it is none of these.
pub(super) fn read(node: &Node, sets: &mut Sets) -> Option<Reading> {
    if let Some(found) = places(node) {
        return Some(Reading::Places(found));
    }
    let branches = match node {
        Node::Alternate(branches) => &branches[..],
        node => std::slice::from_ref(node),
    };
    let at = branches.iter().position(looks_ahead)?;
    let Group { before, digit, size } = group(&branches[at], sets)?;
    let others = branches.iter().enumerate().filter(|&(other, _)| other != at);
    let leaves_digits = |node: &Node| !node.is_nullable() && !takes(node, digit, sets);
    if !others.map(|(_, node)| node).all(leaves_digits) {
        return None;
    }
    let number = run(Node::Class(digit), 1, None);
    let whole = Node::Concat(before.iter().cloned().chain([number]).collect());
    let mut all = branches.to_vec();
    all[at] = whole;
    let digits = run(Node::Class(digit), size, Some(size));
    let end = Look { side: Side::Ahead, set: sets.negated(digit), edge: true };
    let mut cuts = vec![run(digits, 1, None), Node::Look(end)];
    if !before.is_empty() {
        // What stands before a number stays with its first group.
        cuts.insert(0, Node::Look(Look { side: Side::Behind, set: digit, edge: false }));
    }
    Some(Reading::Groups(Node::Alternate(all), Node::Concat(cuts)))
}

/// What a pattern of conditions alone looks at, if one of them is a look-ahead.
fn places(node: &Node) -> Option<Node> {
    let mut conditions = parts(node).to_vec();
    let at = conditions.iter().position(|node| matches!(node, Node::Ahead { .. }))?;
    let Node::Ahead { node: ahead, .. } = conditions.remove(at) else { return None };
    let plain = |node: &Node| node.fixed_length() == Some(0) && !looks_ahead(node);
    if !conditions.iter().all(plain) || looks_ahead(&ahead) {
        return None;
    }
    // All are about one place: their order is all one.
    conditions.push(*ahead);
    Some(Node::Concat(conditions))
}

/// A branch that takes the first group of a number.
struct Group<'n> {
    /// What may be taken before it, or not.
    before: &'n [Node],
    digit: SetId,
    size: u32,
}

fn group<'n>(branch: &'n Node, sets: &mut Sets) -> Option<Group<'n>> {
    let [before @ .., run, Node::Ahead { node: ahead, .. }] = parts(branch) else { return None };
    let Node::Repeat { node, min: 1, max: Some(size), greedy: true } = run else { return None };
    let (Node::Class(digit), [groups, end @ ..]) = (&**node, parts(ahead)) else { return None };
    let Node::Repeat { node: one, min: 0, max: None, .. } = groups else { return None };
    let ends = look::condition(&Node::Concat(end.to_vec()), Side::Ahead, sets)?;
    let optional = |node: &Node| match node {
        Node::Repeat { node, min: 0, .. } => !node.is_nullable() && !takes(node, *digit, sets),
        _ => false,
    };
    let fits = is_run(one, *digit, *size) && before.iter().all(optional);
    let at_the_end = ends.edge && ends.set == sets.negated(*digit);
    (fits && at_the_end).then_some(Group { before, digit: *digit, size: *size })
}

/// Whether a pattern is so many characters of a set.
fn is_run(node: &Node, set: SetId, size: u32) -> bool {
    match node {
        Node::Class(found) => *found == set && size == 1,
        Node::Repeat { node, min, max, .. } => {
            **node == Node::Class(set) && *min == size && *max == Some(size)
        }
        Node::Concat(nodes) => {
            nodes.len() == size as usize && nodes.iter().all(|node| *node == Node::Class(set))
        }
        _ => false,
    }
}

/// What a pattern is made of, one after the other.
fn parts(node: &Node) -> &[Node] {
    match node {
        Node::Concat(nodes) => nodes,
        node => std::slice::from_ref(node),
    }
}

fn run(node: Node, min: u32, max: Option<u32>) -> Node {
    Node::Repeat { node: Box::new(node), min, max, greedy: true }
}

/// Whether a look-ahead is somewhere in a pattern.
fn looks_ahead(node: &Node) -> bool {
    match node {
        Node::Ahead { .. } => true,
        Node::Empty | Node::Class(_) | Node::Look(_) => false,
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().any(looks_ahead),
        Node::Repeat { node, .. } | Node::Atomic { node, .. } => looks_ahead(node),
    }
}

/// Whether a pattern may take a character of a set, or looks ahead.
fn takes(node: &Node, set: SetId, sets: &Sets) -> bool {
    match node {
        Node::Class(other) => {
            let mut both = sets.get(*other).clone();
            both.intersect(sets.get(set));
            !both.ranges().is_empty()
        }
        Node::Ahead { .. } => true,
        Node::Empty | Node::Look(_) => false,
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            nodes.iter().any(|node| takes(node, set, sets))
        }
        Node::Repeat { node, .. } | Node::Atomic { node, .. } => takes(node, set, sets),
    }
}
