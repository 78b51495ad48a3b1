//! AArch64 with the dot-product instructions (Cortex-A76 and later): a quarter of a 64-byte step, 4 rows × 4 columns,
//! is one `sdot`.
//!
//! That instruction multiplies signed bytes and adds four products to an i32; its third operand is one of the four
//! 32-bit lanes of a vector, so activations are loaded 16 columns at a time and never broadcast. The weights of int4 are
//! `q + 8`, and the excess is taken off by what the sums start from, `−8 Σ x`. All sums are i32.
//!
//! Stable Rust has no intrinsic for it (`vdotq_laneq_s32` waits for `stdarch_neon_dotprod`), hence the assembly: one
//! instruction, scheduled by the compiler as its own.
#![allow(unsafe_code, reason = "instructions without memory, and the calls that enter the instruction set")]

use super::blocked::{self, Step, Tile, Tiles, WIDEST, Weights};
use super::features::vector_backend;
use super::neon::weights_by_neon;
use super::quarters::{Multiply, Quarters, Sums, offsets_of, on_quarters, sums_of};
use super::quarters::{bytes, nibbles};
use super::sources::{Grouped, Packed};
use super::{I8mm, Kernels};
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::arch::{aarch64::*, asm};
use core::ops::Range;

vector_backend! {
    $ for_dotprod, is_aarch64_feature_detected ["neon" "dotprod"];
    /// Proof that the CPU has the dot-product instructions.
    pub struct DotProd = "dotprod";
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

/// Tokens that meet a row block together: 16 sums, 4 activations and 8 weights of 32 registers.
const TOKENS: usize = 4;

impl DotProd {
    /// The proof that is part of another.
    #[inline(always)]
    pub(super) fn within(_: I8mm) -> Self {
        Self(())
    }

    /// Adds the products of the four columns in lane `LANE`.
    #[inline(always)]
    fn add_four<const LANE: i32, const P: usize>(
        self,
        sums: &mut [Sums; P],
        weights: Quarters,
        x: &[int8x16_t; P],
    ) {
        for p in 0..P {
            for i in 0..4 {
                sums[p][i] = self.dot::<LANE>(sums[p][i], weights[i], x[p]);
            }
        }
    }

    /// `sum`, and to each of its lanes four products: of four bytes of `w` and the four in lane `LANE` of `x`.
    #[inline(always)]
    fn dot<const LANE: i32>(self, mut sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: `self` proves the feature; the instruction reads and writes these registers alone.
        unsafe {
            asm!(
                "sdot {sum:v}.4s, {w:v}.16b, {x:v}.4b[{LANE}]",
                sum = inout(vreg) sum,
                w = in(vreg) w,
                x = in(vreg) x,
                LANE = const LANE,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sum
    }
}

impl Multiply for DotProd {
    type Columns = int8x16_t;
    type Bytes = Sums;
    type Nibbles = Sums;
    type Offset = int32x4_t;

    #[inline(always)]
    fn columns(self, x: int8x16_t) -> int8x16_t {
        x
    }

    #[inline(always)]
    fn no_bytes(self) -> Sums {
        sums_of(&[0; LANES])
    }

    #[inline(always)]
    fn add_bytes<const P: usize>(self, sums: &mut [Sums; P], weights: [Quarters; 4], x: &[int8x16_t; P]) {
        self.add_four::<0, P>(sums, weights[0], x);
        self.add_four::<1, P>(sums, weights[1], x);
        self.add_four::<2, P>(sums, weights[2], x);
        self.add_four::<3, P>(sums, weights[3], x);
    }

    #[inline(always)]
    fn bytes(self, sums: &Sums) -> Sums {
        *sums
    }

    #[inline(always)]
    fn offset(self, value: i32) -> int32x4_t {
        // SAFETY: `self` proves NEON; no memory is touched.
        unsafe { vdupq_n_s32(value) }
    }

    #[inline(always)]
    fn offset_of(self, sums: [i16; 2]) -> int32x4_t {
        offsets_of(self, sums)
    }

    #[inline(always)]
    fn no_nibbles(self, offset: int32x4_t) -> Sums {
        [offset; 4]
    }

    #[inline(always)]
    fn add_nibbles<const P: usize>(self, sums: &mut [Sums; P], weights: [Quarters; 4], x: &[int8x16_t; P]) {
        self.add_bytes(sums, weights, x);
    }

    #[inline(always)]
    fn add_scaled(self, sums: &mut Sums, nibbles: &Sums, _: int32x4_t, scales: [int16x8_t; 2]) {
        for half in 0..2 {
            let i = 2 * half;
            // SAFETY: `self` proves NEON; no memory is touched.
            unsafe {
                // The low halves of the i32 are all of them.
                let [a, b] = [vreinterpretq_s16_s32(nibbles[i]), vreinterpretq_s16_s32(nibbles[i + 1])];
                let rows = vuzp1q_s16(a, b);
                sums[i] = vmlal_s16(sums[i], vget_low_s16(rows), vget_low_s16(scales[half]));
                sums[i + 1] = vmlal_high_s16(sums[i + 1], rows, scales[half]);
            }
        }
    }
}

on_quarters!(for_dotprod, DotProd);
