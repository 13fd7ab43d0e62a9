//! What a model says of the next token, by the bytes of the tokens.
//!
//! The tokens that begin alike are a run in the order of the vocabulary's bytes, and a probability
//! of bytes is a sum over a run, made in `f64` from the terms themselves: differences of cumulative
//! sums would lose the small ones. As the text goes on, only the run of tokens that still fit is
//! kept. Logarithms are kept throughout, and a run whose terms all vanish beside the row's largest
//! is summed again beside its own.

use std::borrow::Cow;
use std::ops::Range;

use super::bits::Bits;
use super::sorted::{Place, Sorted};
use crate::simd::exp;
use crate::token::TokenId;
use crate::{Error, Result};

/// A sum below this, of terms whose largest may be 1, is made again from larger terms.
const SMALL: f64 = 1e-20;

/// A run is copied when the rest of what it lies in is this many times as large.
const SPARSE: usize = 4;

/// Numbers that models give.
pub trait Real: Copy + Send + Sync + 'static {
    /// Minus infinity.
    const LEAST: Self;
    fn to_f64(self) -> f64;
    /// The values at these places.
    fn gather(values: &[Self], places: &[u32]) -> Vec<Self>;
    /// The sum of `exp(value - shift)` of the values at these places.
    fn sum_exp_at(values: &[Self], places: &[u32], shift: f64) -> f64;
    /// Values that are kept.
    fn keep(values: Vec<Self>) -> Values;
    /// The largest value, and whether all are numbers.
    fn maximum(values: &[Self]) -> (f64, bool);
    /// The sum of `exp(value - shift)`.
    fn sum_exp(values: &[Self], shift: f64) -> f64;
}

impl Real for f32 {
    const LEAST: f32 = f32::NEG_INFINITY;

    fn gather(values: &[f32], places: &[u32]) -> Vec<f32> {
        exp::gather(values, places)
    }

    fn sum_exp_at(values: &[f32], places: &[u32], shift: f64) -> f64 {
        exp::sum_exp_at(values, places, shift as f32)
    }

    fn keep(values: Vec<f32>) -> Values {
        Values::Single(values)
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn maximum(values: &[f32]) -> (f64, bool) {
        let (largest, all) = exp::maximum(values);
        (f64::from(largest), all)
    }

    fn sum_exp(values: &[f32], shift: f64) -> f64 {
        exp::sum_exp(values, shift as f32)
    }
}

impl Real for f64 {
    const LEAST: f64 = f64::NEG_INFINITY;

    fn gather(values: &[f64], places: &[u32]) -> Vec<f64> {
        places.iter().map(|&place| values[place as usize]).collect()
    }

    fn sum_exp_at(values: &[f64], places: &[u32], shift: f64) -> f64 {
        places.iter().map(|&place| (values[place as usize] - shift).exp()).sum()
    }

    fn keep(values: Vec<f64>) -> Values {
        Values::Double(values)
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn maximum(values: &[f64]) -> (f64, bool) {
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (largest, !values.iter().any(|value| value.is_nan()))
    }

    fn sum_exp(values: &[f64], shift: f64) -> f64 {
        values.iter().map(|value| (value - shift).exp()).sum()
    }
}

/// The columns of a row.
#[derive(Debug)]
pub(super) struct Columns {
    /// Ids below this are tokens.
    pub size: usize,
    /// Ids of the end of the text, ascending.
    pub ends: Vec<TokenId>,
    /// Ids that are neither text nor the end of it.
    pub others: Vec<TokenId>,
}

/// The logits of the tokens that still fit, and what they are relative to.
#[derive(Debug)]
pub(super) struct Row {
    /// The place of the first value; by id, when there is none.
    base: Option<Place>,
    values: Values,
    /// The logarithm of the sum over all outcomes.
    total: f64,
    /// By first byte, for a row of all places.
    first: Option<Box<[f64; 256]>>,
    /// The logarithm of the probability that the text ends.
    end: f64,
}

/// Logits as they were given.
#[derive(Debug)]
pub enum Values {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

/// Which tokens a row is about, and which of them count.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub range: Range<Place>,
    /// The tokens that count; all, when there is none.
    pub mask: Option<&'a Bits>,
    /// Whether only what counts is an outcome.
    pub local: bool,
    /// Whether the text may end.
    pub ends: bool,
}

impl Row {
    /// Reads a row of logits or of their logarithms.
    ///
    /// # Errors
    /// [`Error::Data`] when a value is no number, or nothing has any probability.
    pub fn new<T: Real>(
        sorted: &Sorted,
        columns: &Columns,
        row: &[T],
        wanted: &Wanted<'_>,
    ) -> Result<Row> {
        let known = &row[..columns.size];
        let (mut largest, mut all) = T::maximum(known);
        for &id in columns.ends.iter().filter(|&&id| id as usize >= columns.size) {
            let value = row[id as usize].to_f64();
            (largest, all) = (largest.max(value), all && !value.is_nan());
        }
        if !all || !largest.is_finite() {
            return Err(wrong(row, columns.size));
        }
        let at = |ids: &[TokenId], largest: f64| -> f64 {
            ids.iter().map(|&id| (row[id as usize].to_f64() - largest).exp()).sum()
        };
        let end_of = |total: f64| match wanted.ends {
            true => largest + at(&columns.ends, largest).ln() - total,
            false => f64::NEG_INFINITY,
        };
        let Wanted { range, mask, local, .. } = wanted;
        if *range != sorted.all() && !local {
            let beyond = columns.ends.partition_point(|&id| (id as usize) < columns.size);
            let sum = T::sum_exp(known, largest) + at(&columns.ends[beyond..], largest);
            let total = largest + sum.ln();
            let mut values =
                T::gather(row, &sorted.ids()[range.start as usize..range.end as usize]);
            if let Some(mask) = mask {
                mask.each_missing(range, |place| values[(place - range.start) as usize] = T::LEAST);
            }
            let (base, values) = (Some(range.start), T::keep(values));
            return Ok(Row { base, values, total, first: None, end: end_of(total) });
        }
        let mut values = known.to_vec();
        let mut discarded = Vec::new();
        if let Some(mask) = mask {
            mask.each_missing(&sorted.all(), |place| {
                let value = &mut values[sorted.id(place) as usize];
                discarded.push(std::mem::replace(value, T::LEAST));
            });
        }
        if *local {
            // Beside what is discarded, all that counts may vanish.
            let ends = columns.ends.iter().filter(|_| wanted.ends);
            let ends = ends.map(|&id| row[id as usize].to_f64());
            largest = ends.fold(T::maximum(&values).0, f64::max);
        }
        let nothing = largest == f64::NEG_INFINITY;
        let largest = if nothing { 0.0 } else { largest };
        let mut first = Box::new([f64::NEG_INFINITY; 256]);
        let mut sum = 0.0;
        for byte in 0..=255 {
            let ids = sorted.group(byte);
            let mass = T::sum_exp_at(&values, ids, largest);
            sum += mass;
            first[usize::from(byte)] = match mass > SMALL {
                true => largest + mass.ln(),
                false => log_sum(&T::gather(&values, ids)),
            };
        }
        sum += match (local, wanted.ends) {
            (false, _) => {
                let others = at(&columns.ends, largest) + at(&columns.others, largest);
                T::sum_exp(&discarded, largest) + others
            }
            (true, true) => at(&columns.ends, largest),
            (true, false) => 0.0,
        };
        let total = if nothing { 0.0 } else { largest + sum.ln() };
        first.iter_mut().for_each(|mass| *mass -= total);
        let values = T::keep(values);
        let end = match wanted.ends {
            true => largest + at(&columns.ends, largest).ln() - total,
            false => f64::NEG_INFINITY,
        };
        let row = Row { base: None, values, total, first: Some(first), end };
        Ok(if *range == sorted.all() { row } else { row.narrowed(sorted, range).unwrap_or(row) })
    }

    /// The logarithm of the probability of the token at a place.
    pub fn token(&self, sorted: &Sorted, place: Place) -> f64 {
        let at = match self.base {
            Some(base) => place - base,
            None => sorted.id(place),
        };
        let value = match &self.values {
            Values::Single(values) => f64::from(values[at as usize]),
            Values::Double(values) => values[at as usize],
        };
        value - self.total
    }

    /// The logarithm of the probability of all tokens of a range.
    pub fn mass(&self, sorted: &Sorted, range: &Range<Place>) -> f64 {
        let sum = match &self.values {
            Values::Single(values) => log_sum(&self.run(values, sorted, range)),
            Values::Double(values) => log_sum(&self.run(values, sorted, range)),
        };
        sum - self.total
    }

    /// The values of a range.
    fn run<'a, T: Real>(
        &self,
        values: &'a [T],
        sorted: &Sorted,
        range: &Range<Place>,
    ) -> Cow<'a, [T]> {
        let places = range.start as usize..range.end as usize;
        match self.base {
            Some(base) => {
                let base = base as usize;
                Cow::Borrowed(&values[places.start - base..places.end - base])
            }
            None => Cow::Owned(T::gather(values, &sorted.ids()[places])),
        }
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Single(values) => size_of_val(&values[..]),
            Values::Double(values) => size_of_val(&values[..]),
        }
    }

    /// By first byte, if the row is of all places.
    pub fn first(&self) -> Option<&[f64; 256]> {
        self.first.as_deref()
    }

    /// The logarithm of the probability that the text ends.
    pub fn end(&self) -> f64 {
        self.end
    }

    /// The same of a range only; `None` when this row does as well.
    pub fn narrowed(&self, sorted: &Sorted, range: &Range<Place>) -> Option<Row> {
        let serves = |len: usize| self.base.is_some() && len <= SPARSE * range.len();
        let values = match &self.values {
            Values::Single(values) if !serves(values.len()) => {
                Values::Single(self.run(values, sorted, range).into_owned())
            }
            Values::Double(values) if !serves(values.len()) => {
                Values::Double(self.run(values, sorted, range).into_owned())
            }
            _ => return None,
        };
        let (total, end) = (self.total, self.end);
        Some(Row { base: Some(range.start), values, total, first: None, end })
    }
}

fn log_sum<T: Real>(values: &[T]) -> f64 {
    let (largest, _) = T::maximum(values);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + T::sum_exp(values, largest).ln()
}

fn wrong<T: Real>(row: &[T], size: usize) -> Error {
    let place = |is: fn(f64) -> bool| row.iter().position(|value| is(value.to_f64()));
    Error::Data(match (place(f64::is_nan), place(|value| value == f64::INFINITY)) {
        (Some(at), _) => format!("the model's row has NaN at token id {at}"),
        (_, Some(at)) => format!("the model's row has infinity at token id {at}"),
        _ => format!("the model's row gives none of the {size} tokens any probability"),
    })
}
