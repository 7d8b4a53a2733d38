//! Which instructions this machine has, and running a whole loop on them.
//!
//! A function that uses wide instructions cannot be inlined into one that does not, so a kernel called through a
//! pointer would lose its query registers at every row. Instead the whole loop is a [`Task`], instantiated once for
//! each instruction set and chosen by [`run`]; the kernels inside are inlined.
//!
//! Invariant: a value of `Avx512` or `Avx2` exists only where [`Isa::detect`] has found those instructions.
//! Cost of [`run`]: one predicted branch.

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::{Kernel, portable::Portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};

/// An instruction set that the kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 with byte and word instructions, short registers and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON, which every aarch64 has.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// What the compiler makes of plain loops.
    Portable,
}

/// Work that is done with the kernels of one instruction set.
pub trait Task {
    /// What comes of it.
    type Output;

    /// Does the work. To be marked `#[inline(always)]`, as everything it calls in its loop.
    fn run<K: Kernel>(self, kernel: K) -> Self::Output;
}

impl Isa {
    /// The best of this machine; looked up once.
    pub fn detect() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().first().copied().unwrap_or(Self::Portable))
    }

    /// All that this machine can run, the best first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni");
            if has_avx2 && has_avx512 {
                found.push(Self::Avx512);
            }
            if has_avx2 {
                found.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Self::Neon);
        found.push(Self::Portable);
        found
    }
}

/// Does the work on an instruction set that [`Isa::available`] has named.
#[inline]
pub(crate) fn run<T: Task>(isa: Isa, task: T) -> T::Output {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this name is only made by `available`, after the processor was asked for the features.
        #[expect(unsafe_code, reason = "a function with target features is called, see SAFETY")]
        Isa::Avx512 => unsafe { run_avx512(task) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "a function with target features is called, see SAFETY")]
        Isa::Avx2 => unsafe { run_avx2(task) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => task.run(Neon),
        Isa::Portable => task.run(Portable),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn run_avx512<T: Task>(task: T) -> T::Output {
    task.run(Avx512::new())
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2<T: Task>(task: T) -> T::Output {
    task.run(Avx2::new())
}
