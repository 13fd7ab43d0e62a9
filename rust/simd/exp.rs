//! Sums of exponentials, in loops that the compiler turns into vectors.
//!
//! `exp` is 2^n times a polynomial on |r| <= ln 2 / 2 (Cody and Waite's reduction, Cephes'
//! coefficients): within 2 units in the last place of `f32`. It uses no fused operations, so every
//! machine gives the same bits. Sums are in `f64`, in sixteen lanes. Values of 16 bits are widened
//! where they are used, so that all is as of the same values in `f32`.

use std::ops::Range;

use super::{Kernel, Task, Widen, dispatch};

const LANES: usize = 16;

/// Below this `exp` is smaller than the least normal number; such values count as 0.
pub(super) const LEAST: f32 = -87.3;

/// The largest value, and whether all are numbers.
pub fn maximum<T: Widen>(values: &[T]) -> (f32, bool) {
    dispatch(Maximum::<T, 1>(values))
}

/// The largest of one in 61 values, or hardly more.
pub fn maximum_of_some<T: Widen>(values: &[T]) -> f32 {
    dispatch(Maximum::<T, 61>(values)).0
}

/// The values at these places.
pub fn gather<T: Widen>(values: &[T], places: &[u32]) -> Vec<f32> {
    dispatch(Gather { values, places })
}

/// The values as `f32`.
pub fn widened<T: Widen>(values: &[T]) -> Vec<f32> {
    dispatch(Widened(values))
}

/// The sum of `exp(value - shift)`, where no value is much larger than the shift.
pub fn sum_exp<T: Widen>(values: &[T], shift: f32) -> f64 {
    dispatch(SumExp { values, shift })
}

/// The same of several runs, one after the other.
pub fn sums_exp(values: &[f32], runs: impl Iterator<Item = Range<usize>>, shift: f32) -> Vec<f64> {
    dispatch(SumsExp { values, runs, shift })
}

/// What one pass over values finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Survey {
    /// The largest value.
    pub largest: f32,
    /// Whether all are numbers.
    pub all: bool,
    /// Whether some exponential is too small for a number, of a value that is not minus infinity.
    pub faint: bool,
    /// The sum of `exp(value - shift)`, when nothing is larger than [`MOST`] above the shift.
    pub sum: f64,
}

/// No sum of `exp(value - shift)` is right where a value is this much above the shift.
pub const MOST: f32 = 60.0;

/// Writes `exp(value - shift)` of each value and looks at them. Where a bit is 0, 0 is written; of
/// values without bits none is.
pub fn survey<T: Widen>(values: &[T], shift: f32, bits: &[u64], exps: &mut Vec<f32>) -> Survey {
    dispatch(Look { values, shift, bits, exps })
}

/// The sum of the values.
pub fn sum(values: &[f32]) -> f64 {
    dispatch(Sum(values))
}

/// The sum of the values at these places.
pub fn sum_at(values: &[f32], places: &[u32]) -> f64 {
    dispatch(SumAt { values, places })
}

/// The sum of the values whose bits are set; bits of values that are not there are 0.
pub fn sum_where(values: &[f32], bits: &[u64]) -> f64 {
    dispatch(SumWhere { values, bits })
}

/// Of one chunk in so many.
struct Maximum<'a, T, const EVERY: usize>(&'a [T]);

impl<T: Widen, const EVERY: usize> Task for Maximum<'_, T, EVERY> {
    type Output = (f32, bool);

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> (f32, bool) {
        let mut best = [f32::NEG_INFINITY; LANES];
        let mut wrong = [0u32; LANES];
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        for chunk in chunks.iter().step_by(EVERY) {
            let chunk = T::widen_all(kernel, chunk);
            for lane in 0..LANES {
                let value = chunk[lane];
                best[lane] = if value > best[lane] { value } else { best[lane] };
                wrong[lane] |= u32::from(value.is_nan());
            }
        }
        let rest = rest.iter().map(|value| value.widen());
        let best = best.into_iter().chain(rest.clone()).fold(f32::NEG_INFINITY, f32::max);
        (best, wrong.iter().all(|&wrong| wrong == 0) && !rest.into_iter().any(f32::is_nan))
    }
}

struct Gather<'a, T> {
    values: &'a [T],
    places: &'a [u32],
}

impl<T: Widen> Task for Gather<'_, T> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Vec<f32> {
        let mut found = Vec::with_capacity(self.places.len());
        let (chunks, rest) = self.places.as_chunks::<LANES>();
        for chunk in chunks {
            found.extend_from_slice(&T::gather(kernel, self.values, chunk));
        }
        found.extend(rest.iter().map(|&place| self.values[place as usize].widen()));
        found
    }
}

struct Widened<'a, T>(&'a [T]);

impl<T: Widen> Task for Widened<'_, T> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Vec<f32> {
        let mut found = Vec::with_capacity(self.0.len());
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        for chunk in chunks {
            found.extend_from_slice(&T::widen_all(kernel, chunk));
        }
        found.extend(rest.iter().map(|value| value.widen()));
        found
    }
}

struct SumExp<'a, T> {
    values: &'a [T],
    shift: f32,
}

impl<T: Widen> Task for SumExp<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> f64 {
        let (values, rest) = self.values.as_chunks::<LANES>();
        let mut lanes = [0f64; LANES];
        for values in values {
            let values = T::widen_all(kernel, values);
            add(&kernel.exp(&values, self.shift), &mut lanes);
        }
        if !rest.is_empty() {
            let values = T::widen_all(kernel, &padded(rest));
            add(&kernel.exp(&values, self.shift), &mut lanes);
        }
        lanes.iter().sum()
    }
}

struct SumsExp<'a, I> {
    values: &'a [f32],
    runs: I,
    shift: f32,
}

impl<I: Iterator<Item = Range<usize>>> Task for SumsExp<'_, I> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Vec<f64> {
        let SumsExp { values, runs, shift } = self;
        let mut sums = Vec::with_capacity(runs.size_hint().0);
        // Exponentials are made a chunk at a time, and a run takes what it has of each.
        let mut found = [0f32; LANES];
        let mut chunk = usize::MAX;
        for run in runs {
            let mut lanes = [0f64; LANES];
            let mut at = run.start;
            while at < run.end {
                if at / LANES != chunk {
                    chunk = at / LANES;
                    let start = chunk * LANES;
                    found = match values[start..].first_chunk::<LANES>() {
                        Some(values) => kernel.exp(values, shift),
                        None => kernel.exp(&padded(&values[start..]), shift),
                    };
                }
                let end = run.end.min((chunk + 1) * LANES);
                let bits = (1u32 << (end - chunk * LANES)).wrapping_sub(1);
                add(&kept(&found, bits & u32::MAX << (at % LANES)), &mut lanes);
                at = end;
            }
            sums.push(lanes.iter().sum());
        }
        sums
    }
}

struct Sum<'a>(&'a [f32]);

impl Task for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<K: Kernel>(self, _: K) -> f64 {
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        let rest = rest.iter().fold(0.0, |sum, &value| sum + f64::from(value));
        if chunks.is_empty() {
            return rest;
        }
        let mut lanes = [0f64; LANES];
        for values in chunks {
            add(values, &mut lanes);
        }
        lanes.iter().sum::<f64>() + rest
    }
}

struct Look<'a, T> {
    values: &'a [T],
    shift: f32,
    bits: &'a [u64],
    exps: &'a mut Vec<f32>,
}

impl<T: Widen> Task for Look<'_, T> {
    type Output = Survey;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Survey {
        let Look { values, shift, bits, exps } = self;
        exps.clear();
        exps.reserve(values.len() + LANES);
        let mut best = [f32::NEG_INFINITY; LANES];
        let (mut wrong, mut faint) = ([0u32; LANES], [0u32; LANES]);
        let mut lanes = [0f64; LANES];
        let (chunks, rest) = values.as_chunks::<LANES>();
        for (chunk, values) in chunks.iter().chain([&padded(rest)]).enumerate() {
            let values = T::widen_all(kernel, values);
            for lane in 0..LANES {
                let value = values[lane];
                best[lane] = if value > best[lane] { value } else { best[lane] };
                wrong[lane] |= u32::from(value.is_nan());
                let small = value - shift <= LEAST && value > f32::NEG_INFINITY;
                faint[lane] |= u32::from(small);
            }
            let found = kernel.exp(&values, shift);
            add(&found, &mut lanes);
            exps.extend_from_slice(&kept(&found, bits_of(bits, chunk, u64::MAX)));
        }
        exps.truncate(values.len());
        Survey {
            largest: best.into_iter().fold(f32::NEG_INFINITY, f32::max),
            all: wrong.iter().all(|&wrong| wrong == 0),
            faint: faint.iter().any(|&faint| faint != 0),
            sum: lanes.iter().sum(),
        }
    }
}

struct SumAt<'a> {
    values: &'a [f32],
    places: &'a [u32],
}

impl Task for SumAt<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> f64 {
        let (places, rest) = self.places.as_chunks::<LANES>();
        let mut lanes = [0f64; LANES];
        for places in places {
            add(&kernel.gather(self.values, places), &mut lanes);
        }
        let rest = rest.iter().map(|&place| f64::from(self.values[place as usize]));
        lanes.iter().sum::<f64>() + rest.sum::<f64>()
    }
}

struct SumWhere<'a> {
    values: &'a [f32],
    bits: &'a [u64],
}

impl Task for SumWhere<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<K: Kernel>(self, _: K) -> f64 {
        let (chunks, rest) = self.values.as_chunks::<LANES>();
        let mut lanes = [0f64; LANES];
        for (chunk, values) in chunks.iter().enumerate() {
            add(&kept(values, bits_of(self.bits, chunk, 0)), &mut lanes);
        }
        let last = bits_of(self.bits, chunks.len(), 0);
        let set = |&(lane, _): &(usize, &f32)| last >> lane & 1 == 1;
        let rest = rest.iter().enumerate().filter(set).map(|(_, &value)| f64::from(value));
        lanes.iter().sum::<f64>() + rest.sum::<f64>()
    }
}

/// Fewer values than a chunk has, and minus infinity for the others.
#[inline(always)]
fn padded<T: Widen>(values: &[T]) -> [T; LANES] {
    let mut chunk = [T::LEAST; LANES];
    chunk[..values.len()].copy_from_slice(values);
    chunk
}

/// The bits of a chunk of values; `absent` where there are none.
#[inline(always)]
fn bits_of(bits: &[u64], chunk: usize, absent: u64) -> u32 {
    (bits.get(chunk / 4).copied().unwrap_or(absent) >> (LANES * (chunk % 4))) as u32
}

/// The values whose bits are set, and 0 for the others.
#[inline(always)]
fn kept(values: &[f32; LANES], bits: u32) -> [f32; LANES] {
    let mask = |lane: usize| 0u32.wrapping_sub(bits >> lane & 1);
    std::array::from_fn(|lane| f32::from_bits(values[lane].to_bits() & mask(lane)))
}

/// Adds a value to each lane.
#[inline(always)]
fn add(values: &[f32; LANES], lanes: &mut [f64; LANES]) {
    for lane in 0..LANES {
        lanes[lane] += f64::from(values[lane]);
    }
}

/// Adding this rounds to a whole number, which is then in the low bits.
pub(super) const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; few bits of the first are set, so that a whole number times it is exact.
pub(super) const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Coefficients of r^7 down to r^2.
pub(super) const POLYNOMIAL: [f32; 6] =
    [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// `exp` of a number that is not above [`MOST`].
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let kept = if x > LEAST { x } else { LEAST };
    let rounded = kept * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = kept - n * LN2[0] - n * LN2[1];
    let p = POLYNOMIAL[1..].iter().fold(POLYNOMIAL[0], |p, c| p * r + c);
    let p = p * r * r + r + 1.0;
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x > LEAST { p * scale } else { 0.0 }
}

#[cfg(test)]
mod tests;
