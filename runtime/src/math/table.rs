//! Sigmoid and tanh from one table with interpolation: the gates of recurrent layers whose weights are integers.
//!
//! There the state is rounded to 8 bits before it is multiplied again, so gates good to 2^-15 lose nothing; and on a core
//! without FPU each takes some twenty instructions instead of the twenty emulated operations of [`sigmoid`](super::sigmoid()).
//! tanh x = 2 sigmoid 2x − 1, so both read the same elements.

/// Steps of the table for 1, as a power of two.
const STEPS: u32 = 4;
/// Elements of the table: from sixteen on, sigmoid is 1.
const LEN: usize = 16 << STEPS;
/// Bits of an argument of sigmoid below its binary point.
const POINT: u32 = 15;
/// Bits of an argument between two elements.
const BETWEEN: u32 = POINT - STEPS;
/// Bits of an element that hold its distance to the next, at most 2^17 / 64.
const RISE: u32 = 12;

/// (sigmoid(i / 16) − ½) · 2^17 as [`raised`] has it, times 2^12, plus how much more the next one is.
static TABLE: [u32; LEN] = table();

/// The table, computed by the compiler in integers.
const fn table() -> [u32; LEN] {
    let raised = raised::<{ LEN + 1 }>(1 << STEPS);
    let mut table = [0; LEN];
    let mut i = 0;
    while i < LEN {
        let (this, next) = (above_half(raised[i]), above_half(raised[i + 1]));
        table[i] = this << RISE | (next - this);
        i += 1;
    }
    table
}

/// What is above a half, in units of 2^-17, of 2^-52 units, to the nearest.
const fn above_half(raised: u64) -> u32 {
    ((raised - (1 << 51) + (1 << 34)) >> 35) as u32
}

/// sigmoid(i / steps) less a sixteenth of its second difference, in units of 2^-52.
///
/// A chord of a curve is off by an eighth of the second difference in its middle, and by nothing at its ends; these
/// elements share that out.
pub(crate) const fn raised<const LEN: usize>(steps: i128) -> [u64; LEN] {
    const ONE: u128 = 1 << 62;
    let mut step = 0; // e^(−1/steps)
    let (mut term, mut k) = (ONE as i128, 1);
    while term != 0 {
        step += term;
        term = -term / (steps * k);
        k += 1;
    }
    let mut elements = [0; LEN];
    let mut power = step as u128; // e^(−(i + 1)/steps)
    let mut this = 1 << 47; // sigmoid(i / steps) · 2^48
    let mut next = ((ONE << 48) / (ONE + power)) as u64;
    // sigmoid(−x) is 1 − sigmoid(x).
    let mut before = (1 << 48) - next;
    let mut i = 0;
    while i < LEN {
        elements[i] = 18 * this - before - next;
        power = (power * step as u128) >> 62;
        (before, this, next) = (this, next, ((ONE << 48) / (ONE + power)) as u64);
        i += 1;
    }
    elements
}

/// (sigmoid(x / 2^15) − ½) · 2^24 for x < 2^19: between two elements of the table on a straight line.
#[inline(always)]
fn above_half_at(x: u32) -> u32 {
    let element = TABLE[(x >> BETWEEN) as usize % LEN];
    let (this, rise) = (element >> RISE, element % (1 << RISE));
    ((this << BETWEEN) + rise * (x % (1 << BETWEEN)) + 8) >> 4
}

/// `|x|` · 2^`point`, at most 2^19 − 1, to the nearest, ties to even: the sum with a power of two whose last bit is worth
/// that much does it.
#[inline(always)]
fn fixed(x: f32, point: u32) -> u32 {
    const MOST: u32 = 0x007f_ffe0; // 2 − 2^-18, but for the exponent: 2^19 − 1
    let most = (127 + 18 - point) << 23 | MOST;
    let shift = f32::from_bits((127 + 23 - point) << 23);
    // As integers: what the smaller of a number and a signalling NaN is, cores differ about.
    let a = f32::from_bits(x.abs().to_bits().min(most));
    (a + shift).to_bits() % (1 << 23)
}

/// `y`, but NaN where `x` is.
#[inline(always)]
fn unless_nan(x: f32, y: f32) -> f32 {
    if x.abs().to_bits() > f32::INFINITY.to_bits() { f32::NAN } else { y }
}

/// 1 / (1 + e^−x), within 2^-15; 1 and 0 from about ±13 on.
#[inline(always)]
pub fn table_sigmoid(x: f32) -> f32 {
    // A half and 2^24ths are the bits of a number from a half to 1.
    let y = f32::from_bits(0.5_f32.to_bits() + above_half_at(fixed(x, POINT)));
    unless_nan(x, if x.is_sign_negative() { 1.0 - y } else { y })
}

/// tanh x, within 2^-14; ±1 from about ±6.5 on. Odd.
#[inline(always)]
pub fn table_tanh(x: f32) -> f32 {
    let y = f32::from_bits(1.0_f32.to_bits() + above_half_at(fixed(x, POINT + 1))) - 1.0;
    unless_nan(x, y.copysign(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Crc32;
    use crate::math::sweep::{inputs, max_error};

    #[test]
    fn errors_are_within_the_documented_bounds() {
        let sigmoid = max_error("sigmoid", table_sigmoid, |x| 1.0 / (1.0 + (-x).exp()), |x| x.is_finite());
        assert!(sigmoid <= 0.5_f64.powi(15), "{sigmoid:e}");
        let tanh = max_error("tanh", table_tanh, f64::tanh, |x| x.is_finite());
        assert!(tanh <= 0.5_f64.powi(14), "{tanh:e}");
    }

    #[test]
    fn gates_rise_are_bounded_and_odd_or_complementary() {
        let steps = || (-(20 << 16)..=20 << 16).map(|i| i as f32 / 65536.0);
        for (x, next) in steps().zip(steps().skip(1)) {
            assert!(table_sigmoid(x) <= table_sigmoid(next) && table_tanh(x) <= table_tanh(next), "{x}");
        }
        for x in inputs().map(f32::from_bits).filter(|x| !x.is_nan()) {
            assert_eq!(table_sigmoid(-x), 1.0 - table_sigmoid(x), "{x:e}");
            assert_eq!(table_tanh(-x), -table_tanh(x), "{x:e}");
            assert!((0.0..=1.0).contains(&table_sigmoid(x)) && table_tanh(x).abs() <= 1.0, "{x:e}");
        }
    }

    #[test]
    fn zeros_infinities_and_nan() {
        assert_eq!((table_sigmoid(0.0), table_sigmoid(-0.0)), (0.5, 0.5));
        assert_eq!((table_sigmoid(f32::INFINITY), table_sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001)] {
            assert!(table_sigmoid(nan).is_nan() && table_tanh(nan).is_nan());
        }
        assert_eq!((table_tanh(0.0).to_bits(), table_tanh(-0.0).to_bits()), (0, 1 << 31));
        assert_eq!((table_tanh(f32::INFINITY), table_tanh(f32::NEG_INFINITY)), (1.0, -1.0));
    }

    #[test]
    fn the_table_is_the_documented_one() {
        let sigmoid = |i: i32| 1.0 / (1.0 + (-f64::from(i) / 16.0).exp());
        let above_half = |i| {
            let second = sigmoid(i + 1) - 2.0 * sigmoid(i) + sigmoid(i - 1);
            ((sigmoid(i) - second / 16.0 - 0.5) * 131_072.0).round() as u32
        };
        for (i, &element) in (0..).zip(&TABLE) {
            assert_eq!(element, above_half(i) << 12 | (above_half(i + 1) - above_half(i)), "{i}");
        }
        let mut crc = Crc32::default();
        TABLE.iter().for_each(|element| crc.update(&element.to_le_bytes()));
        assert_eq!(crc.value(), 0xae5c_e733);
    }
}
