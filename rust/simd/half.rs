//! Numbers of 16 bits, as the `f32` that they are.
//!
//! Every number of both formats is one of `f32` too, so nothing is rounded. What is no number is
//! one that does not signal, as the instructions of x86 have it.

use super::Kernel;

/// A number of IEEE 754's binary16.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct F16(u16);

/// A number of bfloat16: the upper half of an `f32`.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Bf16(u16);

/// Numbers that `f32` has.
pub trait Widen: Copy + Send + Sync + 'static {
    /// Minus infinity.
    const LEAST: Self;

    fn widen(self) -> f32;

    /// Sixteen at once.
    fn widen_all<K: Kernel>(kernel: K, values: &[Self; 16]) -> [f32; 16];

    /// Those at these places; panics where there is none.
    #[inline(always)]
    fn gather<K: Kernel>(kernel: K, values: &[Self], places: &[u32; 16]) -> [f32; 16] {
        Self::widen_all(kernel, &places.map(|place| values[place as usize]))
    }
}

impl Widen for f32 {
    const LEAST: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    fn widen_all<K: Kernel>(_: K, values: &[f32; 16]) -> [f32; 16] {
        *values
    }

    #[inline(always)]
    fn gather<K: Kernel>(kernel: K, values: &[f32], places: &[u32; 16]) -> [f32; 16] {
        kernel.gather(values, places)
    }
}

impl F16 {
    /// Numbers of which these are the bits.
    pub fn of(bits: &[u16]) -> &[F16] {
        // SAFETY: an `F16` is a `u16` and nothing else, and every `u16` is one.
        unsafe { &*(std::ptr::from_ref(bits) as *const [F16]) }
    }
}

impl Widen for F16 {
    const LEAST: F16 = F16(0xfc00);

    /// Without a branch, and without a subnormal `f32` on the way: those may be set to be taken for
    /// 0, subnormals of 16 bits never are.
    #[inline(always)]
    fn widen(self) -> f32 {
        let bits = u32::from(self.0);
        let (sign, rest) = ((bits & 0x8000) << 16, bits & 0x7fff);
        let small = (rest as f32 * (1.0 / (1 << 24) as f32)).to_bits();
        let quiet = if rest > 0x7c00 { 0x40_0000 } else { 0 };
        // The exponents of both formats are 112 apart, and the largest is that of what is infinite.
        let exponents = if rest < 0x7c00 { 112 << 23 } else { 224 << 23 };
        let large = ((rest << 13) + exponents) | quiet;
        f32::from_bits(sign | if rest < 0x400 { small } else { large })
    }

    #[inline(always)]
    fn widen_all<K: Kernel>(kernel: K, values: &[F16; 16]) -> [f32; 16] {
        kernel.widen(values)
    }
}

impl Bf16 {
    /// Numbers of which these are the bits.
    pub fn of(bits: &[u16]) -> &[Bf16] {
        // SAFETY: a `Bf16` is a `u16` and nothing else, and every `u16` is one.
        unsafe { &*(std::ptr::from_ref(bits) as *const [Bf16]) }
    }
}

impl Widen for Bf16 {
    const LEAST: Bf16 = Bf16(0xff80);

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    #[inline(always)]
    fn widen_all<K: Kernel>(_: K, values: &[Bf16; 16]) -> [f32; 16] {
        values.map(Bf16::widen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{exp, with_each_kernel};

    fn bits(values: Vec<f32>) -> Vec<u32> {
        values.into_iter().map(f32::to_bits).collect()
    }

    fn all_bits() -> Vec<u16> {
        (0..=u16::MAX).collect()
    }

    /// What IEEE 754 says that bits of binary16 are.
    fn defined(bits: u16) -> f64 {
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
        match (exponent, fraction) {
            (31, 0.0) => sign * f64::INFINITY,
            (31, _) => f64::NAN,
            (0, _) => sign * fraction * 2f64.powi(-24),
            _ => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
        }
    }

    #[test]
    fn every_half_is_the_number_that_its_bits_say() {
        for (&bits, half) in all_bits().iter().zip(F16::of(&all_bits())) {
            let (found, expected) = (f64::from(half.widen()), defined(bits));
            assert!(found.is_nan() == expected.is_nan(), "{bits:#x}");
            let same = found == expected && found.signum() == expected.signum();
            assert!(same || found.is_nan(), "{bits:#x}: {found} is not {expected}");
        }
    }

    #[test]
    fn every_kernel_widens_to_the_same_bits() {
        let all = all_bits();
        let halves: Vec<u32> = F16::of(&all).iter().map(|half| half.widen().to_bits()).collect();
        let brief: Vec<u32> = all.iter().map(|&bits| u32::from(bits) << 16).collect();
        with_each_kernel(|| {
            assert_eq!(bits(exp::widened(F16::of(&all))), halves);
            assert_eq!(bits(exp::widened(Bf16::of(&all))), brief);
        });
    }

    /// What is found in values of 16 bits is what is found in those that they are.
    fn assert_same<T: Widen>(values: &[T]) {
        with_each_kernel(|| assert_same_now(values));
    }

    fn assert_same_now<T: Widen>(values: &[T]) {
        let wide: Vec<f32> = values.iter().map(|value| value.widen()).collect();
        assert_eq!(bits(exp::widened(values)), bits(wide.clone()));
        assert_eq!(exp::maximum(values), exp::maximum(&wide));
        let places: Vec<u32> = (0..values.len() as u32).rev().collect();
        assert_eq!(bits(exp::gather(values, &places)), bits(exp::gather(&wide, &places)));
        let mask: Vec<u64> = (0..values.len().div_ceil(64)).map(|at| 0x9e37_79b9 << at).collect();
        for mask in [&mask[..], &[]] {
            let (mut exps, mut expected) = (vec![7.0], Vec::new());
            let found = exp::survey(values, 3.0, mask, &mut exps);
            let other = exp::survey(&wide, 3.0, mask, &mut expected);
            assert_eq!((found.largest, found.all), (other.largest, other.all));
            assert_eq!((found.faint, found.sum.to_bits()), (other.faint, other.sum.to_bits()));
            assert_eq!(bits(exps), bits(expected));
        }
        let (found, expected) = (exp::sum_exp(values, 3.0), exp::sum_exp(&wide, 3.0));
        assert_eq!(found.to_bits(), expected.to_bits());
    }

    #[test]
    fn sums_of_halves_are_those_of_the_numbers_that_they_are() {
        for len in [0, 1, 15, 16, 17, 64, 65, 1000] {
            // Logits, half of them small, and what is infinite or none where there is room for it.
            let mixed = |at: u32| 0x8000 & at << 14 | (0x2c00 + at * 37 % 0x2000);
            let mut bits: Vec<u16> = (0..len).map(|at| mixed(at) as u16).collect();
            assert_same(F16::of(&bits));
            let brief: Vec<u16> = (0..len).map(|at| (0x3c00 + at * 37 % 0x600) as u16).collect();
            assert_same(Bf16::of(&brief));
            bits.extend([0xfc00, 0xff80, 1, 0x8001, 0x3ff]);
            assert_same(F16::of(&bits));
            assert_same(Bf16::of(&bits));
            bits.insert(bits.len() / 2, 0x7fc1);
            assert_same(F16::of(&bits));
            assert_same(Bf16::of(&bits));
        }
    }
}
