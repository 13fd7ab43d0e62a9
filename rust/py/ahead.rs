//! Which token follows, as Python sees it.

use std::sync::Arc;

use numpy::PyArray1;
use pyo3::prelude::*;

use super::bytelm::PyByteVocab;
use super::interrupt::run;
use crate::bytelm::{Ahead, Verdict};

/// What is told instead of a token; those are from 0 on.
const OPEN: i64 = -1;
const END: i64 = -2;
const OTHER: i64 = -3;
const NOTHING: i64 = -4;

#[pyclass(frozen, name = "ByteAhead", module = "bytewright._core")]
pub(super) struct PyByteAhead {
    core: Ahead,
}

#[pymethods]
impl PyByteAhead {
    /// `goes_on` as of `ByteVocab.tree`.
    #[new]
    #[pyo3(signature = (vocab, context, goes_on=None))]
    fn new(
        vocab: &Bound<'_, PyByteVocab>,
        context: Vec<u32>,
        goes_on: Option<&[u8]>,
    ) -> PyResult<Self> {
        let core = Arc::clone(&vocab.get().core);
        let made = run(vocab.py(), usize::MAX, |_| Ahead::new(core, context, goes_on))?;
        Ok(PyByteAhead { core: made })
    }

    /// The same after another byte.
    fn after(&self, py: Python<'_>, byte: u8) -> PyResult<PyByteAhead> {
        let mut core = self.core.clone();
        run(py, usize::MAX, |_| core.advance(byte))?;
        Ok(PyByteAhead { core })
    }

    /// The next token after each outcome, int64 `[257]`; below 0 what there is instead.
    fn verdicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let verdicts = run(py, usize::MAX, |_| self.core.verdicts())?;
        let told = verdicts.iter().map(|verdict| match *verdict {
            Verdict::Next(id) => i64::from(id),
            Verdict::Open => OPEN,
            Verdict::End => END,
            Verdict::Other => OTHER,
            Verdict::Nothing => NOTHING,
        });
        Ok(PyArray1::from_iter(py, told))
    }
}
