//! Products and sums of floats where they are used, instead of calls: what is common in a few instructions, the rest by the
//! compiler's functions.

use super::{SIGN, words};
use crate::architecture::Pairing;
use crate::kernels::lanes::fold;
use crate::kernels::softmax::FixedSoftmax;
use crate::math::fixed::MOST_STEPS;
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
    /// That with which the exponents of a product are summed up.
    exponent: u32,
    /// How many exponents from [`LEAST`] on numbers may have whose product with it is normal, rounded or not.
    most: u32,
}

/// The exponents of common numbers, as they are stored, from 2⁻⁶³ on: the product of any two of 127 is normal.
const LEAST: u32 = 64;

impl Factor {
    #[inline(always)]
    pub(super) fn new(value: f32) -> Self {
        let bits = value.to_bits();
        let exponent = (bits << 1 >> 24).wrapping_sub(LEAST);
        let most = if exponent < 127 { 127 } else { 0 };
        Self { value, mantissa: bits << 8 | SIGN, exponent: exponent.wrapping_add(2 * LEAST - 127), most }
    }

    /// `x` times it.
    #[inline(always)]
    pub(super) fn times(self, x: f32) -> f32 {
        let bits = x.to_bits();
        let exponent = (bits << 1 >> 24).wrapping_sub(LEAST);
        if exponent >= self.most {
            return other(x, self.value);
        }
        let sign = (bits ^ self.value.to_bits()) & SIGN;
        f32::from_bits(sign | words::product(bits << 8 | SIGN, self.mantissa, exponent + self.exponent))
    }
}

#[cold]
#[inline(never)]
fn other(x: f32, y: f32) -> f32 {
    x * y
}

/// As [`fixed::whole_steps`](crate::math::fixed::whole_steps).
#[inline(always)]
pub(super) fn whole_steps(score: f32) -> i32 {
    let bits = score.to_bits();
    let sign = bits.cast_signed() >> 31;
    let magnitude = match bits << 1 >> 24 {
        0..127 => return 0,
        exponent @ 127..156 => ((bits << 8 | SIGN) >> (158 - exponent)).cast_signed(),
        // NaN counts as the least.
        _ if bits << 1 > f32::INFINITY.to_bits() << 1 => return -MOST_STEPS,
        _ => MOST_STEPS,
    };
    (magnitude ^ sign) - sign
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

/// Σ f(xᵢ) in 16 lanes, of what is not negative or −0.
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
            *lane += f(x);
        }
    }
    fold(lanes)
}

/// As [`lanes::add_values`](crate::kernels::lanes::add_values).
pub(super) fn add_values(sums: &[f32], softmax: &[FixedSoftmax], out: &mut [f32]) {
    let (width, stride) = (out.len() / softmax.len(), sums.len() / (2 * softmax.len()));
    for ((out, softmax), sums) in out.chunks_exact_mut(width).zip(softmax).zip(sums.chunks_exact(2 * stride))
    {
        let (high, low) = sums.split_at(stride);
        for ((out, &high), &low) in out.iter_mut().zip(high).zip(low) {
            *out = corrected(*out, softmax.correction, high + low);
        }
    }
}

/// `x · factor + y`. Mostly there is nothing yet, or the factor is 1.
#[inline(always)]
fn corrected(x: f32, factor: f32, y: f32) -> f32 {
    if x.to_bits() == 0 && factor.to_bits() < f32::INFINITY.to_bits() {
        // +0, which is added to −0 only.
        return if y.to_bits() == SIGN { 0.0 } else { y };
    }
    if factor.to_bits() == 1.0_f32.to_bits() { x + y } else { times(x, factor) + y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conformance::Random;
    use crate::math::fixed;
    use crate::math::sweep::inputs;

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
    fn steps_are_those_of_the_definition() {
        // A sum is no signalling NaN.
        for x in inputs().map(|bits| f32::from_bits(bits) + 0.0) {
            assert_eq!(whole_steps(x), fixed::whole_steps(x), "{x:e}");
        }
    }

    #[test]
    fn products_are_those_of_the_host() {
        let mut random = Random::new(8);
        for _ in 0..4_000_000 {
            let (x, y) = (float(&mut random), float(&mut random));
            assert!(same(times(x, y), x * y), "{x:e} · {y:e} is {:e}, not {:e}", x * y, times(x, y));
            let sum = corrected(x, y, x);
            assert!(same(sum, x * y + x), "{x:e} · {y:e} + {x:e} is {:e}, not {sum:e}", x * y + x);
        }
    }
}
