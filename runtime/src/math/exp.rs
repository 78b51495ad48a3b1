//! The exponential: Cody–Waite reduction, a degree-6 polynomial, and scaling that grades into subnormals.
//!
//! e^x = 2^n · e^r with n = round(x / ln 2) and |r| ≤ 0.3475 (W. J. Cody and W. Waite, "Software Manual for the
//! Elementary Functions", 1980). [`reduce`] is shared with tanh, sigmoid and erf.

use super::round::SHIFT;

/// 1 / ln 2.
pub(crate) const LOG2_E: f32 = f32::from_bits(0x3fb8_aa3b);
/// The first 15 bits of ln 2: its product with |n| ≤ 256 is exact, and so is `x - n * LN2_HI`.
pub(crate) const LN2_HI: f32 = f32::from_bits(0x3f31_7200);
/// ln 2 − `LN2_HI`.
pub(crate) const LN2_LO: f32 = f32::from_bits(0x35bf_be8e);

// Minimax for (e^r - 1 - r) / r^2 on |r| <= 0.3475 with weight r^2 e^-r: relative error of e^r below 2^-28.
pub(crate) const P2: f32 = f32::from_bits(0x3eff_fffe); // 0.49999994
pub(crate) const P3: f32 = f32::from_bits(0x3e2a_aa45); // 0.16666515
pub(crate) const P4: f32 = f32::from_bits(0x3d2a_ac28); // 0.041668087
pub(crate) const P5: f32 = f32::from_bits(0x3c09_1f5f); // 0.008369296
pub(crate) const P6: f32 = f32::from_bits(0x3ab5_6159); // 0.0013838216

/// e^-104 is below half the least subnormal, so everything at or below it rounds to zero.
pub(crate) const LOWEST: f32 = -104.0;
/// e^89 exceeds `f32::MAX`.
const HIGHEST: f32 = 89.0;

/// `(n, q)` with e^x ≈ 2^n · (1 + q), for −104 ≤ x ≤ 89.
///
/// `q` is accurate relative to itself, so that 2^n − 1 + 2^n·q is e^x − 1 without cancellation.
#[inline(always)]
pub(super) fn reduce(x: f32) -> (i32, f32) {
    let shifted = x * LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let exact = x - n * LN2_HI;
    let low = n * LN2_LO;
    let r = exact - low;
    let p = (((P6 * r + P5) * r + P4) * r + P3) * r + P2;
    // Not r + r² p: that would add the rounding of r, a quarter ULP, for one subtraction less.
    let q = exact + ((r * r) * p - low);
    (shifted.to_bits().wrapping_sub(SHIFT.to_bits()) as i32, q)
}

/// 2^n for −126 ≤ n ≤ 127. Other `n` (which only a NaN input brings here) give some unspecified value.
#[inline(always)]
pub(super) fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// e^x. Error at most 0.9 ULP.
///
/// Overflows to infinity above 88.722836, grades through the subnormals below −87.33655 and is zero from −103.97209
/// down. `exp(±0)` is one.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = if x < LOWEST { LOWEST } else { x };
    let x = if x > HIGHEST { HIGHEST } else { x };
    let (n, q) = reduce(x);
    // n is in -150..=128. The first product is exact; only the second can round, once, or overflow.
    let half = n >> 1;
    ((1.0 + q) * power_of_two(half)) * power_of_two(n.wrapping_sub(half))
}

/// e^x for x ≤ 0 (or NaN), with the same bits as [`exp`] in fewer operations; other inputs give unspecified values.
#[inline(always)]
pub fn exp_nonpositive(x: f32) -> f32 {
    const DOWN: f32 = f32::from_bits((127 - 64) << 23);
    let x = if x < LOWEST { LOWEST } else { x };
    let (n, q) = reduce(x);
    // n is in -150..=0: the first product is exact, the second rounds once.
    ((1.0 + q) * power_of_two(n.wrapping_add(64))) * DOWN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::{inputs, max_ulp};

    #[test]
    fn exp_error_is_within_the_documented_bound() {
        assert!(max_ulp("exp", exp, f64::exp) <= 0.9);
    }

    #[test]
    fn exp_nonpositive_has_the_bits_of_exp() {
        for bits in inputs() {
            let x = f32::from_bits(bits | 1 << 31);
            let (got, want) = (exp_nonpositive(x), exp(x));
            assert!(got.to_bits() == want.to_bits() || (got.is_nan() && x.is_nan()), "{x:e}");
        }
        assert_eq!(exp_nonpositive(0.0), 1.0);
    }

    #[test]
    fn exp_edges() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(f32::NEG_INFINITY).to_bits(), 0);
        assert!(exp(f32::NAN).is_nan() && exp_nonpositive(f32::NAN).is_nan());
        assert!(exp(88.722_83).is_finite());
        assert_eq!(exp(88.722_84), f32::INFINITY);
        assert_eq!(exp(-103.972_08).to_bits(), 1);
        assert_eq!(exp(-103.972_09).to_bits(), 0);
        assert!(exp(-90.0).is_subnormal());
        assert_eq!(exp(f32::from_bits(1)), 1.0);
    }
}
