//! Small operations on words, which compilers make of branches or without as they see fit.

/// `x`, whose highest bit or the one after is set, to the nearest number with 24 bits from that on. Something is below its last bit.
#[inline(always)]
pub(super) fn nearest(x: u32) -> u32 {
    if x >> 31 == 0 { x.wrapping_add(0x40) & !0x7f } else { x.wrapping_add(0x80) & !0xff }
}

/// A mantissa shifted until its highest bit is set, of at most 24 bits from the highest on, and its exponent. Bisected: these cores
/// count no zeros.
#[inline(always)]
pub(super) fn normalized(x: (u32, u32)) -> (u32, u32) {
    let shifted = |by: u32, (x, e): (u32, u32)| if x >> (32 - by) == 0 { (x << by, e - by) } else { (x, e) };
    // Not a loop, which compilers that save space leave as it is.
    shifted(1, shifted(2, shifted(4, shifted(8, shifted(8, x)))))
}
