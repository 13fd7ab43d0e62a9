//! Lexicons of chunks, as Python sees them.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::to_python;
use super::input;
use super::interrupt::run;
use super::tokenizer::signed;
use crate::lexicon::{Learning, Lexicon, Proof, learn};

/// Sentences that are longer are cut: so much may be one chunk's context.
const LONGEST_SENTENCE: usize = 1 << 12;

#[pyclass(frozen, name = "Lexicon", module = "bytewright._core")]
pub(super) struct PyLexicon {
    core: Lexicon,
}

#[pymethods]
impl PyLexicon {
    /// The 256 bytes and these chunks, the best first.
    #[new]
    fn new(chunks: Vec<Vec<u8>>) -> PyResult<PyLexicon> {
        let made = Lexicon::new(chunks.iter().map(Vec::as_slice));
        Ok(PyLexicon { core: made.map_err(|error| to_python(&error))? })
    }

    fn encode<'py>(&self, text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let (py, text) = (text.py(), input::text(text)?);
        Ok(signed(py, run(py, text.len(), |poll| self.core.encode(&text, poll))?))
    }

    fn decode_bytes<'py>(&self, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let (py, ids) = (ids.py(), input::Ids::new(ids, self.core.size())?);
        let chunks = ids.as_slice()?.iter().map(|&id| self.core.chunk(i64::from(id)));
        let text = chunks.collect::<Result<Vec<_>, _>>().map_err(|error| to_python(&error))?;
        Ok(PyBytes::new(py, &text.concat()))
    }

    fn token_bytes<'py>(&self, py: Python<'py>, id: i64) -> PyResult<Bound<'py, PyBytes>> {
        let chunk = self.core.chunk(id).map_err(|error| to_python(&error))?;
        Ok(PyBytes::new(py, chunk))
    }

    #[getter]
    fn vocab_size(&self) -> usize {
        self.core.size()
    }
}

/// The chunks learned from texts, the best first; a line of a text is a sentence.
#[pyfunction]
pub(super) fn learn_lexicon<'py>(
    py: Python<'py>,
    chunks: &Bound<'py, PyAny>,
    rates: (f64, f64, u64, f64),
    longest: usize,
    epochs: usize,
    seed: u64,
    contexts: bool,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let chunks = input::chunks(chunks)?;
    let rows = input::rows(&chunks)?;
    let (alpha, delta, life, tail) = rates;
    let proof = if contexts { Proof::InOtherContext } else { Proof::Anywhere };
    let learning = Learning { alpha, delta, life, proof, tail, longest, epochs, seed };
    let learned = run(py, usize::MAX, |poll| {
        let lines = rows.iter().flat_map(|text| text.split_inclusive(|&byte| byte == b'\n'));
        let sentences: Vec<&[u8]> = lines.flat_map(|line| line.chunks(LONGEST_SENTENCE)).collect();
        learn(&sentences, &learning, poll)
    })?;
    Ok(learned.iter().map(|chunk| PyBytes::new(py, chunk)).collect())
}
