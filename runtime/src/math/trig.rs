//! Sine and cosine of any finite angle in radians, for rotary embeddings.
//!
//! The angle is reduced modulo π/2 in integers, after M. H. Payne and R. N. Hanek, "Radian reduction for trigonometric
//! functions" (1983): only the bits of 2/π that matter are multiplied. The result is as accurate at 10^30 as at one, so
//! no angle is out of range. This is not vector code: rotary tables are computed once per position.

/// 2/π with 224 bits after the binary point and 32 (zero) before it, highest word first: wider ones would be shifted in pieces
/// by 32-bit cores, in half a kilobyte.
static TWO_OVER_PI: [u32; 8] =
    [0x0000_0000, 0xa2f9_836e, 0x4e44_1529, 0xfc27_57d1, 0xf534_ddc0, 0xdb62_9599, 0x3c43_9041, 0xfe51_63ab];
/// π/2 · 2^62.
const HALF_PI: i64 = 0x6487_ed51_10b4_611a;
/// The largest `f32` below π/4.
const QUARTER_PI: f32 = f32::from_bits(0x3f49_0fda);
/// 2^-62.
const UNIT: f32 = f32::from_bits((127 - 62) << 23);

// Minimax for (sin r / r - 1) / r^2 in z = r^2 <= 0.617: relative error below 2^-32.
const S0: f32 = f32::from_bits(0xbe2a_aaab); // -0.16666667
const S1: f32 = f32::from_bits(0x3c08_88bb); // 0.00833338
const S2: f32 = f32::from_bits(0xb950_2ddd); // -0.00019853511
const S3: f32 = f32::from_bits(0x363e_6c17); // 0.0000028375123

// Minimax for (cos r - 1 + z / 2) / z^2: absolute error of cos below 2^-33.
const C0: f32 = f32::from_bits(0x3d2a_aaa5); // 0.041666646
const C1: f32 = f32::from_bits(0xbab6_060d); // -0.0013887301
const C2: f32 = f32::from_bits(0x37cc_f077); // 0.000024430671

/// sin x for any finite x in radians. Error at most 0.9 ULP.
///
/// Odd, bit for bit; `sin(±0) = ±0`; subnormals map to themselves; infinities give NaN.
#[inline]
pub fn sin(x: f32) -> f32 {
    sin_cos(x).0
}

/// cos x for any finite x in radians. Error at most 0.9 ULP.
///
/// Even, bit for bit; infinities give NaN.
#[inline]
pub fn cos(x: f32) -> f32 {
    sin_cos(x).1
}

/// (sin x, cos x) with one reduction; the same bits as [`sin`] and [`cos`].
#[inline]
pub fn sin_cos(x: f32) -> (f32, f32) {
    let a = x.abs();
    if a < f32::INFINITY {
        let (quadrant, r, r_low) = if a <= QUARTER_PI { (0, a, 0.0) } else { reduce(a) };
        let (s, c) = (sin_reduced(r, r_low), cos_reduced(r, r_low));
        let (s, c) = if quadrant & 1 == 0 { (s, c) } else { (c, -s) };
        let (s, c) = if quadrant & 2 == 0 { (s, c) } else { (-s, -c) };
        (if x.is_sign_negative() { -s } else { s }, c)
    } else {
        (f32::NAN, f32::NAN)
    }
}

/// `(quadrant, r, r_low)` with a = quadrant · π/2 + (r + r_low) modulo 2π and |r| ≤ π/4, for ½ < a < ∞.
///
/// The turn is exact to 2^-61 and no `f32` is closer to a multiple of π/2 than 2^-31, so r + r_low has 30 correct bits.
fn reduce(a: f32) -> (u32, f32, f32) {
    let bits = a.to_bits();
    let mantissa = u64::from(bits & 0x007f_ffff | 0x0080_0000);
    // a = mantissa · 2^(exponent - 150). Shifting 2/π left by 30 more than that and keeping the 96 bits on top
    // drops the whole turns and leaves 94 bits after the point of a quadrant.
    let shift = (bits >> 23) - 120;
    let word = |i: u32| u64::from(TWO_OVER_PI[((shift / 32 + i) % 8) as usize]);
    let window = |i| (word(i) << 32 | word(i + 1)) << (shift % 32) >> 32;
    // In quadrants times 2^62, modulo four quadrants.
    let high = mantissa.wrapping_mul(window(0) << 32 | window(1));
    let turn = high.wrapping_add((mantissa * window(2)) >> 32);
    let quadrant = turn.wrapping_add(1 << 61) >> 62;
    let fraction = turn.wrapping_sub(quadrant << 62) as i64;
    let angle = ((i128::from(fraction) * i128::from(HALF_PI)) >> 62) as i64;
    let rounded = angle as f32;
    (quadrant as u32, rounded * UNIT, (angle - rounded as i64) as f32 * UNIT)
}

#[inline(always)]
fn sin_reduced(r: f32, r_low: f32) -> f32 {
    let z = r * r;
    r + (r_low + (r * z) * (((S3 * z + S2) * z + S1) * z + S0))
}

#[inline(always)]
fn cos_reduced(r: f32, r_low: f32) -> f32 {
    let z = r * r;
    let half = 0.5 * z;
    let head = 1.0 - half;
    // (1 - head) - half is what the subtraction above rounded off.
    head + (((1.0 - head) - half) + ((z * z) * ((C2 * z + C1) * z + C0) - r * r_low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::{inputs, max_ulp};

    #[test]
    fn sin_error_is_within_the_documented_bound() {
        assert!(max_ulp("sin", sin, f64::sin) <= 0.9);
    }

    #[test]
    fn cos_error_is_within_the_documented_bound() {
        assert!(max_ulp("cos", cos, f64::cos) <= 0.9);
    }

    #[test]
    fn sin_is_odd_and_cos_is_even() {
        for bits in inputs().step_by(64) {
            let x = f32::from_bits(bits);
            let (s, c) = sin_cos(x);
            assert!(!x.is_finite() || sin_cos(-x) == (-s, c), "{x:e}");
        }
    }

    #[test]
    fn edges() {
        assert_eq!(sin(0.0).to_bits(), 0);
        assert_eq!(sin(-0.0).to_bits(), 1 << 31);
        assert_eq!(cos(0.0), 1.0);
        assert_eq!(cos(-0.0), 1.0);
        assert_eq!(sin(f32::from_bits(1)).to_bits(), 1);
        for x in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            assert!(sin(x).is_nan() && cos(x).is_nan());
        }
    }

    #[test]
    fn known_hard_arguments() {
        // The f32 nearest π, and one of the f32 closest to a multiple of π/2 (J.-M. Muller, "Elementary Functions").
        assert_eq!(sin(core::f32::consts::PI), -8.742_278e-8);
        assert_eq!(cos(16_367_173.0 * 2f32.powi(72)), -1.614_769_8e-9);
        assert_eq!(sin(f32::MAX), -0.521_876_5);
    }
}
