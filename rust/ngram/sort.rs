//! The places of a stream in the order of the ids that follow.
//!
//! A window begins at a place and ends after `depth` ids or with the first end of text behind its
//! first id. Places are put into buckets by their first id; a bucket is sorted by its next two ids,
//! packed into a word beside the place, and the groups that are equal by the two after these.
//! Buckets are apart from each other, so threads share nothing; equal windows keep the order of
//! their places.

use std::sync::{Mutex, PoisonError};

use crate::error::{Poll, Result};
use crate::parallel;
use crate::token::TokenId;

/// Places that a thread sorts between two looks at whether to go on.
const POLL_PLACES: usize = 1 << 16;
/// Parts of the work for each thread, so that a large bucket holds up little.
const PARTS: usize = 16;

/// Places in the order of their windows, and the groups that are equal and go on behind them.
#[derive(Debug, PartialEq)]
pub struct Sorted {
    pub places: Vec<u32>,
    /// Where groups of two and more begin and end, ascending.
    pub equal: Vec<(usize, usize)>,
    /// Ids of each window that were compared.
    pub depth: usize,
}

/// All places of `stream` in the order of their windows, or of windows that are one id longer.
///
/// # Errors
/// Those of `poll`.
pub fn sort(
    stream: &[TokenId],
    end: TokenId,
    depth: usize,
    threads: usize,
    poll: Poll<'_>,
) -> Result<Sorted> {
    let (mut places, ends) = buckets(stream, poll)?;
    let parts = cut(&mut places, &ends, threads.max(1) * PARTS);
    let parts: Vec<Mutex<Part<'_>>> = parts.into_iter().map(Mutex::new).collect();
    let mut states = vec![Sorter { stream, end, depth, keys: Vec::new() }; threads.max(1)];
    parallel::each(&parts, &mut states, poll, |sorter, _, part, poll| {
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        sorter.part(&mut part, poll)
    })?;
    let mut equal = Vec::new();
    for part in parts {
        equal.extend(part.into_inner().unwrap_or_else(PoisonError::into_inner).equal);
    }
    equal.sort_unstable();
    Ok(Sorted { places, equal, depth: depth / 2 * 2 + 1 })
}

/// Places by their first id, and where the places of each id end.
fn buckets(stream: &[TokenId], poll: Poll<'_>) -> Result<(Vec<u32>, Vec<usize>)> {
    let width = stream.iter().max().map_or(0, |&id| id as usize + 1);
    let mut ends = vec![0usize; width];
    for &id in stream {
        ends[id as usize] += 1;
    }
    poll()?;
    let mut sum = 0;
    for end in &mut ends {
        // First the starts; filling moves them to the ends.
        sum += std::mem::replace(end, sum);
    }
    let mut places = vec![0; stream.len()];
    for (place, &id) in (0..).zip(stream) {
        let at = &mut ends[id as usize];
        places[*at] = place;
        *at += 1;
    }
    poll()?;
    Ok((places, ends))
}

/// Some buckets in one piece of memory.
struct Part<'a> {
    /// Where they stand among all.
    base: usize,
    places: &'a mut [u32],
    /// Where each bucket ends in `places`.
    ends: Vec<usize>,
    /// Groups that are equal in the end, where they stand among all.
    equal: Vec<(usize, usize)>,
}

/// Cuts the buckets into about `wanted` parts of equal size.
fn cut<'a>(mut places: &'a mut [u32], ends: &[usize], wanted: usize) -> Vec<Part<'a>> {
    let size = places.len().div_ceil(wanted.max(1)).max(1);
    let (mut parts, mut start, mut part_ends) = (Vec::new(), 0, Vec::new());
    for &end in ends {
        part_ends.push(end - start);
        if end - start >= size {
            let (part, rest) = std::mem::take(&mut places).split_at_mut(end - start);
            let ends = std::mem::take(&mut part_ends);
            parts.push(Part { base: start, places: part, ends, equal: Vec::new() });
            (places, start) = (rest, end);
        }
    }
    parts.push(Part { base: start, places, ends: part_ends, equal: Vec::new() });
    parts
}

/// One thread's work.
#[derive(Clone)]
struct Sorter<'a> {
    stream: &'a [TokenId],
    end: TokenId,
    depth: usize,
    keys: Vec<(u64, u32)>,
}

impl Sorter<'_> {
    fn part(&mut self, part: &mut Part<'_>, poll: Poll<'_>) -> Result<()> {
        let mut start = 0;
        let mut groups = Vec::new();
        for &end in &part.ends {
            if end - start > 1 {
                groups.push((start, end));
            }
            start = end;
        }
        let mut sorted = 0;
        for from in (1..self.depth).step_by(2) {
            let mut equal = Vec::new();
            for (start, end) in groups {
                self.group(&mut part.places[start..end], from, start, &mut equal);
                sorted += end - start;
                if sorted >= POLL_PLACES {
                    sorted = 0;
                    poll()?;
                }
            }
            groups = equal;
        }
        part.equal = groups.iter().map(|(from, to)| (part.base + from, part.base + to)).collect();
        Ok(())
    }

    /// Sorts places whose windows are equal up to `from`, and notes which remain equal.
    fn group(
        &mut self,
        places: &mut [u32],
        from: usize,
        base: usize,
        equal: &mut Vec<(usize, usize)>,
    ) {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        keys.extend(places.iter().map(|&place| (self.key(place as usize + from), place)));
        keys.sort_unstable();
        let mut start = base;
        for run in keys.chunk_by(|left, right| left.0 == right.0) {
            if run.len() > 1 && self.goes_on(run[0].0) {
                equal.push((start, start + run.len()));
            }
            start += run.len();
        }
        for (place, key) in places.iter_mut().zip(&keys) {
            *place = key.1;
        }
        self.keys = keys;
    }

    /// Two ids of a window, each one up, and 0 behind its end.
    fn key(&self, at: usize) -> u64 {
        let id = |at: usize| self.stream.get(at).map_or(0, |&id| u64::from(id) + 1);
        let first = id(at);
        let ended = first == 0 || first == u64::from(self.end) + 1;
        first << 32 | if ended { 0 } else { id(at + 1) }
    }

    /// Whether windows go on behind the two ids of a key.
    fn goes_on(&self, key: u64) -> bool {
        let second = key & u64::from(u32::MAX);
        second != 0 && second != u64::from(self.end) + 1
    }
}
