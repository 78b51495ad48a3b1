//! x86-64 with AVX-512 and VNNI (Ice Lake, Zen 4 and later): one 64-byte step of packed weights is one `vpdpbusd`.
//!
//! That instruction multiplies unsigned by signed bytes and adds four products to an i32, without saturation. The
//! weights are its unsigned operand (`w + 128` or `q + 8`), the activations the signed one, and the excess is
//! taken off by what the sums start from: `−128 Σ x` or `−8 Σ x`. All arithmetic is modulo 2³², so the result is
//! exact whenever the sum itself fits (`MAX_COLS_I8`, `MAX_COLS_I4`).
#![allow(unsafe_code, reason = "vector loads and stores, and the calls that enter the instruction set")]

mod attention;
mod floats;
mod softmax;
mod vectors;

use super::blocked::{self, FEW, Offsets, Quads, Step, Tile, Tiles, Weights};
use super::features::vector_backend;
use super::lanes;
use super::scalar::finish;
use super::softmax::{FixedSoftmax, Running};
use super::sources::{Flipped, Grouped, Packed, Whole};
use super::{Activation, HeadSpan, Kernels, Pairing};
use crate::parallel::Columns;
use crate::tensor::{Activations, ActivationsMut, LANES, MatrixI4, MatrixI8, Row};
use core::arch::x86_64::*;
use core::hint::black_box;
use core::ops::Range;

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
            1 => vectors_i8::<1>(matrix, x, blocks, out),
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
                0 => vectors_i4::<0>(matrix, &row, blocks, out),
                16 => vectors_i4::<2>(matrix, &row, blocks, out),
                _ => vectors_i4::<4>(matrix, &row, blocks, out),
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
        if x.tokens() <= FEW {
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
        match matrix.group() {
            0 => blocked::matmul(token, Whole(matrix), x, blocks, out),
            16 => blocked::matmul(token, Grouped::<4>(matrix), x, blocks, out),
            _ => blocked::matmul(token, Grouped::<8>(matrix), x, blocks, out),
        }
    }

    /// `T` tokens, straight from the packed weights: one token's projections, and the queries and attention weights
    /// that share its heads (heads of 8 columns: unpacking them for `blocked` took 13 % of a token).
    #[inline]
    fn vectors_i8<const T: usize>(
        matrix: &MatrixI8<'_>,
        x: &Activations<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        // Eight sums wait for no product, and keep long rows coming: 768 columns from L3 at 15.7 GB/s, with four
        // 14.9. Between, four: 288 columns at 23.3 GB/s, with eight 20.8.
        let eight = T == 1 && !(32..128).contains(&matrix.steps());
        let starts = starts(matrix.stride());
        let mut block = blocks.start;
        while block < blocks.end {
            block += match blocks.end - block {
                8.. if eight => vector_i8::<8, T>(matrix, &starts, x, block, out),
                4.. => vector_i8::<4, T>(matrix, &starts, x, block, out),
                2..4 => vector_i8::<2, T>(matrix, &starts, x, block, out),
                _ => vector_i8::<1, T>(matrix, &starts, x, block, out),
            };
        }
    }

    /// Where each of eight row blocks begins. The compiler must not know by which factors: it would add the distance to an
    /// address before every load, 12 of 44 instructions of a step, where these take one register and one of four others.
    #[inline]
    fn starts(stride: usize) -> [usize; 8] {
        let [three, five, seven] = black_box([3, 5, 7]).map(|factor| factor * stride);
        [0, stride, 2 * stride, three, 4 * stride, five, 2 * three, seven]
    }

    /// `R` row blocks × `T` tokens.
    #[inline]
    fn vector_i8<const R: usize, const T: usize>(
        matrix: &MatrixI8<'_>,
        starts: &[usize; 8],
        x: &Activations<'_>,
        block: usize,
        out: &mut Columns<'_>,
    ) -> usize {
        // Loops instead of `array::from_fn`, which would call its closure: it is not compiled for these features.
        let (steps, weights) = (matrix.steps(), matrix.neighbours::<R>(block));
        let (weights, next) = (weights.as_ptr(), weights.as_ptr().wrapping_add(R * matrix.stride()));
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
                if T == 1 {
                    prefetch(next.wrapping_add(starts[r] + 64 * step));
                }
                // SAFETY: step `step` of the `steps` of one of `R` row blocks.
                let w: &[i8; 64] = unsafe { &*weights.add(starts[r] + 64 * step).cast() };
                let w = _mm512_xor_si512(load(w), flip);
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

    /// One token, straight from the packed weights; groups of `S` steps, 0 for the whole row.
    #[inline]
    fn vectors_i4<const S: usize>(
        matrix: &MatrixI4<'_>,
        row: &Row<'_>,
        blocks: Range<usize>,
        out: &mut Columns<'_>,
    ) {
        let mut block = blocks.start;
        while block < blocks.end {
            block += match blocks.end - block {
                4.. => vector_i4::<4, S>(matrix, row, block, out),
                2..4 => vector_i4::<2, S>(matrix, row, block, out),
                _ => vector_i4::<1, S>(matrix, row, block, out),
            };
        }
    }

    /// `R` row blocks × one token.
    #[inline]
    fn vector_i4<const R: usize, const S: usize>(
        matrix: &MatrixI4<'_>,
        row: &Row<'_>,
        block: usize,
        out: &mut Columns<'_>,
    ) -> usize {
        let steps = matrix.steps();
        let x = &row.data.as_chunks::<4>().0.as_chunks::<2>().0[..steps];
        let mut weights: [&[[u8; 64]]; R] = [&[]; R];
        for r in 0..R {
            weights[r] = &matrix.block(block + r).as_chunks().0[..steps];
        }
        let sums = if S == 0 {
            nibbles(weights, 0, steps, x, row.total.wrapping_mul(-8))
        } else {
            let mut scales: [&[[i8; LANES]]; R] = [&[]; R];
            for r in 0..R {
                scales[r] = matrix.block_group_scale(block + r).as_chunks().0;
            }
            let mut sums = [_mm512_setzero_si512(); R];
            let mut add = |group: usize, products: [__m512i; R]| {
                for r in 0..R {
                    let scale = pair_with_zero(&scales[r][group * S * 8 / matrix.group()]);
                    sums[r] = _mm512_dpwssd_epi32(sums[r], products[r], scale);
                }
            };
            let offset = |group: usize| match S {
                2 => -8 * i32::from(row.sums[group]),
                _ => -8 * (i32::from(row.sums[2 * group]) + i32::from(row.sums[2 * group + 1])),
            };
            let (whole, last) = x.as_chunks::<S>();
            for group in 0..whole.len() {
                add(group, nibbles(weights, group * S, S, x, offset(group)));
            }
            if !last.is_empty() {
                let group = whole.len();
                add(group, nibbles(weights, group * S, last.len(), x, offset(group)));
            }
            sums
        };
        for r in 0..R {
            finish(
                to_array(sums[r]),
                matrix.block_scale(block + r),
                row.scale,
                out.block(0, block + r),
            );
        }
        R
    }

    /// `offset + Σ w · x` over steps `first ..`. The high nibbles stay where they are, which makes their sum 16
    /// times too large: one shift at the end instead of one for every step.
    #[inline]
    fn nibbles<const R: usize>(
        weights: [&[[u8; 64]]; R],
        first: usize,
        steps: usize,
        x: &[[[i8; 4]; 2]],
        offset: i32,
    ) -> [__m512i; R] {
        let (low_mask, high_mask) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(0xf0u8 as i8));
        let mut low = [_mm512_set1_epi32(offset); R];
        let mut high = [_mm512_setzero_si512(); R];
        for step in first..first + steps {
            let [x_low, x_high] = [broadcast(x[step][0]), broadcast(x[step][1])];
            for r in 0..R {
                prefetch(weights[r].as_ptr().wrapping_add(step + R * weights[r].len()));
                let w = load(&weights[r][step]);
                low[r] = _mm512_dpbusd_epi32(low[r], _mm512_and_si512(w, low_mask), x_low);
                high[r] = _mm512_dpbusd_epi32(high[r], _mm512_and_si512(w, high_mask), x_high);
            }
        }
        for r in 0..R {
            low[r] = _mm512_add_epi32(low[r], _mm512_srai_epi32::<4>(high[r]));
        }
        low
    }

    /// Each scale as the i16 pair (s, 0).
    #[inline]
    fn pair_with_zero(scale: &[i8; LANES]) -> __m512i {
        // SAFETY: the array has 16 bytes; the load needs no alignment.
        let scale = unsafe { _mm_loadu_si128(scale.as_ptr().cast()) };
        _mm512_and_si512(_mm512_cvtepi8_epi32(scale), _mm512_set1_epi32(0xffff))
    }

    #[inline(never)]
    fn plain<W: Weights<R>, const R: usize, const T: usize>(
        _: Avx512,
        weights: W,
        x: &[Quads<'_>; T],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let mut sums = start(tile);
        let (steps, mut x, flip) = (weights.steps(), *x, _mm512_set1_epi8(-128));
        let weights = weights.first(steps);
        for x in &mut x {
            *x = &x[..steps];
        }
        for step in 0..steps {
            let mut w = [_mm512_setzero_si512(); R];
            for r in 0..R {
                w[r] = load(weights.at(step, r));
                if W::PACKED {
                    w[r] = _mm512_xor_si512(w[r], flip);
                }
            }
            for t in 0..T {
                let x = broadcast(x[t][step]);
                for r in 0..R {
                    sums[r][t] = _mm512_dpbusd_epi32(sums[r][t], w[r], x);
                }
            }
        }
        end(&sums, tile);
    }

    /// Within a group the sum fits i16, so the low half of each i32 is all of it, and `vpdpwssd` by the pair
    /// (s, 0) multiplies and adds in one operation.
    #[inline(never)]
    fn grouped<const R: usize, const T: usize, const Q: usize>(
        _: Avx512,
        weights: &[[[Step; R]; Q]],
        scales: &[[[i32; LANES]; R]],
        offsets: &Offsets<T>,
        x: &[&[[[i8; 4]; Q]]; T],
        tile: &mut Tile<'_, '_, '_, R, T>,
    ) {
        let mut sums = start(tile);
        let (groups, mut x) = (weights.len(), *x);
        let scales = &scales[..groups];
        for x in &mut x {
            *x = &x[..groups];
        }
        for group in 0..groups {
            let mut products = [[_mm512_setzero_si512(); T]; R];
            for t in 0..T {
                let offset = _mm512_set1_epi32(offsets[t][group]);
                for r in 0..R {
                    products[r][t] = offset;
                }
            }
            for step in 0..Q {
                for t in 0..T {
                    let x = broadcast(x[t][group][step]);
                    for r in 0..R {
                        products[r][t] = _mm512_dpbusd_epi32(products[r][t], load(&weights[group][step][r]), x);
                    }
                }
            }
            for r in 0..R {
                let scale = load(&scales[group][r]);
                for t in 0..T {
                    sums[r][t] = _mm512_dpwssd_epi32(sums[r][t], products[r][t], scale);
                }
            }
        }
        end(&sums, tile);
    }

    /// What the sums of a tile start from.
    #[inline]
    fn start<const R: usize, const T: usize>(tile: &mut Tile<'_, '_, '_, R, T>) -> [[__m512i; T]; R] {
        let mut sums = [[_mm512_setzero_si512(); T]; R];
        for t in 0..T {
            match tile.bias(t) {
                Some(bias) => {
                    for r in 0..R {
                        sums[r][t] = _mm512_set1_epi32(bias);
                    }
                }
                None => {
                    let out = tile.out(t);
                    for r in 0..R {
                        sums[r][t] = load(&out[r]);
                    }
                }
            }
        }
        sums
    }

    /// Writes the sums of a tile, or after the last column its results, as [`finish`] computes them.
    #[inline]
    fn end<const R: usize, const T: usize>(sums: &[[__m512i; T]; R], tile: &mut Tile<'_, '_, '_, R, T>) {
        let (row_scales, last) = (tile.row_scales, tile.last);
        for t in 0..T {
            let scale = _mm512_set1_ps(tile.scale(t));
            let out = tile.out(t);
            for r in 0..R {
                let row_scale = _mm512_castsi512_ps(load(row_scales[r]));
                let result = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][t]), _mm512_mul_ps(row_scale, scale));
                let result = if last { _mm512_castps_si512(result) } else { sums[r][t] };
                // SAFETY: the array has 64 bytes; the store needs no alignment.
                unsafe { _mm512_storeu_si512(out[r].as_mut_ptr().cast(), result) };
            }
        }
    }

    /// Asks for a step of the row blocks taken next, and after the last ones the beginning of the next matrix of the file, or
    /// whatever stands there: nothing is read.
    ///
    /// The hardware's own prefetchers stop at every page of 4 KiB, which is where a block of a few hundred columns
    /// ends. One core, 59 MB of int4 from L3: 9.5 GB/s without, 12.0 at 1 to 8 KiB ahead, 13.2 here, 14.3 reading
    /// alone. Into L2 only (`T1`): the same. `NTA`: 5 GB/s, because what does not pass through L2 never gets into an
    /// L3 that holds what L2 evicts.
    #[inline]
    fn prefetch<T>(step: *const T) {
        _mm_prefetch::<_MM_HINT_T0>(step.cast());
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

    #[inline]
    fn to_array(vector: __m512i) -> [i32; LANES] {
        let mut values = [0; LANES];
        // SAFETY: the array has 64 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(values.as_mut_ptr().cast(), vector) };
        values
    }
}
