//! The vocabulary: ids to bytes in one arena, bytes to ids in one hash table.
//!
//! Decoding copies 16 bytes a token whatever its length and then advances by the length, so the
//! common token costs one load and one store; longer tokens take a second path.

use crate::error::{Error, Result};
use crate::key::{self, Key};
use crate::simd::{huge, prefetch};
use crate::token::{Kind, MAX_IDS, TokenId};

/// Bytes of an entry of the decoding table, of which the last is the length.
const ENTRY: usize = 16;
const VACANT: u32 = u32::MAX;
/// An entry of the index: an id, and above it bits of the hash that spare most comparisons.
const ID_MASK: u32 = (1 << 21) - 1;

/// All tokens of a tokenizer, by id and by bytes.
#[derive(Debug)]
pub struct Vocab {
    arena: Vec<u8>,
    offsets: Vec<u32>,
    kinds: Vec<u8>,
    inline: huge::Table<Key>,
    /// Bytes of the longest token.
    longest: usize,
    by_bytes: huge::Table<u32>,
}

impl Vocab {
    /// Takes `offsets.len() - 1` tokens: token `i` is `arena[offsets[i]..offsets[i + 1]]`.
    pub fn new(arena: Vec<u8>, offsets: Vec<u32>, kinds: Vec<u8>) -> Result<Vocab> {
        let size = kinds.len();
        if size > MAX_IDS {
            return Err(Error::Definition(format!(
                "{size} token ids: at most {MAX_IDS} are allowed"
            )));
        }
        if offsets.len() != size + 1 {
            return Err(Error::Definition(format!(
                "{} offsets for {size} tokens: one more offset than tokens is needed",
                offsets.len()
            )));
        }
        let ascending = offsets.windows(2).all(|w| w[0] <= w[1]);
        if offsets[0] != 0 || !ascending || offsets[size] as usize != arena.len() {
            return Err(Error::Definition(
                "token offsets must rise from 0 to the length of the token bytes".into(),
            ));
        }
        let mut inline = huge::Table::filled(size, Key::default());
        // A hole has no bytes, whatever the arena says, and an empty entry sends decoding to look.
        let spans = offsets.windows(2).zip(&kinds).map(|(span, &kind)| match Kind(kind) {
            Kind::HOLE => 0..0,
            _ => span[0] as usize..span[1] as usize,
        });
        inline.iter_mut().zip(spans).for_each(|(entry, span)| *entry = inline_entry(&arena[span]));
        let longest = offsets.windows(2).map(|w| (w[1] - w[0]) as usize).max().unwrap_or(0);
        let by_bytes = huge::Table::filled(0, VACANT);
        let mut vocab = Vocab { arena, offsets, kinds, inline, longest, by_bytes };
        vocab.by_bytes = vocab.index();
        Ok(vocab)
    }

    /// One more than the largest id.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// What the token is; a hole for ids outside the vocabulary.
    pub fn kind(&self, id: TokenId) -> Kind {
        self.kinds.get(id as usize).map_or(Kind::HOLE, |&bits| Kind(bits))
    }

    /// The bytes that a token stands for.
    pub fn token_bytes(&self, id: TokenId) -> Result<&[u8]> {
        if self.kind(id) == Kind::HOLE {
            return Err(self.unknown(i64::from(id)));
        }
        Ok(self.slice(id as usize))
    }

    /// Bytes of the longest token.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The id of a token: the model's if there is one, else the lowest.
    pub fn token_id(&self, bytes: &[u8]) -> Option<TokenId> {
        match bytes.len() {
            len if len > self.longest => None,
            len if len > key::MOST => self.token_of_hash(bytes, key::hash(bytes)),
            _ => {
                let key = Key::new(bytes);
                self.token_of_key(key, key.hash())
            }
        }
    }

    /// The id of a token of more than [`key::MOST`] bytes, from its hash.
    pub(crate) fn token_of_hash(&self, bytes: &[u8], hash: u64) -> Option<TokenId> {
        self.find(hash, |id| {
            self.inline[id as usize] == Key::NONE && self.slice(id as usize) == bytes
        })
    }

    /// The id of a token, from its key and its hash.
    #[inline]
    pub(crate) fn token_of_key(&self, key: Key, hash: u64) -> Option<TokenId> {
        self.find(hash, |id| self.inline[id as usize] == key)
    }

    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(TokenId) -> bool) -> Option<TokenId> {
        let mask = self.by_bytes.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.by_bytes[slot];
            if entry == VACANT {
                return None;
            }
            let id = entry & ID_MASK;
            if entry & !ID_MASK == tag(hash) && is_it(id) {
                return Some(id);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Starts loading what is read first to find a token of this hash.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        prefetch(&self.by_bytes, hash as usize & (self.by_bytes.len() - 1));
    }

    /// Starts loading what is read then.
    #[inline]
    pub(crate) fn prefetch_token(&self, hash: u64) {
        let entry = self.by_bytes[hash as usize & (self.by_bytes.len() - 1)];
        if entry != VACANT && entry & !ID_MASK == tag(hash) {
            prefetch(&self.inline, (entry & ID_MASK) as usize);
        }
    }

    /// Appends the bytes of `ids` to `out`; on error, `out` is as it was.
    pub fn decode(&self, ids: &[i32], out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        self.decode_all(ids, out).inspect_err(|_| out.truncate(before))
    }

    fn decode_all(&self, ids: &[i32], out: &mut Vec<u8>) -> Result<()> {
        const IDS: usize = 256;
        const LONG: u8 = u8::MAX;
        let mut block = [0u8; (IDS + 1) * ENTRY];
        for chunk in ids.chunks(IDS) {
            let mut filled = 0;
            for &id in chunk {
                let Some(entry) = self.inline.get(id as usize) else {
                    return Err(self.unknown(i64::from(id)));
                };
                let entry = entry.to_bytes();
                block[filled..filled + ENTRY].copy_from_slice(&entry);
                match entry[ENTRY - 1] {
                    LONG => {
                        out.extend_from_slice(&block[..filled]);
                        filled = 0;
                        out.extend_from_slice(self.slice(id as usize));
                    }
                    0 if self.kinds[id as usize] == 0 => return Err(self.unknown(i64::from(id))),
                    len => filled += len as usize,
                }
            }
            out.extend_from_slice(&block[..filled]);
        }
        Ok(())
    }

    fn unknown(&self, id: i64) -> Error {
        Error::UnknownToken { id, size: self.len() }
    }

    fn slice(&self, id: usize) -> &[u8] {
        &self.arena[self.offsets[id] as usize..self.offsets[id + 1] as usize]
    }

    /// Open addressing over ids; model tokens go in first so that they win, and characters before
    /// the byte tokens that spell the same.
    fn index(&self) -> huge::Table<u32> {
        let slots = (2 * self.len()).next_power_of_two().max(2);
        let mut table = huge::Table::filled(slots, VACANT);
        let plain = |id: &u32| self.kind(*id).has(Kind::MODEL) && !self.kind(*id).has(Kind::BYTE);
        let ids = 0..self.len() as u32;
        let others = ids.clone().filter(|id| self.kind(*id) != Kind::HOLE && !plain(id));
        for id in ids.filter(plain).chain(others) {
            let bytes = self.slice(id as usize);
            let hash = key::hash(bytes);
            let mut slot = hash as usize & (slots - 1);
            let differs = |entry: u32| {
                entry & !ID_MASK != tag(hash) || self.slice((entry & ID_MASK) as usize) != bytes
            };
            while table[slot] != VACANT && differs(table[slot]) {
                slot = (slot + 1) & (slots - 1);
            }
            if table[slot] == VACANT {
                table[slot] = tag(hash) | id;
            }
        }
        table
    }
}

fn inline_entry(bytes: &[u8]) -> Key {
    if bytes.len() <= key::MOST { Key::new(bytes) } else { Key::NONE }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & !ID_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens with kinds; the bytes of a hole are there but belong to no token.
    fn vocab(tokens: &[(&[u8], u8)]) -> Vocab {
        let mut offsets = vec![0];
        tokens.iter().for_each(|(bytes, _)| {
            offsets.push(offsets[offsets.len() - 1] + bytes.len() as u32);
        });
        let (arena, kinds): (Vec<&[u8]>, Vec<u8>) = tokens.iter().copied().unzip();
        Vocab::new(arena.concat(), offsets, kinds).expect("offsets of the tokens")
    }

    const LONG_TOKEN: &[u8] = b"a token of more than fifteen bytes";

    fn sample() -> Vocab {
        vocab(&[
            (b"ab", Kind::ADDED),
            (b"ab", Kind::MODEL),
            (b"ab", Kind::MODEL),
            (b"", 0),
            (b"a hole", 0),
            (b"a hole of more than fifteen bytes", 0),
            (b"", Kind::MODEL),
            (LONG_TOKEN, Kind::MODEL),
            (b"fifteen bytes..", Kind::MODEL),
            (b"sixteen bytes...", Kind::MODEL),
            (b"x", Kind::MODEL | Kind::BYTE),
            (b"x", Kind::MODEL),
            (b"y", Kind::MODEL | Kind::BYTE),
        ])
    }

    #[test]
    fn bytes_are_the_model_s_token_of_lowest_id() {
        let vocab = sample();
        let ids =
            [&b"ab"[..], b"", LONG_TOKEN, b"fifteen bytes..", b"sixteen bytes...", b"x", b"y"]
                .map(|bytes| vocab.token_id(bytes));
        assert_eq!(ids, [1, 6, 7, 8, 9, 11, 12].map(Some));
        for bytes in [&b"a hole"[..], b"b", b"abc", &LONG_TOKEN[1..], b"fifteen bytes"] {
            assert_eq!(vocab.token_id(bytes), None);
        }
    }

    #[test]
    fn every_token_of_a_full_table_is_found() {
        let tokens: Vec<Vec<u8>> =
            (0..4_096u32).map(|id| id.to_le_bytes().repeat(1 + id as usize % 6)).collect();
        let listed: Vec<(&[u8], u8)> =
            tokens.iter().map(|token| (token.as_slice(), Kind::MODEL)).collect();
        let vocab = vocab(&listed);
        for (id, token) in tokens.iter().enumerate() {
            assert_eq!(vocab.token_id(token), Some(id as TokenId));
            assert_eq!(vocab.token_bytes(id as TokenId), Ok(token.as_slice()));
        }
    }

    #[test]
    fn an_unknown_id_leaves_the_output_as_it_was() {
        let vocab = sample();
        for wrong in [3, 4, 5, 13, -1, i32::MIN, i32::MAX] {
            for before in [0, 1, 300] {
                let ids: Vec<i32> = std::iter::repeat_n(7, before).chain([wrong, 1]).collect();
                let mut out = b"kept".to_vec();
                let error = Error::UnknownToken { id: i64::from(wrong), size: 13 };
                assert_eq!(vocab.decode(&ids, &mut out), Err(error), "after {before}");
                assert_eq!(out, b"kept");
            }
        }
    }

    #[test]
    fn decoding_joins_the_bytes_of_any_number_of_ids() {
        let vocab = sample();
        let ids: Vec<i32> = [1, 7, 6, 8, 9, 10, 0].into_iter().cycle().take(2_000).collect();
        let expected: Vec<u8> = ids
            .iter()
            .flat_map(|&id| vocab.token_bytes(id as TokenId).expect("no hole among them"))
            .copied()
            .collect();
        for len in [0, 1, 255, 256, 257, 2_000] {
            let mut out = Vec::new();
            assert_eq!(vocab.decode(&ids[..len], &mut out), Ok(()));
            assert_eq!(out, expected[..out.len()]);
            assert_eq!(out.len() == expected.len(), len == ids.len());
        }
    }

    #[test]
    fn offsets_that_do_not_fit_are_an_error() {
        for offsets in [vec![0], vec![0, 1, 1], vec![1, 2], vec![0, 3], vec![0, 1], vec![]] {
            assert!(Vocab::new(b"ab".to_vec(), offsets, vec![Kind::MODEL]).is_err());
        }
    }
}
