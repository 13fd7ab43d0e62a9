//! Merges from ranks: vocabularies that list tokens in the order in which they were learned.
//!
//! Such formats (tiktoken, tekken, SentencePiece) join any two neighbours whose bytes together are a
//! token, lowest rank first. Yet each token can come from one pair only. While no merge crosses the
//! ends of a token's bytes, what happens between them is what merging these bytes alone does, step
//! for step, and that has a single state of two parts. So the pairs are found by merging every
//! token's own bytes, in rank order, with the pairs found so far.
//!
//! That needs the parts of a token to rank below it. A token that stays in more than two parts has
//! either no pair at all, or parts that rank above it; the second is checked by the rule itself, and
//! then all pairs are found by the rule.

use crate::error::{Error, Result};
use crate::key::hash;
use crate::merges::{Merge, Merges, NEVER, Pairs};
use crate::simd::Kernel;
use crate::token::{MAX_IDS, TokenId};

use super::merge::Tree;
use super::short::{SHORT, merge_short};
use super::units::{ABSENT, CharTable, Unit, Units};

/// What tokens are made of before the first merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitKind {
    /// Single bytes.
    Byte,
    /// Single characters.
    Char,
}

/// The merges, in rank order, that build each token of `order` (ids, best rank first).
///
/// Token `i` is `arena[offsets[i]..offsets[i + 1]]`. A token that merging cannot reach has none.
pub fn merges_from_ranks(
    arena: &[u8],
    offsets: &[u32],
    order: &[TokenId],
    kind: UnitKind,
) -> Result<Vec<Merge>> {
    let ranked = Ranked::new(arena, offsets, order)?;
    let units = ranked.units(kind);
    let mut found = Found { merges: Merges::with_capacity(order.len()), list: Vec::new() };
    let mut unreached = Vec::new();
    let mut scratch = Splitter::default();
    for &id in order {
        match scratch.parts(&units, ranked.token(id), &found.merges) {
            Parts::Pair(left, right) => found.push(Merge { left, right, product: id }),
            Parts::One => {}
            Parts::More => unreached.push(id),
        }
    }
    let by_rule = |&product: &TokenId| {
        let (left, right) = Splitter::default().pair(&units, &ranked, product)?;
        Some(Merge { left, right, product })
    };
    if unreached.iter().any(|id| by_rule(id).is_some()) {
        return Ok(order.iter().filter_map(by_rule).collect());
    }
    Ok(found.list)
}

struct Found {
    merges: Merges,
    list: Vec<Merge>,
}

impl Found {
    fn push(&mut self, merge: Merge) {
        self.merges.push(merge);
        self.list.push(merge);
    }
}

/// Tokens by rank, and the rule that any two which spell a token merge.
struct Ranked<'a> {
    arena: &'a [u8],
    offsets: &'a [u32],
    order: &'a [TokenId],
    /// Ranks by the bytes of the token.
    table: Vec<u32>,
}

impl<'a> Ranked<'a> {
    fn new(arena: &'a [u8], offsets: &'a [u32], order: &'a [TokenId]) -> Result<Ranked<'a>> {
        let size = offsets.len().saturating_sub(1);
        if size > MAX_IDS || order.len() > size {
            return Err(Error::Definition(format!(
                "{} ranks over {size} token ids: at most one a token, and {MAX_IDS}, are allowed",
                order.len()
            )));
        }
        let inside = offsets.windows(2).all(|w| w[0] <= w[1] && w[1] as usize <= arena.len());
        if !inside || order.iter().any(|&id| id as usize >= size) {
            return Err(Error::Definition(
                "token ids and offsets must lie inside their tables".into(),
            ));
        }
        let slots = (2 * order.len()).next_power_of_two().max(2);
        let mut ranked = Ranked { arena, offsets, order, table: vec![NEVER; slots] };
        for rank in 0..order.len() as u32 {
            let slot = ranked.slot(ranked.token(order[rank as usize]));
            if ranked.table[slot] == NEVER {
                ranked.table[slot] = rank;
            }
        }
        Ok(ranked)
    }

    fn token(&self, id: TokenId) -> &'a [u8] {
        let at = id as usize;
        &self.arena[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }

    /// The slot that holds the rank of these bytes, or the vacant one where it would be.
    fn slot(&self, bytes: &[u8]) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = hash(bytes) as usize & mask;
        while self.table[slot] != NEVER
            && self.token(self.order[self.table[slot] as usize]) != bytes
        {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn units(&self, kind: UnitKind) -> Units {
        match kind {
            UnitKind::Byte => {
                let mut first = Box::new([ABSENT; 256]);
                for &id in self.order.iter().rev() {
                    if let [byte] = self.token(id) {
                        first[*byte as usize] = id;
                    }
                }
                Units::Bytes { first, last: None }
            }
            UnitKind::Char => {
                let single = |&id: &TokenId| Some((single_char(self.token(id))?, id));
                let chars = CharTable::new(self.order.iter().filter_map(single));
                Units::Chars { chars, bytes: Box::new([ABSENT; 256]), unknown: ABSENT }
            }
        }
    }
}

impl Pairs for Ranked<'_> {
    fn rank<K: Kernel>(&self, _kernel: K, left: TokenId, right: TokenId) -> u32 {
        let joined = [self.token(left), self.token(right)].concat();
        self.table[self.slot(&joined)]
    }

    fn product(&self, rank: u32) -> TokenId {
        self.order[rank as usize]
    }
}

/// The character that `bytes` are, if they are one.
pub(crate) fn single_char(bytes: &[u8]) -> Option<char> {
    let mut chars = std::str::from_utf8(bytes).ok()?.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// What merging a token's own bytes, short of the token itself, leaves.
enum Parts {
    One,
    Pair(TokenId, TokenId),
    More,
}

#[derive(Default)]
struct Splitter {
    units: Vec<Unit>,
    tree: Tree,
}

impl Splitter {
    /// Merges `bytes` by the pairs found so far, which do not include the token itself.
    fn parts(&mut self, units: &Units, bytes: &[u8], merges: &Merges) -> Parts {
        self.units.clear();
        units.append(bytes, true, &mut self.units);
        if !covers(&self.units, units, bytes) {
            return Parts::More;
        }
        self.merge(merges);
        match self.units[..] {
            [_] => Parts::One,
            [left, right] => Parts::Pair(left.id, right.id),
            _ => Parts::More,
        }
    }

    fn merge(&mut self, merges: &Merges) {
        let len = self.units.len();
        if len > SHORT {
            return self.tree.merge(merges, &mut self.units);
        }
        let mut ids = [0; SHORT];
        for (slot, unit) in ids.iter_mut().zip(&self.units) {
            *slot = unit.id;
        }
        let len = merge_short(merges, &mut ids, len);
        self.units.truncate(len);
        for (unit, &id) in self.units.iter_mut().zip(&ids) {
            unit.id = id;
        }
    }

    /// The pair that makes `id` by the rule: merge its bytes with every pair but that one.
    fn pair(
        &mut self,
        units: &Units,
        ranked: &Ranked<'_>,
        id: TokenId,
    ) -> Option<(TokenId, TokenId)> {
        let bytes = ranked.token(id);
        let rank = ranked.table[ranked.slot(bytes)];
        self.units.clear();
        units.append(bytes, true, &mut self.units);
        if ranked.product(rank) != id || !covers(&self.units, units, bytes) {
            return None;
        }
        self.tree.merge(&Without { ranked, rank }, &mut self.units);
        match self.units[..] {
            [left, right] => Some((left.id, right.id)),
            _ => None,
        }
    }
}

/// Whether every byte of a token is in some symbol: otherwise no merge can spell it.
fn covers(found: &[Unit], units: &Units, bytes: &[u8]) -> bool {
    match units {
        Units::Bytes { .. } => found.len() == bytes.len(),
        Units::Chars { .. } => {
            std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == found.len())
        }
    }
}

/// Every pair but those that spell one token.
struct Without<'a> {
    ranked: &'a Ranked<'a>,
    rank: u32,
}

impl Pairs for Without<'_> {
    fn rank<K: Kernel>(&self, kernel: K, left: TokenId, right: TokenId) -> u32 {
        match self.ranked.rank(kernel, left, right) {
            rank if rank == self.rank => NEVER,
            rank => rank,
        }
    }

    fn product(&self, rank: u32) -> TokenId {
        self.ranked.product(rank)
    }
}
