//! Replay of merges, as Python sees it.

use std::sync::Mutex;

use numpy::PyArray1;
use pyo3::prelude::*;

use super::feed::{FlatIn, pieces};
use super::interrupt::{locked, locked_away, run};
use super::tokenizer::words;
use super::train::{Array, byte_order};
use crate::token::TokenId;
use crate::train::replay::{Changes, Replay};

#[pyclass(frozen, name = "Replay", module = "bytewright._core")]
pub(super) struct PyReplay {
    state: Mutex<Replay>,
}

/// Merges as rows of left, right and product id; their counts; ends, pairs and deltas.
type Told<'py> =
    (Array<'py, i32>, Array<'py, u64>, Array<'py, i64>, Array<'py, i32>, Array<'py, i64>);

#[pymethods]
impl PyReplay {
    #[new]
    fn new(py: Python<'_>, text: FlatIn<'_>, order: &[u8]) -> PyResult<PyReplay> {
        let order = byte_order(order)?;
        let pieces = pieces(&text)?;
        let replay = run(py, usize::MAX, |poll| Replay::new(pieces, order, poll))?;
        Ok(PyReplay { state: Mutex::new(replay) })
    }

    /// The pairs that stand in the text now, and how often.
    fn pairs<'py>(&self, py: Python<'py>) -> (Array<'py, i32>, Array<'py, u64>) {
        let found = locked(py, &self.state).trainer().pairs();
        let pairs = found.iter().flat_map(|pair| [pair.left, pair.right]);
        let counts = found.iter().map(|pair| pair.count).collect();
        (flat(py, pairs), PyArray1::from_vec(py, counts))
    }

    /// Makes some merges, rows of left and right id, and tells what they did.
    fn advance<'py>(&self, py: Python<'py>, merges: &[u8]) -> PyResult<Told<'py>> {
        let ids = words(merges);
        let told: Changes = run(py, usize::MAX, |poll| {
            let mut replay = locked_away(&self.state);
            replay.advance(ids.as_chunks::<2>().0, poll)
        })?;
        let rows = told.steps.iter().flat_map(|step| [step.left, step.right, step.product]);
        let counts = told.steps.iter().map(|step| step.count).collect();
        let ends = told.ends.iter().map(|end| end.cast_signed()).collect();
        let pairs = told.pairs.iter().flat_map(|pair| [pair.0, pair.1]);
        Ok((
            flat(py, rows),
            PyArray1::from_vec(py, counts),
            PyArray1::from_vec(py, ends),
            flat(py, pairs),
            PyArray1::from_vec(py, told.deltas),
        ))
    }
}

fn flat(py: Python<'_>, ids: impl Iterator<Item = TokenId>) -> Array<'_, i32> {
    PyArray1::from_vec(py, ids.map(u32::cast_signed).collect())
}
