//! The automaton made deterministic, one state at a time, as texts need them.
//!
//! A state is the ordered list of nodes that a backtracking matcher would try, most preferred
//! first, and what is known of the previous character. Look-around is decided when the next
//! character's kind is read, so a step both says whether a match ends *before* that character and
//! where to go after it. Threads less preferred than a match are dropped, so the last match seen
//! when no thread is left is the one a backtracking matcher finds first.
//!
//! Memory is bounded: when the cache is full it is emptied and filled anew; one character costs at
//! most time in proportion to the size of the automaton.

use std::collections::HashMap;
use std::sync::Arc;

use super::program::{Inst, NodeId, Program};
use crate::error::Watch;

/// The state without threads.
pub(super) const DEAD: u32 = 0;

const UNKNOWN: u32 = u32::MAX >> 1;

/// In a table entry: a match ends before the character.
const MATCH: u32 = 1 << 31;

/// Bytes of table and states after which the cache is emptied; few in tests, so that they see it.
const MAX_BYTES: usize = if cfg!(test) { 1 << 16 } else { 4 << 20 };

/// The result of reading one match from a fixed start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan {
    /// Where the match ends, if there is one.
    pub end: Option<usize>,
    /// The position of the last character read.
    pub stop: usize,
}

/// The states made so far; belongs to one program.
#[derive(Debug)]
pub(super) struct Cache {
    /// Rows of entries, one for each kind and the edge; a state is the offset of its row.
    table: Vec<u32>,
    stride: usize,
    /// For each state, its facts and then its nodes.
    states: Vec<Arc<[u32]>>,
    ids: HashMap<Arc<[u32]>, u32>,
    /// The start state for each value of the facts.
    starts: Vec<(u16, u32)>,
    bytes: usize,
    /// When the cache is emptied.
    most: usize,
    closure: Closure,
}

/// Scratch of one step.
#[derive(Debug)]
struct Closure {
    stack: Vec<NodeId>,
    /// For each node, the number of the step or list that last met it.
    seen: Vec<u32>,
    listed: Vec<u32>,
    round: u32,
    list: Vec<u32>,
}

impl Cache {
    pub fn new(program: &Program) -> Cache {
        Cache::holding(program, MAX_BYTES)
    }

    /// A cache that is never emptied, so that states keep their numbers.
    pub fn lasting(program: &Program) -> Cache {
        Cache::holding(program, usize::MAX)
    }

    fn holding(program: &Program, most: usize) -> Cache {
        let nodes = program.insts.len();
        let closure = Closure {
            stack: Vec::new(),
            seen: vec![0; nodes],
            listed: vec![0; nodes],
            round: 0,
            list: Vec::new(),
        };
        let mut cache = Cache {
            table: Vec::new(),
            stride: program.alphabet.kinds() + 1,
            states: Vec::new(),
            ids: HashMap::new(),
            starts: Vec::new(),
            bytes: 0,
            most,
            closure,
        };
        cache.clear();
        cache
    }

    fn clear(&mut self) {
        self.table.clear();
        self.table.resize(self.stride, DEAD);
        self.states.clear();
        self.states.push(Arc::from([]));
        self.ids.clear();
        self.starts.clear();
        self.bytes = 0;
    }

    /// The state before the first character, when `facts` hold of the one before it.
    #[inline]
    pub fn start(&mut self, program: &Program, facts: u16) -> u32 {
        match self.starts.iter().find(|(known, _)| *known == facts) {
            Some((_, state)) => *state,
            None => self.new_start(program, facts),
        }
    }

    fn new_start(&mut self, program: &Program, facts: u16) -> u32 {
        let state = self.intern(&[u32::from(facts), program.start]);
        self.starts.push((facts, state));
        state
    }

    /// Bytes of the states made so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What a state knows of the character before.
    pub fn facts(&self, state: u32) -> u16 {
        let facts = self.states[state as usize / self.stride].first();
        facts.map_or(0, |facts| u16::try_from(*facts).expect("facts are 16 bits"))
    }

    /// The nodes of a state, most preferred first.
    pub fn threads(&self, state: u32) -> &[NodeId] {
        self.states[state as usize / self.stride].get(1..).unwrap_or(&[])
    }

    /// Whether no match begins with a character of this kind, as far as known.
    #[inline]
    pub fn dies_at(&self, state: u32, kind: usize) -> bool {
        self.table[state as usize + kind] == DEAD
    }

    /// Whether a match ends before a character of this kind, and the state after it.
    #[inline]
    pub fn step(&mut self, program: &Program, state: u32, kind: usize) -> (bool, u32) {
        let mut entry = self.table[state as usize + kind];
        if entry == UNKNOWN {
            entry = self.extend(program, state, kind);
        }
        (entry & MATCH != 0, entry & !MATCH)
    }

    /// The preferred match that begins at `at`, reading until nothing better can come.
    #[inline]
    pub fn scan(
        &mut self,
        program: &Program,
        text: &[u8],
        at: usize,
        watch: &mut Watch<'_>,
    ) -> Scan {
        let mut state = self.start(program, program.facts_at(text, at));
        let mut end = None;
        let mut stop = at;
        // Only the edge of what is read at a time costs a look at whether to go on.
        let mut head = head(text, at);
        loop {
            let (kind, width) = program.alphabet.at(head, stop);
            let (matched, next) = self.step(program, state, kind);
            if next == DEAD {
                if stop == head.len() && stop < text.len() && watch.goes_on() {
                    head = self::head(text, stop);
                    continue;
                }
                return Scan { end: if matched { Some(stop) } else { end }, stop };
            }
            if matched {
                end = Some(stop);
            }
            state = next;
            stop += width;
        }
    }

    /// Computes the entry of a state for a kind.
    #[cold]
    #[inline(never)]
    fn extend(&mut self, program: &Program, state: u32, kind: usize) -> u32 {
        let source = Arc::clone(&self.states[state as usize / self.stride]);
        let matched = self.closure.step(program, &source, kind);
        let mut kept = true;
        let target = if self.closure.list.len() == 1 {
            DEAD
        } else {
            let list = std::mem::take(&mut self.closure.list);
            if self.bytes > self.most && !self.ids.contains_key(list.as_slice()) {
                self.clear();
                kept = false;
            }
            let target = self.intern(&list);
            self.closure.list = list;
            target
        };
        let entry = if matched { target | MATCH } else { target };
        if kept {
            self.table[state as usize + kind] = entry;
        }
        entry
    }

    fn intern(&mut self, key: &[u32]) -> u32 {
        if let Some(state) = self.ids.get(key) {
            return *state;
        }
        let state = u32::try_from(self.table.len()).expect("the cache is bounded far below 2^31");
        let key: Arc<[u32]> = Arc::from(key);
        self.bytes += 4 * (self.stride + key.len()) + 96;
        self.table.resize(self.table.len() + self.stride, UNKNOWN);
        self.states.push(Arc::clone(&key));
        self.ids.insert(key, state);
        state
    }
}

/// The text up to where a scan that stands at `at` looks whether to go on, cut between characters.
fn head(text: &[u8], at: usize) -> &[u8] {
    let pause = Watch::next_pause(at);
    let continues = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xc0 == 0x80);
    if pause >= text.len() {
        return text;
    }
    // Behind four bytes that go on with a character, none of them does.
    let cut = (pause - 3..=pause).rev().find(|at| !continues(at));
    &text[..cut.unwrap_or(pause)]
}

impl Closure {
    /// Fills `list` with the key of the state after a character of this kind; true when a match
    /// ends before the character.
    fn step(&mut self, program: &Program, source: &[u32], kind: usize) -> bool {
        self.next_round();
        self.list.clear();
        self.list.push(u32::from(program.facts_after(kind)));
        let facts = source.first().map_or(0, |facts| *facts);
        for thread in source.iter().skip(1) {
            self.stack.push(*thread);
            while let Some(node) = self.stack.pop() {
                if std::mem::replace(&mut self.seen[node as usize], self.round) == self.round {
                    continue;
                }
                match program.insts[node as usize] {
                    Inst::Match => {
                        self.stack.clear();
                        return true;
                    }
                    Inst::Split { first, second } => self.stack.extend([second, first]),
                    Inst::Char { row, next } if program.holds(row, kind) => self.list_thread(next),
                    Inst::Ahead { row, next } if program.holds(row, kind) => self.stack.push(next),
                    Inst::Behind { bit, next } if facts & u32::from(bit) != 0 => {
                        self.stack.push(next);
                    }
                    Inst::Char { .. } | Inst::Ahead { .. } | Inst::Behind { .. } => {}
                }
            }
        }
        false
    }

    fn list_thread(&mut self, node: NodeId) {
        if std::mem::replace(&mut self.listed[node as usize], self.round) != self.round {
            self.list.push(node);
        }
    }

    fn next_round(&mut self) {
        if self.round == u32::MAX {
            self.seen.fill(0);
            self.listed.fill(0);
            self.round = 0;
        }
        self.round += 1;
    }
}
