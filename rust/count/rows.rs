//! Counts that somebody else made: rows in any order, and lists to merge.

use super::Counts;
use super::merge::{Ascending, MOST, merge, prefix};
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
    // Sorted so few at a time that Ctrl-C need not wait, and then merged.
    const PART: usize = 1 << 18;
    let texts = rows.iter().filter(|(piece, count)| *count > 0 && !piece.is_empty());
    let mut order: Vec<_> = texts.map(|&(piece, count)| (prefix(piece), piece, count)).collect();
    for part in order.chunks_mut(PART) {
        poll()?;
        part.sort_unstable();
    }
    // What is in order as a whole, as a saved table is, needs no merging.
    let parts = if order.is_sorted() { order.len().max(1) } else { PART };
    let sources = order.chunks(parts).map(|part| {
        let entries = part.iter().map(|&(_, piece, count)| (piece, count));
        Box::new(entries) as Box<dyn Ascending>
    });
    let mut counts = Counts::default();
    merge(sources.collect(), &mut counts, poll)?;
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
