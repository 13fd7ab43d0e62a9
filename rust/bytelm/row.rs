//! What a model says of the next token, by the bytes of the tokens.
//!
//! The tokens that begin alike are a run in the order of the vocabulary's bytes, and a probability
//! of bytes is a sum over a run, made in `f64` from the terms themselves: differences of cumulative
//! sums would lose the small ones. As the text goes on, only the run of tokens that still fit is
//! kept. Where all exponentials of single precision are numbers, they are kept and a sum is only a
//! sum; where some would vanish beside the row's largest, logits are, and a run whose terms all
//! vanish is summed again beside its own largest.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::masses::{Masses, log_sum as log_sum_of};
use super::real::{Given, Real, Values};
use super::sorted::{Place, Sorted};
use super::spare::Spare;
use super::trie::Branch;
use super::viable::Mask;
use crate::simd::{exp, prefetch};
use crate::token::TokenId;
use crate::{Error, Result};

/// A sum below this, of terms whose largest may be 1, is made again from larger terms.
const SMALL: f64 = 1e-20;

/// A run is copied when the rest of what it lies in is this many times as large.
const SPARSE: usize = 4;

/// The columns of a row.
#[derive(Debug)]
pub(super) struct Columns {
    /// Ids below this are tokens.
    pub size: usize,
    /// Ids of the end of the text, ascending.
    pub ends: Vec<TokenId>,
}

/// The logits of the tokens that still fit, and what they are relative to.
#[derive(Debug)]
pub(super) struct Row {
    /// The place of the first value; by id, and what does not count among them, when there is none.
    base: Option<Place>,
    values: Values,
    /// Exponentials are made relative to this, which hardly any value is above.
    shift: f64,
    /// The logarithm of the sum over all outcomes, relative to the shift: beside a large one it would
    /// lose its digits, and so would the difference of any value to both together.
    total: f64,
    /// By first byte, for a row of all places.
    first: Option<Masses>,
    /// The logarithm of the probability that the text ends.
    end: f64,
}

/// Which tokens a row is about, and which of them count.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub range: Range<Place>,
    /// The tokens that count; all, when there is none.
    pub mask: Option<&'a Mask>,
    /// Whether only what counts is an outcome.
    pub local: bool,
    /// Whether the text may end.
    pub ends: bool,
}

impl Row {
    /// Reads a row of logits or of logarithms of probabilities; `spare` has memory.
    ///
    /// # Errors
    /// [`Error::Data`] when a value is no number, or nothing has any probability.
    pub fn new<T: Given>(
        sorted: &Sorted,
        columns: &Columns,
        row: &[T],
        wanted: &Wanted<'_>,
        spare: &Arc<Spare>,
    ) -> Result<Row> {
        let beyond = columns.ends.partition_point(|&id| (id as usize) < columns.size);
        let (within, beyond) = columns.ends.split_at(beyond);
        let values = |ids: &[TokenId]| -> Vec<f64> {
            ids.iter().map(|&id| row[id as usize].to_f64()).collect()
        };
        let (within, beyond) = (values(within), values(beyond));
        let largest = beyond.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let all = !beyond.iter().any(|value| value.is_nan());
        let checked = |found: (f64, bool)| match found.1 && all && found.0.max(largest).is_finite()
        {
            true => Ok(found.0.max(largest)),
            false => Err(wrong(row, columns.size)),
        };
        let sum_of = |ends: &[f64], shift: f64| -> f64 {
            ends.iter().map(|value| (value - shift).exp()).sum()
        };
        let known = &row[..columns.size];
        let end_of = |shift: f64| match wanted.ends {
            true => log_sum_of(within.iter().chain(&beyond).map(|value| value - shift)),
            false => f64::NEG_INFINITY,
        };
        if wanted.range != sorted.all() && !wanted.local {
            let shift = checked(T::top(known))?;
            let total = (T::sum_exp(known, shift) + sum_of(&beyond, shift)).ln();
            let values = T::Kept::keep(picked(row, sorted, &wanted.range, wanted.mask));
            let base = Some(wanted.range.start);
            return Ok(Row { base, values, shift, total, first: None, end: end_of(shift) - total });
        }
        let may_follow = wanted.mask.map_or(&[][..], |mask| mask.ids(sorted));
        let mut exps = T::Kept::list(spare);
        let found = T::survey(known, largest, may_follow, &mut exps);
        checked((found.largest, found.all))?;
        let sum = |byte| T::Kept::sum(&exps, sorted.group(byte));
        let first = match found.faint {
            false => Masses::numbers((0..=255).map(sum).collect(), 0.0),
            true => {
                let log = |byte: u8| match sum(byte) {
                    sum if sum > SMALL => sum.ln(),
                    _ => {
                        let values = picked(row, sorted, &sorted.beginning(byte), wanted.mask);
                        log_sum(&values, found.shift)
                    }
                };
                Masses::logs((0..=255).map(log).collect())
            }
        };
        let (shift, end) = (found.shift, end_of(found.shift));
        let total = match wanted.local {
            false => (found.sum + sum_of(&beyond, found.shift)).ln(),
            true => log_sum_of([first.log_sum(), end].into_iter()),
        };
        // Where nothing counts that the model expects, nothing is a share of anything.
        let total = if total == f64::NEG_INFINITY { 0.0 } else { total };
        let first = first.times(-total);
        let values = T::keep_all(known, exps, found.faint);
        let row = Row { base: None, values, shift, total, first: Some(first), end: end - total };
        let narrowed = || row.narrowed(sorted, &wanted.range, wanted.mask);
        Ok(if wanted.range == sorted.all() { row } else { narrowed().unwrap_or(row) })
    }

    /// The logarithm of the probability of the token at a place.
    pub fn token(&self, sorted: &Sorted, place: Place) -> f64 {
        let at = match self.base {
            Some(base) => place - base,
            None => sorted.id(place),
        };
        let value = match &self.values {
            Values::Exps(values) => f64::from(values[at as usize]).ln(),
            Values::Single(values) => f64::from(values[at as usize]) - self.shift,
            Values::Double(values) => values[at as usize] - self.shift,
        };
        value - self.total
    }

    /// The logarithm of the probability of those tokens of a range that count.
    pub fn mass(&self, sorted: &Sorted, range: &Range<Place>, mask: Option<&Mask>) -> f64 {
        match &self.values {
            Values::Exps(values) => {
                let sum = match self.base {
                    Some(base) => exp::sum(&values[within(range, base)]),
                    None => exp::sum_at(values, sorted.ids_of(range)),
                };
                sum.ln() - self.total
            }
            Values::Single(values) => self.mass_of(&self.run(values, sorted, range, mask)),
            Values::Double(values) => self.mass_of(&self.run(values, sorted, range, mask)),
        }
    }

    fn mass_of<T: Real>(&self, values: &[T]) -> f64 {
        let sum = T::sum_exp(values, self.shift);
        let log = if sum > SMALL { sum.ln() } else { log_sum(values, self.shift) };
        log - self.total
    }

    /// The same of neighbours in the trie, whose tokens are in the range, one after the other.
    pub fn masses(
        &self,
        sorted: &Sorted,
        nodes: Range<Branch>,
        range: &Range<Place>,
        mask: Option<&Mask>,
    ) -> Masses {
        let start = range.start;
        let runs = nodes.map(|node| sorted.trie().run(node));
        let runs = runs.map(|run| (run.start - start) as usize..(run.end - start) as usize);
        match &self.values {
            Values::Exps(values) => {
                let sums = match self.base {
                    Some(base) => {
                        let values = &values[within(range, base)];
                        runs.map(|run| exp::sum(&values[run])).collect()
                    }
                    None => {
                        let ids = sorted.ids_of(range);
                        runs.map(|run| exp::sum_at(values, &ids[run])).collect()
                    }
                };
                Masses::numbers(sums, -self.total)
            }
            Values::Single(values) => self.masses_of(&self.run(values, sorted, range, mask), runs),
            Values::Double(values) => self.masses_of(&self.run(values, sorted, range, mask), runs),
        }
    }

    fn masses_of<T: Real>(
        &self,
        values: &[T],
        runs: impl Iterator<Item = Range<usize>> + Clone,
    ) -> Masses {
        let mut logs = T::sums_exp(values, runs.clone(), self.shift);
        for (sum, run) in logs.iter_mut().zip(runs) {
            let small = *sum <= SMALL;
            *sum = if small { log_sum(&values[run], self.shift) } else { sum.ln() } - self.total;
        }
        Masses::logs(logs)
    }

    /// The values of a range.
    fn run<'a, T: Real>(
        &self,
        values: &'a [T],
        sorted: &Sorted,
        range: &Range<Place>,
        mask: Option<&Mask>,
    ) -> Cow<'a, [T]> {
        match self.base {
            Some(base) => Cow::Borrowed(&values[within(range, base)]),
            None => Cow::Owned(picked(values, sorted, range, mask)),
        }
    }

    /// Starts loading the first values of a range.
    pub fn fetch(&self, range: &Range<Place>) {
        if let (Values::Exps(values), Some(base)) = (&self.values, self.base) {
            let at = within(range, base).start;
            prefetch(values, at);
            prefetch(values, at + 16);
        }
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Exps(values) => size_of_val(&values[..]),
            Values::Single(values) => size_of_val(&values[..]),
            Values::Double(values) => size_of_val(&values[..]),
        }
    }

    /// Whether what does not count has probability 0 by the values themselves.
    pub fn is_masked(&self) -> bool {
        matches!(self.values, Values::Exps(_))
    }

    /// By first byte, if the row is of all places.
    pub fn first(&self) -> Option<&Masses> {
        self.first.as_ref()
    }

    /// Holds nothing by first byte: it is summed again where somebody asks.
    pub fn drop_first(&mut self) {
        self.first = None;
    }

    /// The logarithm of the probability that the text ends.
    pub fn end(&self) -> f64 {
        self.end
    }

    /// The same of a range only, without what does not count; `None` when this row does as well.
    pub fn narrowed(
        &self,
        sorted: &Sorted,
        range: &Range<Place>,
        mask: Option<&Mask>,
    ) -> Option<Row> {
        if self.len() <= SPARSE * range.len() { None } else { self.cut(sorted, range, mask) }
    }

    /// The same, however much of the row the range is, for rows that are held for long; `None` when
    /// this row holds no more.
    pub fn cut(&self, sorted: &Sorted, range: &Range<Place>, mask: Option<&Mask>) -> Option<Row> {
        if self.len() <= range.len() {
            return None;
        }
        let values = match &self.values {
            Values::Exps(values) => {
                Values::Exps(self.run(values, sorted, range, None).into_owned().into())
            }
            Values::Single(values) => {
                Values::Single(self.run(values, sorted, range, mask).into_owned())
            }
            Values::Double(values) => {
                Values::Double(self.run(values, sorted, range, mask).into_owned())
            }
        };
        Some(Row { base: Some(range.start), values, first: None, ..*self })
    }

    fn len(&self) -> usize {
        match &self.values {
            Values::Exps(values) => values.len(),
            Values::Single(values) => values.len(),
            Values::Double(values) => values.len(),
        }
    }
}

/// Where a range lies in values that begin at a place.
fn within(range: &Range<Place>, base: Place) -> Range<usize> {
    match range.is_empty() {
        true => 0..0,
        false => (range.start - base) as usize..(range.end - base) as usize,
    }
}

/// The values of the tokens of a range, in its order; of what does not count there are none.
fn picked<T: Given>(
    row: &[T],
    sorted: &Sorted,
    range: &Range<Place>,
    mask: Option<&Mask>,
) -> Vec<T::Kept> {
    let mut values = T::gather(row, sorted.ids_of(range));
    if let Some(mask) = mask {
        let least = |place| values[(place - range.start) as usize] = T::Kept::LEAST;
        mask.places().each_missing(range, least);
    }
    values
}

/// The logarithm of a sum, relative to a shift.
fn log_sum<T: Real>(values: &[T], shift: f64) -> f64 {
    let (largest, _) = T::top(values);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest - shift + T::sum_exp(values, largest).ln()
}

fn wrong<T: Given>(row: &[T], size: usize) -> Error {
    let place = |is: fn(f64) -> bool| row.iter().position(|value| is(value.to_f64()));
    Error::Data(match (place(f64::is_nan), place(|value| value == f64::INFINITY)) {
        (Some(at), _) => format!("the model's row has NaN at token id {at}"),
        (_, Some(at)) => format!("the model's row has infinity at token id {at}"),
        _ => format!("the model's row gives none of the {size} tokens any probability"),
    })
}
