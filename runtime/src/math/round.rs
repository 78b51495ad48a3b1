//! Rounding to the nearest integer, ties to even, by the addition of a large constant.
//!
//! IEEE addition already rounds half to even; a sum whose last place is worth one therefore leaves the wanted integer
//! in its low bits, at the cost of one addition on any core.

/// 1.5 × 2^23: the sum with any |x| < 2^22 lies in [2^23, 2^24), where the spacing of `f32` is one.
pub(crate) const SHIFT: f32 = f32::from_bits(0x4b40_0000);

/// Rounds to the nearest integer, ties to even. Exact for every input.
///
/// Keeps the sign, also of zero (`-0.3` gives `-0.0`); infinities are returned as they are.
#[inline(always)]
pub fn round_half_even(x: f32) -> f32 {
    // 2^23: from here on every f32 is an integer.
    const INTEGERS: f32 = 8_388_608.0;
    let magnitude = x.abs();
    let rounded = ((magnitude + INTEGERS) - INTEGERS).copysign(x);
    if magnitude < INTEGERS { rounded } else { x }
}

/// Rounds to the nearest integer, ties to even, for |x| < 2^22.
///
/// Beyond that range (and for NaN) the result is still defined: the bits of `x + 1.5 × 2^23` minus the bits of
/// `1.5 × 2^23`, as integers modulo 2^32.
#[inline(always)]
pub fn round_to_i32(x: f32) -> i32 {
    (x + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::inputs;

    #[test]
    fn round_half_even_is_exact_for_every_input() {
        for bits in inputs() {
            let x = f32::from_bits(bits);
            let (got, want) = (round_half_even(x), x.round_ties_even());
            assert!(got.to_bits() == want.to_bits() || (x.is_nan() && got.is_nan()), "{x:e}: {got} {want}");
        }
    }

    #[test]
    fn round_to_i32_is_exact_below_two_to_the_22() {
        for bits in inputs() {
            let x = f32::from_bits(bits);
            if x.abs() < 4_194_304.0 {
                assert_eq!(round_to_i32(x), x.round_ties_even() as i32, "{x:e}");
            }
        }
    }

    #[test]
    fn ties_go_to_even() {
        let ties =
            [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (-2.5, -2), (4_194_303.5, 4_194_304)];
        for (x, want) in ties {
            assert_eq!(round_half_even(x), want as f32);
            assert_eq!(round_to_i32(x), want);
        }
        assert_eq!(round_half_even(-0.3).to_bits(), (-0.0f32).to_bits());
    }
}
