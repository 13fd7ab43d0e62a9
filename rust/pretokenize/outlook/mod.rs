//! What a pre-tokenizer may still make of a text whose end is not known.
//!
//! Where a piece ends can depend on what follows it: `\s+(?!\S)` leaves the last space to the next
//! word, if there is one. So a text that may go on has not one way of being cut but a set of them.
//! An [`Outlook`] walks along a text and keeps this set, for any list of steps that the engine runs.
//!
//! A way is a guess, made as the text is read: at each place, each step either goes on with what it
//! is in, a match or a gap, or begins another ([`levels`]). The automaton of the pattern tells what
//! a guess owes: a match that was ended has to end there and never later, in a gap no match may
//! begin. A guess whose debts cannot be paid by any text that follows is dropped, so a way is in the
//! set exactly when some text makes the pre-tokenizer cut so. Sets are numbered and their steps
//! remembered, so walking along a text costs a table look-up a byte.
//!
//! The text has to be UTF-8: no text goes on from bytes that are not.

mod characters;
mod levels;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Step;
use crate::{Error, Result};
use characters::{After, Characters, Class, PartId};
use levels::{Levels, State};

/// A set of ways to cut the text so far, with the place where the text stands in a character.
pub type SetId = u32;

/// The set without ways: no text that begins so is cut so.
pub const EMPTY: SetId = 0;

const UNKNOWN: u32 = u32::MAX;

/// More states than this are not looked at; published patterns have some hundreds.
const MOST_STATES: usize = 1 << 20;

/// What may become of texts; grows with what it is asked.
#[derive(Debug)]
pub struct Outlook {
    levels: Levels,
    characters: Characters,
    /// The ways after a character of a class.
    whole: HashMap<(SetId, Class), SetId>,
    states: Vec<Arc<State>>,
    state_ids: HashMap<Arc<State>, u32>,
    /// Whether some text follows a state.
    hopes: Vec<Option<bool>>,
    sets: Vec<Set>,
    set_ids: HashMap<Arc<SetKey>, SetId>,
    start: SetId,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SetKey {
    /// The character that has begun.
    part: Option<PartId>,
    /// In ascending order.
    states: Vec<u32>,
}

#[derive(Debug)]
struct Set {
    key: Arc<SetKey>,
    next: Box<[SetId; 256]>,
    turned: SetId,
    ends: Option<bool>,
}

impl Outlook {
    /// The outlook of a list of steps, on texts of the bytes of an alphabet.
    ///
    /// # Errors
    /// [`Error::Pattern`] for a pattern that cannot run, [`Error::Argument`] for a step that reads
    /// bytes instead of characters.
    pub fn new(steps: &[Step], alphabet: [bool; 256]) -> Result<Outlook> {
        let levels = Levels::new(steps, alphabet)?;
        let characters = levels.characters();
        let mut outlook = Outlook {
            levels,
            characters,
            whole: HashMap::new(),
            states: Vec::new(),
            state_ids: HashMap::new(),
            hopes: Vec::new(),
            sets: Vec::new(),
            set_ids: HashMap::new(),
            start: EMPTY,
        };
        outlook.set(None, Vec::new());
        let first = outlook.levels.starts()?;
        outlook.start = outlook.hopeful_set(None, first)?;
        Ok(outlook)
    }

    /// The ways of a text that has not begun: a piece may begin here.
    pub fn start(&self) -> SetId {
        self.start
    }

    /// The ways after another byte of the same piece.
    pub fn step(&mut self, set: SetId, byte: u8) -> Result<SetId> {
        let known = self.sets[set as usize].next[usize::from(byte)];
        if known != UNKNOWN {
            return Ok(known);
        }
        let next = if self.levels.is_empty() { set } else { self.read(set, byte)? };
        self.sets[set as usize].next[usize::from(byte)] = next;
        Ok(next)
    }

    /// The ways in which a piece ends here and another begins, or the text ends.
    pub fn turn(&mut self, set: SetId) -> Result<SetId> {
        let Set { turned, key, .. } = &self.sets[set as usize];
        if *turned != UNKNOWN {
            return Ok(*turned);
        }
        let key = Arc::clone(key);
        let mut found = Vec::new();
        if key.part.is_none() {
            for &state in &key.states {
                let turns = self.levels.turns(&Arc::clone(&self.states[state as usize]))?;
                found.extend(turns.into_iter().filter(|turn| turn.cuts).map(|turn| turn.state));
            }
        }
        let turned = self.hopeful_set(None, found)?;
        self.sets[set as usize].turned = turned;
        Ok(turned)
    }

    /// Whether the text may end here.
    pub fn ends(&mut self, set: SetId) -> Result<bool> {
        let Set { ends, key, .. } = &self.sets[set as usize];
        if let Some(known) = ends {
            return Ok(*known);
        }
        let key = Arc::clone(key);
        let mut ends = false;
        if key.part.is_none() {
            for &state in &key.states {
                ends = ends || self.levels.closes(&Arc::clone(&self.states[state as usize]))?;
            }
        }
        self.sets[set as usize].ends = Some(ends);
        Ok(ends)
    }

    /// The ways of either set; both are of the same text.
    pub fn join(&mut self, one: SetId, other: SetId) -> SetId {
        if one == other || other == EMPTY {
            return one;
        }
        if one == EMPTY {
            return other;
        }
        let [one, other] = [one, other].map(|set| Arc::clone(&self.sets[set as usize].key));
        let mut states = [&one.states[..], &other.states].concat();
        states.sort_unstable();
        states.dedup();
        self.set(one.part, states)
    }

    fn read(&mut self, set: SetId, byte: u8) -> Result<SetId> {
        let key = Arc::clone(&self.sets[set as usize].key);
        let after = self.characters.after(key.part, byte);
        if let After::Whole(class) = after
            && let Some(&known) = self.whole.get(&(set, class))
        {
            return Ok(known);
        }
        let states = key.states.iter().map(|&state| Arc::clone(&self.states[state as usize]));
        let states: Vec<Arc<State>> = states.collect();
        match after {
            After::Nothing => Ok(EMPTY),
            After::Whole(class) => {
                let code = self.characters.sample(class);
                let mut found = Vec::new();
                for state in states {
                    found.extend(self.successors(&state, code)?);
                }
                let next = self.hopeful_set(None, found)?;
                self.whole.insert((set, class), next);
                Ok(next)
            }
            After::Part(part) => {
                let classes = self.characters.classes(part);
                let mut kept = Vec::new();
                for (state, &id) in states.iter().zip(&key.states) {
                    for &class in classes.iter() {
                        let next = self.successors(state, self.characters.sample(class))?;
                        if self.hopeful(next)?.next().is_some() {
                            kept.push(id);
                            break;
                        }
                    }
                }
                Ok(self.set(Some(part), kept))
            }
        }
    }

    /// The states after a character of the same piece that is part of a token.
    fn successors(&mut self, state: &State, code: u32) -> Result<Vec<State>> {
        let mut found: Vec<State> = self.levels.read(state, code, true)?.into_iter().collect();
        for turn in self.levels.turns(state)? {
            if !turn.cuts {
                found.extend(self.levels.read(&turn.state, code, true)?);
            }
        }
        Ok(found)
    }

    /// The numbers of those states that some text follows.
    fn hopeful(&mut self, states: Vec<State>) -> Result<impl Iterator<Item = u32> + use<>> {
        let mut kept = Vec::new();
        for state in states {
            let id = self.state(state)?;
            if self.has_hope(id)? {
                kept.push(id);
            }
        }
        Ok(kept.into_iter())
    }

    fn hopeful_set(&mut self, part: Option<PartId>, states: Vec<State>) -> Result<SetId> {
        let mut kept: Vec<u32> = self.hopeful(states)?.collect();
        kept.sort_unstable();
        kept.dedup();
        Ok(self.set(part, kept))
    }

    /// Whether some text, perhaps none, follows a state: a search through all that may.
    fn has_hope(&mut self, id: u32) -> Result<bool> {
        if let Some(known) = self.hopes[id as usize] {
            return Ok(known);
        }
        let samples = self.characters.samples().to_vec();
        let (mut seen, mut waiting) = (HashSet::from([id]), vec![id]);
        let mut hope = false;
        'search: while let Some(id) = waiting.pop() {
            let state = Arc::clone(&self.states[id as usize]);
            if self.hopes[id as usize] == Some(true) || self.levels.closes(&state)? {
                hope = true;
                break;
            }
            let turns = self.levels.turns(&state)?;
            let befores = turns.iter().map(|turn| &turn.state).chain([&*state]);
            for before in befores {
                for &code in samples.iter() {
                    let Some(after) = self.levels.read(before, code, false)? else { continue };
                    let after = self.state(after)?;
                    match self.hopes[after as usize] {
                        Some(true) => {
                            hope = true;
                            break 'search;
                        }
                        Some(false) => {}
                        None if seen.insert(after) => waiting.push(after),
                        None => {}
                    }
                }
            }
        }
        self.hopes[id as usize] = Some(hope);
        if !hope {
            // All that was reached ends in nothing too.
            for id in seen {
                self.hopes[id as usize] = Some(false);
            }
        }
        Ok(hope)
    }

    fn state(&mut self, state: State) -> Result<u32> {
        if let Some(&id) = self.state_ids.get(&state) {
            return Ok(id);
        }
        if self.states.len() == MOST_STATES {
            return Err(Error::Argument(format!(
                "the pre-tokenizer leaves more than {MOST_STATES} states open before a text's end"
            )));
        }
        let state = Arc::new(state);
        let id = self.states.len() as u32;
        self.states.push(Arc::clone(&state));
        self.hopes.push(None);
        self.state_ids.insert(state, id);
        Ok(id)
    }

    fn set(&mut self, part: Option<PartId>, states: Vec<u32>) -> SetId {
        let part = part.filter(|_| !states.is_empty());
        let key = Arc::new(SetKey { part, states });
        if let Some(&id) = self.set_ids.get(&key) {
            return id;
        }
        let id = self.sets.len() as SetId;
        let empty = key.states.is_empty();
        let next = Box::new([if empty { EMPTY } else { UNKNOWN }; 256]);
        let (turned, ends) = if empty { (EMPTY, Some(false)) } else { (UNKNOWN, None) };
        self.sets.push(Set { key: Arc::clone(&key), next, turned, ends });
        self.set_ids.insert(key, id);
        id
    }
}
