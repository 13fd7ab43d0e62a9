//! The tokens that are text, in the order of their bytes: those that begin alike are neighbours.

use std::ops::Range;

use crate::token::{Kind, TokenId};
use crate::vocab::Vocab;

/// The place of a token in the order.
pub type Place = u32;

/// Tokens in byte order; tokens of the same bytes are neighbours, by id.
#[derive(Debug)]
pub struct Sorted {
    ids: Vec<TokenId>,
    /// The ids by first byte, and those of a first byte in ascending order.
    grouped: Vec<TokenId>,
    /// The bytes of all tokens, in order.
    arena: Vec<u8>,
    offsets: Vec<u32>,
    /// How many bytes a token shares with the one before.
    shared: Vec<u32>,
    /// Where the tokens of each first byte begin.
    first: [Place; 257],
    /// The place of each id; [`NOWHERE`] for what is no text.
    places: Vec<Place>,
}

/// The place of what is no text.
pub const NOWHERE: Place = Place::MAX;

impl Sorted {
    /// The order of a vocabulary. Special tokens, tokens without bytes and the `ends` of a text are
    /// no text.
    pub fn new(vocab: &Vocab, ends: &[TokenId]) -> Sorted {
        let bytes = |id: TokenId| vocab.token_bytes(id).unwrap_or_default();
        let is_text = |id: &TokenId| {
            let kind = vocab.kind(*id);
            kind != Kind::HOLE
                && !kind.has(Kind::SPECIAL)
                && !bytes(*id).is_empty()
                && !ends.contains(id)
        };
        let mut ids: Vec<TokenId> = (0..vocab.len() as TokenId).filter(is_text).collect();
        ids.sort_by_key(|&id| (bytes(id), id));
        let mut sorted = Sorted {
            arena: Vec::new(),
            offsets: vec![0],
            shared: Vec::with_capacity(ids.len()),
            first: [0; 257],
            places: vec![NOWHERE; vocab.len()],
            ids: Vec::new(),
            grouped: Vec::new(),
        };
        let mut before: &[u8] = &[];
        for (place, &id) in ids.iter().enumerate() {
            let token = bytes(id);
            let shared = token.iter().zip(before).take_while(|(a, b)| a == b).count();
            sorted.shared.push(shared as u32);
            sorted.arena.extend_from_slice(token);
            sorted.offsets.push(sorted.arena.len() as u32);
            sorted.first[usize::from(token[0]) + 1] = place as Place + 1;
            sorted.places[id as usize] = place as Place;
            before = token;
        }
        for byte in 1..257 {
            sorted.first[byte] = sorted.first[byte].max(sorted.first[byte - 1]);
        }
        sorted.grouped.clone_from(&ids);
        for bounds in sorted.first.windows(2) {
            sorted.grouped[bounds[0] as usize..bounds[1] as usize].sort_unstable();
        }
        sorted.ids = ids;
        sorted
    }

    /// The number of tokens that are text.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The ids in byte order.
    pub fn ids(&self) -> &[TokenId] {
        &self.ids
    }

    /// The ids of the tokens of a first byte, in ascending order.
    pub fn group(&self, byte: u8) -> &[TokenId] {
        let bounds = [self.first[usize::from(byte)], self.first[usize::from(byte) + 1]];
        &self.grouped[bounds[0] as usize..bounds[1] as usize]
    }

    /// The id at a place.
    pub fn id(&self, place: Place) -> TokenId {
        self.ids[place as usize]
    }

    /// The place of an id, if it is text.
    pub fn place(&self, id: TokenId) -> Option<Place> {
        self.places.get(id as usize).copied().filter(|&place| place != NOWHERE)
    }

    /// The bytes of the token at a place.
    pub fn bytes(&self, place: Place) -> &[u8] {
        let at = place as usize;
        &self.arena[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }

    /// How many bytes the token at a place shares with the one before.
    pub fn shared(&self, place: Place) -> usize {
        self.shared[place as usize] as usize
    }

    /// All places.
    pub fn all(&self) -> Range<Place> {
        0..self.len() as Place
    }

    /// Of tokens that begin alike for `depth` bytes, those that are these bytes and no more.
    pub fn exact(&self, range: &Range<Place>, depth: usize) -> Range<Place> {
        let ends = |place: &Place| self.bytes(*place).len() == depth;
        let count = range.clone().take_while(ends).count() as Place;
        range.start..range.start + count
    }

    /// Of tokens that begin alike for `depth` bytes, those that have this byte next.
    pub fn narrow(&self, range: &Range<Place>, depth: usize, byte: u8) -> Range<Place> {
        if depth == 0 && *range == self.all() {
            return self.first[usize::from(byte)]..self.first[usize::from(byte) + 1];
        }
        let low = self.split(range, depth, u16::from(byte));
        low..self.split(&(low..range.end), depth, u16::from(byte) + 1)
    }

    /// Calls `visit` with each next byte of tokens that begin alike for `depth` bytes, and which
    /// tokens have it.
    pub fn each_next(
        &self,
        range: &Range<Place>,
        depth: usize,
        mut visit: impl FnMut(u8, Range<Place>),
    ) {
        let mut at = self.exact(range, depth).end;
        while at < range.end {
            let byte = self.bytes(at)[depth];
            let end = self.split(&(at..range.end), depth, u16::from(byte) + 1);
            visit(byte, at..end);
            at = end;
        }
    }

    /// The first place in the range whose byte at `depth` is not below `bound`, by steps that
    /// double: most ranges are short.
    fn split(&self, range: &Range<Place>, depth: usize, bound: u16) -> Place {
        let below =
            |place: Place| self.bytes(place).get(depth).is_none_or(|&byte| u16::from(byte) < bound);
        let (mut low, mut step) = (range.start, 1);
        while low + step <= range.end && below(low + step - 1) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step - 1).min(range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if below(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
