//! Parity-aware training, as Python sees it: stepped like plain training.

use std::sync::Mutex;

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::feed::{FlatIn, pieces};
use super::interrupt::{locked, locked_away, run};
use super::tokenizer::words;
use super::train::{Array, Stepped, advance, rows, settings};
use crate::Result;
use crate::error::Poll;
use crate::train::Step;
use crate::variants::parity::{Language, Parity, Turns};

/// A training in which languages take turns. An error or a Ctrl-C leaves it unfit for more.
#[pyclass(frozen, name = "ParityTrainer", module = "bytewright._core")]
pub(super) struct PyParityTrainer {
    core: Mutex<Parity>,
}

impl Stepped for Parity {
    fn step(&mut self, poll: Poll<'_>) -> Result<bool> {
        self.advance(poll)
    }

    fn size(&self) -> usize {
        self.tokens().len()
    }

    fn made(&self) -> &[Step] {
        self.steps()
    }
}

#[pymethods]
impl PyParityTrainer {
    /// Lays out the pieces of each language, those of its development text, and its expected tokens.
    #[new]
    fn new(
        py: Python<'_>,
        languages: Vec<(FlatIn<'_>, FlatIn<'_>, f64)>,
        order: &[u8],
        min_count: u64,
        rules: &str,
        turns: (usize, usize, f64),
    ) -> PyResult<PyParityTrainer> {
        let settings = settings(order, min_count, rules)?;
        let mut views = Vec::new();
        for (text, development, expected) in &languages {
            views.push(Language {
                text: pieces(text)?,
                development: pieces(development)?,
                expected: *expected,
            });
        }
        let turns = Turns { shared: turns.0, window: turns.1, share: turns.2 };
        let made = run(py, usize::MAX, |poll| Parity::new(&views, &settings, turns, poll))?;
        Ok(PyParityTrainer { core: Mutex::new(made) })
    }

    /// Makes the given merges, which are those of `known`, up to a vocabulary of `most` tokens.
    fn replay(&self, py: Python<'_>, known: &[u8], most: Option<usize>) -> PyResult<()> {
        let flat = words(known);
        run(py, usize::MAX, |poll| {
            let mut core = locked_away(&self.core);
            for &[left, right, turn] in flat.as_chunks::<3>().0 {
                if most.is_some_and(|most| core.size() >= most) {
                    break;
                }
                core.replay(left, right, turn.checked_sub(1).map(|at| at as usize), poll)?;
                poll()?;
            }
            Ok(())
        })
    }

    /// Merges until there are `vocab_size` tokens, no language has a pair left or time is up; says
    /// whether there is more to do.
    fn advance(&self, py: Python<'_>, vocab_size: usize, milliseconds: u64) -> PyResult<bool> {
        advance(py, &self.core, vocab_size, milliseconds)
    }

    /// The merges from number `start` on: rows of left, right and product id, and the counts.
    fn steps<'py>(&self, py: Python<'py>, start: usize) -> (Bound<'py, PyBytes>, Array<'py, u64>) {
        rows(py, &*locked(py, &self.core), start)
    }

    /// Whose turn each merge was; -1 for all.
    fn turns<'py>(&self, py: Python<'py>) -> Array<'py, i64> {
        let turn = |turn: &Option<usize>| turn.map_or(-1, |at| at as i64);
        PyArray1::from_vec(py, locked(py, &self.core).turns().iter().map(turn).collect())
    }

    /// The merges from number `start` on, as `replay` takes them: rows of left id, right id, and one
    /// more than the language whose turn it was.
    fn known<'py>(&self, py: Python<'py>, start: usize) -> Bound<'py, PyBytes> {
        let core = locked(py, &self.core);
        let made = core.steps().iter().zip(core.turns()).skip(start);
        let rows = made.flat_map(|(step, turn)| {
            [step.left, step.right, turn.map_or(0, |at| at as u32 + 1)].map(u32::to_le_bytes)
        });
        PyBytes::new(py, &rows.flatten().collect::<Vec<u8>>())
    }

    /// The bytes of a token.
    fn token_bytes<'py>(&self, py: Python<'py>, id: u32) -> Bound<'py, PyBytes> {
        PyBytes::new(py, locked(py, &self.core).tokens().bytes(id))
    }

    /// Merges made.
    #[getter]
    fn merges(&self, py: Python<'_>) -> usize {
        locked(py, &self.core).steps().len()
    }

    /// Tokens of the texts now, each piece as often as it occurs.
    #[getter]
    fn length(&self, py: Python<'_>) -> u64 {
        locked(py, &self.core).length()
    }

    #[getter]
    fn vocab_size(&self, py: Python<'_>) -> usize {
        locked(py, &self.core).size()
    }
}
