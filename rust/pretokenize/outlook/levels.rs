//! One way of cutting a text that is still being read: where each step stands.
//!
//! Each step cuts the pieces of the one before, and sees each as a text of its own. So a state holds
//! a level for each step; where the piece of a level ends, the levels below see the end of their text
//! and begin anew.
//!
//! A step that finds digits in the stand-ins of bytes cuts characters apart, so it and the steps
//! behind it read bytes, each as a character. Where a character has begun, they stand behind its
//! bytes, and the steps before them still in front of it.

use std::collections::HashSet;

use super::super::steps::{Finder, Stage, stands_for_number};
use super::super::{Behavior, Step};
use super::characters::Characters;
use crate::regex::{Regex, Walker};
use crate::{Error, Result};

/// Where every step stands, the first step first.
pub(super) type State = Vec<Level>;

/// Where a text stands: between two characters, or in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Between,
    Inside,
}

/// A digit and a letter, for bytes whose stand-ins are one.
const STAND_INS: [u32; 2] = ['a' as u32, '0' as u32];

/// States of a pattern after which it is taken to read more than ASCII.
const MOST_ASCII_STATES: usize = 1 << 12;

/// More ways than this to go on at one place are not looked at: with each step there are up to three
/// times as many, and published tokenizers have no more than a handful.
const MOST_WAYS: usize = 1 << 14;

/// Where one step stands in its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Level {
    part: Part,
    /// Whether the part has no character yet.
    fresh: bool,
    /// What look-behind knows of the character before.
    facts: u16,
    /// What has to become of matches that are no longer followed, in ascending order.
    debts: Vec<Debt>,
}

/// What a level stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    /// Between matches.
    Gap,
    /// In a match that stands in this state of the automaton.
    Match(u32),
}

/// An attempt at a match that stands in `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Debt {
    state: u32,
    due: Due,
}

/// Where a match has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Due {
    /// Before the next character, and nowhere later.
    Here,
    Nowhere,
    /// Here or later.
    Somewhere,
}

/// A way to go on at a place between two characters.
#[derive(Debug)]
pub(super) struct Turn {
    pub state: State,
    /// Whether a piece ends here.
    pub cuts: bool,
}

/// The steps, and the states of their automata.
#[derive(Debug)]
pub(super) struct Levels {
    stages: Vec<Searching>,
    /// The first of those that read bytes.
    bytewise: usize,
}

/// A step that finds by a pattern.
#[derive(Debug)]
struct Searching {
    pattern: Box<Regex>,
    walker: Walker,
    behavior: Behavior,
    invert: bool,
    /// Whether it finds digits in the stand-ins of bytes.
    stand_ins: bool,
}

impl Levels {
    pub fn new(steps: &[Step]) -> Result<Levels> {
        let mut levels = Levels { stages: Vec::new(), bytewise: 0 };
        let mut stages = Vec::new();
        for step in steps {
            let stand_ins = matches!(step, Step::Digits { stand_ins: true, .. });
            stages.extend(Stage::of(step)?.into_iter().map(|stage| (stage, stand_ins)));
        }
        levels.bytewise = stages.len();
        for (at, (stage, stand_ins)) in stages.into_iter().enumerate() {
            let Stage { finder, behavior, invert } = stage;
            let pattern = match finder {
                Finder::Pattern(pattern) => pattern,
                Finder::NumericStandIns => {
                    levels.bytewise = levels.bytewise.min(at);
                    Box::new(Regex::new("0")?)
                }
            };
            let walker = pattern.walker();
            let mut stage = Searching { pattern, walker, behavior, invert, stand_ins };
            if at > levels.bytewise && !stage.leaves_all_but_ascii()? {
                let pattern = stage.pattern.as_str();
                return Err(Error::Argument(format!(
                    "the pre-tokenizer finds {pattern:?} in pieces that cut characters apart: what \
                     it makes of a text that goes on is not known"
                )));
            }
            levels.stages.push(stage);
        }
        match levels.classes() {
            Some(_) => Ok(levels),
            None => Err(too_many_ways()),
        }
    }

    /// How many classes of characters there may be, if numbers reach so far.
    fn classes(&self) -> Option<u128> {
        let of = |stages: &[Searching]| {
            let kinds = stages.iter().map(|stage| stage.pattern.edge() as u128 + 1);
            kinds.into_iter().try_fold(1u128, u128::checked_mul)
        };
        let (characters, bytes) = self.stages.split_at(self.bytewise);
        // Up to four bytes, each of some kind or not there.
        of(characters)?.checked_mul(of(bytes)?.checked_add(1)?.checked_pow(4)?)
    }

    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether some steps read bytes.
    pub fn read_bytes(&self) -> bool {
        self.bytewise < self.stages.len()
    }

    /// The characters of texts, in classes that no pattern tells apart.
    pub fn characters(&self, has: impl Fn(char) -> bool) -> Characters {
        let kinds = self.kinds_of_bytes();
        let most = kinds.iter().max().map_or(0, |&most| most + 1);
        Characters::new(|char| {
            if !has(char) {
                return None;
            }
            let class = self.stages[..self.bytewise].iter().fold(0, |class, stage| {
                let kind = stage.pattern.kind(u32::from(char)) as u128;
                class * (stage.pattern.edge() as u128 + 1) + kind
            });
            if !self.read_bytes() {
                return Some(class);
            }
            let mut buffer = [0; 4];
            let bytes = char.encode_utf8(&mut buffer).as_bytes();
            // No character has more than four bytes.
            let kind = |at: usize| bytes.get(at).map_or(0, |&byte| kinds[usize::from(byte)] + 1);
            Some((0..4).fold(class, |class, at| class * (most + 1) + kind(at)))
        })
    }

    /// For each byte a number; the steps that read bytes do not tell two of one number apart.
    pub fn kinds_of_bytes(&self) -> [u128; 256] {
        std::array::from_fn(|byte| {
            self.stages[self.bytewise..].iter().fold(0, |class, stage| {
                class * (stage.pattern.edge() as u128 + 1) + stage.kind_of_byte(byte as u8) as u128
            })
        })
    }

    /// The states before a text.
    pub fn starts(&mut self) -> Result<Vec<State>> {
        let mut states = vec![Vec::new()];
        for stage in &mut self.stages {
            let starts = stage.starts();
            refuse_more(states.len().saturating_mul(starts.len()))?;
            states = joined(&states, &starts);
        }
        Ok(states)
    }

    /// The state after a byte, and after the character that it ends, if there is one; a token has
    /// nothing that a step removes.
    pub fn read(
        &mut self,
        state: &State,
        byte: u8,
        ended: Option<u32>,
        in_token: bool,
    ) -> Result<Option<State>> {
        let mut after = Vec::with_capacity(state.len());
        for (at, (stage, level)) in self.stages.iter_mut().zip(state).enumerate() {
            let kind = match ended {
                _ if at >= self.bytewise => stage.kind_of_byte(byte),
                Some(code) => stage.pattern.kind(code),
                None => {
                    after.push(level.clone());
                    continue;
                }
            };
            match stage.read(level, kind, in_token)? {
                Some(level) => after.push(level),
                None => return Ok(None),
            }
        }
        Ok(Some(after))
    }

    /// Whether the text may end here.
    pub fn closes(&mut self, state: &State) -> Result<bool> {
        for (stage, level) in self.stages.iter_mut().zip(state) {
            if !stage.closes(level)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The ways to go on here, but for that of changing nothing.
    pub fn turns(&mut self, state: &State, place: Place) -> Result<Vec<Turn>> {
        let mut turns = vec![(Vec::new(), false, false)];
        for (at, (stage, level)) in self.stages.iter_mut().zip(state).enumerate() {
            if place == Place::Inside && at < self.bytewise {
                turns.iter_mut().for_each(|turn| turn.0.push(level.clone()));
                continue;
            }
            let mut longer = Vec::new();
            let closes = stage.closes(level)?;
            for (before, cuts, changed) in turns {
                let mut push = |level: Level, cuts, changed| {
                    let state: State = before.iter().cloned().chain([level]).collect();
                    longer.push((state, cuts, changed));
                };
                if cuts {
                    // The piece of the step before ends, and with it the text of this one.
                    let starts = if closes { stage.starts() } else { Vec::new() };
                    starts.into_iter().for_each(|level| push(level, true, true));
                    continue;
                }
                push(level.clone(), false, changed);
                stage.turns(level).into_iter().for_each(|(level, cuts)| push(level, cuts, true));
            }
            refuse_more(longer.len())?;
            turns = longer;
        }
        let turns = turns.into_iter().filter(|(.., changed)| *changed);
        Ok(turns.map(|(state, cuts, _)| Turn { state, cuts }).collect())
    }
}

fn refuse_more(ways: usize) -> Result<()> {
    if ways > MOST_WAYS { Err(too_many_ways()) } else { Ok(()) }
}

fn too_many_ways() -> Error {
    Error::Argument(format!(
        "the steps of the pre-tokenizer leave more than {MOST_WAYS} ways to go on at one place of a \
         text: of these semantics only 'all' does without"
    ))
}

/// Each state with each level behind it.
fn joined(states: &[State], levels: &[Level]) -> Vec<State> {
    let with =
        |state: &State, level: &Level| -> State { state.iter().chain([level]).cloned().collect() };
    states.iter().flat_map(|state| levels.iter().map(|level| with(state, level))).collect()
}

impl Searching {
    /// The kind of a byte that is read as a character.
    fn kind_of_byte(&self, byte: u8) -> usize {
        self.pattern.kind(match byte {
            _ if self.stand_ins => STAND_INS[usize::from(stands_for_number(byte))],
            0..=0x7F => u32::from(byte),
            // One of those that are not told apart.
            _ => 0x80,
        })
    }

    /// Whether the pattern neither matches nor tells apart any but ASCII characters, so that it makes
    /// no difference whether others are read byte by byte.
    fn leaves_all_but_ascii(&mut self) -> Result<bool> {
        let pattern = &self.pattern;
        let other = pattern.kind(0x80);
        if (0x80..=0x10_FFFF).any(|code| pattern.kind(code) != other) {
            return Ok(false);
        }
        let ascii: HashSet<usize> = (0..0x80).map(|code| pattern.kind(code)).collect();
        let before = ascii.iter().copied().chain([other, pattern.edge()]);
        let starts = before.map(|kind| self.walker.start(pattern, pattern.facts_after(kind)));
        let mut seen: HashSet<u32> = starts.collect();
        let mut waiting: Vec<u32> = seen.iter().copied().collect();
        for &start in &waiting {
            // An empty match would cut what it stands in.
            if self.walker.step(pattern, start, other)?.0 {
                return Ok(false);
            }
        }
        while let Some(state) = waiting.pop() {
            if seen.len() > MOST_ASCII_STATES
                || self.walker.step(pattern, state, other)?.1.is_some()
            {
                return Ok(false);
            }
            for &kind in &ascii {
                let next = self.walker.step(pattern, state, kind)?.1;
                waiting.extend(next.filter(|&next| seen.insert(next)));
            }
        }
        Ok(true)
    }

    /// The ways to begin a text.
    fn starts(&mut self) -> Vec<Level> {
        let facts = self.pattern.facts_after(self.pattern.edge());
        let before = Level { part: Part::Gap, fresh: true, facts, debts: Vec::new() };
        self.searches(&before)
    }

    /// The ways of a search for the next match that begins here: it is found here, or there is
    /// none here, or an empty one, which the search leaves behind and which comes last.
    fn searches(&mut self, level: &Level) -> Vec<Level> {
        let state = self.walker.start(&self.pattern, level.facts);
        let at = |part, due: Option<Due>| {
            let mut debts = level.debts.clone();
            debts.extend(due.map(|due| Debt { state, due }));
            Level { part, fresh: true, facts: level.facts, debts }
        };
        let none = at(Part::Gap, Some(Due::Nowhere));
        match self.pattern.finds_places() {
            true => vec![none, at(Part::Gap, Some(Due::Somewhere))],
            false => vec![at(Part::Match(state), None), none, at(Part::Gap, Some(Due::Here))],
        }
    }

    /// The ways to begin another part here, each with whether a piece ends.
    fn turns(&mut self, level: &Level) -> Vec<(Level, bool)> {
        if level.fresh {
            return Vec::new();
        }
        let to_match = |is_match| self.cuts(is_match, true);
        match level.part {
            Part::Match(state) => {
                let (again, gap) = (to_match(true), self.cuts(true, false));
                let mut ended = level.clone();
                ended.debts.push(Debt { state, due: Due::Here });
                let cuts = |level: &Level| if level.part == Part::Gap { gap } else { again };
                let found = self.searches(&ended).into_iter();
                found
                    .map(|level| (cuts(&level), level))
                    .map(|(cuts, level)| (level, cuts))
                    .collect()
            }
            Part::Gap => {
                let (found, left) = (to_match(false), self.cuts(true, false));
                let mut searches = self.searches(level);
                // A match here ends the gap, and so does an empty one; without any it goes on.
                let empty = searches.pop().map(|level| (level, found || left));
                let matched = searches.into_iter().filter(|level| level.part != Part::Gap);
                matched.map(|level| (level, found)).chain(empty).collect()
            }
        }
    }

    /// Whether a piece ends between two parts, which are matches or gaps.
    fn cuts(&self, before_is_match: bool, after_is_match: bool) -> bool {
        let delimiter = |is_match: bool| is_match != self.invert;
        let (before, after) = (delimiter(before_is_match), delimiter(after_is_match));
        match self.behavior {
            Behavior::Isolated | Behavior::Removed => true,
            Behavior::Contiguous => before != after,
            Behavior::MergedWithPrevious => before || !after,
            Behavior::MergedWithNext => !before || after,
        }
    }

    /// The level after a character of a kind.
    fn read(&mut self, level: &Level, kind: usize, in_token: bool) -> Result<Option<Level>> {
        let is_delimiter = (level.part != Part::Gap) != self.invert;
        if in_token && is_delimiter && self.behavior == Behavior::Removed {
            return Ok(None);
        }
        let mut debts = Vec::with_capacity(level.debts.len() + 1);
        let unmatched = match level.part {
            Part::Gap if !level.fresh => {
                let state = self.walker.start(&self.pattern, level.facts);
                Some(Debt { state, due: Due::Nowhere })
            }
            _ => None,
        };
        for debt in level.debts.iter().copied().chain(unmatched) {
            let (matched, next) = self.walker.step(&self.pattern, debt.state, kind)?;
            let due = match (debt.due, matched) {
                (Due::Somewhere, true) => continue,
                (Due::Somewhere, false) if next.is_some() => Due::Somewhere,
                (Due::Here, true) | (Due::Nowhere, false) => Due::Nowhere,
                _ => return Ok(None),
            };
            debts.extend(next.map(|state| Debt { state, due }));
        }
        let part = match level.part {
            Part::Gap => Part::Gap,
            Part::Match(state) => match self.walker.step(&self.pattern, state, kind)? {
                (_, Some(state)) => Part::Match(state),
                (_, None) => return Ok(None),
            },
        };
        debts.sort_unstable();
        debts.dedup();
        let facts = self.pattern.facts_after(kind);
        Ok(Some(Level { part, fresh: false, facts, debts }))
    }

    /// Whether the text of the level may end here.
    fn closes(&mut self, level: &Level) -> Result<bool> {
        let edge = self.pattern.edge();
        let mut owed = level.debts.clone();
        match level.part {
            Part::Match(_) if level.fresh => return Ok(false),
            Part::Match(state) => owed.push(Debt { state, due: Due::Here }),
            Part::Gap => {}
        }
        for debt in owed {
            if self.walker.step(&self.pattern, debt.state, edge)?.0 != (debt.due != Due::Nowhere) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
