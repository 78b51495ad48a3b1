//! The error function, by way of its complement: erfc(a) = e^-t(a) for a ≥ 0.
//!
//! t(a) = −ln erfc(a) is smooth and nearly a polynomial, so one polynomial and the reduction of [`super::exp`] serve
//! both ends: erf = 1 − e^-t without cancellation near zero, and erfc with a relative error near its end, which is what
//! gelu needs for negative inputs.

use super::exp::{power_of_two, reduce};

// Minimax for t(a) / a - 1 on [0, 6]: error of erf relative to itself below 2^-26, of erfc below 1.4 %, most of it past 5.
const T: [f32; 10] = [
    f32::from_bits(0x3e03_75d4), // 0.12837917: 2 / sqrt(pi) - 1
    f32::from_bits(0x3f22_f97d), // 0.6366194: 2 / pi
    f32::from_bits(0x3dd2_7d89), // 0.1027785
    f32::from_bits(0xbc9c_ec50), // -0.019155651
    f32::from_bits(0xb928_bfa4), // -0.0001609312
    f32::from_bits(0x3adc_561e), // 0.0016810333
    f32::from_bits(0xba2b_f995), // -0.0006560323
    f32::from_bits(0x390c_7d0b), // 0.00013398023
    f32::from_bits(0xb774_c31a), // -0.000014588959
    f32::from_bits(0x3530_8528), // 0.0000006575888
];

/// −ln erfc(a) for a ≥ 0. The polynomial is positive everywhere, so it grows without bound past its interval.
#[inline(always)]
pub(super) fn minus_log_erfc(a: f32) -> f32 {
    let high = (((T[9] * a + T[8]) * a + T[7]) * a + T[6]) * a + T[5];
    let p = ((((high * a + T[4]) * a + T[3]) * a + T[2]) * a + T[1]) * a + T[0];
    a + a * p
}

/// erf x = 2/√π ∫₀ˣ e^(−u²) du. Error at most 2.1 ULP.
///
/// Odd, bit for bit, with `erf(±0) = ±0`; subnormal inputs keep their precision; ±1 from |x| ≥ 3.92 on.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    // e^-20 is lost against one.
    const SATURATED: f32 = 20.0;
    let t = minus_log_erfc(x.abs());
    let t = if t > SATURATED { SATURATED } else { t };
    let (n, q) = reduce(-t);
    let scale = power_of_two(n);
    ((1.0 - scale) - scale * q).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::{erf_reference, inputs, max_ulp};

    #[test]
    fn erf_error_is_within_the_documented_bound() {
        assert!(max_ulp("erf", erf, erf_reference) <= 2.1);
    }

    #[test]
    fn erf_is_odd_and_bounded_by_one() {
        for bits in inputs().step_by(64) {
            let x = f32::from_bits(bits);
            assert!(x.is_nan() || (erf(-x) == -erf(x) && erf(x).abs() <= 1.0), "{x:e}");
        }
    }

    #[test]
    fn erf_edges() {
        assert_eq!(erf(0.0).to_bits(), 0);
        assert_eq!(erf(-0.0).to_bits(), 1 << 31);
        assert_eq!(erf(f32::INFINITY), 1.0);
        assert_eq!(erf(f32::NEG_INFINITY), -1.0);
        assert!(erf(f32::NAN).is_nan());
        assert_eq!(erf(f32::MAX), 1.0);
        assert_eq!(erf(f32::from_bits(100)).to_bits(), 113);
    }
}
