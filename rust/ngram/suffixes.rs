//! The places of a stream in the order of all that follows in the document, and search in them.
//!
//! A suffix array (Manber & Myers 1993) over ids: from places that are sorted by their first ids, by
//! doubling (Larsson & Sadakane 2007). Places that are equal in their first `h` ids are sorted by
//! the ranks of the places `h` further, so that they are sorted by `2 h` ids; what is told apart is
//! left alone. Documents end all comparisons: places whose rests of documents are equal keep the
//! order of their places, and no repeated document costs more than its length.
//!
//! A search compares from where both ends of what is left of it differ from what is looked for, as
//! Manber & Myers do without their table of common beginnings.
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

/// Places at which so few ids occur are all walked back from, rather than longer ids looked for.
const FEW: usize = 8;

/// Ids that are compared at a time where two stretches may be long.
const BLOCK: usize = 32;

/// What a document had up to now: ids since the end of text that began it, and that itself.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The end of text, unless it is among the ids.
    front: Option<TokenId>,
    ids: &'a [i32],
}

impl<'a> Context<'a> {
    /// The ids from the last end of text on, or all of them behind one.
    pub fn new(ids: &'a [i32], end: TokenId) -> Context<'a> {
        let ended = |block: &[i32]| {
            block.iter().fold(false, |ended, id| ended | (id.cast_unsigned() == end))
        };
        let mut from = ids.len();
        for block in ids.rchunks(BLOCK) {
            from -= block.len();
            if ended(block) {
                let at = block.iter().rposition(|id| id.cast_unsigned() == end).unwrap_or(0);
                return Context { front: None, ids: &ids[from + at..] };
            }
        }
        Context { front: Some(end), ids }
    }

    fn len(&self) -> usize {
        self.ids.len() + usize::from(self.front.is_some())
    }

    /// The last so many ids.
    fn last(self, length: usize) -> Context<'a> {
        match self.ids.len().checked_sub(length) {
            Some(from) => Context { front: None, ids: &self.ids[from..] },
            None => self,
        }
    }
}

/// Whether two blocks are different, looked at as a whole.
fn differ((left, right): (&[TokenId], &[i32])) -> bool {
    left.iter().zip(right).fold(0, |bits, (a, b)| bits | (a ^ b.cast_unsigned())) != 0
}

/// How many of the first ids are equal.
fn equal_first(stream: &[TokenId], ids: &[i32]) -> usize {
    let mut blocks = stream.chunks_exact(BLOCK).zip(ids.chunks_exact(BLOCK));
    let known = BLOCK * blocks.position(differ).unwrap_or(stream.len().min(ids.len()) / BLOCK);
    let rest = stream[known..].iter().zip(&ids[known..]);
    known + rest.take_while(|(a, b)| **a == b.cast_unsigned()).count()
}

/// How many of the last ids are equal.
fn equal_last(stream: &[TokenId], ids: &[i32]) -> usize {
    let mut blocks = stream.rchunks_exact(BLOCK).zip(ids.rchunks_exact(BLOCK));
    let known = BLOCK * blocks.position(differ).unwrap_or(stream.len().min(ids.len()) / BLOCK);
    let rest =
        stream[..stream.len() - known].iter().rev().zip(ids[..ids.len() - known].iter().rev());
    known + rest.take_while(|(a, b)| **a == b.cast_unsigned()).count()
}

/// A stream and its places in order.
#[derive(Debug, Clone, Copy)]
pub struct Suffixes<'a> {
    pub stream: &'a [TokenId],
    pub places: &'a [u32],
}

impl Suffixes<'_> {
    /// The length of the longest end of `context` that occurs in the stream, if it has at least
    /// `least` ids, and what follows it.
    ///
    /// Wherever an end of the context occurs, walking back tells how much longer one occurs there:
    /// at few places, that is all there is to know; at many, the next length to look for is behind
    /// what the walk from one of them found. Steps double, and then are halved.
    pub fn longest(&self, context: Context<'_>, least: usize) -> Option<(usize, Followers)> {
        let (mut length, mut known, mut step) = (least, context.len() + 1, 1);
        let mut at = self.first(context.last(length)).filter(|_| length < known)?;
        loop {
            if let Some(few) = self.few(at, context.last(length)) {
                return Some(self.longest_of(few, context, length));
            }
            let mut more = self.before(self.places[at], context, length);
            if length == least {
                // In a stretch that repeats itself, most of it stands before the first or the last.
                let last = at + self.count(at, context.last(length)).saturating_sub(1);
                more = more.max(self.before(self.places[last], context, length));
            }
            length += more;
            let longer = loop {
                // What is longer occurs only where what is shorter does.
                if length + 1 >= known {
                    break None;
                }
                let wanted = length + step.min((known - length) / 2);
                match self.first(context.last(wanted)) {
                    Some(found) => break Some((wanted, found)),
                    None => known = wanted,
                }
            };
            let Some(found) = longer else { break };
            (length, at) = found;
            step *= 2;
        }
        Some((length, self.followers(length, self.find(context.last(length)))))
    }

    /// The first of the places where `ids` occur, as its number in their order.
    ///
    /// What both ends of a search have in common with the ids, everything between them has too.
    fn first(&self, ids: Context<'_>) -> Option<usize> {
        let (mut start, mut stop) = (0, self.places.len());
        let (mut below, mut above) = (0, 0);
        while start < stop {
            let middle = start + (stop - start) / 2;
            let (equal, order) = self.compare(self.places[middle], ids, below.min(above));
            if order.is_lt() {
                (start, below) = (middle + 1, equal);
            } else {
                (stop, above) = (middle, equal);
            }
        }
        (stop < self.places.len() && above == ids.len()).then_some(stop)
    }

    /// The range of the places where `ids` occur.
    fn find(&self, ids: Context<'_>) -> Range<usize> {
        let start = self.first(ids).unwrap_or(self.places.len());
        start..start + self.count(start, ids)
    }

    /// At how many places from the `at`-th on `ids` occur.
    fn count(&self, at: usize, ids: Context<'_>) -> usize {
        gallop(&self.places[at..], |&place| self.is_at(place, ids))
    }

    /// The places from the `at`-th on where `ids` occur, if they are few.
    fn few(&self, at: usize, ids: Context<'_>) -> Option<&[u32]> {
        let rest = &self.places[at..];
        if rest.get(FEW).is_some_and(|&place| self.is_at(place, ids)) {
            return None;
        }
        let few = &rest[..rest.len().min(FEW)];
        Some(&few[..few.partition_point(|&place| self.is_at(place, ids))])
    }

    fn is_at(&self, place: u32, ids: Context<'_>) -> bool {
        self.compare(place, ids, 0).1.is_eq()
    }

    /// How many of the first of `ids` stand at a place, and how what stands there compares with all
    /// of them; the first `known` do.
    fn compare(&self, place: u32, ids: Context<'_>, known: usize) -> (usize, Ordering) {
        let rest = self.stream.get(place as usize..).unwrap_or(&[]);
        let front = usize::from(ids.front.is_some());
        if let (Some(end), 0) = (ids.front, known) {
            match rest.first() {
                Some(&id) if id == end => {}
                other => return (0, other.cmp(&Some(&end))),
            }
        }
        let from = known.max(front);
        let behind = rest.get(from..).unwrap_or(&[]);
        let equal = equal_first(behind, &ids.ids[from - front..]);
        let wanted = ids.ids.get(from - front + equal).map(|id| id.cast_unsigned());
        // What ends before the ids do comes before them.
        let order = wanted.map_or(Ordering::Equal, |id| behind.get(equal).copied().cmp(&Some(id)));
        (from + equal, order)
    }

    /// How many more ids of a context stand before a place where its last `length` do.
    fn before(&self, place: u32, context: Context<'_>, length: usize) -> usize {
        let Some(more) = context.ids.len().checked_sub(length) else { return 0 };
        let stream = &self.stream[..place as usize];
        let equal = equal_last(stream, &context.ids[..more]);
        let whole = equal == more && context.front.is_some();
        equal
            + usize::from(whole && stream[..stream.len() - equal].last() == context.front.as_ref())
    }

    /// The longest end of a context at places where its last `length` ids occur.
    fn longest_of(
        &self,
        places: &[u32],
        context: Context<'_>,
        length: usize,
    ) -> (usize, Followers) {
        let before: Vec<usize> =
            places.iter().map(|&place| self.before(place, context, length)).collect();
        let most = before.iter().copied().max().unwrap_or(0);
        let longest = places.iter().zip(before).filter(|&(_, before)| before == most);
        let follower = |(&place, _): (&u32, usize)| self.stream.get(place as usize + length);
        let mut ids: Vec<TokenId> = longest.filter_map(follower).copied().collect();
        ids.sort_unstable();
        let mut found = Followers::default();
        for run in ids.chunk_by(|left, right| left == right) {
            found.ids.push(run[0]);
            found.counts.push(run.len() as u32);
        }
        (length + most, found)
    }

    /// The ids that follow the first `length` ids of some places that have these in common, in
    /// ascending order, and how often each does.
    fn followers(&self, length: usize, range: Range<usize>) -> Followers {
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
