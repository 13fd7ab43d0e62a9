//! Encoding by replaying training: joins and splits, in the order in which training made them.
//!
//! Of the events that a piece of text still has room for, the earliest one after the last applied is
//! applied to all its occurrences from left to right, and so on (Picky BPE, arXiv 2409.04599). With
//! joins alone, each product made once, that is what merging by rank does.
//!
//! A token stands at the offset of its first byte, so offsets order occurrences whatever was joined
//! or split before. Time is `n log n` in the length of a piece for each time that it is split.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::map::Map;
use crate::merges::Merge;
use crate::token::TokenId;

/// One step of training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Two tokens become one.
    Join(Merge),
    /// A token becomes others again; each with its length in bytes.
    Split { token: TokenId, parts: Vec<(TokenId, u32)> },
}

/// Events in the order of time.
#[derive(Debug, Default)]
pub struct Events {
    list: Vec<Event>,
    joins: Map<(TokenId, TokenId), Vec<u32>>,
    splits: Map<TokenId, Vec<u32>>,
}

/// Buffers for one piece at a time.
#[derive(Debug, Default)]
pub struct Scratch {
    ids: Vec<TokenId>,
    before: Vec<usize>,
    after: Vec<usize>,
    /// Event, offset, and the tokens it was noted for; a split has no second.
    due: BinaryHeap<Reverse<(u32, usize, TokenId, TokenId)>>,
}

/// When a replay ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// When nothing more happens.
    Settled,
    /// When the piece is one token, too.
    Whole,
}

/// No neighbour.
const NONE: usize = usize::MAX;
/// No token stands here.
const INSIDE: TokenId = TokenId::MAX;

impl Events {
    /// Adds the next event.
    pub fn push(&mut self, event: Event) {
        let time = self.list.len() as u32;
        match &event {
            Event::Join(merge) => {
                self.joins.entry((merge.left, merge.right)).or_default().push(time);
            }
            Event::Split { token, .. } => self.splits.entry(*token).or_default().push(time),
        }
        self.list.push(event);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing ever happens.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Appends the tokens of one piece; `units` are those of the 256 bytes.
    pub fn encode(
        &self,
        piece: &[u8],
        units: &[TokenId; 256],
        scratch: &mut Scratch,
        out: &mut Vec<TokenId>,
    ) {
        self.replay(piece, units, Until::Settled, scratch, out);
    }

    /// The same, but a piece that becomes one token stays so, though that would be split later.
    pub fn encode_until_whole(
        &self,
        piece: &[u8],
        units: &[TokenId; 256],
        scratch: &mut Scratch,
        out: &mut Vec<TokenId>,
    ) {
        self.replay(piece, units, Until::Whole, scratch, out);
    }

    fn replay(
        &self,
        piece: &[u8],
        units: &[TokenId; 256],
        until: Until,
        scratch: &mut Scratch,
        out: &mut Vec<TokenId>,
    ) {
        let len = piece.len();
        scratch.ids.clear();
        scratch.ids.extend(piece.iter().map(|&byte| units[byte as usize]));
        scratch.before.clear();
        scratch.before.extend((0..len).map(|at| at.wrapping_sub(1)));
        scratch.after.clear();
        scratch.after.extend((1..=len).map(|at| if at == len { NONE } else { at }));
        scratch.due.clear();
        for at in 0..len {
            self.note(at, 0, scratch);
        }
        while let Some(Reverse((time, at, first, second))) = scratch.due.pop() {
            if scratch.ids[at] != first || (second != INSIDE && scratch.right(at) != second) {
                continue;
            }
            if second == INSIDE && scratch.is_whole() && until == Until::Whole {
                break;
            }
            match &self.list[time as usize] {
                Event::Join(merge) => scratch.join(at, merge.product),
                Event::Split { parts, .. } => scratch.split(at, parts),
            }
            let parts = match &self.list[time as usize] {
                Event::Join(_) => 1,
                Event::Split { parts, .. } => parts.len(),
            };
            self.note_around(at, parts, time + 1, scratch);
        }
        let mut at = if len == 0 { NONE } else { 0 };
        while at != NONE {
            out.push(scratch.ids[at]);
            at = scratch.after[at];
        }
    }

    /// Notes what may happen to the `parts` new tokens from `at` on, and to the one before them.
    fn note_around(&self, at: usize, parts: usize, since: u32, scratch: &mut Scratch) {
        let mut here = at;
        if scratch.before[at] != NONE {
            self.note_join(scratch.before[at], since, scratch);
        }
        for _ in 0..parts {
            self.note(here, since, scratch);
            here = scratch.after[here];
        }
    }

    fn note(&self, at: usize, since: u32, scratch: &mut Scratch) {
        let token = scratch.ids[at];
        if let Some(time) = self.splits.get(&token).and_then(|times| next(times, since)) {
            scratch.due.push(Reverse((time, at, token, INSIDE)));
        }
        self.note_join(at, since, scratch);
    }

    fn note_join(&self, at: usize, since: u32, scratch: &mut Scratch) {
        let pair = (scratch.ids[at], scratch.right(at));
        if let Some(time) = self.joins.get(&pair).and_then(|times| next(times, since)) {
            scratch.due.push(Reverse((time, at, pair.0, pair.1)));
        }
    }
}

/// The first time that is not before `since`.
fn next(times: &[u32], since: u32) -> Option<u32> {
    times.get(times.partition_point(|&time| time < since)).copied()
}

impl Scratch {
    /// The token after the one at `at`.
    fn right(&self, at: usize) -> TokenId {
        self.ids.get(self.after[at]).copied().unwrap_or(INSIDE)
    }

    /// Whether the piece is one token.
    fn is_whole(&self) -> bool {
        self.after[0] == NONE
    }

    fn join(&mut self, at: usize, product: TokenId) {
        let second = self.after[at];
        let last = self.after[second];
        self.ids[at] = product;
        self.ids[second] = INSIDE;
        self.link(at, last);
    }

    fn split(&mut self, start: usize, parts: &[(TokenId, u32)]) {
        let last = self.after[start];
        let (mut at, mut left) = (start, self.before[start]);
        for &(part, len) in parts {
            self.ids[at] = part;
            self.before[at] = left;
            if left != NONE {
                self.after[left] = at;
            }
            (left, at) = (at, at + len as usize);
        }
        self.link(left, last);
    }

    fn link(&mut self, left: usize, right: usize) {
        self.after[left] = right;
        if right != NONE {
            self.before[right] = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units() -> [TokenId; 256] {
        std::array::from_fn(|byte| byte as TokenId)
    }

    /// Applies the earliest event after the last one that has a place, everywhere, and again.
    fn naive(list: &[Event], piece: &[u8]) -> Vec<TokenId> {
        let mut row: Vec<TokenId> = piece.iter().map(|&byte| TokenId::from(byte)).collect();
        for event in list {
            let (mut out, mut at) = (Vec::new(), 0);
            while at < row.len() {
                match event {
                    Event::Join(merge) if row[at..].starts_with(&[merge.left, merge.right]) => {
                        out.push(merge.product);
                        at += 1;
                    }
                    Event::Split { token, parts } if row[at] == *token => {
                        out.extend(parts.iter().map(|part| part.0));
                    }
                    _ => out.push(row[at]),
                }
                at += 1;
            }
            row = out;
        }
        row
    }

    proptest! {
        #[test]
        fn encoding_replays_the_events(
            picks in prop::collection::vec((0..8u32, 0..8u32, 0..4u8), 0..14),
            piece in prop::collection::vec(0..4u8, 0..40),
        ) {
            // Ids 0 to 3 are bytes, every other a join; a split gives back what a join took.
            let mut list: Vec<Event> = Vec::new();
            let mut made: Vec<Merge> = Vec::new();
            let mut length = vec![1u32; 4];
            for (left, right, kind) in picks {
                let known = length.len() as u32;
                let (left, right) = (left % known, right % known);
                match kind {
                    0 if !made.is_empty() => {
                        let merge = made[left as usize % made.len()];
                        let parts = [merge.left, merge.right];
                        let parts = parts.map(|id| (id, length[id as usize])).to_vec();
                        list.push(Event::Split { token: merge.product, parts });
                    }
                    1 if !made.is_empty() => list.push(Event::Join(made[left as usize % made.len()])),
                    _ => {
                        let merge = Merge { left, right, product: known };
                        length.push(length[left as usize] + length[right as usize]);
                        made.push(merge);
                        list.push(Event::Join(merge));
                    }
                }
            }
            let mut events = Events::default();
            list.iter().cloned().for_each(|event| events.push(event));
            let mut out = Vec::new();
            events.encode(&piece, &units(), &mut Scratch::default(), &mut out);
            prop_assert_eq!(out, naive(&list, &piece));
        }
    }
}
