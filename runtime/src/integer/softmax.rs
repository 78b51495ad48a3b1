//! Softmax in integers: gemmlowp's fixed-point exponential and reciprocal.
//!
//! Fixed point is written Qm.n: m bits before the point, n after it, and a sign.

use super::requantize::{divide_by_power_of_two, multiply_high};
use super::saturate_i8;

/// Bits before the point of the sum of exponentials, Q12.19.
const SUM_BITS: u32 = 12;

/// e^(factor · x) / Σ e^(factor · x) in steps of 1/256 from −128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    multiplier: i32,
    shift: u32,
    /// Differences from the largest input that are too far below it to count.
    least: i32,
}

impl Softmax {
    /// Most inputs: the sum of more exponentials might not fit Q12.19.
    pub const MOST: usize = 4095;

    /// The factor `multiplier · 2^(shift − 31)` brings differences of inputs to Q5.26; `shift` is 0 to 31.
    /// `None` for a shift or a multiplier out of range.
    pub fn new(multiplier: i32, shift: u32) -> Option<Self> {
        // The largest difference whose product with 2^shift is below 31 · 2²⁶: within Q5.26.
        (multiplier >= 0 && shift <= 31).then(|| Self {
            multiplier,
            shift,
            least: -((31i64 << 26 >> shift) as i32),
        })
    }

    /// The multiplier, 31 bits.
    pub const fn multiplier(&self) -> i32 {
        self.multiplier
    }

    /// The shift to the left.
    pub const fn shift(&self) -> u32 {
        self.shift
    }

    /// One vector.
    ///
    /// # Panics
    /// If the lengths differ, or there are more inputs than [`Softmax::MOST`].
    #[inline(always)]
    pub fn apply(&self, x: &[i8], out: &mut [i8]) {
        assert!(x.len() <= Self::MOST, "the sum fits");
        let largest = x.iter().fold(i8::MIN, |largest, &x| largest.max(x));
        let exponential = |x: i8| {
            let difference = i32::from(x) - i32::from(largest);
            (difference >= self.least).then(|| exp(multiply_high(difference << self.shift, self.multiplier)))
        };
        let exponentials = x.iter().filter_map(|&x| exponential(x));
        // At least 2¹⁹, the largest input's, so that there is a leading one; below it lies x of 1 + x.
        let sum: i32 = exponentials.map(|e| divide_by_power_of_two(e, SUM_BITS)).sum();
        let zeros = sum.leading_zeros();
        let scale = reciprocal_of_one_plus(((sum as u32) << zeros).wrapping_sub(1 << 31) as i32);
        let exponent = SUM_BITS + 23 - zeros;
        assert_eq!(x.len(), out.len(), "one output for each input");
        for (out, &x) in out.iter_mut().zip(x) {
            let share = match exponential(x) {
                // From 512 equal inputs on no share is half a step; TensorFlow Lite aborts there.
                Some(e) if exponent <= 31 => divide_by_power_of_two(multiply_high(scale, e), exponent),
                _ => 0,
            };
            *out = saturate_i8(share - 128);
        }
    }
}

/// e^x for x ≤ 0 in Q5.26, in Q0.31.
fn exp(x: i32) -> i32 {
    /// e^(−2^k) for k = −2 … 4, in Q0.31.
    const POWERS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    const QUARTER: i32 = 1 << 24;
    if x == 0 {
        return i32::MAX;
    }
    // x = part − quarters / 4 with part in −1/4 … 0.
    let part = (x & (QUARTER - 1)) - QUARTER;
    let quarters = part.wrapping_sub(x);
    let mut result = exp_of_part(part << 5);
    for (k, power) in POWERS.into_iter().enumerate() {
        if quarters & (QUARTER << k) != 0 {
            result = multiply_high(result, power);
        }
    }
    result
}

/// e^x for −1/4 ≤ x < 0, all in Q0.31: four terms around −1/8.
fn exp_of_part(x: i32) -> i32 {
    const MIDDLE: i32 = 1_895_147_668; // e^(−1/8)
    const THIRD: i32 = 715_827_883;
    let x = x + (1 << 28);
    let x2 = multiply_high(x, x);
    let x3 = multiply_high(x2, x);
    let x4 = multiply_high(x2, x2);
    let higher = multiply_high(divide_by_power_of_two(x4, 2) + x3, THIRD) + x2;
    MIDDLE + multiply_high(MIDDLE, x + divide_by_power_of_two(higher, 1))
}

/// 1 / (1 + x) for 0 ≤ x < 1, in Q0.31: three steps of Newton's method.
fn reciprocal_of_one_plus(x: i32) -> i32 {
    // Q2.29.
    const INTERCEPT: i32 = 1_515_870_810; // 48 / 17
    const SLOPE: i32 = -1_010_580_540; // −32 / 17
    const ONE: i32 = 1 << 29;
    let doubled = i64::from(x) + i64::from(i32::MAX);
    let half = ((doubled + if doubled >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut y = INTERCEPT.wrapping_add(multiply_high(half, SLOPE));
    for _ in 0..3 {
        let error = ONE.wrapping_sub(multiply_high(half, y));
        y = y.wrapping_add(times_power_of_two(multiply_high(y, error), 2));
    }
    times_power_of_two(y, 1)
}

/// `value · 2^exponent`, saturated.
fn times_power_of_two(value: i32, exponent: u32) -> i32 {
    (i64::from(value) << exponent).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn shares_are_within_a_step_of_the_real_ones() {
        for (multiplier, shift) in [(1_077_952_640, 19), (1_342_177_280, 22), (1 << 30, 27), (1 << 30, 0)] {
            let softmax = Softmax::new(multiplier, shift).expect("in range");
            let factor = f64::from(multiplier) * 2f64.powi(shift as i32 - 31) / f64::from(1 << 26);
            for count in [1, 2, 10, 300] {
                let x: Vec<i8> = (0..count).map(|i| (i * 73 + 11) as u8 as i8).collect();
                let mut out = vec![0; count];
                softmax.apply(&x, &mut out);
                let sum: f64 = x.iter().map(|&x| (factor * f64::from(x)).exp()).sum();
                for (&out, &x) in out.iter().zip(&x) {
                    let exact = (256.0 * (factor * f64::from(x)).exp() / sum).min(255.0) - 128.0;
                    assert!((f64::from(out) - exact).abs() <= 1.0, "{count} inputs, {x}: {out}, {exact}");
                }
            }
        }
    }

    #[test]
    fn many_equal_inputs_have_no_share_left() {
        let softmax = Softmax::new(1 << 30, 20).expect("in range");
        for (count, share) in
            [(1, 127), (255, -127), (256, -127), (511, -127), (512, -128), (Softmax::MOST, -128)]
        {
            let mut out = vec![0; count];
            softmax.apply(&vec![-3; count], &mut out);
            assert_eq!(out, vec![share; count], "{count}");
        }
    }

    #[test]
    fn factors_out_of_range_are_refused() {
        assert!(Softmax::new(-1, 0).is_none() && Softmax::new(1, 32).is_none());
        // Nothing but the largest counts where one step is beyond Q5.26.
        let mut out = [0; 3];
        Softmax::new(i32::MAX, 31).expect("in range").apply(&[5, 4, -128], &mut out);
        assert_eq!(out, [127, -128, -128]);
    }
}
