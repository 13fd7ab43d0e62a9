//! What one merge does to the pairs around it, summed by neighbour.
//!
//! Where `a b` becomes `c` behind `x` and before `y`, the pairs `x a` and `b y` stand once less, `x c`
//! and `c y` once more. All that a merge changes is therefore a sum for each left and each right
//! neighbour; where two occurrences touch, `b a` becomes `c c`. The sums are kept in a list with an
//! index by id, and the places of the new pairs in a log that is sorted by neighbour at the end, in
//! linear time and into room of the right size. Places come in ascending order and stay so.

use super::pairs::{Pair, Pairs, Places};
use crate::token::TokenId;

/// Neighbours ahead whose pairs are asked for.
const AHEAD: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Around {
    lefts: Side,
    rights: Side,
    twins: Side,
}

/// The neighbours on one side.
#[derive(Debug, Default)]
struct Side {
    /// For each id, one more than its index in `sums`, or 0.
    index: Vec<u32>,
    sums: Vec<Sum>,
    /// Index in `sums`, and a place.
    log: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Sum {
    id: TokenId,
    count: u64,
    places: u32,
}

impl Side {
    #[inline]
    fn note(&mut self, id: TokenId, place: usize, count: u64) {
        let index = &mut self.index[id as usize];
        if *index == 0 {
            self.sums.push(Sum { id, count: 0, places: 0 });
            *index = self.sums.len() as u32;
        }
        let sum = &mut self.sums[*index as usize - 1];
        sum.count += count;
        sum.places += 1;
        self.log.push((*index - 1, place as u32));
    }

    /// Sums with the room for their places filled; the side is then ready for another merge.
    fn drain(&mut self, pairs: &mut Pairs, done: &mut Vec<(TokenId, u64, Places)>) {
        done.clear();
        done.extend(self.sums.iter().map(|sum| (sum.id, sum.count, pairs.reserve(sum.places))));
        // What is left to fill counts down, so the log is read from its end.
        for (index, place) in self.log.drain(..).rev() {
            let left = &mut self.sums[index as usize].places;
            *left -= 1;
            pairs.put(&mut done[index as usize].2, *left, place);
        }
        for sum in self.sums.drain(..) {
            self.index[sum.id as usize] = 0;
        }
    }
}

impl Around {
    /// Makes ready for a merge in a vocabulary of `size` tokens.
    pub(super) fn begin(&mut self, size: usize) {
        for side in [&mut self.lefts, &mut self.rights, &mut self.twins] {
            side.index.resize(size, 0);
        }
    }

    /// `x`, which begins at `place`, stands before an occurrence.
    #[inline]
    pub(super) fn left(&mut self, x: TokenId, place: usize, count: u64) {
        self.lefts.note(x, place, count);
    }

    /// `y` stands behind the occurrence at `place`.
    #[inline]
    pub(super) fn right(&mut self, y: TokenId, place: usize, count: u64) {
        self.rights.note(y, place, count);
    }

    /// An occurrence stands right behind the one at `place`.
    #[inline]
    pub(super) fn twin(&mut self, place: usize, count: u64) {
        self.twins.note(0, place, count);
    }

    /// Brings the counts of all pairs up to date, and says what changed but for the pair itself.
    pub(super) fn finish(
        &mut self,
        (a, b): Pair,
        c: TokenId,
        pairs: &mut Pairs,
        changed: &mut impl FnMut(Change),
    ) {
        let mut done = Vec::new();
        self.lefts.drain(pairs, &mut done);
        update(&done, |x| ((x, a), (x, c)), pairs, changed);
        self.rights.drain(pairs, &mut done);
        // Where `a` is `b`, an odd one is left over and stands behind the product: what it has lost
        // is the pair itself.
        update(&done, |y| ((b, y), (c, y)), pairs, &mut |change| {
            if !matches!(change, Change::Less(pair, _) if pair == (a, b)) {
                changed(change);
            }
        });
        self.twins.drain(pairs, &mut done);
        update(&done, |_| ((b, a), (c, c)), pairs, &mut |change| {
            if !matches!(change, Change::Less(pair, _) if pair == (a, b)) {
                changed(change);
            }
        });
        pairs.remove((a, b));
    }
}

/// What a merge did to a pair.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// The pair stands so many times less.
    Less(Pair, u64),
    /// The pair stands so many times more, and so often in all.
    More(Pair, u64, u64),
}

/// Takes each sum from the first of its pairs and gives it to the second.
fn update(
    sums: &[(TokenId, u64, Places)],
    moved: impl Fn(TokenId) -> (Pair, Pair),
    pairs: &mut Pairs,
    changed: &mut impl FnMut(Change),
) {
    for (index, (id, count, places)) in sums.iter().enumerate() {
        if let Some((next, ..)) = sums.get(index + AHEAD) {
            let (from, to) = moved(*next);
            pairs.prefetch(from);
            pairs.prefetch(to);
        }
        let (from, to) = moved(*id);
        pairs.subtract(from, *count);
        changed(Change::Less(from, *count));
        changed(Change::More(to, *count, pairs.add(to, *count, *places)));
    }
}
