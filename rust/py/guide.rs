//! Which bytes may follow, as Python sees it.

use std::sync::Mutex;

use numpy::PyArray1;
use pyo3::prelude::*;

use super::errors::to_python;
use super::interrupt::{locked, locked_away, run};
use crate::regex::{Guide, PlaceId};

#[pyclass(frozen, name = "ByteGuide", module = "bytewright._core")]
pub(super) struct PyByteGuide {
    core: Mutex<Guide>,
}

#[pymethods]
impl PyByteGuide {
    #[new]
    fn new(py: Python<'_>, pattern: &str) -> PyResult<Self> {
        let guide = run(py, usize::MAX, |_| Guide::new(pattern))?;
        Ok(PyByteGuide { core: Mutex::new(guide) })
    }

    /// The place before the first byte.
    fn start(&self, py: Python<'_>) -> PlaceId {
        locked(py, &self.core).start()
    }

    /// The least number of bytes that each outcome and what has to follow it take, uint32 `[257]`;
    /// the largest number where nothing may.
    fn needs<'py>(&self, py: Python<'py>, place: PlaceId) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let needs = run(py, usize::MAX, |_| locked_away(&self.core).needs(place))?;
        Ok(PyArray1::from_slice(py, &needs[..]))
    }

    /// The place after another byte, if a match can still be reached from there.
    fn after(&self, py: Python<'_>, place: PlaceId, byte: u8) -> PyResult<Option<PlaceId>> {
        locked(py, &self.core).after(place, byte).map_err(|error| to_python(&error))
    }
}
