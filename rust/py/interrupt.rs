//! Long work away from the interpreter, with Ctrl-C answered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;

use super::errors::to_python;
use crate::error::Poll;
use crate::{Error, Result};

/// Below this many bytes of text, leaving the interpreter costs more than it gives.
pub(super) const SHORT_WORK: usize = 1 << 13;

/// How often the interpreter is asked for pending signals.
const INTERVAL: Duration = Duration::from_millis(50);

/// Runs `work` detached from the interpreter when its input is long. `work` polls; a signal
/// handler that raises ends it, with that exception.
pub(super) fn run<T: Send>(
    py: Python<'_>,
    bytes: usize,
    work: impl FnOnce(Poll<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    if bytes < SHORT_WORK {
        return work(&mut || Ok(())).map_err(|error| to_python(&error));
    }
    let (result, raised) = py.detach(|| {
        let mut raised = None;
        let mut last = Instant::now();
        let result = work(&mut || {
            if last.elapsed() < INTERVAL {
                return Ok(());
            }
            last = Instant::now();
            Python::attach(|py| py.check_signals()).map_err(|error| {
                raised = Some(error);
                Error::Interrupted
            })
        });
        (result, raised)
    });
    result.map_err(|error| raised.unwrap_or_else(|| to_python(&error)))
}

/// Waits for what several threads use, away from the interpreter, which the holder may need.
pub(super) fn locked<'a, T>(py: Python<'_>, shared: &'a Mutex<T>) -> MutexGuard<'a, T> {
    shared.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
}

/// The same inside of long work, which is away from the interpreter already.
pub(super) fn locked_away<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
