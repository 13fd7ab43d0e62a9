//! The tokenizer, as Python sees it.

use std::sync::Arc;

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};

use super::errors::{to_python, unknown_token};
use super::input;
use super::interrupt::run;
use super::stream::PyStreamEncoder;
use crate::batch;
use crate::merges::Merge;
use crate::tokenizer::{Definition, Tokenizer};

/// More threads than this gain nothing, and a system may refuse them.
const MOST_THREADS: usize = 256;

type Array<'py, T> = Bound<'py, PyArray1<T>>;

#[pyclass(frozen, name = "Tokenizer", module = "bytewright._core")]
pub(super) struct PyTokenizer {
    pub(super) core: Arc<Tokenizer>,
    /// What it was built from, for pickling.
    definition: [Py<PyAny>; 5],
}

#[pymethods]
impl PyTokenizer {
    #[new]
    fn new(
        header: Bound<'_, PyString>,
        arena: Bound<'_, PyBytes>,
        offsets: Bound<'_, PyBytes>,
        kinds: Bound<'_, PyBytes>,
        merges: Bound<'_, PyBytes>,
    ) -> PyResult<PyTokenizer> {
        let definition = Definition {
            header: header.to_str()?.to_owned(),
            arena: arena.as_bytes().to_vec(),
            offsets: words(offsets.as_bytes()),
            kinds: kinds.as_bytes().to_vec(),
            merges: triples(merges.as_bytes()),
        };
        let core = run(header.py(), usize::MAX, |_| Tokenizer::new(definition))?;
        let definition = [
            header.into_any().unbind(),
            arena.into_any().unbind(),
            offsets.into_any().unbind(),
            kinds.into_any().unbind(),
            merges.into_any().unbind(),
        ];
        Ok(PyTokenizer { core: Arc::new(core), definition })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, [Py<PyAny>; 5]) {
        let py = slf.py();
        (slf.get_type().into_any(), slf.get().definition.each_ref().map(|part| part.clone_ref(py)))
    }

    fn encode<'py>(
        &self,
        text: &Bound<'py, PyAny>,
        allowed: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        list(text.py(), self.ids(text, allowed)?, self.core.vocab().len())
    }

    fn encode_array<'py>(
        &self,
        text: &Bound<'py, PyAny>,
        allowed: &Bound<'py, PyAny>,
    ) -> PyResult<Array<'py, i32>> {
        Ok(signed(text.py(), self.ids(text, allowed)?))
    }

    fn encode_offsets<'py>(
        &self,
        text: &Bound<'py, PyAny>,
        allowed: &Bound<'py, PyAny>,
        limit: Option<usize>,
    ) -> PyResult<(Array<'py, i32>, Array<'py, i64>)> {
        let (py, allowed, text) = (text.py(), input::allowed(allowed)?, input::text(text)?);
        let (ids, offsets) =
            run(py, text.len(), |poll| self.core.encode_offsets(&text, &allowed, limit, poll))?;
        Ok((signed(py, ids), PyArray1::from_vec(py, offsets)))
    }

    fn encode_batch<'py>(
        &self,
        py: Python<'py>,
        chunks: &Bound<'py, PyAny>,
        allowed: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<(Array<'py, i32>, Array<'py, i64>)> {
        let allowed = input::allowed(allowed)?;
        let chunks = input::chunks(chunks)?;
        let rows = input::rows(&chunks)?;
        let ragged = run(py, total(&rows), |poll| {
            batch::encode_batch(&self.core, &rows, &allowed, thread_count(threads), poll)
        })?;
        Ok((signed(py, ragged.values), PyArray1::from_vec(py, ragged.offsets)))
    }

    fn count(
        &self,
        text: &Bound<'_, PyAny>,
        allowed: &Bound<'_, PyAny>,
        limit: Option<usize>,
    ) -> PyResult<usize> {
        let (py, allowed, text) = (text.py(), input::allowed(allowed)?, input::text(text)?);
        run(py, text.len(), |poll| self.core.count(&text, &allowed, limit, poll))
    }

    fn count_batch<'py>(
        &self,
        py: Python<'py>,
        chunks: &Bound<'py, PyAny>,
        allowed: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<Array<'py, i64>> {
        let allowed = input::allowed(allowed)?;
        let chunks = input::chunks(chunks)?;
        let rows = input::rows(&chunks)?;
        let counts = run(py, total(&rows), |poll| {
            batch::count_batch(&self.core, &rows, &allowed, thread_count(threads), poll)
        })?;
        Ok(PyArray1::from_vec(py, counts))
    }

    /// Start and end of each piece, one after the other.
    fn pieces<'py>(&self, text: &Bound<'py, PyAny>) -> PyResult<Array<'py, i64>> {
        let (py, text) = (text.py(), input::text(text)?);
        let spans = run(py, text.len(), |poll| self.core.pieces(&text, poll))?;
        let flat = spans.iter().flat_map(|span| [span.start as i64, span.end as i64]).collect();
        Ok(PyArray1::from_vec(py, flat))
    }

    fn decode_bytes<'py>(&self, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let (py, ids) = (ids.py(), input::Ids::new(ids, self.core.vocab().len())?);
        let ids = ids.as_slice()?;
        let text = run(py, ids.len(), |poll| {
            let mut text = Vec::with_capacity(4 * ids.len());
            self.core.decode(ids, &mut text, poll)?;
            Ok(text)
        })?;
        Ok(PyBytes::new(py, &text))
    }

    fn decode_batch<'py>(
        &self,
        py: Python<'py>,
        values: PyReadonlyArray1<'py, i32>,
        offsets: PyReadonlyArray1<'py, i64>,
    ) -> PyResult<(Array<'py, u8>, Array<'py, i64>)> {
        let (values, offsets) = (values.as_slice()?, offsets.as_slice()?);
        let ragged =
            run(py, values.len(), |poll| batch::decode_batch(&self.core, values, offsets, poll))?;
        Ok((PyArray1::from_vec(py, ragged.values), PyArray1::from_vec(py, ragged.offsets)))
    }

    fn is_canonical(&self, ids: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (py, ids) = (ids.py(), input::Ids::new(ids, self.core.vocab().len())?);
        let ids = ids.as_slice()?;
        run(py, ids.len(), |poll| self.core.is_canonical(ids, poll))
    }

    fn token_bytes<'py>(&self, id: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let vocab = self.core.vocab();
        let small = u32::try_from(input::signed_id(id, vocab.len())?);
        let bytes = vocab.token_bytes(small.map_err(|_| unknown_token(id, vocab.len()))?);
        bytes.map(|bytes| PyBytes::new(id.py(), bytes)).map_err(|error| to_python(&error))
    }

    fn token_id(&self, token: &[u8]) -> Option<u32> {
        self.core.vocab().token_id(token)
    }

    fn stream_encoder(
        slf: Bound<'_, Self>,
        allowed: &Bound<'_, PyAny>,
    ) -> PyResult<PyStreamEncoder> {
        let allowed = input::allowed(allowed)?;
        slf.get().core.matchers(&allowed).map_err(|error| to_python(&error))?;
        Ok(PyStreamEncoder::new(slf.unbind(), allowed))
    }

    /// Ids of the tokens that merging cannot reach.
    fn unreachable<'py>(&self, py: Python<'py>) -> Array<'py, i32> {
        signed(py, self.core.unreachable())
    }

    #[getter]
    fn vocab_size(&self) -> usize {
        self.core.vocab().len()
    }
}

impl PyTokenizer {
    fn ids(&self, text: &Bound<'_, PyAny>, allowed: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
        let (py, allowed, text) = (text.py(), input::allowed(allowed)?, input::text(text)?);
        run(py, text.len(), |poll| self.core.encode(&text, &allowed, poll))
    }
}

/// Ids as Python integers. A list cannot be left half made, so after Ctrl-C zeros fill it up.
///
/// In a long list each id is one object, however often it stands there: millions of objects of
/// their own would take most of the time, and after Ctrl-C as much again to be freed.
fn list(py: Python<'_>, ids: Vec<u32>, size: usize) -> PyResult<Bound<'_, PyList>> {
    if ids.len() < input::POLL_ITEMS {
        return PyList::new(py, ids);
    }
    let zero = PyInt::new(py, 0);
    let mut known: Vec<Option<Bound<'_, PyInt>>> = vec![None; size];
    let mut go_on = Ok(());
    let items = ids.into_iter().enumerate().map(|(at, id)| {
        if at % input::POLL_ITEMS == input::POLL_ITEMS - 1 && go_on.is_ok() {
            go_on = py.check_signals();
        }
        if go_on.is_err() {
            return zero.clone();
        }
        // Ids are below the size of the vocabulary.
        known[id as usize].get_or_insert_with(|| PyInt::new(py, id)).clone()
    });
    let list = PyList::new(py, items)?;
    go_on.map(|()| list)
}

/// Ids as int32, in place: all are below 2^21.
pub(super) fn signed(py: Python<'_>, ids: Vec<u32>) -> Array<'_, i32> {
    PyArray1::from_vec(py, ids.into_iter().map(u32::cast_signed).collect())
}

fn total(rows: &[&[u8]]) -> usize {
    rows.iter().map(|row| row.len()).sum::<usize>() + rows.len()
}

pub(super) fn thread_count(asked: Option<usize>) -> usize {
    let threads =
        asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    threads.min(MOST_THREADS)
}

/// Little-endian words; a remainder that is no word is dropped, and then the lengths do not match.
pub(super) fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

pub(super) fn triples(bytes: &[u8]) -> Vec<Merge> {
    let merge = |w: &[u32; 3]| Merge { left: w[0], right: w[1], product: w[2] };
    words(bytes).as_chunks::<3>().0.iter().map(merge).collect()
}
