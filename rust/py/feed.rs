//! What training and counting are fed with: pieces, texts in batches, long texts in parts.

use std::sync::Mutex;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;

use super::input;
use super::interrupt::{locked_away, run};
use crate::count::Counter;
use crate::error::Poll;
use crate::pretokenize::Step;
use crate::train::Pieces;
use crate::variants::chunks::Chunker;
use crate::variants::runs::Runs;
use crate::{Error, Result};

/// Takes texts.
pub(super) trait Eater: Send {
    /// Whole texts.
    fn texts(&mut self, texts: &[&[u8]], poll: Poll<'_>) -> Result<()>;
    /// A part of one long text, the last part if `last`.
    fn part(&mut self, part: &[u8], last: bool, poll: Poll<'_>) -> Result<()>;
    /// What was taken so far, in pieces.
    fn total(&self) -> u64;
}

impl Eater for Counter {
    fn texts(&mut self, texts: &[&[u8]], poll: Poll<'_>) -> Result<()> {
        self.push(texts, poll)
    }

    fn part(&mut self, part: &[u8], last: bool, poll: Poll<'_>) -> Result<()> {
        self.push_part(part, poll)?;
        if last { self.end_text(poll) } else { Ok(()) }
    }

    fn total(&self) -> u64 {
        self.pieces()
    }
}

impl Eater for Chunker {
    fn texts(&mut self, texts: &[&[u8]], poll: Poll<'_>) -> Result<()> {
        texts.iter().try_for_each(|text| self.push(text, poll))
    }

    fn part(&mut self, part: &[u8], last: bool, poll: Poll<'_>) -> Result<()> {
        self.push_part(part, last, poll)
    }

    fn total(&self) -> u64 {
        self.total()
    }
}

impl Eater for Runs {
    fn texts(&mut self, texts: &[&[u8]], poll: Poll<'_>) -> Result<()> {
        texts.iter().try_for_each(|text| self.push(text, poll))
    }

    fn part(&mut self, part: &[u8], last: bool, poll: Poll<'_>) -> Result<()> {
        self.push_part(part, last, poll)
    }

    fn total(&self) -> u64 {
        self.total()
    }
}

/// Gives a batch of whole texts; returns the pieces so far, equal ones included.
pub(super) fn push(
    py: Python<'_>,
    eater: &Mutex<impl Eater>,
    chunks: &Bound<'_, PyAny>,
) -> PyResult<u64> {
    let chunks = input::chunks(chunks)?;
    let rows = input::rows(&chunks)?;
    run(py, usize::MAX, |poll| {
        let mut eater = locked_away(eater);
        eater.texts(&rows, poll)?;
        Ok(eater.total())
    })
}

/// Gives a part of one long text, the last part if `last`; returns what `push` does.
pub(super) fn push_part(
    py: Python<'_>,
    eater: &Mutex<impl Eater>,
    part: &[u8],
    last: bool,
) -> PyResult<u64> {
    run(py, usize::MAX, |poll| {
        let mut eater = locked_away(eater);
        eater.part(part, last, poll)?;
        Ok(eater.total())
    })
}

/// The steps of a pre-tokenizer, from JSON.
pub(super) fn steps(json: &str) -> Result<Vec<Step>> {
    serde_json::from_str(json)
        .map_err(|error| Error::Definition(format!("pre-tokenizer steps: {error}")))
}

/// Pieces as Python hands them in: bytes, offsets and counts.
pub(super) type FlatIn<'py> =
    (PyReadonlyArray1<'py, u8>, PyReadonlyArray1<'py, u64>, PyReadonlyArray1<'py, u64>);

/// The same as the core takes them.
pub(super) fn pieces<'a>((arena, offsets, counts): &'a FlatIn<'_>) -> PyResult<Pieces<'a>> {
    Ok(Pieces {
        arena: arena.as_slice()?,
        offsets: offsets.as_slice()?,
        counts: counts.as_slice()?,
    })
}
