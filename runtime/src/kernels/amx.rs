//! x86-64 with AMX (Sapphire Rapids and later): products with many tokens in 16 × 16 tiles of exact i32 sums;
//! everything else is [`Avx512`]'s.
//!
//! One `tdpbssd` multiplies 16 tokens × 64 columns by 64 columns × 16 rows. Sixteen consecutive 64-byte steps of the
//! packed int8 weights are its second operand as they lie in the file, quantized activations its first as they lie in
//! memory. Its sums are i32 modulo 2³², as everybody's, so which backend takes a product cannot be seen in the result.
#![allow(unsafe_code, reason = "the calls that enter the instruction set")]

mod permission;
mod products;
mod tiles;
mod unpack;

use super::{Avx512, Kernels};
use crate::parallel::Columns;
use crate::tensor::{Activations, MatrixI4, MatrixI8};
use core::ops::Range;

/// Fewest tokens for which tiles are worth their configuration.
const FEWEST: usize = 8;

/// Proof that the CPU has AMX for bytes and AVX-512 with VNNI, and that the system lets this process use them.
#[derive(Clone, Copy, Debug)]
pub struct Amx(Avx512);

impl Amx {
    /// The backend, if the CPU (for AVX-512 without the `std` feature: the build target) and the system, which must be
    /// Linux, have all it needs.
    ///
    /// Asks the system for this process's permission to use tiles; threads that start later inherit it.
    pub fn new() -> Option<Self> {
        Avx512::new().filter(|_| permission::granted()).map(Self)
    }
}

impl Kernels for Amx {
    const NAME: &'static str = "amx";

    #[inline]
    fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        self.0.enter(f)
    }

    fn matmul_i8(
        self,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if x.tokens() < FEWEST || matrix.cols() == 0 {
            return self.0.matmul_i8(matrix, x, blocks, out);
        }
        // SAFETY: `new` saw every feature.
        unsafe { products::matmul_i8(matrix, x, blocks, out) }
    }

    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if x.tokens() < FEWEST || matrix.cols() == 0 {
            return self.0.matmul_i4(matrix, x, blocks, out);
        }
        // SAFETY: `new` saw every feature.
        unsafe { products::matmul_i4(matrix, x, blocks, out) }
    }
}
