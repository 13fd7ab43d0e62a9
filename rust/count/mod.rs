//! Counts the pieces of texts: what training learns from.
//!
//! ```text
//! texts ──pretokenize──▶ pieces ──a table a thread──▶ sorted lists ──merge──▶ counts by piece
//! ```
//!
//! The result is sorted by the bytes of the pieces and depends on nothing but the texts: neither on
//! threads, nor on how the texts arrive, nor on their order. Every text is a text of its own to the
//! pattern. A long text is cut for several threads, or counted while it still arrives, only where
//! that changes no piece; where no such place is known, it is one unit of work.
//!
//! Cost: about one look at a table for each piece. Memory: a table a thread, 50 to 100 bytes for
//! each different piece, and the result.

mod merge;
mod rows;
mod table;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use crate::error::{Poll, Result};
use crate::parallel;
use crate::pretokenize::{Pretokenizer, Span, Step, last_word_cut};
use crate::ragged::Ragged;
use merge::{Ascending, Sink, merge};
use table::{GROUP, Sorted, Table};

pub use merge::MOST;
pub use rows::{Rows, merge_counts, sum_rows};

/// Bytes of text that a thread takes at a time.
const ITEM_BYTES: usize = 1 << 18;
/// Bytes of an arriving text that are gathered before they are counted.
const GATHERED: usize = 1 << 22;

/// Different pieces in the order of their bytes, and how often each stands in the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The bytes of the pieces.
    pub pieces: Ragged<u8>,
    /// At least 1 and at most [`MOST`] each.
    pub counts: Vec<u64>,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { pieces: Ragged { values: Vec::new(), offsets: vec![0] }, counts: Vec::new() }
    }
}

impl Sink for Counts {
    fn put(&mut self, piece: &[u8], count: u64) -> Result<()> {
        self.pieces.values.extend_from_slice(piece);
        self.pieces.offsets.push(self.pieces.values.len() as i64);
        self.counts.push(count);
        Ok(())
    }
}

/// Counts the pieces of texts, batch after batch.
#[derive(Debug)]
pub struct Counter {
    pretokenizer: Pretokenizer,
    workers: Vec<Worker>,
    /// The text that is arriving, from the last place where it was cut.
    kept: Vec<u8>,
    /// Bytes to gather before the next try to cut; it doubles when there was no place.
    wanted: usize,
}

impl Counter {
    /// A counter that cuts texts by `steps`; without any, a text is one piece.
    ///
    /// # Errors
    /// [`crate::Error::Pattern`] for a pattern that is wrong or cannot run in linear time.
    pub fn new(steps: &[Step], threads: usize) -> Result<Counter> {
        let workers = (0..threads.max(1)).map(|_| Worker::new()).collect();
        let pretokenizer = Pretokenizer::new(steps)?;
        Ok(Counter { pretokenizer, workers, kept: Vec::new(), wanted: GATHERED })
    }

    /// Pieces counted so far, equal ones included.
    pub fn pieces(&self) -> u64 {
        self.workers.iter().map(|worker| worker.pieces).sum()
    }

    /// Counts whole texts.
    pub fn push(&mut self, texts: &[&[u8]], poll: Poll<'_>) -> Result<()> {
        let pretokenizer = &self.pretokenizer;
        let items = items(texts, pretokenizer.cuts_at_words());
        parallel::each(&items, &mut self.workers, poll, |worker, _, item, poll| {
            item.iter().try_for_each(|text| worker.count(pretokenizer, text, poll))
        })
    }

    /// Counts the next part of a text that arrives in parts.
    pub fn push_part(&mut self, part: &[u8], poll: Poll<'_>) -> Result<()> {
        self.kept.extend_from_slice(part);
        if self.kept.len() < self.wanted {
            return Ok(());
        }
        let word = match self.pretokenizer.cuts_at_words() {
            true => last_word_cut(&self.kept),
            false => None,
        };
        let Some(cut) = word.or_else(|| self.pretokenizer.settled_end(&self.kept)) else {
            self.wanted = 2 * self.kept.len();
            return Ok(());
        };
        let rest = self.kept.split_off(cut);
        let settled = std::mem::replace(&mut self.kept, rest);
        self.wanted = GATHERED.max(2 * self.kept.len());
        self.push(&[&settled], poll)
    }

    /// Counts what is left of the text that arrived in parts.
    pub fn end_text(&mut self, poll: Poll<'_>) -> Result<()> {
        let last = std::mem::take(&mut self.kept);
        self.wanted = GATHERED;
        self.push(&[&last], poll)
    }

    /// What was counted; the counter is empty then.
    pub fn finish(&mut self, poll: Poll<'_>) -> Result<Counts> {
        let mut counts = Counts::default();
        let tables = self.sorted(poll)?;
        merge(sources(&tables), &mut counts, poll)?;
        Ok(counts)
    }

    fn sorted(&mut self, poll: Poll<'_>) -> Result<Vec<Sorted>> {
        let tables: Vec<_> =
            self.workers.iter_mut().map(|worker| Mutex::new(Some(worker.take()))).collect();
        let mut sorted: Vec<Vec<Sorted>> = tables.iter().map(|_| Vec::new()).collect();
        parallel::each(&tables, &mut sorted, poll, |done, _, table, poll| {
            let table = table.lock().unwrap_or_else(PoisonError::into_inner).take();
            done.extend(table.map(|table| table.sorted(poll)).transpose()?);
            Ok(())
        })?;
        Ok(sorted.into_iter().flatten().collect())
    }
}

fn sources(tables: &[Sorted]) -> Vec<Box<dyn Ascending + '_>> {
    let mut sources: Vec<Box<dyn Ascending + '_>> = Vec::with_capacity(2 * tables.len());
    for table in tables {
        sources.extend(table.shorts().map(|part| Box::new(part) as Box<dyn Ascending>));
        sources.extend(table.longs().map(|part| Box::new(part) as Box<dyn Ascending>));
    }
    sources
}

/// A thread's share of the work.
#[derive(Debug)]
struct Worker {
    table: Table,
    pieces: u64,
}

impl Worker {
    fn new() -> Worker {
        Worker { table: Table::new(usize::MAX), pieces: 0 }
    }

    fn take(&mut self) -> Table {
        self.pieces = 0;
        std::mem::replace(&mut self.table, Table::new(usize::MAX))
    }

    fn count(&mut self, pretokenizer: &Pretokenizer, text: &[u8], poll: Poll<'_>) -> Result<()> {
        const POLL_GROUPS: u32 = 64;
        let mut pieces = pretokenizer.pieces(text);
        let mut spans = [Span::default(); GROUP];
        for group in 1_u32.. {
            let filled = pieces.fill(&mut spans);
            if filled == 0 {
                break;
            }
            self.table.make_room();
            self.table.add(text, &spans[..filled]);
            self.pieces += filled as u64;
            if group.is_multiple_of(POLL_GROUPS) {
                poll()?;
            }
        }
        Ok(())
    }
}

/// Texts, or stretches of one, of about equal bytes.
fn items<'a>(texts: &[&'a [u8]], cut: bool) -> Vec<Vec<&'a [u8]>> {
    let mut items = Vec::new();
    let mut item = Vec::new();
    let mut bytes = 0;
    for &text in texts {
        let mut rest = text;
        while cut
            && rest.len() > 2 * ITEM_BYTES
            && let Some(at) = last_word_cut(&rest[..ITEM_BYTES])
        {
            let (head, tail) = rest.split_at(at);
            items.push(vec![head]);
            rest = tail;
        }
        item.push(rest);
        bytes += rest.len();
        if bytes >= ITEM_BYTES {
            items.push(std::mem::take(&mut item));
            bytes = 0;
        }
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}
