//! AArch64 with what every such core has (Cortex-A53, A72): a quarter of a 64-byte step, 4 rows × 4 columns, at a time.
//!
//! `smull` multiplies eight bytes to eight i16, `smlal` adds eight more products, `sadalp` adds pairs of i16 to four i32:
//! - int8: two products fit an i16: 2 · 128 · 127 = 32 512 < 2¹⁵ (a damaged file may hold −128; activations are within
//!   ±127). So 3 instructions for 16 products, and two i32 for each row, which are added after the last column.
//! - int4: `(q + 8) · x`, four lanes for each row: 32 columns are eight products in each, at most 8 · 15 · 127 = 15 240.
//!   The lanes of a row are then added modulo 2¹⁶ together with the excess `−8 Σ x`: what is left is Σ q · x, at most
//!   8 · 127 · 32 = 32 512.
//!
//! The f32 operations are those of `lanes`, which compilers make NEON instructions of: on AArch64 those round and keep
//! subnormals as IEEE 754 says, unlike on 32-bit Arm.
#![allow(unsafe_code, reason = "instructions without memory, and the calls that enter the instruction set")]

pub(super) mod softmax;

use super::Kernels;
use super::blocked::{self, Step, Tile, Tiles, WIDEST, Weights};
use super::features::vector_backend;
use super::quarters::{Multiply, Quarters, Sums, offsets_of, on_quarters, sums_of};
use super::quarters::{bytes, nibbles};
use super::sources::{Grouped, Packed};
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::arch::aarch64::*;
use core::ops::Range;

/// [`Kernels::weights_i8`] of the AArch64 backends, whose tokens all prove NEON.
macro_rules! weights_by_neon {
    () => {
        fn weights_i8(
            self,
            scores: &mut [f32],
            value_logs: &[i32],
            softmax: &mut crate::kernels::softmax::FixedSoftmax,
            skip: usize,
            query: usize,
            out: &mut crate::tensor::ActivationsMut<'_>,
        ) {
            // SAFETY: `new` saw NEON.
            unsafe {
                crate::kernels::neon::softmax::weights_i8(scores, value_logs, softmax, skip, query, out)
            }
        }
    };
}

vector_backend! {
    $ for_neon, is_aarch64_feature_detected ["neon"];
    /// Proof that the CPU has NEON.
    pub struct Neon = "neon";
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

pub(super) use {for_neon, weights_by_neon};

/// Tokens that meet a row block together. Two, or two row blocks, have 16 sums, 8 activations and 8 weights and need
/// more than 32 registers: 0.31 instructions for a product instead of 0.25.
const TOKENS: usize = 1;

impl Multiply for Neon {
    /// Each four columns, four times.
    type Columns = [int8x16_t; 4];
    /// Two lanes for each row.
    type Bytes = [int32x4_t; 8];
    /// Four lanes for each row.
    type Nibbles = [int16x8_t; 8];
    type Offset = int16x8_t;

    #[inline(always)]
    fn columns(self, x: int8x16_t) -> Self::Columns {
        // SAFETY: `self` proves NEON; no memory is touched.
        unsafe {
            let x = vreinterpretq_s32_s8(x);
            [
                vreinterpretq_s8_s32(vdupq_laneq_s32::<0>(x)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<1>(x)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<2>(x)),
                vreinterpretq_s8_s32(vdupq_laneq_s32::<3>(x)),
            ]
        }
    }

    #[inline(always)]
    fn no_bytes(self) -> Self::Bytes {
        let [a, b, c, d] = sums_of(&[0; LANES]);
        [a, b, c, d, a, b, c, d]
    }

    #[inline(always)]
    fn add_bytes<const P: usize>(
        self,
        sums: &mut [Self::Bytes; P],
        weights: [Quarters; 4],
        x: &[Self::Columns; P],
    ) {
        for (a, b) in [(0, 1), (2, 3)] {
            for i in 0..4 {
                for p in 0..P {
                    let (wa, wb, xa, xb) = (weights[a][i], weights[b][i], x[p][a], x[p][b]);
                    // SAFETY: `self` proves NEON; no memory is touched.
                    unsafe {
                        let low = vmull_s8(vget_low_s8(wa), vget_low_s8(xa));
                        let low = vmlal_s8(low, vget_low_s8(wb), vget_low_s8(xb));
                        let high = vmlal_high_s8(vmull_high_s8(wa, xa), wb, xb);
                        sums[p][2 * i] = vpadalq_s16(sums[p][2 * i], low);
                        sums[p][2 * i + 1] = vpadalq_s16(sums[p][2 * i + 1], high);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn bytes(self, sums: &Self::Bytes) -> Sums {
        let mut rows = sums_of(&[0; LANES]);
        for i in 0..4 {
            // SAFETY: `self` proves NEON; no memory is touched.
            rows[i] = unsafe { vpaddq_s32(sums[2 * i], sums[2 * i + 1]) };
        }
        rows
    }

    #[inline(always)]
    fn offset(self, value: i32) -> int16x8_t {
        // SAFETY: `self` proves NEON; no memory is touched.
        unsafe { vdupq_n_s16(value as i16) }
    }

    #[inline(always)]
    fn offset_of(self, sums: [i16; 2]) -> int16x8_t {
        // SAFETY: `self` proves NEON; no memory is touched.
        unsafe {
            let each = vreinterpretq_s16_s32(offsets_of(self, sums));
            vuzp1q_s16(each, each)
        }
    }

    #[inline(always)]
    fn no_nibbles(self, _: int16x8_t) -> Self::Nibbles {
        // SAFETY: `self` proves NEON; no memory is touched.
        unsafe { [vdupq_n_s16(0); 8] }
    }

    #[inline(always)]
    fn add_nibbles<const P: usize>(
        self,
        sums: &mut [Self::Nibbles; P],
        weights: [Quarters; 4],
        x: &[Self::Columns; P],
    ) {
        for four in 0..4 {
            for i in 0..4 {
                for p in 0..P {
                    let (w, x) = (weights[four][i], x[p][four]);
                    // SAFETY: `self` proves NEON; no memory is touched.
                    unsafe {
                        sums[p][2 * i] = vmlal_s8(sums[p][2 * i], vget_low_s8(w), vget_low_s8(x));
                        sums[p][2 * i + 1] = vmlal_high_s8(sums[p][2 * i + 1], w, x);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn add_scaled(self, sums: &mut Sums, nibbles: &Self::Nibbles, offset: int16x8_t, scales: [int16x8_t; 2]) {
        for half in 0..2 {
            let (n, i) = (&nibbles[4 * half..][..4], 2 * half);
            // SAFETY: `self` proves NEON; no memory is touched.
            unsafe {
                let rows = vpaddq_s16(vpaddq_s16(n[0], n[1]), vpaddq_s16(n[2], n[3]));
                let rows = vaddq_s16(rows, offset);
                sums[i] = vmlal_s16(sums[i], vget_low_s16(rows), vget_low_s16(scales[half]));
                sums[i + 1] = vmlal_high_s16(sums[i + 1], rows, scales[half]);
            }
        }
    }
}

on_quarters!(for_neon, Neon);
