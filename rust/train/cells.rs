//! The text of a training: one cell of 32 bits for each byte of the distinct pieces.
//!
//! A token of `n` bytes takes `n` cells. The first and the last hold its id, so that the neighbour
//! on either side is found by the length of a token; those between hold [`INNER`]. Before each
//! piece stands a header, a cell with the top bit set, and one more ends the text. So a merge
//! writes four cells, no links are kept, and a place that held a pair earlier is seen to hold it no
//! more: the token that now covers it is longer than the one that began there, so its id is another.
//!
//! Most pieces are rare, so short pieces that occur equally often, and seldom, lie side by side, a
//! tier for each count. Places come in ascending order, and a cursor goes with them over the tiers:
//! what a place weighs is known without another look at the cells. Only in the first tier, that of
//! all frequent pieces, one walks to the header over the tokens between; it holds the count, or
//! [`HEAVY`]: then the count is looked up. Long pieces come last and have a cursor of their own.

use super::around::Around;
use super::pairs::{Pair, Places};
use super::tokens::Tokens;
use crate::error::{Error, Poll, Result};
use crate::simd::{huge, prefetch};
use crate::token::TokenId;

const HEADER: u32 = 1 << 31;
/// Inside a token; no token has this id.
const INNER: u32 = HEADER - 1;
/// In a header: the count does not fit.
const HEAVY: u32 = HEADER - 1;
/// Pieces of more bytes than this are long.
const LONG: usize = 256;
/// Short pieces that occur less often than this have a tier for each count.
const TIERS: usize = 64;
/// Places and the arena of their lists are counted in 32 bits: there is a place for each cell at first,
/// and two more at most for each token that the text loses, so three times as many in all.
const MAX_CELLS: usize = 1 << 30;
/// As many as there are pairs of bytes.
const BYTE_PAIRS: usize = 1 << 16;
/// Bytes or places between two looks at whether to go on.
const POLL_EVERY: usize = 1 << 18;
/// Places ahead whose cells are asked for.
const AHEAD: usize = 12;

/// Distinct pieces of text: piece `i` is `arena[offsets[i]..offsets[i + 1]]` and occurs `counts[i]`
/// times. A piece that stands twice counts twice.
#[derive(Debug, Clone, Copy)]
pub struct Pieces<'a> {
    pub arena: &'a [u8],
    pub offsets: &'a [u64],
    pub counts: &'a [u64],
}

impl<'a> Pieces<'a> {
    /// The pieces that have bytes and occur.
    fn iter(self) -> impl Iterator<Item = (&'a [u8], u64)> {
        let spans = self.offsets.windows(2).map(|w| &self.arena[w[0] as usize..w[1] as usize]);
        spans.zip(self.counts.iter().copied()).filter(|(piece, n)| !piece.is_empty() && *n > 0)
    }

    fn check(&self) -> Result<()> {
        let ascending = self.offsets.windows(2).all(|w| w[0] <= w[1]);
        let first = self.offsets.first().copied();
        let last = self.offsets.last().copied();
        let spans = first == Some(0) && last == Some(self.arena.len() as u64);
        if !ascending || !spans || self.offsets.len() != self.counts.len() + 1 {
            return Err(Error::Argument(format!(
                "{} offsets and {} counts for {} bytes of pieces: offsets must rise from 0 to the \
                 number of bytes, one more of them than there are counts",
                self.offsets.len(),
                self.counts.len(),
                self.arena.len()
            )));
        }
        Ok(())
    }
}

/// A merge that is to be made in the cells.
pub(super) struct Merging<'a> {
    pub pair: Pair,
    pub product: TokenId,
    pub lengths: &'a [u32],
}

#[derive(Debug)]
pub(super) struct Cells {
    cells: huge::Table<u32>,
    /// Counts of the pieces whose header says [`HEAVY`], by the place of the header.
    heavy: Vec<(u32, u64)>,
    /// The ends of the tiers: short pieces that occur [`TIERS`] times and more, then those that
    /// occur once less each.
    tiers: [usize; TIERS],
    /// Long pieces come last: the places of their headers and their counts.
    long: Vec<(u32, u64)>,
    /// Bytes of all pieces, each as often as it occurs.
    length: u64,
    /// The pairs of bytes, by [`byte_pair`], until they are asked for.
    found: Vec<Found>,
}

/// How often a pair of bytes stands in the text, and at how many places.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    count: u64,
    places: u32,
}

/// The pairs of bytes that stand in the text, by ascending ids.
pub(super) struct BytePairs {
    /// The lists of their places.
    pub arena: Vec<u32>,
    /// Each with how often it stands, and where.
    pub pairs: Vec<(Pair, u64, Places)>,
}

/// Where the pair of two bytes is in a table of all, by their ids.
#[inline]
fn byte_pair(left: TokenId, right: TokenId) -> usize {
    (left << 8 | right) as usize
}

impl Cells {
    pub(super) fn new(pieces: Pieces<'_>, tokens: &Tokens, poll: Poll<'_>) -> Result<Cells> {
        pieces.check()?;
        let (mut long, mut length) = (1, 0u64);
        let mut sizes = [0; TIERS];
        for (piece, count) in pieces.iter() {
            let bytes = (piece.len() as u64).checked_mul(count);
            length = bytes.and_then(|bytes| length.checked_add(bytes)).ok_or_else(|| {
                Error::Argument("the pieces occur more often than 64 bits can count".into())
            })?;
            match piece.len() {
                0..2 => {}
                2..=LONG => sizes[tier(count)] += piece.len() + 1,
                _ => long += piece.len() + 1,
            }
        }
        let room = sizes.iter().sum::<usize>() + long;
        if room > MAX_CELLS {
            return Err(Error::Argument(format!(
                "{room} bytes of distinct pieces and their ends: at most {MAX_CELLS} are allowed; give \
                 less text, leave rare pieces out, or cut by a pattern that makes shorter ones"
            )));
        }
        let cells = huge::Table::filled(room, HEADER);
        let unit: [u32; 256] =
            std::array::from_fn(|byte| tokens.id(&[byte as u8]).unwrap_or(INNER));
        let mut end = 0;
        let mut tiers = sizes.map(|size| {
            end += size;
            end - size
        });
        let found = vec![Found::default(); BYTE_PAIRS];
        let mut made = Cells { cells, heavy: vec![], tiers, long: vec![], length, found };
        let short = |piece: &[u8]| (2..=LONG).contains(&piece.len());
        let shorts = pieces.iter().filter(|(piece, _)| short(piece));
        made.fill(shorts, &unit, &mut tiers, tier, poll)?;
        let heavy = std::mem::take(&mut made.heavy);
        let longs = pieces.iter().filter(|(piece, _)| piece.len() > LONG);
        made.fill(longs, &unit, &mut [end], |_| 0, poll)?;
        made.long = std::mem::replace(&mut made.heavy, heavy);
        made.tiers = tiers;
        Ok(made)
    }

    /// Writes pieces, each at the end of its tier.
    fn fill<'a>(
        &mut self,
        pieces: impl Iterator<Item = (&'a [u8], u64)>,
        unit: &[u32; 256],
        ends: &mut [usize],
        tier: impl Fn(u64) -> usize,
        poll: Poll<'_>,
    ) -> Result<()> {
        let mut written = 0;
        for (piece, count) in pieces {
            let at = &mut ends[tier(count)];
            if count >= u64::from(HEAVY) || piece.len() > LONG {
                self.heavy.push((*at as u32, count));
            }
            self.cells[*at] = HEADER | count.min(u64::from(HEAVY)) as u32;
            *at += 1;
            for start in (0..piece.len()).step_by(POLL_EVERY) {
                let end = piece.len().min(start + POLL_EVERY);
                let part = &piece[start..end];
                for (cell, byte) in self.cells[*at..*at + part.len()].iter_mut().zip(part) {
                    *cell = unit[*byte as usize];
                }
                for two in piece[start.saturating_sub(1)..end].windows(2) {
                    let [left, right] = [two[0], two[1]].map(|byte| unit[byte as usize]);
                    let found = &mut self.found[byte_pair(left, right)];
                    found.count += count;
                    found.places += 1;
                }
                *at += part.len();
                written += part.len();
                if written >= POLL_EVERY {
                    written = 0;
                    poll()?;
                }
            }
        }
        Ok(())
    }

    /// Bytes of all pieces, each as often as it occurs.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The pairs of bytes, with their counts and their places, and where these lie. To be asked
    /// once, before the first merge.
    pub(super) fn byte_pairs(&mut self, poll: Poll<'_>) -> Result<BytePairs> {
        let found = std::mem::take(&mut self.found);
        let mut end = 0;
        let starts = found.iter().map(|pair| {
            end += pair.places;
            end - pair.places
        });
        let starts: Vec<u32> = starts.collect();
        // Where the next place of each pair goes. What is no pair is written behind all of them: to
        // leave it out costs more, where a piece ends is hard to guess.
        let mut next = [&starts[..], &[end]].concat();
        let mut arena = vec![0; end as usize + 1];
        for (at, two) in self.cells.windows(2).enumerate() {
            if at % POLL_EVERY == 0 {
                poll()?;
            }
            let stands = (two[0] | two[1]) & HEADER == 0;
            let pair = if stands { byte_pair(two[0], two[1]) } else { BYTE_PAIRS };
            arena[next[pair] as usize] = at as u32;
            next[pair] += u32::from(stands);
        }
        arena.truncate(end as usize);
        let places = starts
            .iter()
            .zip(&found)
            .map(|(start, found)| Places::in_arena(&arena, *start, found.places));
        let ids = |pair: usize| ((pair >> 8) as TokenId, (pair & 255) as TokenId);
        let pairs = found.iter().zip(places).enumerate().filter(|(_, (found, _))| found.places > 0);
        let pairs = pairs.map(|(pair, (found, places))| (ids(pair), found.count, places)).collect();
        Ok(BytePairs { arena, pairs })
    }

    /// Replaces the pair at the places where it still stands, tells `around` the neighbours of
    /// each, and returns how many tokens the text has lost.
    pub(super) fn merge(
        &mut self,
        merging: &Merging<'_>,
        places: &[u32],
        around: &mut Around,
        poll: Poll<'_>,
    ) -> Result<u64> {
        let Merging { pair: (left, right), product, lengths } = *merging;
        let (left_len, right_len) = (lengths[left as usize], lengths[right as usize]);
        let (left_len, right_len) = (left_len as usize, right_len as usize);
        let (tiers, heavy, long) = (&self.tiers, &self.heavy[..], &self.long[..]);
        let mut weights = Weights { tiers, tier: 0, heavy, long, cursor: 0 };
        let cells = &mut self.cells[..];
        let (mut lost, mut last) = (0, (usize::MAX, 0));
        for (index, place) in places.iter().enumerate() {
            if index % POLL_EVERY == POLL_EVERY - 1 {
                poll()?;
            }
            if let Some(next) = places.get(index + AHEAD) {
                prefetch(cells, *next as usize);
            }
            let at = *place as usize;
            if cells[at] != left || cells[at + left_len] != right {
                continue;
            }
            let (middle, end) = (at + left_len, at + left_len + right_len);
            let count = weights.at(cells, lengths, at);
            lost += count;
            let before = cells[at - 1];
            if last.0 == at {
                around.twin(last.1, count);
            } else if before & HEADER == 0 {
                around.left(before, at - lengths[before as usize] as usize, count);
            }
            let after = cells[end];
            if after & HEADER == 0 && !(after == left && cells[end + left_len] == right) {
                around.right(after, at, count);
            }
            cells[middle - 1] = INNER;
            cells[middle] = INNER;
            cells[at] = product;
            cells[end - 1] = product;
            last = (end, at);
        }
        Ok(lost)
    }
}

/// The tier of a short piece.
fn tier(count: u64) -> usize {
    TIERS - count.min(TIERS as u64) as usize
}

/// Counts of pieces by places in them, which must ascend.
struct Weights<'a> {
    tiers: &'a [usize; TIERS],
    tier: usize,
    heavy: &'a [(u32, u64)],
    long: &'a [(u32, u64)],
    cursor: usize,
}

impl Weights<'_> {
    /// The count of the piece that holds a place where a token begins.
    #[inline]
    fn at(&mut self, cells: &[u32], lengths: &[u32], at: usize) -> u64 {
        while self.tiers.get(self.tier).is_some_and(|end| *end <= at) {
            self.tier += 1;
        }
        match self.tier {
            0 => self.of_short(cells, header(cells, lengths, at)),
            TIERS => self.of_long(at),
            tier => (TIERS - tier) as u64,
        }
    }

    #[inline]
    fn of_short(&self, cells: &[u32], header: usize) -> u64 {
        match cells[header] & !HEADER {
            HEAVY => {
                let found = self.heavy.binary_search_by_key(&header, |(at, _)| *at as usize);
                found.map_or(0, |found| self.heavy[found].1)
            }
            count => u64::from(count),
        }
    }

    fn of_long(&mut self, at: usize) -> u64 {
        while self.long.get(self.cursor + 1).is_some_and(|(next, _)| *next as usize <= at) {
            self.cursor += 1;
        }
        self.long[self.cursor].1
    }
}

/// The header of the short piece that holds a place where a token begins.
#[inline]
fn header(cells: &[u32], lengths: &[u32], at: usize) -> usize {
    let mut before = at - 1;
    while cells[before] & HEADER == 0 {
        before -= lengths[cells[before] as usize] as usize;
    }
    before
}
