//! Activation functions with an exponential.

use super::SIGN;
use super::exp::exp_nonpositive;
use super::floats::times;
use crate::math::{self, activation::SILU_LOWEST};

/// [`math::silu`].
pub(super) fn silu(x: f32) -> f32 {
    // A NaN, too, and those that the definition raises.
    if x.to_bits() << 1 > SILU_LOWEST.to_bits() << 1 {
        return math::silu(x);
    }
    times(x, sigmoid(exp_nonpositive(-x.abs()), x.is_sign_negative()))
}

/// e ÷ (1 + e), or 1 ÷ (1 + e), for e from 0 to 1.
#[inline(always)]
fn sigmoid(e: f32, is_negative: bool) -> f32 {
    // What Arm's cores have no instruction for, they have a function for that is as short.
    let bits = if cfg!(target_arch = "arm") { None } else { in_integers(e.to_bits(), is_negative) };
    bits.map_or_else(|| if is_negative { e } else { 1.0 } / (1.0 + e), f32::from_bits)
}

/// [`sigmoid`] in bits, for e from 2⁻³⁰ to 1 − 2⁻⁸.
#[inline(always)]
fn in_integers(e: u32, is_negative: bool) -> Option<u32> {
    let (exponent, mantissa) = (e >> 23, e << 8 | SIGN);
    if exponent < 127 - 30 || e >= 0x3f7f_0000 {
        return None;
    }
    // 1 + e, rounded to 24 bits.
    let by = 127 - exponent;
    let sum = SIGN + (mantissa >> by);
    let more = u32::from(mantissa << (32 - by) != 0);
    let divisor = (sum + 0x7f + (sum >> 8 & 1 | more)) >> 8;
    let (dividend, exponent) = if is_negative { (mantissa >> 8, exponent) } else { (1 << 23, 127) };
    let (dividend, exponent) =
        if dividend < divisor { (dividend << 1, exponent - 1) } else { (dividend, exponent) };
    // As many bits at a time as fit into 32. Never a tie: the quotient would have 25 bits, its product with the divisor more.
    let (first, rest) = ((dividend << 7) / divisor, (dividend << 7) % divisor);
    let (second, rest) = ((rest << 8) / divisor, (rest << 8) % divisor);
    let (third, rest) = ((rest << 8) / divisor, (rest << 8) % divisor);
    let up = u32::from(2 * rest > divisor);
    Some(((exponent - 1) << 23) + (first << 16) + (second << 8) + third + up)
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
