//! The kernel with AVX2 and F16C, and with AVX-512BW.
//!
//! Splitting alone with the cl100k pattern on one core of a Xeon with AVX-512, MB/s by
//! `bench/split.rs`, portable / AVX2 / AVX-512BW: English 750 / 1594 / 1771, code 708 / 1556 /
//! 1656, 48 languages 330 / 761 / 1003.

use std::arch::x86_64::*;
use std::sync::OnceLock;

use super::{Block, F16, Kernel, Portable, Task, exp};

/// Proof that the processor has AVX-512BW and the bit instructions; made by `level` only.
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

/// Proof that the processor has AVX2, F16C and the bit instructions; made by `level` only.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

#[derive(Debug, Clone, Copy)]
enum Level {
    Avx512(Avx512),
    Avx2(Avx2),
    Portable,
}

/// What the processor has, asked once.
fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = tests::CHOSEN.get() {
        return level;
    }
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let bits = has_bit_instructions();
        if bits && is_x86_feature_detected!("avx512bw") {
            Level::Avx512(Avx512(()))
        } else if bits && has_avx2() {
            Level::Avx2(Avx2(()))
        } else {
            Level::Portable
        }
    })
}

fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c")
}

fn has_bit_instructions() -> bool {
    is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

#[inline]
pub fn dispatch<T: Task>(task: T) -> T::Output {
    match level() {
        // SAFETY: the token exists, so `level` has found every feature that the function enables.
        Level::Avx512(token) => unsafe { with_avx512(task, token) },
        // SAFETY: as above.
        Level::Avx2(token) => unsafe { with_avx2(task, token) },
        Level::Portable => task.run(Portable),
    }
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx512<T: Task>(task: T, token: Avx512) -> T::Output {
    task.run(token)
}

#[target_feature(enable = "avx2,f16c,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx2<T: Task>(task: T, token: Avx2) -> T::Output {
    task.run(token)
}

impl Kernel for Avx512 {
    const QUICK: bool = true;

    #[inline(always)]
    fn between(self, block: &Block, low: u8, high: u8) -> u64 {
        // SAFETY: the token proves AVX-512BW; the load reads the 64 bytes of `block`.
        unsafe {
            let bytes = _mm512_loadu_si512(block.as_ptr().cast());
            if low == high {
                return _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(low.cast_signed()));
            }
            let offset = _mm512_sub_epi8(bytes, _mm512_set1_epi8(low.cast_signed()));
            _mm512_cmple_epu8_mask(offset, _mm512_set1_epi8((high - low).cast_signed()))
        }
    }

    #[inline(always)]
    fn high(self, block: &Block) -> u64 {
        // SAFETY: as in `between`.
        unsafe { _mm512_movepi8_mask(_mm512_loadu_si512(block.as_ptr().cast())) }
    }

    #[inline(always)]
    fn bits(self, block: &Block) -> [u64; 8] {
        // SAFETY: as in `between`.
        std::array::from_fn(|bit| unsafe {
            let bytes = _mm512_loadu_si512(block.as_ptr().cast());
            _mm512_test_epi8_mask(bytes, _mm512_set1_epi8((1u8 << bit).cast_signed()))
        })
    }

    #[inline(always)]
    fn gather(self, values: &[f32], places: &[u32; 16]) -> [f32; 16] {
        let len = i32::try_from(values.len()).unwrap_or(i32::MAX);
        // SAFETY: the token proves AVX-512BW, which AVX-512F comes with. The loads and the store are
        // of 64 bytes that are there; the gather reads `values` only where every place was found to
        // be less than its length and than 2^31, so that no place is negative to it.
        unsafe {
            let at = _mm512_loadu_si512(places.as_ptr().cast());
            if _mm512_cmplt_epu32_mask(at, _mm512_set1_epi32(len)) != u16::MAX {
                return Portable.gather(values, places);
            }
            let mut found = [0.0; 16];
            let gathered = _mm512_i32gather_ps::<4>(at, values.as_ptr());
            _mm512_storeu_ps(found.as_mut_ptr(), gathered);
            found
        }
    }

    #[inline(always)]
    fn widen(self, values: &[F16; 16]) -> [f32; 16] {
        // SAFETY: the token proves AVX-512BW, which AVX-512F comes with; the load is of the 32 bytes
        // of 16 values, the store of 64 that are there.
        unsafe {
            let mut found = [0.0; 16];
            let wide = _mm512_cvtph_ps(_mm256_loadu_si256(values.as_ptr().cast()));
            _mm512_storeu_ps(found.as_mut_ptr(), wide);
            found
        }
    }

    #[inline(always)]
    fn exp(self, values: &[f32; 16], shift: f32) -> [f32; 16] {
        // SAFETY: the token proves AVX-512BW, which AVX-512F comes with; the load and the store are
        // of the 64 bytes of 16 values.
        unsafe {
            let all = |value: f32| _mm512_set1_ps(value);
            let x = _mm512_sub_ps(_mm512_loadu_ps(values.as_ptr()), all(shift));
            let kept = _mm512_max_ps(x, all(exp::LEAST));
            let scaled = _mm512_mul_ps(kept, all(std::f32::consts::LOG2_E));
            let rounded = _mm512_add_ps(scaled, all(exp::ROUND));
            let n = _mm512_sub_ps(rounded, all(exp::ROUND));
            let r = _mm512_sub_ps(kept, _mm512_mul_ps(n, all(exp::LN2[0])));
            let r = _mm512_sub_ps(r, _mm512_mul_ps(n, all(exp::LN2[1])));
            let mut p = all(exp::POLYNOMIAL[0]);
            for coefficient in &exp::POLYNOMIAL[1..] {
                p = _mm512_add_ps(_mm512_mul_ps(p, r), all(*coefficient));
            }
            let p = _mm512_add_ps(_mm512_mul_ps(_mm512_mul_ps(p, r), r), r);
            let p = _mm512_add_ps(p, all(1.0));
            let scale = _mm512_slli_epi32::<23>(_mm512_castps_si512(rounded));
            let scale = _mm512_add_epi32(scale, _mm512_set1_epi32(127 << 23));
            let counts = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, all(exp::LEAST));
            let found = _mm512_maskz_mul_ps(counts, p, _mm512_castsi512_ps(scale));
            let mut out = [0.0; 16];
            _mm512_storeu_ps(out.as_mut_ptr(), found);
            out
        }
    }

    #[inline(always)]
    fn matches(self, words: &[u64; 8], mask: u64, value: u64) -> u32 {
        // SAFETY: the token proves AVX-512BW, which AVX-512F comes with; the load reads the 64 bytes
        // of `words`.
        unsafe {
            let words = _mm512_loadu_si512(words.as_ptr().cast());
            let masked = _mm512_and_si512(words, _mm512_set1_epi64(mask.cast_signed()));
            let value = _mm512_set1_epi64(value.cast_signed());
            u32::from(_mm512_cmpeq_epi64_mask(masked, value))
        }
    }
}

impl Kernel for Avx2 {
    const QUICK: bool = true;

    #[inline(always)]
    fn between(self, block: &Block, low: u8, high: u8) -> u64 {
        // SAFETY: the token proves AVX2, which is all that `halves` and the closure use.
        unsafe {
            halves(block, |bytes| {
                let low = _mm256_set1_epi8(low.cast_signed());
                let high = _mm256_set1_epi8(high.cast_signed());
                let clamped = _mm256_min_epu8(_mm256_max_epu8(bytes, low), high);
                _mm256_cmpeq_epi8(clamped, bytes)
            })
        }
    }

    #[inline(always)]
    fn high(self, block: &Block) -> u64 {
        // SAFETY: as in `between`.
        unsafe { halves(block, |bytes| bytes) }
    }

    #[inline(always)]
    fn bits(self, block: &Block) -> [u64; 8] {
        // SAFETY: as in `between`; a shift of 16-bit lanes by at most 7 brings no bit of another
        // byte to an eighth bit.
        std::array::from_fn(|bit| unsafe {
            let shift = _mm_cvtsi32_si128(7 - bit as i32);
            halves(block, |bytes| _mm256_sll_epi16(bytes, shift))
        })
    }

    #[inline(always)]
    fn gather(self, values: &[f32], places: &[u32; 16]) -> [f32; 16] {
        let Some(last) = values.len().checked_sub(1) else {
            return Portable.gather(values, places);
        };
        let last = i32::try_from(last).unwrap_or(i32::MAX);
        let mut found = [0.0; 16];
        for half in [0, 8] {
            // SAFETY: the token proves AVX2. The load and the store are of the 32 bytes from `half`
            // on, which is 0 or 8 of 16; the gather reads `values` only where every place was found
            // to be at most that of the last value and less than 2^31.
            unsafe {
                let at = _mm256_loadu_si256(places.as_ptr().add(half).cast());
                let within = _mm256_min_epu32(at, _mm256_set1_epi32(last));
                if _mm256_movemask_epi8(_mm256_cmpeq_epi32(within, at)) != -1 {
                    return Portable.gather(values, places);
                }
                let gathered = _mm256_i32gather_ps::<4>(values.as_ptr(), at);
                _mm256_storeu_ps(found.as_mut_ptr().add(half), gathered);
            }
        }
        found
    }

    #[inline(always)]
    fn widen(self, values: &[F16; 16]) -> [f32; 16] {
        let mut found = [0.0; 16];
        for half in [0, 8] {
            // SAFETY: the token proves F16C. The load is of 16 bytes and the store of 32, from `half`
            // on, which is 0 or 8 of 16 values.
            unsafe {
                let narrow = _mm_loadu_si128(values.as_ptr().add(half).cast());
                _mm256_storeu_ps(found.as_mut_ptr().add(half), _mm256_cvtph_ps(narrow));
            }
        }
        found
    }

    #[inline(always)]
    fn matches(self, words: &[u64; 8], mask: u64, value: u64) -> u32 {
        // SAFETY: the token proves AVX2; each load reads 32 of the 64 bytes of `words`.
        unsafe {
            let mask = _mm256_set1_epi64x(mask.cast_signed());
            let value = _mm256_set1_epi64x(value.cast_signed());
            let four = |words: *const u64| {
                let masked = _mm256_and_si256(_mm256_loadu_si256(words.cast()), mask);
                let same = _mm256_castsi256_pd(_mm256_cmpeq_epi64(masked, value));
                _mm256_movemask_pd(same).cast_unsigned()
            };
            four(words.as_ptr()) | four(words.as_ptr().add(4)) << 4
        }
    }
}

/// The eighth bits of both halves of a block, after a change.
///
/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn halves(block: &Block, change: impl Fn(__m256i) -> __m256i) -> u64 {
    // SAFETY: the caller vouches for AVX2; the loads read the 64 bytes of `block`.
    unsafe {
        let low = change(_mm256_loadu_si256(block.as_ptr().cast()));
        let high = change(_mm256_loadu_si256(block.as_ptr().add(32).cast()));
        let low = u64::from(_mm256_movemask_epi8(low).cast_unsigned());
        low | u64::from(_mm256_movemask_epi8(high).cast_unsigned()) << 32
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// The kernel that this thread's tasks run with, where a test says so.
        pub(super) static CHOSEN: Cell<Option<Level>> = const { Cell::new(None) };
    }

    /// Does the same with each kernel that the processor has.
    pub fn with_each_kernel(work: impl Fn()) {
        let bits = has_bit_instructions();
        let levels = [
            Some(Level::Portable),
            (bits && has_avx2()).then_some(Level::Avx2(Avx2(()))),
            (bits && is_x86_feature_detected!("avx512bw")).then_some(Level::Avx512(Avx512(()))),
        ];
        for level in levels.into_iter().flatten() {
            CHOSEN.set(Some(level));
            work();
        }
        CHOSEN.set(None);
    }

    /// Every answer of a kernel about a block, and about words made of it.
    struct Answers<'a>(&'a Block);

    impl Task for Answers<'_> {
        type Output = Vec<u64>;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Vec<u64> {
            let ranges = [
                (0, 0),
                (9, 13),
                (b'0', b'9'),
                (b'a', b'z'),
                (0x21, 0x7E),
                (0, 0x7F),
                (0x80, 0xBF),
                (0xF0, 0xFF),
            ];
            let mut answers: Vec<u64> =
                ranges.iter().map(|&(low, high)| kernel.between(self.0, low, high)).collect();
            answers.push(kernel.equal(self.0, b'\''));
            answers.push(kernel.high(self.0));
            answers.extend(kernel.bits(self.0));
            let words: [u64; 8] =
                std::array::from_fn(|at| u64::from(self.0[at] & 3) << 22 | at as u64);
            answers.push(kernel.matches(&words, !0x3f_ffff, 1 << 22).into());
            answers
        }
    }

    #[test]
    fn vector_kernels_equal_the_portable_one() {
        let mut state = 7u64;
        for _ in 0..10_000 {
            let block: Block = std::array::from_fn(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            });
            let expected = Answers(&block).run(Portable);
            with_each_kernel(|| assert_eq!(dispatch(Answers(&block)), expected));
        }
    }
}
