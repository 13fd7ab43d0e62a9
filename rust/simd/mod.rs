//! Vector kernels, each with a portable twin.
//!
//! The only room with `unsafe`. A kernel answers questions about 64 bytes with 64-bit masks, bit i
//! for byte i. Code that uses it is a `Task`, generic over the kernel: `dispatch` compiles it once
//! per instruction set and picks by what the processor has.

pub mod exp;
mod half;
pub mod huge;
mod portable;
mod prefetch;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use half::{Bf16, F16, Widen};
pub use portable::Portable;
pub use prefetch::prefetch;

/// 64 bytes of text.
pub type Block = [u8; 64];

/// Questions about a block. A range lies on one side of 0x80.
pub trait Kernel: Copy {
    /// Whether a question takes an instruction or two, so that many may be asked in vain.
    const QUICK: bool;

    /// Bytes from `low` to `high`, both included.
    fn between(self, block: &Block, low: u8, high: u8) -> u64;
    /// Bytes of 0x80 and more.
    fn high(self, block: &Block) -> u64;
    /// For each bit of a byte, the bytes that have it.
    fn bits(self, block: &Block) -> [u64; 8];

    /// Which of eight words are `value` in the bits of `mask`; `value` has no others.
    fn matches(self, words: &[u64; 8], mask: u64, value: u64) -> u32;

    /// The values at these places; panics where there is none.
    fn gather(self, values: &[f32], places: &[u32; 16]) -> [f32; 16];

    /// The numbers of 16 bits as those of 32.
    #[inline(always)]
    fn widen(self, values: &[F16; 16]) -> [f32; 16] {
        values.map(F16::widen)
    }

    /// `exp(value - shift)` of each value, none of which is far above the shift.
    #[inline(always)]
    fn exp(self, values: &[f32; 16], shift: f32) -> [f32; 16] {
        values.map(|value| exp::exp(value - shift))
    }

    /// Bytes equal to `byte`.
    #[inline(always)]
    fn equal(self, block: &Block, byte: u8) -> u64 {
        self.between(block, byte, byte)
    }
}

/// Work that uses a kernel; `run` must be `#[inline(always)]` to be compiled with its instructions.
pub trait Task {
    type Output;
    fn run<K: Kernel>(self, kernel: K) -> Self::Output;
}

/// Runs the task with the best kernel that the processor has.
#[inline]
pub fn dispatch<T: Task>(task: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    return x86::dispatch(task);
    #[cfg(not(target_arch = "x86_64"))]
    return task.run(Portable);
}

/// Names of the vector instruction sets that this machine has, of those used here.
pub fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("f16c", std::arch::is_x86_feature_detected!("f16c")),
            ("avx512bw", std::arch::is_x86_feature_detected!("avx512bw")),
        ];
        known.into_iter().filter(|(_, present)| *present).map(|(name, _)| name).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

/// Does the same with each kernel that the processor has, not only with the best.
#[cfg(test)]
fn with_each_kernel(work: impl Fn()) {
    #[cfg(target_arch = "x86_64")]
    x86::tests::with_each_kernel(work);
    #[cfg(not(target_arch = "x86_64"))]
    work();
}
