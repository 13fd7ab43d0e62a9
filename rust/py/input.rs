//! What Python may hand in as text, and as batches of it.

use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use super::errors::to_python;
use crate::Error;
use crate::tokenizer::Allowed;

/// The bytes of a `str` or `bytes` argument, borrowed from it.
pub(super) fn text<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    if let Ok(string) = value.cast::<PyString>() {
        return string.to_str().map(str::as_bytes).map_err(|error| surrogate(value.py(), error));
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => Err(not_text(value)),
    }
}

fn not_text(value: &Bound<'_, PyAny>) -> PyErr {
    let name = value.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!("text must be str or bytes, not {name}"))
}

/// A lone surrogate has no UTF-8: say where it is.
fn surrogate(py: Python<'_>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
        return error;
    }
    let at = error.value(py).getattr("start").and_then(|start| start.extract::<usize>());
    to_python(&Error::Argument(match at {
        Ok(at) => format!(
            "character {at} of the text is a lone surrogate, which has no UTF-8: pass bytes instead"
        ),
        Err(_) => "the text holds a lone surrogate, which has no UTF-8: pass bytes instead".into(),
    }))
}

/// `"none"`, `"all"` or a list of special tokens.
pub(super) fn allowed(value: &Bound<'_, PyAny>) -> PyResult<Allowed> {
    if let Ok(word) = value.extract::<PyBackedStr>() {
        return match &*word {
            "none" => Ok(Allowed::None),
            "all" => Ok(Allowed::All),
            other => Err(to_python(&Error::Argument(format!(
                "{other:?} is not \"none\", \"all\" or a list of special tokens"
            )))),
        };
    }
    let mut names: Vec<String> = value.extract()?;
    names.sort_unstable();
    names.dedup();
    Ok(if names.is_empty() { Allowed::None } else { Allowed::These(names) })
}

/// Token ids: an int32 array as it is, or a sequence of integers.
pub(super) enum Ids<'py> {
    Array(PyReadonlyArray1<'py, i32>),
    Sequence(Vec<i32>),
}

impl Ids<'_> {
    pub(super) fn new<'py>(value: &Bound<'py, PyAny>) -> PyResult<Ids<'py>> {
        if let Ok(array) = value.extract::<PyReadonlyArray1<'py, i32>>() {
            return Ok(Ids::Array(array));
        }
        let wide: Vec<i64> = value.extract()?;
        let narrow: std::result::Result<Vec<i32>, i64> =
            wide.iter().map(|&id| i32::try_from(id).map_err(|_| id)).collect();
        narrow.map(Ids::Sequence).map_err(|id| {
            to_python(&Error::Argument(format!("token id {id} does not fit 32 bits")))
        })
    }

    pub(super) fn as_slice(&self) -> PyResult<&[i32]> {
        match self {
            Ids::Array(array) => Ok(array.as_slice()?),
            Ids::Sequence(ids) => Ok(ids),
        }
    }
}

/// One chunk of a batch, held so that its bytes stay where they are.
pub(super) enum Chunk<'py> {
    Objects(Vec<Object>),
    Binary {
        values: PyReadonlyArray1<'py, u8>,
        offsets: Offsets<'py>,
        valid: Option<Mask<'py>>,
    },
    Views {
        views: PyReadonlyArray1<'py, u8>,
        buffers: Vec<PyReadonlyArray1<'py, u8>>,
        valid: Option<Mask<'py>>,
    },
}

type Mask<'py> = PyReadonlyArray1<'py, bool>;

pub(super) enum Offsets<'py> {
    Short(PyReadonlyArray1<'py, i32>),
    Long(PyReadonlyArray1<'py, i64>),
}

pub(super) enum Object {
    Str(PyBackedStr),
    Bytes(PyBackedBytes),
    Null,
}

/// Reads the chunks that the Python side lays out.
pub(super) fn chunks<'py>(value: &Bound<'py, PyAny>) -> PyResult<Vec<Chunk<'py>>> {
    value.try_iter()?.map(|chunk| chunk_of(&chunk?)).collect()
}

fn chunk_of<'py>(chunk: &Bound<'py, PyAny>) -> PyResult<Chunk<'py>> {
    if let Ok(list) = chunk.cast::<PyList>() {
        return Ok(Chunk::Objects(list.iter().map(|item| object(&item)).collect::<PyResult<_>>()?));
    }
    let parts = chunk.cast::<PyTuple>()?;
    let valid = parts.get_item(3)?.extract()?;
    match &*parts.get_item(0)?.extract::<PyBackedStr>()? {
        "binary" => Ok(Chunk::Binary {
            values: parts.get_item(1)?.extract()?,
            offsets: match parts.get_item(2)?.extract() {
                Ok(short) => Offsets::Short(short),
                Err(_) => Offsets::Long(parts.get_item(2)?.extract()?),
            },
            valid,
        }),
        _ => Ok(Chunk::Views {
            views: parts.get_item(1)?.extract()?,
            buffers: parts.get_item(2)?.extract()?,
            valid,
        }),
    }
}

fn object(item: &Bound<'_, PyAny>) -> PyResult<Object> {
    if item.is_none() {
        return Ok(Object::Null);
    }
    if let Ok(string) = item.cast::<PyString>() {
        let backed = PyBackedStr::try_from(string.clone());
        return backed.map(Object::Str).map_err(|error| surrogate(item.py(), error));
    }
    match item.cast::<PyBytes>() {
        Ok(bytes) => Ok(Object::Bytes(bytes.clone().into())),
        Err(_) => Err(not_text(item)),
    }
}

/// Appends the rows of every chunk; a null row is an empty text.
pub(super) fn rows<'a>(chunks: &'a [Chunk<'_>]) -> PyResult<Vec<&'a [u8]>> {
    let mut rows = Vec::new();
    for chunk in chunks {
        let added: crate::Result<()> = match chunk {
            Chunk::Objects(objects) => {
                rows.extend(objects.iter().map(|object| match object {
                    Object::Str(string) => string.as_bytes(),
                    Object::Bytes(bytes) => bytes,
                    Object::Null => &[],
                }));
                Ok(())
            }
            Chunk::Binary { values, offsets, valid } => {
                let values = values.as_slice()?;
                let valid = valid.as_ref().map(|mask| mask.as_slice()).transpose()?;
                match offsets {
                    Offsets::Short(short) => {
                        let ends = short.as_slice()?.iter().map(|&at| i64::from(at));
                        binary_rows(values, ends, valid, &mut rows)
                    }
                    Offsets::Long(long) => {
                        binary_rows(values, long.as_slice()?.iter().copied(), valid, &mut rows)
                    }
                }
            }
            Chunk::Views { views, buffers, valid } => {
                let buffers: Vec<&[u8]> =
                    buffers.iter().map(|buffer| buffer.as_slice()).collect::<Result<_, _>>()?;
                let valid = valid.as_ref().map(|mask| mask.as_slice()).transpose()?;
                view_rows(views.as_slice()?, &buffers, valid, &mut rows)
            }
        };
        added.map_err(|error| to_python(&error))?;
    }
    Ok(rows)
}

fn binary_rows<'a>(
    values: &'a [u8],
    offsets: impl Iterator<Item = i64> + Clone,
    valid: Option<&[bool]>,
    rows: &mut Vec<&'a [u8]>,
) -> crate::Result<()> {
    for (row, (start, end)) in offsets.clone().zip(offsets.skip(1)).enumerate() {
        if valid.is_some_and(|mask| mask.get(row) == Some(&false)) {
            rows.push(&[]);
            continue;
        }
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let slice = range.and_then(|(start, end)| values.get(start..end));
        rows.push(slice.ok_or_else(|| outside(row, values.len()))?);
    }
    Ok(())
}

/// Arrow's string views: 16 bytes a row, the text inside them or in a buffer.
fn view_rows<'a>(
    views: &'a [u8],
    buffers: &[&'a [u8]],
    valid: Option<&[bool]>,
    rows: &mut Vec<&'a [u8]>,
) -> crate::Result<()> {
    for (row, view) in views.as_chunks::<16>().0.iter().enumerate() {
        if valid.is_some_and(|mask| mask.get(row) == Some(&false)) {
            rows.push(&[]);
            continue;
        }
        let word = |at: usize| {
            let bytes = view[at..at + 4].first_chunk().copied().unwrap_or_default();
            u32::from_le_bytes(bytes) as usize
        };
        let len = word(0);
        let slice = if len <= 12 {
            view.get(4..4 + len)
        } else {
            buffers.get(word(8)).and_then(|buffer| buffer.get(word(12)..word(12) + len))
        };
        rows.push(slice.ok_or_else(|| outside(row, buffers.len()))?);
    }
    Ok(())
}

fn outside(row: usize, size: usize) -> Error {
    Error::Argument(format!("row {row} points outside its buffer of {size}"))
}
