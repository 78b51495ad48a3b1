//! WebAssembly with `simd128`: a quarter of a 64-byte step, 4 rows × 4 columns, at a time.
//!
//! A vector of bytes is taken as eight i16, two for each row; its even bytes and its odd ones meet the activations of
//! those columns, widened once for 16 rows. `i16x8.mul` multiplies them:
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
//! The f32 operations are those of `lanes`, which compilers make vectors of: WebAssembly rounds and keeps subnormals as IEEE
//! 754 says.

use super::Kernels;
use super::quarters::{Multiply, Quarters, Scales, Sums, sums_of};
use super::quarters::{bytes, nibbles};
use crate::parallel::Columns;
use crate::tensor::{Activations, LANES, MatrixI4, MatrixI8};
use core::arch::wasm32::*;
use core::ops::Range;

/// The backend of every program that is built for `simd128`: a host without refuses it as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simd128;

/// Tokens that meet a row block together: with one, a product of several tokens took 1.15 times as long, with four 1.4
/// times (x86).
const TOKENS: usize = 2;

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
        bytes::few_i8::<_, TOKENS>(self, matrix, x, blocks, out);
    }

    fn matmul_i4(
        self,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match matrix.group() {
            16 => nibbles::few_i4::<_, 1>(self, matrix, x, blocks, out),
            _ => nibbles::few_i4::<_, 2>(self, matrix, x, blocks, out),
        }
    }
}

/// i16 lanes of bytes: the even ones and the odd ones.
#[inline(always)]
fn halves(bytes: v128) -> [v128; 2] {
    [i16x8_shr(i16x8_shl(bytes, 8), 8), i16x8_shr(bytes, 8)]
}

impl Multiply for Simd128 {
    /// Of each four columns, the even ones four times, and the odd ones.
    type Columns = [[v128; 2]; 4];
    type Bytes = Sums;
    /// Two lanes for each row.
    type Nibbles = [v128; 4];

    #[inline(always)]
    fn columns(self, x: v128) -> Self::Columns {
        let x = halves(x);
        [
            x.map(|x| i32x4_shuffle::<0, 0, 0, 0>(x, x)),
            x.map(|x| i32x4_shuffle::<1, 1, 1, 1>(x, x)),
            x.map(|x| i32x4_shuffle::<2, 2, 2, 2>(x, x)),
            x.map(|x| i32x4_shuffle::<3, 3, 3, 3>(x, x)),
        ]
    }

    #[inline(always)]
    fn no_bytes(self) -> Sums {
        sums_of(&[0; LANES])
    }

    #[inline(always)]
    fn add_bytes<const P: usize>(self, sums: &mut [Sums; P], weights: [Quarters; 4], x: &[Self::Columns; P]) {
        for step in 0..4 {
            for i in 0..4 {
                let [even, odd] = halves(weights[step][i]);
                for p in 0..P {
                    let x = x[p][step];
                    let products = i16x8_add(i16x8_mul(even, x[0]), i16x8_mul(odd, x[1]));
                    sums[p][i] = i32x4_add(sums[p][i], i32x4_extadd_pairwise_i16x8(products));
                }
            }
        }
    }

    #[inline(always)]
    fn bytes(self, sums: &Sums) -> Sums {
        *sums
    }

    #[inline(always)]
    fn no_nibbles(self, offset: i32) -> Self::Nibbles {
        [u32x4_splat(u32::from(offset as u16)); 4]
    }

    #[inline(always)]
    fn add_nibbles<const P: usize>(
        self,
        sums: &mut [Self::Nibbles; P],
        weights: [Quarters; 4],
        x: &[Self::Columns; P],
    ) {
        for step in 0..4 {
            for i in 0..4 {
                let w = weights[step][i];
                let (even, odd) = (v128_and(w, u16x8_splat(0xff)), u16x8_shr(w, 8));
                for p in 0..P {
                    let x = x[p][step];
                    sums[p][i] = i16x8_add(sums[p][i], i16x8_mul(even, x[0]));
                    sums[p][i] = i16x8_add(sums[p][i], i16x8_mul(odd, x[1]));
                }
            }
        }
    }

    #[inline(always)]
    fn add_scaled(self, sums: &mut Sums, nibbles: &Self::Nibbles, _: i32, scales: Scales) {
        for i in 0..4 {
            sums[i] = i32x4_add(sums[i], i32x4_dot_i16x8(nibbles[i], scales[i]));
        }
    }
}
