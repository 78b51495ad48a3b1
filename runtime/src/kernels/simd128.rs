//! WebAssembly with `simd128`: a quarter of a 64-byte step, 4 rows × 4 columns (8 of int4), at a time.
//!
//! A vector of bytes is taken as eight i16, two for each row; its even bytes and its odd ones meet the activations of
//! those columns. `i16x8.mul` multiplies them:
//! - int8: two products fit an i16: 2 · 128 · 127 = 32 512 < 2¹⁵ (a damaged file may hold −128; activations are within
//!   ±127). `i32x4.extadd_pairwise_i16x8_s` makes them the i32 of a row.
//! - int4: `(q + 8) · x`, two lanes for each row: 32 columns are 16 products in each, at most 16 · 15 · 127 = 30 480. One
//!   lane starts from `−8 Σ x` over the columns of both, and ends, modulo 2¹⁶, as its own Σ q · x less the other's 8 Σ x: at
//!   most 16 · 8 · 127 + 16 · 8 · 127 = 32 512. `i32x4.dot_i16x8_s` scales and adds the two.
//!
//! Browsers compile this for x86 and Arm. With `i32x4.dot_i16x8_s` for int8 too, 16 products are 7 instructions of x86
//! instead of 8 and took 0.89 of the time there (node 20), but 11 of Arm, where it is three, instead of 8. With
//! `i16x8.extmul_*_i8x16_s` they are 5 of Arm, but 9 or more of x86, which has no such instruction.
//!
//! Programs for the web are small: the four quarters are written out, so that sums stay in registers where compilers optimize
//! for size and keep every loop. The loops of AArch64 on quarters, which need them unrolled, were 20 kB there and a sixth of
//! this speed; where compilers optimize for speed, tiles of them made a prefill at most a sixth faster, for 85 kB.
#![allow(unsafe_code, reason = "vectors and the arrays of their bytes are the same")]

use super::Kernels;
use super::scalar::finish;
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8, Row};
use core::arch::wasm32::*;
use core::mem::transmute;
use core::ops::Range;

/// The backend of every program that is built for `simd128`: a host without refuses it as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simd128;

impl Kernels for Simd128 {
    const NAME: &'static str = "simd128";

    fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    fn matmul_i8(
        self,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        for block in blocks {
            let steps = bytemuck::cast_slice(matrix.block(block)).as_chunks().0;
            for token in 0..x.tokens() {
                let row = x.row(token);
                let sums = sums_i8(steps, row.data.as_chunks().0);
                finish(sums.rows(), matrix.block_scale(block), row.scale, out.block(token, block));
            }
        }
    }

    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        for block in blocks {
            let steps = matrix.block(block).as_chunks().0;
            let scales = matrix.block_group_scale(block).as_chunks().0;
            for token in 0..x.tokens() {
                let row = x.row(token);
                let sums = sums_i4(steps, scales, matrix.group(), &row);
                finish(sums.rows(), matrix.block_scale(block), row.scale, out.block(token, block));
            }
        }
    }
}

/// Weights of 16 rows.
type Step = [u8; 64];

/// What there is of four rows each.
#[derive(Clone, Copy)]
struct Quarters([v128; 4]);

impl Quarters {
    #[inline(always)]
    fn all(value: v128) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    fn of(step: &Step) -> Self {
        let at = step.as_ptr().cast::<v128>();
        // SAFETY: four vectors are a step; loads need no alignment.
        Self(unsafe { [v128_load(at), v128_load(at.add(1)), v128_load(at.add(2)), v128_load(at.add(3))] })
    }

    #[inline(always)]
    fn rows(self) -> [i32; LANES] {
        // SAFETY: as many bytes, plain numbers both.
        unsafe { transmute(self.0) }
    }

    /// f of each with each of `other`, written out.
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(v128, v128) -> v128) -> Self {
        let (Self([a, b, c, d]), Self([p, q, r, s])) = (self, other);
        Self([f(a, p), f(b, q), f(c, r), f(d, s)])
    }
}

/// The even bytes and the odd ones, as i16.
#[inline(always)]
fn halves(bytes: v128) -> [v128; 2] {
    [i16x8_shr(i16x8_shl(bytes, 8), 8), i16x8_shr(bytes, 8)]
}

/// Four columns of activations for four rows.
#[inline(always)]
fn four_times(x: [i8; 4]) -> v128 {
    i32x4_splat(bytemuck::cast(x))
}

/// Exact row sums of a block of int8.
#[inline(always)]
fn sums_i8(steps: &[Step], x: &[[i8; 4]]) -> Quarters {
    let mut sums = Quarters::all(i32x4_splat(0));
    for (step, &x) in steps.iter().zip(x) {
        let [x_even, x_odd] = halves(four_times(x));
        sums = sums.with(
            Quarters::of(step),
            #[inline(always)]
            |sum, w| {
                let [even, odd] = halves(w);
                let products = i16x8_add(i16x8_mul(even, x_even), i16x8_mul(odd, x_odd));
                i32x4_add(sum, i32x4_extadd_pairwise_i16x8(products))
            },
        );
    }
    sums
}

/// Exact row sums of a block of int4, up to 32 columns of a group at a time.
#[inline(always)]
fn sums_i4(steps: &[Step], scales: &[[i8; LANES]], group: usize, row: &Row<'_>) -> Quarters {
    let width = if group == 16 { 16 } else { 32 };
    let x = row.data.as_chunks::<4>().0.as_chunks::<2>().0;
    let chunks = steps.chunks(width / 8).zip(x.chunks(width / 8)).zip(row.sums.chunks(width / 16));
    let mut sums = Quarters::all(i32x4_splat(0));
    for (chunk, ((steps, x), totals)) in chunks.enumerate() {
        let total: i32 = totals.iter().map(|&total| i32::from(total)).sum();
        let products = products_i4(steps, x, -8 * total);
        let scale = (chunk * width).checked_div(group).and_then(|group| scales.get(group));
        let scaled = products.with(
            pairs(scale.unwrap_or(&[1; LANES])),
            #[inline(always)]
            |products, scale| i32x4_dot_i16x8(products, scale),
        );
        sums = sums.with(
            scaled,
            #[inline(always)]
            |sum, scaled| i32x4_add(sum, scaled),
        );
    }
    sums
}

/// Sums of products of up to 32 columns, two i16 for each row, which together begin with `offset`.
#[inline(always)]
fn products_i4(steps: &[Step], x: &[[[i8; 4]; 2]], offset: i32) -> Quarters {
    let nibble = i16x8_splat(15);
    let mut sums = Quarters::all(i32x4_splat(offset & 0xffff));
    for (step, &[low, high]) in steps.iter().zip(x) {
        let ([x0, x1], [x4, x5]) = (halves(four_times(low)), halves(four_times(high)));
        sums = sums.with(
            Quarters::of(step),
            #[inline(always)]
            |sum, w| {
                let low = i16x8_add(
                    i16x8_mul(v128_and(w, nibble), x0),
                    i16x8_mul(v128_and(u16x8_shr(w, 8), nibble), x1),
                );
                let high = i16x8_add(
                    i16x8_mul(v128_and(u16x8_shr(w, 4), nibble), x4),
                    i16x8_mul(u16x8_shr(w, 12), x5),
                );
                i16x8_add(sum, i16x8_add(low, high))
            },
        );
    }
    sums
}

/// The scales of 16 rows, each twice as i16.
#[inline(always)]
fn pairs(scales: &[i8; LANES]) -> Quarters {
    // SAFETY: as many bytes, plain numbers both.
    let scales: v128 = unsafe { transmute(*scales) };
    let (low, high) = (i16x8_extend_low_i8x16(scales), i16x8_extend_high_i8x16(scales));
    Quarters([
        i16x8_shuffle::<0, 0, 1, 1, 2, 2, 3, 3>(low, low),
        i16x8_shuffle::<4, 4, 5, 5, 6, 6, 7, 7>(low, low),
        i16x8_shuffle::<0, 0, 1, 1, 2, 2, 3, 3>(high, high),
        i16x8_shuffle::<4, 4, 5, 5, 6, 6, 7, 7>(high, high),
    ])
}
