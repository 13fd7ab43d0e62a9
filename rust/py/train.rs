//! Training, as Python sees it: a trainer that is stepped for a while at a time.
//!
//! Between two calls Python shows progress, writes checkpoints and looks at Ctrl-C.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::to_python;
use super::feed::{FlatIn, pieces};
use super::interrupt::{locked, locked_away, run};
use super::tokenizer::words;
use crate::error::Poll;
use crate::train::{Settings, Step, Trainer};
use crate::{Error, Result};

/// Merges between two looks at the clock.
const MERGES_A_LOOK: usize = 32;

pub(super) type Array<'py, T> = Bound<'py, PyArray1<T>>;

#[pyclass(frozen, name = "Trainer", module = "bytewright._core")]
pub(super) struct PyTrainer {
    state: Mutex<State>,
}

struct State {
    trainer: Trainer,
    steps: Vec<Step>,
}

#[pymethods]
impl PyTrainer {
    /// Lays out the pieces; `order` is the byte of each of the first 256 ids.
    #[new]
    fn new(
        py: Python<'_>,
        text: FlatIn<'_>,
        order: &[u8],
        min_count: u64,
        rules: &str,
    ) -> PyResult<PyTrainer> {
        let settings = settings(order, min_count, rules)?;
        let pieces = pieces(&text)?;
        let trainer = run(py, usize::MAX, |poll| Trainer::new(pieces, &settings, poll))?;
        Ok(PyTrainer { state: Mutex::new(State { trainer, steps: Vec::new() }) })
    }

    /// Makes the given merges, rows of left and right id, whether they are best or not, up to a
    /// vocabulary of `most` tokens.
    fn replay(&self, py: Python<'_>, known: &[u8], most: Option<usize>) -> PyResult<()> {
        let flat = words(known);
        run(py, usize::MAX, |poll| {
            let mut state = locked_away(&self.state);
            for [left, right] in flat.as_chunks::<2>().0 {
                if most.is_some_and(|most| state.trainer.tokens().len() >= most) {
                    break;
                }
                let step = state.trainer.merge(*left, *right, poll)?;
                state.steps.push(step);
                poll()?;
            }
            Ok(())
        })
    }

    /// Merges the best pairs until there are `vocab_size` tokens, no pair is left or time is up;
    /// says whether there is more to do.
    fn advance(&self, py: Python<'_>, vocab_size: usize, milliseconds: u64) -> PyResult<bool> {
        advance(py, &self.state, vocab_size, milliseconds)
    }

    /// The merges from number `start` on: rows of left, right and product id, and the counts.
    fn steps<'py>(&self, py: Python<'py>, start: usize) -> (Bound<'py, PyBytes>, Array<'py, u64>) {
        rows(py, &*locked(py, &self.state), start)
    }

    /// The merges from number `start` on, as `replay` takes them: rows of left and right id.
    fn known<'py>(&self, py: Python<'py>, start: usize) -> Bound<'py, PyBytes> {
        let state = locked(py, &self.state);
        let steps = state.steps.get(start..).unwrap_or(&[]);
        let row = |step: &Step| [step.left, step.right].map(u32::to_le_bytes);
        PyBytes::new(py, &steps.iter().flat_map(row).flatten().collect::<Vec<u8>>())
    }

    /// The bytes of a token.
    fn token_bytes<'py>(&self, py: Python<'py>, id: u32) -> Bound<'py, PyBytes> {
        PyBytes::new(py, locked(py, &self.state).trainer.tokens().bytes(id))
    }

    /// How often a pair stands in the text now.
    fn count(&self, py: Python<'_>, left: u32, right: u32) -> u64 {
        locked(py, &self.state).trainer.count(left, right)
    }

    /// Merges made.
    #[getter]
    fn merges(&self, py: Python<'_>) -> usize {
        locked(py, &self.state).steps.len()
    }

    /// Tokens of the text now, each piece as often as it occurs.
    #[getter]
    fn length(&self, py: Python<'_>) -> u64 {
        locked(py, &self.state).trainer.length()
    }

    #[getter]
    fn vocab_size(&self, py: Python<'_>) -> usize {
        locked(py, &self.state).trainer.tokens().len()
    }
}

/// A training that is stepped.
pub(super) trait Stepped: Send {
    /// Makes the next merge; false if there is none.
    fn step(&mut self, poll: Poll<'_>) -> Result<bool>;
    /// Tokens so far.
    fn size(&self) -> usize;
    /// Merges so far.
    fn made(&self) -> &[Step];
}

impl Stepped for State {
    fn step(&mut self, poll: Poll<'_>) -> Result<bool> {
        let Some(best) = self.trainer.best() else { return Ok(false) };
        self.steps.push(self.trainer.merge(best.left, best.right, poll)?);
        Ok(true)
    }

    fn size(&self) -> usize {
        self.trainer.tokens().len()
    }

    fn made(&self) -> &[Step] {
        &self.steps
    }
}

/// Steps until there are `vocab_size` tokens, no pair is left or time is up; says whether there is
/// more to do.
pub(super) fn advance(
    py: Python<'_>,
    training: &Mutex<impl Stepped>,
    vocab_size: usize,
    milliseconds: u64,
) -> PyResult<bool> {
    let (start, limit) = (Instant::now(), Duration::from_millis(milliseconds));
    run(py, usize::MAX, |poll| {
        let mut training = locked_away(training);
        while training.size() < vocab_size {
            if !training.step(poll)? {
                return Ok(false);
            }
            poll()?;
            if training.made().len().is_multiple_of(MERGES_A_LOOK) && start.elapsed() >= limit {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// The merges from number `start` on: rows of left, right and product id, and the counts.
pub(super) fn rows<'py>(
    py: Python<'py>,
    training: &impl Stepped,
    start: usize,
) -> (Bound<'py, PyBytes>, Array<'py, u64>) {
    let steps = training.made().get(start..).unwrap_or(&[]);
    let row = |step: &Step| [step.left, step.right, step.product].map(u32::to_le_bytes);
    let rows: Vec<u8> = steps.iter().flat_map(row).flatten().collect();
    let counts = steps.iter().map(|step| step.count).collect();
    (PyBytes::new(py, &rows), PyArray1::from_vec(py, counts))
}

/// What is learned, besides from what.
pub(super) fn settings(order: &[u8], min_count: u64, rules: &str) -> PyResult<Settings> {
    let rules = serde_json::from_str(rules).map_err(|error| refused(&error.to_string()))?;
    Ok(Settings { order: byte_order(order)?, min_count, rules })
}

/// The byte of each of the first 256 ids.
pub(super) fn byte_order(order: &[u8]) -> PyResult<[u8; 256]> {
    order.try_into().map_err(|_| refused("the order of bytes must have 256"))
}

fn refused(message: &str) -> PyErr {
    to_python(&Error::Argument(message.into()))
}
