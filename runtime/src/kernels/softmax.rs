//! The softmax of attention, a span of positions after the other, by the largest score and the sum of exponentials so far
//! (Milakov and Gimelshein 2018): in f32 over an f32 cache, in fixed point over an int8 cache.
//!
//! Plain Rust for every instruction set, as in [`lanes`](super::lanes).

use super::lanes::{larger, max_by, sum_by};
use crate::math;
use crate::math::fixed::{MOST_STEPS, POINT, exp2_down, exp2_steps, whole_steps};
use crate::quant::split_wide;
use crate::tensor::ActivationsMut;
use core::convert::identity;

/// The softmax of one query's scores so far, whose largest is an `M`.
#[derive(Clone, Copy, Debug)]
pub struct Running<M> {
    pub(super) max: M,
    /// Sum of the exponentials of score − max over the spans so far.
    pub sum: f32,
    /// What sums over the spans before the latest are to be multiplied by.
    pub correction: f32,
}

/// That of scores in f32.
pub type Softmax = Running<f32>;

/// That of scores in steps of a logarithm to the base 2 (see [`math::fixed`]); exponentials are in units of 2⁻²².
pub type FixedSoftmax = Running<i32>;

impl Softmax {
    /// Before the first span. The smallest finite maximum rather than −∞, whose difference from itself is NaN.
    pub const EMPTY: Self = Self { max: f32::MIN, sum: 0.0, correction: 0.0 };

    /// Takes in a span: `scores = exp(scores − max)`.
    #[inline(always)]
    pub fn extend(&mut self, scores: &mut [f32]) {
        let max = larger(self.max, max_by(scores, identity));
        // Nothing stands before the first span, and mostly the maximum holds. The exponential of the first, an underflow, would
        // take 150 cycles on x86.
        self.correction = if max == self.max {
            1.0
        } else if self.sum == 0.0 {
            0.0
        } else {
            math::exp_nonpositive(self.max - max)
        };
        self.max = max;
        exponentials(scores, max);
        self.sum = self.sum * self.correction + sum_by(scores, identity);
    }
}

inlined_for_features! {
    /// `scores = exp(scores − max)`.
    fn exponentials(scores: &mut [f32], max: f32) {
        for score in scores {
            *score = math::exp_nonpositive(*score - max);
        }
    }
}

/// By how many steps the largest power of two that digits stand for, 32,512, is below 2¹⁵.
const DIGITS_BELOW: i32 = 371;

/// How the weights of a span become digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// What the steps of a score and of its value's scale are subtracted from.
    pub(super) base: i32,
    /// What a unit of the digits stands for.
    pub(super) unit: f32,
}

/// Less than any score, with a value's scale or without.
pub(super) const LEAST: i32 = -2 * MOST_STEPS;

impl FixedSoftmax {
    /// Before the first span.
    pub const EMPTY: Self = Self { max: LEAST, sum: 0.0, correction: 0.0 };

    /// Takes in a span whose largest score is `most`, and whose largest sum of a score and its value's scale is `heaviest`.
    #[inline(always)]
    pub(super) fn raise(&mut self, most: i32, heaviest: i32) -> Scale {
        let max = self.max.max(most);
        self.correction = if max == self.max { 1.0 } else { exp2_steps(self.max - max) };
        self.max = max;
        let base = heaviest.wrapping_add(DIGITS_BELOW);
        Scale { base, unit: exp2_steps(base.wrapping_sub(max).wrapping_add(7 << POINT)) }
    }

    /// Adds the sum of the span's exponentials.
    #[inline(always)]
    pub(super) fn add(&mut self, sum: i32) {
        self.sum = self.sum * self.correction + sum as f32;
    }
}

/// Weights of a span for an int8 cache: 2^score times each position's value scale, as two int8 digits of base 255 (tokens
/// `2 query` and `2 query + 1` of `out`).
///
/// `scores`, in steps as all logarithms here, is overwritten and has one element for each attended position; those lie at
/// columns `skip ..` of `out`, the columns before are 0. `value_logs` are the logarithms of the value scales.
#[inline(always)]
pub fn weights_i8(
    scores: &mut [f32],
    value_logs: &[i32],
    softmax: &mut FixedSoftmax,
    skip: usize,
    query: usize,
    out: &mut ActivationsMut<'_>,
) {
    weights_by(whole_steps, scores, value_logs, softmax, skip, query, out);
}

/// As [`weights_i8`], scores made whole by `whole`, which gives what [`whole_steps`] does.
#[inline(always)]
pub(super) fn weights_by(
    whole: impl Fn(f32) -> i32,
    scores: &mut [f32],
    value_logs: &[i32],
    softmax: &mut FixedSoftmax,
    skip: usize,
    query: usize,
    out: &mut ActivationsMut<'_>,
) {
    let (mut most, mut heaviest) = (LEAST, LEAST);
    for (score, log) in scores.iter_mut().zip(value_logs) {
        let steps = whole(*score);
        most = most.max(steps);
        // Of what was saved and damaged, sums may wrap.
        heaviest = heaviest.max(steps.wrapping_add(*log));
        *bytemuck::cast_mut(score) = steps;
    }
    let (scores, scale) = (&*bytemuck::cast_slice_mut(scores), softmax.raise(most, heaviest));
    softmax.add(exponentials_below(softmax.max, scores));
    out.fill(
        2 * query,
        [scale.unit * 255.0, scale.unit],
        #[inline(always)]
        |start, digits| digits_below(scale.base, scores, value_logs, skip, start, digits),
    );
}

/// A weight's digits.
#[inline(always)]
fn digits(base: i32, score: i32, log: i32) -> [i8; 2] {
    let weight = exp2_down(base.wrapping_sub(score.wrapping_add(log)).cast_unsigned());
    split_wide(((weight + 64) >> 7).cast_signed())
}

inlined_for_features! {
    /// Σ 2^(score − max): of 256 at most 2³⁰.
    fn exponentials_below(max: i32, scores: &[i32]) -> i32 {
        scores.iter().map(|score| exp2_down((max - score).cast_unsigned()).cast_signed()).sum()
    }

    /// Both digits of columns `start ..`, of which column `skip` is the first score's: those before it and after the last are 0.
    fn digits_below(
        base: i32,
        scores: &[i32],
        value_logs: &[i32],
        skip: usize,
        start: usize,
        [high, low]: &mut [[i8; 64]; 2],
    ) {
        let whole = start.checked_sub(skip).and_then(|first| {
            Some((scores.get(first..)?.first_chunk::<64>()?, value_logs.get(first..)?.first_chunk::<64>()?))
        });
        if let Some((scores, logs)) = whole {
            for l in 0..64 {
                [high[l], low[l]] = digits(base, scores[l], logs[l]);
            }
        } else {
            (*high, *low) = ([0; 64], [0; 64]);
            let (first, before) = (start.saturating_sub(skip), skip.saturating_sub(start).min(64));
            let (scores, logs) = (scores.get(first..), value_logs.get(first..));
            let positions = scores.unwrap_or_default().iter().zip(logs.unwrap_or_default());
            for ((high, low), (&score, &log)) in high[before..].iter_mut().zip(&mut low[before..]).zip(positions) {
                [*high, *low] = digits(base, score, log);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conformance::Random;
    use crate::math::fixed::{STEPS_PER_NAT, log2_steps};
    use crate::tensor::ActivationShape;
    use std::vec;
    use std::vec::Vec;

    /// The weights that the digits of one span stand for.
    fn weights(scores: &[f32], logs: &[i32], softmax: &mut FixedSoftmax) -> Vec<f64> {
        let shape = ActivationShape { tokens: 2, cols: scores.len() };
        let (mut data, mut totals, mut scale) = (vec![0; shape.data_len()], [0; 2], [0.0; 2]);
        let mut out =
            ActivationsMut::new(shape, &mut data, &mut [], &mut totals, &mut scale).expect("it fits");
        weights_i8(&mut scores.to_vec(), logs, softmax, 0, 0, &mut out);
        let out = out.as_activations();
        let digits = [0, 1].map(|token| (out.row(token).data, f64::from(out.row(token).scale)));
        let of = |i: usize| digits.map(|(data, scale)| f64::from(data[i]) * scale).iter().sum();
        (0..scores.len()).map(of).collect()
    }

    #[test]
    fn weights_are_those_of_exact_exponentials() {
        let mut random = Random::new(2);
        for spread in [0.01, 1.0, 10.0, 1000.0] {
            let mut softmax = FixedSoftmax::EMPTY;
            let mut found: Vec<f64> = vec![];
            let scores: Vec<f32> = (0..600).map(|_| random.float() * spread).collect();
            let scales: Vec<f32> = (0..600).map(|_| random.float().abs() + 0.001).collect();
            let logs: Vec<i32> = scales.iter().map(|&scale| log2_steps(scale)).collect();
            let steps: Vec<f32> = scores.iter().map(|score| score * STEPS_PER_NAT).collect();
            for (steps, logs) in steps.chunks(256).zip(logs.chunks(256)) {
                let span = weights(steps, logs, &mut softmax);
                found.iter_mut().for_each(|weight| *weight *= f64::from(softmax.correction));
                found.extend(span);
            }
            let largest = scores.iter().copied().fold(f32::MIN, f32::max);
            let exact: Vec<f64> = scores.iter().map(|&score| f64::from(score - largest).exp()).collect();
            let sum: f64 = exact.iter().sum();
            for (span, found) in found.chunks(256).enumerate() {
                let weights = exact[256 * span..].iter().zip(&scales[256 * span..]);
                let weights: Vec<f64> =
                    weights.map(|(e, &scale)| e / sum * f64::from(scale)).take(256).collect();
                let heaviest = weights.iter().copied().fold(0.0, f64::max);
                for (found, expected) in found.iter().zip(weights) {
                    let (found, bound) =
                        (found / f64::from(softmax.sum), 5e-4 * expected + heaviest / 64_000.0);
                    assert!((found - expected).abs() <= bound, "{spread}: {found:e}, not {expected:e}");
                }
            }
        }
    }

    #[test]
    fn the_heaviest_weight_has_the_largest_digits() {
        assert_eq!(digits(5 + DIGITS_BELOW, 5, 0), [127, 127]);
    }
}
