//! The natural logarithm.
//!
//! x = 2^k · m with m in [√½, √2); then ln m = 2 artanh(s), s = (m − 1) / (m + 1), in the form of K. C. Ng that keeps
//! m − 1 as the leading term.

/// Bits of √½, the lower end of the interval of m.
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
/// The first 15 bits of ln 2: its product with |k| ≤ 256 is exact.
const LN2_HI: f32 = f32::from_bits(0x3f31_7200);
/// ln 2 − `LN2_HI`.
const LN2_LO: f32 = f32::from_bits(0x35bf_be8e);

// Minimax for (2 artanh(s) - 2s) / s^3 in z = s^2 <= 0.02945; error relative to s below 2^-29.
const L0: f32 = f32::from_bits(0x3f2a_aabd); // 0.66666776
const L1: f32 = f32::from_bits(0x3ecc_af69); // 0.39977577
const L2: f32 = f32::from_bits(0x3e98_f09b); // 0.29871067

/// ln x. Error at most 0.85 ULP.
///
/// Subnormal inputs are exact inputs like any other. `log(1)` is +0, `log(±0)` is −∞, `log(∞)` is ∞; a negative input
/// gives NaN.
#[inline(always)]
pub fn log(x: f32) -> f32 {
    const TWO_23: f32 = 8_388_608.0;
    let tiny = x < f32::MIN_POSITIVE;
    let bits = if tiny { x * TWO_23 } else { x }.to_bits();
    // Adding 1 - sqrt(1/2) in the bit pattern moves the binade's edge to sqrt(1/2).
    let moved = bits.wrapping_add(0x3f80_0000 - SQRT_HALF_BITS);
    let k = (moved >> 23) as i32 - if tiny { 127 + 23 } else { 127 };
    let f = f32::from_bits((moved & 0x007f_ffff).wrapping_add(SQRT_HALF_BITS)) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let tail = z * ((L2 * z + L1) * z + L0);
    let half_square = (0.5 * f) * f;
    let k = k as f32;
    let finite = k * LN2_HI - ((half_square - (s * (half_square + tail) + k * LN2_LO)) - f);
    let upper = if x < f32::INFINITY { finite } else { x };
    let positive = if x > 0.0 { upper } else { f32::NEG_INFINITY };
    // False for negative numbers and NaN.
    if x >= 0.0 { positive } else { f32::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::max_ulp;

    #[test]
    fn log_error_is_within_the_documented_bound() {
        assert!(max_ulp("log", log, f64::ln) <= 0.85);
    }

    #[test]
    fn log_edges() {
        assert_eq!(log(1.0).to_bits(), 0);
        assert_eq!(log(0.0), f32::NEG_INFINITY);
        assert_eq!(log(-0.0), f32::NEG_INFINITY);
        assert_eq!(log(f32::INFINITY), f32::INFINITY);
        assert!(log(-f32::from_bits(1)).is_nan());
        assert!(log(f32::NEG_INFINITY).is_nan());
        assert!(log(f32::NAN).is_nan());
        assert_eq!(log(f32::from_bits(1)), -103.278_93);
        assert_eq!(log(f32::MAX), 88.722_84);
    }
}
