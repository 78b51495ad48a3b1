//! x86-64 with AVX-512 and VNNI (Ice Lake, Zen 4 and later): one 64-byte step of packed weights is one `vpdpbusd`.
//!
//! That instruction multiplies unsigned by signed bytes and adds four products to an i32, without saturation. The
//! weights are its unsigned operand (`w + 128` or `q + 8`), the activations the signed one, and the excess is
//! taken off by what the sums start from: `−128 Σ x` or `−8 Σ x`. All arithmetic is modulo 2³², so the result is
//! exact whenever the sum itself fits (`MAX_COLS_I8`, `MAX_COLS_I4`).
#![allow(unsafe_code, reason = "vector loads and stores, and the calls that enter the instruction set")]

mod attention;
mod floats;
mod ports;
mod softmax;
mod stream;
mod tiles;
mod vectors;

use super::blocked::{self, FEW, Step, Tile, Tiles, Weights};
use super::features::vector_backend;
use super::lanes;
use super::scalar::finish;
use super::softmax::{FixedSoftmax, Running};
use super::sources::{Flipped, Grouped, Packed, Whole};
use super::{Activation, HeadSpan, Kernels, Pairing};
use crate::parallel::Columns;
use crate::tensor::{Activations, ActivationsMut, LANES, MatrixI4, MatrixI8};
use core::arch::x86_64::*;
use core::ops::Range;
use tiles::{Nibbles, grouped, plain};

vector_backend! {
    $ for_avx512, is_x86_feature_detected ["avx2" "f16c" "avx512f" "avx512bw" "avx512vl" "avx512dq" "avx512vnni"];
    /// Proof that the CPU has AVX-512 with VNNI.
    pub struct Avx512 = "avx512";
    tiles {
        const FLIP: u8 = 0x80;

        /// The i16 pair (s, 0).
        #[inline(always)]
        fn group_scale(scale: i8) -> i32 {
            i32::from(i16::from(scale) as u16)
        }
    }
    kernels {
        fn quantize(self, x: &[f32], token: usize, out: &mut ActivationsMut<'_>) {
            // SAFETY: `new` saw every feature.
            unsafe { floats::quantize(x, token, out) }
        }

        fn quantize_wide(self, x: &[f32], vector: usize, out: &mut ActivationsMut<'_>) {
            // SAFETY: `new` saw every feature.
            unsafe { floats::quantize_wide(x, vector, out) }
        }

        #[inline]
        fn quantize_each(self, x: &[f32], put: impl FnMut(usize, [i8; LANES])) -> f32 {
            // SAFETY: `new` saw every feature.
            unsafe { floats::quantize_each(x, put) }
        }

        fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
            // SAFETY: `new` saw every feature.
            unsafe { floats::rms_norm(x, weight, epsilon, out) }
        }

        fn activate_gated(self, activation: Activation, gate: &mut [f32], up: &[f32]) {
            match activation {
                // SAFETY: `new` saw every feature.
                Activation::Silu => unsafe { floats::silu_gated(gate, up) },
                _ => self.enter(
                    #[inline(always)]
                    || lanes::activate_gated(activation, gate, up),
                ),
            }
        }

        fn rotate(self, heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
            if matches!(width, 2 | 4 | 8 | 16) && 2 * cos.len() == width {
                // SAFETY: `new` saw every feature.
                return unsafe { floats::rotate_narrow(heads, width, cos, sin, pairing) };
            }
            self.enter(
                #[inline(always)]
                || lanes::rotate(heads, width, cos, sin, pairing),
            );
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
            // SAFETY: `new` saw every feature.
            unsafe { softmax::weights_i8(scores, value_logs, softmax, skip, query, out) }
        }

        fn attends_heads(self) -> bool {
            true
        }

        fn attend_head(self, span: &HeadSpan<'_>, softmax: &mut [FixedSoftmax], out: &mut [f32]) -> bool {
            let takes = attention::takes(span);
            if takes {
                // SAFETY: `new` saw every feature.
                unsafe { attention::attend_head(span, softmax, out) };
            }
            takes
        }

        fn add_values(self, sums: &[f32], softmax: &[FixedSoftmax], out: &mut [f32]) {
            // SAFETY: `new` saw every feature.
            unsafe { floats::add_values(sums, softmax, out) }
        }

        fn normalize<M>(self, softmax: &[Running<M>], out: &mut [f32]) {
            // SAFETY: `new` saw every feature.
            unsafe { floats::normalize(softmax, out) }
        }
    }
}
pub(super) use for_avx512;

for_avx512! {
    fn matmul_i8(
        token: Avx512,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match x.tokens() {
            1 => stream::stream_i8(matrix, &x.row(0), blocks, out),
            2 => vectors_i8::<2>(matrix, x, blocks, out),
            3 => vectors_i8::<3>(matrix, x, blocks, out),
            4 => vectors_i8::<4>(matrix, x, blocks, out),
            6 => vectors_i8::<6>(matrix, x, blocks, out),
            _ => many_i8(token, matrix, x, blocks, out),
        }
    }

    fn matmul_i4(
        token: Avx512,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if x.tokens() == 1 {
            let row = x.row(0);
            return match matrix.group() {
                0 => stream::stream_i4::<0>(matrix, &row, blocks, out),
                16 => stream::stream_i4::<2>(matrix, &row, blocks, out),
                _ => stream::stream_i4::<4>(matrix, &row, blocks, out),
            };
        }
        many_i4(token, matrix, x, blocks, out);
    }

    /// Several tokens. Not inlined: one token needs none of this memory.
    #[inline(never)]
    fn many_i8(
        token: Avx512,
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        if x.tokens() <= FEW || ports::products_leave_some() {
            blocked::matmul(token, Packed(matrix), x, blocks, out);
        } else {
            blocked::matmul(token, Flipped(matrix), x, blocks, out);
        }
    }

    /// As [`many_i8`].
    #[inline(never)]
    fn many_i4(
        token: Avx512,
        matrix: &MatrixI4<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        match (matrix.group(), ports::products_leave_some()) {
            (0, _) => blocked::matmul(token, Whole(matrix), x, blocks, out),
            (_, true) => blocked::matmul(token, Nibbles(matrix), x, blocks, out),
            (16, false) => blocked::matmul(token, Grouped::<4>(matrix), x, blocks, out),
            (_, false) => blocked::matmul(token, Grouped::<8>(matrix), x, blocks, out),
        }
    }

    /// A few tokens, straight from the packed weights: the queries and attention weights that share a head (heads of 8
    /// columns: unpacking them for `blocked` took 13 % of a token).
    #[inline]
    fn vectors_i8<const T: usize>(
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        let mut block = blocks.start;
        while block < blocks.end {
            block += match blocks.end - block {
                4.. => vector_i8::<4, T>(matrix, x, block, out),
                2..4 => vector_i8::<2, T>(matrix, x, block, out),
                _ => vector_i8::<1, T>(matrix, x, block, out),
            };
        }
    }

    /// `R` row blocks × `T` tokens.
    #[inline]
    fn vector_i8<const R: usize, const T: usize>(
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        block: usize,
        out: &mut Columns<'_>,
    ) -> usize {
        // Loops instead of `array::from_fn`, which would call its closure: it is not compiled for these features.
        let steps = matrix.steps();
        let mut weights: [&[[i8; 64]]; R] = [&[]; R];
        for r in 0..R {
            weights[r] = &matrix.block(block + r).as_chunks().0[..steps];
        }
        let mut columns: [&[[i8; 4]]; T] = [&[]; T];
        let mut sums = [[_mm512_setzero_si512(); T]; R];
        for t in 0..T {
            let row = x.row(t);
            columns[t] = &row.data.as_chunks().0[..steps];
            for r in 0..R {
                sums[r][t] = _mm512_set1_epi32(row.total.wrapping_mul(-128));
            }
        }
        let flip = _mm512_set1_epi8(-128);
        for step in 0..steps {
            for r in 0..R {
                let w = _mm512_xor_si512(load(&weights[r][step]), flip);
                for t in 0..T {
                    sums[r][t] = _mm512_dpbusd_epi32(sums[r][t], w, broadcast(columns[t][step]));
                }
            }
        }
        let scales: &[[f32; LANES]; R] = matrix.block_scales(block);
        for t in 0..T {
            let (scale, out) = (x.scales()[t], out.neighbours::<R>(t, block));
            for r in 0..R {
                finish(to_array(sums[r][t]), &scales[r], scale, &mut out[r]);
            }
        }
        R
    }

    #[inline]
    fn broadcast(x: [i8; 4]) -> __m512i {
        _mm512_set1_epi32(i32::from_le_bytes(x.map(|x| x as u8)))
    }

    #[inline]
    fn load<T: Copy, const N: usize>(values: &[T; N]) -> __m512i {
        const { assert!(size_of::<[T; N]>() == 64) };
        // SAFETY: the array has 64 bytes (just asserted); the load needs no alignment.
        unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
    }

    /// Each scale as the i16 pair (s, 0).
    #[inline]
    fn pair_with_zero(scale: &[i8; LANES]) -> __m512i {
        // SAFETY: the array has 16 bytes; the load needs no alignment.
        let scale = unsafe { _mm_loadu_si128(scale.as_ptr().cast()) };
        _mm512_and_si512(_mm512_cvtepi8_epi32(scale), _mm512_set1_epi32(0xffff))
    }

    #[inline]
    fn to_array(vector: __m512i) -> [i32; LANES] {
        let mut values = [0; LANES];
        // SAFETY: the array has 64 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(values.as_mut_ptr().cast(), vector) };
        values
    }
}
