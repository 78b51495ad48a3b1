//! AArch64 with the matrix instructions (Cortex-A510, A710, Neoverse V1, N2 and later): products with many tokens;
//! everything else is [`DotProd`]'s.
//!
//! One `smmla` multiplies 2 tokens × 8 columns by 8 columns × 2 rows and adds the products to four i32: twice as many as
//! `sdot`. For that the eight columns of two rows, and of two tokens, must lie side by side: `zipped` does it to the
//! weights once for all tokens, `tiles` to the tokens of a tile once for its row blocks.
//!
//! Stable Rust has no intrinsic for it (`vmmlaq_s32` waits for `stdarch_neon_i8mm`), hence the assembly: one
//! instruction, scheduled by the compiler as its own.
#![allow(unsafe_code, reason = "instructions without memory, and the calls that enter the instruction set")]

mod tiles;
mod zipped;

use super::blocked::{self, Step, Tile, Tiles, WIDEST, Weights};
use super::features::vector_backend;
use super::neon::weights_by_neon;
use super::{DotProd, Kernels};
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::arch::{aarch64::*, asm};
#[cfg(any(feature = "peak", test))]
use core::hint::black_box;
use core::ops::Range;
use zipped::{Bytes, Nibbles, Whole};

vector_backend! {
    $ for_i8mm, is_aarch64_feature_detected ["neon" "dotprod" "i8mm"];
    /// Proof that the CPU has the matrix instructions, and those for dot products.
    pub struct I8mm = "i8mm";
    tiles {
        const FLIP: u8 = 0;

        #[inline(always)]
        fn group_scale(scale: i8) -> i32 {
            i32::from(scale)
        }
    }
    kernels {
        weights_by_neon! {}
    }
}

/// Fewest tokens for int8 weights, which must be zipped for them. Instructions for each product at 512 × 128, 8 tokens:
/// 0.110, with `sdot` 0.122; 4 tokens 0.109 with `sdot`, which takes weights as they are.
const FEWEST_I8: usize = WIDEST;

/// Fewest tokens for int4 weights, which are unpacked for tiles of `sdot` as well. At 512 × 128, 4 tokens: 0.209, with
/// `sdot` 0.212; 32 tokens: 0.118 and 0.162.
const FEWEST_I4: usize = 4;

impl I8mm {
    /// `sums`, and to each of its lanes eight products: `[2 tokens][2 rows]`.
    #[inline(always)]
    fn multiply(self, mut sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
        // SAFETY: `self` proves the feature; the instruction reads and writes these registers alone.
        unsafe {
            asm!(
                "smmla {sums:v}.4s, {x:v}.16b, {w:v}.16b",
                sums = inout(vreg) sums,
                x = in(vreg) x,
                w = in(vreg) w,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }
}

#[cfg(any(feature = "peak", test))]
impl I8mm {
    /// Products of bytes in a turn of `multiply_registers`.
    pub(super) const PRODUCTS: usize = 16 * 32;

    /// Multiplies registers without memory.
    pub(super) fn multiply_registers(self, turns: usize) {
        // SAFETY: `new` saw every feature.
        unsafe { multiply_registers(self, turns) }
    }
}

for_i8mm! {
    fn matmul_i8(
        token: I8mm,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match x.tokens() {
            0..FEWEST_I8 => DotProd::within(token).matmul_i8(matrix, x, blocks, out),
            _ => many_i8(token, matrix, x, blocks, out),
        }
    }

    fn matmul_i4(
        token: I8mm,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match x.tokens() {
            0..FEWEST_I4 => DotProd::within(token).matmul_i4(matrix, x, blocks, out),
            _ => many_i4(token, matrix, x, blocks, out),
        }
    }

    /// Not inlined: few tokens need none of its registers and memory.
    #[inline(never)]
    fn many_i8(
        token: I8mm,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        blocked::matmul(token, Bytes(matrix), x, blocks, out);
    }

    /// As [`many_i8`].
    #[inline(never)]
    fn many_i4(
        token: I8mm,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match matrix.group() {
            0 => blocked::matmul(token, Whole(matrix), x, blocks, out),
            16 => blocked::matmul(token, Nibbles::<4>(matrix), x, blocks, out),
            _ => blocked::matmul(token, Nibbles::<8>(matrix), x, blocks, out),
        }
    }

    /// Not inlined: int8 and int4 share it.
    #[inline(never)]
    fn plain<W: Weights<R>, const R: usize, const T: usize>(
        token: I8mm,
        weights: W,
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        match T {
            8 => tiles::plain::<W, R, T, 4>(token, weights, tile),
            4 => tiles::plain::<W, R, T, 2>(token, weights, tile),
            _ => tiles::plain::<W, R, T, 1>(token, weights, tile),
        }
    }

    /// Weights are signed here: nothing is added to the sums of a group.
    #[inline(never)]
    fn grouped<const R: usize, const T: usize, const Q: usize>(
        token: I8mm,
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        match T {
            4 => tiles::grouped::<R, T, Q, 2>(token, weights, scales, tile),
            _ => tiles::grouped::<R, T, Q, 1>(token, weights, scales, tile),
        }
    }

    #[cfg(any(feature = "peak", test))]
    fn multiply_registers(token: I8mm, turns: usize) {
        let mut sums = [vdupq_n_s32(0); 16];
        let w = black_box(vdupq_n_s8(3));
        for _ in 0..turns {
            // The compiler may not see that all turns are the same.
            let x = black_box(vdupq_n_s8(5));
            for sums in &mut sums {
                *sums = token.multiply(*sums, x, w);
            }
        }
        black_box(sums);
    }
}
