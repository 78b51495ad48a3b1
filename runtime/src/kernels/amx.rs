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

use super::softmax::{FixedSoftmax, Running};
use super::{Activation, Avx512, Kernels, Pairing};
use crate::parallel::Columns;
use crate::tensor::{Activations, ActivationsMut, LANES, MatrixI4, MatrixI8};
use core::ops::Range;

/// Fewest multiplications that are worth a configuration of the tiles (74 ns): with 64 × 64 int8 weights and 8 tokens
/// tiles have 106 GMAC/s and vectors 141, with 12 tokens 156 and 145.
const LEAST: usize = 3 << 14;

/// Fewest tokens for int8 weights. At 288 × 288, 6 tokens: 190 GMAC/s with either; 7 tokens: 210 with tiles and 140 with
/// vectors; 128 tokens: 783 and 258.
const FEWEST_I8: usize = 7;

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
    /// Asks the system for the permission to use tiles, which all threads of the process then have.
    pub fn new() -> Option<Self> {
        Avx512::new().filter(|_| permission::granted()).map(Self)
    }

    /// What computes single tokens.
    pub(super) fn of_one_token(self) -> Avx512 {
        self.0
    }
}

#[cfg(any(feature = "peak", test))]
impl Amx {
    /// Products of bytes in a turn of [`Amx::multiply_registers`].
    pub(super) const PRODUCTS: usize = 4 * 16 * 64 * 16;

    /// Multiplies tiles of zeros without memory.
    pub(super) fn multiply_registers(self, turns: usize) {
        // SAFETY: `new` saw every feature; nobody else has tiles while this runs.
        unsafe { tiles::Tiles::configure(LANES) }.multiply_registers(turns);
    }
}

impl Kernels for Amx {
    const NAME: &'static str = "amx";
    const TAKES_ONE: bool = false;

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

    fn quantize(self, x: &[f32], token: usize, out: &mut ActivationsMut<'_>) {
        self.0.quantize(x, token, out);
    }

    fn quantize_wide(self, x: &[f32], vector: usize, out: &mut ActivationsMut<'_>) {
        self.0.quantize_wide(x, vector, out);
    }

    #[inline]
    fn quantize_each(self, x: &[f32], put: impl FnMut(usize, [i8; LANES])) -> f32 {
        self.0.quantize_each(x, put)
    }

    fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        self.0.rms_norm(x, weight, epsilon, out);
    }

    fn activate_gated(self, activation: Activation, gate: &mut [f32], up: &[f32]) {
        self.0.activate_gated(activation, gate, up);
    }

    fn rotate(self, heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
        self.0.rotate(heads, width, cos, sin, pairing);
    }

    fn weights_i8(
        self,
        scores: &mut [f32],
        value_logs: &[i32],
        softmax: &mut FixedSoftmax,
        skip: usize,
        query: usize,
        out: &mut ActivationsMut<'_>,
    ) {
        self.0.weights_i8(scores, value_logs, softmax, skip, query, out);
    }

    fn add_values(self, sums: &[f32], softmax: &[FixedSoftmax], out: &mut [f32]) {
        self.0.add_values(sums, softmax, out);
    }

    fn normalize<M>(self, softmax: &[Running<M>], out: &mut [f32]) {
        self.0.normalize(softmax, out);
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
