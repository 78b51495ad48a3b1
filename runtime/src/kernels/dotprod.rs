//! AArch64 with the dot-product instructions (Cortex-A76 and later): a quarter of a 64-byte step, 4 rows × 4 columns,
//! is one `sdot`.
//!
//! That instruction multiplies signed bytes and adds four products to an i32; its third operand is one of the four
//! 32-bit lanes of a vector, so activations are loaded 16 columns at a time and never broadcast. The weights of int4 are
//! `q + 8`, and the excess is taken off by what the sums start from, `−8 Σ x`. All sums are i32.
//!
//! Stable Rust has no intrinsic for it (`vdotq_laneq_s32` waits for `stdarch_neon_dotprod`), hence the assembly: one
//! instruction, scheduled by the compiler as its own.
#![allow(
    unsafe_code,
    reason = "an instruction without intrinsic, and the calls that enter the instruction set"
)]

use super::Kernels;
use super::blocked::{self, Offsets, Quads, STRETCH, Step, Tile, Tiles, WIDEST, Weights};
use super::features::vector_backend;
use super::quarters::{
    Eights, Nibbles, Sums, four_times, quarters, sixteen_of, sums_of, to_array, vector_i4, vectors_i8, zeros,
};
use super::sources::{Grouped, Packed};
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::arch::{aarch64::*, asm};
#[cfg(any(feature = "peak", test))]
use core::hint::black_box;
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
    kernels {}
}

#[cfg(any(feature = "peak", test))]
impl DotProd {
    /// Products of bytes in a turn of [`DotProd::multiply_registers`].
    pub(super) const PRODUCTS: usize = 4 * 64;

    /// Multiplies registers without memory.
    pub(super) fn multiply_registers(self, turns: usize) {
        // SAFETY: `new` saw every feature.
        unsafe { multiply_registers(turns) }
    }
}

for_dotprod! {
    fn matmul_i8(
        token: DotProd,
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
        token: DotProd,
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
        let mut block = blocks.start;
        while block < blocks.end {
            block += match (matrix.group(), blocks.end - block) {
                (16, 2..) => vector_i4::<2, 2>(matrix, &row, block, out, add),
                (16, _) => vector_i4::<1, 2>(matrix, &row, block, out, add),
                (_, 2..) => vector_i4::<2, 4>(matrix, &row, block, out, add),
                _ => vector_i4::<1, 4>(matrix, &row, block, out, add),
            };
        }
    }

    /// Several tokens. Not inlined: one token needs none of this memory.
    #[inline(never)]
    fn many_i8(
        token: DotProd,
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
        token: DotProd,
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

    /// A tile in parts of one row block × up to four tokens: 16 sums and four weights of 32 registers.
    #[inline(never)]
    fn plain<W: Weights<R>, const R: usize, const T: usize>(
        weights: W,
        x: &[Quads<'_>; T],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        blocked::in_parts(
            x,
            tile,
            |r, x, sums| products_i8::<W, R, 4>(weights, r, x, sums),
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
        let mut acc = [zeros(); P];
        for p in 0..P {
            x16[p] = &x[p][..steps].as_chunks().0[..fours];
            acc[p] = sums_of(&sums[p]);
        }
        for four in 0..fours {
            let mut x = [vdupq_n_s8(0); P];
            for p in 0..P {
                x[p] = sixteen_of(&x16[p][four]);
            }
            let at = |i| quarters(weights.at(4 * four + i, r));
            add_products::<0, P>(&mut acc, at(0), &x);
            add_products::<1, P>(&mut acc, at(1), &x);
            add_products::<2, P>(&mut acc, at(2), &x);
            add_products::<3, P>(&mut acc, at(3), &x);
        }
        for step in 4 * fours..steps {
            let mut quads = [vdupq_n_s8(0); P];
            for p in 0..P {
                quads[p] = four_times(x[p][step]);
            }
            add_products::<0, P>(&mut acc, quarters(weights.at(step, r)), &quads);
        }
        for p in 0..P {
            sums[p] = to_array(acc[p]);
        }
    }

    /// Adds the products of a step with the four columns in lane `LANE` of each `x`.
    #[inline]
    fn add_products<const LANE: i32, const P: usize>(
        sums: &mut [Sums; P],
        weights: [int8x16_t; 4],
        x: &[int8x16_t; P],
    ) {
        for p in 0..P {
            for i in 0..4 {
                sums[p][i] = dot::<LANE>(sums[p][i], weights[i], x[p]);
            }
        }
    }

    #[cfg(any(feature = "peak", test))]
    fn multiply_registers(turns: usize) {
        let (mut sums, weights, x) = ([zeros(); 4], black_box([vdupq_n_s8(3); 4]), [vdupq_n_s8(5); 4]);
        for _ in 0..turns {
            add_products::<0, 4>(&mut sums, weights, &x);
        }
        black_box(sums);
    }

    /// Adds `scale · (offset + Σ (q + 8) · x)`.
    #[inline]
    fn nibbles(sums: &mut Sums, weights: Nibbles<'_>, x: Eights<'_>, offset: i32, scale: int8x16_t) {
        let mut products = [[vdupq_n_s32(offset); 4]];
        let ((twos, last), (x_twos, x_last)) = (weights.as_chunks::<2>(), x.as_chunks::<2>());
        for (weights, x) in twos.iter().zip(x_twos) {
            let x = [sixteen_of(x.as_flattened().as_array().expect("two times two"))];
            let ([low, high], [next_low, next_high]) = (split(&weights[0]), split(&weights[1]));
            add_products::<0, 1>(&mut products, low, &x);
            add_products::<1, 1>(&mut products, high, &x);
            add_products::<2, 1>(&mut products, next_low, &x);
            add_products::<3, 1>(&mut products, next_high, &x);
        }
        for (weights, [x_low, x_high]) in last.iter().zip(x_last) {
            let [low, high] = split(weights);
            add_products::<0, 1>(&mut products, low, &[four_times(*x_low)]);
            add_products::<0, 1>(&mut products, high, &[four_times(*x_high)]);
        }
        let scales = [vmovl_s8(vget_low_s8(scale)), vmovl_high_s8(scale)];
        for half in 0..2 {
            let [first, second] = [vmovl_s16(vget_low_s16(scales[half])), vmovl_high_s16(scales[half])];
            let i = 2 * half;
            sums[i] = vmlaq_s32(sums[i], products[0][i], first);
            sums[i + 1] = vmlaq_s32(sums[i + 1], products[0][i + 1], second);
        }
    }

    /// The low and the high nibbles of a step.
    #[inline]
    fn split(step: &Step) -> [[int8x16_t; 4]; 2] {
        let mut low = quarters(step);
        let mut high = low;
        for i in 0..4 {
            high[i] = vreinterpretq_s8_u8(vshrq_n_u8::<4>(vreinterpretq_u8_s8(low[i])));
            low[i] = vandq_s8(low[i], vdupq_n_s8(15));
        }
        [low, high]
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
            grouped_part(weights, scales, r, offsets, x, &mut sums[r]);
        }
        tile.end(&sums);
    }

    /// One row block. The sums of all groups wait in memory: those of one, the weights and the activations fill the
    /// registers.
    #[inline(never)]
    fn grouped_part<const R: usize, const T: usize, const Q: usize>(
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        r: usize,
        offsets: &Offsets<T>,
        x: &[&[[[i8; 4]; Q]]; T],
        sums: &mut [[i32; LANES]; T],
    ) {
        let (groups, mut x) = (weights.len().min(STRETCH / 16), *x);
        let scales = &scales[..groups];
        for x in &mut x {
            *x = &x[..groups];
        }
        for group in 0..groups {
            let mut products = [zeros(); T];
            for t in 0..T {
                products[t] = [vdupq_n_s32(offsets[t][group]); 4];
            }
            for four in 0..Q / 4 {
                let mut x16 = [vdupq_n_s8(0); T];
                for t in 0..T {
                    x16[t] = sixteen_of(&x[t][group].as_chunks().0[four]);
                }
                let at = |i: usize| quarters(&weights[group][4 * four + i][r]);
                add_products::<0, T>(&mut products, at(0), &x16);
                add_products::<1, T>(&mut products, at(1), &x16);
                add_products::<2, T>(&mut products, at(2), &x16);
                add_products::<3, T>(&mut products, at(3), &x16);
            }
            let scale = sums_of(&scales[group][r]);
            for t in 0..T {
                let mut scaled = sums_of(&sums[t]);
                for i in 0..4 {
                    scaled[i] = vmlaq_s32(scaled[i], products[t][i], scale[i]);
                }
                sums[t] = to_array(scaled);
            }
        }
    }

    /// `sum` and for each of its lanes four products: of four bytes of `w` and the four in lane `LANE` of `x`.
    #[inline]
    fn dot<const LANE: i32>(mut sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
        // SAFETY: it reads and writes these registers alone; the function is compiled for the feature.
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
