//! Results from exact sums on cores without an FPU, with integers: a conversion and two multiplications of floats, where
//! functions for them would take twice as many instructions.
//!
//! Done here where the sum has at most 24 bits, the product of both scales is of 2⁻¹²⁶ to 2, that of the token less than 2, and
//! its rounding may be no tie and carries not into the exponent; all else as [`scalar`] has it. The scale of a token from 2 to
//! 2³³, as queries in steps of a logarithm have, is taken as one of 2³² times less, whose results are raised again.

use super::words::{self, normalized};
use crate::kernels::scalar;
use crate::tensor::LANES;

/// Makes results of the exact sums of a row block, where they are.
pub(super) fn finish(out: &mut [f32; LANES], row_scale: &[f32; LANES], token_scale: f32) {
    let token = Scale::new(token_scale);
    for (out, &row_scale) in out.iter_mut().zip(row_scale) {
        let sum = out.to_bits().cast_signed();
        *out = match result(sum, row_scale.to_bits(), token) {
            Some(result) => f32::from_bits(result),
            None => other(sum, row_scale, token_scale),
        };
    }
}

/// A row that is done otherwise.
#[cold]
#[inline(never)]
fn other(sum: i32, row_scale: f32, token_scale: f32) -> f32 {
    scalar::result(sum, row_scale, token_scale)
}

/// The scale of a token, for all rows.
#[derive(Clone, Copy)]
struct Scale {
    /// The highest bit is set, eight are zeros.
    mantissa: u32,
    /// As it is stored, − 128; more than any row's makes good, if it is not from 1 to 127.
    exponent: u32,
    /// What the exponents of results are raised by.
    raised: u32,
}

impl Scale {
    fn new(x: f32) -> Self {
        let bits = x.to_bits();
        let (exponent, raised) = match bits >> 23 {
            exponent @ 1..128 => (exponent.wrapping_sub(128), 0),
            exponent @ 128..160 => (exponent.wrapping_sub(128 + 32), 32),
            _ => (1 << 9, 0),
        };
        Self { mantissa: bits << 8 | SIGN, exponent, raised }
    }
}

const SIGN: u32 = 1 << 31;

/// [`scalar::result`] in bits, where it is done here.
#[inline(always)]
fn result(sum: i32, row_scale: u32, token: Scale) -> Option<u32> {
    // Of both scales together, − 1. Where it is less than this, neither is negative.
    let exponent = (row_scale >> 23).wrapping_add(token.exponent);
    if exponent >= 127 {
        return None;
    }
    let scale = product(row_scale << 8 | SIGN, token.mantissa, exponent)?;
    let magnitude = sum.unsigned_abs();
    if magnitude == 0 {
        return Some(0);
    }
    if magnitude >> 24 != 0 {
        return None;
    }
    let sign = sum.cast_unsigned() & SIGN;
    let (magnitude, exponent) = normalized((magnitude << 8, scale.1 + 23 + token.raised));
    Some(sign | words::product(magnitude, scale.0, exponent + 1))
}

/// The product of mantissas, rounded to 24 bits, and what its exponent is then; none if it may be a tie, or carries. Of the
/// product below 2, one bit of the lower half is missing: that makes a tie of what is not, never the other way.
#[inline(always)]
fn product(a: u32, b: u32, exponent: u32) -> Option<(u32, u32)> {
    let product = ((u64::from(a) * u64::from(b)) >> 32) as u32;
    let (product, exponent) =
        if product >> 31 == 0 { (product << 1, exponent) } else { (product, exponent + 1) };
    let rounded = product.wrapping_add(0x80);
    (rounded >= 0x80 && rounded & 0xff != 0).then_some((rounded & !0xff, exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conformance::Random;

    /// Numbers about the ends of every range, and any bits.
    fn float(random: &mut Random) -> f32 {
        const SPECIAL: [u32; 12] = [
            0,
            1,
            0x007f_ffff,
            0x0080_0000,
            0x0080_0001,
            0x3f7f_ffff,
            0x3f80_0000,
            0x3f80_0001,
            0x7f7f_ffff,
            0x7f80_0000,
            0x7fc0_0000,
            0x3400_0000,
        ];
        let bits = random.bits();
        match bits >> 29 {
            0 => f32::from_bits(SPECIAL[bits as usize % SPECIAL.len()] | bits & SIGN),
            // Few bits set, so that halves of the last place are met.
            1 => f32::from_bits(0x3f80_0000 | bits << 12 & 0x007f_f000),
            2..5 => f32::from_bits(0x3000_0000 + (bits & 0x0fff_ffff)),
            _ => f32::from_bits(bits),
        }
    }

    #[test]
    fn results_are_those_of_the_definition() {
        let mut random = Random::new(5);
        for _ in 0..2_000_000 {
            let (row_scale, token_scale) = (float(&mut random), float(&mut random));
            let sum = match random.within(0, 3) {
                0 => random.within(-2, 2) + (1 << 24),
                _ => random.bits().cast_signed() >> random.within(0, 31),
            };
            let mut out = [f32::from_bits(sum.cast_unsigned()); LANES];
            finish(&mut out, &[row_scale; LANES], token_scale);
            let (found, expected) = (out[0], scalar::result(sum, row_scale, token_scale));
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "{sum} · ({row_scale:e} · {token_scale:e}) is {expected:e}, not {found:e}"
            );
        }
    }
}
