//! One match from the crate's error to Python's exceptions.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::Error;

/// The exception of `bytewright.errors` that says what `error` says.
pub(super) fn to_python(error: &Error) -> PyErr {
    let class = match error {
        Error::Definition(_) => "LoadError",
        Error::Pattern { .. } => "PatternError",
        Error::UnknownToken { .. } => "UnknownTokenError",
        Error::Argument(_) => "ArgumentError",
        Error::Data(_) => "DataError",
        Error::Interrupted => return PyKeyboardInterrupt::new_err("interrupted"),
    };
    Python::attach(|py| raised(py, class, error.to_string()).unwrap_or_else(|failure| failure))
}

fn raised(py: Python<'_>, class: &str, message: String) -> PyResult<PyErr> {
    let class = py.import("bytewright.errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call1((message,))?))
}

/// The error for an argument of a type that the call does not take.
pub(super) fn wrong_type(py: Python<'_>, message: String) -> PyErr {
    raised(py, "ArgumentTypeError", message).unwrap_or_else(|failure| failure)
}

/// The error for an id of any size, as the caller gave it.
pub(super) fn unknown_token(id: &Bound<'_, PyAny>, size: usize) -> PyErr {
    let message = format!("token id {id} is outside the vocabulary of {size} tokens");
    raised(id.py(), "UnknownTokenError", message).unwrap_or_else(|failure| failure)
}
