//! The n-gram model, as Python sees it.

use std::sync::{Mutex, PoisonError};

use numpy::{
    PyArray1, PyArrayMethods as _, PyReadonlyArray1, PyReadwriteArray2, PyUntypedArrayMethods as _,
};
use pyo3::prelude::*;

use super::errors::to_python;
use super::interrupt::{locked_away, run};
use super::tokenizer::{signed, thread_count};
use crate::error::Poll;
use crate::ngram::{Documents, Layout, Model, Reach, Real, Scratch};
use crate::{Error, Result, parallel};

/// Bytes of rows that a thread writes before it looks for other work: half a millisecond, beside
/// which starting a thread is little.
const PART: usize = 4 << 20;

/// Ids of a context that occurred, ids that followed them, and how often.
type Match<'py> = (usize, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<u32>>);

/// Documents on their way into a model. An error or a Ctrl-C leaves it unfit for more.
#[pyclass(frozen, name = "NgramDocuments", module = "bytewright._core")]
pub(super) struct PyNgramDocuments {
    core: Mutex<Option<Documents>>,
}

#[pymethods]
impl PyNgramDocuments {
    #[new]
    fn new(width: usize, end: u32) -> PyResult<PyNgramDocuments> {
        let made = Documents::new(width, end).map_err(|error| to_python(&error))?;
        Ok(PyNgramDocuments { core: Mutex::new(Some(made)) })
    }

    /// Adds documents, ids and offsets; returns the ids so far.
    fn push(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, i32>,
        offsets: PyReadonlyArray1<'_, i64>,
        valid: Option<PyReadonlyArray1<'_, bool>>,
    ) -> PyResult<usize> {
        let (ids, offsets) = (ids.as_slice()?, offsets.as_slice()?);
        let valid = valid.as_ref().map(|valid| valid.as_slice()).transpose()?;
        run(py, usize::MAX, |_| {
            let mut core = locked_away(&self.core);
            core.as_mut().ok_or_else(finished)?.push(ids, offsets, valid)
        })
    }

    /// The array of the model, and how many n-grams of each length from 2 on there are.
    fn count<'py>(
        &self,
        py: Python<'py>,
        order: usize,
        unbounded: bool,
        threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<u32>>, Vec<usize>, usize)> {
        let reach = if unbounded { Reach::Unbounded } else { Reach::Order };
        let (words, layout) = run(py, usize::MAX, |poll| {
            let core = locked_away(&self.core).take();
            core.ok_or_else(finished)?.count(order, reach, thread_count(threads), poll)
        })?;
        Ok((PyArray1::from_vec(py, words), layout.sizes, layout.stream))
    }
}

fn finished() -> Error {
    Error::Argument("these documents are counted already".into())
}

/// A model over an array that Python holds, mapped or not.
#[pyclass(frozen, name = "Ngram", module = "bytewright._core")]
pub(super) struct PyNgram {
    core: Model,
    words: Py<PyArray1<u32>>,
}

#[pymethods]
impl PyNgram {
    #[new]
    fn new(
        py: Python<'_>,
        words: Bound<'_, PyArray1<u32>>,
        sizes: Vec<usize>,
        stream: usize,
        end: u32,
        excluded: PyReadonlyArray1<'_, bool>,
    ) -> PyResult<PyNgram> {
        let array = words.try_readonly()?;
        let (slice, excluded) = (array.as_slice()?, excluded.as_slice()?);
        let layout = Layout { width: excluded.len(), end, sizes, stream };
        let core = run(py, usize::MAX, |poll| Model::new(layout, slice, excluded, poll))?;
        Ok(PyNgram { core, words: words.unbind() })
    }

    /// Fills a row of `out` for each context.
    fn fill_float32(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, i32>,
        offsets: PyReadonlyArray1<'_, i64>,
        out: PyReadwriteArray2<'_, f32>,
        threads: Option<usize>,
    ) -> PyResult<()> {
        self.fill(py, &ids, &offsets, out, threads)
    }

    /// The same in double precision.
    fn fill_float64(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, i32>,
        offsets: PyReadonlyArray1<'_, i64>,
        out: PyReadwriteArray2<'_, f64>,
        threads: Option<usize>,
    ) -> PyResult<()> {
        self.fill(py, &ids, &offsets, out, threads)
    }

    /// The length of the longest end of a context that occurred, what followed it, and how often.
    fn matches<'py>(
        &self,
        py: Python<'py>,
        context: PyReadonlyArray1<'py, i32>,
    ) -> PyResult<Option<Match<'py>>> {
        let words = self.words.bind(py).try_readonly()?;
        let (words, context) = (words.as_slice()?, context.as_slice()?);
        let found =
            run(py, context.len(), |_| self.core.matches(words, context, &mut Scratch::default()))?;
        Ok(found.map(|(length, found)| {
            (length, signed(py, found.ids), PyArray1::from_vec(py, found.counts))
        }))
    }
}

impl PyNgram {
    fn fill<R: Real + numpy::Element>(
        &self,
        py: Python<'_>,
        ids: &PyReadonlyArray1<'_, i32>,
        offsets: &PyReadonlyArray1<'_, i64>,
        mut out: PyReadwriteArray2<'_, R>,
        threads: Option<usize>,
    ) -> PyResult<()> {
        let words = self.words.bind(py).try_readonly()?;
        let contexts = Contexts { ids: ids.as_slice()?, offsets: offsets.as_slice()? };
        let shape = [contexts.offsets.len().saturating_sub(1), self.core.layout().width];
        if out.shape() != shape {
            let told = format!("rows of shape {:?}: {shape:?} is needed", out.shape());
            return Err(to_python(&Error::Argument(told)));
        }
        let (words, out) = (words.as_slice()?, out.as_slice_mut()?);
        let bytes = size_of_val(out);
        run(py, bytes, |poll| rows(&self.core, words, &contexts, out, thread_count(threads), poll))
    }
}

/// Many contexts as flat arrays.
struct Contexts<'a> {
    ids: &'a [i32],
    offsets: &'a [i64],
}

impl Contexts<'_> {
    fn get(&self, row: usize) -> Result<&[i32]> {
        let end = |at: usize| self.offsets.get(at).and_then(|&end| usize::try_from(end).ok());
        let range = end(row).zip(end(row + 1));
        range.and_then(|(start, end)| self.ids.get(start..end)).ok_or_else(|| {
            Error::Argument(format!("context {row} points outside its {} ids", self.ids.len()))
        })
    }
}

fn rows<R: Real>(
    model: &Model,
    words: &[u32],
    contexts: &Contexts<'_>,
    out: &mut [R],
    threads: usize,
    poll: Poll<'_>,
) -> Result<()> {
    let width = model.layout().width;
    let rows = (PART / (width * size_of::<R>())).max(1);
    let parts: Vec<_> = out.chunks_mut(width * rows).map(Mutex::new).collect();
    let mut states = Vec::new();
    states.resize_with(threads.clamp(1, parts.len().max(1)), Scratch::default);
    parallel::each(&parts, &mut states, poll, |scratch, at, part, poll| {
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, out) in part.chunks_mut(width).enumerate() {
            model.row(words, contexts.get(at * rows + row)?, scratch, out)?;
        }
        poll()
    })
}
