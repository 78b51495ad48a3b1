//! The choice of a backend: made once, at the outermost call.

#[cfg(whit_dsp)]
use super::Dsp;
use super::Kernels;
#[cfg(whit_neon32)]
use super::Neon32;
#[cfg(whit_packed)]
use super::Packed;
#[cfg(not(any(target_feature = "simd128", whit_dsp, whit_packed)))]
use super::Scalar;
#[cfg(target_feature = "simd128")]
use super::Simd128;
#[cfg(target_arch = "x86_64")]
use super::{Amx, Avx2, Avx512};
#[cfg(target_arch = "aarch64")]
use super::{DotProd, I8mm, Neon};

/// Work that is compiled once for each backend.
pub trait WithKernels {
    /// What the work returns.
    type Output;

    /// Does the work with `kernels`.
    fn call<K: Kernels>(self, kernels: K) -> Self::Output;
}

/// One of the backends that this program holds; a value proves that the CPU can run it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Backend {
    /// Plain Rust. Not where every core has another one, microcontrollers and WebAssembly with vectors: it would double the
    /// code of a model.
    #[cfg(not(any(target_feature = "simd128", whit_dsp, whit_packed)))]
    Scalar(Scalar),
    /// x86-64 with AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// x86-64 with AVX-512 and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// x86-64 with AMX, beside AVX-512.
    #[cfg(target_arch = "x86_64")]
    Amx(Amx),
    /// Cortex-M with the DSP extension.
    #[cfg(whit_dsp)]
    Dsp(Dsp),
    /// Cortex-M0 and RV32.
    #[cfg(whit_packed)]
    Packed(Packed),
    /// Armv7-A with NEON.
    #[cfg(whit_neon32)]
    Neon32(Neon32),
    /// AArch64.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// AArch64 with the dot-product instructions.
    #[cfg(target_arch = "aarch64")]
    DotProd(DotProd),
    /// AArch64 with the matrix instructions, beside those for dot products.
    #[cfg(target_arch = "aarch64")]
    I8mm(I8mm),
    /// WebAssembly with vectors.
    #[cfg(target_feature = "simd128")]
    Simd128(Simd128),
}

impl Backend {
    /// The fastest backend that this CPU can run. Without the `std` feature: the best that the target itself
    /// guarantees.
    pub fn detect() -> Self {
        Self::available().last().expect("there is one for every core")
    }

    /// All backends that this CPU can run, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vector =
            [Avx2::new().map(Self::Avx2), Avx512::new().map(Self::Avx512), Amx::new().map(Self::Amx)];
        #[cfg(target_arch = "aarch64")]
        let vector =
            [Neon::new().map(Self::Neon), DotProd::new().map(Self::DotProd), I8mm::new().map(Self::I8mm)];
        #[cfg(whit_neon32)]
        let vector = [Neon32::new().map(Self::Neon32)];
        #[cfg(whit_dsp)]
        let vector = [Some(Self::Dsp(Dsp))];
        #[cfg(whit_packed)]
        let vector = [Some(Self::Packed(Packed))];
        #[cfg(target_feature = "simd128")]
        let vector = [Some(Self::Simd128(Simd128))];
        #[cfg(not(any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_feature = "simd128",
            whit_dsp,
            whit_neon32,
            whit_packed
        )))]
        let vector: [Option<Self>; 0] = [];
        #[cfg(not(any(target_feature = "simd128", whit_dsp, whit_packed)))]
        let scalar = Some(Self::Scalar(Scalar));
        #[cfg(any(target_feature = "simd128", whit_dsp, whit_packed))]
        let scalar = None;
        scalar.into_iter().chain(vector.into_iter().flatten())
    }

    /// The backend called `name`, if this CPU can run it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().find(|backend| backend.name() == name)
    }

    /// The backend that a single token is left to: tiles are for many.
    pub(crate) fn of_one_token(self) -> Self {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(kernels) => Self::Avx512(kernels.of_one_token()),
            other => other,
        }
    }

    /// Its name, as `WHIT_BACKEND` takes it.
    pub fn name(self) -> &'static str {
        struct Name;
        impl WithKernels for Name {
            type Output = &'static str;
            fn call<K: Kernels>(self, _: K) -> &'static str {
                K::NAME
            }
        }
        self.run(Name)
    }

    /// Does `work` with this backend's kernels.
    #[inline]
    pub fn run<W: WithKernels>(self, work: W) -> W::Output {
        match self {
            #[cfg(not(any(target_feature = "simd128", whit_dsp, whit_packed)))]
            Self::Scalar(kernels) => work.call(kernels),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernels) => work.call(kernels),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernels) => work.call(kernels),
            #[cfg(target_arch = "x86_64")]
            Self::Amx(kernels) => work.call(kernels),
            #[cfg(whit_dsp)]
            Self::Dsp(kernels) => work.call(kernels),
            #[cfg(whit_packed)]
            Self::Packed(kernels) => work.call(kernels),
            #[cfg(whit_neon32)]
            Self::Neon32(kernels) => work.call(kernels),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(kernels) => work.call(kernels),
            #[cfg(target_arch = "aarch64")]
            Self::DotProd(kernels) => work.call(kernels),
            #[cfg(target_arch = "aarch64")]
            Self::I8mm(kernels) => work.call(kernels),
            #[cfg(target_feature = "simd128")]
            Self::Simd128(kernels) => work.call(kernels),
        }
    }
}
