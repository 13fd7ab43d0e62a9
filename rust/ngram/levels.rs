//! N-grams and their counts, read off the sorted windows.
//!
//! Equal n-grams begin neighbouring windows, so a pass over the windows in their order finds the
//! n-grams of a length, already sorted. Which ids stand before an n-gram of length k - 1 is told by
//! the n-grams of length k: each has one such n-gram behind its first id, and the place of that one
//! is the next place of the stream.

use crate::error::{Poll, Result};
use crate::ngram::Layout;
use crate::token::TokenId;

/// Places between two looks at whether to go on.
const POLL_PLACES: usize = 1 << 20;

/// A window: its place, its length, and how many ids it shares with the one before it.
struct Windows<'a> {
    places: &'a [u32],
    lengths: Vec<u8>,
    shared: Vec<u8>,
}

/// N-grams of one length.
#[derive(Default)]
struct Grams {
    ids: Vec<u32>,
    counts: Vec<u32>,
    /// Different ids before each; none are counted for the longest.
    before: Vec<u32>,
    starts: Vec<u32>,
}

/// The array of a model of all n-grams up to `order`, from places in the order of their windows.
///
/// # Errors
/// Those of `poll`.
pub fn lay_out(
    stream: &[TokenId],
    width: usize,
    end: TokenId,
    places: &[u32],
    order: usize,
    poll: Poll<'_>,
) -> Result<(Vec<u32>, Layout)> {
    let windows = measure(stream, end, places, order, poll)?;
    let (mut words, mut sizes) = (Vec::new(), Vec::new());
    let (mut below, mut nodes) = (singles(stream, width, end), Vec::new());
    for length in 2..=order {
        let nodes_below = if length == 2 { stream } else { &nodes };
        let (grams, found) = pass(stream, &windows, length, &mut below, nodes_below, poll)?;
        sizes.push(grams.ids.len());
        // Each level is put away as soon as it is complete, so that two are there at most.
        std::mem::replace(&mut below, grams).append_to(&mut words);
        nodes = found;
    }
    below.append_to(&mut words);
    Ok((words, Layout { width, end, sizes, stream: 0 }))
}

impl Grams {
    fn append_to(self, words: &mut Vec<u32>) {
        words.extend(self.ids);
        // What nothing stands before is a beginning, and counts as often as it occurs.
        let pairs = self.counts.iter().zip(&self.before);
        words.extend(pairs.map(|(&count, &before)| if before == 0 { count } else { before }));
        words.extend(self.starts);
    }
}

fn measure<'a>(
    stream: &[TokenId],
    end: TokenId,
    places: &'a [u32],
    order: usize,
    poll: Poll<'_>,
) -> Result<Windows<'a>> {
    let window = |place: u32| {
        let rest = &stream[place as usize..];
        let inner = rest.iter().take(order).skip(1).take_while(|&&id| id != end).count();
        // The id that ended it, if any, belongs to it.
        &rest[..(inner + 2).min(order).min(rest.len())]
    };
    let (mut lengths, mut shared) = (Vec::new(), Vec::new());
    lengths.reserve_exact(places.len());
    shared.reserve_exact(places.len());
    let mut last: &[TokenId] = &[];
    for places in places.chunks(POLL_PLACES) {
        poll()?;
        for &place in places {
            let ids = window(place);
            let equal = ids.iter().zip(last).take_while(|(left, right)| left == right).count();
            lengths.push(ids.len() as u8);
            shared.push(equal as u8);
            last = ids;
        }
    }
    Ok(Windows { places, lengths, shared })
}

/// Single ids, of which there is a place for each; the end of text begins no document here.
fn singles(stream: &[TokenId], width: usize, end: TokenId) -> Grams {
    let mut counts = vec![0; width];
    for &id in stream {
        counts[id as usize] += 1;
    }
    counts[end as usize] -= 1;
    Grams { ids: Vec::new(), before: vec![0; width], counts, starts: Vec::new() }
}

/// The n-grams of one length, and the n-gram at each place, for the next length.
///
/// `nodes` has the n-grams of the length below at each place. Completes the level below: where its
/// n-grams' followers are, and what stands before them.
fn pass(
    stream: &[TokenId],
    windows: &Windows<'_>,
    length: usize,
    below: &mut Grams,
    nodes: &[u32],
    poll: Poll<'_>,
) -> Result<(Grams, Vec<u32>)> {
    let (mut grams, mut found) = (Grams::default(), vec![0; stream.len()]);
    let mut starts = vec![0u32; below.counts.len() + 1];
    // How many n-grams of the length below there are up to here.
    let mut parents = 0;
    let sizes = windows.lengths.iter().zip(&windows.shared);
    for (at, (&place, (&len, &shared))) in windows.places.iter().zip(sizes).enumerate() {
        if at % POLL_PLACES == 0 {
            poll()?;
        }
        let (place, len, shared) = (place as usize, usize::from(len), usize::from(shared));
        if length == 2 {
            parents = stream[place] as usize + 1;
        } else if len >= length - 1 && shared < length - 1 {
            parents += 1;
        }
        if len < length {
            continue;
        }
        if shared < length {
            grams.ids.push(stream[place + length - 1]);
            grams.counts.push(0);
            starts[parents] += 1;
            below.before[nodes[place + 1] as usize] += 1;
        }
        let node = grams.counts.len() - 1;
        grams.counts[node] += 1;
        found[place] = node as u32;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    below.starts = starts;
    grams.before = vec![0; grams.ids.len()];
    Ok((grams, found))
}
