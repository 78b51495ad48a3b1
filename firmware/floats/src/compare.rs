//! Comparisons: false if either is a NaN.

use crate::is_nan;

/// Whether `a` or `b` is a NaN.
#[inline]
pub fn unordered(a: u32, b: u32) -> bool {
    is_nan(a) || is_nan(b)
}

/// `a == b`.
#[inline]
pub fn equal(a: u32, b: u32) -> bool {
    if a == b { !is_nan(a) } else { (a | b) << 1 == 0 }
}

/// `a < b`.
#[inline]
pub fn less(a: u32, b: u32) -> bool {
    let (x, y) = (a.cast_signed(), b.cast_signed());
    let ordered = if x & y < 0 { y < x } else { x < y };
    !unordered(a, b) && (a | b) << 1 != 0 && ordered
}

/// `a ≤ b`.
#[inline]
pub fn less_or_equal(a: u32, b: u32) -> bool {
    let (x, y) = (a.cast_signed(), b.cast_signed());
    let ordered = if x & y < 0 { y <= x } else { x <= y };
    !unordered(a, b) && ((a | b) << 1 == 0 || ordered)
}
