//! Counting pieces, as Python sees it.

use std::path::PathBuf;
use std::sync::Mutex;

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::errors::to_python;
use super::feed;
use super::input;
use super::interrupt::{locked_away, run};
use super::tokenizer::thread_count;
use crate::count::{self, Budget, Counts, Rows};

/// Pieces as bytes, offsets and counts.
type Flat<'py> = (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<u64>>);
/// The same, as Python hands it in.
type FlatIn<'py> =
    (PyReadonlyArray1<'py, u8>, PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, u64>);

/// Counts the pieces of texts. An error or a Ctrl-C leaves it unfit for more.
#[pyclass(frozen, name = "PieceCounter", module = "bytewright._core")]
pub(super) struct PyPieceCounter {
    core: Mutex<count::Counter>,
}

#[pymethods]
impl PyPieceCounter {
    #[new]
    fn new(
        steps: &str,
        threads: Option<usize>,
        budget: Option<(usize, PathBuf)>,
    ) -> PyResult<PyPieceCounter> {
        let budget = budget.map(|(bytes, folder)| Budget { bytes, folder });
        let made = feed::steps(steps)
            .and_then(|steps| count::Counter::new(&steps, thread_count(threads), budget));
        Ok(PyPieceCounter { core: Mutex::new(made.map_err(|error| to_python(&error))?) })
    }

    /// Counts a batch of whole texts; returns the pieces counted so far, equal ones included.
    fn push(&self, py: Python<'_>, chunks: &Bound<'_, PyAny>) -> PyResult<u64> {
        feed::push(py, &self.core, chunks)
    }

    /// Counts a part of one long text, the last part if `last`; returns what `push` does.
    fn push_part(&self, py: Python<'_>, part: &[u8], last: bool) -> PyResult<u64> {
        feed::push_part(py, &self.core, part, last)
    }

    /// The pieces in the order of their bytes; the counter is empty then.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Flat<'py>> {
        let counts = run(py, usize::MAX, |poll| locked_away(&self.core).finish(poll))?;
        Ok(flat(py, counts))
    }

    /// The same as three files in a folder.
    fn finish_files(&self, py: Python<'_>, folder: PathBuf) -> PyResult<()> {
        run(py, usize::MAX, |poll| locked_away(&self.core).finish_files(&folder, poll))
    }

    /// The same as a sorted run.
    fn finish_run(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, usize::MAX, |poll| locked_away(&self.core).finish_run(&path, poll))
    }

    /// Whether the result may be larger than what the budget leaves for it.
    fn is_large(&self, py: Python<'_>) -> PyResult<bool> {
        run(py, usize::MAX, |_| Ok(locked_away(&self.core).is_large()))
    }
}

fn flat(py: Python<'_>, counts: Counts) -> Flat<'_> {
    (
        PyArray1::from_vec(py, counts.pieces.values),
        PyArray1::from_vec(py, counts.pieces.offsets),
        PyArray1::from_vec(py, counts.counts),
    )
}

/// Merges lists of counted pieces, each in the order of its pieces.
#[pyfunction]
pub(super) fn merge_counts<'py>(py: Python<'py>, lists: Vec<FlatIn<'py>>) -> PyResult<Flat<'py>> {
    let rows = lists.iter().map(rows_of).collect::<PyResult<Vec<_>>>()?;
    let counts = run(py, usize::MAX, |poll| count::merge_counts(&rows, poll))?;
    Ok(flat(py, counts))
}

fn rows_of<'a>((values, offsets, counts): &'a FlatIn<'_>) -> PyResult<Rows<'a>> {
    Ok(Rows {
        values: values.as_slice()?,
        offsets: offsets.as_slice()?,
        counts: counts.as_slice()?,
    })
}

/// Merges sorted runs.
#[pyfunction]
pub(super) fn merge_runs<'py>(py: Python<'py>, runs: Vec<PathBuf>) -> PyResult<Flat<'py>> {
    let counts = run(py, usize::MAX, |poll| count::merge_runs(&runs, poll))?;
    Ok(flat(py, counts))
}

/// Merges sorted runs to three files in a folder.
#[pyfunction]
pub(super) fn merge_runs_to_files(
    py: Python<'_>,
    runs: Vec<PathBuf>,
    folder: PathBuf,
) -> PyResult<()> {
    run(py, usize::MAX, |poll| count::merge_runs_to_files(&runs, &folder, poll))
}

/// Sums rows of pieces in any order, a piece in several rows or in one.
#[pyfunction]
pub(super) fn sum_counts<'py>(
    py: Python<'py>,
    chunks: &Bound<'py, PyAny>,
    counts: PyReadonlyArray1<'py, u64>,
) -> PyResult<Flat<'py>> {
    let chunks = input::chunks(chunks)?;
    let pieces = input::rows(&chunks)?;
    let rows: Vec<_> = pieces.into_iter().zip(counts.as_slice()?.iter().copied()).collect();
    let counts = run(py, usize::MAX, |poll| count::sum_rows(&rows, poll))?;
    Ok(flat(py, counts))
}
