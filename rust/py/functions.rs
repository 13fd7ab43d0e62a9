//! Functions on flat data.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::interrupt::run;
use super::tokenizer::words;
use crate::Error;
use crate::encode::{self, UnitKind};
use crate::formats;
use crate::jsonl::{self, Missing};
use crate::regex::Regex;

#[pyfunction]
pub(super) fn merges_from_ranks<'py>(
    py: Python<'py>,
    arena: &[u8],
    offsets: &[u8],
    order: &[u8],
    unit: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let merges = run(py, usize::MAX, |_| {
        let kind = match unit {
            "byte" => UnitKind::Byte,
            "char" => UnitKind::Char,
            other => {
                return Err(Error::Argument(format!("unit {other:?} is not \"byte\" or \"char\"")));
            }
        };
        encode::merges_from_ranks(arena, &words(offsets), &words(order), kind)
    })?;
    let flat: Vec<u8> = merges
        .iter()
        .flat_map(|merge| [merge.left, merge.right, merge.product])
        .flat_map(u32::to_le_bytes)
        .collect();
    Ok(PyBytes::new(py, &flat))
}

/// Tokens of tiktoken ranks by ascending id: their bytes, offsets and ids.
#[pyfunction]
pub(super) fn parse_ranks<'py>(
    py: Python<'py>,
    data: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let ranks = run(py, data.len(), |_| formats::parse_ranks(data))?;
    let flat = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    Ok((
        PyBytes::new(py, &ranks.arena),
        PyBytes::new(py, &flat(&ranks.offsets)),
        PyBytes::new(py, &flat(&ranks.ids)),
    ))
}

type PlainModel<'py> = (Bound<'py, PyBytes>, Bound<'py, PyDict>, Bound<'py, PyBytes>);

/// A tokenizer.json without its vocabulary and merges, the vocabulary, and the merges as ids.
///
/// The vocabulary is a dictionary, since a few of its strings are looked up. Nothing where the file
/// has no plain model.
#[pyfunction]
pub(super) fn parse_model<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Option<PlainModel<'py>>> {
    let Some(model) = run(py, data.len(), |_| Ok(formats::parse_model(data)))? else {
        return Ok(None);
    };
    let vocab = PyDict::new(py);
    for (text, id) in &model.vocab {
        vocab.set_item(text.as_ref(), id)?;
    }
    let merges: Vec<u8> =
        model.merges.as_flattened().iter().flat_map(|id| id.to_le_bytes()).collect();
    Ok(Some((PyBytes::new(py, model.rest.as_bytes()), vocab, PyBytes::new(py, &merges))))
}

/// The vector instructions that this machine has and the crate would use.
#[pyfunction]
pub(super) fn cpu_features() -> Vec<&'static str> {
    crate::simd::features()
}

/// The pre-tokenizer steps of a published pattern as JSON, or nothing for an unknown name.
#[pyfunction]
pub(super) fn pattern_steps(name: &str) -> Option<String> {
    let steps = crate::pretokenize::named::pattern(name)?;
    serde_json::to_string(&steps).ok()
}

/// The names of the published patterns.
#[pyfunction]
pub(super) fn pattern_names() -> Vec<&'static str> {
    crate::pretokenize::named::names().collect()
}

/// The byte offset of a loop that Oniguruma runs differently, if the pattern has one.
#[pyfunction]
pub(super) fn odd_loop(py: Python<'_>, pattern: &str) -> PyResult<Option<usize>> {
    run(py, pattern.len(), |_| Regex::odd_loop(pattern))
}

type JsonlTexts<'py> =
    (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<bool>>);

/// The text field of each line, or what names it: the bytes of all, their offsets, and which lines
/// have one. A line may lack a name but not the field of the text.
#[pyfunction]
pub(super) fn jsonl_texts<'py>(
    py: Python<'py>,
    block: &[u8],
    field: &str,
    first_line: u64,
    names: bool,
) -> PyResult<JsonlTexts<'py>> {
    let texts = run(py, block.len(), |_| match names {
        true => jsonl::names(block, field, first_line),
        false => jsonl::texts(block, field, first_line, Missing::Refuse),
    })?;
    let offsets = texts.offsets.into_iter().map(u64::cast_signed).collect();
    Ok((
        PyArray1::from_vec(py, texts.values),
        PyArray1::from_vec(py, offsets),
        PyArray1::from_vec(py, texts.valid),
    ))
}
