//! Probabilities of bytes, as Python sees them. Python runs the model.

use std::sync::{Arc, Mutex};

use numpy::{
    Element, PyArray1, PyArray2, PyArrayDescrMethods as _, PyArrayMethods as _, PyReadonlyArray1,
    PyUntypedArray, PyUntypedArrayMethods as _,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::{to_python, wrong_type};
use super::interrupt::{locked, locked_away, run};
use super::tokenizer::PyTokenizer;
use crate::bytelm::{ByteVocab, Given, Goal, Semantics, TokenPath, Tree};
use crate::simd::{Bf16, F16};
use crate::{Error, Result};

type Array<'py, T> = Bound<'py, PyArray1<T>>;
type Path<'py> = (Vec<u32>, Bound<'py, PyBytes>, f64);

#[pyclass(frozen, name = "ByteVocab", module = "bytewright._core")]
pub(super) struct PyByteVocab {
    pub(super) core: Arc<ByteVocab>,
}

#[pymethods]
impl PyByteVocab {
    #[new]
    fn new(tokenizer: &Bound<'_, PyTokenizer>, ends: Vec<u32>, semantics: &str) -> PyResult<Self> {
        let core = Arc::clone(&tokenizer.get().core);
        let made = run(tokenizer.py(), usize::MAX, |_| {
            ByteVocab::new(core, ends, Semantics::named(semantics)?)
        });
        Ok(PyByteVocab { core: Arc::new(made?) })
    }

    /// The least number of columns that rows have.
    #[getter]
    fn width(&self) -> usize {
        self.core.width()
    }

    /// The cover of no bytes, for a model of which the last `reach` ids decide.
    /// Of a text that goes on with another, `goes_on` are the bytes of a character that one ends with.
    #[pyo3(signature = (epsilon, reach=None, goes_on=None))]
    fn tree(
        &self,
        epsilon: f64,
        reach: Option<usize>,
        goes_on: Option<&[u8]>,
    ) -> PyResult<PyByteTree> {
        let tree = Tree::new(Arc::clone(&self.core), epsilon, reach, goes_on);
        Ok(PyByteTree { core: Mutex::new(tree.map_err(|error| to_python(&error))?) })
    }
}

#[pyclass(frozen, name = "ByteTree", module = "bytewright._core")]
pub(super) struct PyByteTree {
    core: Mutex<Tree>,
}

#[pymethods]
impl PyByteTree {
    /// Another that begins alike.
    fn fork(&self, py: Python<'_>) -> PyByteTree {
        PyByteTree { core: Mutex::new(locked(py, &self.core).clone()) }
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        locked(py, &self.core).len()
    }

    fn advance(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let mut tree = locked(py, &self.core);
        let tree = &mut *tree;
        // What other threads are at is waited for away from the interpreter.
        let work = if tree.would_wait() { usize::MAX } else { data.len() << 6 };
        run(py, work, |poll| tree.advance(data, poll))
    }

    /// Forgets what only the probabilities of shorter texts would need.
    fn skip(&self, py: Python<'_>) {
        locked(py, &self.core).skip();
    }

    /// Drops the tokens that all sequences have in common: probabilities are relative to theirs.
    fn assume(&self, py: Python<'_>) {
        locked(py, &self.core).assume();
    }

    /// Takes the text so far for given: from now on its probability is 1.
    fn take(&self, py: Python<'_>) -> PyResult<()> {
        locked(py, &self.core).take().map_err(|error| to_python(&error))
    }

    /// Drops the rows that say what follows the text; to ask it again needs them again.
    fn release(&self, py: Python<'_>) {
        locked(py, &self.core).release();
    }

    /// The nodes that need rows.
    fn pending<'py>(&self, py: Python<'py>, goal: &str) -> PyResult<Array<'py, u64>> {
        let goal = goal_named(goal).map_err(|error| to_python(&error))?;
        let nodes = locked(py, &self.core).pending(goal);
        let nodes = nodes.into_iter().map(|node| node as u64).collect();
        Ok(PyArray1::from_vec(py, nodes))
    }

    /// The contexts of nodes as flat ids with offsets, or the last so many ids of each: those of the
    /// first nodes that have no more than `most` ids in all, but at least one.
    #[pyo3(signature = (nodes, last=None, most=None))]
    fn contexts<'py>(
        &self,
        py: Python<'py>,
        nodes: PyReadonlyArray1<'_, u64>,
        last: Option<usize>,
        most: Option<usize>,
    ) -> PyResult<(Array<'py, i32>, Array<'py, i64>)> {
        let tree = locked(py, &self.core);
        let (mut ids, mut offsets) = (Vec::new(), vec![0i64]);
        for &node in nodes.as_slice()? {
            let known = ids.len();
            let written = tree.write_context(node as usize, last.unwrap_or(usize::MAX), &mut ids);
            written.map_err(|error| to_python(&error))?;
            if known > 0 && most.is_some_and(|most| ids.len() > most) {
                ids.truncate(known);
                break;
            }
            offsets.push(ids.len() as i64);
        }
        Ok((PyArray1::from_vec(py, ids), PyArray1::from_vec(py, offsets)))
    }

    /// Takes a row for each of these nodes, of float16, float32 or float64; uint16 are the bits of
    /// bfloat16, which NumPy lacks. Rows are read where they lie, one value beside the other.
    fn feed(
        &self,
        py: Python<'_>,
        nodes: PyReadonlyArray1<'_, u64>,
        rows: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let nodes: Vec<usize> = nodes.as_slice()?.iter().map(|&node| node as usize).collect();
        if let Ok(rows) = rows.cast::<PyArray2<f32>>() {
            return self.feed_rows(py, &nodes, rows, |row| row);
        }
        if let Ok(rows) = rows.cast::<PyArray2<f64>>() {
            return self.feed_rows(py, &nodes, rows, |row| row);
        }
        if let Ok(rows) = rows.cast::<PyArray2<u16>>() {
            return self.feed_rows(py, &nodes, rows, Bf16::of);
        }
        if is_half(rows) {
            let bits = rows.call_method1("view", (numpy::dtype::<u16>(py),))?;
            if let Ok(rows) = bits.cast::<PyArray2<u16>>() {
                return self.feed_rows(py, &nodes, rows, F16::of);
            }
        }
        let allowed =
            "rows must be a 2-D array of float16, float32, float64, or uint16 for bfloat16";
        Err(wrong_type(py, allowed.into()))
    }

    /// Logarithms of the probabilities of the text up to each new place.
    fn settle<'py>(&self, py: Python<'py>) -> PyResult<Array<'py, f64>> {
        let settled = run(py, usize::MAX, |_| locked_away(&self.core).settle())?;
        Ok(PyArray1::from_vec(py, settled))
    }

    /// Logarithm of the probability of the text.
    fn logprob(&self, py: Python<'_>) -> PyResult<f64> {
        locked(py, &self.core).logprob().map_err(|error| to_python(&error))
    }

    /// The likeliest sequences that cover the text: their last tokens, the bytes that are owed, and
    /// their shares.
    fn paths<'py>(&self, py: Python<'py>, count: usize, last: usize) -> PyResult<Vec<Path<'py>>> {
        let paths = run(py, usize::MAX, |_| locked_away(&self.core).paths(count, last))?;
        let path = |one: TokenPath| (one.ids, PyBytes::new(py, &one.owed), one.share);
        Ok(paths.into_iter().map(path).collect())
    }

    /// Logarithms of the 257 outcomes' probabilities, the lost mass, the error's bound and the
    /// logarithm of the mass that is not lost.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<(Array<'py, f64>, f64, f64, f64)> {
        let next = locked(py, &self.core).outcomes().map_err(|error| to_python(&error))?;
        Ok((PyArray1::from_slice(py, &next.logprobs), next.lost, next.bound, next.kept))
    }
}

impl PyByteTree {
    fn feed_rows<T: Element, G: Given>(
        &self,
        py: Python<'_>,
        nodes: &[usize],
        rows: &Bound<'_, PyArray2<T>>,
        given: fn(&[T]) -> &[G],
    ) -> PyResult<()> {
        let whole = |stride: &isize| stride % size_of::<T>().cast_signed() == 0;
        let readable = rows.is_aligned() && rows.strides().iter().all(whole);
        let rows = rows.try_readonly()?;
        let rows = rows.as_array();
        let slices = rows.outer_iter().map(|row| row.to_slice().map(given).filter(|_| readable));
        let Some(slices) = slices.collect::<Option<Vec<&[G]>>>() else {
            return Err(wrong_type(py, "the values of a row must lie beside each other".into()));
        };
        run(py, usize::MAX, |poll| locked_away(&self.core).feed(nodes, &slices, poll))
    }
}

/// Whether these are numbers of float16, which the crate knows as bytes only.
fn is_half(rows: &Bound<'_, PyAny>) -> bool {
    rows.cast::<PyUntypedArray>().is_ok_and(|rows| {
        let kind = rows.dtype();
        kind.char() == b'e' && kind.is_native_byteorder() == Some(true)
    })
}

fn goal_named(name: &str) -> Result<Goal> {
    match name {
        "end" => Ok(Goal::End),
        "next" => Ok(Goal::Next),
        "every" => Ok(Goal::Every),
        _ => Err(Error::Argument(format!("goal {name:?} is none of 'end', 'next', 'every'"))),
    }
}
