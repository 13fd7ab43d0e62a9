//! Tells from the text to the right whether a thread can still reach a match.
//!
//! Reading a match may mean reading far beyond it in the hope of a longer one: `a*b|a` reads all
//! of `aaaa` to match its first letter, and again for the second. A matcher that asks the oracle
//! before each step stops exactly where the match ends, so that all matches of a text together cost
//! one pass over it.
//!
//! The oracle runs the automaton backwards over the text once and keeps, every 4096 bytes, the
//! set of nodes from which the rest of the text can complete a match. The sets inside one block are
//! computed again when the matcher enters it, and matchers only move forward, so the text is read
//! backwards twice in all. Cost: O(text * nodes) time at worst, one set of nodes for every 4096
//! bytes of text in memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::program::{Inst, NodeId, Program};
use crate::error::Watch;

const BLOCK: usize = 4096;

/// Blocks read backwards between two looks at whether to go on.
const WATCHED: usize = 64;

/// Sets kept at once, apart from those of one block.
const MAX_SETS: usize = 4096;

type NodeSet = Arc<[u64]>;

/// What can match to the right of each position of one text, from where it was made.
#[derive(Debug)]
pub(super) struct Oracle {
    reverse: Reverse,
    /// For each block from `first` on, the smallest position at or after its end, and its set.
    checkpoints: Vec<(usize, NodeSet)>,
    first: usize,
    /// Two blocks whose sets are known, the even and the odd one: a matcher reads one character
    /// beyond a match, so that at a border it goes back and forth.
    known: [Option<usize>; 2],
    /// The set of each of their positions.
    sets: Vec<u32>,
    /// Characters read backwards.
    pub work: u64,
}

impl Oracle {
    /// An oracle for the positions of `text` from `from` on, unless the watch stops it.
    pub fn new(program: &Program, text: &[u8], from: usize, watch: &mut Watch<'_>) -> Oracle {
        let first = from / BLOCK;
        let mut reverse = Reverse::new(program);
        let mut checkpoints = Vec::new();
        let mut position = text.len();
        let mut set = reverse.last(program, text);
        let mut block = position / BLOCK;
        let mut work = 0;
        checkpoints.push((position, reverse.get(set)));
        while block > first {
            let (before, width) = program.alphabet.before(text, position);
            let lower = position - width;
            if lower < block * BLOCK {
                checkpoints.push((position, reverse.get(set)));
                block -= 1;
                if block.is_multiple_of(WATCHED) && !watch.goes_on() {
                    break;
                }
                set = reverse.shrink(set);
            }
            set = reverse.step(program, text, lower, set, before);
            position = lower;
            work += 1;
        }
        checkpoints.reverse();
        Oracle { reverse, checkpoints, first, known: [None; 2], sets: vec![0; 2 * BLOCK], work }
    }

    /// Whether one of the threads at `position` can complete a match; positions never go back.
    #[inline]
    pub fn is_alive(
        &mut self,
        program: &Program,
        text: &[u8],
        position: usize,
        threads: &[NodeId],
    ) -> bool {
        let block = position / BLOCK;
        if self.known[block % 2] != Some(block) {
            self.enter(program, text, block);
        }
        let set = self.reverse.words(self.sets[position % (2 * BLOCK)]);
        threads.iter().any(|node| contains(set, *node))
    }

    /// Computes the sets of a block's positions.
    fn enter(&mut self, program: &Program, text: &[u8], block: usize) {
        let (end, set) = self.checkpoints[block - self.first].clone();
        let mut position = end;
        if self.reverse.is_full() {
            self.known = [None; 2];
        }
        let mut set = self.reverse.restart(set);
        let start = block * BLOCK;
        if position / BLOCK == block {
            self.sets[position % (2 * BLOCK)] = set;
        }
        while position > start {
            let (before, width) = program.alphabet.before(text, position);
            position -= width;
            if position < start {
                break;
            }
            set = self.reverse.step(program, text, position, set, before);
            self.sets[position % (2 * BLOCK)] = set;
            self.work += 1;
        }
        self.known[block % 2] = Some(block);
    }
}

fn contains(set: &[u64], node: NodeId) -> bool {
    set[node as usize / 64] >> (node % 64) & 1 == 1
}

/// The automaton run backwards, its sets of nodes made once and numbered.
#[derive(Debug)]
struct Reverse {
    sets: Vec<NodeSet>,
    ids: HashMap<NodeSet, u32>,
    /// The set before a character, by the set after it, its kind and the facts before it.
    steps: HashMap<u64, u32, BuildHasherDefault<Mixer>>,
    /// For each node, the range of `sources` with the nodes that lead to it without a character.
    ranges: Vec<u32>,
    sources: Vec<NodeId>,
    stack: Vec<NodeId>,
    words: Vec<u64>,
}

impl Reverse {
    fn new(program: &Program) -> Reverse {
        let mut edges = Vec::new();
        for (index, inst) in program.insts.iter().enumerate() {
            match inst {
                Inst::Split { first, second } => edges.extend([(*first, index), (*second, index)]),
                Inst::Ahead { next, .. } | Inst::Behind { next, .. } => edges.push((*next, index)),
                Inst::Char { .. } | Inst::Match => {}
            }
        }
        edges.sort_unstable();
        let nodes = program.insts.len() as NodeId;
        let position = |node| edges.partition_point(|(target, _)| *target < node) as u32;
        let ranges = (0..=nodes).map(position).collect();
        let sources = edges.iter().map(|(_, source)| *source as NodeId).collect();
        Reverse {
            sets: Vec::new(),
            ids: HashMap::new(),
            steps: HashMap::default(),
            ranges,
            sources,
            stack: Vec::new(),
            words: vec![0; program.insts.len().div_ceil(64)],
        }
    }

    fn words(&self, set: u32) -> &[u64] {
        &self.sets[set as usize]
    }

    fn get(&self, set: u32) -> NodeSet {
        Arc::clone(&self.sets[set as usize])
    }

    fn intern(&mut self, words: NodeSet) -> u32 {
        if let Some(id) = self.ids.get(&words) {
            return *id;
        }
        let id = u32::try_from(self.sets.len()).expect("sets are dropped long before 2^32");
        self.sets.push(Arc::clone(&words));
        self.ids.insert(words, id);
        id
    }

    fn is_full(&self) -> bool {
        self.sets.len() > MAX_SETS
    }

    /// Forgets all sets but this one when there are many; only between blocks.
    fn shrink(&mut self, set: u32) -> u32 {
        let words = self.get(set);
        self.restart(words)
    }

    fn restart(&mut self, words: NodeSet) -> u32 {
        if self.is_full() {
            self.sets.clear();
            self.ids.clear();
            self.steps.clear();
        }
        self.intern(words)
    }

    /// The set at the end of the text.
    fn last(&mut self, program: &Program, text: &[u8]) -> u32 {
        let facts = program.facts_at(text, text.len());
        self.compute(program, None, program.alphabet.edge(), facts)
    }

    /// The set before the character of the given kind at `position`, from the set after it.
    fn step(
        &mut self,
        program: &Program,
        text: &[u8],
        position: usize,
        after: u32,
        kind: usize,
    ) -> u32 {
        let facts = program.facts_at(text, position);
        let key = u64::from(after) << 32 | (kind as u64) << 16 | u64::from(facts);
        if let Some(set) = self.steps.get(&key) {
            return *set;
        }
        let set = self.compute(program, Some(after), kind, facts);
        self.steps.insert(key, set);
        set
    }

    /// Nodes that match or consume the character into a live node, and all that lead to them.
    fn compute(&mut self, program: &Program, after: Option<u32>, kind: usize, facts: u16) -> u32 {
        let mut words = std::mem::take(&mut self.words);
        words.fill(0);
        for (index, inst) in program.insts.iter().enumerate() {
            let alive = match inst {
                Inst::Match => true,
                Inst::Char { row, next } => {
                    let lives = |after| contains(self.words(after), *next);
                    program.holds(*row, kind) && after.is_some_and(lives)
                }
                _ => false,
            };
            if alive {
                words[index / 64] |= 1 << (index % 64);
                self.stack.push(index as NodeId);
            }
        }
        while let Some(node) = self.stack.pop() {
            let range =
                self.ranges[node as usize] as usize..self.ranges[node as usize + 1] as usize;
            for source in &self.sources[range] {
                let open = match program.insts[*source as usize] {
                    Inst::Ahead { row, .. } => program.holds(row, kind),
                    Inst::Behind { bit, .. } => facts & bit != 0,
                    _ => true,
                };
                if open && !contains(&words, *source) {
                    words[*source as usize / 64] |= 1 << (source % 64);
                    self.stack.push(*source);
                }
            }
        }
        let set = self.intern(Arc::from(words.as_slice()));
        self.words = words;
        set
    }
}

/// Hashes a step's key by one multiplication: there is one lookup for each character, and the
/// number of keys is bounded, so collisions cannot pile up.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }
}
