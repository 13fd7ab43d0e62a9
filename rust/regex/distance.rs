//! How many bytes are missing to a match.
//!
//! A thread of the automaton stands at a node, after a character of which some facts are known. The
//! least number of bytes from there to a match is a shortest path: a character costs as many bytes
//! as the shortest of its kind has, and conditions on the next character are kept by walking on
//! nodes with the kinds of that character. Dijkstra's algorithm, backwards from the match.
//!
//! Cost: nodes times the number of ways in which the pattern's look-around tells characters apart.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::program::{Inst, NodeId, Program};

/// No bytes lead to a match.
pub(super) const NEVER: u32 = u32::MAX;

/// More places than this are not looked at.
const MOST: usize = 1 << 24;

/// The least number of bytes to the end of a match.
#[derive(Debug)]
pub(super) struct Distances {
    /// The facts that characters leave behind, in ascending order.
    facts: Vec<u16>,
    /// For each of them, the distance of every node.
    least: Vec<u32>,
    nodes: usize,
}

/// Kinds of which look-around tells none apart.
struct Groups {
    /// What look-ahead sees: its kinds by a member; the edge is one of its own, the last.
    ahead: Vec<usize>,
    /// For each kind, its look-ahead and the facts it leaves, by number.
    of: Vec<(usize, usize)>,
}

impl Distances {
    /// The distances of a program, where a character of a kind has `widths` bytes at least; `None`
    /// when look-around tells too many places apart.
    pub fn new(program: &Program, widths: &[u32]) -> Option<Distances> {
        let edge = program.alphabet.edge();
        let mut facts: Vec<u16> = (0..=edge).map(|kind| program.facts_after(kind)).collect();
        facts.sort_unstable();
        facts.dedup();
        let groups = Groups::new(program, &facts);
        let nodes = program.insts.len();
        let size = nodes.checked_mul(groups.ahead.len())?.checked_mul(facts.len())?;
        if size > MOST {
            return None;
        }
        let least = vec![NEVER; nodes * facts.len()];
        let mut distances = Distances { facts, least, nodes };
        distances.search(program, &groups, &steps(program, &groups, widths));
        Some(distances)
    }

    /// The distance of a state: its threads, and the facts before them.
    pub fn of(&self, facts: u16, threads: &[NodeId]) -> u32 {
        let at = self.facts.binary_search(&facts).map_or(0, |at| at * self.nodes);
        threads.iter().map(|&node| self.least[at + node as usize]).min().unwrap_or(NEVER)
    }

    /// Fills `least`, the nearest first.
    fn search(&mut self, program: &Program, groups: &Groups, steps: &[Vec<Step>]) {
        let sources = sources(program);
        let (nodes, number) = (self.nodes, groups.ahead.len());
        let mut done = vec![false; nodes * self.facts.len() * number];
        let mut waiting = BinaryHeap::new();
        let matches = (0..nodes).filter(|&node| matches!(program.insts[node], Inst::Match));
        for node in matches {
            let befores = 0..self.facts.len();
            waiting.extend(befores.map(|before| Reverse((0, node, before, number - 1))));
        }
        while let Some(Reverse((distance, node, before, ahead))) = waiting.pop() {
            if std::mem::replace(&mut done[(before * nodes + node) * number + ahead], true) {
                continue;
            }
            for &source in &sources[node] {
                let open = match program.insts[source] {
                    Inst::Split { .. } => true,
                    Inst::Ahead { row, .. } => program.holds(row, groups.ahead[ahead]),
                    Inst::Behind { bit, .. } => self.facts[before] & bit != 0,
                    Inst::Char { row, .. } => {
                        // What is here now leads here from one character before, once.
                        if self.least[before * nodes + node] == NEVER {
                            for step in steps[row as usize].iter().filter(|s| s.after == before) {
                                let far = distance + step.bytes;
                                let befores = 0..self.facts.len();
                                waiting.extend(
                                    befores.map(|at| Reverse((far, source, at, step.ahead))),
                                );
                            }
                        }
                        false
                    }
                    Inst::Match => false,
                };
                if open {
                    waiting.push(Reverse((distance, source, before, ahead)));
                }
            }
            let least = &mut self.least[before * nodes + node];
            *least = (*least).min(distance);
        }
    }
}

impl Groups {
    fn new(program: &Program, facts: &[u16]) -> Groups {
        let edge = program.alphabet.edge();
        let aheads = program.insts.iter().filter_map(|inst| match inst {
            Inst::Ahead { row, .. } => Some(*row),
            _ => None,
        });
        let mut rows: Vec<u32> = aheads.collect();
        rows.sort_unstable();
        rows.dedup();
        let (mut numbers, mut ahead, mut of) = (HashMap::new(), Vec::new(), Vec::new());
        for kind in 0..edge {
            let seen: Vec<bool> = rows.iter().map(|&row| program.holds(row, kind)).collect();
            let number = *numbers.entry(seen).or_insert_with(|| {
                ahead.push(kind);
                ahead.len() - 1
            });
            let after = facts.binary_search(&program.facts_after(kind));
            of.push((number, after.expect("all facts are listed")));
        }
        ahead.push(edge);
        Groups { ahead, of }
    }
}

/// Reading a character of a row: what look-ahead saw of it, the facts that it leaves, its bytes.
struct Step {
    ahead: usize,
    after: usize,
    bytes: u32,
}

/// For each row that characters are read by, its steps, one for each group.
fn steps(program: &Program, groups: &Groups, widths: &[u32]) -> Vec<Vec<Step>> {
    let rows = program.insts.iter().filter_map(|inst| match inst {
        Inst::Char { row, .. } => Some(*row as usize),
        _ => None,
    });
    let mut steps: Vec<Vec<Step>> = Vec::new();
    let mut known = Vec::new();
    for row in rows {
        if steps.len() <= row {
            steps.resize_with(row + 1, Vec::new);
            known.resize(row + 1, false);
        }
        if std::mem::replace(&mut known[row], true) {
            continue;
        }
        let mut least: HashMap<(usize, usize), u32> = HashMap::new();
        let held = (0..widths.len()).filter(|&kind| program.holds(row as u32, kind));
        for kind in held.filter(|&kind| widths[kind] != NEVER) {
            let bytes = least.entry(groups.of[kind]).or_insert(NEVER);
            *bytes = (*bytes).min(widths[kind]);
        }
        let found = least.into_iter();
        steps[row] = found.map(|((ahead, after), bytes)| Step { ahead, after, bytes }).collect();
        // The order is that of no hash.
        steps[row].sort_by_key(|step| (step.ahead, step.after));
    }
    steps
}

/// For each node, those that lead to it.
fn sources(program: &Program) -> Vec<Vec<usize>> {
    let mut sources = vec![Vec::new(); program.insts.len()];
    for (at, inst) in program.insts.iter().enumerate() {
        match inst {
            Inst::Split { first, second } => {
                sources[*first as usize].push(at);
                sources[*second as usize].push(at);
            }
            Inst::Char { next, .. } | Inst::Ahead { next, .. } | Inst::Behind { next, .. } => {
                sources[*next as usize].push(at);
            }
            Inst::Match => {}
        }
    }
    sources
}
