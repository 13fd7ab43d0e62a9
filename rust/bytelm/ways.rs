//! The ways to cut a text that goes on, and what the pieces are so far.
//!
//! Some vocabularies have tokens that merging never makes: a piece is such a token when it has just
//! its bytes, and is then nothing else. So a piece that has been merged may not end with such bytes,
//! and behind such a token its piece ends. Beside each set of ways stands how far the bytes of the
//! piece go along the trie of these tokens. Where there are none, the ways are those of the
//! pre-tokenizer's [`Outlook`] and nothing is added.

use std::collections::HashMap;

use super::sorted::{Place, Sorted};
use super::trie::{Branch, NOTHING, ROOT, Trie};
use crate::Result;
use crate::pretokenize::outlook::{EMPTY, Outlook, SetId};

/// The piece is one of the tokens, and ends here.
const CLOSED: Branch = NOTHING - 1;

const UNKNOWN: SetId = SetId::MAX;

/// What may become of a text and of its last piece; grows with what it is asked.
#[derive(Debug)]
pub(super) struct Ways {
    outlook: Outlook,
    whole: Option<Whole>,
}

/// The tokens that are whole pieces only, and sets of ways by how far pieces go along them.
#[derive(Debug)]
struct Whole {
    /// In the order of their bytes.
    tokens: Vec<Place>,
    trie: Trie,
    sets: Vec<Set>,
    ids: HashMap<Vec<(Branch, SetId)>, SetId>,
}

#[derive(Debug)]
struct Set {
    parts: Vec<(Branch, SetId)>,
    next: Box<[SetId; 256]>,
}

impl Ways {
    /// The ways of a pre-tokenizer; `whole` are the tokens that are whole pieces only.
    pub fn new(outlook: Outlook, mut whole: Vec<Place>, sorted: &Sorted) -> Ways {
        if whole.is_empty() {
            return Ways { outlook, whole: None };
        }
        whole.sort_unstable();
        let bytes = |at: usize| sorted.bytes(whole[at]);
        let shared = |at: usize| {
            let before = if at == 0 { &[][..] } else { bytes(at - 1) };
            bytes(at).iter().zip(before).take_while(|(a, b)| a == b).count()
        };
        let shared: Vec<usize> = (0..whole.len()).map(shared).collect();
        let trie = Trie::new(&shared, |at| bytes(at as usize));
        let mut found = Whole { tokens: whole, trie, sets: Vec::new(), ids: HashMap::new() };
        found.set(Vec::new());
        Ways { outlook, whole: Some(found) }
    }

    /// The tokens that are whole pieces only.
    pub fn whole(&self) -> &[Place] {
        self.whole.as_ref().map_or(&[], |whole| &whole.tokens)
    }

    /// The ways of a text that has not begun.
    pub fn start(&mut self) -> SetId {
        let start = self.outlook.start();
        self.begun(start)
    }

    /// The ways of a text that begins inside of a character, behind these bytes of it: as if pieces
    /// ended there.
    pub fn start_inside(&mut self, character: &[u8]) -> Result<SetId> {
        let mut set = self.outlook.start();
        for &byte in character {
            set = self.outlook.step(set, byte)?;
            let turned = self.outlook.turn(set)?;
            set = self.outlook.join(set, turned);
        }
        Ok(self.begun(set))
    }

    /// Those with a piece that has not begun.
    fn begun(&mut self, set: SetId) -> SetId {
        match &mut self.whole {
            None => set,
            Some(_) if set == EMPTY => EMPTY,
            Some(whole) => whole.set(vec![(ROOT, set)]),
        }
    }

    /// The ways after another byte of the same piece.
    pub fn step(&mut self, set: SetId, byte: u8) -> Result<SetId> {
        let Ways { outlook, whole: Some(whole) } = self else {
            return self.outlook.step(set, byte);
        };
        let known = whole.sets[set as usize].next[usize::from(byte)];
        if known != UNKNOWN {
            return Ok(known);
        }
        let mut found = Vec::new();
        for (at, ways) in whole.sets[set as usize].parts.clone() {
            if at != CLOSED {
                found.push((whole.trie.child(at, byte), outlook.step(ways, byte)?));
            }
        }
        let next = whole.joined(outlook, found);
        whole.sets[set as usize].next[usize::from(byte)] = next;
        Ok(next)
    }

    /// The ways in which a piece ends here and another begins.
    pub fn turn(&mut self, set: SetId) -> Result<SetId> {
        let Ways { outlook, whole: Some(whole) } = self else {
            return self.outlook.turn(set);
        };
        let mut found = EMPTY;
        for ways in whole.merged(set) {
            let turned = outlook.turn(ways)?;
            found = outlook.join(found, turned);
        }
        Ok(self.begun(found))
    }

    /// Whether the text may end here.
    pub fn ends(&mut self, set: SetId) -> Result<bool> {
        let Ways { outlook, whole: Some(whole) } = self else {
            return self.outlook.ends(set);
        };
        for ways in whole.merged(set) {
            if outlook.ends(ways)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The ways of either set; both are of the same text.
    pub fn join(&mut self, one: SetId, other: SetId) -> SetId {
        match &mut self.whole {
            None => self.outlook.join(one, other),
            Some(whole) => {
                let parts = [one, other].map(|set| whole.sets[set as usize].parts.clone());
                whole.joined(&mut self.outlook, parts.concat())
            }
        }
    }

    /// The ways in which a piece that began with these bytes is one of the whole tokens.
    pub fn closed(&mut self, set: SetId) -> SetId {
        let Some(whole) = &mut self.whole else { return EMPTY };
        let parts = whole.sets[set as usize].parts.iter().map(|part| (CLOSED, part.1)).collect();
        whole.joined(&mut self.outlook, parts)
    }
}

impl Whole {
    /// The ways in which the piece may end: merged, it is none of the tokens.
    fn merged(&self, set: SetId) -> Vec<SetId> {
        let is_token = |at: Branch| at < CLOSED && !self.trie.exact(at).is_empty();
        let parts = self.sets[set as usize].parts.iter();
        parts.filter(|part| !is_token(part.0)).map(|part| part.1).collect()
    }

    /// The set of these parts, one for each place in the trie.
    fn joined(&mut self, outlook: &mut Outlook, mut parts: Vec<(Branch, SetId)>) -> SetId {
        parts.retain(|part| part.1 != EMPTY);
        parts.sort_unstable();
        parts.dedup_by(|next, before| {
            let same = next.0 == before.0;
            if same {
                before.1 = outlook.join(before.1, next.1);
            }
            same
        });
        self.set(parts)
    }

    fn set(&mut self, parts: Vec<(Branch, SetId)>) -> SetId {
        if let Some(&known) = self.ids.get(&parts) {
            return known;
        }
        let id = self.sets.len() as SetId;
        let next = Box::new([if parts.is_empty() { EMPTY } else { UNKNOWN }; 256]);
        self.sets.push(Set { parts: parts.clone(), next });
        self.ids.insert(parts, id);
        id
    }
}
