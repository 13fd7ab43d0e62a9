//! Counts that somebody else made: rows in any order, and lists to merge.

use super::Counts;
use super::merge::{Ascending, MOST, Sink, added, merge, prefix};
use crate::error::{Error, Poll, Result};

/// Counted pieces as the caller holds them: piece `i` is `values[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub values: &'a [u8],
    pub offsets: &'a [i64],
    pub counts: &'a [u64],
}

impl<'a> Rows<'a> {
    /// Refuses what is not in the form of [`Counts`].
    fn check(self, poll: Poll<'_>) -> Result<()> {
        const POLL_ROWS: usize = 1 << 16;
        let refused = |what: String| Err(Error::Argument(what));
        let (rows, ends) = (self.counts.len(), self.offsets);
        if ends.len() != rows + 1 || ends[0] < 0 || ends[rows] > self.values.len() as i64 {
            return refused(format!("{} offsets that do not fit {rows} counts", ends.len()));
        }
        let mut before: &[u8] = &[];
        for (row, pair) in ends.windows(2).enumerate() {
            let Some(piece) = self.values.get(pair[0] as usize..pair[1] as usize) else {
                return refused(format!("row {row} points outside its buffer"));
            };
            if piece <= before || self.counts[row] == 0 || self.counts[row] > MOST {
                return refused(format!("row {row} is out of order, or its count is out of range"));
            }
            before = piece;
            if row % POLL_ROWS == 0 {
                poll()?;
            }
        }
        Ok(())
    }

    /// The pieces with their counts; the offsets are checked.
    fn entries(self) -> impl Iterator<Item = (&'a [u8], u64)> {
        let pieces = self.offsets.windows(2);
        let pieces = pieces.map(move |pair| &self.values[pair[0] as usize..pair[1] as usize]);
        pieces.zip(self.counts.iter().copied())
    }
}

/// Sums rows that stand in any order; a piece may stand in several. Rows without a count, and
/// empty pieces, hold no text and are left out.
///
/// # Errors
/// [`Error::Data`] for a sum above [`MOST`].
pub fn sum_rows(rows: &[(&[u8], u64)], poll: Poll<'_>) -> Result<Counts> {
    let mut order: Vec<(u64, usize)> = rows
        .iter()
        .enumerate()
        .filter(|(_, (piece, count))| *count > 0 && !piece.is_empty())
        .map(|(row, (piece, _))| (prefix(piece), row))
        .collect();
    poll()?;
    let ascending = order.windows(2).all(|pair| {
        let [(_, a), (_, b)] = [pair[0], pair[1]];
        rows[a].0 < rows[b].0
    });
    if !ascending {
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rows[a.1].0.cmp(rows[b.1].0)));
    }
    poll()?;
    let mut counts = Counts::default();
    let mut sum = 0;
    for (at, &(_, row)) in order.iter().enumerate() {
        let piece = rows[row].0;
        sum = added(sum, rows[row].1, piece)?;
        if order.get(at + 1).is_none_or(|&(_, next)| rows[next].0 != piece) {
            counts.put(piece, sum)?;
            sum = 0;
        }
    }
    Ok(counts)
}

/// Merges counts, each list in ascending order of its pieces.
///
/// # Errors
/// [`Error::Data`] for a sum above [`MOST`], [`Error::Argument`] for a list that is not in order.
pub fn merge_counts(lists: &[Rows<'_>], poll: Poll<'_>) -> Result<Counts> {
    let mut sources: Vec<Box<dyn Ascending>> = Vec::with_capacity(lists.len());
    for list in lists {
        list.check(poll)?;
        sources.push(Box::new(list.entries()));
    }
    let mut counts = Counts::default();
    merge(sources, &mut counts, poll)?;
    Ok(counts)
}
