//! Which tokens merging reaches.
//!
//! A token whose own bytes merge to something else never comes out of merging any text. It can
//! still be in a vocabulary, and then it is what a whole piece of these bytes becomes, where the
//! format says that whole pieces are tokens; inside a longer piece it is not. Every other token may
//! be looked up wherever its bytes stand alone between two cuts, which spares the merging.

use std::collections::HashMap;

use super::long::{Long, Symbols};
use super::short::{SHORT, merge_short};
use super::units::{Unit, Units};
use crate::error::Result;
use crate::merges::Merges;
use crate::token::{Kind, TokenId};
use crate::vocab::Vocab;

/// The model's tokens that merging does not reach, by their bytes.
#[derive(Debug, Default)]
pub(crate) struct Unreachable {
    ids: HashMap<Vec<u8>, TokenId>,
    /// Bytes of the longest; what is longer need not be hashed.
    longest: usize,
}

impl Unreachable {
    /// These tokens, which are known to be unreachable.
    pub(crate) fn known(vocab: &Vocab, ids: &[TokenId]) -> Result<Unreachable> {
        let entry = |&id: &TokenId| Ok((vocab.token_bytes(id)?.to_vec(), id));
        ids.iter().rev().map(entry).collect::<Result<_>>().map(Unreachable::of)
    }

    fn of(ids: HashMap<Vec<u8>, TokenId>) -> Unreachable {
        let longest = ids.keys().map(Vec::len).max().unwrap_or(0);
        Unreachable { ids, longest }
    }

    /// Finds them by merging the bytes of every token: some 200 ns each.
    pub(crate) fn new(vocab: &Vocab, merges: &Merges, units: &Units) -> Unreachable {
        let mut found = HashMap::new();
        let mut scratch = (Vec::new(), Long::default());
        for id in 0..vocab.len() as TokenId {
            let kind = vocab.kind(id);
            if !kind.has(Kind::MODEL) || kind.has(Kind::BYTE) {
                continue;
            }
            let bytes = vocab.token_bytes(id).unwrap_or_default();
            if !merges_to(id, bytes, merges, units, &mut scratch) {
                found.entry(bytes.to_vec()).or_insert(id);
            }
        }
        Unreachable::of(found)
    }

    /// Their ids, in order.
    pub(crate) fn ids(&self) -> Vec<TokenId> {
        let mut ids: Vec<TokenId> = self.ids.values().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Whether merging reaches every token.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The token of these bytes, if merging does not reach it.
    #[inline]
    pub(crate) fn get(&self, bytes: &[u8]) -> Option<TokenId> {
        if bytes.len() > self.longest {
            return None;
        }
        self.ids.get(bytes).copied()
    }
}

fn merges_to(
    id: TokenId,
    bytes: &[u8],
    merges: &Merges,
    units: &Units,
    (buffer, long): &mut (Vec<Unit>, Long),
) -> bool {
    if bytes.len() > SHORT {
        let mut ids = Vec::new();
        let done = long.encode(
            merges,
            Symbols { units, pairs: None, words: None },
            bytes,
            &mut || Ok(()),
            |id, _| ids.push(id),
        );
        return done.is_ok() && ids == [id];
    }
    buffer.clear();
    units.append(bytes, true, buffer);
    let mut ids = [0; SHORT];
    for (slot, unit) in ids.iter_mut().zip(buffer.iter()) {
        *slot = unit.id;
    }
    let len = merge_short(merges, &mut ids, buffer.len());
    ids[..len] == [id]
}
