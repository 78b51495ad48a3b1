//! Quotients.

use crate::{INFINITY, NAN, QUIET, SIGN, exponent, is_nan, mantissa, normalized, rounded};

/// `a ÷ b`, of bits.
#[inline]
pub fn div(a: u32, b: u32) -> u32 {
    let e = exponent(a).wrapping_sub(exponent(b)).wrapping_add(127).cast_signed();
    let is_normal = |x: u32| exponent(x).wrapping_sub(1) < 254;
    // Then the quotient is normal.
    if !is_normal(a) || !is_normal(b) || !(2..=254).contains(&e) {
        return div_rare(a, b);
    }
    let (sign, a, b) = ((a ^ b) & SIGN, mantissa(a), mantissa(b));
    let (a, e) = if a < b { (a << 1, e - 1) } else { (a, e) };
    let (quotient, rest) = quotient(a, b);
    // Never a tie: the exact quotient would have 25 bits, its product with `b` more than `a`.
    let up = u32::from(2 * rest > b);
    sign | (((e.cast_unsigned() - 1) << 23) + quotient + up)
}

/// ⌊2²³ a ÷ b⌋ and what is left, for b ≤ a < 2 b < 2²⁵: as many bits at a time as fit into 32.
#[inline(always)]
fn quotient(a: u32, b: u32) -> (u32, u32) {
    let (first, rest) = ((a << 7) / b, (a << 7) % b);
    let (second, rest) = ((rest << 8) / b, (rest << 8) % b);
    let (third, rest) = ((rest << 8) / b, (rest << 8) % b);
    (first << 16 | second << 8 | third, rest)
}

/// The quotient of any two numbers.
#[cold]
#[inline(never)]
pub(crate) fn div_rare(a: u32, b: u32) -> u32 {
    let sign = (a ^ b) & SIGN;
    if let Some(nan) = [a, b].into_iter().find(|&x| is_nan(x)) {
        return nan | QUIET;
    }
    let infinite = |x: u32| exponent(x) == 255;
    match (infinite(a), infinite(b), a << 1 == 0, b << 1 == 0) {
        (true, true, ..) | (.., true, true) => return NAN,
        (true, ..) | (.., true) => return sign | INFINITY,
        (_, true, ..) | (.., true, _) => return sign,
        _ => {}
    }
    let ((a, a_exponent), (b, b_exponent)) = (normalized(a), normalized(b));
    let e = a_exponent - b_exponent + 127;
    let (a, e) = if a < b { (a << 1, e - 1) } else { (a, e) };
    let (quotient, rest) = quotient(a, b);
    let next = u32::from(2 * rest >= b);
    let rest = 2 * rest - next * b;
    rounded(sign, quotient << 8 | next << 7 | u32::from(rest != 0), e)
}
