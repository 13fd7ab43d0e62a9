//! The pattern as an automaton whose choices are ordered (Thompson's construction).
//!
//! A match is found by following all choices at once, the preferred ones first, which gives the
//! match a backtracking matcher would find. Size: at most [`MAX_NODES`] nodes, so that the time of
//! one character is bounded.

use std::collections::HashMap;

use super::alphabet::{self, Alphabet, MAX_KINDS};
use super::ast::{Look, Node, SetId, Sets, Side};

/// Most nodes of an automaton.
pub(super) const MAX_NODES: usize = 8192;

/// Most steps of the construction; repeated empty groups cost steps without making nodes.
const MAX_STEPS: usize = 1 << 20;

/// Most distinct look-behind conditions: they become bits of a matcher's state.
const MAX_BEHINDS: usize = 16;

pub(super) type NodeId = u32;

/// One node; `next` is where it leads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Inst {
    /// Consumes a character of the row's kinds.
    Char {
        row: u32,
        next: NodeId,
    },
    /// Tries `first`, then `second`.
    Split {
        first: NodeId,
        second: NodeId,
    },
    /// Goes on when the next character's kind (or the edge) is in the row.
    Ahead {
        row: u32,
        next: NodeId,
    },
    /// Goes on when the bit is among the facts about the previous character.
    Behind {
        bit: u16,
        next: NodeId,
    },
    Match,
}

/// The automaton of a pattern.
#[derive(Debug)]
pub(super) struct Program {
    pub alphabet: Alphabet,
    pub insts: Vec<Inst>,
    pub start: NodeId,
    /// For each row, whether it holds each kind and, last, the edge.
    rows: Vec<bool>,
    /// For each kind and the edge, what holds after it; empty without look-behind.
    behind: Vec<u16>,
}

/// Why no automaton was built.
pub(super) enum TooLarge {
    Nodes,
    Kinds,
    Behinds,
}

impl TooLarge {
    pub fn reason(&self) -> String {
        match self {
            TooLarge::Nodes => format!(
                "the pattern is too large: its repetitions written out exceed {MAX_NODES} states"
            ),
            TooLarge::Kinds => format!(
                "the pattern is too large: it tells apart more than {MAX_KINDS} kinds of characters"
            ),
            TooLarge::Behinds => {
                format!("the pattern has more than {MAX_BEHINDS} different look-behinds")
            }
        }
    }
}

pub(super) fn compile(node: &Node, sets: &Sets) -> Result<Program, TooLarge> {
    let mut compiler = Compiler::default();
    let end = compiler.push(Inst::Match)?;
    let start = compiler.node(node, end)?;
    let used: Vec<_> = compiler.used.iter().map(|(set, _)| sets.get(*set)).collect();
    let (alphabet, members) = alphabet::partition(&used).ok_or(TooLarge::Kinds)?;
    let mut rows = Vec::with_capacity(members.len() * (alphabet.kinds() + 1));
    for (member, (_, edge)) in members.iter().zip(&compiler.used) {
        rows.extend(member);
        rows.push(*edge);
    }
    let mut behind = Vec::new();
    if !compiler.behinds.is_empty() {
        let facts = |kind| {
            let holds = |row: u32| rows[row as usize * (alphabet.kinds() + 1) + kind];
            let bits = compiler.behinds.iter().enumerate();
            bits.map(|(bit, row)| u16::from(holds(*row)) << bit).sum()
        };
        behind = (0..=alphabet.kinds()).map(facts).collect();
    }
    Ok(Program { alphabet, insts: compiler.insts, start, rows, behind })
}

impl Program {
    /// Whether the row holds the kind.
    #[inline]
    pub fn holds(&self, row: u32, kind: usize) -> bool {
        self.rows[row as usize * (self.alphabet.kinds() + 1) + kind]
    }

    /// Whether matching depends on the previous character.
    #[inline]
    pub fn looks_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// What is known about the previous character when it is of the given kind.
    #[inline]
    pub fn facts_after(&self, kind: usize) -> u16 {
        self.behind.get(kind).copied().unwrap_or(0)
    }

    /// What is known about the character before `at`.
    #[inline]
    pub fn facts_at(&self, text: &[u8], at: usize) -> u16 {
        if self.looks_behind() { self.facts_after(self.alphabet.before(text, at).0) } else { 0 }
    }
}

#[derive(Default)]
struct Compiler {
    insts: Vec<Inst>,
    /// The sets in use, each with whether it holds the edge; the index is the row.
    used: Vec<(SetId, bool)>,
    rows: HashMap<(SetId, bool), u32>,
    behinds: Vec<u32>,
    steps: usize,
}

impl Compiler {
    fn push(&mut self, inst: Inst) -> Result<NodeId, TooLarge> {
        if self.insts.len() == MAX_NODES {
            return Err(TooLarge::Nodes);
        }
        let id = NodeId::try_from(self.insts.len()).map_err(|_| TooLarge::Nodes)?;
        self.insts.push(inst);
        Ok(id)
    }

    fn row(&mut self, set: SetId, edge: bool) -> Result<u32, TooLarge> {
        if let Some(row) = self.rows.get(&(set, edge)) {
            return Ok(*row);
        }
        let row = u32::try_from(self.used.len()).map_err(|_| TooLarge::Kinds)?;
        self.used.push((set, edge));
        self.rows.insert((set, edge), row);
        Ok(row)
    }

    /// The node from which the pattern is matched and `next` follows; the last part is built first.
    fn node(&mut self, node: &Node, next: NodeId) -> Result<NodeId, TooLarge> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(TooLarge::Nodes);
        }
        match node {
            Node::Empty => Ok(next),
            Node::Class(set) => {
                let row = self.row(*set, false)?;
                self.push(Inst::Char { row, next })
            }
            Node::Look(look) => self.look(*look, next),
            Node::Concat(nodes) => {
                nodes.iter().rev().try_fold(next, |next, node| self.node(node, next))
            }
            Node::Alternate(nodes) => {
                let mut branches = nodes.iter().rev();
                let last = branches.next().map_or(Ok(next), |node| self.node(node, next))?;
                branches.try_fold(last, |second, node| {
                    let first = self.node(node, next)?;
                    self.push(Inst::Split { first, second })
                })
            }
            Node::Repeat { node, min, max, greedy } => {
                let rest = match max {
                    None => return self.unbounded(node, *min, *greedy, next),
                    Some(max) => self.optional(node, max - min, *greedy, next)?,
                };
                self.copies(node, *min, rest)
            }
            // Neither is left behind `atomic`.
            Node::Atomic { node, .. } | Node::Ahead { node, .. } => self.node(node, next),
        }
    }

    fn look(&mut self, look: Look, next: NodeId) -> Result<NodeId, TooLarge> {
        let row = self.row(look.set, look.edge)?;
        if look.side == Side::Ahead {
            return self.push(Inst::Ahead { row, next });
        }
        let bit = match self.behinds.iter().position(|known| *known == row) {
            Some(bit) => bit,
            None if self.behinds.len() == MAX_BEHINDS => return Err(TooLarge::Behinds),
            None => {
                self.behinds.push(row);
                self.behinds.len() - 1
            }
        };
        self.push(Inst::Behind { bit: 1 << bit, next })
    }

    fn copies(&mut self, node: &Node, count: u32, next: NodeId) -> Result<NodeId, TooLarge> {
        (0..count).try_fold(next, |next, _| self.node(node, next))
    }

    /// `(x(x(x)?)?)?`, from the inside out.
    fn optional(
        &mut self,
        node: &Node,
        count: u32,
        greedy: bool,
        next: NodeId,
    ) -> Result<NodeId, TooLarge> {
        (0..count).try_fold(next, |inner, _| {
            let body = self.node(node, inner)?;
            self.push(choice(body, next, greedy))
        })
    }

    /// `x{min,}`. `x*` whose body can be empty is `(x+)?`: with a single choice node the empty way
    /// through the body would come back to it and lose its place in the order of preference.
    fn unbounded(
        &mut self,
        node: &Node,
        min: u32,
        greedy: bool,
        next: NodeId,
    ) -> Result<NodeId, TooLarge> {
        let again = self.push(Inst::Match)?;
        let body = self.node(node, again)?;
        self.insts[again as usize] = choice(body, next, greedy);
        match min {
            0 if node.is_nullable() => self.push(choice(body, next, greedy)),
            0 => Ok(again),
            _ => self.copies(node, min - 1, body),
        }
    }
}

/// The choice between going into `body` and leaving it for `next`.
fn choice(body: NodeId, next: NodeId, greedy: bool) -> Inst {
    match greedy {
        true => Inst::Split { first: body, second: next },
        false => Inst::Split { first: next, second: body },
    }
}
