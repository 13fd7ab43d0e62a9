//! Reduces look-around to a condition on one character.
//!
//! `(?=...)` asks whether something matches here, never how, so `(?!\S+)` is `(?!\S)` and
//! `(?=\s|$)` is "white space or the end". What needs a second character is refused.

use regex_syntax::hir::ClassUnicode;

use super::ast::{Look, Node, Sets, Side, every_character};

/// The neighbours that let the look-around succeed: a set, and whether the edge of the text does.
struct Neighbour {
    set: ClassUnicode,
    edge: bool,
}

impl Neighbour {
    fn anything() -> Neighbour {
        Neighbour { set: every_character(), edge: true }
    }

    fn is_anything(&self) -> bool {
        self.edge && self.set == every_character()
    }
}

/// The look-around on `side` with the given body, or `None` where it needs more than one character.
pub(super) fn condition(node: &Node, side: Side, sets: &mut Sets) -> Option<Look> {
    let neighbour = reduce(node, side, sets)?;
    Some(Look { side, set: sets.intern(neighbour.set), edge: neighbour.edge })
}

/// The opposite condition.
pub(super) fn opposite(look: Look, sets: &mut Sets) -> Look {
    Look { set: sets.negated(look.set), edge: !look.edge, ..look }
}

fn reduce(node: &Node, side: Side, sets: &Sets) -> Option<Neighbour> {
    match node {
        Node::Empty => Some(Neighbour::anything()),
        Node::Class(set) => Some(Neighbour { set: sets.get(*set).clone(), edge: false }),
        Node::Look(look) if look.side == side => {
            Some(Neighbour { set: sets.get(look.set).clone(), edge: look.edge })
        }
        Node::Look(_) | Node::Ahead { .. } => None,
        Node::Alternate(nodes) => {
            let mut any = Neighbour { set: ClassUnicode::empty(), edge: false };
            for node in nodes {
                let one = reduce(node, side, sets)?;
                any.set.union(&one.set);
                any.edge |= one.edge;
            }
            Some(any)
        }
        Node::Concat(nodes) => match side {
            Side::Ahead => reduce_sequence(nodes.iter(), side, sets),
            Side::Behind => reduce_sequence(nodes.iter().rev(), side, sets),
        },
        Node::Repeat { node, min, .. } => {
            if *min == 0 {
                return Some(Neighbour::anything());
            }
            let once = reduce(node, side, sets)?;
            (*min == 1 || once.is_anything()).then_some(once)
        }
        Node::Atomic { node, .. } => reduce(node, side, sets),
    }
}

/// Nodes from the nearest to the farthest: conditions, one character, then only what always matches.
fn reduce_sequence<'n>(
    nodes: impl Iterator<Item = &'n Node>,
    side: Side,
    sets: &Sets,
) -> Option<Neighbour> {
    let mut all = Neighbour::anything();
    let mut consumed = false;
    for node in nodes {
        let one = reduce(node, side, sets)?;
        if consumed {
            if !one.is_anything() {
                return None;
            }
            continue;
        }
        all.set.intersect(&one.set);
        all.edge &= one.edge;
        consumed = !matches!(node, Node::Empty | Node::Look(_));
    }
    Some(all)
}
