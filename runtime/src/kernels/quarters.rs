//! What the AArch64 backends share: a 64-byte step of packed weights as four vectors of 4 rows × 4 columns, and the
//! loops around it. A backend brings only the multiplications of 16 rows × 16 columns.
//!
//! One token, or few, meet the weights as they are packed; for more, `blocked` unpacks nibbles once for all tokens.
//! Everything is inlined into functions compiled for the backend's features, so that sums stay in registers.
#![allow(unsafe_code, reason = "vectors and the arrays of their bytes are the same")]

pub(super) mod bytes;
pub(super) mod nibbles;

use super::blocked::Step;
use crate::tensor::LANES;
use core::arch::aarch64::*;
#[cfg(any(feature = "peak", test))]
use core::hint::black_box;
use core::mem::transmute;

/// Sums of 16 rows.
pub(super) type Sums = [int32x4_t; 4];

/// Weights of 16 rows × 4 columns.
pub(super) type Quarters = [int8x16_t; 4];

/// Columns of a step that is not there.
pub(super) const NONE: Step = [0; 64];

/// The multiplications of a backend. A value proves that the CPU has its features; all methods must be
/// `#[inline(always)]`, to be compiled for them.
pub(super) trait Multiply: Copy {
    /// 16 columns of activations, as the multiplications take them.
    type Columns: Copy;
    /// Running sums of int8 products, of 16 rows.
    type Bytes: Copy;
    /// Running sums of products with nibbles (`q + 8`), of 16 rows and up to 32 columns.
    type Nibbles: Copy;
    /// What takes the excess of `q + 8` off such sums, `−8 Σ x`, in each lane.
    type Offset: Copy;

    /// 16 columns, loaded.
    fn columns(self, x: int8x16_t) -> Self::Columns;

    /// No products yet.
    fn no_bytes(self) -> Self::Bytes;

    /// Adds the products of 16 columns with each of `P` tokens.
    fn add_bytes<const P: usize>(
        self,
        sums: &mut [Self::Bytes; P],
        weights: [Quarters; 4],
        x: &[Self::Columns; P],
    );

    /// What [`Multiply::add_bytes`] has summed up.
    fn bytes(self, sums: &Self::Bytes) -> Sums;

    /// `−8 Σ x`, given as it is.
    fn offset(self, value: i32) -> Self::Offset;

    /// `−8 Σ x` of 32 columns, of which each 16 have such a sum.
    fn offset_of(self, sums: [i16; 2]) -> Self::Offset;

    /// No products yet, but `offset` if the sums can hold it.
    fn no_nibbles(self, offset: Self::Offset) -> Self::Nibbles;

    /// Adds the products of 16 columns with each of `P` tokens.
    fn add_nibbles<const P: usize>(
        self,
        sums: &mut [Self::Nibbles; P],
        weights: [Quarters; 4],
        x: &[Self::Columns; P],
    );

    /// Adds the scale of each row times what [`Multiply::add_nibbles`] has summed up, and the offset; with that it fits
    /// i16.
    fn add_scaled(
        self,
        sums: &mut Sums,
        nibbles: &Self::Nibbles,
        offset: Self::Offset,
        scales: [int16x8_t; 2],
    );
}

/// Multiplies registers without memory, `P` tokens at a time.
#[cfg(any(feature = "peak", test))]
#[inline(always)]
pub(super) fn multiply_registers<K: Multiply, const P: usize>(kernels: K, turns: usize) {
    let mut sums = [kernels.no_bytes(); P];
    let weights = black_box([quarters(&[3; 64]); 4]);
    for _ in 0..turns {
        // The compiler may not see that all turns are the same.
        let x = kernels.columns(sixteen(&black_box([[5; 4]; 4])));
        kernels.add_bytes(&mut sums, weights, &[x; P]);
    }
    black_box(sums);
}

#[inline(always)]
pub(super) fn sums_of(values: &[i32; LANES]) -> Sums {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*values) }
}

/// `−8 Σ x` in every lane, given the sums of each 16 columns: side by side they are one load, and need no core register.
#[inline(always)]
pub(super) fn offsets_of<K: Multiply>(_: K, [a, b]: [i16; 2]) -> int32x4_t {
    let both = i32::from(a) & 0xffff | i32::from(b) << 16;
    // SAFETY: a value of `K` proves NEON; no memory is touched.
    unsafe { vmulq_n_s32(vpaddlq_s16(vreinterpretq_s16_s32(vdupq_n_s32(both))), -8) }
}

#[inline(always)]
pub(super) fn to_array(sums: Sums) -> [i32; LANES] {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(sums) }
}

/// A step: 4 rows × 4 columns each.
#[inline(always)]
pub(super) fn quarters(step: &Step) -> Quarters {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*step) }
}

/// The activations of 16 columns.
#[inline(always)]
pub(super) fn sixteen(x: &[[i8; 4]; 4]) -> int8x16_t {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(*x) }
}

/// The functions of a backend on top of its [`Multiply`], compiled by `$compiled` for its instructions: `TOKENS` of the module
/// that calls this meet a row block together.
macro_rules! on_quarters {
    ($compiled:ident, $token:ident) => {
        #[cfg(any(feature = "peak", test))]
        impl $token {
            /// Products of bytes in a turn of `multiply_registers`.
            pub(super) const PRODUCTS: usize = TOKENS * 16 * 16;

            /// Multiplies registers without memory.
            pub(super) fn multiply_registers(self, turns: usize) {
                // SAFETY: `new` saw every feature.
                unsafe { multiply_registers(self, turns) }
            }
        }

        $compiled! {
            fn matmul_i8(
                token: $token,
                matrix: &MatrixI8<'_>,
                x: &Activations<'_>,
                blocks: Range<usize>,
                out: &mut Columns<'_>,
            ) {
                match x.tokens() {
                    1 => bytes::vector_i8(token, matrix, x, blocks, out),
                    0..WIDEST => few_i8(token, matrix, x, blocks, out),
                    _ => many_i8(token, matrix, x, blocks, out),
                }
            }

            fn matmul_i4(
                token: $token,
                matrix: &MatrixI4<'_>,
                x: &Activations<'_>,
                blocks: Range<usize>,
                out: &mut Columns<'_>,
            ) {
                match (x.tokens(), matrix.group()) {
                    (1, 16) => nibbles::vector_i4::<_, 1, true>(token, matrix, &x.row(0), 0, blocks, out),
                    (1, 32) => nibbles::vector_i4::<_, 2, true>(token, matrix, &x.row(0), 0, blocks, out),
                    (1, _) => nibbles::vector_i4::<_, 2, false>(token, matrix, &x.row(0), 0, blocks, out),
                    (0..4, _) => few_i4(token, matrix, x, blocks, out),
                    _ => many_i4(token, matrix, x, blocks, out),
                }
            }

            #[cfg(any(feature = "peak", test))]
            fn multiply_registers(token: $token, turns: usize) {
                crate::kernels::quarters::multiply_registers::<_, TOKENS>(token, turns);
            }

            /// A few tokens. Not inlined: one token has fewer registers to save.
            #[inline(never)]
            fn few_i8(
                token: $token,
                matrix: &MatrixI8<'_>,
                x: &Activations<'_>,
                blocks: Range<usize>,
                out: &mut Columns<'_>,
            ) {
                bytes::few_i8::<_, TOKENS>(token, matrix, x, blocks, out);
            }

            /// As [`few_i8`].
            #[inline(never)]
            fn few_i4(
                token: $token,
                matrix: &MatrixI4<'_>,
                x: &Activations<'_>,
                blocks: Range<usize>,
                out: &mut Columns<'_>,
            ) {
                match matrix.group() {
                    16 => nibbles::few_i4::<_, 1, true>(token, matrix, x, blocks, out),
                    32 => nibbles::few_i4::<_, 2, true>(token, matrix, x, blocks, out),
                    _ => nibbles::few_i4::<_, 2, false>(token, matrix, x, blocks, out),
                }
            }

            /// Several tokens. Not inlined: one token needs none of this memory.
            #[inline(never)]
            fn many_i8(
                token: $token,
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
                token: $token,
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

            #[inline(never)]
            fn plain<W: Weights<R>, const R: usize, const T: usize>(
                token: $token,
                weights: W,
                tile: &mut Tile<'_, '_, '_, R, T>,
            ) {
                bytes::tile_i8::<_, _, R, T, TOKENS>(token, weights, tile);
            }

            #[inline(never)]
            fn grouped<const R: usize, const T: usize, const Q: usize>(
                token: $token,
                weights: &[[[Step; R]; Q]],
                scales: &[[[i32; LANES]; R]],
                tile: &mut Tile<'_, '_, '_, R, T>,
            ) {
                nibbles::tile_i4::<_, R, T, Q, TOKENS>(token, weights, scales, tile);
            }
        }
    };
}
pub(super) use on_quarters;
