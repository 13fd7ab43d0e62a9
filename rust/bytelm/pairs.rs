//! Which tokens may stand next to each other inside a piece.
//!
//! A sequence of tokens is what merging makes of its bytes exactly when each neighbouring pair is
//! (Vieira et al. 2025, "Language Models over Canonical Byte-Pair Encodings", lemma 1), so `right`
//! may follow `left` when merging their joined bytes gives the two back.
//!
//! Until a merge crosses the border, the bytes on either side merge as if alone. What stands at the
//! border at a time is on the *spines*: the last part of `left` while it was made, the first part of
//! `right`. A merge of two that stand there at the same time, before either becomes part of more, is
//! the only way to cross; at the same rank, what lies more to the left goes first. So a pair is
//! tested in as many steps as the spines are long.
//!
//! The tokens that may **not** follow are found without looking at the others. Tokens hang under
//! their first parts as a forest, children by the rank at which they were made. A merge of a part
//! `u` of `left` with `v` forbids `v` and all below it that were made of `v` no earlier: a run of
//! the forest's order.
//!
//! This needs merges whose parts are made by earlier merges, as training makes them. A list that is
//! not so is found when it is read, and then each pair is merged to see.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::sorted::{Place, Sorted};
use crate::Result;
use crate::encode::{Model, Scratch};
use crate::merges::{NEVER, Pairs as _};
use crate::simd::Portable;
use crate::token::{Kind, TokenId};

/// Longer tokens are not merged anew to learn how they are made.
const LONGEST: usize = 1 << 9;

/// Bytes that the caches of a scratch may take, for tokens and pairs of them.
const SCRATCH_BYTES: usize = 1 << 16;

/// No token.
const NONE: TokenId = TokenId::MAX;

/// The pairs of a model's tokens.
#[derive(Debug)]
pub(super) struct Pairs {
    /// Whether merging makes the token at a place of its own bytes.
    reachable: Vec<bool>,
    /// The spines, if the merges are in an order that makes them.
    spines: Option<Spines>,
    /// Whether pairs go together that were merged to see.
    tried: HashMap<(TokenId, TokenId), bool>,
    scratch: Scratch,
}

/// How the tokens are made; times are ranks and one more, 0 for what is there from the start.
#[derive(Debug)]
struct Spines {
    parts: Vec<(TokenId, TokenId)>,
    made: Vec<u32>,
    /// For each token, the merges in which it is the left part: the other and the time.
    rights: Vec<Vec<(TokenId, u32)>>,
    /// Places in the order of the forest, and for each token where it and its descendants lie.
    order: Vec<Place>,
    below: Vec<Range<u32>>,
    /// For each token, those made of it as the first part, by time.
    children: Vec<Vec<TokenId>>,
}

impl Pairs {
    pub fn new(model: &Model, sorted: &Sorted) -> Result<Pairs> {
        let mut scratch = Scratch::new(SCRATCH_BYTES);
        let mut reachable = vec![false; sorted.len()];
        let unreachable: HashSet<TokenId> = model.unreachable().into_iter().collect();
        for place in sorted.all() {
            let (id, bytes) = (sorted.id(place), sorted.bytes(place));
            let kind = model.vocab.kind(id);
            reachable[place as usize] = match kind.has(Kind::BYTE) {
                true => merged(model, bytes, &mut scratch)? == [id],
                false => {
                    let first = model.vocab.token_id(bytes) == Some(id);
                    kind.has(Kind::MODEL) && first && !unreachable.contains(&id)
                }
            };
        }
        let spines = Spines::new(model, sorted, &reachable)?;
        Ok(Pairs { reachable, spines, tried: HashMap::new(), scratch })
    }

    /// Whether merging makes the token of its own bytes.
    pub fn is_reachable(&self, place: Place) -> bool {
        self.reachable[place as usize]
    }

    /// Whether the second token may follow the first inside a piece; both can be reached.
    pub fn go_together(
        &mut self,
        model: &Model,
        sorted: &Sorted,
        left: Place,
        right: Place,
    ) -> Result<bool> {
        let ids = (sorted.id(left), sorted.id(right));
        if let Some(spines) = &self.spines {
            return Ok(spines.go_together(model, ids.0, ids.1));
        }
        if let Some(&known) = self.tried.get(&ids) {
            return Ok(known);
        }
        let bytes = [sorted.bytes(left), sorted.bytes(right)].concat();
        let together = merged(model, &bytes, &mut self.scratch)? == [ids.0, ids.1];
        self.tried.insert(ids, together);
        Ok(together)
    }

    /// Calls `forbid` with the tokens that may not follow one; some more than once.
    pub fn each_forbidden(
        &mut self,
        model: &Model,
        sorted: &Sorted,
        left: Place,
        mut forbid: impl FnMut(Place),
    ) -> Result<()> {
        if let Some(spines) = &self.spines {
            spines.each_forbidden(sorted.id(left), |places| places.iter().for_each(|&p| forbid(p)));
            return Ok(());
        }
        for right in sorted.all() {
            if self.is_reachable(right) && !self.go_together(model, sorted, left, right)? {
                forbid(right);
            }
        }
        Ok(())
    }
}

fn merged(model: &Model, bytes: &[u8], scratch: &mut Scratch) -> Result<Vec<TokenId>> {
    let mut ids = Vec::new();
    model.merge(bytes, scratch, &mut || Ok(()), |id, _| ids.push(id))?;
    Ok(ids)
}

impl Spines {
    /// `None` when a merge joins what only later merges make.
    fn new(model: &Model, sorted: &Sorted, reachable: &[bool]) -> Result<Option<Spines>> {
        let size = model.vocab.len();
        let is_reachable =
            |id: TokenId| sorted.place(id).is_some_and(|place| reachable[place as usize]);
        let mut merges: Vec<(TokenId, TokenId, u32)> = model.merges.pairs().collect();
        merges.sort_unstable_by_key(|&(.., rank)| rank);
        merges.retain(|&(left, right, _)| is_reachable(left) && is_reachable(right));
        let mut parts = vec![(NONE, NONE); size];
        let mut made = vec![0; size];
        let mut ways = vec![0u8; size];
        for &(left, right, rank) in &merges {
            let product = model.merges.product(rank) as usize;
            ways[product] = ways[product].saturating_add(1);
            if ways[product] == 1 {
                (parts[product], made[product]) = ((left, right), rank + 1);
            }
        }
        for product in (0..size as TokenId).filter(|&id| ways[id as usize] > 1) {
            if !is_reachable(product) {
                continue;
            }
            let bytes = model.vocab.token_bytes(product)?;
            let Some((left, right)) = last_pair(model, bytes) else { return Ok(None) };
            let rank = model.merges.rank(Portable, left, right);
            (parts[product as usize], made[product as usize]) = ((left, right), rank + 1);
        }
        // Of several ways to make a token, its own bytes take one, and so do they beside others: until
        // a merge crosses their border, they merge as if alone.
        merges.retain(|&(left, right, rank)| {
            let product = model.merges.product(rank);
            is_reachable(product) && parts[product as usize] == (left, right)
        });
        let early = |&(left, right, rank): &(TokenId, TokenId, u32)| {
            made[left as usize] <= rank && made[right as usize] <= rank
        };
        if !merges.iter().all(early) {
            return Ok(None);
        }
        for id in (0..size as TokenId).filter(|&id| !is_reachable(id)) {
            (parts[id as usize], made[id as usize]) = ((NONE, NONE), 0);
        }
        let mut rights = vec![Vec::new(); size];
        for &(left, right, rank) in &merges {
            rights[left as usize].push((right, rank + 1));
        }
        let mut children = vec![Vec::new(); size];
        let mut by_time: Vec<TokenId> =
            (0..size as TokenId).filter(|&id| is_reachable(id)).collect();
        by_time.sort_unstable_by_key(|&id| (made[id as usize], id));
        for &id in by_time.iter().filter(|&&id| parts[id as usize].0 != NONE) {
            children[parts[id as usize].0 as usize].push(id);
        }
        let mut spines =
            Spines { parts, made, rights, order: Vec::new(), below: Vec::new(), children };
        spines.lay_out(sorted, &by_time);
        Ok(Some(spines))
    }

    /// Numbers the forest so that a token's descendants follow it, children by time.
    fn lay_out(&mut self, sorted: &Sorted, tokens: &[TokenId]) {
        self.below = vec![0..0; self.parts.len()];
        let roots = tokens.iter().rev().filter(|&&id| self.parts[id as usize].0 == NONE);
        // A token is entered when it is met first and left when it is met again.
        let mut stack: Vec<(TokenId, bool)> = roots.map(|&id| (id, false)).collect();
        while let Some((id, entered)) = stack.pop() {
            if entered {
                self.below[id as usize].end = self.order.len() as u32;
                continue;
            }
            self.below[id as usize].start = self.order.len() as u32;
            self.order.push(sorted.place(id).expect("only text is reachable"));
            stack.push((id, true));
            stack.extend(self.children[id as usize].iter().rev().map(|&child| (child, false)));
        }
    }

    fn go_together(&self, model: &Model, left: TokenId, right: TokenId) -> bool {
        // Both spines from the whole tokens down; what stands at the border stands there at the
        // same time when neither was made after the other had become part of more.
        let (mut u, mut v) = (left, right);
        let (mut u_until, mut v_until) = (u32::MAX, u32::MAX);
        loop {
            let rank = model.merges.rank(Portable, u, v);
            let is_made = || self.parts[model.merges.product(rank) as usize] == (u, v);
            if rank != NEVER && rank + 1 < u_until && rank < v_until && is_made() {
                return false;
            }
            let (u_made, v_made) = (self.made[u as usize], self.made[v as usize]);
            if u_made == 0 && v_made == 0 {
                return true;
            }
            // The one that was made later is undone.
            if u_made >= v_made {
                (u, u_until) = (self.parts[u as usize].1, u_made);
            } else {
                (v, v_until) = (self.parts[v as usize].0, v_made);
            }
        }
    }

    fn each_forbidden(&self, left: TokenId, mut forbid: impl FnMut(&[Place])) {
        let (mut u, mut until) = (left, u32::MAX);
        loop {
            let merges = &self.rights[u as usize];
            for &(v, time) in &merges[..merges.partition_point(|&(_, time)| time < until)] {
                let below = &self.below[v as usize];
                let children = &self.children[v as usize];
                let late = children.partition_point(|&child| self.made[child as usize] < time);
                let from = children.get(late).map_or(below.end, |&c| self.below[c as usize].start);
                forbid(&self.order[below.start as usize..=below.start as usize]);
                forbid(&self.order[from as usize..below.end as usize]);
            }
            if self.made[u as usize] == 0 {
                return;
            }
            (u, until) = (self.parts[u as usize].1, self.made[u as usize]);
        }
    }
}

/// The two tokens that the last merge of a token joins, by merging as it is defined; `None` when
/// the token is too long for that.
fn last_pair(model: &Model, bytes: &[u8]) -> Option<(TokenId, TokenId)> {
    if bytes.len() > LONGEST {
        return None;
    }
    let mut ids = model.units_of(bytes);
    while ids.len() > 2 {
        let ranks = ids.windows(2).map(|pair| model.merges.rank(Portable, pair[0], pair[1]));
        let (at, rank) = ranks.enumerate().min_by_key(|&(_, rank)| rank)?;
        if rank == NEVER {
            return None;
        }
        ids[at] = model.merges.product(rank);
        ids.remove(at + 1);
    }
    (ids.len() == 2).then(|| (ids[0], ids[1]))
}
