//! Activation functions with an exponential.

use super::exp::exp_nonpositive;
use super::floats::times;
use crate::math::{self, activation::SILU_LOWEST};

/// [`math::silu`].
pub(super) fn silu(x: f32) -> f32 {
    // A NaN, too, and those that the definition raises.
    if x.to_bits() << 1 > SILU_LOWEST.to_bits() << 1 {
        return math::silu(x);
    }
    let e = exp_nonpositive(-x.abs());
    let numerator = if x.is_sign_negative() { e } else { 1.0 };
    times(x, numerator / (1.0 + e))
}
