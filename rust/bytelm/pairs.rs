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
//! This needs merges whose parts are made by earlier merges, as training makes them. Some lists hold
//! a few that are not so. Tokens that are made by those, and tokens between which one of them might
//! join what stands at the border, are merged to see; in between all others nothing changes.

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
    spines: Spines,
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
    /// The tokens that have no spines, and their places: a merge that makes them joins what only later
    /// ones make.
    odd: Vec<bool>,
    odd_places: Vec<Place>,
    /// For each token, the right parts of merges like that.
    late: Vec<Vec<TokenId>>,
}

/// What the spines say of two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Together {
    Yes,
    No,
    /// They have to be merged to see.
    Unknown,
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
        match self.spines.go_together(model, ids.0, ids.1) {
            Together::Yes => return Ok(true),
            Together::No => return Ok(false),
            Together::Unknown => {}
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
        let id = sorted.id(left);
        let unknown: Vec<Place> = if self.spines.odd[id as usize] {
            sorted.all().filter(|&right| self.is_reachable(right)).collect()
        } else {
            self.spines.each_forbidden(id, |places| places.iter().for_each(|&p| forbid(p)));
            self.spines.unknown_behind(id)
        };
        for right in unknown {
            if !self.go_together(model, sorted, left, right)? {
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
    fn new(model: &Model, sorted: &Sorted, reachable: &[bool]) -> Result<Spines> {
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
            (parts[product as usize], made[product as usize]) = match last_pair(model, bytes) {
                Some((left, right)) => {
                    ((left, right), model.merges.rank(Portable, left, right) + 1)
                }
                // Nobody knows which.
                None => ((NONE, NONE), u32::MAX),
            };
        }
        // Of several ways to make a token, its own bytes take one, and so do they beside others: until
        // a merge crosses their border, they merge as if alone.
        merges.retain(|&(left, right, rank)| {
            let product = model.merges.product(rank);
            let taken = parts[product as usize];
            is_reachable(product) && (taken == (left, right) || taken.0 == NONE)
        });
        for id in (0..size as TokenId).filter(|&id| !is_reachable(id)) {
            (parts[id as usize], made[id as usize]) = ((NONE, NONE), 0);
        }
        let is_early = |&(left, right, rank): &(TokenId, TokenId, u32)| {
            let product = model.merges.product(rank) as usize;
            parts[product].0 != NONE && made[left as usize] <= rank && made[right as usize] <= rank
        };
        let (mut merges, late): (Vec<_>, Vec<_>) = merges.into_iter().partition(is_early);
        let odd = odd_tokens(sorted, &parts, late.iter().map(|late| model.merges.product(late.2)));
        merges.retain(|&(left, right, _)| !odd[left as usize] && !odd[right as usize]);
        let mut rights = vec![Vec::new(); size];
        for &(left, right, rank) in &merges {
            rights[left as usize].push((right, rank + 1));
        }
        let mut children = vec![Vec::new(); size];
        let mut by_time: Vec<TokenId> =
            (0..size as TokenId).filter(|&id| is_reachable(id) && !odd[id as usize]).collect();
        by_time.sort_unstable_by_key(|&id| (made[id as usize], id));
        for &id in by_time.iter().filter(|&&id| parts[id as usize].0 != NONE) {
            children[parts[id as usize].0 as usize].push(id);
        }
        let mut late_rights = vec![Vec::new(); size];
        late.iter().for_each(|&(left, right, _)| late_rights[left as usize].push(right));
        let odd_places = sorted.all().filter(|&place| odd[sorted.id(place) as usize]).collect();
        let (order, below, late) = (Vec::new(), Vec::new(), late_rights);
        let mut spines =
            Spines { parts, made, rights, order, below, children, odd, odd_places, late };
        spines.lay_out(sorted, &by_time);
        Ok(spines)
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

    /// The tokens of which only merging tells whether they may follow one that has spines.
    fn unknown_behind(&self, left: TokenId) -> Vec<Place> {
        let mut unknown = self.odd_places.clone();
        for u in std::iter::successors(Some(left), |&u| self.part(u).map(|parts| parts.1)) {
            for &v in &self.late[u as usize] {
                let below = &self.below[v as usize];
                unknown.extend(&self.order[below.start as usize..below.end as usize]);
            }
        }
        unknown
    }

    /// Whether a merge that comes too late joins parts on the two spines, whenever these are there.
    fn may_join_late(&self, left: TokenId, right: TokenId) -> bool {
        let rights = |id: TokenId| std::iter::successors(Some(id), |&u| self.part(u).map(|p| p.1));
        let lefts = |id: TokenId| std::iter::successors(Some(id), |&v| self.part(v).map(|p| p.0));
        rights(left).any(|u| {
            let late = &self.late[u as usize];
            !late.is_empty() && lefts(right).any(|v| late.contains(&v))
        })
    }

    fn part(&self, id: TokenId) -> Option<(TokenId, TokenId)> {
        Some(self.parts[id as usize]).filter(|parts| parts.0 != NONE)
    }

    fn go_together(&self, model: &Model, left: TokenId, right: TokenId) -> Together {
        let is_odd = self.odd[left as usize] || self.odd[right as usize];
        if is_odd || self.may_join_late(left, right) {
            return Together::Unknown;
        }
        // Both spines from the whole tokens down; what stands at the border stands there at the
        // same time when neither was made after the other had become part of more.
        let (mut u, mut v) = (left, right);
        let (mut u_until, mut v_until) = (u32::MAX, u32::MAX);
        loop {
            let rank = model.merges.rank(Portable, u, v);
            let is_made = || self.parts[model.merges.product(rank) as usize] == (u, v);
            if rank != NEVER && rank + 1 < u_until && rank < v_until && is_made() {
                return Together::No;
            }
            let (u_made, v_made) = (self.made[u as usize], self.made[v as usize]);
            if u_made == 0 && v_made == 0 {
                return Together::Yes;
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

/// Which tokens are products of merges that come too late, or made of some.
fn odd_tokens(
    sorted: &Sorted,
    parts: &[(TokenId, TokenId)],
    late: impl Iterator<Item = TokenId>,
) -> Vec<bool> {
    let mut odd = vec![false; parts.len()];
    late.for_each(|id| odd[id as usize] = true);
    if !odd.contains(&true) {
        return odd;
    }
    let mut places: Vec<Place> = sorted.all().collect();
    places.sort_by_key(|&place| sorted.bytes(place).len());
    for id in places.into_iter().map(|place| sorted.id(place) as usize) {
        let (left, right) = parts[id];
        odd[id] |= left != NONE && (odd[left as usize] || odd[right as usize]);
    }
    odd
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
