//! Counting random chunks, and training in which Python chooses the merge.

use std::sync::Mutex;

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::to_python;
use super::feed::{self, FlatIn, pieces, steps};
use super::interrupt::{locked, run};
use crate::token::TokenId;
use crate::variants::chunks::Chunker;
use crate::variants::stepper::Stepper;

type Array<'py, T> = Bound<'py, PyArray1<T>>;
/// Pieces as bytes, offsets and counts.
type Flat<'py> = (Array<'py, u8>, Array<'py, i64>, Array<'py, u64>);

/// Counts random chunks of several words. An error or a Ctrl-C leaves it unfit for more.
#[pyclass(frozen, name = "ChunkCounter", module = "bytewright._core")]
pub(super) struct PyChunkCounter {
    core: Mutex<Chunker>,
}

#[pymethods]
impl PyChunkCounter {
    #[new]
    fn new(coarse: &str, fine: &str, weights: Vec<f64>, seed: u64) -> PyResult<PyChunkCounter> {
        let made =
            steps(coarse).and_then(|coarse| Chunker::new(&coarse, &steps(fine)?, &weights, seed));
        Ok(PyChunkCounter { core: Mutex::new(made.map_err(|error| to_python(&error))?) })
    }

    /// Adds a batch of whole texts; returns the chunks so far, equal ones included.
    fn push(&self, py: Python<'_>, chunks: &Bound<'_, PyAny>) -> PyResult<u64> {
        feed::push(py, &self.core, chunks)
    }

    /// Adds a part of one long text, the last part if `last`; returns what `push` does.
    fn push_part(&self, py: Python<'_>, part: &[u8], last: bool) -> PyResult<u64> {
        feed::push_part(py, &self.core, part, last)
    }

    /// The chunks in the order of their bytes.
    fn finish<'py>(&self, py: Python<'py>) -> Flat<'py> {
        let (mut arena, mut ends, mut counts) = (Vec::new(), vec![0], Vec::new());
        for (chunk, &count) in locked(py, &self.core).counts() {
            arena.extend_from_slice(chunk);
            ends.push(arena.len() as i64);
            counts.push(count);
        }
        (
            PyArray1::from_vec(py, arena),
            PyArray1::from_vec(py, ends),
            PyArray1::from_vec(py, counts),
        )
    }
}

/// A training that shows its candidates and is told which to take.
#[pyclass(frozen, name = "Stepper", module = "bytewright._core")]
pub(super) struct PyStepper {
    core: Mutex<Stepper>,
}

#[pymethods]
impl PyStepper {
    /// Lays out the pieces; their counts decide which pairs are candidates.
    #[new]
    fn new(py: Python<'_>, text: FlatIn<'_>) -> PyResult<PyStepper> {
        let pieces = pieces(&text)?;
        let made = run(py, usize::MAX, |_| Stepper::new(pieces))?;
        Ok(PyStepper { core: Mutex::new(made) })
    }

    /// The most frequent pairs, at most `most` of them: left id, right id and count of each.
    fn candidates(
        &self,
        py: Python<'_>,
        most: usize,
        min_count: u64,
    ) -> Vec<(TokenId, TokenId, u64)> {
        let found = locked(py, &self.core).candidates(most, min_count);
        found.into_iter().map(|((left, right), count)| (left, right, count)).collect()
    }

    /// Joins a pair; returns the id of the product, or nothing if no token can be made of it.
    fn join(&self, py: Python<'_>, left: TokenId, right: TokenId) -> Option<TokenId> {
        locked(py, &self.core).join((left, right))
    }

    fn token_bytes<'py>(&self, py: Python<'py>, id: TokenId) -> Option<Bound<'py, PyBytes>> {
        locked(py, &self.core).token(id).map(|bytes| PyBytes::new(py, bytes))
    }

    #[getter]
    fn vocab_size(&self, py: Python<'_>) -> usize {
        locked(py, &self.core).size()
    }
}
