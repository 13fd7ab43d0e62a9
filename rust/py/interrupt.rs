//! Long work away from the interpreter, with Ctrl-C answered.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

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
