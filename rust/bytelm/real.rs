//! The numbers that models give: what is summed over them, by type. Those of 16 bits are read as the
//! `f32` that they are, a few at a time where they lie, and what is kept of them is `f32`.

use std::ops::{DerefMut, Range};
use std::sync::Arc;

use super::sorted::Group;
use super::spare::{Lent, Spare};
use crate::simd::{Widen, exp};

/// What is kept of logits.
#[derive(Debug)]
pub enum Values {
    /// Exponentials relative to the row's shift; 0 for what does not count.
    Exps(Lent),
    /// The logits themselves.
    Single(Vec<f32>),
    Double(Vec<f64>),
}

/// Numbers that models give.
pub trait Given: Copy + Send + Sync + 'static {
    /// As what they are kept.
    type Kept: Real;
    fn to_f64(self) -> f64;
    /// The values at these places.
    fn gather(values: &[Self], places: &[u32]) -> Vec<Self::Kept>;
    /// What is kept of all values of a row, and of their exponentials.
    fn keep_all(values: &[Self], exps: <Self::Kept as Real>::List, faint: bool) -> Values;
    /// The largest value, and whether all are numbers.
    fn top(values: &[Self]) -> (f64, bool);
    /// The sum of `exp(value - shift)`, where nothing is larger than the shift.
    fn sum_exp(values: &[Self], shift: f64) -> f64;
    /// Writes `exp(value - shift)` of each value whose bit is set, with a shift that is at least
    /// `least` and hardly below the largest value.
    fn survey(values: &[Self], least: f64, bits: &[u64], exps: &mut Vec<Self::Kept>) -> Survey;
}

/// Numbers that are kept.
pub trait Real: Given<Kept = Self> {
    /// A list of the length of a row.
    type List: DerefMut<Target = Vec<Self>>;
    /// Minus infinity.
    const LEAST: Self;
    /// Values that are kept.
    fn keep(values: Vec<Self>) -> Values;
    /// An empty list.
    fn list(spare: &Arc<Spare>) -> Self::List;
    /// The sums of `exp(value - shift)` of several runs that follow each other, where nothing is
    /// larger than the shift.
    fn sums_exp(values: &[Self], runs: impl Iterator<Item = Range<usize>>, shift: f64) -> Vec<f64>;
    /// The sum of the values of a group.
    fn sum(values: &[Self], group: Group<'_>) -> f64;
}

/// What one look at a row finds.
pub struct Survey {
    /// What the exponentials are relative to.
    pub shift: f64,
    pub largest: f64,
    /// Whether all are numbers.
    pub all: bool,
    /// Whether some exponentials are too small to say what the values do.
    pub faint: bool,
    /// The sum of the exponentials.
    pub sum: f64,
}

impl<T: Widen> Given for T {
    type Kept = f32;

    fn to_f64(self) -> f64 {
        f64::from(self.widen())
    }

    fn gather(values: &[T], places: &[u32]) -> Vec<f32> {
        exp::gather(values, places)
    }

    fn keep_all(values: &[T], exps: Lent, faint: bool) -> Values {
        match faint {
            true => Values::Single(exp::widened(values)),
            false => Values::Exps(exps),
        }
    }

    fn top(values: &[T]) -> (f64, bool) {
        let (largest, all) = exp::maximum(values);
        (f64::from(largest), all)
    }

    fn sum_exp(values: &[T], shift: f64) -> f64 {
        exp::sum_exp(values, shift as f32)
    }

    fn survey(values: &[T], least: f64, bits: &[u64], exps: &mut Vec<f32>) -> Survey {
        let sampled = exp::maximum_of_some(values).max(least as f32);
        // A shift that is wrong is found out, and the largest value is one.
        let mut shift = if sampled.is_finite() { sampled } else { 0.0 };
        let mut found = exp::survey(values, shift, bits, exps);
        let far = found.largest > shift + exp::MOST || found.largest < shift - exp::MOST;
        let better = found.largest.max(least as f32);
        if found.all && far && found.largest.is_finite() && better != shift {
            shift = better;
            found = exp::survey(values, shift, bits, exps);
        }
        let (largest, shift) = (f64::from(found.largest), f64::from(shift));
        Survey { shift, largest, all: found.all, faint: found.faint, sum: found.sum }
    }
}

impl Real for f32 {
    type List = Lent;
    const LEAST: f32 = f32::NEG_INFINITY;

    fn keep(values: Vec<f32>) -> Values {
        Values::Single(values)
    }

    fn list(spare: &Arc<Spare>) -> Lent {
        spare.lend()
    }

    fn sums_exp(values: &[f32], runs: impl Iterator<Item = Range<usize>>, shift: f64) -> Vec<f64> {
        exp::sums_exp(values, runs, shift as f32)
    }

    fn sum(values: &[f32], group: Group<'_>) -> f64 {
        match group {
            Group::Ids(ids) => exp::sum_at(values, ids),
            Group::Bits(bits) => exp::sum_where(values, bits),
        }
    }
}

impl Given for f64 {
    type Kept = f64;

    fn to_f64(self) -> f64 {
        self
    }

    fn gather(values: &[f64], places: &[u32]) -> Vec<f64> {
        places.iter().map(|&place| values[place as usize]).collect()
    }

    fn keep_all(values: &[f64], _: Box<Vec<f64>>, _: bool) -> Values {
        Values::Double(values.to_vec())
    }

    fn top(values: &[f64]) -> (f64, bool) {
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (largest, !values.iter().any(|value| value.is_nan()))
    }

    fn sum_exp(values: &[f64], shift: f64) -> f64 {
        values.iter().map(|value| (value - shift).exp()).sum()
    }

    fn survey(values: &[f64], least: f64, bits: &[u64], exps: &mut Vec<f64>) -> Survey {
        let (largest, all) = <f64 as Given>::top(values);
        let shift = largest.max(least);
        exps.clear();
        exps.extend(values.iter().map(|value| (value - shift).exp()));
        let sum = exps.iter().sum();
        for (exps, word) in exps.chunks_mut(64).zip(bits) {
            let unset = exps.iter_mut().enumerate().filter(|(at, _)| word >> at & 1 == 0);
            unset.for_each(|(_, exp)| *exp = 0.0);
        }
        Survey { shift, largest, all, faint: true, sum }
    }
}

impl Real for f64 {
    type List = Box<Vec<f64>>;
    const LEAST: f64 = f64::NEG_INFINITY;

    fn keep(values: Vec<f64>) -> Values {
        Values::Double(values)
    }

    fn list(_: &Arc<Spare>) -> Box<Vec<f64>> {
        Box::default()
    }

    fn sums_exp(values: &[f64], runs: impl Iterator<Item = Range<usize>>, shift: f64) -> Vec<f64> {
        runs.map(|run| f64::sum_exp(&values[run], shift)).collect()
    }

    fn sum(values: &[f64], group: Group<'_>) -> f64 {
        match group {
            Group::Ids(ids) => ids.iter().map(|&id| values[id as usize]).sum(),
            Group::Bits(bits) => {
                let is_set = |at: usize| bits[at / 64] >> (at % 64) & 1 == 1;
                (0..values.len()).filter(|&at| is_set(at)).map(|at| values[at]).sum()
            }
        }
    }
}
