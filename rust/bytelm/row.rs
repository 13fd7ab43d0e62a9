//! What a model says of the next token, by the bytes of the tokens.
//!
//! A row of logits is gathered into the order of the vocabulary's bytes, where every prefix is a
//! run, and a probability of bytes is a sum over a run, made in `f64` from the terms themselves:
//! differences of cumulative sums would lose the small ones. As the text goes on, only the run of
//! tokens that still fit is kept. Logarithms are kept throughout, and a run whose terms all vanish
//! beside the row's largest is summed again beside its own.

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
    /// The place of the first value.
    base: Place,
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
        let at = |ids: &[TokenId]| -> f64 {
            ids.iter().map(|&id| (row[id as usize].to_f64() - largest).exp()).sum()
        };
        let (ends, others) = (at(&columns.ends), at(&columns.others));
        let whole = wanted.range == sorted.all();
        let gathered = if wanted.local { sorted.all() } else { wanted.range.clone() };
        let ids = &sorted.ids()[gathered.start as usize..gathered.end as usize];
        let mut values = T::gather(row, ids);
        let mut discarded = Vec::new();
        if let Some(mask) = wanted.mask {
            mask.each_missing(&gathered, |place| {
                let value = &mut values[(place - gathered.start) as usize];
                discarded.push(std::mem::replace(value, T::LEAST));
            });
        }
        let mut masses = Box::new([f64::NEG_INFINITY; 256]);
        let mut total = 0.0;
        if whole || wanted.local {
            sorted.each_next(&sorted.all(), 0, |byte, range| {
                let values = &values[range.start as usize..range.end as usize];
                let sum = T::sum_exp(values, largest);
                total += sum;
                masses[usize::from(byte)] = log_of_sum(sum, largest, values);
            });
            total += match (wanted.local, wanted.ends) {
                (false, _) => T::sum_exp(&discarded, largest) + ends + others,
                (true, true) => ends,
                (true, false) => 0.0,
            };
        } else {
            let beyond = columns.ends.partition_point(|&id| (id as usize) < columns.size);
            total = T::sum_exp(known, largest) + at(&columns.ends[beyond..]);
        }
        let total = largest + total.ln();
        if wanted.local && !whole {
            values = values[wanted.range.start as usize..wanted.range.end as usize].to_vec();
        }
        let first = whole.then(|| {
            masses.iter_mut().for_each(|mass| *mass -= total);
            masses
        });
        let end = if wanted.ends { largest + ends.ln() - total } else { f64::NEG_INFINITY };
        Ok(Row { base: wanted.range.start, values: T::keep(values), total, first, end })
    }

    /// The logarithm of the probability of the token at a place.
    pub fn token(&self, place: Place) -> f64 {
        let at = (place - self.base) as usize;
        self.total_of(match &self.values {
            Values::Single(values) => f64::from(values[at]),
            Values::Double(values) => values[at],
        })
    }

    /// The logarithm of the probability of all tokens of a range.
    pub fn mass(&self, range: &Range<Place>) -> f64 {
        let at = (range.start - self.base) as usize..(range.end - self.base) as usize;
        self.total_of(match &self.values {
            Values::Single(values) => log_sum(&values[at]),
            Values::Double(values) => log_sum(&values[at]),
        })
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
    pub fn narrowed(&self, range: &Range<Place>) -> Option<Row> {
        let at = (range.start - self.base) as usize..(range.end - self.base) as usize;
        let sparse = |len: usize| len > SPARSE * at.len();
        let values = match &self.values {
            Values::Single(values) if sparse(values.len()) => Values::Single(values[at].to_vec()),
            Values::Double(values) if sparse(values.len()) => Values::Double(values[at].to_vec()),
            _ => return None,
        };
        Some(Row { base: range.start, values, total: self.total, first: None, end: self.end })
    }

    fn total_of(&self, log: f64) -> f64 {
        log - self.total
    }
}

/// The logarithm of a sum of `exp(value - shift)`, times `exp(shift)`.
fn log_of_sum<T: Real>(sum: f64, shift: f64, values: &[T]) -> f64 {
    if sum > SMALL { shift + sum.ln() } else { log_sum(values) }
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
