//! Powers of two and logarithms in fixed point: the weights of attention.
//!
//! Softmax does not care about the base, and digits of 15 bits are made of its exponentials: integers of 16 bits serve, with
//! products that every core has (`pmulhrsw`, `sqrdmulh`, `q15mulr`), in a third of the operations of [`exp`](super::exp()).

/// Bits of a logarithm below its binary point: it counts steps of 2^(1/32768), 2.1 · 10⁻⁵.
pub(crate) const POINT: u32 = 15;

/// Steps of a logarithm to the base 2 for each of one to the base e: 2¹⁵ / ln 2.
pub(crate) const STEPS_PER_NAT: f32 = f32::from_bits(0x4738_aa3b);

/// Largest magnitude of a score in steps: e^±11356.
pub(crate) const MOST_STEPS: i32 = 1 << 29;

/// The least logarithm that [`log2_steps`] gives, below that of any scale but 0.
const LEAST_LOG: i32 = -108 << POINT;

/// The largest, that of 2¹²⁸.
const MOST_LOG: i32 = 128 << POINT;

/// a · b / 2¹⁵ to the nearest, ties upwards; both less than 2¹⁵.
#[inline(always)]
const fn times(a: u32, b: u32) -> u32 {
    (a * b + (1 << 14)) >> 15
}

/// What the polynomial of 2^(−x) is made of, in units of 2⁻¹⁵.
pub(crate) const COEFFICIENTS: [u32; 5] = [1 << 15, 22_711, 7_847, 1_745, 225];

/// 2¹⁵ · 2^(−d / 2¹⁵) for d < 2¹⁵, at most 2¹⁵ and at least 2¹⁴.
///
/// Of minimax polynomials with coefficients in 15 bits the one whose results are nearest, within 1.02 · 10⁻⁴ (2.1 · 10⁻⁵ root mean
/// square) of what they should be; one more term, or fewer bits lost, would not be seen behind int8 values.
#[inline(always)]
const fn mantissa(d: u32) -> u32 {
    let [a, b, c, e, f] = COEFFICIENTS;
    a - times(d, b - times(d, c - times(d, e - times(d, f))))
}

/// 2^(−d / 2¹⁵) in units of 2⁻²², rounded down.
#[inline(always)]
pub const fn exp2_down(d: u32) -> u32 {
    let whole = d >> POINT;
    // Cores take a shift by 32 for different things.
    (mantissa(d % (1 << POINT)) << 7) >> if whole < 31 { whole } else { 31 }
}

/// 2^(steps / 2¹⁵) for up to 2¹²⁷; 0 below 2⁻¹¹¹. Beyond, some unspecified value.
pub fn exp2_steps(steps: i32) -> f32 {
    let whole = steps.wrapping_add((1 << POINT) - 1) >> POINT;
    let down = (whole << POINT).wrapping_sub(steps).cast_unsigned();
    // Exact: 16 bits, and the bits of a power of two.
    let exponent = whole - POINT as i32;
    if exponent < -126 { 0.0 } else { mantissa(down) as f32 * super::exp::power_of_two(exponent) }
}

/// log₂ x in steps, within 2.3, of a scale (x ≥ 0): that of 0 is −108, that of what is not finite 128 times 2¹⁵.
pub const fn log2_steps(x: f32) -> i32 {
    let bits = x.to_bits() & !(1 << 31);
    let d = (bits >> 8) % (1 << POINT);
    let curve = 14_483 - times(d, 23_254 - times(d, 13_684 - times(d, 6_431 - times(d, 1_518))));
    let log = (((bits >> 23).cast_signed() - 127) << POINT) + (d + times(d, curve)).cast_signed();
    if log < LEAST_LOG {
        LEAST_LOG
    } else if log > MOST_LOG {
        MOST_LOG
    } else {
        log
    }
}

/// A score as a number of steps: without what is below one, within ±2²⁹; NaN, quiet as all arithmetic leaves it, counts as the
/// least. (What the smaller of a number and a signalling NaN is, cores differ about.)
#[inline(always)]
pub fn whole_steps(score: f32) -> i32 {
    const MOST: f32 = MOST_STEPS as f32;
    let score = if score > -MOST { score } else { -MOST };
    (if score < MOST { score } else { MOST }) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::sweep::inputs;

    /// 2^(steps / 2¹⁵).
    fn exact(steps: f64) -> f64 {
        (steps / 32_768.0).exp2()
    }

    #[test]
    fn a_mantissa_is_within_the_documented_bound() {
        let errors = (0..1 << 15).map(|d| f64::from(mantissa(d)) / (32_768.0 * exact(-f64::from(d))) - 1.0);
        let (largest, squares) = errors.fold((0.0_f64, 0.0), |(m, s), e| (m.max(e.abs()), s + e * e));
        assert!(largest <= 1.02e-4 && (squares / 32_768.0).sqrt() <= 2.12e-5, "{largest:e} {squares:e}");
        assert_eq!([mantissa(0), mantissa((1 << 15) - 1)], [1 << 15, 1 << 14]);
    }

    #[test]
    fn powers_are_mantissas_shifted() {
        for d in (0..1 << 20).chain([1 << 20, 1 << 30, u32::MAX]) {
            let (found, expected) = (exp2_down(d), (1 << 22) as f64 * exact(-f64::from(d)));
            assert!((f64::from(found) - expected).abs() <= expected * 1.02e-4 + 1.0, "{d}: {found}");
        }
        for steps in (-(130 << 15)..=127 << 15).step_by(97) {
            let (found, expected) = (f64::from(exp2_steps(steps)), exact(f64::from(steps)));
            assert!(
                (found / expected - 1.0).abs() <= 1.02e-4 || steps < -111 << 15 && found == 0.0,
                "{steps}"
            );
        }
        assert_eq!([exp2_steps(0), exp2_steps(-5 << 15), exp2_steps(-1 << 30)], [1.0, 0.031_25, 0.0]);
    }

    #[test]
    fn logarithms_are_within_the_documented_bound() {
        for x in inputs().map(f32::from_bits).filter(|x| x.is_finite() && *x >= 1e-32) {
            let expected = f64::from(x).log2() * 32_768.0;
            assert!((f64::from(log2_steps(x)) - expected).abs() <= 3.3, "{x:e}: {}", log2_steps(x));
        }
        let edges = [0.0, -0.0, 1.0, 2.0, 0.5, f32::INFINITY, f32::NAN, -f32::NAN].map(log2_steps);
        assert_eq!(edges.map(|log| log >> 15), [-108, -108, 0, 1, -1, 128, 128, 128]);
        assert!(edges.iter().all(|log| log % (1 << 15) == 0));
    }

    #[test]
    fn scores_are_cut_off_and_clamped() {
        let scores = [0.9, -0.9, 1.5, -1.5, 1e30, f32::NEG_INFINITY, f32::NAN, 8_388_609.0];
        let steps = [0, 0, 1, -1, MOST_STEPS, -MOST_STEPS, -MOST_STEPS, 8_388_609];
        assert_eq!(scores.map(whole_steps), steps);
        assert!((f64::from(STEPS_PER_NAT) * core::f64::consts::LN_2 / 32_768.0 - 1.0).abs() < 3e-8);
    }
}
