//! The activation functions of the feed-forward blocks and gates, each one exponential and at most one division.

use super::erf::minus_log_erfc;
use super::exp::{exp_nonpositive, power_of_two, reduce};

/// tanh x. Error at most 2.5 ULP.
///
/// Odd, bit for bit; `tanh(±0) = ±0` and subnormals map to themselves; ±1 from |x| ≥ 9.02 on.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    // tanh 10 = 1 - 4.1e-9 rounds to one.
    const SATURATED: f32 = 10.0;
    let a = x.abs();
    let a = if a > SATURATED { SATURATED } else { a };
    let (n, q) = reduce(-2.0 * a);
    let scale = power_of_two(n);
    // e^-2a - 1, accurate near zero; tanh a = -m / (2 + m).
    let m = scale * q + (scale - 1.0);
    (m / (2.0 + m)).copysign(x)
}

/// 1 / (1 + e^−x). Error at most 2.5 ULP.
///
/// Both tails keep their precision: e^−|x| never overflows, and a very negative x gives graded subnormals, zero from
/// −103.97209 down.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let e = exp_nonpositive(-x.abs());
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}

/// What [`silu`] takes lesser inputs for: sigmoid is zero long before, and a finite factor keeps minus infinity from
/// becoming NaN.
pub(crate) const SILU_LOWEST: f32 = -128.0;

/// x · sigmoid(x) (S. Elfwing et al., "Sigmoid-weighted linear units", arXiv 1702.03118).
///
/// Error at most 3.3 ULP for x ≥ −87; below that, where sigmoid is subnormal, less than 2e-43.
/// `silu(−∞)` is −0, the limit.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    let x = if x < SILU_LOWEST { SILU_LOWEST } else { x };
    x * sigmoid(x)
}

/// x · Φ(x), with Φ the normal distribution function (D. Hendrycks and K. Gimpel, "Gaussian error linear units",
/// arXiv 1606.08415).
///
/// Error at most 3.2 ULP for x ≥ −1; below that less than 6e-8 (2^-24), and three percent of the result down to x = −8.
/// `gelu_erf(−∞)` is −0, the limit.
#[inline(always)]
pub fn gelu_erf(x: f32) -> f32 {
    const LOWEST: f32 = -32.0;
    let x = if x < LOWEST { LOWEST } else { x };
    let half_erfc = 0.5 * exp_nonpositive(-minus_log_erfc(x.abs() * core::f32::consts::FRAC_1_SQRT_2));
    x * if x < 0.0 { half_erfc } else { 1.0 - half_erfc }
}

/// The tanh form of gelu, ½x · (1 + tanh(√(2/π) · (x + 0.044715 x³))), as x · sigmoid(2√(2/π) · (x + 0.044715 x³)).
///
/// The two are the same function; this form has no cancellation for negative x.
/// Error at most 3.2 ULP for x ≥ −1; below that less than 6e-8 (2^-24), and 256 ULP down to x = −10.
/// `gelu_tanh(−∞)` is −0, the limit.
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    const LOWEST: f32 = -32.0;
    const LINEAR: f32 = f32::from_bits(0x3fcc_422a); // 1.5957691: 2 sqrt(2 / pi)
    const CUBIC: f32 = f32::from_bits(0x3d92_2279); // 0.071354814: 0.044715 times that
    let x = if x < LOWEST { LOWEST } else { x };
    x * sigmoid(x * (LINEAR + CUBIC * (x * x)))
}

/// max(x, 0), with `relu(−0) = −0`. Exact.
#[inline(always)]
pub fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::{erfc_reference, inputs, max_error, max_ulp, max_ulp_where};

    fn sigmoid_reference(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    fn silu_reference(x: f64) -> f64 {
        x / (1.0 + (-x).exp())
    }

    fn gelu_erf_reference(x: f64) -> f64 {
        0.5 * x * erfc_reference(-x * core::f64::consts::FRAC_1_SQRT_2)
    }

    fn gelu_tanh_reference(x: f64) -> f64 {
        let inner = (2.0 / core::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
        x / (1.0 + (-2.0 * inner).exp())
    }

    #[test]
    fn tanh_error_is_within_the_documented_bound() {
        assert!(max_ulp("tanh", tanh, f64::tanh) <= 2.5);
    }

    #[test]
    fn sigmoid_error_is_within_the_documented_bound() {
        assert!(max_ulp("sigmoid", sigmoid, sigmoid_reference) <= 2.5);
    }

    #[test]
    fn silu_error_is_within_the_documented_bound() {
        assert!(max_ulp_where("silu", silu, silu_reference, |x| x >= -87.0) <= 3.3);
        // The lower end keeps the reference finite.
        assert!(max_error("silu", silu, silu_reference, |x| (-700.0..-87.0).contains(&x)) <= 2e-43);
    }

    #[test]
    fn gelu_erf_error_is_within_the_documented_bound() {
        assert!(max_ulp_where("gelu_erf", gelu_erf, gelu_erf_reference, |x| x >= -1.0) <= 3.2);
        assert!(
            max_ulp_where("gelu_erf", gelu_erf, gelu_erf_reference, |x| (-8.0..-1.0).contains(&x))
                <= 250_000.0
        );
        assert!(max_error("gelu_erf", gelu_erf, gelu_erf_reference, |x| x < -1.0 && x.is_finite()) <= 6e-8);
    }

    #[test]
    fn gelu_tanh_error_is_within_the_documented_bound() {
        assert!(max_ulp_where("gelu_tanh", gelu_tanh, gelu_tanh_reference, |x| x >= -1.0) <= 3.2);
        assert!(
            max_ulp_where("gelu_tanh", gelu_tanh, gelu_tanh_reference, |x| (-10.0..-1.0).contains(&x))
                <= 256.0
        );
        // The lower end keeps the reference finite.
        let error = max_error("gelu_tanh", gelu_tanh, gelu_tanh_reference, |x| (-20.0..-1.0).contains(&x));
        assert!(error <= 6e-8);
    }

    #[test]
    fn relu_is_exact() {
        for bits in inputs() {
            let x = f32::from_bits(bits);
            assert!(x.is_nan() && relu(x).is_nan() || relu(x) == x.max(0.0), "{x:e}");
        }
    }

    #[test]
    fn gates_are_bounded_and_odd_or_complementary() {
        for bits in inputs().step_by(64) {
            let x = f32::from_bits(bits);
            assert!(x.is_nan() || (tanh(-x) == -tanh(x) && tanh(x).abs() <= 1.0), "{x:e}");
            assert!(x.is_nan() || (0.0..=1.0).contains(&sigmoid(x)), "{x:e}");
        }
    }

    #[test]
    fn zeros_subnormals_infinities_and_nan() {
        assert_eq!(tanh(-0.0).to_bits(), 1 << 31);
        assert_eq!(tanh(f32::from_bits(3)).to_bits(), 3);
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert_eq!((sigmoid(0.0), sigmoid(-0.0)), (0.5, 0.5));
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
        assert_eq!(sigmoid(-103.972_08).to_bits(), 1);
        assert_eq!(relu(-0.0).to_bits(), 1 << 31);
        assert_eq!((relu(f32::INFINITY), relu(f32::NEG_INFINITY)), (f32::INFINITY, 0.0));
        for gate in [silu, gelu_erf, gelu_tanh] {
            assert_eq!(gate(0.0).to_bits(), 0);
            assert_eq!(gate(-0.0).to_bits(), 1 << 31);
            assert_eq!(gate(f32::from_bits(4)).to_bits(), 2);
            assert_eq!(gate(f32::INFINITY), f32::INFINITY);
            for x in [f32::NEG_INFINITY, f32::MIN, -1000.0] {
                assert_eq!(gate(x).to_bits(), 1 << 31);
            }
            assert_eq!(gate(f32::MAX), f32::MAX);
        }
        for f in [tanh, sigmoid, silu, gelu_erf, gelu_tanh, relu] {
            assert!(f(f32::NAN).is_nan() && f(-f32::NAN).is_nan());
        }
    }
}
