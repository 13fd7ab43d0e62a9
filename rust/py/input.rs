//! What Python may hand in as text, and as batches of it.

use std::borrow::Cow;

use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyOverflowError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBool, PyBytes, PyList, PySlice, PyString, PyTuple};

use super::errors::{to_python, unknown_token, wrong_type};
use crate::Error;
use crate::tokenizer::Allowed;

/// Characters of a `str` that are turned into UTF-8 at a time, where one time would be long.
const SLICE_CHARS: usize = 1 << 12;
/// Longer than this, converting takes so long that it is done in slices. Shorter, it is faster in
/// one go, and the object keeps the result.
const LONG_CHARS: usize = 4 * SLICE_CHARS;
/// Objects that are read between two looks at pending signals.
pub(super) const POLL_ITEMS: usize = 1 << 16;

/// The bytes of a `str` or `bytes` argument, borrowed from it where that is quick.
pub(super) fn text<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(string) = value.cast::<PyString>() {
        if is_long(string)? {
            return long_utf8(string, None).map(Cow::Owned);
        }
        let bytes = string.to_str().map(|text| Cow::Borrowed(text.as_bytes()));
        return bytes.map_err(|error| surrogate(value.py(), error, 0, None));
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(Cow::Borrowed(bytes.as_bytes())),
        Err(_) => Err(not_text(value, None)),
    }
}

/// Whether a `str` must be converted, and takes long.
fn is_long(string: &Bound<'_, PyString>) -> PyResult<bool> {
    if string.len()? <= LONG_CHARS {
        return Ok(false);
    }
    let class = string.py().get_type::<PyString>();
    Ok(!class.call_method1("isascii", (string,))?.extract::<bool>()?)
}

/// UTF-8 of a long `str`, slice by slice, so that Ctrl-C is answered. Unlike the conversion in one
/// go, this leaves no copy of the text with the object.
fn long_utf8(string: &Bound<'_, PyString>, row: Option<usize>) -> PyResult<Vec<u8>> {
    let py = string.py();
    // The methods of `str` itself: a subclass may have others.
    let slice_of = py.get_type::<PyString>().getattr("__getitem__")?;
    let len = string.len()?;
    let mut utf8 = Vec::with_capacity(len);
    for start in (0..len).step_by(SLICE_CHARS) {
        py.check_signals()?;
        let end = len.min(start + SLICE_CHARS);
        let slice = slice_of.call1((string, PySlice::new(py, start as isize, end as isize, 1)))?;
        let slice = slice.cast_into::<PyString>()?;
        // Unlike `to_str`, this makes no copy for the object to keep.
        let part = slice.encode_utf8().map_err(|error| surrogate(py, error, start, row))?;
        utf8.extend_from_slice(part.as_bytes());
    }
    Ok(utf8)
}

fn not_text(value: &Bound<'_, PyAny>, row: Option<usize>) -> PyErr {
    let name = value.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    wrong_type(
        value.py(),
        match row {
            Some(row) => format!("row {row}: text must be str, bytes or None, not {name}"),
            None => format!("text must be str or bytes, not {name}"),
        },
    )
}

/// A lone surrogate has no UTF-8: say where it is.
fn surrogate(py: Python<'_>, error: PyErr, base: usize, row: Option<usize>) -> PyErr {
    if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
        return error;
    }
    let at = error.value(py).getattr("start").and_then(|start| start.extract::<usize>());
    let place = at.map_or_else(|_| "a character".into(), |at| format!("character {}", base + at));
    let text = row.map_or_else(|| "the text".into(), |row| format!("row {row}"));
    to_python(&Error::Argument(format!(
        "{place} of {text} is a lone surrogate, which has no UTF-8: pass bytes instead"
    )))
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
    let mut names = Vec::new();
    for item in value.try_iter()? {
        let item = item?;
        let name = item.cast::<PyString>().map_err(|_| {
            wrong_type(item.py(), format!("allowed_special has {item:?}: special tokens are str"))
        })?;
        let name = name.to_str().map_err(|_| {
            to_python(&Error::Argument(format!(
                "{item:?} is not a special token of this tokenizer"
            )))
        })?;
        names.push(name.to_owned());
    }
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
    /// Reads ids for a vocabulary of `size` tokens.
    pub(super) fn new<'py>(value: &Bound<'py, PyAny>, size: usize) -> PyResult<Ids<'py>> {
        if let Ok(array) = value.extract::<PyReadonlyArray1<'py, i32>>() {
            return Ok(Ids::Array(array));
        }
        let mut ids = Vec::with_capacity(value.len().unwrap_or(0));
        let items = value.try_iter().map_err(|_| not_ids(value))?;
        for (at, item) in items.enumerate() {
            if at % POLL_ITEMS == POLL_ITEMS - 1 {
                value.py().check_signals()?;
            }
            let item = item?;
            let id = signed_id(&item, size)?;
            ids.push(i32::try_from(id).map_err(|_| unknown_token(&item, size))?);
        }
        Ok(Ids::Sequence(ids))
    }

    pub(super) fn as_slice(&self) -> PyResult<&[i32]> {
        match self {
            Ids::Array(array) => Ok(array.as_slice()?),
            Ids::Sequence(ids) => Ok(ids),
        }
    }
}

/// A Python integer as an id; one that no machine integer holds is of no vocabulary. True and False
/// are none.
pub(super) fn signed_id(item: &Bound<'_, PyAny>, size: usize) -> PyResult<i64> {
    if item.is_instance_of::<PyBool>() {
        return Err(not_ids(item));
    }
    item.extract::<i64>().map_err(|error| {
        match error.is_instance_of::<PyOverflowError>(item.py()) {
            true => unknown_token(item, size),
            false => not_ids(item),
        }
    })
}

fn not_ids(given: &Bound<'_, PyAny>) -> PyErr {
    let name = given.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    wrong_type(given.py(), format!("token ids must be integers, not {name}"))
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
    Converted(Vec<u8>),
    Null,
}

/// Reads the chunks that the Python side lays out.
pub(super) fn chunks<'py>(value: &Bound<'py, PyAny>) -> PyResult<Vec<Chunk<'py>>> {
    value.try_iter()?.map(|chunk| chunk_of(&chunk?)).collect()
}

fn chunk_of<'py>(chunk: &Bound<'py, PyAny>) -> PyResult<Chunk<'py>> {
    if let Ok(list) = chunk.cast::<PyList>() {
        let objects = list.iter().enumerate().map(|(row, item)| {
            if row % POLL_ITEMS == POLL_ITEMS - 1 {
                item.py().check_signals()?;
            }
            object(&item, row)
        });
        return Ok(Chunk::Objects(objects.collect::<PyResult<_>>()?));
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

fn object(item: &Bound<'_, PyAny>, row: usize) -> PyResult<Object> {
    if item.is_none() {
        return Ok(Object::Null);
    }
    if let Ok(string) = item.cast::<PyString>() {
        if is_long(string)? {
            return long_utf8(string, Some(row)).map(Object::Converted);
        }
        let backed = PyBackedStr::try_from(string.clone());
        return backed.map(Object::Str).map_err(|error| surrogate(item.py(), error, 0, Some(row)));
    }
    match item.cast::<PyBytes>() {
        Ok(bytes) => Ok(Object::Bytes(bytes.clone().into())),
        Err(_) => Err(not_text(item, Some(row))),
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
                    Object::Converted(bytes) => bytes,
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
