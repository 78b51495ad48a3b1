//! Vectors to int8, one digit or two, without floats: the product with the inverse of a step in fixed point, whose error is known.
//! Where that error could decide how the definition rounds, one element in a thousand (of two digits one in two hundred), it is
//! asked.

use super::{SIGN, high};
use crate::kernels::lanes::{self, step_of, wide_step_of};
use crate::quant::{WIDE_MAX, round_clamped, split_wide};
use crate::tensor::{ActivationsMut, LANES};

/// As [`lanes::quantize`].
#[inline(always)]
pub(super) fn quantize(x: &[f32], token: usize, out: &mut ActivationsMut<'_>) {
    let Some(largest) = largest(x) else { return lanes::quantize(x, token, out) };
    let (scale, inverse) = step_of(largest);
    let steps = Steps::of_int8(inverse);
    out.fill(token, [scale], |start, [values]| steps.round(&x[start.min(x.len())..], values));
}

/// As [`lanes::quantize_each`].
#[inline(always)]
pub(super) fn quantize_each(x: &[f32], mut put: impl FnMut(usize, [i8; LANES])) -> f32 {
    let Some(largest) = largest(x) else { return lanes::quantize_each(x, put) };
    let (scale, inverse) = step_of(largest);
    let steps = Steps::of_int8(inverse);
    let mut values = [0; LANES];
    for (i, x) in x.chunks(LANES).enumerate() {
        steps.round(x, &mut values);
        put(i, values);
    }
    scale
}

/// As [`lanes::quantize_wide`].
#[inline(always)]
pub(super) fn quantize_wide(x: &[f32], vector: usize, out: &mut ActivationsMut<'_>) {
    let Some(largest) = largest(x) else { return lanes::quantize_wide(x, vector, out) };
    let (scale, inverse) = wide_step_of(largest);
    let steps = Steps::of_two_digits(inverse);
    out.fill(2 * vector, [scale * 255.0, scale], |start, digits| {
        steps.split(&x[start.min(x.len())..], digits);
    });
}

/// The largest magnitude; none if there is an infinity or a NaN.
#[inline(never)]
pub(super) fn largest(x: &[f32]) -> Option<f32> {
    let largest = x.iter().fold(0, |most, x| most.max(x.to_bits() << 1));
    (largest < f32::INFINITY.to_bits() << 1).then_some(f32::from_bits(largest >> 1))
}

/// Multiplication by the inverse of a step, and rounding to an integer of at most `LIMIT`, by way of `POINT` bits below it. What is
/// multiplied is at most that, and finite.
struct Steps<const LIMIT: i32, const POINT: u32> {
    inverse: f32,
    /// That of `inverse`, its highest bit set.
    mantissa: u32,
    /// By how much a product is shifted to the right, and the exponent of what is multiplied, as it is stored.
    shift: u32,
}

impl Steps<127, 12> {
    fn of_int8(inverse: f32) -> Self {
        Self::new(inverse)
    }

    /// 64 or 16 columns, zeros beyond the last.
    #[inline(never)]
    fn round(&self, x: &[f32], out: &mut [i8]) {
        if x.len() < out.len() {
            out.fill(0);
        }
        for (out, &x) in out.iter_mut().zip(x) {
            *out = self.rounded(x) as i8;
        }
    }
}

impl Steps<WIDE_MAX, 16> {
    fn of_two_digits(inverse: f32) -> Self {
        Self::new(inverse)
    }

    /// 64 columns, zeros beyond the last.
    #[inline(never)]
    fn split(&self, x: &[f32], [high, low]: &mut [[i8; 64]; 2]) {
        if x.len() < 64 {
            (*high, *low) = ([0; 64], [0; 64]);
        }
        for ((high, low), &x) in high.iter_mut().zip(low).zip(x) {
            [*high, *low] = split_wide(self.rounded(x));
        }
    }
}

impl<const LIMIT: i32, const POINT: u32> Steps<LIMIT, POINT> {
    /// In units of the last bit: by how much the product that is rounded to 24 bits may be another, and one for what is cut off.
    const ERROR: u32 = (LIMIT as u32 >> (24 - POINT)) + 1;

    #[inline(always)]
    fn new(inverse: f32) -> Self {
        let bits = inverse.to_bits();
        Self { inverse, mantissa: bits << 8 | SIGN, shift: 284 - POINT - (bits >> 23) }
    }

    /// `round_clamped(x · inverse, LIMIT)`.
    #[inline(always)]
    fn rounded(&self, x: f32) -> i32 {
        let bits = x.to_bits();
        let shift = self.shift - (bits << 1 >> 24);
        // Then it is less than half a step, whatever it is; so is everything if the inverse is 0.
        if shift >= 32 {
            return 0;
        }
        let fixed = (high(bits << 8 | SIGN, self.mantissa) >> shift) + (1 << (POINT - 1));
        if (fixed + Self::ERROR + 1) << (32 - POINT) <= (2 * Self::ERROR + 1) << (32 - POINT) {
            return asked(x * self.inverse, LIMIT);
        }
        let sign = bits.cast_signed() >> 31;
        ((fixed >> POINT).cast_signed() ^ sign) - sign
    }
}

#[cold]
#[inline(never)]
fn asked(x: f32, limit: i32) -> i32 {
    round_clamped(x, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conformance::Random;

    /// Elements of a vector with this largest magnitude: any, and such as are within some last places of the middle of two steps.
    fn element(random: &mut Random, largest: f32, limit: i32) -> f32 {
        let step = largest / limit as f32;
        let x = match random.within(0, 2) {
            0 => random.float() % largest,
            _ => (random.within(-limit, limit - 1) as f32 + 0.5) * step,
        };
        let near = f32::from_bits(x.to_bits().saturating_add_signed(random.within(-3, 3)));
        if near.abs() <= largest { near } else { largest }
    }

    #[test]
    fn roundings_are_those_of_the_definition() {
        let mut random = Random::new(3);
        for _ in 0..2_000_000 {
            let bits = 0x0e00_0000 + (random.bits() % 0x7100_0000);
            let largest = f32::from_bits(if random.within(0, 1) == 0 { bits } else { bits & 0x7ff0_0000 });
            let (_, inverse) = step_of(largest);
            let x = element(&mut random, largest, 127);
            let found = Steps::of_int8(inverse).rounded(x);
            assert_eq!(found, round_clamped(x * inverse, 127), "{x:e} of {largest:e}");
            let (_, inverse) = wide_step_of(largest);
            let x = element(&mut random, largest, WIDE_MAX);
            let found = Steps::of_two_digits(inverse).rounded(x);
            assert_eq!(found, round_clamped(x * inverse, WIDE_MAX), "{x:e} of {largest:e}, two digits");
        }
    }
}
