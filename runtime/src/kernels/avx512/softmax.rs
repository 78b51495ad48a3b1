//! The weights of attention from scores, 16 positions at a time: the integers of [`softmax`](crate::kernels::softmax).
//!
//! Steps are raised by [`RAISED`]: a lane beyond the last position is 0, less than any score, and weighs nothing without
//! being masked off again.
#![allow(unsafe_code, reason = "vector loads and stores")]

use super::for_avx512;
use super::vectors::*;
use crate::activations::RowMut;
use crate::kernels::softmax::{FixedSoftmax, Scale};
use crate::math::fixed::{COEFFICIENTS, MOST_STEPS, POINT};
use crate::tensor::{ActivationsMut, LANES};
use core::arch::x86_64::*;

/// What steps are raised by.
const RAISED: i32 = 2 * MOST_STEPS;

/// The largest score of a span, in each lane, and the largest sum of a score and its value's logarithm.
#[derive(Clone, Copy)]
pub(super) struct Most {
    score: __m512i,
    sum: __m512i,
}

impl Most {
    /// That of no position.
    #[inline(always)]
    pub(super) fn none() -> Self {
        // SAFETY: all bits 0 are a vector.
        unsafe { core::mem::zeroed() }
    }
}

for_avx512! {
    /// The first lanes' scores as steps, and their sums with the logarithms of the values' scales.
    #[inline]
    pub(super) fn steps(scores: __m512, logs: __m512i, lanes: __mmask16, most: &mut Most) -> [__m512i; 2] {
        let limit = _mm512_set1_ps(MOST_STEPS as f32);
        // A NaN becomes the limit's opposite: the first gives its second operand then.
        let scores = _mm512_min_ps(_mm512_max_ps(scores, _mm512_sub_ps(_mm512_setzero_ps(), limit)), limit);
        let steps = _mm512_maskz_add_epi32(lanes, _mm512_cvttps_epi32(scores), _mm512_set1_epi32(RAISED));
        let sums = _mm512_add_epi32(steps, logs);
        most.score = _mm512_max_epi32(most.score, steps);
        most.sum = _mm512_max_epi32(most.sum, sums);
        [steps, sums]
    }

    /// Takes the span into `softmax`, and makes both digits of its weights: `at(chunk)` gives what [`steps`] gave for 16 of so
    /// many times 16 columns.
    #[inline]
    pub(super) fn weigh(
        most: Most,
        chunks: usize,
        softmax: &mut FixedSoftmax,
        rows: [RowMut<'_>; 2],
        at: impl Fn(usize) -> [__m512i; 2],
    ) {
        let [score, sum] = [most.score, most.sum].map(|lanes| _mm512_reduce_max_epi32(lanes) - RAISED);
        let Scale { base, unit } = softmax.raise(score, sum);
        let max = _mm512_set1_epi32(softmax.max + RAISED);
        let base = _mm512_set1_epi32(base + RAISED);
        let mut total = _mm512_setzero_si512();
        put_digits(rows, unit, |line| {
            let mut weights = [_mm512_setzero_si512(); 4];
            for i in 0..4 {
                if 4 * line + i >= chunks {
                    break;
                }
                let [steps, sums] = at(4 * line + i);
                let powers = exp2_down(_mm512_sub_epi32(max, steps), _mm512_sub_epi32(base, sums));
                total = _mm512_add_epi32(total, powers[0]);
                weights[i] = _mm512_srli_epi32::<7>(_mm512_add_epi32(powers[1], _mm512_set1_epi32(64)));
            }
            [_mm512_packs_epi32(weights[0], weights[1]), _mm512_packs_epi32(weights[2], weights[3])]
        });
        softmax.add(_mm512_reduce_add_epi32(total));
    }

    /// [`fixed::exp2_down`](crate::math::fixed::exp2_down) of both, whose polynomials lie side by side in 16 bits.
    #[inline]
    fn exp2_down(a: __m512i, b: __m512i) -> [__m512i; 2] {
        let parts = _mm512_mask_blend_epi16(0xaaaa_aaaa, a, _mm512_slli_epi32::<16>(b));
        let d = _mm512_and_si512(parts, _mm512_set1_epi16(i16::MAX));
        let mut p = _mm512_set1_epi16(COEFFICIENTS[4] as i16);
        for i in [3, 2, 1, 0] {
            p = _mm512_sub_epi16(_mm512_set1_epi16(COEFFICIENTS[i] as i16), _mm512_mulhrs_epi16(d, p));
        }
        let (a_whole, b_whole) = (_mm512_srli_epi32::<POINT>(a), _mm512_srli_epi32::<POINT>(b));
        let a = _mm512_srli_epi32::<9>(_mm512_slli_epi32::<16>(p));
        let b = _mm512_slli_epi32::<7>(_mm512_srli_epi32::<16>(p));
        [_mm512_srlv_epi32(a, a_whole), _mm512_srlv_epi32(b, b_whole)]
    }

    /// See [`softmax::weights_i8`](crate::kernels::softmax::weights_i8).
    pub(super) fn weights_i8(
        scores: &mut [f32],
        logs: &[i32],
        softmax: &mut FixedSoftmax,
        skip: usize,
        query: usize,
        out: &mut ActivationsMut<'_>,
    ) {
        let (mut most, rows) = (Most::none(), out.pair_mut(2 * query));
        let (chunks, rest) = scores.as_chunks_mut::<LANES>();
        let (log_chunks, rest_logs) = logs.as_chunks::<LANES>();
        for (chunk, logs) in chunks.iter_mut().zip(log_chunks) {
            let [steps, _] = steps(load(chunk), load_integers(logs), !0, &mut most);
            store(_mm512_castsi512_ps(steps), chunk);
        }
        // Not stored: a load that waits for a masked store takes long.
        let last = steps(sixteen(rest, 0), some_integers(rest_logs), first(rest.len()), &mut most);
        if skip != 0 {
            store(_mm512_castsi512_ps(last[0]), rest);
            return weigh_shifted(most, softmax, rows, scores, logs, skip);
        }
        let chunks = &*chunks;
        weigh(most, chunks.len() + usize::from(!rest.is_empty()), softmax, rows, |chunk| {
            let (Some(steps), Some(logs)) = (chunks.get(chunk), log_chunks.get(chunk)) else { return last };
            let steps = _mm512_castps_si512(load(steps));
            [steps, _mm512_add_epi32(steps, load_integers(logs))]
        });
    }

    /// As [`weigh`], where column `skip` is the first position's. Not inlined: few spans begin elsewhere than at their first column.
    #[inline(never)]
    fn weigh_shifted(
        most: Most,
        softmax: &mut FixedSoftmax,
        rows: [RowMut<'_>; 2],
        steps: &[f32],
        logs: &[i32],
        skip: usize,
    ) {
        weigh(most, (skip + steps.len()).div_ceil(LANES), softmax, rows, |chunk| {
            let column = LANES * chunk;
            let before = skip.saturating_sub(column);
            if before >= LANES {
                return [_mm512_setzero_si512(); 2];
            }
            // The lanes before `skip` are those that the shifted mask leaves out.
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let from = _mm512_sub_epi32(lanes, _mm512_set1_epi32(before as i32));
            let start = (column + before).saturating_sub(skip);
            let shifted = |x: &[f32]| {
                let x = _mm512_castps_si512(sixteen(x, start));
                _mm512_maskz_permutexvar_epi32(!first(before), from, x)
            };
            let (steps, logs) = (shifted(steps), shifted(bytemuck::cast_slice(logs)));
            [steps, _mm512_add_epi32(steps, logs)]
        });
    }

    #[inline]
    fn load_integers(lanes: &[i32; LANES]) -> __m512i {
        // SAFETY: there are 16 elements; the load needs no alignment.
        unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
    }

    /// At most 16, zeros beyond the last.
    #[inline]
    pub(super) fn some_integers(x: &[i32]) -> __m512i {
        _mm512_castps_si512(sixteen(bytemuck::cast_slice(x), 0))
    }
}
