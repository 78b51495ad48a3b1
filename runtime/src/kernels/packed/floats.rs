//! Products and sums of floats where they are used, instead of calls: what is common in a few instructions, the rest by the
//! compiler's functions.

use super::{SIGN, high, product};
use crate::architecture::Pairing;
use crate::tensor::LANES;

/// `x · y`.
#[inline(always)]
pub(super) fn times(x: f32, y: f32) -> f32 {
    Factor::new(y).times(x)
}

/// What several numbers are multiplied by.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    value: f32,
    /// Its mantissa, the highest bit set.
    mantissa: u32,
}

impl Factor {
    #[inline(always)]
    pub(super) fn new(value: f32) -> Self {
        Self { value, mantissa: value.to_bits() << 8 | SIGN }
    }

    /// `x` times it.
    #[inline(always)]
    pub(super) fn times(self, x: f32) -> f32 {
        let (a, b) = (x.to_bits(), self.value.to_bits());
        let exponents = (a << 1 >> 24, b << 1 >> 24);
        // Then both are normal, and so is the product, rounded or not.
        let exponent = exponents.0 + exponents.1;
        let is_common = exponents.0.min(exponents.1) > 0 && exponent.wrapping_sub(128) < 252;
        if !is_common {
            return other(x, self.value);
        }
        let product = product(a << 8 | SIGN, self.mantissa)
            .unwrap_or_else(|| exact(high(a << 8 | SIGN, self.mantissa)));
        let (mantissa, exponent) =
            if product >> 31 == 0 { (product >> 7, exponent - 128) } else { (product >> 8, exponent - 127) };
        f32::from_bits((a ^ b) & SIGN | ((exponent << 23) + mantissa))
    }
}

/// A product without a lower half, rounded to 24 bits from its highest on.
#[inline(always)]
fn exact(product: u32) -> u32 {
    let bits = 7 + (product >> 31);
    (product + (1 << (bits - 1)) - 1 + (product >> bits & 1)) >> bits << bits
}

#[cold]
#[inline(never)]
fn other(x: f32, y: f32) -> f32 {
    x * y
}

/// `x · factor` for each.
#[inline(never)]
pub(super) fn scale(x: &mut [f32], factor: f32) {
    let factor = Factor::new(factor);
    for x in x {
        *x = factor.times(*x);
    }
}

/// `x · y` for each.
#[inline(never)]
pub(super) fn multiply(x: &mut [f32], y: &[f32]) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x = times(*x, y);
    }
}

/// As [`lanes::rotate`](crate::kernels::lanes::rotate).
pub(super) fn rotate(heads: &mut [f32], width: usize, cos: &[f32], sin: &[f32], pairing: Pairing) {
    let pairs = cos.len();
    for head in heads.chunks_exact_mut(width.max(1)) {
        let (step, distance) = match pairing {
            Pairing::Interleaved => (2, 1),
            Pairing::HalfSplit => (1, pairs),
        };
        for (i, (&c, &s)) in cos.iter().zip(sin).enumerate() {
            let (a, b) = (head[step * i], head[step * i + distance]);
            head[step * i] = times(a, c) - times(b, s);
            head[step * i + distance] = times(a, s) + times(b, c);
        }
    }
}

/// Σ f(xᵢ) in 16 lanes, of what is not negative, −0 or NaN.
#[inline(always)]
pub(super) fn sum_by(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (first, rest) = x.split_at(LANES.min(x.len()));
    // To a lane that is +0 nothing need be added.
    for (lane, &x) in lanes.iter_mut().zip(first) {
        *lane = f(x);
    }
    for x in rest.chunks(LANES) {
        for (lane, &x) in lanes.iter_mut().zip(x) {
            *lane = plus(*lane, f(x));
        }
    }
    crate::kernels::lanes::fold(lanes)
}

/// `x + y`, neither of them negative, −0 or NaN.
#[inline(always)]
fn plus(x: f32, y: f32) -> f32 {
    let (x, y) = (x.to_bits(), y.to_bits());
    let (large, small) = if x < y { (y, x) } else { (x, y) };
    let (exponent, distance) = (large >> 23, (large >> 23) - (small >> 23));
    // Subnormal numbers, and sums that may be infinite.
    if small >> 23 == 0 || exponent >= 253 {
        return f32::from_bits(x) + f32::from_bits(y);
    }
    if distance > 24 {
        return f32::from_bits(large);
    }
    let mantissa = |x: u32| (x << 8 | SIGN) >> 1;
    let small = mantissa(small);
    // The last bit stands for what is below it.
    let shifted = small >> distance | u32::from(small << (31 - distance) << 1 != 0);
    let sum = mantissa(large) + shifted;
    let (sum, exponent) = if sum >> 31 == 0 { (sum, exponent - 1) } else { (sum >> 1 | sum & 1, exponent) };
    let half = 0x3f + (sum >> 7 & 1);
    f32::from_bits((exponent << 23) + ((sum + half) >> 7))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conformance::Random;

    fn same(found: f32, expected: f32) -> bool {
        found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
    }

    /// Any bits, or few of them set, so that ties are met; exponents near those of one, or anywhere.
    fn float(random: &mut Random) -> f32 {
        let (bits, few) = (random.bits(), u32::MAX << random.within(0, 23));
        let bits = if random.within(0, 1) == 0 { bits & few } else { bits };
        f32::from_bits(if random.within(0, 3) == 0 { bits } else { 0x3c00_0000 + (bits & 0x87ff_ffff) })
    }

    #[test]
    fn products_and_sums_are_those_of_the_host() {
        let mut random = Random::new(8);
        for _ in 0..4_000_000 {
            let (x, y) = (float(&mut random), float(&mut random));
            assert!(same(times(x, y), x * y), "{x:e} · {y:e} is {:e}, not {:e}", x * y, times(x, y));
            let (x, y) = (x.abs(), y.abs());
            if !x.is_nan() && !y.is_nan() {
                assert!(same(plus(x, y), x + y), "{x:e} + {y:e} is {:e}, not {:e}", x + y, plus(x, y));
            }
        }
    }
}
