//! Sums of exponentials, in loops that the compiler turns into vectors.
//!
//! `exp` is 2^n times a polynomial on |r| <= ln 2 / 2 (Cody and Waite's reduction, Cephes'
//! coefficients): within 2 units in the last place of `f32`. It uses no fused operations, so every
//! machine gives the same bits. Sums are in `f64`, in eight lanes.

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

/// The sum of `exp(value - shift)`, where no value is larger than the shift.
pub fn sum_exp(values: &[f32], shift: f32) -> f64 {
    dispatch(SumExp { values, shift })
}

/// The same of the values at these places.
pub fn sum_exp_at(values: &[f32], places: &[u32], shift: f32) -> f64 {
    dispatch(SumExpAt { values, places, shift })
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

struct SumExpAt<'a> {
    values: &'a [f32],
    places: &'a [u32],
    shift: f32,
}

impl Task for SumExpAt<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> f64 {
        let (places, rest) = self.places.as_chunks::<LANES>();
        let mut lanes = [0f64; LANES];
        for places in places {
            let values = kernel.gather(self.values, places);
            add(&kernel.exp(&values, self.shift), &mut lanes);
        }
        if !rest.is_empty() {
            let mut last = [f32::NEG_INFINITY; LANES];
            for (value, &place) in last.iter_mut().zip(rest) {
                *value = self.values[place as usize];
            }
            add(&kernel.exp(&last, self.shift), &mut lanes);
        }
        lanes.iter().sum()
    }
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

/// `exp` of a number that is not above 0.
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
        assert_eq!([0.0, f32::NEG_INFINITY, -1e30].map(exp), [1.0, 0.0, 0.0]);
    }

    #[test]
    fn every_kernel_gives_the_same_bits() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let values = values(len);
            assert_eq!(sum_exp(&values, 1.5), SumExp { values: &values, shift: 1.5 }.run(Portable));
            assert_eq!(maximum(&values), Maximum(&values).run(Portable));
            let places: Vec<u32> = (0..len as u32).rev().collect();
            let reversed: Vec<f32> = values.iter().rev().copied().collect();
            let at = SumExpAt { values: &values, places: &places, shift: 1.5 };
            assert_eq!(sum_exp_at(&values, &places, 1.5), sum_exp(&reversed, 1.5));
            assert_eq!(at.run(Portable), sum_exp(&reversed, 1.5));
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
