//! Rewrites possessive quantifiers and atomic groups into plain patterns with the same matches.
//!
//! At the end of the pattern nothing can fail afterwards, so an atomic group is its content. Before
//! anything else, a possessive run of one set is exactly the run that the set cannot continue:
//! `X++` is `X+(?!X)`, `X?+` is `X|(?!X)` and `X{n,m}+` is `X{m}|X{n,m-1}(?!X)`. An atomic group
//! whose matches all have one length is its content as well. Anything else would need the matcher
//! to remember what it gave up, and is refused.

use super::ast::{Look, Node, SetId, Sets, Side};

/// The place of a construct that no plain pattern replaces.
pub(super) struct Refused {
    pub at: usize,
    /// Whether it is a look-ahead, and not atomic.
    pub ahead: bool,
}

/// The same pattern without [`Node::Atomic`] and [`Node::Ahead`]; `last` says that nothing follows it.
pub(super) fn remove(node: Node, last: bool, sets: &mut Sets) -> Result<Node, Refused> {
    Ok(match node {
        Node::Empty | Node::Class(_) | Node::Look(_) => node,
        Node::Ahead { at, .. } => return Err(Refused { at, ahead: true }),
        Node::Concat(nodes) => {
            let final_index = nodes.len().saturating_sub(1);
            let nodes = nodes.into_iter().enumerate();
            Node::Concat(
                nodes
                    .map(|(index, node)| remove(node, last && index == final_index, sets))
                    .collect::<Result<_, _>>()?,
            )
        }
        Node::Alternate(nodes) => Node::Alternate(
            nodes.into_iter().map(|node| remove(node, last, sets)).collect::<Result<_, _>>()?,
        ),
        Node::Repeat { node, min, max, greedy } => {
            let node = Box::new(remove(*node, last && max == Some(1), sets)?);
            Node::Repeat { node, min, max, greedy }
        }
        Node::Atomic { node, .. } if last => remove(*node, true, sets)?,
        Node::Atomic { node, at } => freeze(remove(*node, true, sets)?, at, sets)?,
    })
}

/// A plain pattern that matches what `node` would match first, whatever follows.
fn freeze(node: Node, at: usize, sets: &mut Sets) -> Result<Node, Refused> {
    if node.fixed_length().is_some() {
        return Ok(node);
    }
    match node {
        Node::Repeat { node, min, max, greedy } => match *node {
            Node::Class(set) => Ok(frozen_run(set, min, max, greedy, sets)),
            _ => Err(Refused { at, ahead: false }),
        },
        Node::Concat(mut nodes) => {
            let end = nodes.pop().unwrap_or(Node::Empty);
            if nodes.iter().any(|node| node.fixed_length().is_none()) {
                return Err(Refused { at, ahead: false });
            }
            nodes.push(freeze(end, at, sets)?);
            Ok(Node::Concat(nodes))
        }
        _ => Err(Refused { at, ahead: false }),
    }
}

/// The longest run of `set` within the bounds (the shortest when lazy) and no other.
fn frozen_run(set: SetId, min: u32, max: Option<u32>, greedy: bool, sets: &mut Sets) -> Node {
    let run = |min, max| Node::Repeat { node: Box::new(Node::Class(set)), min, max, greedy: true };
    if !greedy {
        return run(min, Some(min));
    }
    let stop = Node::Look(Look { side: Side::Ahead, set: sets.negated(set), edge: true });
    match max {
        None => Node::Concat(vec![run(min, None), stop]),
        Some(max) if max <= min => run(min, Some(min)),
        Some(max) => Node::Alternate(vec![
            run(max, Some(max)),
            Node::Concat(vec![run(min, Some(max - 1)), stop]),
        ]),
    }
}
