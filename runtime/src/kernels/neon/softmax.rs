//! The weights of attention from scores, 16 positions at a time: the integers of [`softmax`](crate::kernels::softmax), for all
//! AArch64 backends.
//!
//! Polynomials, shifts and digits take 16 bits, eight positions a register; in the plain loops LLVM keeps them in 32.
//! The last 1 to 16 positions are the last 16: those that had their turn are weighed again, but not added again.
#![allow(unsafe_code, reason = "vectors and the arrays of their bytes are the same")]

use super::for_neon;
use crate::activations::{RowMut, sums_of_16};
use crate::kernels::quarters::{Sums, sixteen, sums_of, to_array};
use crate::kernels::softmax::{FixedSoftmax, LEAST};
use crate::math::fixed::{COEFFICIENTS, MOST_STEPS, POINT};
use crate::tensor::{ActivationsMut, LANES};
use core::arch::aarch64::*;
use core::mem::transmute;

/// 16 positions' scores in steps, and the logarithms of their values' scales.
type Positions = (Sums, Sums);

/// The largest score of a span, in each lane, and the largest sum of a score and its value's logarithm.
#[derive(Clone, Copy)]
struct Most {
    score: int32x4_t,
    sum: int32x4_t,
}

/// What weighing subtracts from, and what it has summed up.
struct Weighing {
    /// A score's steps less this are −1 − d + 2¹⁵, d below the largest: bits from [`POINT`] on are −⌊d / 2¹⁵⌋, those before
    /// the complement of d's.
    max: int32x4_t,
    base: int32x4_t,
    /// Of the exponentials, in units of 2⁻¹⁵.
    wholes: uint32x4_t,
    /// Of what those leave, in units of 2⁻²².
    parts: uint16x8_t,
    /// Of the high digits and the low ones, within 2 · 17 · 127.
    digits: [int16x8_t; 2],
}

for_neon! {
    /// See [`softmax::weights_i8`](crate::kernels::softmax::weights_i8).
    pub(in crate::kernels) fn weights_i8(
        scores: &mut [f32],
        logs: &[i32],
        softmax: &mut FixedSoftmax,
        skip: usize,
        query: usize,
        out: &mut ActivationsMut<'_>,
    ) {
        let (most, last) = all_steps(scores, logs);
        let scale = softmax.raise(vmaxvq_s32(most.score), vmaxvq_s32(most.sum));
        let mut weighing = Weighing::new(softmax.max, scale.base);
        let [mut high, mut low] = out.pair_mut(2 * query);
        let steps = bytemuck::cast_slice(scores);
        let [highs, lows] = [&mut high, &mut low].map(|row| columns(row, skip, steps.len()));
        weigh_all(&mut weighing, steps, logs, last, highs, lows);
        softmax.add(weighing.sum());
        finish(high, weighing.digits[0], scale.unit * 255.0);
        finish(low, weighing.digits[1], scale.unit);
    }

    /// Makes the scores of all chunks of 16 but the last steps, and returns those of the last 16 positions.
    #[inline]
    fn all_steps(scores: &mut [f32], logs: &[i32]) -> (Most, Positions) {
        let least = vdupq_n_s32(LEAST);
        let mut most = Most { score: least, sum: least };
        // Before the first of them become steps. The sum of what stands for none is less than any.
        let last_logs = sums_of(&last_sixteen(logs, LEAST));
        let last = steps(&last_sixteen(scores, f32::MIN), last_logs, &mut most);
        let chunks = chunks(scores.len());
        for (scores, logs) in scores.as_chunks_mut().0[..chunks].iter_mut().zip(logs.as_chunks().0) {
            *scores = bytemuck::cast(to_array(steps(scores, sums_of(logs), &mut most)));
        }
        (most, (last, last_logs))
    }

    /// Scores as steps, taken into `most`.
    #[inline]
    fn steps(scores: &[f32; LANES], logs: Sums, most: &mut Most) -> Sums {
        let limit = vdupq_n_f32(MOST_STEPS as f32);
        let mut steps = sums_of(bytemuck::cast_ref(scores));
        for i in 0..4 {
            // The larger of a number and NaN is the number. (Not where it signals, which no result of arithmetic does.)
            let score = vmaxnmq_f32(vreinterpretq_f32_s32(steps[i]), vnegq_f32(limit));
            steps[i] = vcvtq_s32_f32(vminnmq_f32(score, limit));
            most.score = vmaxq_s32(most.score, steps[i]);
            most.sum = vmaxq_s32(most.sum, vaddq_s32(steps[i], logs[i]));
        }
        steps
    }

    /// Writes both digits of all weights.
    #[inline]
    fn weigh_all(
        weighing: &mut Weighing,
        steps: &[i32],
        logs: &[i32],
        last: Positions,
        high: &mut [i8],
        low: &mut [i8],
    ) {
        let chunks = chunks(steps.len());
        let positions = steps.as_chunks().0[..chunks].iter().zip(logs.as_chunks().0);
        let columns = high.as_chunks_mut().0.iter_mut().zip(low.as_chunks_mut().0);
        for ((steps, logs), (high, low)) in positions.zip(columns) {
            [*high, *low] = weighing.weigh((sums_of(steps), sums_of(logs)), vdupq_n_s8(-1));
        }
        let fresh = steps.len() - LANES * chunks;
        let fresh = FRESH[fresh..].first_chunk::<LANES>().expect("at most 16 are left");
        let digits = weighing.weigh(last, sixteen(bytemuck::cast_ref(fresh)));
        for (digits, columns) in digits.iter().zip([high, low]) {
            match columns.last_chunk_mut() {
                Some(columns) => *columns = *digits,
                None => columns.copy_from_slice(&digits[LANES - columns.len()..]),
            }
        }
    }

    /// Writes a row's sums.
    #[inline]
    fn finish(row: RowMut<'_>, total: int16x8_t, unit: f32) {
        for (sums, values) in row.sums.iter_mut().zip(&*row.data) {
            *sums = sums_of_16(values);
        }
        (*row.total, *row.scale) = (vaddlvq_s16(total), unit);
    }
}

impl Weighing {
    for_neon! {
        #[inline]
        fn new(max: i32, base: i32) -> Self {
            Self {
                max: vdupq_n_s32(max + 1 - (1 << POINT)),
                base: vdupq_n_s32(base),
                wholes: vdupq_n_u32(0),
                parts: vdupq_n_u16(0),
                digits: [vdupq_n_s16(0); 2],
            }
        }

        /// Both digits of 16 weights. Those of positions that are not `fresh`, where bits are not set, are not added.
        #[inline]
        fn weigh(&mut self, (steps, logs): Positions, fresh: int8x16_t) -> [[i8; LANES]; 2] {
            let mut weights = [vdupq_n_u16(0); 2];
            let fresh_words = [vmovl_s8(vget_low_s8(fresh)), vmovl_high_s8(fresh)];
            for i in 0..2 {
                let (steps, logs) = ([steps[2 * i], steps[2 * i + 1]], [logs[2 * i], logs[2 * i + 1]]);
                self.add_exponentials(steps, vreinterpretq_u16_s16(fresh_words[i]));
                weights[i] = self.weights(steps, logs);
            }
            let [a, b] = weights;
            // (257 v + 2¹⁵) >> 16 without its products: ⌊(v + ⌊v / 256⌋ + 128) / 256⌋.
            let high = vraddhn_u16(a, vshrq_n_u16::<8>(a));
            let high = vraddhn_high_u16(high, b, vshrq_n_u16::<8>(b));
            // v − 255 high, modulo 256.
            let low = vaddq_u8(vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b)), high);
            let digits = [high, low].map(|digits| vreinterpretq_s8_u8(digits));
            for i in 0..2 {
                self.digits[i] = vpadalq_s8(self.digits[i], vandq_s8(digits[i], fresh));
            }
            digits.map(bytes)
        }

        /// Adds 2^(score − max) where `fresh`.
        #[inline]
        fn add_exponentials(&mut self, steps: [int32x4_t; 2], fresh: uint16x8_t) {
            let [a, b] = steps.map(|steps| vsubq_s32(steps, self.max));
            let d = vbicq_s16(vdupq_n_s16(i16::MAX), low_halves(a, b));
            let left = vqshrn_high_n_s32::<{ POINT as i32 }>(vqshrn_n_s32::<{ POINT as i32 }>(a), b);
            // A shift takes the low byte of a lane.
            let left = vmaxq_s16(left, vdupq_n_s16(-31));
            let mantissa = vandq_u16(mantissa(d), fresh);
            self.wholes = vpadalq_u16(self.wholes, vshlq_u16(mantissa, left));
            // The bits to the right of a whole one, of which the first seven count.
            let parts = vshlq_u16(mantissa, vaddq_s16(left, vdupq_n_s16(16)));
            self.parts = vsraq_n_u16::<9>(self.parts, parts);
        }

        /// The sum of all exponentials, in units of 2⁻²².
        #[inline]
        fn sum(&self) -> i32 {
            ((vaddvq_u32(self.wholes) << 7) + vaddlvq_u16(self.parts)).cast_signed()
        }

        /// What digits are made of.
        #[inline]
        fn weights(&self, steps: [int32x4_t; 2], logs: [int32x4_t; 2]) -> uint16x8_t {
            let a = vsubq_s32(self.base, vaddq_s32(steps[0], logs[0]));
            let b = vsubq_s32(self.base, vaddq_s32(steps[1], logs[1]));
            let d = vandq_s16(low_halves(a, b), vdupq_n_s16(i16::MAX));
            let [a, b] = [vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)];
            let whole = vqshrn_high_n_u32::<{ POINT as i32 }>(vqshrn_n_u32::<{ POINT as i32 }>(a), b);
            let whole = vminq_u16(whole, vdupq_n_u16(31));
            // Seven bits more, rounded down, and those off again, to the nearest: to the nearest at once.
            vrshlq_u16(mantissa(d), vnegq_s16(vreinterpretq_s16_u16(whole)))
        }
    }
}

for_neon! {
    /// That of [`fixed`](crate::math::fixed), of d < 2¹⁵.
    #[inline]
    fn mantissa(d: int16x8_t) -> uint16x8_t {
        let mut p = vdupq_n_s16(COEFFICIENTS[4] as i16);
        for i in [3, 2, 1, 0] {
            p = vsubq_s16(vdupq_n_s16(COEFFICIENTS[i] as i16), vqrdmulhq_s16(d, p));
        }
        vreinterpretq_u16_s16(p)
    }

    #[inline]
    fn low_halves(a: int32x4_t, b: int32x4_t) -> int16x8_t {
        vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b))
    }
}

/// From as many elements on as there are fresh ones of 16, those at the end have all bits set.
static FRESH: [i8; 2 * LANES] = {
    let mut fresh = [0; 2 * LANES];
    let mut i = LANES;
    while i < 2 * LANES {
        fresh[i] = -1;
        i += 1;
    }
    fresh
};

/// Chunks of 16 before the last 1 to 16 positions.
#[inline(always)]
fn chunks(positions: usize) -> usize {
    positions.saturating_sub(1) / LANES
}

/// The last 16 elements, after `none` where there are fewer.
#[inline(always)]
fn last_sixteen<T: Copy>(x: &[T], none: T) -> [T; LANES] {
    x.last_chunk().copied().unwrap_or_else(|| {
        let mut sixteen = [none; LANES];
        sixteen[LANES - x.len()..].copy_from_slice(x);
        sixteen
    })
}

/// The positions' columns of a row; all others become 0.
#[inline(always)]
fn columns<'a>(row: &'a mut RowMut<'_>, skip: usize, positions: usize) -> &'a mut [i8] {
    let (before, rest) = row.data.as_flattened_mut().split_at_mut(skip);
    let (columns, after) = rest.split_at_mut(positions);
    before.fill(0);
    after.fill(0);
    columns
}

#[inline(always)]
fn bytes(digits: int8x16_t) -> [i8; LANES] {
    // SAFETY: as many bytes, plain numbers both.
    unsafe { transmute(digits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conformance::Random;
    use crate::kernels::softmax;
    use crate::tensor::ActivationShape;
    use std::vec;
    use std::vec::Vec;

    /// What is written of two spans, by `weights`: digits, sums of 16 (if kept), totals and scales, and the softmax.
    fn written(
        weights: impl Fn(&mut [f32], &[i32], &mut FixedSoftmax, usize, usize, &mut ActivationsMut<'_>),
        (scores, logs): (&[f32], &[i32]),
        skip: usize,
        sums: bool,
    ) -> (Vec<i8>, Vec<i16>, [i32; 2], [u32; 4]) {
        let mut softmax = FixedSoftmax::EMPTY;
        let shape = ActivationShape { tokens: 2, cols: skip + scores.len() + skip };
        let mut data = vec![77; shape.data_len()];
        let mut summed = vec![77; if sums { shape.sums_len() } else { 0 }];
        let (mut totals, mut scale) = ([77; 2], [0.0; 2]);
        let mut out =
            ActivationsMut::new(shape, &mut data, &mut summed, &mut totals, &mut scale).expect("it fits");
        let first = scores.iter().map(|score| score - 1e4).collect::<Vec<f32>>();
        for scores in [&first, scores] {
            weights(&mut scores.to_vec(), logs, &mut softmax, skip, 0, &mut out);
        }
        let floats = [scale[0], scale[1], softmax.sum, softmax.correction].map(f32::to_bits);
        (data, summed, totals, floats)
    }

    #[test]
    fn weights_are_those_of_the_definition_at_every_length() {
        let mut random = Random::new(9);
        for positions in 1..=256 {
            for (skip, sums, spread, damaged) in [
                (0, false, 3e4, false),
                (5, true, 3e5, false),
                (64, false, 3e9, false),
                (0, false, 3e5, true),
            ] {
                let score = |random: &mut Random| match random.within(0, 20) {
                    0 => f32::NAN,
                    _ => random.float() * spread,
                };
                let scores: Vec<f32> = (0..positions).map(|_| score(&mut random)).collect();
                let log = |random: &mut Random| random.bits().cast_signed() >> if damaged { 0 } else { 12 };
                let logs: Vec<i32> = (0..positions).map(|_| log(&mut random)).collect();
                let span = (&*scores, &*logs);
                let expected = written(softmax::weights_i8, span, skip, sums);
                // SAFETY: tests run where the backends do, and those of AArch64 all have NEON.
                let found =
                    written(|a, b, c, d, e, f| unsafe { weights_i8(a, b, c, d, e, f) }, span, skip, sums);
                assert!(found == expected, "{positions} positions from column {skip}, {spread:e}, {damaged}");
            }
        }
    }
}
