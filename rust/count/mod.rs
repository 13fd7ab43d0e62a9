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
//! Cost: about one look at a table for each piece. Memory: a table a thread, 40 to 100 bytes for
//! each different piece, and the result. With a [`Budget`], a table that is full is written down as
//! a sorted run, and the result is merged from the runs, read and written as streams.

mod merge;
mod rows;
mod run;
mod table;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Poll, Result};
use crate::parallel;
use crate::pretokenize::{Pretokenizer, Span, Step, last_word_cut};
use crate::ragged::Ragged;
use merge::{Ascending, Sink, merge};
use run::{FlatWriter, RunWriter, merge_all, remove};
use table::{GROUP, Sorted, Table};

pub use merge::MOST;
pub use rows::{Rows, merge_counts, sum_rows};
pub use run::FLAT_FILES;

/// Bytes of text that a thread takes at a time.
const ITEM_BYTES: usize = 1 << 18;
/// A thread with a smaller table than this would write more than it counts.
const LEAST_BYTES: usize = 1 << 24;
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

/// How much memory tables may take, and where to write what does not fit.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Bytes of all tables together.
    pub bytes: usize,
    /// A folder of its own.
    pub folder: PathBuf,
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
    /// With a budget, tables that are full are written down as sorted runs. Fewer threads than
    /// asked for are used if there were too little for each.
    ///
    /// # Errors
    /// [`crate::Error::Pattern`] for a pattern that is wrong or cannot run in linear time.
    pub fn new(steps: &[Step], threads: usize, budget: Option<Budget>) -> Result<Counter> {
        let fit = budget.as_ref().map_or(threads, |budget| budget.bytes / LEAST_BYTES);
        let threads = threads.min(fit).max(1);
        let worker = |number| Worker::new(number, threads, budget.clone());
        let pretokenizer = Pretokenizer::new(steps)?;
        let workers = (0..threads).map(worker).collect();
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
        let cut = match word {
            Some(word) => Some(word),
            None => self.pretokenizer.settled_ends(&self.kept, poll)?.pop(),
        };
        let Some(cut) = cut else {
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

    /// Whether the result may be larger than what the budget leaves for it.
    pub fn is_large(&self) -> bool {
        let budget =
            self.workers.iter().map(|worker| worker.most_bytes).fold(0, usize::saturating_add);
        let bytes: usize = self.workers.iter().map(|worker| worker.table.bytes()).sum();
        bytes > budget / 2 || self.workers.iter().any(|worker| !worker.runs.is_empty())
    }

    /// What was counted, in memory; the counter is empty then.
    pub fn finish(&mut self, poll: Poll<'_>) -> Result<Counts> {
        let mut counts = Counts::default();
        self.finish_to(&mut counts, poll)?;
        Ok(counts)
    }

    /// The same as [`FLAT_FILES`] in a folder: the arrays of [`Counts`], one file each.
    pub fn finish_files(&mut self, folder: &Path, poll: Poll<'_>) -> Result<()> {
        let mut files = FlatWriter::create(folder)?;
        self.finish_to(&mut files, poll)?;
        files.finish()
    }

    /// The same as a run, for [`merge_runs`].
    pub fn finish_run(&mut self, path: &Path, poll: Poll<'_>) -> Result<()> {
        let mut run = RunWriter::create(path)?;
        self.finish_to(&mut run, poll)?;
        run.finish().map(drop)
    }

    fn finish_to(&mut self, sink: &mut dyn Sink, poll: Poll<'_>) -> Result<()> {
        let tables = self.sorted(poll)?;
        let runs: Vec<PathBuf> =
            self.workers.iter_mut().flat_map(|worker| std::mem::take(&mut worker.runs)).collect();
        merge_all(&runs, sources(&tables), sink, poll)?;
        runs.iter().try_for_each(|path| remove(path))
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
    number: usize,
    table: Table,
    most_bytes: usize,
    folder: Option<PathBuf>,
    runs: Vec<PathBuf>,
    /// Runs ever written, so that no name is used twice.
    written: usize,
    pieces: u64,
}

impl Worker {
    fn new(number: usize, workers: usize, budget: Option<Budget>) -> Worker {
        let most_bytes = budget.as_ref().map_or(usize::MAX, |budget| budget.bytes / workers);
        let folder = budget.map(|budget| budget.folder);
        let table = Table::new(most_bytes);
        Worker { number, table, most_bytes, folder, runs: Vec::new(), written: 0, pieces: 0 }
    }

    fn take(&mut self) -> Table {
        self.pieces = 0;
        std::mem::replace(&mut self.table, Table::new(self.most_bytes))
    }

    /// Writes the table down as a run, and begins another.
    fn spill(&mut self, poll: Poll<'_>) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join(format!("run-{}-{}", self.number, self.written));
        self.written += 1;
        let table = std::mem::replace(&mut self.table, Table::new(self.most_bytes));
        let mut writer = RunWriter::create(&path)?;
        merge(sources(&[table.sorted(poll)?]), &mut writer, poll)?;
        self.runs.push(writer.finish()?);
        Ok(())
    }

    fn count(&mut self, pretokenizer: &Pretokenizer, text: &[u8], poll: Poll<'_>) -> Result<()> {
        const POLL_GROUPS: u32 = 64;
        let mut pieces = pretokenizer.pieces(text);
        let mut spans = [Span::default(); GROUP];
        for group in 1_u32.. {
            let filled = pieces.fill(&mut spans, poll)?;
            if filled == 0 {
                break;
            }
            if !self.table.make_room(poll)? {
                self.spill(poll)?;
            }
            self.table.add(text, &spans[..filled]);
            self.pieces += filled as u64;
            if group.is_multiple_of(POLL_GROUPS) {
                poll()?;
            }
        }
        Ok(())
    }
}

/// Merges runs that [`Counter::finish_run`] wrote, in memory. The runs stay.
pub fn merge_runs(runs: &[PathBuf], poll: Poll<'_>) -> Result<Counts> {
    let mut counts = Counts::default();
    merge_all(runs, Vec::new(), &mut counts, poll)?;
    Ok(counts)
}

/// The same as [`FLAT_FILES`] in a folder.
pub fn merge_runs_to_files(runs: &[PathBuf], folder: &Path, poll: Poll<'_>) -> Result<()> {
    let mut files = FlatWriter::create(folder)?;
    merge_all(runs, Vec::new(), &mut files, poll)?;
    files.finish()
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
