//! The places of a stream in the order of all that follows in the document, and search in them.
//!
//! A suffix array (Manber & Myers 1993) over ids: from places that are sorted by their first ids, by
//! doubling (Larsson & Sadakane 2007). Places that are equal in their first `h` ids are sorted by
//! the ranks of the places `h` further, so that they are sorted by `2 h` ids; what is told apart is
//! left alone. Documents end all comparisons: places whose rests of documents are equal keep the
//! order of their places, and no repeated document costs more than its length.
//!
//! Cost: `O(n log^2 l)` for `n` ids of which equal stretches are `l` long; 4 bytes an id beside the
//! result.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::{Poll, Result};
use crate::ngram::sort::Sorted;
use crate::parallel;
use crate::token::TokenId;

/// Places that a thread takes at once.
const PART: usize = 1 << 14;

/// Goes on sorting until nothing but places with the same rest of a document is equal.
///
/// # Errors
/// Those of `poll`.
pub fn sort_on(
    stream: &[TokenId],
    end: TokenId,
    sorted: Sorted,
    threads: usize,
    poll: Poll<'_>,
) -> Result<Vec<u32>> {
    let Sorted { mut places, mut equal, mut depth } = sorted;
    let ends = Ends::new(stream, end, &places);
    let mut ranks = vec![0u32; places.len()];
    for (at, &place) in (0..).zip(&places) {
        ranks[place as usize] = at;
    }
    for &(start, stop) in &equal {
        for &place in &places[start..stop] {
            ranks[place as usize] = start as u32;
        }
    }
    while !equal.is_empty() {
        poll()?;
        let key = |place: u32| {
            let behind = place as usize + depth;
            // All that ends here is equal; what is behind the stream comes before everything.
            let rank = |&id| 1 + if id == end { ends.rank } else { ranks[behind] };
            stream.get(behind).map_or(0, rank)
        };
        let parts: Vec<Mutex<Part<'_>>> =
            cut(&mut places, &equal).into_iter().map(Mutex::new).collect();
        let mut states = vec![Vec::new(); threads.max(1)];
        parallel::each(&parts, &mut states, poll, |keys, _, part, poll| {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            part.sort(keys, key);
            poll()
        })?;
        let runs: Vec<(usize, usize)> = parts
            .into_iter()
            .flat_map(|part| part.into_inner().unwrap_or_else(PoisonError::into_inner).runs)
            .collect();
        for &(start, stop) in &runs {
            for &place in &places[start..stop] {
                ranks[place as usize] = start as u32;
            }
        }
        depth *= 2;
        equal = runs;
        equal.retain(|&(start, stop)| {
            stop - start > 1 && ends.next_behind(places[start]) >= places[start] as usize + depth
        });
    }
    Ok(places)
}

/// Ends of documents.
struct Ends {
    places: Vec<u32>,
    /// Rank of the first place that holds one.
    rank: u32,
}

impl Ends {
    fn new(stream: &[TokenId], end: TokenId, sorted: &[u32]) -> Ends {
        let places = (0..).zip(stream).filter(|&(_, &id)| id == end).map(|(place, _)| place);
        let rank = sorted.partition_point(|&place| stream[place as usize] < end);
        Ends { places: places.collect(), rank: rank as u32 }
    }

    /// Where the document ends in which `place` lies, or which it begins.
    fn next_behind(&self, place: u32) -> usize {
        let at = self.places.partition_point(|&end| end <= place);
        self.places.get(at).map_or(0, |&end| end as usize)
    }
}

/// Some groups of equal places in one piece of memory.
struct Part<'a> {
    base: usize,
    places: &'a mut [u32],
    /// Before sorting, the groups; then those into which they fall.
    runs: Vec<(usize, usize)>,
}

impl Part<'_> {
    fn sort(&mut self, keys: &mut Vec<(u32, u32)>, key: impl Fn(u32) -> u32) {
        for (start, stop) in std::mem::take(&mut self.runs) {
            let places = &mut self.places[start - self.base..stop - self.base];
            keys.clear();
            keys.extend(places.iter().map(|&place| (key(place), place)));
            keys.sort_unstable();
            for (place, key) in places.iter_mut().zip(keys.iter()) {
                *place = key.1;
            }
            let mut from = start;
            for run in keys.chunk_by(|left, right| left.0 == right.0) {
                self.runs.push((from, from + run.len()));
                from += run.len();
            }
        }
    }
}

/// The groups, some at a time.
fn cut<'a>(places: &'a mut [u32], groups: &[(usize, usize)]) -> Vec<Part<'a>> {
    let (mut parts, mut rest, mut base) = (Vec::new(), places, 0);
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (at, &(start, stop)) in groups.iter().enumerate() {
        open.push((start, stop));
        if stop - open[0].0 >= PART || at + 1 == groups.len() {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(stop - base);
            parts.push(Part { base, places: part, runs: std::mem::take(&mut open) });
            (rest, base) = (behind, stop);
        }
    }
    parts
}

/// How many of the first items are `inside`, behind which none is: steps that double find few sooner
/// than halving does.
fn gallop<T>(items: &[T], inside: impl Fn(&T) -> bool) -> usize {
    let mut step = 1;
    while items.get(step - 1).is_some_and(&inside) {
        step *= 2;
    }
    let known = step / 2;
    known + items[known..items.len().min(step)].partition_point(inside)
}

/// Ids and how often each occurs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Followers {
    pub ids: Vec<TokenId>,
    pub counts: Vec<u32>,
}

/// A stream and its places in order.
#[derive(Debug, Clone, Copy)]
pub struct Suffixes<'a> {
    pub stream: &'a [TokenId],
    pub places: &'a [u32],
}

impl Suffixes<'_> {
    /// The longest end of `context` that occurs in the stream, if it has at least `least` ids, and
    /// the range of the places where it does.
    pub fn longest(&self, context: &[TokenId], least: usize) -> Option<(usize, Range<usize>)> {
        let occurs = |length: usize| {
            let found = self.find(&context[context.len() - length..]);
            (!found.is_empty()).then_some((length, found))
        };
        let mut best = occurs(Some(least).filter(|&least| least <= context.len())?)?;
        // What is longer occurs only where what is shorter does: double, then halve.
        let (mut known, mut step) = (context.len() + 1, 1);
        while best.0 + step < known {
            match occurs(best.0 + step) {
                Some(found) => (best, step) = (found, 2 * step),
                None => known = best.0 + step,
            }
        }
        while best.0 + 1 < known {
            let middle = best.0 + (known - best.0) / 2;
            match occurs(middle) {
                Some(found) => best = found,
                None => known = middle,
            }
        }
        Some(best)
    }

    /// The range of the places where `ids` occur.
    fn find(&self, ids: &[TokenId]) -> Range<usize> {
        let start = self.places.partition_point(|&place| self.compare(place, ids).is_lt());
        start..start + gallop(&self.places[start..], |&place| self.compare(place, ids).is_eq())
    }

    fn compare(&self, place: u32, ids: &[TokenId]) -> Ordering {
        let rest = self.stream.get(place as usize..).unwrap_or(&[]);
        rest[..rest.len().min(ids.len())].cmp(ids)
    }

    /// The ids that follow the first `length` ids of some places that have these in common, in
    /// ascending order, and how often each does.
    pub fn followers(&self, length: usize, range: Range<usize>) -> Followers {
        let follower = |place: u32| self.stream.get(place as usize + length).copied();
        let (mut found, mut rest) = (Followers::default(), &self.places[range]);
        while let Some(&first) = rest.first() {
            let id = follower(first);
            let count = gallop(rest, |&place| follower(place) == id);
            // The stream ends with an end of text, which nothing but a beginning has behind it.
            found.ids.extend(id);
            found.counts.extend(id.map(|_| count as u32));
            rest = &rest[count..];
        }
        found
    }
}
