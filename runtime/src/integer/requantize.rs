//! Multiplication by a real number in fixed point, rounded twice: gemmlowp's, which TensorFlow Lite Micro and CMSIS-NN
//! perform by default.

/// The factor `multiplier · 2^(shift − 31)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantize {
    multiplier: i32,
    shift: i32,
}

impl Requantize {
    /// Least shift: with a smaller one every result would be zero.
    pub const LEAST_SHIFT: i32 = -31;
    /// Largest shift.
    pub const MOST_SHIFT: i32 = 30;

    /// The factor; a negative multiplier counts as 0, a shift outside of −31 to 30 as the nearest within, so that no
    /// file can ask for what is not defined.
    #[inline(always)]
    pub const fn new(multiplier: i32, shift: i32) -> Self {
        let multiplier = if multiplier < 0 { 0 } else { multiplier };
        let shift = if shift < Self::LEAST_SHIFT { Self::LEAST_SHIFT } else { shift };
        Self { multiplier, shift: if shift > Self::MOST_SHIFT { Self::MOST_SHIFT } else { shift } }
    }

    /// The multiplier, 31 bits.
    pub const fn multiplier(self) -> i32 {
        self.multiplier
    }

    /// The shift: to the left where it is positive, else to the right.
    pub const fn shift(self) -> i32 {
        self.shift
    }

    /// `value` times the factor. A positive shift comes first and wraps; the product is rounded to the nearest, ties
    /// upwards; a negative shift rounds again, ties away from zero.
    #[inline(always)]
    pub fn apply(self, value: i32) -> i32 {
        let shifted = value.wrapping_shl(self.shift.max(0) as u32);
        divide_by_power_of_two(multiply_high(shifted, self.multiplier), (-self.shift).max(0) as u32)
    }
}

/// `2 a b / 2³²`, rounded to the nearest, ties upwards. −2³¹ · −2³¹, which has no place, saturates.
#[inline(always)]
pub(super) fn multiply_high(a: i32, b: i32) -> i32 {
    let product = (i64::from(a) * i64::from(b) + (1 << 30)) >> 31;
    // Only −2³¹ · −2³¹ gives 2³¹.
    if product > i64::from(i32::MAX) { i32::MAX } else { product as i32 }
}

/// `value / 2^exponent` for exponents up to 31, rounded to the nearest, ties away from zero.
#[inline(always)]
pub(super) fn divide_by_power_of_two(value: i32, exponent: u32) -> i32 {
    let mask = ((1i64 << exponent) - 1) as i32;
    let threshold = (mask >> 1) + i32::from(value < 0);
    (value >> exponent) + i32::from(value & mask > threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numerator / denominator` to the nearest integer; `up` says where ties go.
    fn nearest(numerator: i128, denominator: i128, tie: fn(i128) -> bool) -> i128 {
        let floor = numerator.div_euclid(denominator);
        let rest = 2 * numerator.rem_euclid(denominator);
        let up = rest > denominator || rest == denominator && tie(numerator);
        floor + i128::from(up)
    }

    const EDGES: [i32; 15] = [
        i32::MIN,
        i32::MIN + 1,
        -(1 << 30) - 1,
        -(1 << 30),
        -65_537,
        -3,
        -2,
        -1,
        0,
        1,
        2,
        3,
        65_536,
        1 << 30,
        i32::MAX,
    ];

    #[test]
    fn products_round_ties_upwards() {
        for a in EDGES {
            for b in EDGES {
                let exact = nearest(i128::from(a) * i128::from(b), 1 << 31, |_| true);
                assert_eq!(i128::from(multiply_high(a, b)), exact.min(i128::from(i32::MAX)), "{a} · {b}");
            }
        }
        assert_eq!([multiply_high(1, 1 << 30), multiply_high(-1, 1 << 30)], [1, 0]);
    }

    #[test]
    fn shifts_round_ties_away_from_zero() {
        for exponent in 0..=31 {
            for edge in EDGES {
                for value in [edge, edge ^ 1, edge ^ (1i32 << (exponent % 31))] {
                    let exact = nearest(i128::from(value), 1 << exponent, |value| value > 0);
                    assert_eq!(
                        i128::from(divide_by_power_of_two(value, exponent)),
                        exact,
                        "{value} >> {exponent}"
                    );
                }
            }
        }
        assert_eq!([3, 1, -1, -3].map(|value| divide_by_power_of_two(value, 1)), [2, 1, -1, -2]);
    }

    #[test]
    fn two_roundings_are_not_one() {
        // 0.75 · 2⁻¹ · 4 = 1.5 by way of 3; 1.25 by way of 3 (2.5 upwards) is 2, where one rounding would give 1.
        assert_eq!(Requantize::new(5 << 28, -1).apply(4), 2);
        assert_eq!(Requantize::new(1 << 30, 1).apply(7), 7);
    }

    #[test]
    fn what_no_converter_writes_is_still_defined() {
        assert_eq!(Requantize::new(-5, 99), Requantize::new(0, Requantize::MOST_SHIFT));
        assert_eq!(Requantize::new(i32::MAX, i32::MIN).shift(), -31);
        // 3 · 2³⁰ wraps to −2³⁰.
        assert_eq!(Requantize::new(1 << 30, 30).apply(3), -1 << 29);
    }
}
