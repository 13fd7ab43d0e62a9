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
//! The text has to be UTF-8: no text goes on from bytes that are not. Where steps read bytes and may
//! cut characters apart, they are read byte by byte, each character only once it is whole.

mod characters;
mod levels;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Step;
use crate::{Error, Result};
use characters::{After, Characters, Class, PartId};
use levels::{Levels, Place, State, Turn};

/// A set of ways to cut the text so far, all at the same place in a character.
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
    /// Where steps read bytes: of those that lead to the same, one, by what has begun.
    bytes: HashMap<Option<PartId>, Arc<[u8]>>,
    /// The ways after a character of a class.
    whole: HashMap<(SetId, Class), SetId>,
    ways: Vec<Arc<Way>>,
    way_ids: HashMap<Arc<Way>, u32>,
    /// Whether some text follows a way.
    hopes: Vec<Option<bool>>,
    sets: Vec<Set>,
    /// The set after each byte, by set: to look one up is to read one place of memory.
    next: Vec<[SetId; 256]>,
    set_ids: HashMap<Arc<[u32]>, SetId>,
    start: SetId,
}

/// A way to cut a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Way {
    state: State,
    /// The character that has begun.
    begun: Option<Begun>,
}

/// The beginning of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Begun {
    part: PartId,
    /// Whether some of it is part of a token.
    in_token: bool,
}

impl Way {
    fn place(&self) -> Place {
        if self.begun.is_some() { Place::Inside } else { Place::Between }
    }

    fn part(&self) -> Option<PartId> {
        self.begun.map(|begun| begun.part)
    }
}

#[derive(Debug)]
struct Set {
    /// In ascending order.
    ways: Arc<[u32]>,
    turned: SetId,
    ends: Option<bool>,
}

impl Outlook {
    /// The outlook of a list of steps, on texts of the characters that `has` tells.
    ///
    /// # Errors
    /// [`Error::Pattern`] for a pattern that cannot run, [`Error::Argument`] for one that looks for
    /// more than ASCII in pieces that cut characters apart.
    pub fn new(steps: &[Step], has: impl Fn(char) -> bool) -> Result<Outlook> {
        let levels = Levels::new(steps)?;
        let characters = levels.characters(has);
        let mut outlook = Outlook {
            levels,
            characters,
            bytes: HashMap::new(),
            whole: HashMap::new(),
            ways: Vec::new(),
            way_ids: HashMap::new(),
            hopes: Vec::new(),
            sets: Vec::new(),
            next: Vec::new(),
            set_ids: HashMap::new(),
            start: EMPTY,
        };
        outlook.set(Vec::new());
        let first = outlook.levels.starts()?.into_iter();
        outlook.start = outlook.hopeful(first.map(|state| Way { state, begun: None }).collect())?;
        Ok(outlook)
    }

    /// The ways of a text that has not begun: a piece may begin here.
    pub fn start(&self) -> SetId {
        self.start
    }

    /// The ways after another byte of the same piece.
    pub fn step(&mut self, set: SetId, byte: u8) -> Result<SetId> {
        let known = self.next[set as usize][usize::from(byte)];
        if known != UNKNOWN {
            return Ok(known);
        }
        let next = if self.levels.is_empty() { set } else { self.read(set, byte)? };
        self.next[set as usize][usize::from(byte)] = next;
        Ok(next)
    }

    /// The ways in which a piece ends here and another begins, or the text ends.
    pub fn turn(&mut self, set: SetId) -> Result<SetId> {
        let Set { turned, ways, .. } = &self.sets[set as usize];
        if *turned != UNKNOWN {
            return Ok(*turned);
        }
        let mut found = Vec::new();
        for &way in &*Arc::clone(ways) {
            let begun = self.ways[way as usize].begun;
            let turns = self.turns(way)?.into_iter().filter(|turn| turn.cuts);
            found.extend(turns.map(|turn| Way { state: turn.state, begun }));
        }
        let turned = self.hopeful(found)?;
        self.sets[set as usize].turned = turned;
        Ok(turned)
    }

    /// Whether the text may end here.
    pub fn ends(&mut self, set: SetId) -> Result<bool> {
        let Set { ends, ways, .. } = &self.sets[set as usize];
        if let Some(known) = ends {
            return Ok(*known);
        }
        let mut ends = false;
        for &way in &*Arc::clone(ways) {
            ends = ends || self.closes(way)?;
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
        let [one, other] = [one, other].map(|set| &self.sets[set as usize].ways);
        let mut ways = [&one[..], other].concat();
        ways.sort_unstable();
        ways.dedup();
        self.set(ways)
    }

    fn read(&mut self, set: SetId, byte: u8) -> Result<SetId> {
        let ways = Arc::clone(&self.sets[set as usize].ways);
        let Some(&first) = ways.first() else { return Ok(EMPTY) };
        let class = match self.characters.after(self.ways[first as usize].part(), byte) {
            After::Nothing => return Ok(EMPTY),
            After::Whole(class) => Some(class),
            After::Part(_) => None,
        };
        if let Some(&known) = class.and_then(|class| self.whole.get(&(set, class))) {
            return Ok(known);
        }
        let mut found = Vec::new();
        for &way in &*ways {
            let before = Arc::clone(&self.ways[way as usize]);
            found.extend(self.after(&before, &before.state, byte, true)?);
            for turn in self.turns(way)?.into_iter().filter(|turn| !turn.cuts) {
                found.extend(self.after(&before, &turn.state, byte, true)?);
            }
        }
        let next = self.hopeful(found)?;
        if let Some(class) = class {
            self.whole.insert((set, class), next);
        }
        Ok(next)
    }

    /// The way after a byte of one that has turned to a state.
    fn after(&mut self, way: &Way, state: &State, byte: u8, in_token: bool) -> Result<Option<Way>> {
        let in_token = in_token || way.begun.is_some_and(|begun| begun.in_token);
        let (ended, begun) = match self.characters.after(way.part(), byte) {
            After::Nothing => return Ok(None),
            After::Whole(class) => (Some(self.characters.sample(class)), None),
            After::Part(part) => (None, Some(Begun { part, in_token })),
        };
        let state = self.levels.read(state, byte, ended, in_token)?;
        Ok(state.map(|state| Way { state, begun }))
    }

    fn turns(&mut self, way: u32) -> Result<Vec<Turn>> {
        let way = Arc::clone(&self.ways[way as usize]);
        self.levels.turns(&way.state, way.place())
    }

    fn closes(&mut self, way: u32) -> Result<bool> {
        let way = Arc::clone(&self.ways[way as usize]);
        Ok(way.begun.is_none() && self.levels.closes(&way.state)?)
    }

    /// The set of those ways that some text follows.
    fn hopeful(&mut self, ways: Vec<Way>) -> Result<SetId> {
        let mut kept = Vec::new();
        for way in ways {
            let id = self.way(way)?;
            if self.has_hope(id)? {
                kept.push(id);
            }
        }
        kept.sort_unstable();
        kept.dedup();
        Ok(self.set(kept))
    }

    /// Whether some text, perhaps none, follows a way: a search through all that may.
    fn has_hope(&mut self, id: u32) -> Result<bool> {
        if let Some(known) = self.hopes[id as usize] {
            return Ok(known);
        }
        let (mut seen, mut waiting) = (HashSet::from([id]), vec![id]);
        let mut hope = false;
        while let Some(id) = waiting.pop() {
            hope = self.hopes[id as usize] == Some(true)
                || self.closes(id)?
                || self.any_after(id, |known, after| {
                    if known.is_none() && seen.insert(after) {
                        waiting.push(after);
                    }
                    known == Some(true)
                })?;
            if hope {
                break;
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

    /// Whether a test holds of some way behind this one: of what is known of its hopes, and of itself.
    fn any_after(
        &mut self,
        id: u32,
        mut test: impl FnMut(Option<bool>, u32) -> bool,
    ) -> Result<bool> {
        let way = Arc::clone(&self.ways[id as usize]);
        let turns = self.turns(id)?;
        for before in turns.iter().map(|turn| &turn.state).chain([&way.state]) {
            for symbol in self.symbols(&way) {
                let after = match symbol {
                    Symbol::Byte(byte) => self.after(&way, before, byte, false)?,
                    Symbol::Whole(class) => {
                        let code = self.characters.sample(class);
                        let in_token = way.begun.is_some_and(|begun| begun.in_token);
                        let state = self.levels.read(before, 0, Some(code), in_token)?;
                        state.map(|state| Way { state, begun: None })
                    }
                };
                let Some(after) = after else { continue };
                let after = self.way(after)?;
                if test(self.hopes[after as usize], after) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What may come next, one of each sort: bytes where steps read them, else whole characters.
    fn symbols(&mut self, way: &Way) -> Vec<Symbol> {
        let part = way.part();
        if !self.levels.read_bytes() {
            let classes = match part {
                Some(part) => self.characters.classes(part).to_vec(),
                None => (0..self.characters.samples().len() as Class).collect(),
            };
            return classes.into_iter().map(Symbol::Whole).collect();
        }
        let Outlook { bytes, levels, characters, .. } = self;
        let known = bytes.entry(part).or_insert_with(|| {
            let (kinds, mut seen) = (levels.kinds_of_bytes(), HashSet::new());
            let mut is_new = |&byte: &u8| {
                let after = characters.after(part, byte);
                after != After::Nothing && seen.insert((after, kinds[usize::from(byte)]))
            };
            (0..=u8::MAX).filter(&mut is_new).collect()
        });
        known.iter().copied().map(Symbol::Byte).collect()
    }

    fn way(&mut self, way: Way) -> Result<u32> {
        if let Some(&id) = self.way_ids.get(&way) {
            return Ok(id);
        }
        if self.ways.len() == MOST_STATES {
            return Err(Error::Argument(format!(
                "the pre-tokenizer leaves more than {MOST_STATES} states open before a text's end"
            )));
        }
        let way = Arc::new(way);
        let id = self.ways.len() as u32;
        self.ways.push(Arc::clone(&way));
        self.hopes.push(None);
        self.way_ids.insert(way, id);
        Ok(id)
    }

    fn set(&mut self, ways: Vec<u32>) -> SetId {
        if let Some(&id) = self.set_ids.get(&ways[..]) {
            return id;
        }
        let ways: Arc<[u32]> = ways.into();
        let id = self.sets.len() as SetId;
        let empty = ways.is_empty();
        self.next.push([if empty { EMPTY } else { UNKNOWN }; 256]);
        let (turned, ends) = if empty { (EMPTY, Some(false)) } else { (UNKNOWN, None) };
        self.sets.push(Set { ways: Arc::clone(&ways), turned, ends });
        self.set_ids.insert(ways, id);
        id
    }
}

/// What comes next in a text.
#[derive(Debug, Clone, Copy)]
enum Symbol {
    Byte(u8),
    Whole(Class),
}
