//! Weights of attention.

use super::exp::exp_nonpositive;
use super::floats::{multiply, sum_by};
use super::rounding::{largest, largest_positive, wide_digits};
use crate::kernels::lanes::{self, Softmax};
use crate::tensor::ActivationsMut;
use core::convert::identity;

/// As [`lanes::weights_i8`].
pub(super) fn weights_i8(
    scores: &mut [f32],
    value_scale: &[f32],
    softmax: &mut Softmax,
    skip: usize,
    query: usize,
    out: &mut ActivationsMut<'_>,
) {
    if largest(scores).is_none() {
        return lanes::weights_i8(scores, value_scale, softmax, skip, query, out);
    }
    let max = softmax.raise(maximum(scores));
    for score in &mut *scores {
        *score = if score.to_bits() == max.to_bits() { 1.0 } else { exp_nonpositive(*score - max) };
    }
    softmax.add(sum_by(scores, identity));
    multiply(scores, value_scale);
    match largest_positive(scores) {
        Some(largest) => wide_digits(scores, largest, skip, 2 * query, out),
        None => lanes::wide_weights(scores, skip, query, out),
    }
}

/// The largest of `x`, none of which is a NaN.
fn maximum(x: &[f32]) -> f32 {
    // Their order is that of these integers; the function is its own inverse.
    let ordered = |bits: i32| bits ^ (bits >> 31 & i32::MAX);
    let most = x.iter().fold(i32::MIN, |most, x| most.max(ordered(x.to_bits().cast_signed())));
    f32::from_bits(ordered(most).cast_unsigned())
}
