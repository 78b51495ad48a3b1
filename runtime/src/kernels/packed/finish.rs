//! Results from exact sums on cores without an FPU, with integers: a conversion and two multiplications of the compiler's
//! library took 45 instructions of a Cortex-M0 more for every row.
//!
//! A multiplication of normal numbers whose result is normal is done here, rounded to nearest, ties to even, as IEEE 754 has
//! it (the usual way: Muller et al., Handbook of Floating-Point Arithmetic, 2nd edition, section 9.4); all else is left to the
//! library, which does the same.

use crate::kernels::scalar;
use crate::tensor::LANES;

/// Makes results of the exact sums of a row block, where they are.
pub(super) fn finish(out: &mut [f32; LANES], row_scale: &[f32; LANES], token_scale: f32) {
    for (out, &row_scale) in out.iter_mut().zip(row_scale) {
        *out = result(out.to_bits().cast_signed(), row_scale, token_scale);
    }
}

/// [`scalar::result`].
#[inline(always)]
fn result(sum: i32, row_scale: f32, token_scale: f32) -> f32 {
    exact(sum)
        .zip(Number::new(row_scale))
        .zip(Number::new(token_scale))
        .and_then(
            #[inline(always)]
            |((sum, row_scale), token_scale)| Some(sum.times(row_scale.times(token_scale)?)?.to_f32()),
        )
        .unwrap_or_else(|| scalar::result(sum, row_scale, token_scale))
}

/// A normal number: (−1)^sign · mantissa · 2^(exponent − 158).
#[derive(Clone, Copy)]
struct Number {
    /// The sign in the highest bit, nothing else.
    sign: u32,
    /// 24 bits, of which the highest is set, and eight zeros.
    mantissa: u32,
    /// As it stands in an f32: 1 to 254.
    exponent: i32,
}

impl Number {
    #[inline(always)]
    fn new(x: f32) -> Option<Self> {
        let bits = x.to_bits();
        let exponent = (bits << 1 >> 24) as i32;
        let is_normal = (exponent - 1).cast_unsigned() < 254;
        is_normal.then_some(Self { sign: bits & SIGN, mantissa: bits << 8 | 1 << 31, exponent })
    }

    /// The product, rounded, if that is normal.
    #[inline(always)]
    fn times(self, other: Self) -> Option<Self> {
        let mut product = top_of_product(self.mantissa, other.mantissa);
        let mut exponent = self.exponent + other.exponent - 127;
        // The product of two numbers in 1 .. 2 is in 1 .. 4.
        if product >> 31 == 0 {
            product <<= 1;
        } else {
            exponent += 1;
        }
        // More than half of the last place, or half of it and the last place odd.
        let up = (product & 0xff) + (product >> 8 & 1) > 0x80;
        let mut mantissa = product & !0xff;
        if up {
            let (sum, carry) = mantissa.overflowing_add(0x100);
            mantissa = sum | u32::from(carry) << 31;
            exponent += i32::from(carry);
        }
        let is_normal = (exponent - 1).cast_unsigned() < 254;
        is_normal.then_some(Self { sign: self.sign ^ other.sign, mantissa, exponent })
    }

    /// The same number with a mantissa shifted by `zeros`, if it begins with so many.
    #[inline(always)]
    fn shifted_by(self, zeros: u32) -> Self {
        if self.mantissa >> (32 - zeros) == 0 {
            let (mantissa, exponent) = (self.mantissa << zeros, self.exponent - zeros.cast_signed());
            return Self { mantissa, exponent, ..self };
        }
        self
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(self.sign | self.exponent.cast_unsigned() << 23 | self.mantissa << 1 >> 9)
    }
}

const SIGN: u32 = 1 << 31;

/// A sum that is a normal number without rounding. Bisected: these cores count no zeros.
#[inline(always)]
fn exact(sum: i32) -> Option<Number> {
    let magnitude = sum.unsigned_abs();
    if magnitude == 0 || magnitude >> 24 != 0 {
        return None;
    }
    let sign = sum.cast_unsigned() & SIGN;
    let number = Number { sign, mantissa: magnitude << 8, exponent: 127 + 23 };
    // Not a loop, which compilers that save space leave as it is.
    Some(number.shifted_by(16).shifted_by(8).shifted_by(4).shifted_by(2).shifted_by(1))
}

/// The upper 32 bits of the product of two mantissas, the last of them set if any of the bits below is.
#[inline(always)]
fn top_of_product(a: u32, b: u32) -> u32 {
    let product = u64::from(a) * u64::from(b);
    (product >> 32) as u32 | u32::from(product as u32 != 0)
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
            let (found, expected) =
                (result(sum, row_scale, token_scale), scalar::result(sum, row_scale, token_scale));
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "{sum} · ({row_scale:e} · {token_scale:e}) is {expected:e}, not {found:e}"
            );
        }
    }
}
