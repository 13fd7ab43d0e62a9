//! Sums of exponentials, in loops that the compiler turns into vectors.
//!
//! `exp` is 2^n times a polynomial on |r| <= ln 2 / 2 (Cody and Waite's reduction, Cephes'
//! coefficients): within 2 units in the last place of `f32`. It uses no fused operations, so every
//! machine gives the same bits. Sums are in `f64`, in eight lanes.

use std::ops::Range;

use super::{Kernel, Task, dispatch};

const LANES: usize = 16;

/// Below this `exp` is smaller than the least normal number; such values count as 0.
pub(super) const LEAST: f32 = -87.3;

/// The largest value, and whether all are numbers.
pub fn maximum(values: &[f32]) -> (f32, bool) {
    dispatch(Maximum(values))
}

/// The values at these places.
pub fn gather(values: &[f32], places: &[u32]) -> Vec<f32> {
    dispatch(Gather { values, places })
}

/// The sum of `exp(value - shift)`, where no value is much larger than the shift.
pub fn sum_exp(values: &[f32], shift: f32) -> f64 {
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
pub fn survey(values: &[f32], shift: f32, bits: &[u64], exps: &mut Vec<f32>) -> Survey {
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

struct Maximum<'a>(&'a [f32]);

impl Task for Maximum<'_> {
    type Output = (f32, bool);

    #[inline(always)]
    fn run<K: Kernel>(self, _: K) -> (f32, bool) {
        let mut best = [f32::NEG_INFINITY; LANES];
        let mut wrong = [0u32; LANES];
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                let value = chunk[lane];
                best[lane] = if value > best[lane] { value } else { best[lane] };
                wrong[lane] |= u32::from(value.is_nan());
            }
        }
        let best = best.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max);
        (best, wrong.iter().all(|&wrong| wrong == 0) && !rest.iter().any(|value| value.is_nan()))
    }
}

struct Gather<'a> {
    values: &'a [f32],
    places: &'a [u32],
}

impl Task for Gather<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Vec<f32> {
        let mut found = Vec::with_capacity(self.places.len());
        let (chunks, rest) = self.places.as_chunks::<LANES>();
        for chunk in chunks {
            found.extend_from_slice(&kernel.gather(self.values, chunk));
        }
        found.extend(rest.iter().map(|&place| self.values[place as usize]));
        found
    }
}

struct SumExp<'a> {
    values: &'a [f32],
    shift: f32,
}

impl Task for SumExp<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> f64 {
        let (values, rest) = self.values.as_chunks::<LANES>();
        let mut lanes = [0f64; LANES];
        for values in values {
            add(&kernel.exp(values, self.shift), &mut lanes);
        }
        if !rest.is_empty() {
            let mut last = [f32::NEG_INFINITY; LANES];
            last[..rest.len()].copy_from_slice(rest);
            add(&kernel.exp(&last, self.shift), &mut lanes);
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
                        None => {
                            let mut last = [f32::NEG_INFINITY; LANES];
                            last[..values.len() - start].copy_from_slice(&values[start..]);
                            kernel.exp(&last, shift)
                        }
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

struct Look<'a> {
    values: &'a [f32],
    shift: f32,
    bits: &'a [u64],
    exps: &'a mut Vec<f32>,
}

impl Task for Look<'_> {
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
        let mut last = [f32::NEG_INFINITY; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for (chunk, values) in chunks.iter().chain([&last]).enumerate() {
            for lane in 0..LANES {
                let value = values[lane];
                best[lane] = if value > best[lane] { value } else { best[lane] };
                wrong[lane] |= u32::from(value.is_nan());
                let small = value - shift <= LEAST && value > f32::NEG_INFINITY;
                faint[lane] |= u32::from(small);
            }
            let found = kernel.exp(values, shift);
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
mod tests {
    use super::*;
    use crate::simd::Portable;

    fn values(count: usize) -> Vec<f32> {
        let mut seed = 1u32;
        let next = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            -(seed as f32) / (1u64 << 32) as f32 * 100.0
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn exp_is_that_of_the_standard_library() {
        for step in 0..1_000_000 {
            let x = -(step as f32) * 8.8e-5;
            let (ours, theirs) = (f64::from(exp(x)), f64::from(x).exp());
            let exact = if x > LEAST { theirs } else { 0.0 };
            assert!((ours - exact).abs() <= 2.4e-7 * exact, "exp({x}) = {ours}, not {exact}");
        }
        for step in 0..100_000 {
            let x = step as f32 * (MOST / 1e5);
            let (ours, theirs) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours - theirs).abs() <= 2.4e-7 * theirs, "exp({x}) = {ours}, not {theirs}");
        }
        assert_eq!([0.0, f32::NEG_INFINITY, -1e30].map(exp), [1.0, 0.0, 0.0]);
    }

    #[test]
    fn every_kernel_gives_the_same_bits() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let values = values(len);
            assert_eq!(sum_exp(&values, 1.5), SumExp { values: &values, shift: 1.5 }.run(Portable));
            assert_eq!(maximum(&values), Maximum(&values).run(Portable));
            let mut exps = vec![7.0];
            let bits: Vec<u64> = (0..len.div_ceil(64)).map(|at| 0x9e37_79b9 << at).collect();
            let is_set = |at: usize| bits[at / 64] >> (at % 64) & 1 == 1;
            for bits in [&bits[..], &[]] {
                let found = survey(&values, -20.0, bits, &mut exps);
                let mut others = Vec::new();
                let look = Look { values: &values, shift: -20.0, bits, exps: &mut others };
                assert_eq!(look.run(Portable), found);
                assert_eq!(exps, others);
                let each = |(at, value): (usize, &f32)| match bits.is_empty() || is_set(at) {
                    true => exp(value + 20.0),
                    false => 0.0,
                };
                let expected: Vec<f32> = values.iter().enumerate().map(each).collect();
                assert_eq!(exps, expected);
                let faint = values.iter().any(|value| value + 20.0 <= LEAST);
                assert_eq!(found.faint, faint);
                assert_eq!((found.largest, found.all), maximum(&values));
                assert_eq!(found.sum, sum_exp(&values, -20.0));
            }
            let runs = [0, 1, 3, 20, 21, 60, 900].windows(2).map(|at| at[0]..at[1].min(len));
            let runs = runs.filter(|run| !run.is_empty());
            let sums = sums_exp(&values, runs.clone(), 1.5);
            let portable = SumsExp { values: &values, runs: runs.clone(), shift: 1.5 };
            assert_eq!(sums, portable.run(Portable));
            for (run, sum_exp) in runs.zip(sums) {
                let expected = super::sum_exp(&values[run.clone()], 1.5);
                assert!((sum_exp - expected).abs() <= 1e-12 * expected);
                let expected: f64 = values[run.clone()].iter().map(|&value| f64::from(value)).sum();
                let plain = sum(&values[run.clone()]);
                assert!((plain - expected).abs() <= 1e-12 * expected.abs());
                assert_eq!(plain, Sum(&values[run]).run(Portable));
            }
            let places: Vec<u32> = (0..len as u32).rev().collect();
            let expected: f64 = values.iter().map(|&value| f64::from(value)).sum();
            assert!((sum_at(&values, &places) - expected).abs() <= 1e-12 * expected.abs());
            assert_eq!(
                SumAt { values: &values, places: &places }.run(Portable),
                sum_at(&values, &places)
            );
            let expected: f64 =
                (0..len).filter(|&at| is_set(at)).map(|at| f64::from(values[at])).sum();
            assert!((sum_where(&values, &bits) - expected).abs() <= 1e-12 * expected.abs());
            let portable = SumWhere { values: &values, bits: &bits }.run(Portable);
            assert_eq!(portable, sum_where(&values, &bits));
        }
    }

    #[test]
    fn gathered_values_are_those_at_the_places() {
        let values = values(1000);
        let mut seed = 7u32;
        let places: Vec<u32> = (0..101)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed % 1000
            })
            .collect();
        let expected: Vec<f32> = places.iter().map(|&place| values[place as usize]).collect();
        assert_eq!(gather(&values, &places), expected);
        assert_eq!(Gather { values: &values, places: &places }.run(Portable), expected);
        for wrong in [1000, i32::MAX.cast_unsigned(), 1 << 31, u32::MAX] {
            for at in [0, 7, 8, 15] {
                let mut places = [0; 16];
                places[at] = wrong;
                let gathered = std::panic::catch_unwind(|| gather(&values, &places));
                assert!(gathered.is_err(), "{wrong} at {at}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_seen_anywhere() {
        for len in [1, 16, 33] {
            for at in 0..len {
                let mut values = values(len);
                assert!(maximum(&values).1);
                values[at] = f32::NAN;
                assert!(!maximum(&values).1);
            }
        }
        assert_eq!(maximum(&[]), (f32::NEG_INFINITY, true));
    }
}
