//! Integers to floats and back.

use crate::{SIGN, exponent, is_nan};

/// The float nearest to `x`.
#[inline]
pub fn from_i32(x: i32) -> u32 {
    x.cast_unsigned() & SIGN | from_u32(x.unsigned_abs())
}

/// The float nearest to `x`.
#[inline]
pub fn from_u32(x: u32) -> u32 {
    if x == 0 {
        return 0;
    }
    // Bisected: these cores count no zeros.
    let shift_by = |by: u32, (x, e): (u32, u32)| if x >> (32 - by) == 0 { (x << by, e - by) } else { (x, e) };
    let (x, e) = shift_by(1, shift_by(2, shift_by(4, shift_by(8, shift_by(16, (x, 157))))));
    let up = x >> 7 & (u32::from(x << 25 != 0) | x >> 8) & 1;
    (e << 23) + (x >> 8) + up
}

/// `x` without its fraction; what is too large gives the largest or smallest integer, a NaN zero.
#[inline]
pub fn to_i32(x: u32) -> i32 {
    let shift = 158 - exponent(x).cast_signed();
    let magnitude = match shift {
        32.. => 0,
        1.. => (x << 8 | SIGN) >> shift,
        _ if is_nan(x) => 0,
        _ if x & SIGN == 0 => return i32::MAX,
        _ => return i32::MIN,
    };
    let magnitude = magnitude.cast_signed();
    if x & SIGN == 0 { magnitude } else { -magnitude }
}
