//! Products.

use crate::{INFINITY, NAN, QUIET, SIGN, exponent, is_nan, mantissa, normalized, rounded};

/// `a · b`, of bits.
#[inline]
pub fn mul(a: u32, b: u32) -> u32 {
    let e = exponent(a) + exponent(b);
    let is_normal = |x: u32| exponent(x).wrapping_sub(1) < 254;
    // Then the product is normal, rounded or not.
    if !is_normal(a) || !is_normal(b) || e.wrapping_sub(128) > 252 {
        return mul_rare(a, b);
    }
    let product = u64::from(mantissa(a) << 8) * u64::from(mantissa(b) << 1);
    let (mut high, mut low, mut e) = ((product >> 32) as u32, product as u32, e - 127);
    // 2²³ ≤ high < 2²⁵: its last bit is to be below the last place.
    if high >> 24 == 0 {
        high = high << 1 | low >> 31;
        low <<= 1;
        e -= 1;
    }
    let up = high & (u32::from(low != 0) | high >> 1) & 1;
    (a ^ b) & SIGN | ((e << 23) + (high >> 1) + up)
}

/// The product of any two numbers.
#[cold]
#[inline(never)]
pub(crate) fn mul_rare(a: u32, b: u32) -> u32 {
    let sign = (a ^ b) & SIGN;
    if let Some(nan) = [a, b].into_iter().find(|&x| is_nan(x)) {
        return nan | QUIET;
    }
    let (infinite, zero) = (exponent(a) == 255 || exponent(b) == 255, a << 1 == 0 || b << 1 == 0);
    match (infinite, zero) {
        (true, true) => return NAN,
        (true, false) => return sign | INFINITY,
        (false, true) => return sign,
        (false, false) => {}
    }
    let ((a, a_exponent), (b, b_exponent)) = (normalized(a), normalized(b));
    let product = u64::from(a << 8) * u64::from(b << 8);
    let zeros = product.leading_zeros();
    let product = product << zeros;
    let mantissa = (product >> 32) as u32 | u32::from(product as u32 != 0);
    rounded(sign, mantissa, a_exponent + b_exponent - 126 - zeros as i32)
}
