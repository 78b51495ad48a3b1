//! The f32 operations that a token of a small model waits for, on whole vectors: the bits of [`lanes`], which says
//! what they mean, without its arrays in memory and loops over what the last vector does not fill.
//!
//! Elements beyond the last are masked off; what they leave in a lane (0, or nothing) is what they are in [`lanes`].
#![allow(unsafe_code, reason = "vector loads and stores")]

use super::for_avx512;
use super::vectors::*;
use crate::activations::RowMut;
use crate::kernels::Pairing;
use crate::kernels::lanes;
use crate::kernels::softmax::{FixedSoftmax, Running};
use crate::math::{self, activation::SILU_LOWEST};
use crate::quant::WIDE_MAX;
use crate::tensor::{ActivationsMut, LANES};
use core::arch::x86_64::*;

for_avx512! {
    /// See [`lanes::quantize`].
    pub(super) fn quantize(x: &[f32], token: usize, out: &mut ActivationsMut<'_>) {
        quantize_row(x, out.row_mut(token));
    }

    /// As [`quantize`], to the row given.
    #[inline]
    pub(super) fn quantize_row(x: &[f32], mut row: RowMut<'_>) {
        if let (0..=LANES, [line], []) = (x.len(), &mut *row.data, &*row.sums) {
            (*row.total, *row.scale) = quantize_sixteen(x, line);
            return;
        }
        let (scale, inverse) = lanes::step_of(absmax(x));
        let mut total = _mm512_setzero_si512();
        for line in 0..row.data.len() {
            let mut x16 = [_mm512_setzero_ps(); 4];
            for i in 0..4 {
                x16[i] = sixteen(x, 64 * line + LANES * i);
            }
            let [a, b] = rounded(&x16, inverse, 127.0);
            total = put(&mut row, line, bytes(a, b), total);
        }
        *row.total = _mm512_reduce_add_epi32(total);
        *row.scale = scale;
    }

    /// See [`lanes::quantize_wide`].
    pub(super) fn quantize_wide(x: &[f32], vector: usize, out: &mut ActivationsMut<'_>) {
        let (scale, inverse) = lanes::wide_step_of(absmax(x));
        put_digits(out.pair_mut(2 * vector), scale, |line| {
            let mut elements = [_mm512_setzero_ps(); 4];
            for i in 0..4 {
                elements[i] = sixteen(x, 64 * line + LANES * i);
            }
            rounded(&elements, inverse, WIDE_MAX as f32)
        });
    }

    /// [`quantize`] of at most 16 elements, a small head's: half the operations. Returns their sum and the scale.
    #[inline]
    fn quantize_sixteen(x: &[f32], line: &mut [i8; 64]) -> (i32, f32) {
        let x = sixteen(x, 0);
        let (scale, inverse) = lanes::step_of(absmax_of_16(x));
        let values = _mm512_cvtepi32_epi8(integers(x, inverse, 127.0));
        // SAFETY: the array has 64 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), _mm512_zextsi128_si512(values)) };
        let fours = _mm_dpbusd_epi32(_mm_setzero_si128(), _mm_set1_epi8(1), values);
        let eights = _mm_add_epi32(fours, _mm_shuffle_epi32::<0b10_11_00_01>(fours));
        let sum = _mm_add_epi32(eights, _mm_shuffle_epi32::<0b01_00_11_10>(eights));
        (_mm_cvtsi128_si32(sum), scale)
    }

    /// See [`lanes::quantize_each`].
    #[inline]
    pub(super) fn quantize_each(x: &[f32], mut put: impl FnMut(usize, [i8; LANES])) -> f32 {
        // A small head's is one vector.
        let largest = if x.len() <= LANES { absmax_of_16(sixteen(x, 0)) } else { absmax(x) };
        let (scale, inverse) = lanes::step_of(largest);
        for chunk in 0..x.len().div_ceil(LANES) {
            let values = _mm512_cvtepi32_epi8(integers(sixteen(x, LANES * chunk), inverse, 127.0));
            let mut sixteen = [0; LANES];
            // SAFETY: the array has 16 bytes; the store needs no alignment.
            unsafe { _mm_storeu_si128(sixteen.as_mut_ptr().cast(), values) };
            put(chunk, sixteen);
        }
        scale
    }

    /// See [`lanes::rms_norm`].
    pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        let mut squares = _mm512_setzero_ps();
        for start in (0..x.len()).step_by(LANES) {
            let x = sixteen(x, start);
            squares = _mm512_add_ps(squares, _mm512_mul_ps(x, x));
        }
        let inverse = 1.0 / math::sqrt(fold(squares) / x.len() as f32 + epsilon);
        let inverse = _mm512_set1_ps(inverse);
        for (chunk, out) in out.chunks_mut(LANES).enumerate() {
            let (x, weight) = (sixteen(x, LANES * chunk), sixteen(weight, LANES * chunk));
            store(_mm512_mul_ps(_mm512_mul_ps(x, inverse), weight), out);
        }
    }

    /// `gate = silu(gate) · up`: see [`lanes::activate_gated`] and [`math::silu`].
    pub(super) fn silu_gated(gate: &mut [f32], up: &[f32]) {
        let (one, sign) = (_mm512_set1_ps(1.0), _mm512_set1_ps(-0.0));
        for (chunk, gate) in gate.chunks_mut(LANES).enumerate() {
            let x = _mm512_max_ps(_mm512_set1_ps(SILU_LOWEST), sixteen(gate, 0));
            let e = exp_nonpositive(_mm512_or_ps(x, sign));
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps());
            let numerator = _mm512_mask_mov_ps(one, negative, e);
            let sigmoid = _mm512_div_ps(numerator, _mm512_add_ps(one, e));
            store(_mm512_mul_ps(_mm512_mul_ps(x, sigmoid), sixteen(up, LANES * chunk)), gate);
        }
    }

    /// See [`lanes::rotate`]: of heads that a vector holds one or several of, rotated as a whole.
    pub(super) fn rotate_narrow(heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let within = _mm512_and_si512(lanes, _mm512_set1_epi32(width as i32 - 1));
        let (distance, angles) = match pairing {
            Pairing::Interleaved => (1, _mm512_srli_epi32::<1>(within)),
            Pairing::HalfSplit => {
                let half = width as i32 / 2;
                (half, _mm512_and_si512(within, _mm512_set1_epi32(half - 1)))
            }
        };
        let distance = _mm512_set1_epi32(distance);
        let (others, firsts) = (_mm512_xor_si512(lanes, distance), _mm512_testn_epi32_mask(lanes, distance));
        let cos = _mm512_permutexvar_ps(angles, sixteen(cos, 0));
        let sin = _mm512_permutexvar_ps(angles, sixteen(sin, 0));
        for heads in heads.chunks_mut(LANES) {
            let x = sixteen(heads, 0);
            let (straight, crossed) =
                (_mm512_mul_ps(x, cos), _mm512_mul_ps(_mm512_permutexvar_ps(others, x), sin));
            // a · cos − b · sin, and b · cos + a · sin.
            let sum = _mm512_add_ps(straight, crossed);
            store(_mm512_mask_sub_ps(sum, firsts, straight, crossed), heads);
        }
    }

    /// See [`lanes::add_values`].
    pub(super) fn add_values(sums: &[f32], softmax: &[FixedSoftmax], out: &mut [f32]) {
        let (width, stride) = (out.len() / softmax.len(), sums.len() / (2 * softmax.len()));
        for ((out, softmax), sums) in out.chunks_exact_mut(width).zip(softmax).zip(sums.chunks_exact(2 * stride)) {
            let (high, low) = sums.split_at(stride);
            let correction = _mm512_set1_ps(softmax.correction);
            for (chunk, out) in out.chunks_mut(LANES).enumerate() {
                let sum = _mm512_add_ps(sixteen(high, LANES * chunk), sixteen(low, LANES * chunk));
                store(_mm512_add_ps(_mm512_mul_ps(sixteen(out, 0), correction), sum), out);
            }
        }
    }

    /// See [`lanes::normalize`].
    pub(super) fn normalize<M>(softmax: &[Running<M>], out: &mut [f32]) {
        let width = out.len() / softmax.len();
        for (out, softmax) in out.chunks_exact_mut(width).zip(softmax) {
            let factor = _mm512_set1_ps(1.0 / softmax.sum);
            for out in out.chunks_mut(LANES) {
                store(_mm512_mul_ps(sixteen(out, 0), factor), out);
            }
        }
    }
}
