//! Merging lists of counted pieces that stand in the order of their bytes.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::error::{Error, Poll, Result};

/// The largest count: what Arrow's and Parquet's `int64` holds.
pub const MOST: u64 = i64::MAX as u64;

/// Pieces in ascending order.
pub(super) trait Ascending {
    /// Puts the next piece into `piece` and returns its count; `None` at the end.
    fn next(&mut self, piece: &mut Vec<u8>) -> Result<Option<u64>>;
}

impl<P: AsRef<[u8]>, I: Iterator<Item = (P, u64)>> Ascending for I {
    fn next(&mut self, piece: &mut Vec<u8>) -> Result<Option<u64>> {
        Ok(Iterator::next(self).map(|(next, count)| {
            piece.clear();
            piece.extend_from_slice(next.as_ref());
            count
        }))
    }
}

/// Takes counted pieces, in order.
pub(super) trait Sink {
    fn put(&mut self, piece: &[u8], count: u64) -> Result<()>;
}

/// Gives every piece of all sources once, in order, with the sum of its counts.
///
/// Cost: for each entry of a source as many comparisons as the number of sources has digits in
/// base two.
pub(super) fn merge(
    sources: Vec<Box<dyn Ascending + '_>>,
    sink: &mut dyn Sink,
    poll: Poll<'_>,
) -> Result<()> {
    const POLL_PIECES: usize = 1 << 12;
    let mut heads = BinaryHeap::with_capacity(sources.len());
    for source in sources {
        let mut head = Head { prefix: 0, piece: Vec::new(), count: 0, source };
        if head.advance()? {
            heads.push(head);
        }
    }
    let mut piece = Vec::new();
    for number in 0.. {
        let Some(first) = heads.peek() else { break };
        piece.clone_from(&first.piece);
        let mut sum = 0;
        while let Some(mut head) = heads.peek_mut().filter(|head| head.piece == piece) {
            sum = added(sum, head.count, &piece)?;
            if !head.advance()? {
                PeekMut::pop(head);
            }
        }
        sink.put(&piece, sum)?;
        if number % POLL_PIECES == 0 {
            poll()?;
        }
    }
    Ok(())
}

/// The sum of two counts of a piece.
fn added(a: u64, b: u64, piece: &[u8]) -> Result<u64> {
    a.checked_add(b).filter(|&sum| sum <= MOST).ok_or_else(|| {
        let shown = String::from_utf8_lossy(&piece[..piece.len().min(40)]);
        Error::Data(format!("the count of {shown:?} is more than {MOST}, the largest there is"))
    })
}

/// A source and the entry that it stands at.
struct Head<'a> {
    prefix: u64,
    piece: Vec<u8>,
    count: u64,
    source: Box<dyn Ascending + 'a>,
}

impl Head<'_> {
    fn advance(&mut self) -> Result<bool> {
        let Some(count) = self.source.next(&mut self.piece)? else { return Ok(false) };
        self.count = count;
        self.prefix = prefix(&self.piece);
        Ok(true)
    }
}

/// The first eight bytes, as a number that sorts like them.
pub(super) fn prefix(piece: &[u8]) -> u64 {
    match piece.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes[..piece.len()].copy_from_slice(piece);
            u64::from_be_bytes(bytes)
        }
    }
}

impl Ord for Head<'_> {
    /// The largest of a heap is its top, so the smallest piece is the largest head.
    fn cmp(&self, other: &Self) -> Ordering {
        other.prefix.cmp(&self.prefix).then_with(|| other.piece.cmp(&self.piece))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head<'_> {}
