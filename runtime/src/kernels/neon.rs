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
#![allow(unsafe_code, reason = "the calls that enter the instruction set")]

use super::Kernels;
use super::blocked::{self, Offsets, Quads, STRETCH, Step, Tile, Tiles, WIDEST, Weights};
use super::features::vector_backend;
use super::quarters::{
    Eights, Nibbles, Sums, four_times, quarters, sixteen_of, sums_of, to_array, vector_i4, vectors_i8,
};
use super::sources::{Grouped, Packed};
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::arch::aarch64::*;
#[cfg(any(feature = "peak", test))]
use core::hint::black_box;
use core::ops::Range;

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
    kernels {}
}

#[cfg(any(feature = "peak", test))]
impl Neon {
    /// Products of bytes in a turn of [`Neon::multiply_registers`].
    pub(super) const PRODUCTS: usize = 2 * 2 * 64;

    /// Multiplies registers without memory.
    pub(super) fn multiply_registers(self, turns: usize) {
        // SAFETY: `new` saw every feature.
        unsafe { multiply_registers(turns) }
    }
}

/// Σ over half of the columns of each row, two lanes for each of 16 rows.
type Pairs = [int32x4_t; 8];

/// Σ over a quarter of up to 32 columns of each row, four lanes for each of 16 rows.
type Fours = [int16x8_t; 8];

for_neon! {
    fn matmul_i8(
        token: Neon,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if x.tokens() < WIDEST {
            vectors_i8(
                matrix,
                x,
                blocks,
                out,
                |weights, x, sums| products_i8::<_, 1, 2>([weights], 0, x, sums),
                |weights, x, sums| products_i8::<_, 1, 1>([weights], 0, x, sums),
            );
        } else {
            many_i8(token, matrix, x, blocks, out);
        }
    }

    fn matmul_i4(
        token: Neon,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if x.tokens() != 1 {
            return many_i4(token, matrix, x, blocks, out);
        }
        let row = x.row(0);
        let add = |sums: &mut _, weights: Nibbles<'_>, x: Eights<'_>, offset, scale| {
            nibbles(sums, weights, x, offset, scale);
        };
        for block in blocks {
            match matrix.group() {
                16 => vector_i4::<1, 2>(matrix, &row, block, out, add),
                _ => vector_i4::<1, 4>(matrix, &row, block, out, add),
            };
        }
    }

    /// Several tokens. Not inlined: one token needs none of this memory.
    #[inline(never)]
    fn many_i8(
        token: Neon,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        blocked::matmul(token, Packed(matrix), x, blocks, out);
    }

    /// As [`many_i8`].
    #[inline(never)]
    fn many_i4(
        token: Neon,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match matrix.group() {
            16 => blocked::matmul(token, Grouped::<4>(matrix), x, blocks, out),
            _ => blocked::matmul(token, Grouped::<8>(matrix), x, blocks, out),
        }
    }

    /// A tile in parts of one row block × up to two tokens: eight sums each, of 32 registers.
    #[inline(never)]
    fn plain<W: Weights<R>, const R: usize, const T: usize>(
        weights: W,
        x: &[Quads<'_>; T],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        blocked::in_parts(
            x,
            tile,
            |r, x, sums| products_i8::<W, R, 2>(weights, r, x, sums),
            |r, x, sums| products_i8::<W, R, 1>(weights, r, x, sums),
        );
    }

    /// Adds the products of row block `r` × `P` tokens.
    #[inline]
    fn products_i8<W: Weights<R>, const R: usize, const P: usize>(
        weights: W,
        r: usize,
        x: &[Quads<'_>; P],
        sums: &mut [[i32; LANES]; P],
    ) {
        let steps = weights.steps();
        let (weights, fours) = (weights.first(steps), steps / 4);
        let mut x16: [&[[[i8; 4]; 4]]; P] = [&[]; P];
        for p in 0..P {
            x16[p] = &x[p][..steps].as_chunks().0[..fours];
        }
        let mut pairs = [[vdupq_n_s32(0); 8]; P];
        for four in 0..fours {
            let at = |i| quarters(weights.at(4 * four + i, r));
            let (first, second) = ([at(0), at(1)], [at(2), at(3)]);
            for p in 0..P {
                let x = vreinterpretq_s32_s8(sixteen_of(&x16[p][four]));
                add_products(&mut pairs[p], first, [vdupq_laneq_s32::<0>(x), vdupq_laneq_s32::<1>(x)]);
                add_products(&mut pairs[p], second, [vdupq_laneq_s32::<2>(x), vdupq_laneq_s32::<3>(x)]);
            }
        }
        for step in 4 * fours..steps {
            for p in 0..P {
                let x = vreinterpretq_s32_s8(four_times(x[p][step]));
                add_products(&mut pairs[p], [quarters(weights.at(step, r)), [vdupq_n_s8(0); 4]], [x; 2]);
            }
        }
        for p in 0..P {
            let mut rows = sums_of(&sums[p]);
            for i in 0..4 {
                rows[i] = vaddq_s32(rows[i], vpaddq_s32(pairs[p][2 * i], pairs[p][2 * i + 1]));
            }
            sums[p] = to_array(rows);
        }
    }

    /// Adds the products of two steps with four columns each.
    #[inline]
    fn add_products(sums: &mut Pairs, weights: [[int8x16_t; 4]; 2], x: [int32x4_t; 2]) {
        let [a, b] = weights;
        let [xa, xb] = [vreinterpretq_s8_s32(x[0]), vreinterpretq_s8_s32(x[1])];
        for i in 0..4 {
            let low = vmull_s8(vget_low_s8(a[i]), vget_low_s8(xa));
            let low = vmlal_s8(low, vget_low_s8(b[i]), vget_low_s8(xb));
            let high = vmlal_high_s8(vmull_high_s8(a[i], xa), b[i], xb);
            sums[2 * i] = vpadalq_s16(sums[2 * i], low);
            sums[2 * i + 1] = vpadalq_s16(sums[2 * i + 1], high);
        }
    }

    #[cfg(any(feature = "peak", test))]
    fn multiply_registers(turns: usize) {
        let (mut sums, weights) = ([[vdupq_n_s32(0); 8]; 2], black_box([[vdupq_n_s8(3); 4]; 2]));
        for _ in 0..turns {
            // The compiler may not see that all turns are the same.
            let x = black_box([vdupq_n_s32(5); 2]);
            for sums in &mut sums {
                add_products(sums, weights, x);
            }
        }
        black_box(sums);
    }

    /// Adds `scale · (offset + Σ (q + 8) · x)` over up to 32 columns.
    #[inline]
    fn nibbles(sums: &mut Sums, weights: Nibbles<'_>, x: Eights<'_>, offset: i32, scale: int8x16_t) {
        let mut fours = [vdupq_n_s16(0); 8];
        for (weights, x) in weights.iter().zip(x) {
            let (w, [x_low, x_high]) = (quarters(weights), x.map(|x| four_times(x)));
            let (mut low, mut high) = (w, w);
            for i in 0..4 {
                low[i] = vandq_s8(w[i], vdupq_n_s8(15));
                high[i] = vreinterpretq_s8_u8(vshrq_n_u8::<4>(vreinterpretq_u8_s8(w[i])));
            }
            multiply(&mut fours, low, x_low);
            multiply(&mut fours, high, x_high);
        }
        let scales = [vmovl_s8(vget_low_s8(scale)), vmovl_high_s8(scale)];
        add_scaled(sums, &fours, offset, scales);
    }

    /// Adds the products of a step with four columns.
    #[inline]
    fn multiply(fours: &mut Fours, weights: [int8x16_t; 4], x: int8x16_t) {
        for i in 0..4 {
            fours[2 * i] = vmlal_s8(fours[2 * i], vget_low_s8(weights[i]), vget_low_s8(x));
            fours[2 * i + 1] = vmlal_high_s8(fours[2 * i + 1], weights[i], x);
        }
    }

    /// Adds each row's scale times its sum and the offset.
    #[inline]
    fn add_scaled(sums: &mut Sums, fours: &Fours, offset: i32, scales: [int16x8_t; 2]) {
        for half in 0..2 {
            let f = &fours[4 * half..][..4];
            let rows = vpaddq_s16(vpaddq_s16(f[0], f[1]), vpaddq_s16(f[2], f[3]));
            let rows = vaddq_s16(rows, vdupq_n_s16(offset as i16));
            let (scale, i) = (scales[half], 2 * half);
            sums[i] = vmlal_s16(sums[i], vget_low_s16(rows), vget_low_s16(scale));
            sums[i + 1] = vmlal_high_s16(sums[i + 1], rows, scale);
        }
    }

    #[inline(never)]
    fn grouped<const R: usize, const T: usize, const Q: usize>(
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        offsets: &Offsets<T>,
        x: &[&[[[i8; 4]; Q]]; T],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let mut sums = tile.start();
        for r in 0..R {
            for (t, sums) in sums[r].as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let t = 2 * t;
                grouped_part(weights, scales, r, [&offsets[t], &offsets[t + 1]], [x[t], x[t + 1]], sums);
            }
            if let [sums] = sums[r].as_chunks_mut::<2>().1 {
                grouped_part(weights, scales, r, [&offsets[T - 1]], [x[T - 1]], core::array::from_mut(sums));
            }
        }
        tile.end(&sums);
    }

    /// One row block × `P` tokens. The sums of all groups wait in memory: eight i16 sums for each token, two weights and
    /// the activations fill the registers.
    #[inline(never)]
    fn grouped_part<const R: usize, const P: usize, const Q: usize>(
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        r: usize,
        offsets: [&[i32; STRETCH / 16]; P],
        mut x: [&[[[i8; 4]; Q]]; P],
        sums: &mut [[i32; LANES]; P],
    ) {
        let groups = weights.len().min(STRETCH / 16);
        let scales = &scales[..groups];
        for x in &mut x {
            *x = &x[..groups];
        }
        for group in 0..groups {
            let mut fours = [[vdupq_n_s16(0); 8]; P];
            for step in 0..Q {
                let w = quarters(&weights[group][step][r]);
                for p in 0..P {
                    multiply(&mut fours[p], w, four_times(x[p][group][step]));
                }
            }
            let s = sums_of(&scales[group][r]).map(|s| vreinterpretq_s16_s32(s));
            let scales = [vuzp1q_s16(s[0], s[1]), vuzp1q_s16(s[2], s[3])];
            for p in 0..P {
                let mut scaled = sums_of(&sums[p]);
                add_scaled(&mut scaled, &fours[p], offsets[p][group], scales);
                sums[p] = to_array(scaled);
            }
        }
    }
}
