//! Which bytes may follow a text so that a match of the whole can still be reached.
//!
//! A place is a state of the automaton and the bytes of a character that has begun. For each byte
//! that may follow, and for the end, it is known how many bytes the shortest whole match that begins
//! so has left ([`super::distance`]), so nobody is led where no match is, nor where none is short
//! enough. Places are made as they are met; one costs a step of the automaton for each kind of
//! character.

use std::collections::HashMap;
use std::sync::Arc;

use super::Regex;
use super::distance::{Distances, NEVER};
use super::walk::Walker;
use crate::utf8::{Prefix, prefix};
use crate::{Error, Result};

/// The number of a place in a [`Guide`].
pub type PlaceId = u32;

/// The bytes, and the end of the text.
const OUTCOMES: usize = 257;

/// The outcome that the text ends.
const END: usize = 256;

/// Most bytes that places may take.
const MOST_BYTES: usize = 256 << 20;

/// The least number of bytes that each outcome and what has to follow it take; nothing that may
/// follow is as long as [`u32::MAX`].
pub type Needs = Arc<[u32; OUTCOMES]>;

/// Walks along texts that are to match a pattern as a whole; grows with what it is asked.
#[derive(Debug)]
pub struct Guide {
    regex: Regex,
    walker: Walker,
    distances: Distances,
    places: Vec<Place>,
    ids: HashMap<(u32, Vec<u8>), PlaceId>,
    /// For the first bytes of a character, the kinds of those that begin so.
    kinds: HashMap<Vec<u8>, Arc<[usize]>>,
    bytes: usize,
}

#[derive(Debug)]
struct Place {
    state: u32,
    /// The bytes of a character that has begun.
    partial: Vec<u8>,
    needs: Option<Needs>,
}

impl Guide {
    /// The guide of a pattern, which has to match whole texts of UTF-8.
    ///
    /// # Errors
    /// [`Error::Pattern`] for a pattern that cannot run.
    pub fn new(pattern: &str) -> Result<Guide> {
        let regex = Regex::whole(pattern)?;
        let distances = Distances::new(&regex.program, &widths(&regex));
        let distances = distances.ok_or_else(|| Error::Pattern {
            pattern: pattern.to_owned(),
            offset: 0,
            reason: "the pattern is too large for its look-around".into(),
        })?;
        let mut walker = regex.walker();
        let state = walker.start(&regex, regex.facts_after(regex.edge()));
        let mut guide = Guide {
            regex,
            walker,
            distances,
            places: Vec::new(),
            ids: HashMap::new(),
            kinds: HashMap::new(),
            bytes: 0,
        };
        guide.place(state, Vec::new())?;
        Ok(guide)
    }

    /// The place before the first byte.
    pub fn start(&self) -> PlaceId {
        0
    }

    /// What each outcome needs; the end needs nothing where the text may end.
    ///
    /// # Errors
    /// [`Error::Argument`] for a place that is none, or when the pattern has too many states.
    pub fn needs(&mut self, place: PlaceId) -> Result<Needs> {
        let Place { state, partial, needs } = self.get(place)?;
        if let Some(known) = needs {
            return Ok(Arc::clone(known));
        }
        let (state, partial) = (*state, partial.clone());
        let mut kinds = Vec::with_capacity(self.regex.edge());
        for kind in 0..self.regex.edge() {
            let (_, next) = self.walker.step(&self.regex, state, kind)?;
            kinds.push(next.map_or(NEVER, |next| self.walker.distance(&self.distances, next)));
        }
        let mut needs = [NEVER; OUTCOMES];
        for byte in 0..=u8::MAX {
            let mut begun = partial.clone();
            begun.push(byte);
            let (missing, rest) = match prefix(&begun) {
                Prefix::Wrong => continue,
                Prefix::Whole(code) => (1, kinds[self.regex.kind(code)]),
                Prefix::Part(_) => {
                    let missing = width(begun[0]) - partial.len() as u32;
                    let found = self.kinds_of(begun);
                    (missing, found.iter().map(|&kind| kinds[kind]).min().unwrap_or(NEVER))
                }
            };
            needs[usize::from(byte)] = missing.saturating_add(rest);
        }
        if partial.is_empty() && self.walker.step(&self.regex, state, self.regex.edge())?.0 {
            needs[END] = 0;
        }
        let needs = Arc::new(needs);
        self.bytes += size_of_val(&*needs);
        self.places[place as usize].needs = Some(Arc::clone(&needs));
        Ok(needs)
    }

    /// The place after another byte, if a match can still be reached from there.
    ///
    /// # Errors
    /// [`Error::Argument`] for a place that is none, or when the pattern has too many states.
    pub fn after(&mut self, place: PlaceId, byte: u8) -> Result<Option<PlaceId>> {
        if self.needs(place)?[usize::from(byte)] == NEVER {
            return Ok(None);
        }
        let Place { state, partial, .. } = self.get(place)?;
        let (state, mut begun) = (*state, partial.clone());
        begun.push(byte);
        let Prefix::Whole(code) = prefix(&begun) else {
            return self.place(state, begun).map(Some);
        };
        let (_, next) = self.walker.step(&self.regex, state, self.regex.kind(code))?;
        next.map(|next| self.place(next, Vec::new())).transpose()
    }

    fn get(&self, place: PlaceId) -> Result<&Place> {
        let found = self.places.get(place as usize);
        found.ok_or_else(|| Error::Argument(format!("place {place} is none of this pattern")))
    }

    fn place(&mut self, state: u32, partial: Vec<u8>) -> Result<PlaceId> {
        let key = (state, partial);
        if let Some(&known) = self.ids.get(&key) {
            return Ok(known);
        }
        if self.bytes > MOST_BYTES {
            return Err(self.walker.too_many(&self.regex));
        }
        let id = self.places.len() as PlaceId;
        self.bytes += 2 * (size_of::<Place>() + key.1.len());
        self.places.push(Place { state, partial: key.1.clone(), needs: None });
        self.ids.insert(key, id);
        Ok(id)
    }

    /// The kinds of the characters that begin with these bytes, in ascending order.
    fn kinds_of(&mut self, begun: Vec<u8>) -> Arc<[usize]> {
        if let Some(known) = self.kinds.get(&begun) {
            return Arc::clone(known);
        }
        let Prefix::Part(codes) = prefix(&begun) else { return Arc::from([]) };
        let chars = codes.filter_map(char::from_u32);
        let mut seen = vec![false; self.regex.edge()];
        chars.for_each(|char| seen[self.regex.kind(u32::from(char))] = true);
        let found: Arc<[usize]> = (0..seen.len()).filter(|&kind| seen[kind]).collect();
        self.bytes += size_of_val(&*found) + size_of::<Vec<u8>>() * 2;
        self.kinds.insert(begun, Arc::clone(&found));
        found
    }
}

/// How many bytes a character has that begins with this byte.
fn width(lead: u8) -> u32 {
    match lead {
        0..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    }
}

/// For each kind, the bytes of its shortest character.
fn widths(regex: &Regex) -> Vec<u32> {
    let mut widths = vec![NEVER; regex.edge()];
    for char in (0..=0x10_FFFF).rev().filter_map(char::from_u32) {
        widths[regex.kind(u32::from(char))] = char.len_utf8() as u32;
    }
    widths
}
