//! Training beyond plain BPE, on flat data.

use std::sync::Mutex;

use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::to_python;
use super::feed::{self, FlatIn, pieces};
use super::interrupt::{locked_away, run};
use super::tokenizer::{triples, words};
use super::train::byte_order;
use crate::events::Event;
use crate::merges::Merge;
use crate::token::{Kind, TokenId};
use crate::variants::boundless::{Boundless, train_boundless};
use crate::variants::extend::{Wanted, extend};
use crate::variants::picky::{Picky, train_picky};
use crate::variants::runs::Runs;
use crate::variants::{Chains, Queue, Symbols, Ties, graft};
use crate::{Error, Result};

type Array<'py, T> = Bound<'py, PyArray1<T>>;

/// More merges for a vocabulary: rows of three ids, and how often each pair occurred.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "flat tables are what crosses the door")]
pub(super) fn extend_merges<'py>(
    py: Python<'py>,
    arena: &[u8],
    token_offsets: &[u8],
    kinds: &[u8],
    values: PyReadonlyArray1<'py, i32>,
    offsets: PyReadonlyArray1<'py, i64>,
    counts: PyReadonlyArray1<'py, u64>,
    wanted: (usize, u64),
    ties: &str,
) -> PyResult<(Array<'py, u32>, Array<'py, u64>)> {
    let (values, offsets, counts) = (values.as_slice()?, offsets.as_slice()?, counts.as_slice()?);
    let queue = Queue::new(ties_named(ties).map_err(|error| to_python(&error))?);
    let wanted = Wanted { tokens: wanted.0, min_count: wanted.1 };
    let made = run(py, usize::MAX, |poll| {
        let mut symbols = symbols(arena, &words(token_offsets), kinds)?;
        let mut chains = chains(values, offsets, counts, symbols.size())?;
        extend(&mut chains, &mut symbols, queue, wanted, poll)
    })?;
    Ok((PyArray1::from_vec(py, flat(&made.merges)), PyArray1::from_vec(py, made.counts)))
}

/// Merges that make more tokens reachable, and which of them none does.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "flat tables are what crosses the door")]
pub(super) fn graft_tokens<'py>(
    py: Python<'py>,
    arena: &[u8],
    token_offsets: &[u8],
    kinds: &[u8],
    byte_units: PyReadonlyArray1<'py, u32>,
    merges: &[u8],
    wanted: &[u8],
    wanted_offsets: &[u8],
) -> PyResult<(Array<'py, u32>, Array<'py, i64>)> {
    let units = <[TokenId; 256]>::try_from(byte_units.as_slice()?);
    let made = run(py, usize::MAX, |poll| {
        let units = units.map_err(|_| Error::Argument("byte units are not 256 ids".into()))?;
        let mut symbols = symbols(arena, &words(token_offsets), kinds)?;
        let ends = words(wanted_offsets);
        let wanted = ends
            .windows(2)
            .map(|ends| wanted.get(ends[0] as usize..ends[1] as usize))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::Argument("token offsets do not fit".into()))?;
        graft(&mut symbols, &units, &triples(merges), &wanted, poll)
    })?;
    let left_out = made.left_out.into_iter().map(|at| at as i64).collect();
    Ok((PyArray1::from_vec(py, flat(&made.merges)), PyArray1::from_vec(py, left_out)))
}

/// Bytes of tokens, their offsets, and which of them are there in the end.
type Tokens<'py> = (Bound<'py, PyBytes>, Array<'py, i64>, Array<'py, bool>);
/// Ids of all steps and the offsets of each.
type Steps<'py> = (Array<'py, u32>, Array<'py, i64>);

/// Tokens and steps, the latter by kind: 0 for a join, 1 for a split, 2 for a join across pieces.
type Told<'py> = (Tokens<'py>, Steps<'py>);

/// Merges and removals of Picky BPE: the bytes of all tokens and their offsets, which of them are
/// there in the end, and the steps, each its ids behind its kind, with their offsets.
#[pyfunction]
pub(super) fn picky_history<'py>(
    py: Python<'py>,
    text: FlatIn<'py>,
    vocab_size: usize,
    order: &[u8],
    min_count: u64,
    tau: f64,
) -> PyResult<Told<'py>> {
    let pieces = pieces(&text)?;
    let order = byte_order(order)?;
    let picky = Picky { vocab_size, tau, min_count };
    let (symbols, history) = run(py, usize::MAX, |poll| {
        let mut symbols = Symbols::default();
        order.iter().for_each(|&byte| symbols.push(&[byte], true));
        let ids = |byte: u8| symbols.find(&[byte]).unwrap_or(0);
        let mut chains = Chains::of_bytes(pieces, ids)?;
        let queue = Queue::new(Ties::SmallestIds);
        let history = train_picky(&mut chains, &mut symbols, queue, picky, poll)?;
        Ok((symbols, history))
    })?;
    Ok(told(py, &symbols, history.present, &history.events, |_| false))
}

fn told<'py>(
    py: Python<'py>,
    symbols: &Symbols,
    present: Vec<bool>,
    events: &[Event],
    is_across: impl Fn(usize) -> bool,
) -> Told<'py> {
    let (mut arena, mut ends) = (Vec::new(), vec![0]);
    for id in 0..symbols.size() {
        arena.extend_from_slice(symbols.get(id as TokenId));
        ends.push(arena.len() as i64);
    }
    let (mut steps, mut step_ends) = (Vec::new(), vec![0]);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Join(merge) => {
                let kind = if is_across(at) { 2 } else { 0 };
                steps.extend([kind, merge.left, merge.right, merge.product]);
            }
            Event::Split { token, parts } => {
                steps.extend([1, *token]);
                steps.extend(parts.iter().map(|part| part.0));
            }
        }
        step_ends.push(steps.len() as i64);
    }
    (
        (PyBytes::new(py, &arena), PyArray1::from_vec(py, ends), PyArray1::from_vec(py, present)),
        (PyArray1::from_vec(py, steps), PyArray1::from_vec(py, step_ends)),
    )
}

/// Runs of words of texts, for BoundlessBPE. An error or a Ctrl-C leaves it unfit for more.
#[pyclass(frozen, name = "WordRuns", module = "bytewright._core")]
pub(super) struct PyWordRuns {
    core: Mutex<Runs>,
}

#[pymethods]
impl PyWordRuns {
    #[new]
    fn new(steps: &str) -> PyResult<PyWordRuns> {
        let made = feed::steps(steps).and_then(|steps| Runs::new(&steps));
        Ok(PyWordRuns { core: Mutex::new(made.map_err(|error| to_python(&error))?) })
    }

    /// Adds a batch of whole texts; returns the pieces so far, equal ones included.
    fn push(&self, py: Python<'_>, chunks: &Bound<'_, PyAny>) -> PyResult<u64> {
        feed::push(py, &self.core, chunks)
    }

    /// Adds a part of one long text, the last part if `last`; returns what `push` does.
    fn push_part(&self, py: Python<'_>, part: &[u8], last: bool) -> PyResult<u64> {
        feed::push_part(py, &self.core, part, last)
    }

    /// Tokens and steps, as `picky_history` tells them; without `tau` no token goes.
    fn train<'py>(
        &self,
        py: Python<'py>,
        vocab_size: usize,
        min_count: u64,
        tau: Option<f64>,
    ) -> PyResult<Told<'py>> {
        let Boundless { events, across, symbols, present } = run(py, usize::MAX, |poll| {
            train_boundless(&locked_away(&self.core), vocab_size, min_count, tau, poll)
        })?;
        Ok(told(py, &symbols, present, &events, |at| across[at]))
    }
}

fn ties_named(name: &str) -> Result<Ties> {
    match name {
        "ids" => Ok(Ties::SmallestIds),
        "bytes" => Ok(Ties::SmallestBytes),
        "stand_ins" => Ok(Ties::SmallestStandIns),
        "largest_bytes" => Ok(Ties::LargestBytes),
        other => Err(Error::Argument(format!("ties {other:?}: no such rule"))),
    }
}

/// The tokens of a definition; only those of the model are found by their bytes.
fn symbols(arena: &[u8], offsets: &[u32], kinds: &[u8]) -> Result<Symbols> {
    let mut symbols = Symbols::default();
    for (ends, &kind) in offsets.windows(2).zip(kinds) {
        let bytes = arena.get(ends[0] as usize..ends[1] as usize);
        let bytes = bytes.ok_or_else(|| Error::Argument("token offsets do not fit".into()))?;
        symbols.push(bytes, Kind(kind).has(Kind::MODEL));
    }
    Ok(symbols)
}

/// Rows of ids, each with its count.
fn chains(values: &[i32], offsets: &[i64], counts: &[u64], size: usize) -> Result<Chains> {
    let misfit = || Error::Argument("row offsets do not fit".into());
    let ids = values.iter().map(|&id| match u32::try_from(id) {
        Ok(known) if (known as usize) < size => Ok(known),
        _ => Err(Error::UnknownToken { id: i64::from(id), size }),
    });
    let ids = ids.collect::<Result<Vec<_>>>()?;
    let ends = offsets.iter().map(|&end| usize::try_from(end)).collect::<Result<Vec<_>, _>>();
    let ends = ends.map_err(|_| misfit())?;
    let ascend = ends.first() == Some(&0) && ends.is_sorted() && ends.last() == Some(&ids.len());
    if !ascend || ends.len() != counts.len() + 1 {
        return Err(misfit());
    }
    Chains::new(&ids, &ends, counts)
}

fn flat(merges: &[Merge]) -> Vec<u32> {
    merges.iter().flat_map(|merge| [merge.left, merge.right, merge.product]).collect()
}
