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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::inputs;

    #[test]
    fn silu_is_that_of_the_definition() {
        for x in inputs().map(f32::from_bits) {
            let (found, expected) = (silu(x), math::silu(x));
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "silu({x:e}) is {expected:e}, not {found:e}"
            );
        }
    }
}
