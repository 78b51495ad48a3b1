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
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::ops::Range;

/// Fewest multiplications that are worth a configuration of the tiles (74 ns). At 16 × 64 weights and 16 tokens tiles
/// have 66 GMAC/s, vectors 84; at 64 × 64 and 8 tokens 105 and 94; at 64 × 256 and 2 tokens 83 and 55.
const LEAST: usize = 1 << 15;

/// Fewest tokens for int8 weights: one token waits for its weights, with whichever unit.
const FEWEST_I8: usize = 2;

/// Fewest tokens for int4 weights, whose digits must be unpacked for them. At 768 × 768, groups of 32: 10 tokens 117
/// GMAC/s with tiles and 116 with vectors, 14 tokens 153 and 131, 128 tokens 482 and 186.
const FEWEST_I4: usize = 14;

/// Whether tiles are faster than vectors.
fn worth(tokens: usize, fewest: usize, blocks: &Range<usize>, cols: usize) -> bool {
    tokens >= fewest && blocks.len() * LANES * cols * tokens >= LEAST
}

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
        if !worth(x.tokens(), FEWEST_I8, &blocks, matrix.cols()) {
            return self.0.matmul_i8(matrix, x, blocks, out);
        }
        // SAFETY: `new` saw every feature, and so many multiplications have columns and tokens.
        unsafe { products::matmul_i8(matrix, x, blocks, out) }
    }

    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if !worth(x.tokens(), FEWEST_I4, &blocks, matrix.cols()) {
            return self.0.matmul_i4(matrix, x, blocks, out);
        }
        // SAFETY: `new` saw every feature, and so many multiplications have columns and tokens.
        unsafe { products::matmul_i4(matrix, x, blocks, out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conformance::{self, ROOM};
    use std::vec;

    /// Tiles for everything, so that the edges of small products are theirs too.
    #[derive(Clone, Copy)]
    struct TilesOnly(Amx);

    impl Kernels for TilesOnly {
        const NAME: &'static str = "amx, tiles only";

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
            if matrix.cols() == 0 {
                return self.0.matmul_i8(matrix, x, blocks, out);
            }
            // SAFETY: `Amx::new` saw every feature; there are columns.
            unsafe { products::matmul_i8(matrix, x, blocks, out) }
        }

        fn matmul_i4(
            self,
            matrix: &MatrixI4<'_>,
            x: &Activations<'_>,
            blocks: Range<usize>,
            out: &mut Columns<'_>,
        ) {
            if matrix.cols() == 0 {
                return self.0.matmul_i4(matrix, x, blocks, out);
            }
            // SAFETY: as above.
            unsafe { products::matmul_i4(matrix, x, blocks, out) }
        }
    }

    #[test]
    fn tiles_agree_with_scalar_at_every_edge() {
        let Some(amx) = Amx::new() else {
            std::println!("SKIP: no AMX here");
            return;
        };
        let mut room = vec![0; ROOM / 8];
        conformance::run(TilesOnly(amx), &mut room, |_| panic!("ROOM is enough for every case"))
            .unwrap_or_else(|mismatch| panic!("{mismatch}"));
    }
}
