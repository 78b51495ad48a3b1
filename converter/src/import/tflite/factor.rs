//! Real factors in fixed point, as TensorFlow Lite's `QuantizeMultiplier` writes them.

use whit::integer::Requantize;

/// `factor` as 31 bits and a shift; 0 where it is below 2⁻³². `None` if it is negative, not finite or too large.
pub(super) fn requantize(factor: f64) -> Option<Requantize> {
    let (multiplier, shift) = multiplier(factor)?;
    (shift <= Requantize::MOST_SHIFT).then(|| Requantize::new(multiplier, shift))
}

/// The same for a shift to the left of up to 31.
pub(super) fn multiplier(factor: f64) -> Option<(i32, i32)> {
    if !(factor.is_finite() && factor >= 0.0) {
        return None;
    }
    if factor < f64::MIN_POSITIVE {
        return Some((0, 0));
    }
    // factor = mantissa · 2^shift with the mantissa in 1/2 … 1.
    let mut shift = (factor.to_bits() >> 52) as i32 - 1022;
    let mantissa = factor.to_bits() & ((1 << 52) - 1) | 1 << 52;
    // Of 53 bits the upper 31, rounded to the nearest, ties upwards.
    let mut multiplier = (mantissa + (1 << 21)) >> 22;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    Some(if shift < Requantize::LEAST_SHIFT { (0, 0) } else { (multiplier as i32, shift) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_those_of_the_published_vectors() {
        // Cell factors of scales 2⁻¹⁴ and 2⁻¹⁵, and what rounds up to the next power of two.
        for (factor, expected) in [
            (2f64.powi(-15), (1 << 30, -14)),
            (2f64.powi(-16), (1 << 30, -15)),
            (1.0, (1 << 30, 1)),
            (0.75, (3 << 29, 0)),
            (1.0 - 2f64.powi(-40), (1 << 30, 1)),
            (2f64.powi(-33), (0, 0)),
            (2f64.powi(-32), (1 << 30, -31)),
            (0.0, (0, 0)),
        ] {
            assert_eq!(multiplier(factor), Some(expected), "{factor}");
        }
        assert_eq!(multiplier(-1.0), None);
        assert_eq!(multiplier(f64::NAN), None);
        assert!(requantize(2f64.powi(29)).is_some() && requantize(2f64.powi(30)).is_none());
    }

    #[test]
    fn factors_are_within_half_a_unit() {
        for k in 1..2000 {
            let factor = f64::from(k) * 1.234_567_8e-5;
            let (multiplier, shift) = multiplier(factor).expect("in range");
            let back = f64::from(multiplier) * 2f64.powi(shift - 31);
            assert!((back / factor - 1.0).abs() <= 2f64.powi(-31), "{factor}");
        }
    }
}
