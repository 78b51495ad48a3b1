//! Small operations on words, as compilers make them.

use super::high;

/// `x`, whose highest bit or the one after is set, to the nearest number with 24 bits from that on. Something is below its last bit.
#[inline(always)]
pub(super) fn nearest(x: u32) -> u32 {
    if x >> 31 == 0 { x.wrapping_add(0x40) & !0x7f } else { x.wrapping_add(0x80) & !0xff }
}

/// A mantissa shifted until its highest bit is set, of at most 24 bits from the highest on, and its exponent. Bisected: these cores
/// count no zeros.
#[cfg(not(target_arch = "arm"))]
#[inline(always)]
pub(super) fn normalized(x: (u32, u32)) -> (u32, u32) {
    let shifted = |by: u32, (x, e): (u32, u32)| if x >> (32 - by) == 0 { (x << by, e - by) } else { (x, e) };
    // Not a loop, which compilers that save space leave as it is.
    shifted(1, shifted(2, shifted(4, shifted(8, shifted(8, x)))))
}

/// The product of mantissas whose highest bits are set, rounded, as a float without its sign: what it is to have as exponent, as it
/// is stored, is one less than that of a product from 2 on.
#[inline(always)]
pub(super) fn product(a: u32, b: u32, exponent: u32) -> u32 {
    let product = high(a, b);
    let is_small = u32::from(product >> 31 == 0);
    let bits = 8 - is_small;
    let more = u32::from(a.wrapping_mul(b) != 0);
    let up = (product >> bits & 1 | more) + (1 << (bits - 1)) - 1;
    ((exponent - is_small) << 23) + ((product + up) >> bits)
}
