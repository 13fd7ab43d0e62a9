//! The streaming encoder, as Python sees it.

use std::sync::Mutex;

use numpy::PyArray1;
use pyo3::prelude::*;

use super::interrupt::{locked_away, run};
use super::tokenizer::{PyTokenizer, signed};
use crate::stream::StreamEncoder;
use crate::tokenizer::Allowed;

#[pyclass(frozen, name = "StreamEncoder", module = "bytewright._core")]
pub(super) struct PyStreamEncoder {
    tokenizer: Py<PyTokenizer>,
    state: Mutex<StreamEncoder>,
}

impl PyStreamEncoder {
    pub(super) fn new(tokenizer: Py<PyTokenizer>, allowed: Allowed) -> PyStreamEncoder {
        PyStreamEncoder { tokenizer, state: Mutex::new(StreamEncoder::new(allowed)) }
    }
}

#[pymethods]
impl PyStreamEncoder {
    fn push<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let tokenizer = self.tokenizer.get();
        let ids = run(py, usize::MAX, |poll| {
            let mut state = locked_away(&self.state);
            state.push(&tokenizer.core, data, poll)
        })?;
        Ok(signed(py, ids))
    }

    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let tokenizer = self.tokenizer.get();
        let ids = run(py, usize::MAX, |poll| {
            let mut state = locked_away(&self.state);
            state.finish(&tokenizer.core, poll)
        })?;
        Ok(signed(py, ids))
    }
}
