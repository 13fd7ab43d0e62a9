//! The tokens that are text, in the order of their bytes: those that begin alike are neighbours.

use std::ops::Range;

use super::trie::Trie;
use crate::token::{Kind, TokenId};
use crate::vocab::Vocab;

/// The place of a token in the order.
pub type Place = u32;

/// Tokens in byte order; tokens of the same bytes are neighbours, by id.
#[derive(Debug)]
pub struct Sorted {
    ids: Vec<TokenId>,
    /// As sets, the ids of first bytes that many tokens have.
    dense: Vec<(u8, Vec<u64>)>,
    /// The bytes of all tokens, in order.
    arena: Vec<u8>,
    offsets: Vec<u32>,
    trie: Trie,
    /// Where the tokens of each first byte begin.
    first: [Place; 257],
    /// The place of each id; [`NOWHERE`] for what is no text.
    places: Vec<Place>,
}

/// Tokens that begin alike.
#[derive(Debug, Clone, Copy)]
pub enum Group<'a> {
    /// One after the other.
    Ids(&'a [TokenId]),
    /// As a bit for each id.
    Bits(&'a [u64]),
}

/// A group with more than one token in so many ids is read as bits.
const SPARSE: usize = 8;

/// The place of what is no text.
pub const NOWHERE: Place = Place::MAX;

/// Whether a token stands for bytes of a text.
pub(super) fn is_text(vocab: &Vocab, id: TokenId) -> bool {
    let kind = vocab.kind(id);
    let bytes = || vocab.token_bytes(id).unwrap_or_default();
    kind != Kind::HOLE && !kind.has(Kind::SPECIAL) && !bytes().is_empty()
}

impl Sorted {
    /// The order of a vocabulary. Special tokens, tokens without bytes and the `ends` of a text are
    /// no text.
    pub fn new(vocab: &Vocab, ends: &[TokenId]) -> Sorted {
        let bytes = |id: TokenId| vocab.token_bytes(id).unwrap_or_default();
        let is_text = |id: &TokenId| is_text(vocab, *id) && !ends.contains(id);
        let mut ids: Vec<TokenId> = (0..vocab.len() as TokenId).filter(is_text).collect();
        ids.sort_by_key(|&id| (bytes(id), id));
        let mut sorted = Sorted {
            arena: Vec::new(),
            offsets: vec![0],
            first: [0; 257],
            places: vec![NOWHERE; vocab.len()],
            ids: Vec::new(),
            dense: Vec::new(),
            trie: Trie::new(&[], |_| &[]),
        };
        let mut shared = Vec::with_capacity(ids.len());
        let mut before: &[u8] = &[];
        for (place, &id) in ids.iter().enumerate() {
            let token = bytes(id);
            shared.push(token.iter().zip(before).take_while(|(a, b)| a == b).count());
            sorted.arena.extend_from_slice(token);
            sorted.offsets.push(sorted.arena.len() as u32);
            sorted.first[usize::from(token[0]) + 1] = place as Place + 1;
            sorted.places[id as usize] = place as Place;
            before = token;
        }
        for byte in 1..257 {
            sorted.first[byte] = sorted.first[byte].max(sorted.first[byte - 1]);
        }
        for (byte, bounds) in sorted.first.windows(2).enumerate() {
            let group = &ids[bounds[0] as usize..bounds[1] as usize];
            if group.len() > vocab.len() / SPARSE {
                let mut bits = vec![0; vocab.len().div_ceil(64)];
                group.iter().for_each(|&id| bits[id as usize / 64] |= 1 << (id % 64));
                sorted.dense.push((byte as u8, bits));
            }
        }
        sorted.ids = ids;
        sorted.trie = Trie::new(&shared, |place| sorted.bytes(place));
        sorted
    }

    /// The number of tokens that are text.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The number of ids, text or not.
    pub fn ids_len(&self) -> usize {
        self.places.len()
    }

    /// The ids of a range.
    pub fn ids_of(&self, range: &Range<Place>) -> &[TokenId] {
        &self.ids[range.start as usize..range.end as usize]
    }

    /// The tokens of a first byte.
    pub fn group(&self, byte: u8) -> Group<'_> {
        if let Some((_, bits)) = self.dense.iter().find(|dense| dense.0 == byte) {
            return Group::Bits(bits);
        }
        Group::Ids(self.ids_of(&self.beginning(byte)))
    }

    /// The places of the tokens of a first byte.
    pub fn beginning(&self, byte: u8) -> Range<Place> {
        self.first[usize::from(byte)]..self.first[usize::from(byte) + 1]
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

    /// The same order as a trie.
    pub fn trie(&self) -> &Trie {
        &self.trie
    }
}
