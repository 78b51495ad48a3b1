//! The root-mean-square norm.

use super::floats::{Factor, sum_by, times};
use crate::math;

/// As [`lanes::rms_norm`].
pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let mean_square = sum_by(x, |x| times(x, x)) / x.len() as f32;
    let inverse = Factor::new(1.0 / math::sqrt(mean_square + epsilon));
    for ((out, &x), &w) in out.iter_mut().zip(x).zip(weight) {
        *out = times(inverse.times(x), w);
    }
}
