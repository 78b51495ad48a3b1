//! What the multipliers of a core do on registers alone: the ceiling of every product of a backend, however well it is
//! fed. For measurements; whoever calls it holds the clock.
#![allow(unsafe_code, reason = "the calls that enter the instruction sets")]

#[cfg(target_arch = "x86_64")]
use super::Amx;
use super::Backend;
#[cfg(whit_neon32)]
use super::Neon32;
#[cfg(target_arch = "aarch64")]
use super::{DotProd, I8mm, Neon};
#[cfg(target_arch = "x86_64")]
use core::{arch::x86_64::*, hint::black_box};

/// A stretch of byte products without memory.
#[derive(Clone, Copy, Debug)]
pub struct RegisterProducts {
    /// The instructions that make them.
    pub instructions: &'static str,
    /// Products of two bytes, each added to a sum, of one call of [`RegisterProducts::run`].
    pub products: u64,
    backend: Backend,
}

impl RegisterProducts {
    /// Those that `backend` makes; `None` where its instructions are the compiler's choice.
    pub fn of(backend: Backend) -> Option<Self> {
        match backend {
            Backend::Scalar(_) => None,
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2(_) => Some(Self {
                instructions: "vpsignb + vpmaddubsw + vpmaddwd + vpaddd, 256 bits",
                products: (REPEAT * SUMS_256 * 32) as u64,
                backend,
            }),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512(_) => Some(Self {
                instructions: "vpdpbusd, 512 bits",
                products: (REPEAT * SUMS_512 * 64) as u64,
                backend,
            }),
            #[cfg(target_arch = "x86_64")]
            Backend::Amx(_) => Some(Self {
                instructions: "tdpbssd, 16 × 64 × 16",
                products: (REPEAT * Amx::PRODUCTS) as u64,
                backend,
            }),
            #[cfg(whit_neon32)]
            Backend::Neon32(_) => Some(Self {
                instructions: "vmull + vmlal + vpadal, 128 bits",
                products: (REPEAT * Neon32::PRODUCTS) as u64,
                backend,
            }),
            #[cfg(target_arch = "aarch64")]
            Backend::Neon(_) => Some(Self {
                instructions: "smull + smlal + sadalp, 128 bits",
                products: (REPEAT * Neon::PRODUCTS) as u64,
                backend,
            }),
            #[cfg(target_arch = "aarch64")]
            Backend::DotProd(_) => Some(Self {
                instructions: "sdot, 128 bits",
                products: (REPEAT * DotProd::PRODUCTS) as u64,
                backend,
            }),
            #[cfg(target_arch = "aarch64")]
            Backend::I8mm(_) => Some(Self {
                instructions: "smmla, 2 × 8 × 2",
                products: (REPEAT * I8mm::PRODUCTS) as u64,
                backend,
            }),
        }
    }

    /// Makes the products: some ten microseconds.
    pub fn run(&self) {
        match self.backend {
            Backend::Scalar(_) => {}
            // SAFETY: a value of this backend proves the feature.
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2(_) => unsafe { vpmaddubsw() },
            // SAFETY: a value of this backend proves the features.
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512(_) => unsafe { vpdpbusd() },
            #[cfg(target_arch = "x86_64")]
            Backend::Amx(amx) => amx.multiply_registers(REPEAT),
            #[cfg(whit_neon32)]
            Backend::Neon32(neon) => neon.multiply_registers(REPEAT),
            #[cfg(target_arch = "aarch64")]
            Backend::Neon(neon) => neon.multiply_registers(REPEAT),
            #[cfg(target_arch = "aarch64")]
            Backend::DotProd(dotprod) => dotprod.multiply_registers(REPEAT),
            #[cfg(target_arch = "aarch64")]
            Backend::I8mm(i8mm) => i8mm.multiply_registers(REPEAT),
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", whit_neon32))]
const REPEAT: usize = 2_000;

/// So many running sums that none waits for the product before, and few enough for the registers.
#[cfg(target_arch = "x86_64")]
const SUMS_512: usize = 24;

#[cfg(target_arch = "x86_64")]
const SUMS_256: usize = 12;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vpdpbusd() {
    let mut sums = [_mm512_setzero_si512(); SUMS_512];
    let x = black_box(_mm512_set1_epi8(3));
    for _ in 0..REPEAT {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, x, x);
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn vpmaddubsw() {
    let mut sums = [_mm256_setzero_si256(); SUMS_256];
    let x = black_box(_mm256_set1_epi8(3));
    let ones = black_box(_mm256_set1_epi16(1));
    for _ in 0..REPEAT {
        for sum in &mut sums {
            // Depends on the sum so that the products cannot be hoisted out of the loop.
            let w = _mm256_sign_epi8(*sum, x);
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), ones));
        }
    }
    black_box(sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_backend_here_has_products_that_run() {
        for backend in Backend::available() {
            let products = RegisterProducts::of(backend);
            assert_eq!(products.is_none(), backend.name() == "scalar");
            if let Some(products) = products {
                assert!(products.products > 0);
                products.run();
            }
        }
    }
}
